package snapshot_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/snapshot"
)

func reachView(t *testing.T) *snapshot.View {
	t.Helper()
	p := &manifest.Parsed{Documents: map[string]*manifest.Document{}}
	p.Environments = []manifest.Environment{{Name: "live"}}
	p.Upstreams = []manifest.Upstream{{Name: "u", Targets: []string{"http://10.0.0.1:80"}},
		{Name: "v", Targets: []string{"http://10.0.0.2:80"}, Present: []manifest.Present{{Header: "X-Proof", Secret: "missing"}}}}
	key := []manifest.Policy{{Kind: "api_key"}, {Kind: "grant"}, {Kind: "rate_limit"}}
	open := []manifest.Operation{{ID: "health", Remove: []string{"api_key", "grant", "rate_limit"}, Policies: []manifest.Policy{{Kind: "anonymous"}}},
		{ID: "ping", Remove: []string{"grant", "rate_limit"}, Policies: []manifest.Policy{{Kind: "no_grant", Config: []byte(`{"reason": "x"}`)}}}}
	p.APIs = []manifest.API{{Name: "a", Path: "/a", Upstream: "u", Policies: key, Operations: open}, {Name: "b", Path: "/b", Upstream: "v", Policies: key}}
	op := func(id, method, path string, scopes ...string) manifest.DocOperation {
		return manifest.DocOperation{ID: id, Method: method, Path: path, Scopes: scopes}
	}
	p.Documents["a"] = &manifest.Document{Operations: []manifest.DocOperation{op("read", "GET", "/x", "read"), op("write", "POST", "/x", "write"), op("health", "GET", "/health"), op("ping", "GET", "/ping")}}
	p.Documents["b"] = &manifest.Document{Operations: []manifest.DocOperation{op("closed", "GET", "/y", "read")}}
	p.Products = []manifest.Product{{Name: "starter", Operations: []manifest.ProductAPI{{API: "a"}, {API: "b"}}, Plans: []manifest.Plan{{Name: "free",
		Limits: []manifest.Limit{{Name: "w", Requests: 5, Per: manifest.Duration(time.Second)}}}}}}
	r, ds := snapshot.Compile(p, "live", 1, kinds(), deps())
	if r == nil {
		t.Fatal(ds)
	}
	return &snapshot.View{Routes: r, Access: snapshot.NewAccess("live")}
}

func operations(rs []snapshot.Reachable) (out []string) {
	for _, r := range rs {
		out = append(out, r.Operation)
	}
	slices.Sort(out)
	return out
}

func TestReach(t *testing.T) {
	v, p := reachView(t), newPartner()
	want := func(when string, at time.Time, ops ...string) []snapshot.Reachable {
		t.Helper()
		got := v.Reach(p.app.ID, at)
		if !slices.Equal(operations(got), ops) {
			t.Errorf("%s: %v, want %v", when, operations(got), ops)
		}
		return got
	}
	want("nothing is known", now, "health")
	apply(t, v.Access, p.org, p.app)
	want("without a grant", now, "health", "ping")
	g := newGrant(p.app.ID, "starter")
	g.Scopes = []string{"read"}
	apply(t, v.Access, g)
	for _, r := range want("with a grant and no credential", now, "closed", "health", "ping", "read") {
		if len(r.Credentials) > 0 {
			t.Errorf("%s can be called with %v", r.Operation, r.Credentials)
		}
	}
	apply(t, v.Access, p.cred)
	expired, _ := newCredential(p.app.ID)
	expired.Expires = now
	revoked, _ := newCredential(p.app.ID)
	revoked.Live = false
	elsewhere, _ := newCredential(p.app.ID)
	elsewhere.Grants = []id.ID{id.New(id.Grant, now)}
	apply(t, v.Access, expired, revoked, elsewhere)
	for _, r := range want("with a credential", now, "closed", "health", "ping", "read") {
		switch r.Operation {
		case "read", "closed":
			if !slices.Equal(r.Credentials, []id.ID{p.cred.ID}) || r.Grant != g.ID || r.Product != "starter" || r.Plan != "free" || !r.Until.Equal(g.Until) ||
				len(r.Windows) != 1 || !slices.Equal(r.Scopes, []string{"read"}) || r.Path == "" || r.Environment != "live" {
				t.Errorf("%+v", r)
			}
			if (r.Closed != "") != (r.Operation == "closed") {
				t.Errorf("closed: %+v", r)
			}
		case "ping":
			if len(r.Credentials) != 2 || r.Grant != "" {
				t.Errorf("%+v", r)
			}
		case "health":
			if r.Grant != "" || r.Credentials != nil {
				t.Errorf("%+v", r)
			}
		}
	}
	want("after its end", g.Until, "health", "ping")
	g.State = "suspended"
	apply(t, v.Access, g)
	want("suspended", now, "health", "ping")
	g.State = "active"
	p.org.Live = false
	apply(t, v.Access, g, p.org)
	want("of a suspended organization", now, "health")
	if got := operations(v.Reach("app_nonsense", now)); !slices.Equal(got, []string{"health"}) {
		t.Errorf("of nobody: %v", got)
	}
}

// Two grants that both cover an operation: only credentials that are bound to one of them reach it, and it is named.
func TestReachNamesTheGrant(t *testing.T) {
	v, p := reachView(t), newPartner()
	one, two := newGrant(p.app.ID, "starter"), newGrant(p.app.ID, "starter")
	bound, _ := newCredential(p.app.ID)
	bound.Grants = []id.ID{two.ID}
	apply(t, v.Access, p.org, p.app, p.cred, one, two, bound)
	for _, r := range v.Reach(p.app.ID, now) {
		if r.Operation == "read" && (r.Grant != two.ID || !slices.Equal(r.Credentials, []id.ID{bound.ID})) {
			t.Errorf("%+v", r)
		}
	}
	if got := operations(v.Reach(p.app.ID, now)); !slices.Equal(got, []string{"closed", "health", "ping", "read", "write"}) {
		t.Errorf("%v", got)
	}
}
