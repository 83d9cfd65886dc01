package control

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// seals are the keys of a control plane in tests.
type seals struct {
	feed     ed25519.PrivateKey
	signer   note.Signer
	verifier string
}

func newSeals(t testing.TB) *seals {
	t.Helper()
	_, f, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "gatehouse-test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &seals{f, s, vkey}
}

func (s *seals) SignFeed(digest string) []byte { return feed.Sign(s.feed, digest) }
func (s *seals) Verifier() string              { return s.verifier }
func (s *seals) SignCheckpoint(text string) (string, error) {
	b, err := note.Sign(&note.Note{Text: text}, s.signer)
	return string(b), err
}

// plant is a real store with the sequencer and the source on it.
type plant struct {
	testing.TB
	ctx    context.Context
	file   string
	store  store.Store
	keys   *seals
	source *source
	seq    *sequencer
}

func newPlant(t testing.TB, environments ...string) *plant {
	t.Helper()
	p := &plant{TB: t, ctx: context.Background(), file: filepath.Join(t.TempDir(), "gatehouse.db"), keys: newSeals(t)}
	p.open()
	t.Cleanup(func() { p.store.Close() })
	for _, e := range environments {
		p.environment(e)
	}
	return p
}

func (p *plant) open() {
	p.Helper()
	s, err := sqldb.OpenSQLite(p.ctx, p.file, sqldb.Options{})
	if err != nil {
		p.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p.store = s
	p.source = newSource(s, time.Now, log)
	p.seq = newSequencer(s, p.keys, p.source, time.Now, log)
}

func (p *plant) update(fn func(tx store.Tx) error) {
	p.Helper()
	if err := p.store.Update(p.ctx, fn); err != nil {
		p.Fatal(err)
	}
}

func (p *plant) environment(name string) {
	p.Helper()
	p.update(func(tx store.Tx) error { _, err := tx.AddEnvironment(p.ctx, name, time.Now()); return err })
}

// write is what a change of control does: its feed rows and its audit entry in one update.
func (p *plant) write(cs ...feed.Change) error {
	return p.store.Update(p.ctx, func(tx store.Tx) error {
		for _, c := range cs {
			if c.Payload == nil {
				c.Payload = json.RawMessage(fmt.Sprintf(`{"v":%d}`, c.Version))
			}
			c.Committed = time.Now()
			if err := tx.AppendChange(p.ctx, c); err != nil {
				return err
			}
		}
		return tx.AppendAudit(p.ctx, audit.New(time.Now(), audit.Entry{Actor: "system", Action: "grant.end", Object: "gr_1", Personal: audit.Commit("name", "Ada")}))
	})
}

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// drain steps until nothing is left.
func (p *plant) drain() {
	p.Helper()
	for {
		more, err := p.seq.step(p.ctx)
		p.must(err)
		if !more {
			return
		}
	}
}

// run runs the sequencer until the test's end.
func (p *plant) run() {
	ctx, cancel := context.WithCancel(p.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.seq.run(ctx) })
	p.Cleanup(func() { cancel(); wg.Wait() })
}

func (p *plant) entries(environment string) []feed.Entry {
	p.Helper()
	var es []feed.Entry
	p.must(p.store.View(p.ctx, func(tx store.Tx) (err error) { es, err = tx.Entries(p.ctx, environment, 0, 1<<20); return err }))
	return es
}

func (p *plant) verify() audit.Report {
	p.Helper()
	var r audit.Report
	p.must(p.store.View(p.ctx, func(tx store.Tx) (err error) {
		r, err = audit.Verify(p.ctx, tx, p.keys.verifier, "", time.Now())
		return err
	}))
	return r
}

func grantRow(environment, key string, version int64) feed.Change {
	return feed.Change{Environment: environment, Kind: feed.KindGrant, Key: key, Version: version}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

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

func TestTailRefusesPositionsThatAreNotInTheFeed(t *testing.T) {
	p := newPlant(t, "live")
	for v := range 3 {
		p.must(p.write(grantRow("live", "gr_1", int64(v+1))))
	}
	p.drain()
	es := p.entries("live")
	second := es[1].Position()
	for name, c := range map[string]struct {
		environment string
		change      func(p *feed.Position)
		kind        error
	}{
		"in the feed":         {"live", func(*feed.Position) {}, nil},
		"from the beginning":  {"live", func(p *feed.Position) { *p = feed.Position{} }, nil},
		"another digest":      {"live", func(p *feed.Position) { p.Digest = es[0].Digest }, fault.Conflict},
		"ahead":               {"live", func(p *feed.Position) { p.Seq = 9 }, fault.Conflict},
		"another epoch":       {"live", func(p *feed.Position) { p.Epoch = 2 }, fault.Conflict},
		"negative":            {"live", func(p *feed.Position) { p.Seq = -1 }, fault.Conflict},
		"unknown environment": {"nowhere", func(*feed.Position) {}, fault.NotFound},
		"nowhere at all":      {"nowhere", func(p *feed.Position) { *p = feed.Position{} }, fault.NotFound},
	} {
		at := second
		c.change(&at)
		_, err := p.source.Tail(p.ctx, c.environment, at, 10)
		if (c.kind == nil) != (err == nil) || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		err = p.source.Acknowledge(p.ctx, feed.Receipt{Gateway: "g", Environment: c.environment, Position: at, At: time.Now()})
		if (c.kind == nil) != (err == nil) {
			t.Errorf("%s: a receipt: %v", name, err)
		}
	}
}

// A control plane restored from a backup does not un-revoke: a gateway that has seen the revocation refuses its history.
func TestRestoredControlPlaneDoesNotUnrevoke(t *testing.T) {
	p := newPlant(t, "live")
	p.must(p.write(grantRow("live", "gr_1", 1)))
	p.drain()
	backup := filepath.Join(t.TempDir(), "backup.db")
	p.must(p.store.Backup(p.ctx, backup))
	behind := p.entries("live")[0].Position()
	p.must(p.write(grantRow("live", "gr_1", 2))) // the revocation
	p.drain()
	ahead := p.entries("live")[1].Position()
	p.must(p.store.Close())

	moved := p.file
	p.file = filepath.Join(t.TempDir(), "gatehouse.db")
	p.must(sqldb.Restore(p.ctx, backup, p.file, time.Now()))
	if err := sqldb.Restore(p.ctx, backup, moved, time.Now()); !errors.Is(err, fault.Conflict) {
		t.Errorf("restoring over what is newer: %v", err)
	}
	p.open()
	p.must(p.write(grantRow("live", "gr_1", 2))) // something else that gets the same number
	p.drain()
	if _, err := p.source.Tail(p.ctx, "live", ahead, 10); !errors.Is(err, fault.Conflict) {
		t.Errorf("the gateway that has seen the revocation is served: %v", err)
	}
	es, err := p.source.Tail(p.ctx, "live", behind, 10)
	if err != nil || len(es) != 1 || es[0].Epoch != 2 || es[0].Position() == ahead {
		t.Errorf("the gateway that has not: %v, %v", es, err)
	}
	if r := p.verify(); !r.OK || r.Entries != 3 {
		t.Errorf("the log after the restore: %+v", r)
	}
}

func TestInForce(t *testing.T) {
	p := newPlant(t, "live")
	began := time.Now()
	commit := func(v int64) feed.Entry {
		p.must(p.write(grantRow("live", "gr_1", v)))
		p.drain()
		es := p.entries("live")
		return es[len(es)-1]
	}
	say := func(gateway string, at feed.Position, when time.Time) {
		p.must(p.source.Acknowledge(p.ctx, feed.Receipt{Gateway: gateway, Environment: "live", Position: at, At: when}))
	}
	say("a", feed.Position{}, began)
	say("b", feed.Position{}, began)
	say("long gone", feed.Position{}, began.Add(-maxOffline-time.Minute))
	one, two := commit(1), commit(2)
	say("a", one.Position(), one.Committed.Add(5*time.Millisecond))
	at := func(e feed.Entry) InForce { return p.source.inForce("live", e.Seq, e.Committed) }
	if d := cmp.Diff(InForce{Environment: "live", Seq: 1, Committed: one.Committed, Gateways: 2, Done: 1, Last: 5 * time.Millisecond, LastMS: 5, Waiting: []string{"b"}}, at(one)); d != "" {
		t.Error(d)
	}
	say("b", two.Position(), two.Committed.Add(20*time.Millisecond)) // says both
	say("a", two.Position(), two.Committed.Add(7*time.Millisecond))
	say("a", two.Position(), two.Committed.Add(time.Hour)) // a heartbeat says nothing new
	if got := at(two); got.Done != 2 || got.LastMS != 20 || got.Waiting != nil {
		t.Errorf("%+v", got)
	}
	if got := at(one); got.Done != 2 || got.Last != two.Committed.Add(20*time.Millisecond).Sub(one.Committed) {
		t.Errorf("%+v", got)
	}
	if got := p.source.inForce("live", 0, time.Now()); got.Done != 0 || len(got.Waiting) != 2 {
		t.Errorf("without a number: %+v", got)
	}
	// After a restart what is known exactly is still told exactly, and what is not is left out.
	p.must(p.source.flush(p.ctx))
	p.must(p.store.Close())
	p.open()
	p.must(p.source.begin(p.ctx))
	p.drain()
	if got := at(two); got.Done != 2 || got.Last != 0 {
		t.Errorf("after a restart: %+v", got)
	}
	three := commit(3)
	say("a", three.Position(), three.Committed.Add(9*time.Millisecond))
	if got := at(three); got.Done != 1 || got.LastMS != 9 {
		t.Errorf("after a restart, a new change: %+v", got)
	}
}

// replica is a gateway of the property test: what it has applied, and where it was when it stopped.
type replica struct {
	state map[string]int64
	at    feed.Position
	stop  func()
}

// Whatever order commits, numbering, restarts of the control plane and stops of gateways come in, all gateways of an
// environment end in the same state, which is the newest one of everything.
func TestAnyInterleavingEndsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlant(t, "live")
		environments := []string{"live"}
		gateways := map[string][]*replica{}
		add := func(environment string) {
			gateways[environment] = append(gateways[environment], &replica{state: map[string]int64{}})
		}
		add("live")
		add("live")
		start := func(environment string, g *replica) {
			if g.stop != nil {
				return
			}
			f, err := feed.NewFollower(feed.Options{Source: p.source, Environment: environment, Gateway: fmt.Sprintf("%p", g), Key: p.keys.feed.Public().(ed25519.PublicKey), From: g.at,
				Poll: 5 * time.Millisecond,
				Apply: func(e feed.Entry) error {
					if e.Version <= g.state[string(e.Kind)+e.Key] {
						return fmt.Errorf("version %d of %s comes after %d", e.Version, e.Key, g.state[e.Key])
					}
					g.state[string(e.Kind)+e.Key] = e.Version
					return nil
				}})
			p.must(err)
			ctx, cancel := context.WithCancel(p.ctx)
			done := make(chan struct{})
			go func() { defer close(done); _ = f.Run(ctx) }()
			g.stop = func() { cancel(); <-done; g.at, g.stop = f.Position(), nil }
		}
		halt := func() {
			for _, gs := range gateways {
				for _, g := range gs {
					if g.stop != nil {
						g.stop()
					}
				}
			}
		}
		want := map[string]map[string]int64{"live": {}}
		shared := map[string]int64{}
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 25).Draw(rt, "steps")
		for _, step := range steps {
			environment := rapid.SampledFrom(environments).Draw(rt, "environment")
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key")
			switch step {
			case 0, 1, 2: // a change here
				full := string(feed.KindGrant) + key
				want[environment][full]++
				p.must(p.write(grantRow(environment, key, want[environment][full])))
			case 3, 4: // a change everywhere
				full := string(feed.KindOrganization) + key
				shared[full]++
				p.must(p.write(feed.Change{Kind: feed.KindOrganization, Key: key, Version: shared[full]}))
			case 5, 6:
				_, err := p.seq.step(p.ctx)
				p.must(err)
			case 7: // a gateway starts or stops
				g := rapid.SampledFrom(gateways[environment]).Draw(rt, "gateway")
				if g.stop != nil {
					g.stop()
				} else {
					start(environment, g)
				}
			case 8: // the control plane restarts
				halt()
				p.must(p.store.Close())
				p.open()
			case 9: // a new environment, with a gateway
				if len(environments) < 3 {
					name := fmt.Sprint("env", len(environments))
					p.environment(name)
					environments = append(environments, name)
					want[name] = map[string]int64{}
					add(name)
				}
			}
		}
		p.drain()
		for environment, gs := range gateways {
			for k, v := range shared {
				want[environment][k] = v
			}
			es := p.entries(environment)
			head := feed.Position{}
			if len(es) > 0 {
				head = es[len(es)-1].Position()
			}
			for _, g := range gs {
				start(environment, g)
			}
			for _, g := range gs {
				eventually(t, "all is applied", func() bool {
					g.stop()
					if g.at.Seq == head.Seq {
						return true
					}
					start(environment, g)
					return false
				})
				if d := cmp.Diff(want[environment], g.state); d != "" || g.at.Digest != head.Digest {
					rt.Fatalf("%s at %v, head %v:\n%s", environment, g.at, head, d)
				}
			}
		}
		halt()
		if r := p.verify(); !r.OK {
			rt.Fatalf("%+v", r.Problems)
		}
		p.must(p.store.Close())
	})
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
