package gateway_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"gatehouse/event"
	"gatehouse/fault"
	"gatehouse/feed"
)

// A line is the control plane's end of a feed, in memory.
type line struct {
	key ed25519.PrivateKey

	mu       sync.Mutex
	entries  []feed.Entry
	changed  chan struct{}
	receipts []feed.Receipt
	told     chan struct{}
	deaf     bool // gives no hints
	usage    []feed.Use
	calls    []feed.Count
	lost     bool // batches do not arrive
	batches  int64
}

func newLine(t *testing.T) *line {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &line{key: key, changed: make(chan struct{}), told: make(chan struct{})}
}

// publish appends an entry and returns its number.
func (l *line) publish(t *testing.T, k feed.Kind, key string, payload any) int64 {
	t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var after feed.Position
	if n := len(l.entries); n > 0 {
		after = l.entries[n-1].Position()
	}
	version := int64(1)
	if r, ok := payload.(feed.Revision); ok {
		version = r.Number
	}
	e, err := feed.Seal(after, feed.Entry{Environment: "live", Epoch: 1, Kind: k, Key: key, Version: version, Payload: raw, Committed: time.Now()},
		func(digest string) []byte { return feed.Sign(l.key, digest) })
	if err != nil {
		t.Fatal(err)
	}
	l.entries = append(l.entries, e)
	close(l.changed)
	l.changed = make(chan struct{})
	return e.Seq
}

func (l *line) Tail(_ context.Context, environment string, after feed.Position, limit int) ([]feed.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if environment != "live" || after.Seq > int64(len(l.entries)) {
		return nil, fault.New(fault.Conflict, "position %d is not in the feed", after.Seq)
	}
	rest := l.entries[after.Seq:]
	return append([]feed.Entry(nil), rest[:min(limit, len(rest))]...), nil
}

func (l *line) Changed(_ string, seq int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(len(l.entries)) > seq && !l.deaf {
		now := make(chan struct{})
		close(now)
		return now
	}
	if l.deaf {
		return nil
	}
	return l.changed
}

func (l *line) Acknowledge(_ context.Context, r feed.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts = append(l.receipts, r)
	close(l.told)
	l.told = make(chan struct{})
	return nil
}

func (l *line) Ship(_ context.Context, b feed.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return errors.New("the line is dead")
	}
	if b.Kind == feed.BatchUses && b.Number <= l.batches {
		return nil
	}
	if b.Kind == feed.BatchCalls {
		var c feed.Calls
		if err := json.Unmarshal(b.Body, &c); err != nil {
			return err
		}
		l.calls = append(l.calls, c.Counts...)
		return nil
	}
	var uses []feed.Use
	if err := json.Unmarshal(b.Body, &uses); err != nil {
		return err
	}
	l.batches = b.Number
	l.usage = append(l.usage, uses...)
	return nil
}

// receipt waits for one that satisfies.
func (l *line) receipt(t *testing.T, want func(feed.Receipt) bool) feed.Receipt {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		told := l.told
		for _, r := range l.receipts {
			if want(r) {
				l.mu.Unlock()
				return r
			}
		}
		l.mu.Unlock()
		select {
		case <-told:
		case <-deadline:
			t.Fatalf("no such receipt among %+v", l.receipts)
		}
	}
}

// kept is an event sink that keeps copies.
type kept struct {
	mu     sync.Mutex
	events []map[string]any
	more   chan struct{}
}

func (k *kept) Write(e *event.Exchange) {
	var m map[string]any
	if err := json.Unmarshal(event.Append(nil, e), &m); err != nil {
		panic(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, m)
	close(k.more)
	k.more = make(chan struct{})
}

// of waits for the event of a request id.
func (k *kept) of(t *testing.T, id string) map[string]any {
	t.Helper()
	return k.where(t, func(e map[string]any) bool { return e["id"] == id })
}

func (k *kept) where(t *testing.T, want func(map[string]any) bool) map[string]any {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		k.mu.Lock()
		more := k.more
		for _, e := range k.events {
			if want(e) {
				k.mu.Unlock()
				return e
			}
		}
		k.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			t.Fatal("there is no such event")
		}
	}
}
