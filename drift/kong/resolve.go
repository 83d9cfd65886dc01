package kong

import (
	"regexp"
	"slices"
	"sort"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// rank is Kong's precedence of an instance, the lower the stronger. Instances of one plugin are never merged: one runs.
func (p *plugin) rank() int {
	c, g, r, s := p.consumer != nil, p.group != nil, p.route != nil, p.service != nil
	switch {
	case c && r && s:
		return 1
	case g && r && s:
		return 2
	case c && r:
		return 3
	case c && s:
		return 4
	case g && r:
		return 5
	case g && s:
		return 6
	case r && s:
		return 7
	case c:
		return 8
	case g:
		return 9
	case r:
		return 10
	case s:
		return 11
	}
	return 12
}

func (p *plugin) enabled() bool {
	on, ok := p.node.Get("enabled").Bool()
	return on || !ok
}

// caller is a class of callers: nobody in particular, a group, or one consumer.
type caller struct {
	class    string
	consumer *consumer
	groups   []string
}

// applies reports whether the instance is a candidate on the route for the caller.
func (p *plugin) applies(rt *route, c caller) bool {
	switch {
	case p.lost || !p.enabled():
		return false
	case p.route != nil && p.route != rt:
		return false
	case p.service != nil && p.service != rt.svc:
		return false
	case p.consumer != nil && p.consumer != c.consumer:
		return false
	case p.group != nil && !slices.Contains(c.groups, p.group.name):
		return false
	}
	if protocols := p.node.Get("protocols").Strs(); len(protocols) > 0 && !slices.ContainsFunc(protocols, func(s string) bool {
		return strings.HasPrefix(s, "http") || strings.HasPrefix(s, "grpc") || strings.HasPrefix(s, "ws")
	}) {
		return false
	}
	return true
}

// running picks, for each plugin, the one instance that runs on the route for the caller, by the plugin's name. lost are the
// instances that would have run if a narrower one did not stand in their place.
func (r *reader) running(rt *route, c caller) (on map[string]*plugin, lost []*plugin) {
	on = map[string]*plugin{}
	for _, p := range r.plugins {
		if !p.applies(rt, c) {
			continue
		}
		old, ok := on[p.name]
		if !ok {
			on[p.name] = p
			continue
		}
		if better(p, old) {
			on[p.name] = p
			p, old = old, p
		}
		lost = append(lost, p)
		_ = old
	}
	for _, p := range on {
		p.used = true
	}
	return on, lost
}

func better(p, q *plugin) bool {
	if a, b := p.rank(), q.rank(); a != b {
		return a < b
	}
	// Two groups of one consumer: by the group's name, as far as anybody knows.
	if p.group != nil && q.group != nil {
		return p.group.name < q.group.name
	}
	return false
}

// callers are the classes that can meet another policy than general traffic on the route.
func (r *reader) callers(rt *route) []caller {
	out := []caller{{}}
	for _, g := range r.groups {
		if slices.ContainsFunc(r.plugins, func(p *plugin) bool {
			return p.group == g && p.consumer == nil && p.applies(rt, caller{groups: []string{g.name}})
		}) {
			out = append(out, caller{class: "consumer group " + g.name, groups: []string{g.name}})
		}
	}
	for _, c := range r.consumers {
		if slices.ContainsFunc(r.plugins, func(p *plugin) bool { return p.consumer == c && p.applies(rt, caller{consumer: c, groups: c.groups}) }) {
			out = append(out, caller{class: "consumer " + c.name, consumer: c, groups: c.groups})
		}
	}
	const most = 64 // classes on one route: beyond it they are said to be unread
	if len(out) > most {
		r.Problem(drift.Problem{File: rt.node.File, Line: rt.node.Line, Text: "more consumers with plugins of their own than are compared on this route", Partial: true})
		out = out[:most]
	}
	return out
}

func (r *reader) operations() {
	for _, rt := range r.routes {
		protocols := field(rt.node, rt.defaults, "protocols").Strs()
		if len(protocols) > 0 && !slices.ContainsFunc(protocols, func(s string) bool { return strings.HasPrefix(s, "http") || strings.HasPrefix(s, "grpc") }) {
			continue // streams: no operations
		}
		var eff []drift.Effective
		for _, c := range r.callers(rt) {
			eff = append(eff, drift.Effective{Class: c.class, Policy: r.policy(rt, c)})
		}
		keys, matches := r.keys(rt)
		for i := range keys {
			op := drift.Operation{Key: keys[i], Match: matches[i], Name: rt.label(), Origin: rt.node.Origin("route " + rt.label()), Effective: eff}
			if rt.svc != nil {
				op.API = rt.svc.label()
			}
			if on, ok := field(rt.node, rt.defaults, "strip_path").Bool(); (!ok || on) && op.Key.Path[0] == '/' {
				op.Strip = strings.TrimSuffix(strings.TrimSuffix(op.Key.Path, "/**"), "/")
			}
			r.env.Operations = append(r.env.Operations, op)
		}
	}
}

var (
	plainPath = regexp.MustCompile(`^[a-zA-Z0-9\-._~/%]*$`)
	exprPath  = regexp.MustCompile(`http\.path\s*(==|\^=|~)\s*r?#?"([^"]*)"`)
	exprVerb  = regexp.MustCompile(`http\.method\s*==\s*"([A-Z]+)"`)
	exprHost  = regexp.MustCompile(`http\.host\s*==\s*"([^"]+)"`)
	exprPart  = regexp.MustCompile(`^\s*\(?\s*(?:http\.(?:path\s*(?:==|\^=|~)|method\s*==|host\s*==)|net\.protocol\s*==)\s*r?#?"[^"]*"#?\s*\)?\s*$`)
)

// keys are the operations of a route: its methods times its paths.
func (r *reader) keys(rt *route) ([]drift.Key, []drift.Match) {
	n := rt.node
	if e := n.Get("expression"); e.Str() != "" {
		return r.expression(rt, e)
	}
	methods := n.Get("methods").Strs()
	if len(methods) == 0 {
		methods = []string{"*"}
	}
	paths := n.Get("paths").Strs()
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	priority, _ := n.Get("regex_priority").Int()
	var keys []drift.Key
	var matches []drift.Match
	for _, m := range methods {
		for _, p := range paths {
			kind, text := drift.Prefix, r.text(p)
			switch {
			case strings.HasPrefix(text, "~"):
				kind, text = drift.Regex, text[1:]
			case rt.old && !plainPath.MatchString(text):
				kind = drift.Regex
			}
			k, match := drift.NewKey(m, kind, text)
			match.Path, match.Hosts, match.Priority = p, n.Get("hosts").Strs(), int(priority)
			n.Get("headers").Each(func(h string, v *source.Node) {
				match.Headers = append(match.Headers, h+"="+strings.Join(v.Strs(), ","))
			})
			keys, matches = append(keys, k), append(matches, match)
		}
	}
	return keys, matches
}

// expression reads the simple form of expression routes: tests of path, method and host joined by &&. Others are kept raw.
func (r *reader) expression(rt *route, e *source.Node) ([]drift.Key, []drift.Match) {
	text := e.Str()
	simple := !slices.ContainsFunc(strings.Split(text, "&&"), func(s string) bool { return !exprPart.MatchString(s) })
	p := exprPath.FindStringSubmatch(text)
	if !simple || p == nil || strings.Count(text, "http.path") > 1 || strings.Count(text, "http.method") > 1 {
		r.Doubt(e.Origin("route "+rt.label()), "the expression is kept as it is: it is more than tests of one path, method and host")
		return []drift.Key{{Method: "*", Path: "~expression " + drift.Hash(text)}}, []drift.Match{{Kind: drift.Regex, Path: drift.Mask(text)}}
	}
	method := "*"
	if m := exprVerb.FindStringSubmatch(text); m != nil {
		method = m[1]
	}
	kind := map[string]drift.MatchKind{"==": drift.Exact, "^=": drift.Prefix, "~": drift.Regex}[p[1]]
	k, m := drift.NewKey(method, kind, p[2])
	for _, h := range exprHost.FindAllStringSubmatch(text, -1) {
		m.Hosts = append(m.Hosts, h[1])
	}
	return []drift.Key{k}, []drift.Match{m}
}

var envCall = regexp.MustCompile(`\$\{\{\s*env\s+"([^"]+)"\s*(?:\|[^}]*)?\}\}`)

// text replaces environment variables that the options know.
func (r *reader) text(s string) string {
	if !strings.Contains(s, "${{") {
		return s
	}
	return envCall.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := r.opt.Values[envCall.FindStringSubmatch(m)[1]]; ok {
			return v
		}
		return m
	})
}

// open reports why a text cannot be read: it holds an environment variable that is not known, or a reference to a vault.
func open(s string) (cause string, is bool) {
	if m := envCall.FindStringSubmatch(s); m != nil {
		return "environment variable " + m[1], true
	}
	if strings.HasPrefix(s, "{vault://") {
		return "reference to a vault", true
	}
	return "", false
}

// sortedNames are the plugins that run, in a stable order.
func sortedNames(on map[string]*plugin) []string {
	out := make([]string, 0, len(on))
	for n := range on {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}
