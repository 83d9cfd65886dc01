package aws

import (
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// auth says what a caller must show. Alternatives that OpenAPI declares are all demanded: API Gateway puts one authorizer on a method,
// and a key beside it.
func (r *reader) auth(a *api, o *op, p *drift.Policy) {
	s := o.sec
	if a.kind == websocket && o.path != "$connect" {
		if c := a.find("any", "$connect"); c != nil {
			s = c.sec
			s.wide = true
		} else {
			s = security{origin: o.node.Origin("operation"), cause: "the connection's own route is not among the files"}
		}
	}
	var proofs, keys []drift.Requirement
	cause := s.cause
	for _, n := range s.needs {
		sc := a.schemes[n.name]
		switch {
		case sc == nil:
			cause = "authorizer " + n.name + " is not defined"
			continue
		case sc.cause != "":
			cause = sc.cause
			continue
		}
		sc.used = true
		switch q := sc.requirement(n, a); {
		case sc.kind == "key" && a.kind == rest:
			keys = append(keys, q)
		case sc.kind == "" || sc.kind == "key":
			r.Doubt(n.origin, "%s is declared, and API Gateway does not enforce it", n.name)
			p.Cuts = append(p.Cuts, drift.Cut{What: "security scheme " + n.name, Auth: true, Lost: sc.node.Origin("api"), Origin: n.origin})
		default:
			proofs = append(proofs, q)
		}
	}
	// Several authorizers cannot stand on one method: which of them does is not said.
	var ways drift.Ways
	for _, q := range proofs {
		ways = append(ways, drift.Way{Needs: append([]drift.Requirement{q}, keys...)})
	}
	if len(proofs) > 1 {
		cause = "several authorizers are declared, and API Gateway puts one on a method"
	}
	if len(proofs) == 0 && len(keys) > 0 {
		ways = drift.Ways{{Needs: keys}}
	}
	if m, ok := r.mutual(a); ok {
		ways = ways.And(m)
	}
	l := drift.Leaf[drift.Ways]{Value: ways, State: drift.Set, Origin: s.origin}
	switch {
	case s.wide:
		l.State = drift.Inherited
	case len(ways) == 0 && !s.named:
		l = drift.ByDefault(drift.Ways(nil))
		l.Origin = s.origin
	}
	switch {
	case cause != "" && len(proofs) < 2:
		l = drift.Unknown[drift.Ways](cause, s.origin)
	case cause != "":
		l.State, l.Cause = drift.Conditional, drift.Mask(cause)
	case o.cond != "":
		l.State, l.Cause = drift.Conditional, drift.Mask(o.cond)
	}
	if o.cond != "" && l.State == drift.Unresolved {
		l.Cause += ", " + drift.Mask(o.cond)
	}
	p.Auth = drift.Auth{Ways: l, Fallback: drift.ByDefault(false), Optional: drift.ByDefault(false), Exempt: drift.ByDefault(false)}
	if s.exempt {
		p.Auth.Exempt = drift.Is(true, s.origin)
	}
	p.Lifecycle.Subscription, p.Lifecycle.Approval = drift.ByDefault(false), drift.ByDefault(false)
	if len(keys) > 0 {
		p.Lifecycle.Subscription = drift.Is(true, keys[0].Origin)
	}
}

func (s *scheme) requirement(n need, a *api) drift.Requirement {
	q := drift.Requirement{Name: s.name, Origin: n.origin, Forward: drift.ByDefault(true)}
	switch s.kind {
	case "jwt":
		j := s.jwt
		q.Kind, q.JWT = drift.JWTProof, &j
		scopes := n.scopes
		switch {
		case !scopes.Known():
			j.Claims = drift.Unknown[[]drift.Claim](scopes.Cause, scopes.Origin)
		case len(scopes.Value) > 0:
			j.Claims = drift.Is([]drift.Claim{{Name: "scope", Values: drift.Sorted(scopes.Value)}}, scopes.Origin)
		}
	case "lambda":
		x := s.ext
		q.Kind, q.External = drift.ExtAuthz, &x
	case "iam":
		q.Kind, q.Forward = drift.SigV4, drift.ByDefault(false)
	case "key":
		// A key counts and bounds, as the vendor says; it is no proof of who calls.
		q.Kind, q.Metering = drift.KeyProof, true
		q.Key = &drift.APIKey{In: drift.ByDefault([]string{"header"}), Names: drift.ByDefault([]string{"x-api-key"})}
		if src := first(a.body, "x-amazon-apigateway-api-key-source"); strings.EqualFold(src.Str(), "AUTHORIZER") || strings.EqualFold(a.props.Get("ApiKeySourceType").Str(), "AUTHORIZER") {
			q.Key = &drift.APIKey{In: drift.Is([]string{"authorizer"}, src.Origin("api")), Names: drift.ByDefault([]string(nil))}
		}
	}
	return q
}

// mutual is the client certificate that every way in demands: when all domains demand one, and the API's own address is shut.
func (r *reader) mutual(a *api) (drift.Requirement, bool) {
	if len(a.domains) == 0 || !a.shut().Or(false) {
		return drift.Requirement{}, false
	}
	var cas []string
	for _, d := range a.domains {
		if d.mtls.Absent() {
			return drift.Requirement{}, false
		}
		l := a.truststore(d.mtls)
		if !l.Known() {
			return drift.Requirement{Kind: drift.MTLSProof, Origin: d.mtls.Origin("domain"), Forward: drift.ByDefault(false),
				MTLS: &drift.MTLS{CAs: l, Pins: drift.ByDefault([]string(nil)), Header: drift.ByDefault("")}}, true
		}
		cas = append(cas, l.Value...)
	}
	at := a.domains[0].mtls.Origin("domain")
	return drift.Requirement{Kind: drift.MTLSProof, Origin: at, Forward: drift.ByDefault(false),
		MTLS: &drift.MTLS{CAs: drift.Is(drift.Sorted(cas), at), Pins: drift.ByDefault([]string(nil)), Header: drift.ByDefault("")}}, true
}

// truststore is the bundle of authorities, with its version: one without a version changes under the domain's feet.
func (a *api) truststore(n *source.Node) drift.Leaf[[]string] {
	uri, version := a.leafText(n.Get("TruststoreUri"), ""), a.leafText(n.Get("TruststoreVersion"), "")
	switch {
	case !uri.Known():
		return drift.Unknown[[]string](uri.Cause, uri.Origin)
	case !version.Known():
		return drift.Unknown[[]string](version.Cause, version.Origin)
	}
	s := uri.Value
	if version.Value != "" && version.Value != "0" { // SAM leaves a zero out
		s += "?versionId=" + version.Value
	}
	return drift.Is([]string{s}, n.Origin("domain"))
}

// shut reports whether the address that every API has from the start does not answer.
func (a *api) shut() drift.Leaf[bool] {
	if n := first(a.props, "DisableExecuteApiEndpoint"); n != nil {
		return a.leafBool(n, false)
	}
	if n := a.body.Get("x-amazon-apigateway-endpoint-configuration", "disableExecuteApiEndpoint"); n != nil {
		return a.leafBool(n, false)
	}
	for _, s := range a.body.Get("servers").Items() {
		if n := s.Get("x-amazon-apigateway-endpoint-configuration", "disableExecuteApiEndpoint"); n != nil {
			return a.leafBool(n, false)
		}
	}
	return drift.ByDefault(false)
}

// leftovers are authorizers that stand on no method.
func (r *reader) leftovers(a *api) {
	var names []string
	for name, s := range a.schemes {
		if s.kind != "" && s.kind != "key" && !s.used && name != iam && s.node != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := a.schemes[name]
		kind := map[string]string{"jwt": string(drift.JWTProof), "lambda": string(drift.ExtAuthz), "iam": string(drift.SigV4)}[s.kind]
		r.env.Detached = append(r.env.Detached, drift.Detached{Kind: kind, Name: drift.Mask(name), Auth: true, Origin: s.node.Origin("api " + a.label())})
	}
}
