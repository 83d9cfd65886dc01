package adopt

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// one is a policy with settings.
func one(kind string, settings patch.Map) patch.Map { return patch.Map{{Key: kind, Value: settings}} }

// policies carries over what is in force. It returns why the operation must be left out, or "".
func (w *writer) policies(o *drift.Operation, p *drift.Policy, out *operation) string {
	if why := w.auth(o, p, out); why != "" {
		return why
	}
	w.rates(o, p, out)
	switch b := p.Limits.Body; {
	case b.Known() && b.Value > 0:
		out.policies = append(out.policies, one("request_size", patch.Map{{Key: "max", Value: b.Value}}))
	case !b.Definite():
		w.lose(o, "the bound of bodies", "it is not known: "+b.Cause, false)
	}
	w.cors(o, p, out)
	w.headers(o, p, out)
	for _, l := range []struct {
		what, why string
		there     bool
	}{
		{"the list of addresses that are let in or kept out", "a manifest has no such policy; filter in front of the gateway", len(p.IP.Allow.Value)+len(p.IP.Deny.Value) > 0 || !p.IP.Allow.Definite()},
		{"filters and validation of contents", "a manifest has no such policy; filter in front of the gateway", len(p.WAF.Value) > 0},
		{"code of its own", "code is not run elsewhere; read it, and write a policy kind for what is needed", len(p.Opaque.Value) > 0},
		{"mocks and debug aids", "they are left behind on purpose", len(p.Debug.Value) > 0},
		{"retries", "they are a setting of the upstream, and none is the default; add them where calls may be made twice", p.Limits.Retries.Or(0) > 0},
		{"the upstream's certificate is not verified", "Gatehouse always verifies; give the upstream a certificate that can be", p.Upstream.Verify.Known() && !p.Upstream.Verify.Value && strings.Contains(out.target, "https://")},
		{"mutual TLS with callers", "it is set where the gateway is started", slices.Contains([]string{"require", "require_any", "verify"}, p.TLS.ClientAuth.Or(""))},
	} {
		if l.there {
			w.lose(o, l.what, l.why, false)
		}
	}
	return ""
}

func (w *writer) auth(o *drift.Operation, p *drift.Policy, out *operation) string {
	ways := p.Auth.Ways
	switch {
	case !ways.Known():
		return "what it asks of callers is not known: " + ways.Cause
	case p.Auth.Fallback.Or(true) || p.Auth.Optional.Or(true):
		return "callers may stay unknown, and a manifest has no such half-open door"
	case ways.Value.Open():
		if len(p.Access.Rules.Value) > 0 {
			return "it is closed by a rule for everybody"
		}
		out.policies = append(out.policies, "anonymous")
		return ""
	case len(ways.Value) != 1 || len(ways.Value[0].Needs) != 1 || ways.Value[0].When != nil || ways.Value[0].Needs[0].Kind != drift.KeyProof || ways.Value[0].Needs[0].Metering:
		return "it asks for " + ways.Value.String() + ", and what is written here is API keys alone"
	}
	r := ways.Value[0].Needs[0]
	header := ""
	if r.Key == nil || !r.Key.In.Known() || !r.Key.Names.Known() || len(r.Key.Names.Value) == 0 || !slices.Contains(r.Key.In.Value, "header") {
		return "where the key is sent is not known, or not in a header"
	}
	header = r.Key.Names.Value[0]
	if len(r.Key.In.Value) > 1 {
		w.lose(o, "keys elsewhere than in a header", "Gatehouse reads no key from the address or the body", false)
	}
	out.policies = append(out.policies, one("api_key", patch.Map{{Key: "header", Value: header}}))
	w.lose(o, "the keys themselves", "keys are not copied; issue new ones to each application", false)
	switch {
	case !p.Access.Rules.Known():
		return "who may call is not known: " + p.Access.Rules.Cause
	case slices.ContainsFunc(p.Access.Rules.Value, func(r drift.AccessRule) bool { return r.Effect != "allow" }):
		return "somebody is kept out by name, and a manifest names who is let in"
	case len(p.Access.Rules.Value) > 0 || p.Lifecycle.Subscription.Or(false):
		out.granted = true
		out.policies = append(out.policies, "grant")
		w.lose(o, "groups and subscriptions", "they become grants: each application asks for the product and is approved", false)
	default:
		out.policies = append(out.policies, one("no_grant", patch.Map{{Key: "reason", Value: "Adopted as it was: every known application may call."}}))
	}
	return ""
}

var limitedBy = map[string]string{"consumer": "application", "credential": "credential", "ip": "address"}

func (w *writer) rates(o *drift.Operation, p *drift.Policy, out *operation) {
	if !p.Rates.Definite() || !p.Quotas.Definite() {
		w.lose(o, "the rate limit", "it is not known: "+p.Rates.Cause+p.Quotas.Cause, false)
		return
	}
	var windows patch.List
	by := ""
	put := func(count, window drift.Leaf[int64], key drift.Leaf[string]) {
		b := limitedBy[key.Or("")]
		if kind(out.policies[0]) == "anonymous" && b != "" {
			b = "address" // nobody is identified
		}
		if !count.Known() || !window.Known() || count.Value < 1 || window.Value < 1 || b == "" || by != "" && by != b {
			w.lose(o, "a limit of "+count.Text()+" in "+window.Text()+" s by "+key.Text(), "Gatehouse counts by application, credential or address, in windows that share one of them", false)
			return
		}
		by = b
		windows = append(windows, patch.Map{{Key: "requests", Value: count.Value}, {Key: "per", Value: strconv.FormatInt(window.Value, 10) + "s"}})
	}
	for _, r := range p.Rates.Value {
		put(r.Count, r.Window, r.Key)
	}
	for _, q := range p.Quotas.Value {
		if q.Unit != "calls" {
			w.lose(o, "a quota of "+q.Unit, "Gatehouse counts calls", false)
			continue
		}
		put(q.Count, q.Period, q.Key)
	}
	if len(windows) > 0 {
		out.policies = append(out.policies, one("rate_limit", patch.Map{{Key: "by", Value: by}, {Key: "windows", Value: windows}}))
	}
}

func (w *writer) cors(o *drift.Operation, p *drift.Policy, out *operation) {
	c := p.CORS
	if !c.Enabled.Or(!c.Enabled.Known() && c.Enabled.State != drift.Unsupported) {
		return
	}
	if !c.Enabled.Known() || !c.Origins.Known() || len(c.Origins.Value) == 0 || slices.ContainsFunc(c.Origins.Value, func(s string) bool { return strings.HasPrefix(s, "~") }) ||
		slices.Contains(c.Origins.Value, "*") && c.Credentials.Or(true) {
		w.lose(o, "CORS", "its origins are not known, are patterns, or are any with credentials: pages of other origins cannot call until it is written by hand", false)
		return
	}
	m := patch.Map{{Key: "origins", Value: patch.Strings(c.Origins.Value)}}
	for _, l := range []struct {
		key  string
		leaf drift.Leaf[[]string]
	}{{"methods", c.Methods}, {"headers", c.Headers}, {"expose", c.Expose}} {
		if l.leaf.Known() && len(l.leaf.Value) > 0 && !slices.Contains(l.leaf.Value, "*") {
			m = append(m, patch.Entry{Key: l.key, Value: patch.Strings(l.leaf.Value)})
		}
	}
	if c.Credentials.Or(false) {
		m = append(m, patch.Entry{Key: "credentials", Value: true})
	}
	if c.MaxAge.Or(0) > 0 {
		m = append(m, patch.Entry{Key: "max_age", Value: strconv.FormatInt(c.MaxAge.Value, 10) + "s"})
	}
	out.policies = append(out.policies, one("cors", m))
}

func (w *writer) headers(o *drift.Operation, p *drift.Policy, out *operation) {
	if !p.Transforms.Definite() {
		w.lose(o, "changes of messages", "they are not known: "+p.Transforms.Cause, false)
		return
	}
	sides := map[string]*struct{ remove, set, add patch.Map }{"request": {}, "response": {}}
	for _, t := range p.Transforms.Value {
		s := sides[t.Phase]
		text := string(t.Value)
		switch {
		case s == nil || t.Target != "header" || t.Name == "" || t.Op != "remove" && (drift.Mask(text) != text || strings.Contains(text, "[secret]") || strings.ContainsAny(text, "$@{}\n")):
			w.lose(o, "a change of messages: "+t.String(), "its value is computed or a secret, or it changes more than a header field", false)
		case t.Op == "remove":
			s.remove = append(s.remove, patch.Entry{Key: t.Name})
		case t.Op == "add" || t.Op == "append":
			s.add = append(s.add, patch.Entry{Key: t.Name, Value: text})
		case t.Op == "set" || t.Op == "replace":
			s.set = append(s.set, patch.Entry{Key: t.Name, Value: text})
		default:
			w.lose(o, "a change of messages: "+t.String(), "a manifest removes, sets and adds fields", false)
		}
	}
	var m patch.Map
	for _, phase := range []string{"request", "response"} {
		s, side := sides[phase], patch.Map{}
		if len(s.remove) > 0 {
			var names patch.List
			for _, e := range s.remove {
				names = append(names, e.Key)
			}
			side = append(side, patch.Entry{Key: "remove", Value: names})
		}
		if len(s.set) > 0 {
			side = append(side, patch.Entry{Key: "set", Value: s.set})
		}
		if len(s.add) > 0 {
			side = append(side, patch.Entry{Key: "add", Value: s.add})
		}
		if len(side) > 0 {
			m = append(m, patch.Entry{Key: phase, Value: side})
		}
	}
	if len(m) > 0 {
		out.policies = append(out.policies, one("headers", m))
	}
}
