package krakend

import (
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// endpoint is one endpoint while its policy is resolved.
type endpoint struct {
	*reader
	node  *source.Node
	extra map[string]*source.Node
	scope string
}

func (e *endpoint) own(n *source.Node) view    { return view{n, e.scope, false} }
func (r *reader) wide(n *source.Node) view     { return view{n, "service", true} }
func (r *reader) component(name string) view   { return r.wide(r.extra[name]) }
func (e *endpoint) component(name string) view { return e.own(e.extra[name]) }

func (e *endpoint) auth(p *drift.Policy) {
	p.Auth = drift.Auth{Ways: drift.ByDefault(drift.Ways(nil)), Fallback: drift.ByDefault(false), Optional: drift.ByDefault(false), Exempt: drift.ByDefault(false)}
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	var needs []drift.Requirement
	add := func(v view, q drift.Requirement) {
		needs = append(needs, q)
		l := leaf(v, drift.Ways{{Needs: needs}}, v.n.Origin(v.scope))
		if p.Auth.Ways.State == drift.Set {
			l.State, l.Origin = p.Auth.Ways.State, p.Auth.Ways.Origin
		}
		p.Auth.Ways = l
	}
	if m, on := e.mutual(); on {
		add(e.wide(e.service.Get("tls")), drift.Requirement{Kind: drift.MTLSProof, Name: "tls", Origin: m.Origin("service"), Forward: drift.ByDefault(false),
			MTLS: &drift.MTLS{CAs: e.anchors(), Pins: drift.ByDefault([]string(nil)), Header: drift.ByDefault("")}})
	}
	for _, name := range []string{"auth/basic", "auth/api-keys"} {
		v := e.component(name)
		if v.n == nil && name == "auth/basic" {
			v = e.reader.component(name)
		}
		if v.n == nil {
			continue
		}
		q := drift.Requirement{Kind: drift.BasicProof, Name: name, Origin: v.n.Origin(v.scope), Forward: e.forwards("Authorization")}
		if name == "auth/api-keys" {
			q.Kind, q.Key = drift.KeyProof, e.key(v)
			q.Forward = e.forwards(strings.Join(q.Key.Names.Or(nil), ","))
			if roles := v.list("roles", nil); len(roles.Value) > 0 || !roles.Known() {
				p.Access.Rules = drift.Leaf[[]drift.AccessRule]{Value: []drift.AccessRule{{Effect: "allow", Subjects: groups(roles.Value)}}, State: roles.State, Origin: roles.Origin, Cause: roles.Cause}
			}
		}
		add(v, q)
	}
	if v := e.component("auth/validator"); v.n != nil {
		if cause, is := unrendered(v.n.Str()); is {
			p.Auth.Ways = drift.Unknown[drift.Ways](cause, v.n.Origin(v.scope))
			return
		}
		add(v, e.validator(v))
	}
	if len(needs) > 0 {
		return
	}
	for _, c := range e.code() {
		if c.guards {
			p.Auth.Ways = drift.Unknown[drift.Ways]("custom code may authenticate: "+c.Name, c.Origin)
			return
		}
	}
}

func groups(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "group:" + s
	}
	return out
}

// key reads where keys are taken from: the endpoint may overrule what is said for the service.
func (e *endpoint) key(v view) *drift.APIKey {
	w := e.reader.component("auth/api-keys")
	strategy, name := w.str("strategy", "header"), w.str("identifier", "Authorization")
	if v.n.Has("strategy") {
		strategy = v.str("strategy", "")
	}
	if v.n.Has("identifier") {
		name = v.str("identifier", "")
	}
	if w.n == nil && !v.n.Has("identifier") {
		name = drift.Unknown[string]("the keys are not in the files", v.n.Origin(v.scope))
	}
	in := strategy
	if in.Value == "query_string" || in.Value == "query" || in.Value == "param" {
		in.Value = "query"
	}
	return &drift.APIKey{In: listed(in), Names: listed(name)}
}

func listed(l drift.Leaf[string]) drift.Leaf[[]string] {
	out := drift.Leaf[[]string]{State: l.State, Origin: l.Origin, Cause: l.Cause}
	if l.Value != "" {
		out.Value = []string{l.Value}
	}
	return out
}

// forwards reports whether a header of the caller goes on to a backend: only those that are named do.
func (e *endpoint) forwards(header string) drift.Leaf[bool] {
	l := e.passed("input_headers", "headers_to_pass")
	return drift.Leaf[bool]{Value: slices.ContainsFunc(l.Value, func(h string) bool { return h == "*" || strings.EqualFold(h, header) }), State: l.State, Origin: l.Origin, Cause: l.Cause}
}

func (e *endpoint) passed(names ...string) drift.Leaf[[]string] {
	for _, name := range names {
		if e.node.Has(name) {
			return e.own(e.node).list(name, nil)
		}
	}
	return drift.ByDefault([]string(nil))
}

func (e *endpoint) validator(v view) drift.Requirement {
	j := &drift.JWT{Issuers: listed(v.str("issuer", "")), Audiences: v.list("audience", nil), Static: drift.ByDefault(false), Signed: drift.ByDefault(true),
		Expires: drift.Unknown[bool]("whether a token must have an end is not documented", v.n.Origin(v.scope)), Skew: v.seconds("leeway", 1), Longest: drift.ByDefault(int64(0)),
		Algorithms: listed(v.str("alg", "RS256"))}
	j.Keys = listed(v.str("jwk_url", ""))
	if v.n.Has("jwk_local_path") {
		j.Keys = listed(v.str("jwk_local_path", ""))
		j.Static = leaf(v, true, v.at("jwk_local_path"))
	}
	e.env.Refer("issuer", v.n.Get("jwk_url").Str(), v.at("jwk_url"))
	header := v.str("auth_header_name", "Authorization")
	j.Sources = drift.Leaf[[]string]{Value: []string{"header:" + header.Value}, State: header.State, Origin: header.Origin, Cause: header.Cause}
	if cookie := v.str("cookie_key", ""); cookie.State != drift.Default {
		j.Sources.Value, j.Sources.State, j.Sources.Origin, j.Sources.Cause = append(j.Sources.Value, "cookie:"+cookie.Value), cookie.State, cookie.Origin, cookie.Cause
	}
	j.Claims = e.claims(v, j.Audiences)
	return drift.Requirement{Kind: drift.JWTProof, Name: "auth/validator", Origin: v.n.Origin(v.scope), Forward: e.forwards(header.Or("Authorization")), JWT: j}
}

// claims are the roles, of which one is enough, the scopes, and the audiences, when there are several of which all are demanded.
func (e *endpoint) claims(v view, audiences drift.Leaf[[]string]) drift.Leaf[[]drift.Claim] {
	out := drift.ByDefault([]drift.Claim(nil))
	matcher := v.str("scopes_matcher", "any")
	for _, c := range []struct {
		key, claim, def string
		all             bool
	}{{"roles", "roles_key", "roles", false}, {"scopes", "scopes_key", "scope", matcher.Value == "all"}} {
		values, name := v.list(c.key, nil), v.str(c.claim, c.def)
		switch {
		case !values.Known() || !name.Known() || c.key == "scopes" && !matcher.Known():
			return drift.Unknown[[]drift.Claim]("a template that is not rendered, or not a list: "+c.key, v.at(c.key))
		case len(values.Value) > 0:
			out = leaf(v, append(out.Value, drift.Claim{Name: name.Value, Values: values.Value, All: c.all}), values.Origin)
		}
	}
	if audiences.Known() && len(audiences.Value) > 1 {
		l := leaf(v, append(out.Value, drift.Claim{Name: "aud", Values: audiences.Value, All: true}), audiences.Origin)
		out = l
	}
	return out
}
