package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/feed"
)

// plane is a control plane's end whose entries a test decides.
type plane struct {
	mu       sync.Mutex
	entries  []feed.Entry
	changed  chan struct{}
	hints    bool // Changed tells
	err      error
	receipts []feed.Receipt
	tails    int
}

func newPlane(es ...feed.Entry) *plane {
	return &plane{entries: slices.Clone(es), changed: make(chan struct{}), hints: true}
}

func (p *plane) Tail(_ context.Context, _ string, after feed.Position, limit int) ([]feed.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tails++
	if p.err != nil {
		return nil, p.err
	}
	es := slices.Clone(p.entries)
	for len(es) > 0 && es[0].Seq <= after.Seq {
		es = es[1:]
	}
	return es[:min(len(es), limit)], nil
}

func (p *plane) Changed(_ string, seq int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.entries); p.hints && n > 0 && p.entries[n-1].Seq > seq {
		done := make(chan struct{})
		close(done)
		return done
	}
	return p.changed
}

func (p *plane) Acknowledge(_ context.Context, r feed.Receipt) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.receipts = append(p.receipts, r)
	return nil
}

func (p *plane) Ship(context.Context, feed.Batch) error { return nil }

func (p *plane) add(es ...feed.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(p.entries, es...)
	if p.hints {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *plane) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tails
}

func (p *plane) told() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.receipts)
}

func (p *plane) newest() feed.Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.receipts) == 0 {
		return feed.Receipt{}
	}
	return p.receipts[len(p.receipts)-1]
}

// gateway follows a plane within a synctest bubble.
type gateway struct {
	*feed.Follower
	applied []int64
	refuse  atomic.Int64 // the version that Apply does not take
}

func follow(t *testing.T, p *plane, from feed.Position) (*gateway, func()) {
	t.Helper()
	g := &gateway{}
	f, err := feed.NewFollower(feed.Options{
		Source: p, Environment: "live", Gateway: "g1", Key: public(), From: from,
		Apply: func(e feed.Entry) error {
			if e.Version == g.refuse.Load() {
				return errors.New("not now")
			}
			g.applied = append(g.applied, e.Version)
			return nil
		},
		Status: func() (int64, int64, string) { return 1, 2, "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Follower = f
	return g, running(t, f)
}

// running runs the follower until the function is called that it returns.
func running(t *testing.T, f *feed.Follower) func() {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestFollowerAppliesInOrderAndAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 5)
		p := newPlane(es[:3]...)
		g, stop := follow(t, p, feed.Position{})
		defer stop()
		synctest.Wait()
		<-g.CaughtUp()
		if d := cmp.Diff([]int64{1, 2, 3}, g.applied); d != "" {
			t.Error(d)
		}
		time.Sleep(20 * time.Millisecond) // receipts have a time between them
		began := time.Now()
		p.add(es[3], es[4])
		synctest.Wait()
		if d := cmp.Diff([]int64{1, 2, 3, 4, 5}, g.applied); d != "" || !time.Now().Equal(began) {
			t.Errorf("after %v:\n%s", time.Since(began), d)
		}
		want := feed.Receipt{Gateway: "g1", Environment: "live", Position: es[4].Position(), Revision: 1, Desired: 2, At: began.UTC()}
		if d := cmp.Diff(want, p.newest()); d != "" {
			t.Error(d)
		}
		if g.Position() != es[4].Position() || g.Trouble() != nil {
			t.Errorf("%v, %v", g.Position(), g.Trouble())
		}
	})
}

// Many changes at once become few receipts, the last of which says all.
func TestFollowerCoalescesReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 40)
		p := newPlane(es[:1]...)
		_, stop := follow(t, p, feed.Position{})
		defer stop()
		synctest.Wait()
		before := p.told()
		for _, e := range es[1:] {
			time.Sleep(time.Millisecond)
			p.add(e)
			synctest.Wait()
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if n := p.told() - before; n < 3 || n > 6 || p.newest().Position != es[39].Position() {
			t.Errorf("%d receipts, the last of %d", n, p.newest().Position.Seq)
		}
	})
}

func TestFollowerGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 4)
		p := newPlane(es...)
		g, stop := follow(t, p, es[1].Position())
		defer stop()
		synctest.Wait()
		if d := cmp.Diff([]int64{3, 4}, g.applied); d != "" {
			t.Error(d)
		}
	})
}

// A hint that never comes costs a poll, no more.
func TestFollowerPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 2)
		p := newPlane(es[:1]...)
		p.hints = false
		g, stop := follow(t, p, feed.Position{})
		defer stop()
		synctest.Wait()
		p.add(es[1])
		time.Sleep(time.Second)
		synctest.Wait()
		if d := cmp.Diff([]int64{1, 2}, g.applied); d != "" {
			t.Error(d)
		}
	})
}

func TestFollowerRefusesAndServesOn(t *testing.T) {
	es := chain(t, 4)
	fork := sealed(t, feed.Position{Epoch: 1, Seq: 2, Digest: "sha256:other"}, feed.Entry{Key: "gr_9", Version: 9})
	for name, c := range map[string]struct {
		next feed.Entry
		code string
	}{
		"a fork": {fork, "feed-forked"},
		"a gap":  {es[3], "feed-gap"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlane(es[:2]...)
				g, stop := follow(t, p, feed.Position{})
				defer stop()
				synctest.Wait()
				time.Sleep(20 * time.Millisecond)
				p.add(c.next)
				synctest.Wait()
				if got := fault.As(g.Trouble()); got.Code != c.code {
					t.Errorf("trouble is %v", g.Trouble())
				}
				if d := cmp.Diff([]int64{1, 2}, g.applied); d != "" {
					t.Error(d)
				}
				if r := p.newest(); r.Position != es[1].Position() || r.Trouble == "" {
					t.Errorf("the receipt does not tell: %+v", r)
				}
				before := p.asked()
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := p.asked() - before; n > 10 {
					t.Errorf("it asked %d times in a minute", n)
				}
				p.mu.Lock()
				p.entries = es
				p.mu.Unlock()
				time.Sleep(time.Minute)
				synctest.Wait()
				if d := cmp.Diff([]int64{1, 2, 3, 4}, g.applied); d != "" || g.Trouble() != nil {
					t.Errorf("once it is right again: %v\n%s", g.Trouble(), d)
				}
			})
		})
	}
}

// What Apply does not take is tried again, and nothing after it is applied before.
func TestFollowerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 3)
		p := newPlane(es...)
		g := &gateway{}
		g.refuse.Store(2)
		f, err := feed.NewFollower(feed.Options{Source: p, Environment: "live", Gateway: "g1", Key: public(), Apply: func(e feed.Entry) error {
			if e.Version == g.refuse.Load() {
				return errors.New("not now")
			}
			g.applied = append(g.applied, e.Version)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		end := running(t, f)
		synctest.Wait()
		if d := cmp.Diff([]int64{1}, g.applied); d != "" || f.Trouble() == nil {
			t.Errorf("%v\n%s", f.Trouble(), d)
		}
		select {
		case <-f.CaughtUp():
			t.Error("it says that it has caught up")
		default:
		}
		g.refuse.Store(0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if d := cmp.Diff([]int64{1, 2, 3}, g.applied); d != "" || f.Trouble() != nil {
			t.Errorf("%v\n%s", f.Trouble(), d)
		}
		end()
	})
}

// On a full disk what was revoked is refused all the same; it is acknowledged once it is kept, and the receipts say why not before.
func TestFollowerOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 5000)
		p := newPlane(es[:2]...)
		var full atomic.Bool
		var kept, synced int64
		var applied atomic.Int64
		f, err := feed.NewFollower(feed.Options{Source: p, Environment: "live", Gateway: "g1", Key: public(), Hinted: true,
			Apply: func(e feed.Entry) error { applied.Store(e.Seq); return nil },
			Keep: func(es []feed.Entry) error {
				if full.Load() {
					return fmt.Errorf("append: %w", syscall.ENOSPC)
				}
				if es[0].Seq > kept+1 {
					t.Errorf("entry %d is kept after %d", es[0].Seq, kept)
				}
				kept = es[len(es)-1].Seq
				return nil
			},
			Sync: func(at feed.Position) error {
				if at.Seq > kept {
					t.Errorf("entry %d is acknowledged and %d is kept", at.Seq, kept)
				}
				synced = at.Seq
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		end := running(t, f)
		synctest.Wait()
		full.Store(true)
		time.Sleep(20 * time.Millisecond)
		p.add(es[2])
		time.Sleep(time.Second)
		synctest.Wait()
		if r := p.newest(); applied.Load() != 3 || r.Position.Seq != 2 || !strings.Contains(r.Trouble, "no space left on device") {
			t.Errorf("entry %d is in force, and the receipt says %+v", applied.Load(), r)
		}
		p.add(es[3:]...) // what cannot be kept is bounded
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := applied.Load(); n < 4000 || n > 4096+1024 || p.newest().Position.Seq != 2 {
			t.Errorf("through entry %d is in force, %+v", n, p.newest())
		}
		full.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := p.newest(); applied.Load() != 5000 || kept != 5000 || synced != 5000 || r.Position.Seq != 5000 || r.Trouble != "" || f.Trouble() != nil {
			t.Errorf("once there is room: %d in force, %d kept, %d synced, %+v, %v", applied.Load(), kept, synced, r, f.Trouble())
		}
		end()
	})
}

// What cannot be made durable is not acknowledged, and receipts say so.
func TestFollowerThatCannotSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		es := chain(t, 3)
		p := newPlane(es[:2]...)
		var broken atomic.Bool
		f, err := feed.NewFollower(feed.Options{Source: p, Environment: "live", Gateway: "g1", Key: public(), Apply: func(feed.Entry) error { return nil },
			Sync: func(feed.Position) error {
				if broken.Load() {
					return syscall.EIO
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		end := running(t, f)
		time.Sleep(time.Second)
		broken.Store(true)
		p.add(es[2])
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := p.newest(); r.Position.Seq != 2 || !strings.Contains(r.Trouble, "input/output error") {
			t.Errorf("%+v", r)
		}
		broken.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := p.newest(); r.Position.Seq != 3 || r.Trouble != "" {
			t.Errorf("%+v", r)
		}
		end()
	})
}

// A gateway whose control plane is gone shows that it is there as soon as it is back, and in between every ten seconds.
func TestFollowerHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlane(chain(t, 1)...)
		_, stop := follow(t, p, feed.Position{})
		defer stop()
		time.Sleep(time.Minute + time.Second/2)
		synctest.Wait()
		if n := p.told(); n < 6 || n > 8 {
			t.Errorf("%d receipts in a minute", n)
		}
	})
}

func TestNewFollowerNeedsAll(t *testing.T) {
	if _, err := feed.NewFollower(feed.Options{}); err == nil {
		t.Error("a follower without a key was made")
	}
}
