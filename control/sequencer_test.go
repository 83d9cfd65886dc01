package control

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
)

func TestSequencerNumbersAndSeals(t *testing.T) {
	p := newPlant(t, "live", "test")
	p.run()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for v := range 10 {
				if err := p.write(grantRow("live", fmt.Sprint("gr_", n), int64(v+1)), grantRow("", fmt.Sprint("gr_all_", n), int64(v+1))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "everything is numbered and sealed", func() bool {
		r := p.verify()
		return len(p.entries("live")) == 160 && len(p.entries("test")) == 80 && r.Entries == 80 && r.OK
	})
	for _, environment := range []string{"live", "test"} {
		var at feed.Position
		newest := map[string]int64{}
		for _, e := range p.entries(environment) {
			p.must(feed.Check(environment, at, e, p.keys.feed.Public().(ed25519.PublicKey)))
			if e.Version != newest[e.Key]+1 {
				t.Errorf("%s: version %d of %s comes after %d", environment, e.Version, e.Key, newest[e.Key])
			}
			newest[e.Key] = e.Version
			at = e.Position()
		}
	}
	if err := p.seq.failing(); err != nil {
		t.Error(err)
	}
}

// What was committed and not numbered when the process ended is numbered by the next one.
func TestSequencerTakesUpWhatWasLeft(t *testing.T) {
	p := newPlant(t, "live")
	p.must(p.write(grantRow("live", "gr_1", 1)))
	p.must(p.store.Close())
	p.open()
	p.run()
	eventually(t, "it is numbered", func() bool { return len(p.entries("live")) == 1 && p.verify().Entries == 1 })
}

// One batch has a bound, and many batches follow each other without waiting.
func TestSequencerManyBatches(t *testing.T) {
	p := newPlant(t, "live")
	const n = 2*sequenceBatch + 3
	p.update(func(tx store.Tx) error {
		for i := range n {
			c := grantRow("live", fmt.Sprint("gr_", i), 1)
			c.Payload = json.RawMessage(`{}`)
			if err := tx.AppendChange(p.ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if more, err := p.seq.step(p.ctx); err != nil || !more || len(p.entries("live")) != sequenceBatch {
		t.Errorf("%v, %v, %d entries", more, err, len(p.entries("live")))
	}
	p.drain()
	if got := len(p.entries("live")); got != n {
		t.Errorf("%d entries, want %d", got, n)
	}
}

// A log that was tampered with is not sealed over; revocations still reach the gateways.
func TestSequencerNumbersOnWhenTheLogIsTampered(t *testing.T) {
	p := newPlant(t, "live")
	p.must(p.write(grantRow("live", "gr_1", 1)))
	p.drain()
	other := newSeals(t)
	p.seq.keys = other // the checkpoint in the store is not signed by this key
	p.must(p.write(grantRow("live", "gr_1", 2)))
	if _, err := p.seq.step(p.ctx); err == nil {
		t.Error("it sealed on top of a checkpoint that it cannot verify")
	}
	if n := len(p.entries("live")); n != 2 {
		t.Errorf("%d entries in the feed, want 2", n)
	}
	p.seq.keys = p.keys
	p.drain()
	if r := p.verify(); !r.OK || r.Entries != 2 {
		t.Errorf("%+v", r)
	}
}

// An environment that is added later gets the newest state of what every environment knows, once.
func TestNewEnvironmentGetsEarlierRows(t *testing.T) {
	p := newPlant(t, "live")
	org := func(key string, v int64) feed.Change {
		return feed.Change{Kind: feed.KindOrganization, Key: key, Version: v}
	}
	p.must(p.write(org("org_1", 1), org("org_2", 1), grantRow("live", "gr_1", 1)))
	p.must(p.write(org("org_1", 2)))
	p.drain()
	p.must(p.write(org("org_3", 1))) // not numbered yet
	p.environment("test")
	p.must(p.write(org("org_2", 2)))
	p.drain()
	got := map[string]int64{}
	for _, e := range p.entries("test") {
		if e.Version <= got[e.Key] {
			t.Errorf("%s@%d comes after %d", e.Key, e.Version, got[e.Key])
		}
		got[e.Key] = e.Version
	}
	if d := cmp.Diff(map[string]int64{"org_1": 2, "org_2": 2, "org_3": 1}, got); d != "" {
		t.Error(d)
	}
	if n := len(p.entries("live")); n != 6 {
		t.Errorf("%d entries in live, want 6: nothing comes again there", n)
	}
}

// The whole way of a change in one process: from its commit to a gateway that has it in force.
func BenchmarkCommitToApplied(b *testing.B) {
	p := newPlant(b, "live")
	p.run()
	applied := make(chan int64, 1024)
	f, err := feed.NewFollower(feed.Options{Source: p.source, Environment: "live", Gateway: "g", Key: p.keys.feed.Public().(ed25519.PublicKey),
		Apply: func(e feed.Entry) error { applied <- e.Version; return nil }})
	p.must(err)
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-f.CaughtUp()
	var took []time.Duration
	v := int64(0)
	for b.Loop() {
		v++
		if err := p.write(grantRow("live", "gr_1", v)); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for <-applied != v {
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// Writes with their audit entry and feed row from 16 goroutines, while the sequencer numbers and seals.
func BenchmarkSequencedWrites(b *testing.B) {
	p := newPlant(b, "live")
	p.run()
	b.SetParallelism(8)
	var mu sync.Mutex
	n := 0
	b.RunParallel(func(pb *testing.PB) {
		mu.Lock()
		n++
		key := string(id.New(id.Grant, time.Now())) + strings.Repeat("x", n)
		mu.Unlock()
		for v := int64(1); pb.Next(); v++ {
			if err := p.write(grantRow("live", key, v)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(n), "writers")
}
