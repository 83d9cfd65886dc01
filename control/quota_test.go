package control_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/ratelimit"
)

// metered is a world with a grant on a plan of a thousand requests a day.
func metered(t *testing.T) (f *fed, own, stranger identity.Actor, grant id.ID) {
	w := newWorld(t).published()
	b := bundle()
	b["gatehouse.yaml"] = bytes.Replace(b["gatehouse.yaml"], []byte("name: free"), []byte("name: free, quotas: [1000/day, 20000/month]"), 1)
	must(w.Publish(w.ctx, w.operator, "live", b, "with quotas"))(t)
	own, stranger = w.verified("First", "first@example.org"), w.verified("Second", "second@example.org")
	g := w.grantOf(must(w.RequestAccess(w.ctx, own, ask(w.application(own, "app"), "live", "reading", "free")))(t))
	return feeding(w), own, stranger, g.ID
}

var errOver = errors.New("this life is over")

// counting is a gateway's counter, which tells through its connection.
type counting struct {
	f     *fed
	to    *link.Client
	life  string
	begun int64
	alone bool
	grant id.Bits
	q     *ratelimit.Quotas
}

func (f *fed) counting(name, life string, grant id.ID) *counting {
	f.t.Helper()
	c := f.connect(f.enrol("live", name), nil)
	_, _ = c.Tail(f.ctx, "live", feed.Position{}, 1) // it begins to connect
	bits, _ := grant.Bits(id.Grant)
	begun, _ := strconv.ParseInt(life, 10, 64)
	g := &counting{f, c, life, begun, true, bits, ratelimit.NewQuotas()}
	f.eventually(name+" is connected", func() bool { return g.tell() == nil })
	return g
}

func (g *counting) call(times int) (passed int) {
	g.f.t.Helper()
	qs := []ratelimit.Quota{must(ratelimit.ParseQuota("1000/day"))(g.f.t), must(ratelimit.ParseQuota("20000/month"))(g.f.t)}
	for range times {
		if _, ok := g.q.Spend(g.grant, qs, g.f.clock.Now(), nil); ok {
			passed++
		}
	}
	return passed
}

func (g *counting) tell() error {
	told := g.q.Untold(10)
	ts := feed.Tallies{Environment: "another", Gateway: "another", Life: g.life, Begun: g.begun, Alone: g.alone}
	for _, t := range told {
		ts.Tallies = append(ts.Tallies, feed.Tally{Grant: id.Bits(t.Key).ID(id.Grant), Period: string(t.Period), From: t.From.Unix(), Calls: t.Calls})
	}
	got, err := g.to.Tally(g.f.ctx, ts)
	if err == nil && got.Over > 0 {
		return errOver
	}
	if err == nil {
		for i, t := range told {
			g.q.Told(t, got.Others[i])
		}
	}
	return err
}

func (g *counting) must() {
	g.f.t.Helper()
	if err := g.tell(); err != nil {
		g.f.t.Fatal(err)
	}
}

// Three gateways that tell each second let through no more than the quota and what the others did in that second; one that is
// lost loses what it had not told, one that begins anew knows what was used, and the next day begins at nothing.
func TestQuotaOfManyGateways(t *testing.T) {
	f, a, _, grant := metered(t)
	gs := []*counting{f.counting("a", "1", grant), f.counting("b", "1", grant), f.counting("c", "1", grant)}
	passed := 0
	const each = 30 // calls at each gateway in a second
	for range 20 {
		for _, g := range gs {
			passed += g.call(each)
		}
		for _, g := range gs {
			g.must()
		}
	}
	if over := passed - 1000; over < 0 || over > len(gs)*each {
		t.Errorf("%d passed a quota of 1000: at most %d more may", passed, len(gs)*each)
	}
	of := func() []control.Quota { return must(f.GrantQuotas(f.ctx, a, grant))(t) }
	if q := of(); len(q) != 2 || q[0].Used != int64(passed) || q[0].Remaining != 0 || q[1].Used != int64(passed) || q[1].Remaining != 20000-int64(passed) ||
		!q[0].Resets.Equal(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)) || !q[1].Resets.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", q)
	}

	again := f.counting("a", "2", grant) // the first one was killed, with a second of calls that it had not told
	more := again.call(each)
	again.must()
	if more += again.call(100); more > each {
		t.Errorf("a gateway that began anew lets %d more through", more)
	}
	for range 2 { // told twice, it counts once
		if q := of(); q[0].Used != int64(passed+more) {
			t.Errorf("used %d, want %d", q[0].Used, passed+more)
		}
		again.must()
	}
	f.clock.pass(12 * time.Hour)
	if n := gs[1].call(10); n != 10 {
		t.Errorf("on the next day %d of 10 pass", n)
	}
	gs[1].must()
	if q := of(); q[0].Used != 10 || q[1].Used != int64(passed+more+10) {
		t.Errorf("on the next day %+v", q)
	}
}

// Nothing is taken of a life of a gateway after a later one was alone: what it has told is part of one sum, and would count twice.
func TestWordsOfALifeThatIsOverAreRefused(t *testing.T) {
	f, a, _, grant := metered(t)
	g := f.counting("a", "1", grant)
	g.call(10)
	g.must()
	next := &counting{f, g.to, "2", 2, false, g.grant, ratelimit.NewQuotas()} // handed over to: both count for a while
	next.call(5)
	next.must()
	g.call(1)
	g.must()
	next.alone = true
	next.call(1)
	next.must()
	g.call(1)
	for range 2 {
		if err := g.tell(); !errors.Is(err, errOver) {
			t.Errorf("what an ended life says: %v", err)
		}
	}
	if q := must(f.GrantQuotas(f.ctx, a, grant))(t); q[0].Used != 17 || q[1].Used != 17 {
		t.Errorf("%+v", q)
	}
}

// While the control plane is away each gateway goes on with what it knows: all of them together let through at most so many
// times what was left. What was counted meanwhile is told afterwards.
func TestQuotaWithoutControl(t *testing.T) {
	f, a, _, grant := metered(t)
	g, h := f.counting("a", "1", grant), f.counting("b", "1", grant)
	passed := g.call(400) + h.call(400)
	g.must()
	h.must()
	g.call(1)
	g.must() // now both know of the other
	away := g.call(5000) + h.call(5000)
	if away > 2*200 || away < 200 {
		t.Errorf("%d passed without the control plane, of which 200 were left", away)
	}
	g.must()
	h.must()
	if q := must(f.GrantQuotas(f.ctx, a, grant))(t); q[0].Used != int64(passed+away+1) {
		t.Errorf("%d are known to be used, want %d", q[0].Used, passed+away+1)
	}
}

func TestTalliesAreChecked(t *testing.T) {
	f, a, stranger, grant := metered(t)
	day := f.clock.Now().UTC().Truncate(24 * time.Hour).Unix()
	good := feed.Tally{Grant: grant, Period: "day", From: day, Calls: 1}
	c := f.connect(f.enrol("test", "a"), nil)
	_, _ = c.Tail(f.ctx, "test", feed.Position{}, 1)
	tell := func(ts ...feed.Tally) error {
		_, err := c.Tally(f.ctx, feed.Tallies{Environment: "live", Gateway: "b", Life: "1", Tallies: ts})
		return err
	}
	f.eventually("it is connected", func() bool { return tell() == nil })
	for name, bad := range map[string]feed.Tally{
		"no grant":      {Grant: "x", Period: "day", From: day, Calls: 1},
		"no period":     {Grant: grant, Period: "week", From: day, Calls: 1},
		"no beginning":  {Grant: grant, Period: "day", From: day + 1, Calls: 1},
		"no month's":    {Grant: grant, Period: "month", From: day, Calls: 1},
		"nothing":       {Grant: grant, Period: "day", From: day},
		"less":          {Grant: grant, Period: "day", From: day, Calls: -1},
		"tomorrow":      {Grant: grant, Period: "day", From: day + 86400, Calls: 1},
		"too long over": {Grant: grant, Period: "day", From: day - 100*86400, Calls: 1},
	} {
		if err := tell(good, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tell(make([]feed.Tally, feed.MaxTallies+1)...); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too many: %v", err)
	}
	if err := tell(good); err != nil {
		t.Fatal(err)
	}
	if q := must(f.GrantQuotas(f.ctx, a, grant))(t); q[0].Used != 0 {
		t.Errorf("a gateway of another environment counted in live: %+v", q)
	}
	_, err := f.GrantQuotas(f.ctx, stranger, grant)
	wants(t, "another organization", err, fault.NotFound, "")
}
