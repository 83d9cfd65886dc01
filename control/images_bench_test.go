package control_test

import (
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
)

var manyRecords = flag.Int("image-credentials", 20_000, "of BenchmarkFirstImage: so many credentials, as many grants, and a tenth of that applications")

// BenchmarkFirstImage makes the image of an environment's feed of which there is none yet, as the first gateway that dials in waits for it.
// go test -run '^$' -bench FirstImage -benchtime 1x ./control -args -image-credentials 1000000
func BenchmarkFirstImage(b *testing.B) {
	w := newWorld(b)
	w.Control.FeedKey = w.Control.Keys.(keys).feed.Public().(ed25519.PublicKey)
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live"}); err != nil {
		b.Fatal(err)
	}
	n := w.feedOfMany(*manyRecords)
	var peak runtime.MemStats
	for b.Loop() {
		w.Control.Images = b.TempDir()
		file, err := control.New(w.Options).Image(w.ctx, "live", 2, 0)
		if err != nil {
			b.Fatal(err)
		}
		info := must(os.Stat(file))(b)
		b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
	}
	runtime.ReadMemStats(&peak)
	b.ReportMetric(float64(peak.HeapSys)/(1<<20), "heap-MiB")
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(n)/float64(b.N), "µs/entry")
}

// feedOfMany writes the feed that so many credentials and grants have made, and returns how many entries it has. The first have
// changed since, so that there are entries that do not count any more.
func (w *world) feedOfMany(n int) (entries int) {
	w.t.Helper()
	now := w.clock.Now()
	var at feed.Position
	var batch []feed.Change
	flush := func() {
		w.t.Helper()
		err := w.store.Update(w.ctx, func(tx store.Tx) error {
			for _, c := range batch {
				if err := tx.AppendChange(w.ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = w.store.Update(w.ctx, func(tx store.Tx) error {
				rows, err := tx.Unnumbered(w.ctx, len(batch)+100)
				if err != nil {
					return err
				}
				if at, err = tx.Head(w.ctx, "live"); err != nil {
					return err
				}
				for _, r := range rows {
					e := feed.Entry{Environment: "live", Epoch: at.Epoch, Seq: at.Seq + 1, Previous: at.Digest, Kind: r.Kind, Key: r.Key, Version: r.Version, Payload: r.Payload, Committed: r.Committed,
						Digest: fmt.Sprintf("%064x", at.Seq+1), Signature: make([]byte, 64)}
					at = e.Position()
					if err := tx.Number(w.ctx, r.Row, []feed.Entry{e}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			w.t.Fatal(err)
		}
		entries, batch = entries+len(batch), batch[:0]
	}
	add := func(k feed.Kind, key id.ID, version int64, of any) {
		raw, err := json.Marshal(of)
		if err != nil {
			w.t.Fatal(err)
		}
		if batch = append(batch, feed.Change{Environment: "live", Kind: k, Key: string(key), Version: version, Payload: raw, Committed: now}); len(batch) == 5000 {
			flush()
		}
	}
	org := feed.Organization{ID: id.New(id.Organization, now), Name: "Many", Live: true}
	add(feed.KindOrganization, org.ID, 1, org)
	var app feed.Application
	for i := range n {
		if i%10 == 0 {
			app = feed.Application{ID: id.New(id.Application, now), Organization: org.ID, Name: "application " + strings.Repeat("x", i%7), Live: true}
			add(feed.KindApplication, app.ID, 1, app)
		}
		_, public, hash := credential.NewKey("live")
		c := feed.Credential{ID: id.New(id.Credential, now), Application: app.ID, Kind: "api_key", PublicID: public, Hash: hash[:], Live: true, Expires: now.Add(time.Hour + time.Duration(i)*time.Microsecond)}
		add(feed.KindCredential, c.ID, 1, c)
		g := feed.Grant{ID: id.New(id.Grant, now), Application: app.ID, Product: fmt.Sprint("product-", i%10), Plan: "free", Scopes: []string{"read", "write"}, From: now, Until: now.Add(24 * time.Hour), State: "active"}
		add(feed.KindGrant, g.ID, 1, g)
		if i%20 == 0 {
			c.Live, c.Ended = false, "revoked"
			add(feed.KindCredential, c.ID, 2, c)
		}
	}
	flush()
	return entries
}
