package granted_test

import (
	"encoding/json"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/granted"
	"gatehouse/snapshot"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// view has products p and q with a plan "free" each, and for q a plan that takes certificates only.
func view(t *testing.T) *snapshot.View {
	t.Helper()
	p := &manifest.Parsed{}
	p.Environments = []manifest.Environment{{Name: "live"}}
	p.Products = []manifest.Product{
		{Name: "p", Plans: []manifest.Plan{{Name: "free", Limits: []manifest.Limit{{Name: "w", Requests: 1, Per: manifest.Duration(time.Second)}}}}},
		{Name: "q", Plans: []manifest.Plan{{Name: "free"}, {Name: "strict", Credentials: []string{"certificate"}}, {Name: "test only", Environments: []string{"test"}}}},
	}
	r, ds := snapshot.Compile(p, "live", 1, nil, policy.Deps{})
	if r == nil {
		t.Fatal(ds)
	}
	return &snapshot.View{Routes: r, Access: snapshot.NewAccess("live")}
}

func TestGrant(t *testing.T) {
	grant := func(product, plan, state string, from, until time.Duration, scopes ...string) feed.Grant {
		return feed.Grant{ID: id.New(id.Grant, now), Product: product, Plan: plan, Scopes: scopes, From: now.Add(from), Until: now.Add(until), State: state}
	}
	const hour = time.Hour
	read := grant("p", "free", "active", -hour, hour, "read")
	write := grant("p", "free", "active", -hour, hour, "read", "write")
	other := grant("q", "free", "active", -hour, hour, "read")
	elsewhere := grant("z", "free", "active", -hour, hour, "read")
	for _, c := range []struct {
		name   string
		grants []feed.Grant
		bound  []feed.Grant
		scopes []string
		want   feed.Grant // when it passes
		code   string
	}{
		{name: "one", grants: []feed.Grant{read}, scopes: []string{"read"}, want: read},
		{name: "no scopes are needed", grants: []feed.Grant{read}, want: read},
		{name: "holds more", grants: []feed.Grant{write}, scopes: []string{"read"}, want: write},
		{name: "only one holds the scopes", grants: []feed.Grant{read, write}, scopes: []string{"write"}, want: write},
		{name: "none", scopes: []string{"read"}, code: "no-grant"},
		{name: "for another product", grants: []feed.Grant{elsewhere}, scopes: []string{"read"}, code: "no-grant"},
		{name: "a scope is missing", grants: []feed.Grant{read}, scopes: []string{"read", "write"}, code: "scope-missing"},
		{name: "two of one product", grants: []feed.Grant{read, write}, scopes: []string{"read"}, code: "grant-ambiguous"},
		{name: "two of two products", grants: []feed.Grant{read, other}, scopes: []string{"read"}, code: "grant-ambiguous"},
		{name: "two, bound to one", grants: []feed.Grant{read, other}, bound: []feed.Grant{other}, scopes: []string{"read"}, want: other},
		{name: "bound to both", grants: []feed.Grant{read, other}, bound: []feed.Grant{read, other}, scopes: []string{"read"}, code: "grant-ambiguous"},
		{name: "bound to what is not there", grants: []feed.Grant{read}, bound: []feed.Grant{other}, scopes: []string{"read"}, code: "no-grant"},
		{name: "suspended", grants: []feed.Grant{grant("p", "free", "suspended", -hour, hour, "read")}, scopes: []string{"read"}, code: "grant-suspended"},
		{name: "ended", grants: []feed.Grant{grant("p", "free", "ended", -hour, hour, "read")}, scopes: []string{"read"}, code: "grant-ended"},
		{name: "expired at this instant", grants: []feed.Grant{grant("p", "free", "active", -hour, 0, "read")}, scopes: []string{"read"}, code: "grant-expired"},
		{name: "suspended and expired", grants: []feed.Grant{grant("p", "free", "suspended", -hour, 0, "read")}, scopes: []string{"read"}, code: "grant-expired"},
		{name: "begins later", grants: []feed.Grant{grant("p", "free", "active", time.Microsecond, hour, "read")}, scopes: []string{"read"}, code: "grant-upcoming"},
		{name: "begins at this instant", grants: []feed.Grant{grant("p", "free", "active", 0, hour, "read")}, scopes: []string{"read"}},
		{name: "the nearest is named", grants: []feed.Grant{grant("p", "free", "ended", -hour, hour, "read"), grant("q", "free", "suspended", -hour, hour, "read")}, scopes: []string{"read"}, code: "grant-suspended"},
		{name: "a live one beside an ended one", grants: []feed.Grant{grant("p", "free", "ended", -hour, hour, "read"), other}, scopes: []string{"read"}, want: other},
		{name: "a plan that is gone", grants: []feed.Grant{grant("p", "gone", "active", -hour, hour, "read")}, scopes: []string{"read"}, code: "plan-withdrawn"},
		{name: "a plan of another environment", grants: []feed.Grant{grant("q", "test only", "active", -hour, hour, "read")}, scopes: []string{"read"}, code: "plan-withdrawn"},
		{name: "a plan for other credentials", grants: []feed.Grant{grant("q", "strict", "active", -hour, hour, "read")}, scopes: []string{"read"}, code: "credential-kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(t)
			app := id.New(id.Application, now)
			var slot policy.Slot
			for _, g := range c.grants {
				g.Application = app
				raw, _ := json.Marshal(g)
				if err := v.Apply(feed.Entry{Environment: "live", Kind: feed.KindGrant, Payload: raw}); err != nil {
					t.Fatal(err)
				}
				slot = 1
			}
			p, err := granted.Kind().Build(nil, policy.Site{}, policy.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			x := &policy.Exchange{Now: now, Access: v, Route: &policy.RouteInfo{Environment: "live", Scopes: c.scopes, Products: []string{"p", "q"}}}
			x.Principal = policy.Principal{Method: "api_key", Slot: slot}
			for _, b := range c.bound {
				bits, _ := b.ID.Bits(id.Grant)
				x.Principal.Bound = append(x.Principal.Bound, bits)
			}
			err = p.Request(x)
			if c.code != "" {
				if f := fault.As(err); err == nil || f.Code != c.code || f.Kind != fault.Forbidden || !x.Grant.None() {
					t.Fatalf("refused with %v, grant %v; want %s", err, x.Grant, c.code)
				}
				return
			}
			if err != nil || x.Grant.None() || x.Grant.Plan == nil || c.want.ID != "" && x.Grant.ID.ID(id.Grant) != c.want.ID {
				t.Fatalf("%v, grant %+v, want %s", err, x.Grant, c.want.ID)
			}
			if n := testing.AllocsPerRun(100, func() { _ = p.Request(x) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// Whoever is not known passes no Authorize policy, not even the one that asks for nothing.
func TestNobodyPasses(t *testing.T) {
	without, err := granted.WithoutKind().Build(json.RawMessage(`{"reason": "public numbers"}`), policy.Site{}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	with, _ := granted.Kind().Build(nil, policy.Site{}, policy.Deps{})
	for _, method := range []string{"", policy.Anybody} {
		for _, p := range []policy.Policy{with, without} {
			x := &policy.Exchange{Now: now, Access: view(t), Route: &policy.RouteInfo{}, Principal: policy.Principal{Method: method}}
			if err := p.Request(x); fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("method %q: %v", method, err)
			}
		}
	}
	x := &policy.Exchange{Principal: policy.Principal{Method: "api_key"}}
	if err := without.Request(x); err != nil {
		t.Errorf("somebody known is refused: %v", err)
	}
	if _, err := granted.WithoutKind().Build(json.RawMessage(`{"reason": "  "}`), policy.Site{}, policy.Deps{}); err == nil {
		t.Error("an empty reason is taken")
	}
}
