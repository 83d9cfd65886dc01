package ingressnginx

import (
	"net/url"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// auth combines what is demanded: client certificates of the server, a password, and an authorizer of the location or of all of them.
// Where any one satisfies, a password, the authorizer and the address are alternatives.
func (l *location) auth(p *drift.Policy) {
	no := drift.ByDefault(false)
	p.Auth = drift.Auth{Ways: drift.ByDefault(drift.Ways(nil)), Fallback: no, Optional: no, Exempt: no}
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	var needs []drift.Requirement
	from, state := drift.Origin{}, drift.Default
	demand := func(f found, q drift.Requirement) {
		needs = append(needs, q)
		if from.File == "" || !f.wide {
			from, state = f.origin(), drift.Set
			if f.wide {
				state = drift.Inherited
			}
		}
	}
	exempt := l.exempted()
	if f := l.get("auth-type", ""); f.n != nil && exempt.n == nil {
		l.basic(f, demand)
	}
	global := l.get("", "global-auth-url")
	on := flag(l.get("enable-global-auth", ""), true)
	switch f := l.get("auth-url", ""); {
	case f.n != nil && exempt.n == nil:
		demand(f, l.external(f, "auth-url", "auth-", ""))
	case global.n != nil && exempt.n != nil:
	case global.n != nil && !on.Value && on.Known():
		p.Auth.Exempt = on
		p.Auth.Exempt.Value = true
	case global.n != nil:
		demand(global, l.external(global, "global-auth-url", "", "global-auth-"))
	}
	if exempt.n != nil && (global.n != nil || l.get("auth-url", "").n != nil || l.get("auth-type", "").n != nil) {
		p.Auth.Exempt = leaf(exempt, true)
	}
	ways := drift.Ways(nil).And(needs...)
	if l.get("satisfy", "").n.Str() == "any" {
		ways = alternatives(needs, l.get("allowlist-source-range", "").n != nil || l.get("whitelist-source-range", "").n != nil)
	}
	if q, f, on := l.mutual(); on {
		demand(f, q)
		ways = ways.And(q)
	}
	p.Auth.Ways = drift.Leaf[drift.Ways]{Value: ways, State: state, Origin: from}
	if p.Auth.Exempt.Known() && p.Auth.Exempt.Value && len(ways) == 0 {
		p.Auth.Ways = drift.Leaf[drift.Ways]{State: p.Auth.Exempt.State, Origin: p.Auth.Exempt.Origin}
	}
	l.unsure(p, len(needs) == 0 && global.unseen)
}

// unsure takes back what is said about who gets in where something decides about it that cannot be read.
func (l *location) unsure(p *drift.Policy, unseen bool) {
	for _, s := range l.snippets() {
		if s.decides("auth_request", "auth_basic", "auth_jwt", "satisfy", "allow", "deny", "return", "access_by_lua", "access_by_lua_block", "ssl_verify_client") {
			why := "the " + s.name + " may decide who gets in"
			p.Auth.Ways = drift.DependsOn(p.Auth.Ways.Value, why, s.from.origin())
			if s.from.wide || len(p.Auth.Ways.Value) == 0 {
				p.Auth.Ways = drift.Unknown[drift.Ways](why, s.from.origin())
			}
			return
		}
	}
	if n := l.host.pass; n != nil {
		on, o := l.argued("enable-ssl-passthrough"), n.Origin("")
		switch {
		case on.Known() && on.Value:
			p.Auth.Ways = drift.Impossible[drift.Ways]("the connection is passed through to the upstream, past all rules")
			p.Auth.Ways.Origin = o
			return
		case !on.Known():
			p.Auth.Ways = drift.Unknown[drift.Ways]("the connection may be passed through to the upstream, past all rules", o)
			return
		}
	}
	if unseen {
		p.Auth.Ways = drift.Unknown[drift.Ways](noConfig, drift.Origin{Scope: "controller"})
	}
}

// exempted finds the setting that takes the path out of authentication.
func (l *location) exempted() found {
	f := l.get("", "no-auth-locations")
	if f.n == nil {
		if strings.HasPrefix(l.path, "/.well-known/acme-challenge") {
			return found{n: l.node, scope: l.ing.Label()}
		}
		return found{}
	}
	for _, p := range split(f.n.Str()) {
		if strings.HasPrefix(l.path, p) {
			return f
		}
	}
	return found{}
}

func alternatives(needs []drift.Requirement, address bool) drift.Ways {
	var w drift.Ways
	for _, n := range needs {
		w = append(w, drift.Way{Needs: []drift.Requirement{n}})
	}
	if address && len(w) > 0 {
		w = append(w, drift.Way{Needs: []drift.Requirement{{Kind: drift.FromIP, Name: "satisfy any", Forward: drift.ByDefault(false)}}})
	}
	return w
}

func (l *location) basic(f found, demand func(found, drift.Requirement)) {
	kind := f.n.Str()
	secret := l.get("auth-secret", "")
	if kind != "basic" && kind != "digest" || secret.n == nil {
		return // reported among what does nothing
	}
	ref := secret.n.Str()
	if !strings.Contains(ref, "/") {
		ref = l.ing.Namespace + "/" + ref
	}
	l.literal(ref, "basic credentials")
	demand(f, drift.Requirement{Kind: drift.BasicProof, Name: kind, Origin: f.origin(), Forward: drift.ByDefault(true)})
}

// external reads an authorizer that is asked before each call. Any answer but one that allows refuses, so that it fails closed.
func (l *location) external(f found, name, notes, config string) drift.Requirement {
	get := func(key string) found {
		if notes != "" {
			return l.get(notes+key, "")
		}
		return l.get("", config+key)
	}
	address := text(f, "")
	if address.Known() {
		if u, err := url.Parse(address.Value); err == nil {
			l.env.Refer("issuer", u.Scheme+"://"+u.Host, f.origin())
		}
	}
	x := &drift.External{URL: address, FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(60_000)), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}
	if key := get("cache-key"); key.n != nil {
		x.CacheKey = leaf(key, []string{drift.Mask(key.n.Str())})
		x.TTL = read(get("cache-duration"), 300, longest)
	}
	return drift.Requirement{Kind: drift.ExtAuthz, Name: name, Origin: f.origin(), Forward: drift.ByDefault(true), External: x}
}

// longest is the longest of the times that answers are kept: "200 202 10m, 401 30s".
func longest(s string) (int64, bool) {
	most := int64(0)
	for _, part := range split(s) {
		words := strings.Fields(part)
		last := words[len(words)-1]
		if _, err := strconv.Atoi(last); err == nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimRight(last, "smhd"), 10, 32)
		unit, ok := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[last[len(last)-1]]
		if err != nil || !ok {
			return 0, false
		}
		most = max(most, n*unit)
	}
	return most, true
}

// mutual is the demand for a client certificate, which a server makes for all of its locations.
func (l *location) mutual() (drift.Requirement, found, bool) {
	f, how := l.get("auth-tls-secret", ""), l.get("auth-tls-verify-client", "")
	if f.n == nil || how.n != nil && how.n.Str() != "on" {
		return drift.Requirement{}, f, false
	}
	m := &drift.MTLS{CAs: leaf(f, []string{drift.Mask(f.n.Str())}), Pins: read(l.get("auth-tls-match-cn", ""), nil, func(s string) ([]string, bool) { return []string{drift.Mask(s)}, true }), Header: drift.ByDefault("")}
	return drift.Requirement{Kind: drift.MTLSProof, Name: "auth-tls", Origin: f.origin(), Forward: flag(l.get("auth-tls-pass-certificate-to-upstream", ""), false), MTLS: m}, f, true
}

// leftovers notes what is written to authenticate and cannot.
func (r *reader) leftovers(o *k8s.Object, notes *source.Node) {
	detach := func(n *source.Node, kind string) {
		r.env.Detached = append(r.env.Detached, drift.Detached{Kind: kind, Name: o.Label(), Auth: true, Origin: n.Origin(o.Label())})
	}
	has := func(k string) bool { return notes.Has(r.prefix + k) }
	if has("auth-secret") && !has("auth-type") {
		detach(notes.Get(r.prefix+"auth-secret"), "auth-secret without auth-type")
	}
	if n := notes.Get(r.prefix + "auth-type"); has("auth-type") && (!has("auth-secret") || n.Str() != "basic" && n.Str() != "digest") {
		detach(n, "auth-type without a secret or of a kind that is not known")
	}
	if has("auth-tls-verify-client") && !has("auth-tls-secret") {
		detach(notes.Get(r.prefix+"auth-tls-verify-client"), "auth-tls-verify-client without auth-tls-secret")
	}
	canary, _ := notes.Get(r.prefix + "canary").Bool()
	notes.Each(func(k string, n *source.Node) {
		prefix, name, _ := strings.Cut(k, "/")
		switch {
		case prefix+"/" == r.prefix && canary && (name == "auth-url" || name == "auth-type" || name == "auth-tls-secret"):
			detach(n, name+" of a canary")
		case prefix+"/" != r.prefix && strings.HasSuffix(prefix, "ingress.kubernetes.io") && (name == "auth-url" || name == "auth-type" || name == "auth-tls-secret"):
			detach(n, name+" under a prefix that is not read")
		}
	})
}
