package control

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/audit"
	"gatehouse/feed"
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
func (s *seals) Derive(purpose string) [32]byte {
	return sha256.Sum256(append(s.feed.Seed(), purpose...))
}
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
