package gatehouse

import (
	"encoding/json"
	"strings"

	"gatehouse/drift"
	"gatehouse/manifest"
)

// isAuth reports whether a kind of policy authenticates.
func isAuth(kind string) bool {
	switch kind {
	case "api_key", "anonymous", "oauth", "client_certificate", "any_of", "all_of":
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

func (b *builder) ways(q manifest.PlacedPolicy, o drift.Origin) (drift.Ways, bool) {
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
	var needs []drift.Requirement
	for _, m := range s.Methods {
		for kind, raw := range m {
			one := q
			one.Kind, one.Config = kind, raw
			r, ok := b.method(one, o)
			if !ok {
				return nil, false
			}
			needs = append(needs, r)
		}
	}
	if q.Kind == "all_of" {
		return drift.Ways{{Needs: needs}}, true
	}
	var ways drift.Ways
	for _, r := range needs {
		ways = append(ways, drift.Way{Needs: []drift.Requirement{r}})
	}
	return ways, true
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
				Pins: drift.ByDefault([]string{"enrolled certificates"}), Header: drift.ByDefault("")}}, true
	case "oauth": // of the environment's own issuer, for the API alone: nothing of that is a setting
		_, ok := decode[struct {
			Constrained bool `json:"constrained"`
		}](q)
		return drift.Requirement{Kind: drift.JWTProof, Name: "oauth", Origin: o, Forward: drift.ByDefault(false), JWT: &drift.JWT{
			Issuers: drift.ByDefault([]string{"gatehouse"}), Audiences: drift.ByDefault([]string{b.APIs[b.api].Name}), Keys: drift.ByDefault([]string{"feed"}),
			Static: drift.ByDefault(false), Algorithms: drift.ByDefault([]string{"ES256"}), Signed: drift.ByDefault(true), Expires: drift.ByDefault(true),
			Skew: drift.ByDefault(int64(0)), Longest: drift.ByDefault(int64(300)), Claims: drift.ByDefault([]drift.Claim(nil)), Sources: drift.ByDefault([]string{"header:Authorization"}),
		}}, ok
	}
	return drift.Requirement{}, false
}
