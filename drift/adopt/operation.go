package adopt

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// everyMethod are the methods that a document can name; HEAD is answered by GET.
var everyMethod = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// family reports whether an operation answers to more paths than a document can name.
func family(o *drift.Operation) bool {
	return o.Key.Path == "" || o.Key.Path[0] != '/' || strings.Contains(o.Key.Path, "**") || o.Match.Kind == drift.Prefix || o.Match.Kind == drift.Regex && o.Match.Open || o.Match.Open
}

// expand lists the operations one by one: a family of paths by what the documents name below it, any method by every one.
func (w *writer) expand(docs []Document) []*drift.Operation {
	var out []*drift.Operation
	look := drift.NewLookup(w.env)
	own := map[drift.Key]bool{}
	below := map[drift.Key]int{}
	for i := range w.env.Operations {
		own[w.env.Operations[i].Key] = true
	}
	var found []*drift.Operation
	for _, d := range docs {
		for _, x := range d.Operations {
			k, m := drift.NewKey(x.Method, drift.Template, x.Path)
			if own[k] {
				continue // the environment names it itself
			}
			o := look.Serving(k)
			if o == nil || !family(o) {
				continue
			}
			own[k] = true
			below[o.Key]++
			for i := range w.env.Operations { // of other hosts, too
				if one := &w.env.Operations[i]; one.Key == o.Key {
					c := *one
					m.Hosts, m.Headers, m.Query = one.Match.Hosts, one.Match.Headers, one.Match.Query
					c.Key, c.Match, c.Name = k, m, x.ID
					found = append(found, &c)
					w.kin(one, &c)
				}
			}
		}
	}
	for i := range w.env.Operations {
		o := &w.env.Operations[i]
		switch {
		case family(o) && below[o.Key] > 0:
			w.lose(o, "what else is below the path", "a manifest names each operation: "+listed(below[o.Key], "operation")+" of the documents "+map[bool]string{true: "is", false: "are"}[below[o.Key] == 1]+" carried over", "match", "operation")
		case family(o):
			w.leave(o, "it answers to a family of paths, and a manifest names each operation: give the OpenAPI document of what is below with --openapi")
		case o.Key.Method == "*":
			w.lose(o, "methods beyond those of OpenAPI", "it answers to every method, and a manifest names each", "match", "operation")
			for _, m := range everyMethod {
				c := *o
				c.Key.Method = m
				if !own[c.Key] {
					out = append(out, &c)
					w.kin(o, &c)
				}
			}
		default:
			out = append(out, o)
		}
	}
	return append(out, found...)
}

// kin notes that the one stands for the other.
func (w *writer) kin(o, of *drift.Operation) {
	a, b := o.Key.String(), of.Key.String()
	w.out.kin[a], w.out.kin[b] = append(w.out.kin[a], b), append(w.out.kin[b], a)
}

// operation turns one operation over; false when it is left out.
func (w *writer) operation(o *drift.Operation) (operation, bool) {
	p := o.General()
	out := operation{method: strings.ToLower(o.Key.Method)}
	if !slices.Contains(everyMethod, o.Key.Method) && o.Key.Method != "HEAD" && o.Key.Method != "TRACE" {
		w.leave(o, "OpenAPI documents know no method "+drift.Mask(o.Key.Method))
		return out, false
	}
	why := w.match(o, &out)
	if why == "" {
		why = w.reached(o, p, &out)
	}
	if why == "" {
		why = w.policies(o, p, &out)
	}
	if why != "" {
		w.leave(o, why)
		return out, false
	}
	out.key = fmt.Sprint(o.API, "\x00", o.Strip, "\x00", out.base, "\x00", o.Match.Hosts, "\x00", out.headers, "\x00", out.upstream)
	out.id = w.name(o.Key.Method+" "+o.Key.Path, "operation")
	return out, true
}

// match carries over what an operation answers to, and returns why that cannot be done, or "".
func (w *writer) match(o *drift.Operation, out *operation) string {
	if len(o.Match.Query) > 0 {
		return "it is told apart by parameters of the query"
	}
	for _, h := range o.Match.Headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok || value == "" || strings.ContainsAny(value, "~*^$,[") || drift.Mask(h) != h || own(name) != "" {
			return "it is told apart by a header field in a way that a manifest does not know"
		}
		out.headers = append(out.headers, patch.Entry{Key: name, Value: value})
	}
	for _, h := range o.Match.Hosts {
		if h != strings.ToLower(h) || strings.ContainsAny(h, ":~/") || strings.Contains(strings.TrimPrefix(h, "*."), "*") || !strings.Contains(h, ".") {
			return "its host is not a name that a manifest takes: " + drift.Mask(h)
		}
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(o.Key.Path, "/"), "/") {
		for strings.Contains(part, "{}") {
			n++
			part = strings.Replace(part, "{}", "{p"+strconv.Itoa(n)+"}", 1)
		}
		if strings.Contains(part, "}{") || strings.ContainsAny(strings.NewReplacer("{p", "", "}", "").Replace(part), "\"#%<>?\\^`|*{ :;,") {
			return "its path holds signs that no path of a manifest has"
		}
		out.path += "/" + part
	}
	if o.Match.Slash && out.path != "/" {
		out.path += "/"
	}
	return ""
}

// own says why a header field is the gateway's own, or "".
func own(name string) string {
	switch l := strings.ToLower(name); {
	case strings.HasPrefix(l, "gatehouse-"), strings.HasPrefix(l, "x-forwarded-"), l == "forwarded", l == "x-real-ip", l == "via":
		return "the gateway itself sets it"
	case slices.Contains([]string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host", "expect", "proxy-authenticate",
		"proxy-authorization", "proxy-authentication-info", "http2-settings", "alt-svc"}, l):
		return "it belongs to the connection"
	}
	return ""
}

// hostForm is a name or an IPv4 address, its labels no longer than DNS has them.
var hostForm = regexp.MustCompile(`^(?i)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// reached carries over the service behind an operation, and how it is called; it returns why that cannot be done, or "".
func (w *writer) reached(o *drift.Operation, p *drift.Policy, out *operation) string {
	if !p.Upstream.URLs.Known() || len(p.Upstream.URLs.Value) == 0 {
		return "its upstream is not known: " + p.Upstream.URLs.Cause
	}
	var targets patch.List
	secure := false
	for i, s := range p.Upstream.URLs.Value {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, "{}$[ ") && !strings.HasPrefix(u.Host, "[") || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return "its upstream is not an address that a manifest takes: " + drift.Mask(s)
		}
		path := strings.TrimSuffix(u.Path, "/")
		if u.RawQuery != "" || strings.ContainsAny(path, "{}%$ ") || i > 0 && path != out.base {
			return "the path of its upstream is not one that a manifest takes"
		}
		host := strings.ToLower(strings.Replace(u.Host, ".:", ":", 1)) // a Kubernetes service of no namespace
		if !hostForm.MatchString(strings.TrimSuffix(u.Hostname(), ".")) && !strings.HasPrefix(host, "[") {
			return "its upstream is not an address that a manifest takes: " + drift.Mask(s)
		}
		out.base = path
		secure = secure || u.Scheme == "https"
		if t := u.Scheme + "://" + host; !slices.Contains(targets, any(t)) {
			targets = append(targets, t)
		}
	}
	rest := out.path
	if o.Strip != "" {
		if strings.Contains(o.Strip, "{") || !strings.HasPrefix(out.path, o.Strip+"/") {
			return "the upstream is called by another path than callers name, and a manifest puts paths before the document's, no more"
		}
		rest = strings.TrimPrefix(out.path, o.Strip)
	}
	for _, t := range p.Transforms.Value {
		if t.Phase == "request" && (t.Target == "path" || t.Target == "host" || t.Target == "method" || t.Target == "query") {
			return "the " + t.Target + " of its requests is rewritten: " + rest + " would reach the upstream as it is"
		}
	}
	out.upstream = append(patch.Map{{Key: "targets", Value: targets}}, w.calls(o, p, secure)...)
	return ""
}

// calls are the settings of an upstream beside its targets.
func (w *writer) calls(o *drift.Operation, p *drift.Policy, secure bool) patch.Map {
	var up, times patch.Map
	l := p.Limits
	if l.Connect.Known() && l.Connect.Value > 0 {
		times = append(times, patch.Entry{Key: "connect", Value: millis(l.Connect.Value)})
	}
	if l.Read.Known() && l.Read.Value > 0 {
		times = append(times, patch.Entry{Key: "read", Value: millis(l.Read.Value)}, patch.Entry{Key: "total", Value: millis(max(30_000, l.Connect.Or(0)+l.Read.Value))})
	}
	if len(times) > 0 {
		up = append(up, patch.Entry{Key: "timeouts", Value: times})
	}
	if n := l.Retries.Or(0); n > 0 {
		const most = 5 // of a manifest
		up = append(up, patch.Entry{Key: "retries", Value: patch.Map{{Key: "attempts", Value: min(n, most)}}})
		w.lose(o, "retries of what may not be done twice", "Gatehouse tries again what is safe or declared idempotent, at most five times: declare operations idempotent that are", "limits.retries", "limits.retry_on")
	}
	if !secure {
		return up
	}
	var tls patch.Map
	if n := p.Upstream.ServerName.Or(""); n != "" && !strings.ContainsAny(n, "{}$:/ ") && n == strings.ToLower(n) {
		tls = append(tls, patch.Entry{Key: "name", Value: n})
	}
	if cas := p.Upstream.CAs.Or(nil); len(cas) > 0 {
		s := fit(strings.Join(cas, " ")+" ca", "upstream-ca")
		tls = append(tls, patch.Entry{Key: "ca", Value: s})
		w.lose(o, "the authorities of the upstream", "put their certificates into the secret "+s+" of the gateway's start-up configuration", "tls.upstream.ca_refs")
	}
	if c := p.Upstream.ClientCert.Or(""); c != "" {
		s := fit(c, "upstream")
		tls = append(tls, patch.Entry{Key: "certificate", Value: s + "-crt"}, patch.Entry{Key: "key", Value: s + "-key"})
		w.lose(o, "the certificate shown to the upstream", "put it and its key into the secrets "+s+"-crt and "+s+"-key of the gateway's start-up configuration", "tls.upstream.client_cert_ref")
	}
	if len(tls) > 0 {
		up = append(up, patch.Entry{Key: "tls", Value: tls})
	}
	return up
}

func millis(n int64) string { return strconv.FormatInt(n, 10) + "ms" }
