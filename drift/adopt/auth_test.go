package adopt_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/app"
	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatehouse"
	"gatehouse/manifest"
)

func key(names ...string) drift.Requirement {
	return drift.Requirement{Kind: drift.KeyProof, Forward: drift.ByDefault(false), Key: &drift.APIKey{In: drift.ByDefault([]string{"header"}), Names: drift.ByDefault(names)}}
}

func jwt(claims ...drift.Claim) drift.Requirement {
	return drift.Requirement{Kind: drift.JWTProof, Forward: drift.ByDefault(false), JWT: &drift.JWT{Issuers: drift.ByDefault([]string{"https://idp.example"}), Audiences: drift.ByDefault([]string{"orders"}), Claims: drift.ByDefault(claims),
		Sources: drift.ByDefault([]string{"header:Authorization"}), Algorithms: drift.ByDefault([]string{"RS256"}), Signed: drift.ByDefault(true), Expires: drift.ByDefault(true)}}
}

// of is a token of one issuer, whose keys are known.
func of(issuer, keys string, algorithms ...string) drift.Requirement {
	r := jwt()
	r.JWT.Issuers, r.JWT.Keys, r.JWT.Algorithms, r.JWT.Static = drift.ByDefault([]string{issuer}), drift.ByDefault([]string{keys}), drift.ByDefault(algorithms), drift.ByDefault(false)
	return r
}

const tenant = "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0"

func mtls(header string) drift.Requirement {
	return drift.Requirement{Kind: drift.MTLSProof, Forward: drift.ByDefault(false), MTLS: &drift.MTLS{CAs: drift.ByDefault([]string{"partners"}), Pins: drift.ByDefault([]string(nil)), Header: drift.ByDefault(header)}}
}

func way(needs ...drift.Requirement) drift.Way { return drift.Way{Needs: needs} }

// TestWaysIn: every form that a manifest has is written in it and read again as no weaker; every other is left out.
func TestWaysIn(t *testing.T) {
	basic := drift.Requirement{Kind: drift.BasicProof}
	for _, c := range []struct {
		name string
		ways drift.Ways
		want string // what is read again; "": it is left out
		has  []string
	}{
		{"open", nil, "open", []string{"- anonymous"}},
		{"a key", drift.Ways{way(key("X-Key"))}, "api_key", []string{"header: X-Key", "no_grant"}},
		{"a key in Authorization", drift.Ways{way(key("Authorization"))}, "api_key", []string{"bearer: true"}},
		{"a key in a cookie's field", drift.Ways{way(key("Cookie"))}, "", nil},
		{"a token", drift.Ways{way(jwt())}, "jwt", []string{"- oauth"}},
		{"a token with scopes", drift.Ways{way(jwt(drift.Claim{Name: "scp", Values: []string{"orders.read", "orders.list"}, All: true}))}, "jwt", []string{"- grant", "orders.read: ", "- oauth_client"}},
		{"a token with any of some roles", drift.Ways{way(jwt(drift.Claim{Name: "roles", Values: []string{"a", "b"}}))}, "jwt", []string{"- grant", "- oauth_client"}},
		{"a certificate", drift.Ways{way(mtls(""))}, "mtls", []string{"- client_certificate"}},
		{"a certificate in a field", drift.Ways{way(mtls("X-Client-Cert"))}, "", nil},
		{"any of two", drift.Ways{way(key("X-Key")), way(jwt())}, "api_key or jwt", []string{"any_of"}},
		{"both of two", drift.Ways{way(mtls(""), jwt())}, "jwt and mtls", []string{"all_of"}},
		{"two issuers", drift.Ways{way(jwt()), way(jwt())}, "jwt", []string{"- oauth"}},
		{"a token of an issuer that can be trusted", drift.Ways{way(of("https://idp.example", "https://idp.example/keys", "RS256"))}, "jwt", []string{"- workload_identity", "trusted_issuers:", "issuer: https://idp.example", "jwks_uri: https://idp.example/keys", "- orders", "algorithms:"}},
		{"a token of a tenant of Entra", drift.Ways{way(of(tenant, tenant+"/.well-known/openid-configuration"))}, "jwt", []string{"- workload_identity", "kind: entra"}},
		{"a token of any tenant", drift.Ways{way(of("https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"))}, "jwt", []string{"- oauth"}},
		{"a token signed with a shared secret", drift.Ways{way(of("https://idp.example", "https://idp.example/keys", "HS256"))}, "jwt", []string{"- oauth"}},
		{"tokens of either of two issuers", drift.Ways{way(of("https://idp.example", "https://idp.example/keys", "RS256")), way(of("https://two.example", "https://two.example/keys", "RS256"))}, "jwt", []string{"- two-example", "- idp-example"}},
		{"tokens of two issuers at once", drift.Ways{way(of("https://idp.example", "https://idp.example/keys", "RS256"), of("https://two.example", "https://two.example/keys", "RS256"))}, "", nil},
		{"any of two sets", drift.Ways{way(mtls(""), jwt()), way(key("X-Key"))}, "", nil},
		{"basic", drift.Ways{way(basic)}, "", nil},
		{"any of a known and an unknown one", drift.Ways{way(key("X-Key")), way(basic)}, "", nil},
		{"a key that counts only", drift.Ways{way(drift.Requirement{Kind: drift.KeyProof, Metering: true})}, "open", []string{"- anonymous"}},
		{"by address alone", drift.Ways{way(drift.Requirement{Kind: drift.FromIP})}, "", nil},
		{"under a condition", drift.Ways{{Needs: []drift.Requirement{key("X-Key")}, When: &drift.Condition{Text: "a header"}}}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := drift.NewEnvironment("kong", drift.Options{Name: "old", Tier: drift.Prod})
			k, m := drift.NewKey("GET", drift.Exact, "/a")
			p := &drift.Policy{Auth: drift.Auth{Ways: drift.Is(c.ways, drift.Origin{}), Fallback: drift.ByDefault(false), Optional: drift.ByDefault(false)}}
			p.Access.Rules = drift.ByDefault([]drift.AccessRule(nil))
			p.Upstream.URLs = drift.ByDefault([]string{"https://orders.example.com"})
			e.Operations = []drift.Operation{{Key: k, Match: m, Name: "a", API: "orders", Effective: []drift.Effective{{Policy: p}}}}
			a, err := adopt.Make(e, adopt.Options{})
			if c.want == "" {
				if err == nil || len(a.Lost) == 0 || !a.Lost[len(a.Lost)-1].Left {
					t.Fatalf("it is carried over: %s", a.Files["gatehouse.yaml"])
				}
				return
			}
			if err != nil {
				t.Fatalf("%v %+v", err, a.Lost)
			}
			if ds := app.Check(manifest.Bundle(a.Files)); manifest.Fatal(ds) {
				t.Fatalf("%v\n%s", ds, a.Files["gatehouse.yaml"])
			}
			fresh, _ := gatehouse.Read(folder(a.Files), drift.Options{Name: "new", Tier: drift.Prod})
			q := fresh.Operations[0].General()
			if got := q.Auth.Ways.Value.String(); got != c.want {
				t.Errorf("read again it asks for %s, want %s", got, c.want)
			}
			if o := q.Auth.Ways.Value.Compare(c.ways); o == drift.Weaker || o == drift.Incomparable {
				t.Errorf("it is %v", o)
			}
			for _, s := range c.has {
				if !strings.Contains(string(a.Files["gatehouse.yaml"]), s) {
					t.Errorf("%q is not in\n%s", s, a.Files["gatehouse.yaml"])
				}
			}
		})
	}
}

// TestAPIManagement: tokens with scopes, a subscription and limits become a grant with these scopes, and limits of the application.
func TestAPIManagement(t *testing.T) {
	e := drifttest.Read(t, azureapim.Read, drifttest.Files{
		"apis/orders/apiInformation.json": `{"properties": {"path": "orders", "protocols": ["https"], "serviceUrl": "https://orders.example.com/v1", "subscriptionRequired": false}}`,
		"apis/orders/specification.yaml":  "openapi: 3.0.1\npaths:\n  /{id}:\n    get: {operationId: get}\n  /all:\n    get: {operationId: all}\n",
		"apis/orders/policy.xml": `<policies><inbound><base/><validate-jwt header-name="Authorization"><openid-config url="https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration"/><audiences><audience>orders</audience></audiences>
<required-claims><claim name="scp" match="all"><value>orders.read</value></claim></required-claims></validate-jwt><rate-limit-by-key calls="10" renewal-period="60" counter-key="@(context.Request.IpAddress)"/></inbound><backend><base/></backend><outbound><base/></outbound><on-error><base/></on-error></policies>`,
	}, "old", drift.Prod)
	a, err := adopt.Make(e, adopt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(a.Files["gatehouse.yaml"])
	for _, want := range []string{"path: /orders\n", "upstream_path: /v1\n", "- oauth\n", "- grant\n", "orders.read", "by: address", "requests: 10", "per: \"60s\""} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if ds := app.Check(manifest.Bundle(a.Files)); manifest.Fatal(ds) {
		t.Fatal(ds)
	}
	fresh, _ := gatehouse.Read(folder(a.Files), drift.Options{Name: "new", Tier: drift.Prod})
	list := drift.Compare([]*drift.Environment{e, fresh}, drift.Settings{}).Findings
	a.Explain(list)
	if n, more := a.Explain(list); n == 0 || more != 0 {
		t.Errorf("%d findings, %d not listed", n, more)
	}
	if i := slices.IndexFunc(a.Lost, func(l adopt.Lost) bool { return l.Weaker && l.Fields[0] != "rate.enforcement" }); i >= 0 {
		t.Errorf("the manifest is weaker: %+v", a.Lost[i])
	}
}
