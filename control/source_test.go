package control

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

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
	var stages *Stages
	at := func(e feed.Entry) InForce {
		f := p.source.inForce("live", e.Seq, e.Committed)
		f.Stages, stages = nil, f.Stages
		return f
	}
	if d := cmp.Diff(InForce{Environment: "live", Seq: 1, Committed: one.Committed, Gateways: 2, Done: 1, Last: 5 * time.Millisecond, LastMS: 5, Waiting: []string{"b"}}, at(one)); d != "" {
		t.Error(d)
	}
	if s := stages; s == nil || s.Numbered <= 0 || s.FirstReceipt != 5 || s.Counted < s.Numbered || s.FirstSent != 0 {
		t.Errorf("it went through %+v", s)
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

// watched counts the reads of a store.
type watched struct {
	store.Store
	reads int
}

func (w *watched) View(ctx context.Context, fn func(store.Tx) error) error {
	w.reads++
	return w.Store.View(ctx, fn)
}

// A process that does not number reads what is new once, for all gateways that follow it there; what they are given is what the feed holds.
func TestTailsOfAnotherProcessComeFromMemory(t *testing.T) {
	p := newPlant(t, "live")
	p.must(p.write(grantRow("live", "gr_1", 1)))
	p.drain()
	st := &watched{Store: p.store}
	s := newSource(st, p.source.now, p.source.log)
	q := newSequencer(st, nil, s, p.source.now, p.source.log)
	look := func() {
		t.Helper()
		if _, err := q.look(p.ctx); err != nil {
			t.Fatal(err)
		}
	}
	tail := func(after feed.Position) []feed.Entry {
		t.Helper()
		es, err := s.Tail(p.ctx, "live", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		return es
	}
	look()
	if len(s.environments["live"].recent) > 0 {
		t.Error("what no gateway follows here is remembered")
	}
	at := tail(feed.Position{})[0].Position()
	look()
	for round := range 3 {
		for v := range 5 {
			p.must(p.write(grantRow("live", "gr_1", int64(2+5*round+v))))
		}
		p.drain()
		look()
		st.reads = 0
		var got []feed.Entry
		for range 100 {
			got = tail(at)
		}
		if st.reads > 0 || len(got) != 5 {
			t.Errorf("a hundred gateways cost %d reads and get %d entries", st.reads, len(got))
		}
		if d := cmp.Diff(p.entries("live")[1+5*round:], got); d != "" {
			t.Error(d)
		}
		at = got[len(got)-1].Position()
	}
	// More than is worth remembering while nobody looked: it is read as ever, and what comes then is remembered again.
	for v := range keptEntries/8 + 10 {
		p.must(p.write(grantRow("live", "gr_2", int64(v+1))))
	}
	p.drain()
	look()
	if es := tail(at); len(es) != 100 || es[0].Previous != at.Digest {
		t.Errorf("%d entries after a while", len(es))
	}
	if n := len(s.environments["live"].recent); n != keptEntries/8 {
		t.Errorf("%d are remembered", n)
	}
	if _, err := s.Tail(p.ctx, "live", feed.Position{Epoch: at.Epoch, Seq: at.Seq, Digest: "another"}, 10); !errors.Is(err, fault.Conflict) {
		t.Errorf("a position of another history: %v", err)
	}
}

// A gateway that was drained is waited for by no process: not by one that begins later, nor by one that did not drain it.
func TestADrainedGatewayIsWaitedForNowhere(t *testing.T) {
	p := newPlant(t, "live")
	now := p.source.now()
	put := func(i string, state fleet.State) {
		t.Helper()
		err := p.store.Update(p.ctx, func(tx store.Tx) error {
			at := feed.Receipt{Gateway: "a", Environment: "live", Position: feed.Position{Epoch: 1, Seq: 1, Digest: "d"}, At: now}
			if err := tx.PutReceipt(p.ctx, at); err != nil {
				return err
			}
			_, err := tx.PutGateway(p.ctx, fleet.Gateway{ID: id.ID("gw_" + strings.Repeat("0", 25) + i), Environment: "live", Name: "a", State: state,
				Key: strings.Repeat(i, 64), Created: now, Expires: now.Add(time.Hour)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s := newSource(p.store, p.source.now, p.source.log)
	for _, step := range []struct {
		i     string
		state fleet.State
		want  int
	}{{"1", fleet.Drained, 0}, {"2", fleet.Active, 1}} {
		put(step.i, step.state)
		for _, of := range []*source{s, newSource(p.store, p.source.now, p.source.log)} {
			if err := of.learn(p.ctx); err != nil {
				t.Fatal(err)
			}
			if f := of.inForce("live", 1, now); f.Gateways != step.want || len(of.counted("live", now)) != step.want {
				t.Errorf("after one that is %s: %+v", step.state, f)
			}
		}
	}
}
