package sqldb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/store"
)

// A write as control does it: the object, its audit entry, its feed row. 16 goroutines; each is answered after the sync.
func BenchmarkGroupCommit(b *testing.B) {
	for name, writers := range map[string]int{"1-writer": 1, "16-writers": 16} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			s := open(b, filepath.Join(b.TempDir(), "gatehouse.db"))
			if err := s.Update(ctx, func(tx store.Tx) error { _, err := tx.AddEnvironment(ctx, "live", time.Now()); return err }); err != nil {
				b.Fatal(err)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			b.ResetTimer()
			for range writers {
				go func() {
					defer func() { done <- struct{}{} }()
					for left.Add(-1) >= 0 {
						if err := s.Update(ctx, func(tx store.Tx) error { return write(ctx, tx) }); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			for range writers {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func write(ctx context.Context, tx store.Tx) error {
	now := time.Now()
	g, err := tx.PutGrant(ctx, grant.Grant{ID: id.New(id.Grant, now), Organization: "org_1", Application: "app_1", Environment: "live", Product: "p", Plan: "p",
		Scopes: []string{"read"}, From: now, Until: now.Add(time.Hour), State: grant.Active})
	if err != nil {
		return err
	}
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := tx.AppendChange(ctx, feed.Change{Environment: "live", Kind: feed.KindGrant, Key: string(g.ID), Version: g.Version, Payload: b, Committed: now}); err != nil {
		return err
	}
	return tx.AppendAudit(ctx, audit.New(now, audit.Entry{Actor: "system", Action: "grant.put", Object: g.ID, After: b, Personal: audit.Commit("name", "Ada")}))
}

func BenchmarkView(b *testing.B) {
	ctx := context.Background()
	s := open(b, filepath.Join(b.TempDir(), "gatehouse.db"))
	var g grant.Grant
	err := s.Update(ctx, func(tx store.Tx) (err error) {
		g, err = tx.PutGrant(ctx, grant.Grant{ID: id.New(id.Grant, time.Now()), State: grant.Active})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.View(ctx, func(tx store.Tx) error { _, err := tx.Grant(ctx, g.ID); return err }); err != nil {
			b.Fatal(err)
		}
	}
}

// What gateways report of 1,000 routes that were called since the last time.
func BenchmarkAddUses(b *testing.B) {
	ctx := context.Background()
	s := open(b, filepath.Join(b.TempDir(), "gatehouse.db"))
	us := make([]credential.Use, 1000)
	for i := range us {
		us[i] = credential.Use{Credential: "cr_1", Grant: "gr_1", API: "eid", Operation: fmt.Sprintf("operation %d", i), Count: 1, Last: time.Now(), Gateway: "gw", Address: "192.0.2.1"}
	}
	for b.Loop() {
		if err := s.Update(ctx, func(tx store.Tx) error { return tx.AddUses(ctx, us) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(us)), "µs/row")
}
