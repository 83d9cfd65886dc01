package control_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
)

// twisted is a control plane that says its feed otherwise than it is.
type twisted struct {
	link.Plane
	mu    sync.Mutex
	twist func(before feed.Entry, es []feed.Entry) []feed.Entry // nil: as it is
}

func (p *twisted) set(fn func(feed.Entry, []feed.Entry) []feed.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.twist = fn
}

func (p *twisted) Tail(ctx context.Context, environment string, after feed.Position, limit int) ([]feed.Entry, error) {
	es, err := p.Plane.Tail(ctx, environment, after, limit)
	p.mu.Lock()
	twist := p.twist
	p.mu.Unlock()
	if twist != nil && fault.KindOf(err) == fault.Conflict { // after what it made up: there is nothing more
		return nil, nil
	}
	if err != nil || len(es) == 0 || twist == nil || after.Seq == 0 {
		return es, err
	}
	all, err := p.Plane.Tail(ctx, environment, feed.Position{}, int(after.Seq))
	if err != nil {
		return nil, err
	}
	return twist(all[after.Seq-1], slices.Clone(es)), nil
}

// A feed that skips, repeats, forks, was changed or is signed by somebody else, over real connections: nothing of it comes into force,
// the fleet's view says why, and what follows rightly is taken as soon as it is sent.
func TestTwistedFeed(t *testing.T) {
	w := newWorld(t).published()
	partner := w.verified("First", "first@example.org")
	app := w.application(partner, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, partner, ask(app, "live", "reading", "free")))(t))
	f := feeding(w)
	plane := &twisted{Plane: f.Plane()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 2)
	go func() {
		done <- (&link.Server{Plane: plane, Version: "test", Now: f.clock.Now, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	i := f.enrol("live", "a")
	i.Control = l.Addr().String()
	client := f.connect(i, nil)
	var mu sync.Mutex
	var applied []string // digests
	follower, err := feed.NewFollower(feed.Options{Source: client, Environment: "live", Gateway: "a", Key: i.FeedKey, Hinted: true, Retry: 100 * time.Millisecond, Poll: 20 * time.Millisecond,
		Apply: func(e feed.Entry) error {
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, e.Digest)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- follower.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	own := f.Control.Keys.(keys).feed
	other := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	again := func(key ed25519.PrivateKey, after feed.Position, e feed.Entry) feed.Entry {
		e, err := feed.Seal(after, e, func(d string) []byte { return feed.Sign(key, d) })
		if err != nil {
			t.Error(err)
		}
		return e
	}
	head := func() feed.Position { return must(plane.Head(f.ctx, "live"))(t) }
	more := func() { // three changes of live
		before := head().Seq
		for range 3 {
			f.key(partner, app, "live")
		}
		f.eventually("there are more entries", func() bool { return head().Seq == before+3 })
	}
	more()
	f.eventually("it follows", func() bool { return follower.Position() == head() })
	for _, c := range []struct {
		name, code, text string
		twist            func(feed.Entry, []feed.Entry) []feed.Entry
	}{
		{"skips", "feed-gap", "those between are missing", func(before feed.Entry, es []feed.Entry) []feed.Entry {
			e := es[0]
			e.Seq++
			return []feed.Entry{again(own, feed.Position{Epoch: e.Epoch, Seq: e.Seq - 1, Digest: es[0].Digest}, e)}
		}},
		{"repeats", "feed-repeated", "comes again", func(before feed.Entry, es []feed.Entry) []feed.Entry {
			return append([]feed.Entry{before}, es...)
		}},
		{"forks", "feed-forked", "the control plane has another history", func(before feed.Entry, es []feed.Entry) []feed.Entry {
			return []feed.Entry{again(own, feed.Position{Epoch: before.Epoch, Seq: before.Seq, Digest: "sha256:another"}, es[0])}
		}},
		{"was changed", "feed-changed", "is not what its digest says", func(_ feed.Entry, es []feed.Entry) []feed.Entry {
			es[0].Payload = []byte(`{"live":true}`)
			return es[:1] // what was packed once is not packed again
		}},
		{"is signed by somebody else", "feed-unsigned", "is not signed by the control plane", func(before feed.Entry, es []feed.Entry) []feed.Entry {
			return []feed.Entry{again(other, before.Position(), es[0])}
		}},
	} {
		plane.set(c.twist)
		at := follower.Position()
		more()
		f.eventually("a feed that "+c.name+" is refused", func() bool { return fault.As(follower.Trouble()).Code == c.code })
		f.eventually("the fleet says that it "+c.name, func() bool {
			for _, g := range must(f.Fleet(f.ctx, f.host))(t) {
				if g.Name == "a" && strings.Contains(strings.Join(g.Trouble, "; "), c.text) {
					return g.Behind > 0
				}
			}
			return false
		})
		if got := follower.Position(); got != at {
			t.Errorf("a feed that %s: the gateway went on from %d to %d", c.name, at.Seq, got.Seq)
		}
		plane.set(nil)
		f.eventually("once it no longer "+c.name, func() bool { return follower.Position() == head() && follower.Trouble() == nil })
	}
	var want []string
	for _, e := range must(f.Plane().Tail(f.ctx, "live", feed.Position{}, 1000))(t) {
		want = append(want, e.Digest)
	}
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff(want, applied); d != "" {
		t.Errorf("what came into force:\n%s", d)
	}
}
