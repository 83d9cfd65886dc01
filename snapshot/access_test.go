package snapshot_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func entry(k feed.Kind, payload any) feed.Entry {
	raw, err := json.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return feed.Entry{Environment: "live", Kind: k, Payload: raw}
}

func apply(t testing.TB, a *snapshot.Access, payloads ...any) {
	t.Helper()
	for _, p := range payloads {
		k := map[string]feed.Kind{"feed.Organization": feed.KindOrganization, "feed.Application": feed.KindApplication,
			"feed.Credential": feed.KindCredential, "feed.Grant": feed.KindGrant}[fmt.Sprintf("%T", p)]
		if err := a.Apply(entry(k, p)); err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
	}
}

// A partner is an organization with an application and a credential.
type partner struct {
	org  feed.Organization
	app  feed.Application
	cred feed.Credential
	hash secret.Hash
}

func newPartner() partner {
	var p partner
	p.org = feed.Organization{ID: id.New(id.Organization, now), Live: true}
	p.app = feed.Application{ID: id.New(id.Application, now), Organization: p.org.ID, Live: true}
	p.cred, p.hash = newCredential(p.app.ID)
	return p
}

func newCredential(app id.ID) (feed.Credential, secret.Hash) {
	_, public, hash := credential.NewKey("live")
	return feed.Credential{ID: id.New(id.Credential, now), Application: app, Kind: "api_key", PublicID: public, Hash: hash[:],
		Live: true, Expires: now.Add(time.Hour)}, hash
}

func newGrant(app id.ID, product string) feed.Grant {
	return feed.Grant{ID: id.New(id.Grant, now), Application: app, Product: product, Plan: "free", Scopes: []string{"write", "read", "read"},
		From: now.Add(-time.Hour), Until: now.Add(time.Hour), State: "active"}
}

func TestAccessKnowsWhatItWasTold(t *testing.T) {
	a, p := snapshot.NewAccess("live"), newPartner()
	g := newGrant(p.app.ID, "starter")
	p.cred.Grants = []id.ID{g.ID}
	apply(t, a, p.org, p.app, p.cred, g)
	c, ok := a.Credential([]byte(p.cred.PublicID), p.hash)
	if !ok || c.ID.ID(id.Credential) != p.cred.ID || c.Application.ID(id.Application) != p.app.ID || c.Organization.ID(id.Organization) != p.org.ID ||
		!c.ApplicationLive || !c.OrganizationLive || c.State != policy.Active || c.Expires != p.cred.Expires.UnixMicro() || len(c.Bound) != 1 {
		t.Fatalf("the credential came back as %+v, %v", c, ok)
	}
	grants := a.Grants(c.Slot)
	if len(grants) != 1 || grants[0].ID != c.Bound[0] || a.Terms(&grants[0]).Product != "starter" || a.Scopes(&grants[0]).Joined != "read write" {
		t.Fatalf("the grants came back as %+v", grants)
	}
	if _, ok := a.Credential([]byte(p.cred.PublicID), secret.Hash{1}); ok {
		t.Error("a wrong secret finds the credential")
	}
	if n := a.Counts(); n != (snapshot.Counts{Organizations: 1, Applications: 1, Credentials: 1, Grants: 1}) {
		t.Errorf("it counts %+v", n)
	}
}

// Whatever the order in which records arrive, nothing passes before all of them are there and live.
func TestAccessFailsClosedInAnyOrder(t *testing.T) {
	p := newPartner()
	all := []any{p.org, p.app, p.cred}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		a := snapshot.NewAccess("live")
		for i, n := range order {
			apply(t, a, all[n])
			c, ok := a.Credential(nil, p.hash)
			passes := ok && c.ApplicationLive && c.OrganizationLive
			if passes != (i == 2) {
				t.Errorf("order %v, after %d of 3 records: passes %v", order, i+1, passes)
			}
		}
	}
}

func TestAccessOrganizationEndsAtOnce(t *testing.T) {
	a, p := snapshot.NewAccess("live"), newPartner()
	apply(t, a, p.org, p.app, p.cred)
	p.org.Live = false
	apply(t, a, p.org)
	if c, _ := a.Credential(nil, p.hash); c.OrganizationLive {
		t.Error("it lives on")
	}
}

func TestAccessRefusesWhatItCannotRead(t *testing.T) {
	p := newPartner()
	g := newGrant(p.app.ID, "x")
	for name, change := range map[string]func() feed.Entry{
		"unknown kind":           func() feed.Entry { return entry("certificate", p.org) },
		"another environment":    func() feed.Entry { e := entry(feed.KindGrant, g); e.Environment = "test"; return e },
		"no JSON":                func() feed.Entry { return feed.Entry{Environment: "live", Kind: feed.KindGrant, Payload: []byte("{")} },
		"organization's id":      func() feed.Entry { o := p.org; o.ID = "org_1"; return entry(feed.KindOrganization, o) },
		"id of another kind":     func() feed.Entry { o := p.org; o.ID = p.app.ID; return entry(feed.KindOrganization, o) },
		"application's id":       func() feed.Entry { x := p.app; x.ID = "app"; return entry(feed.KindApplication, x) },
		"its organization":       func() feed.Entry { x := p.app; x.Organization = ""; return entry(feed.KindApplication, x) },
		"credential's id":        func() feed.Entry { x := p.cred; x.ID = ""; return entry(feed.KindCredential, x) },
		"credential's hash":      func() feed.Entry { x := p.cred; x.Hash = x.Hash[:31]; return entry(feed.KindCredential, x) },
		"what it is bound to":    func() feed.Entry { x := p.cred; x.Grants = []id.ID{"gr_"}; return entry(feed.KindCredential, x) },
		"grant's id":             func() feed.Entry { x := g; x.ID = "gr_x"; return entry(feed.KindGrant, x) },
		"grant's state":          func() feed.Entry { x := g; x.State = "fine"; return entry(feed.KindGrant, x) },
		"scope with a newline":   func() feed.Entry { x := g; x.Scopes = []string{"a\r\nX: y"}; return entry(feed.KindGrant, x) },
		"empty scope":            func() feed.Entry { x := g; x.Scopes = []string{""}; return entry(feed.KindGrant, x) },
		"grant without an owner": func() feed.Entry { x := g; x.Application = ""; return entry(feed.KindGrant, x) },
	} {
		a := snapshot.NewAccess("live")
		if err := a.Apply(change()); err == nil {
			t.Errorf("%s: it is taken", name)
		}
		if n := a.Counts(); n.Credentials+n.Grants > 0 {
			t.Errorf("%s: it left %+v", name, n)
		}
	}
}

// Grants of several applications in one chunk stay with their owners, whatever is added, changed and ended.
func TestAccessKeepsGrantsApart(t *testing.T) {
	a := snapshot.NewAccess("live")
	const apps, rounds = 200, 3
	partners := make([]partner, apps)
	want := make([]map[id.ID]feed.Grant, apps)
	for i := range partners {
		partners[i] = newPartner()
		apply(t, a, partners[i].app, partners[i].org, partners[i].cred)
		want[i] = map[id.ID]feed.Grant{}
	}
	for round := range rounds {
		for i := range partners {
			n := (i*7 + round*13) % apps
			g := newGrant(partners[n].app.ID, fmt.Sprint("product-", round))
			g.Until = now.Add(time.Duration(n) * time.Minute)
			apply(t, a, g)
			g.State = "suspended" // a change of the same grant
			apply(t, a, g)
			want[n][g.ID] = g
		}
	}
	for i, p := range partners {
		c, _ := a.Credential(nil, p.hash)
		grants := a.Grants(c.Slot)
		if len(grants) != rounds {
			t.Fatalf("application %d has %d grants, not %d", i, len(grants), rounds)
		}
		for _, g := range grants {
			w, ok := want[i][g.ID.ID(id.Grant)]
			if !ok || g.Until != w.Until.UnixMicro() || g.State != policy.Suspended || a.Terms(&g).Product != w.Product {
				t.Fatalf("application %d: grant %+v, want %+v", i, g, w)
			}
		}
	}
	if n := a.Counts(); n.Grants != apps*rounds || n.Applications != apps || n.Credentials != apps {
		t.Errorf("it counts %+v", n)
	}
}

// Ended grants do not pile up: a new one for the product takes their place.
func TestAccessForgetsEndedGrants(t *testing.T) {
	a, p := snapshot.NewAccess("live"), newPartner()
	apply(t, a, p.org, p.app, p.cred)
	for range 50 {
		g := newGrant(p.app.ID, "starter")
		apply(t, a, g)
		g.State = "ended"
		apply(t, a, g)
	}
	c, _ := a.Credential(nil, p.hash)
	if n := len(a.Grants(c.Slot)); n != 1 {
		t.Errorf("%d grants are kept", n)
	}
}

// Readers take no lock and see each change whole, while the writer works.
func TestAccessReadWhileWritten(t *testing.T) {
	a, p := snapshot.NewAccess("live"), newPartner()
	g := newGrant(p.app.ID, "starter")
	apply(t, a, p.org, p.app, p.cred, g)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, ok := a.Credential(nil, p.hash)
				if !ok || !c.OrganizationLive || c.Organization.ID(id.Organization) != p.org.ID {
					t.Errorf("the credential went away: %+v %v", c, ok)
					return
				}
				for i := range a.Grants(c.Slot) {
					g := &a.Grants(c.Slot)[i]
					if terms := a.Terms(g); terms.Plan != "free" || a.Scopes(g).Joined != "read write" {
						t.Errorf("a grant was seen half done: %+v", terms)
						return
					}
				}
			}
		})
	}
	for i := range 3000 {
		other := newPartner()
		apply(t, a, other.cred, newGrant(other.app.ID, fmt.Sprint("p", i%100)), other.app, other.org)
		g.Until = now.Add(time.Duration(i) * time.Second)
		apply(t, a, g, p.cred)
	}
	close(stop)
	wg.Wait()
}

func TestAccessReadsAllocateNothing(t *testing.T) {
	a, p := snapshot.NewAccess("live"), newPartner()
	g := newGrant(p.app.ID, "starter")
	apply(t, a, p.org, p.app, p.cred, g)
	if n := testing.AllocsPerRun(100, func() {
		c, _ := a.Credential(nil, p.hash)
		for i := range a.Grants(c.Slot) {
			_ = a.Scopes(&a.Grants(c.Slot)[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAccess measures what a million credentials cost, each with an application and a grant of its own or ten to an
// application: bytes each, and the time to find one.
func BenchmarkAccess(b *testing.B) {
	for _, each := range []int{1, 10} {
		b.Run(fmt.Sprintf("credentials-per-application=%d", each), func(b *testing.B) {
			const n = 200_000
			org := feed.Organization{ID: id.New(id.Organization, now), Live: true}
			hashes := make([]secret.Hash, n)
			entries := make([]feed.Entry, 0, 2*n)
			var app feed.Application
			for i := range n {
				if i%each == 0 {
					app = feed.Application{ID: id.New(id.Application, now), Organization: org.ID, Live: true}
					entries = append(entries, entry(feed.KindApplication, app))
				}
				_, _ = rand.Read(hashes[i][:])
				c := feed.Credential{ID: id.New(id.Credential, now), Application: app.ID, Kind: "api_key", Hash: hashes[i][:], Live: true, Expires: now.Add(time.Hour)}
				g := newGrant(app.ID, fmt.Sprint("product-", i%each))
				entries = append(entries, entry(feed.KindCredential, c), entry(feed.KindGrant, g))
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			a := snapshot.NewAccess("live")
			apply(b, a, org)
			for i := range entries {
				if err := a.Apply(entries[i]); err != nil {
					b.Fatal(err)
				}
			}
			took := time.Since(began)
			runtime.GC()
			runtime.ReadMemStats(&after)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				c, ok := a.Credential(nil, hashes[i*7919%n])
				if !ok || len(a.Grants(c.Slot)) != each {
					b.Fatal("not found")
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/credential+grant")
			b.ReportMetric(float64(took.Nanoseconds())/float64(len(entries)), "ns/apply")
			runtime.KeepAlive(a)
			runtime.KeepAlive(entries)
		})
	}
}
