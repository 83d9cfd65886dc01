package traefik

import (
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// view reads values of one thing as leaves.
type view struct {
	n     *source.Node
	scope string
	wide  bool
}

func leaf[T any](v view, value T, n *source.Node) drift.Leaf[T] {
	if n == nil {
		n = v.n
	}
	if v.wide {
		return drift.From(value, n.Origin(v.scope))
	}
	return drift.Is(value, n.Origin(v.scope))
}

func value[T any](v view, def T, read func(*source.Node) (T, bool), keys ...string) drift.Leaf[T] {
	n := keyIn(v.n, keys...)
	if n.Absent() {
		return drift.ByDefault(def)
	}
	if s := n.Canonical(); strings.Contains(s, "{{") || strings.Contains(s, "${") {
		return drift.Unknown[T]("template that is not rendered", n.Origin(v.scope))
	}
	x, ok := read(n)
	if !ok {
		return drift.Unknown[T]("cannot be read: "+keys[len(keys)-1], n.Origin(v.scope))
	}
	return leaf(v, x, n)
}

func (v view) str(def string, keys ...string) drift.Leaf[string] {
	return value(v, def, func(n *source.Node) (string, bool) { return drift.Mask(n.Str()), n.Kind != source.Map }, keys...)
}

func (v view) flag(def bool, keys ...string) drift.Leaf[bool] {
	return value(v, def, (*source.Node).Bool, keys...)
}

func (v view) num(def int64, keys ...string) drift.Leaf[int64] {
	return value(v, def, (*source.Node).Int, keys...)
}

func (v view) list(def []string, keys ...string) drift.Leaf[[]string] {
	return value(v, def, func(n *source.Node) ([]string, bool) {
		out := words(n)
		for i := range out {
			out[i] = drift.Mask(out[i])
		}
		return out, n.Kind != source.Map
	}, keys...)
}

// millis reads Go's durations; a bare number counts seconds.
func (v view) millis(def int64, keys ...string) drift.Leaf[int64] {
	return value(v, def, func(n *source.Node) (int64, bool) {
		if i, err := strconv.ParseInt(n.Str(), 10, 32); err == nil {
			return i * 1000, i >= 0
		}
		d, err := time.ParseDuration(n.Str())
		return d.Milliseconds(), err == nil && d >= 0
	}, keys...)
}

func not(l drift.Leaf[bool]) drift.Leaf[bool] { l.Value = !l.Value; return l }

// use is one middleware that runs on a router.
type use struct {
	*thing
	kind string // in lower case
	view
}

// chain lists what runs on a router at an entry point, in order: that of the entry point, then its own, chains written out. missing are
// those that are not among the files.
func (r *reader) chain(t *router, e *entry) (out []use, missing []string) {
	var add func(name string, wide bool, depth int)
	add = func(name string, wide bool, depth int) {
		w := r.wares[name]
		if w == nil || depth > 8 {
			missing = append(missing, name)
			return
		}
		r.used[w] = true
		for i, k := range w.node.Keys {
			if kind := strings.ToLower(k); kind == "chain" {
				for _, n := range keyIn(w.node.Values[i], "middlewares").Items() {
					next := n.Str()
					if n.Kind == source.Map {
						next = or(or(n.Get("namespace").Str(), w.ns), "default") + "-" + n.Get("name").Str() + "@kubernetescrd"
						if strings.Contains(n.Get("name").Str(), "@") {
							next = n.Get("name").Str()
						}
					} else {
						next = qualified(next, "file")
					}
					add(next, wide, depth+1)
				}
			} else {
				out = append(out, use{w, kind, view{w.node.Values[i], w.scope, wide}})
			}
		}
	}
	for _, n := range e.wares {
		add(n, true, 0)
	}
	for _, n := range t.wares {
		add(n, false, 0)
	}
	return out, missing
}

func (r *reader) policy(t *router, e *entry, conflicts map[string]bool) *drift.Policy {
	p := &drift.Policy{}
	defaults(p)
	chain, missing := r.chain(t, e)
	b := &builder{reader: r, t: t, e: e, p: p}
	for _, u := range chain {
		b.apply(u)
	}
	r.tls(p, t, e, conflicts)
	b.unseen(missing)
	r.upstream(p, t)
	r.observe(p, t, e)
	b.cuts(chain)
	if own := drift.HSTSOf(p.Transforms); own.State != drift.Default && p.TLS.HSTS.State == drift.Default {
		p.TLS.HSTS = own
	}
	return p
}

func defaults(p *drift.Policy) {
	none, no, zero := drift.ByDefault([]string(nil)), drift.ByDefault(false), drift.ByDefault(int64(0))
	p.Auth = drift.Auth{Ways: drift.ByDefault(drift.Ways(nil)), Fallback: no, Optional: no, Exempt: no}
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.Impossible[[]drift.Quota]("Traefik has no quotas")
	p.Limits = drift.Limits{Body: zero, Header: drift.ByDefault(int64(1 << 20)), Connect: drift.ByDefault(int64(30_000)), Read: zero, Retries: zero, RetryOn: none, Breaker: drift.ByDefault("")}
	p.CORS = drift.CORS{Enabled: no, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: no, MaxAge: zero}
	p.IP = drift.IPFilter{Allow: none, Deny: drift.Impossible[[]string]("addresses can only be allowed"), Source: drift.ByDefault("peer"), Hops: zero}
	p.WAF, p.Debug, p.Opaque = none, none, drift.ByDefault([]drift.Opaque(nil))
	p.Transforms = drift.ByDefault([]drift.Transform(nil))
	p.TLS.HSTS, p.TLS.Redirect = zero, zero
}

// builder makes the policy of one router at one entry point.
type builder struct {
	*reader
	t *router
	e *entry
	p *drift.Policy
}

// grow adds to a list of the policy, whose origin becomes that of what was added last.
func grow[T any](l *drift.Leaf[[]T], u use, n *source.Node, v ...T) {
	x := leaf(u.view, append(l.Value, v...), n)
	if l.State == drift.Set {
		x.State = drift.Set
	}
	if l.State == drift.Unresolved || l.State == drift.Conditional {
		x.State, x.Cause = l.State, l.Cause
	}
	*l = x
}

func (b *builder) demand(u use, q drift.Requirement) {
	q.Origin = u.thing.origin(u.n)
	if q.Name == "" {
		q.Name = drift.Mask(u.name)
	}
	w := &b.p.Auth.Ways
	x := leaf(u.view, w.Value.And(q), u.n)
	if w.State == drift.Set {
		x.State = drift.Set
	}
	if w.State == drift.Unresolved {
		x.State, x.Cause = w.State, w.Cause
	}
	*w = x
}

// unseen takes back what is said to be absent where something could not be read that may bring it.
func (b *builder) unseen(missing []string) {
	p, o := b.p, b.t.listed.Origin(b.t.scope)
	cause := ""
	if !b.known {
		cause = noStatic
		o = drift.Origin{Scope: b.e.scope()}
	}
	for _, m := range missing {
		cause = "middleware " + drift.Mask(m) + " is missing"
		o = b.t.listed.Origin(b.t.scope)
		g := drift.Gap{What: "middleware", Name: drift.Mask(m), Origin: o}
		known := false
		for _, old := range b.env.Gaps {
			known = known || old == g
		}
		if !known {
			b.env.Gaps = append(b.env.Gaps, g)
		}
	}
	if cause == "" {
		return
	}
	if len(p.Auth.Ways.Value) == 0 {
		p.Auth.Ways = drift.Unknown[drift.Ways](cause, o)
	}
	if len(p.Rates.Value) == 0 {
		p.Rates = drift.Unknown[[]drift.Rate](cause, o)
	}
	if len(p.IP.Allow.Value) == 0 {
		p.IP.Allow = drift.Unknown[[]string](cause, o)
	}
	if !p.CORS.Enabled.Value {
		p.CORS.Enabled = drift.Unknown[bool](cause, o)
	}
	if p.Limits.Body.Value == 0 {
		p.Limits.Body = drift.Unknown[int64](cause, o)
	}
	p.Transforms = drift.DependsOn(p.Transforms.Value, cause, o)
}

// cuts finds a wider router whose authentication does not run here, because this narrower one takes its calls and does not list it.
func (b *builder) cuts(chain []use) {
	for _, w := range b.routers {
		if w == b.t || !covers(w, b.t) || !shares(b.listens(w), b.e) {
			continue
		}
		theirs, _ := b.chain(w, b.e)
		for _, u := range theirs {
			if !authenticates(u.kind) {
				continue
			}
			listed, other := false, false
			for _, own := range chain {
				listed = listed || own.thing == u.thing
				other = other || authenticates(own.kind)
			}
			if !listed && !other {
				b.p.Cuts = append(b.p.Cuts, drift.Cut{What: u.kind, Auth: true, Lost: u.thing.origin(u.n), Origin: b.t.node.Origin(b.t.scope)})
			}
		}
	}
}

func shares(list []*entry, e *entry) bool {
	for _, x := range list {
		if x.name == e.name {
			return true
		}
	}
	return false
}

// covers reports whether w would answer everything that t answers: the same hosts, and a prefix of the path.
func covers(w, t *router) bool {
	for _, n := range t.matches {
		for _, m := range w.matches {
			if m.raw || n.raw || m.kind != drift.Prefix || len(m.methods)+len(m.headers)+len(m.query)+len(m.from) > 0 {
				continue
			}
			hosts := len(m.hosts) == 0
			for _, h := range n.hosts {
				for _, g := range m.hosts {
					hosts = hosts || g == h
				}
			}
			base := strings.TrimSuffix(m.path, "/")
			if hosts && (n.path != m.path || n.kind != m.kind) && (n.path == base || strings.HasPrefix(n.path, base+"/")) {
				return true
			}
		}
	}
	return false
}
