package gatehouse

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/manifest"
)

// isAuth reports whether a kind of policy authenticates.
func isAuth(kind string) bool {
	switch kind {
	case "api_key", "anonymous", "oauth", "client_certificate", "workload_identity", "any_of", "all_of":
		return true
	}
	return false
}

// auth reads the policy that authenticates: one method, a choice of several, or several at once.
func (b *builder) auth(p *drift.Policy, q manifest.PlacedPolicy, o drift.Origin) {
	ways, ok := b.ways(q, o)
	if !ok {
		p.Auth.Ways = drift.Unknown[drift.Ways]("the settings cannot be read", o)
		return
	}
	p.Auth.Ways = leaf(b, q, append(p.Auth.Ways.Value, ways...), o)
}

// ways reads a method, or several of them. A choice adds up their ways; several at once demand one way of each.
func (b *builder) ways(q manifest.PlacedPolicy, o drift.Origin) (drift.Ways, bool) {
	if q.Kind == "workload_identity" {
		return b.workloads(q, o)
	}
	if q.Kind != "any_of" && q.Kind != "all_of" {
		r, ok := b.method(q, o)
		return drift.Ways{{Needs: []drift.Requirement{r}}}, ok
	}
	s, ok := decode[struct {
		Methods []map[string]json.RawMessage `json:"methods"`
	}](q)
	if !ok || len(s.Methods) == 0 {
		return nil, false
	}
	var ways drift.Ways
	for _, m := range s.Methods {
		for kind, raw := range m {
			one := q
			one.Kind, one.Config = kind, raw
			more, ok := b.ways(one, o)
			if ok && q.Kind == "all_of" {
				ways, ok = ways.Times(more)
			} else {
				ways = append(ways, more...)
			}
			if !ok {
				return nil, false
			}
		}
	}
	return ways, true
}

// workloads are the ways in by tokens of the trusted issuers that count here, one for each.
func (b *builder) workloads(q manifest.PlacedPolicy, o drift.Origin) (drift.Ways, bool) {
	s, ok := decode[struct {
		Issuers []string `json:"issuers"`
	}](q)
	if !ok {
		return nil, false
	}
	var ways drift.Ways
	for i := range b.TrustedIssuers {
		t := &b.TrustedIssuers[i]
		if !slices.Contains(t.Environments, b.at.Name) || len(s.Issuers) > 0 && !slices.Contains(s.Issuers, t.Name) {
			continue
		}
		at := func(field string) drift.Origin {
			return b.origin("/trusted_issuers/"+strconv.Itoa(i)+"/"+field, "trusted issuer "+t.Name)
		}
		keys := drift.ByDefault([]string{strings.TrimSuffix(t.Issuer, "/") + "/.well-known/openid-configuration"})
		if t.Keys != "" {
			keys = drift.From([]string{drift.Mask(t.Keys)}, at("jwks_uri"))
		}
		b.env.Refer("issuer", t.Issuer, at("issuer"))
		ways = append(ways, drift.Way{Needs: []drift.Requirement{{Kind: drift.JWTProof, Name: "workload_identity " + t.Name, Origin: o, Forward: drift.ByDefault(false), JWT: &drift.JWT{
			Issuers: drift.From([]string{drift.Mask(t.Issuer)}, at("issuer")), Audiences: drift.From(t.Audiences, at("audiences")), Keys: keys, Static: drift.ByDefault(false),
			Algorithms: drift.From(t.Algorithms, at("algorithms")), Signed: drift.ByDefault(true), Expires: drift.ByDefault(true), Skew: drift.ByDefault(int64(0)),
			Longest: drift.From(seconds(t.Longest), at("longest")), Claims: drift.ByDefault([]drift.Claim(nil)), Sources: drift.ByDefault([]string{"header:Authorization"}),
		}}}})
	}
	return ways, len(ways) > 0 // without an issuer the manifest cannot be published
}

// method reads one method of authentication.
func (b *builder) method(q manifest.PlacedPolicy, o drift.Origin) (drift.Requirement, bool) {
	switch q.Kind {
	case "api_key":
		s, ok := decode[keySettings](q)
		name := "x-api-key"
		if s.Header != "" {
			name = strings.ToLower(s.Header)
		}
		names := []string{name}
		if s.Bearer {
			names = append(names, "authorization")
		}
		return drift.Requirement{Kind: drift.KeyProof, Name: "api_key", Origin: o, Forward: drift.ByDefault(false),
			Key: &drift.APIKey{In: drift.ByDefault([]string{"header"}), Names: leaf(b, q, names, o)}}, ok
	case "client_certificate": // one that an application has enrolled, by its thumbprint, of whatever authority
		return drift.Requirement{Kind: drift.MTLSProof, Name: "client_certificate", Origin: o, Forward: drift.ByDefault(false),
			MTLS: &drift.MTLS{CAs: setting(&b.start, []string(nil), func(v string) ([]string, bool) { return []string{drift.Mask(v)}, true }, "gateway", "tls", "client-authorities"),
				Pins: b.enrolled(), Header: drift.ByDefault("")}}, true
	case "oauth": // of the environment's own issuer, for the API alone: nothing of that is a setting
		s, ok := decode[struct {
			Constrained bool `json:"constrained"`
		}](q)
		claims := drift.ByDefault([]drift.Claim(nil))
		if s.Constrained {
			claims = leaf(b, q, []drift.Claim{bound()}, o)
		}
		return drift.Requirement{Kind: drift.JWTProof, Name: "oauth", Origin: o, Forward: drift.ByDefault(false), JWT: &drift.JWT{
			Issuers: drift.ByDefault([]string{"gatehouse"}), Audiences: drift.ByDefault([]string{b.APIs[b.api].Name}), Keys: drift.ByDefault([]string{"feed"}),
			Static: drift.ByDefault(false), Algorithms: drift.ByDefault([]string{"ES256"}), Signed: drift.ByDefault(true), Expires: drift.ByDefault(true),
			Skew: drift.ByDefault(int64(0)), Longest: drift.ByDefault(int64(300)), Claims: claims, Sources: drift.ByDefault([]string{"header:Authorization"}),
		}}, ok
	}
	return drift.Requirement{}, false
}

// bound is the claim by which a token says what it is bound to (RFC 7800, 3).
func bound() drift.Claim { return drift.Claim{Name: "cnf"} }

// admitted are the ways in that a plan admits: by its kinds of credentials, and by whether it asks for what is bound to a key. Of
// several methods at once the first says what kind of credential it is.
func admitted(ways drift.Ways, plans []place) drift.Ways {
	var out drift.Ways
	for _, w := range ways {
		in, everywhere := false, true
		for _, at := range plans {
			if admits(at.plan, w) {
				in, everywhere = true, everywhere && at.plan.Constrained
			}
		}
		if in && everywhere {
			w = constrained(w)
		}
		if in {
			out = append(out, w)
		}
	}
	return out
}

func admits(p *manifest.Plan, w drift.Way) bool {
	i := slices.IndexFunc(w.Needs, func(r drift.Requirement) bool { return credentialOf(r) != "" })
	if i < 0 {
		return true
	}
	held := slices.ContainsFunc(w.Needs, func(r drift.Requirement) bool { return credentialOf(r) != "" && credentialOf(r) != "api_key" })
	return slices.Contains(p.Credentials, credentialOf(w.Needs[i])) && (held || !p.Constrained)
}

// credentialOf is the kind of credential that a method finds; "" of what is no method.
func credentialOf(r drift.Requirement) string {
	switch method, _, _ := strings.Cut(r.Name, " "); method {
	case "oauth":
		return "oauth_client"
	case "api_key", "client_certificate", "workload_identity":
		return method
	}
	return ""
}

// constrained asks that tokens are bound, unless a certificate is shown as well.
func constrained(w drift.Way) drift.Way {
	if slices.ContainsFunc(w.Needs, func(r drift.Requirement) bool { return r.Name == "client_certificate" }) {
		return w
	}
	needs := slices.Clone(w.Needs)
	for i := range needs {
		if j := needs[i].JWT; j != nil && len(j.Claims.Value) == 0 {
			own := *j
			own.Claims = drift.From([]drift.Claim{bound()}, needs[i].Origin)
			needs[i].JWT = &own
		}
	}
	return drift.Way{Needs: needs, When: w.When}
}

// enrolled is which certificates count: those that applications have enrolled, one by one, and names of the authorities that count here,
// with what is done about revoked ones. What their certificates are is told by their hashes.
func (b *builder) enrolled() drift.Leaf[[]string] {
	out := drift.ByDefault([]string{"enrolled certificates"})
	for i := range b.ClientAuthorities {
		a := &b.ClientAuthorities[i]
		if len(a.Environments) > 0 && !slices.Contains(a.Environments, b.at.Name) {
			continue
		}
		how := "revocation is not looked at"
		if len(a.Lists) > 0 || a.Responder != "" {
			how = "revoked ones are refused, as lists " + drift.Hash(strings.Join(a.Lists, " ")) + " and responder " + drift.Mask(a.Responder) + " say"
			if a.Lenient {
				how += ", and nobody while they are away"
			}
		}
		out = drift.From(append(out.Value, "names of "+a.Name+" "+drift.Hash(a.Certificates+a.Intermediates)+": "+how), b.origin("/client_authorities/"+strconv.Itoa(i), "client authority "+a.Name))
	}
	return out
}
