package snapshot_test

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// millions is an environment with so many credentials and as many grants, applications having each of both.
func millions(n, each int) (rows []feed.Row, hashes []secret.Hash) {
	org, _ := id.New(id.Organization, now).Bits(id.Organization)
	offered := make([]*feed.Offered, each)
	for i := range offered {
		offered[i] = &feed.Offered{Product: fmt.Sprint("product-", i), Plan: "free", Scopes: []string{"read"}}
	}
	fresh := func(k id.Kind) id.Bits { b, _ := id.New(k, now).Bits(k); return b }
	hashes = make([]secret.Hash, n)
	var app id.Bits
	for i := range n {
		if i%each == 0 {
			app = fresh(id.Application)
			rows = append(rows, feed.Row{Kind: feed.KindApplication, ID: app, Owner: org, State: feed.RowActive})
		}
		_, _ = rand.Read(hashes[i][:])
		rows = append(rows, feed.Row{Kind: feed.KindCredential, ID: fresh(id.Credential), Owner: app, State: feed.RowActive, Hash: hashes[i], Until: now.Add(time.Hour).UnixMicro()},
			feed.Row{Kind: feed.KindGrant, ID: fresh(id.Grant), Owner: app, State: feed.RowActive, From: now.Add(-time.Hour).UnixMicro(), Until: now.Add(time.Hour).UnixMicro(), Offered: offered[i%each]})
	}
	return rows, hashes
}

func loaded(t testing.TB, rows []feed.Row) *snapshot.Access {
	a := snapshot.NewAccess("live")
	err := a.Load(func(add func(feed.Entry) error) error {
		for i := range rows {
			if err := add(feed.Entry{Environment: "live", Row: &rows[i]}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What is loaded at once is what the same records are as changes, one by one; and changes after it find it.
func TestLoadedIsWhatWasApplied(t *testing.T) {
	var h1, h2 = secret.Hash{1}, secret.Hash{2}
	org := feed.Organization{ID: id.New(id.Organization, now), Live: true}
	app := feed.Application{ID: id.New(id.Application, now), Organization: org.ID, Live: true}
	other := feed.Application{ID: id.New(id.Application, now), Organization: org.ID, Live: true}
	over := feed.Credential{ID: id.New(id.Credential, now), Application: app.ID, Kind: "workload_identity", Hash: h1[:], Ended: "revoked", Expires: now.Add(time.Hour)}
	bound := feed.Credential{ID: id.New(id.Credential, now), Application: other.ID, Kind: "workload_identity", Hash: h1[:], Live: true, Expires: now.Add(time.Hour), Claims: []feed.Claim{{Name: "a", Value: "b"}}}
	key := feed.Credential{ID: id.New(id.Credential, now), Application: app.ID, Kind: "api_key", Hash: h2[:], Live: true, Expires: now.Add(time.Hour)}
	ended := newGrant(app.ID, "reading")
	ended.State = "ended"
	later := newGrant(app.ID, "reading")
	elsewhere := newGrant(other.ID, "writing")
	records := []feed.Entry{entry(feed.KindOrganization, org), entry(feed.KindApplication, app), entry(feed.KindApplication, other), entry(feed.KindCredential, bound), entry(feed.KindCredential, over),
		entry(feed.KindCredential, key), entry(feed.KindGrant, ended), entry(feed.KindGrant, elsewhere), entry(feed.KindGrant, later)}
	revoked := key
	revoked.Live, revoked.Ended = false, "revoked"
	change := entry(feed.KindCredential, revoked)
	change.Digest = "sha256:of a change"
	for _, asRows := range []bool{false, true} {
		one := snapshot.NewAccess("live")
		for _, e := range append(slices.Clone(records), change) {
			if err := one.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		all := snapshot.NewAccess("live")
		err := all.Load(func(add func(feed.Entry) error) error {
			for _, e := range append(slices.Clone(records), change) {
				if r, ok := feed.RowOf(e); ok && asRows && e.Digest == "" {
					e = feed.Entry{Environment: "live", Kind: r.Kind, Row: &r}
				}
				if err := add(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if one.Counts() != all.Counts() {
			t.Errorf("rows %v: %+v, want %+v", asRows, all.Counts(), one.Counts())
		}
		for _, h := range []secret.Hash{h1, h2, {3}} {
			want, known := one.Credential(nil, h)
			got, found := all.Credential(nil, h)
			if known != found || got.ID != want.ID || got.State != want.State || got.Kind != want.Kind || got.Expires != want.Expires || got.OrganizationLive != want.OrganizationLive {
				t.Errorf("rows %v: %+v %v, want %+v %v", asRows, got, found, want, known)
			}
			if a, b := one.Grants(want.Slot), all.Grants(got.Slot); len(a) != len(b) || len(a) > 0 && a[0].ID != b[0].ID {
				t.Errorf("rows %v: grants %+v, want %+v", asRows, b, a)
			}
		}
		if c, _ := all.Credential(nil, h2); c.State != policy.Over {
			t.Errorf("rows %v: a change after the image is not in force: %+v", asRows, c)
		}
	}
}

// BenchmarkLoad loads 1,000,000 credentials and 1,000,000 grants, says what they take after a collection, and then looks them up
// while 1,000 changes a second arrive: what a look-up costs, and the longest that one took.
func BenchmarkLoad(b *testing.B) {
	for _, each := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("credentials-per-application=%d", each), func(b *testing.B) {
			const n = 1_000_000
			rows, hashes := millions(n, each)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			a := loaded(b, rows)
			took := time.Since(began)
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&after)
			var done atomic.Bool
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for i := 0; !done.Load(); {
					<-tick.C
					for range 10 {
						r := rows[i%len(rows)]
						i += 7919
						if r.Kind == feed.KindCredential {
							r.State = feed.RowSuspended
						}
						if err := a.Apply(feed.Entry{Environment: "live", Row: &r}); err != nil {
							b.Error(err)
						}
					}
				}
			}()
			var longest time.Duration
			var presented [512]secret.Hash // a gateway has just computed the hash: it need not be fetched from memory
			i := 0
			last := time.Now()
			for b.Loop() {
				if i%len(presented) == 0 {
					for j := range presented {
						presented[j] = hashes[(i+j)*7919%n]
					}
				}
				c, ok := a.Credential(nil, presented[i%len(presented)])
				i++
				if !ok || len(a.Grants(c.Slot)) != each {
					b.Fatal("not found")
				}
				if i%16 == 0 {
					t := time.Now()
					longest = max(longest, t.Sub(last))
					last = t
				}
			}
			done.Store(true)
			<-stopped
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
			b.ReportMetric(float64(took.Milliseconds()), "load-ms")
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
			runtime.KeepAlive(a)
			runtime.KeepAlive(rows)
		})
	}
}
