package control_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

// forget forgets what is superseded and has so many entries after it, and returns how many entries that were.
func (r *regional) forget(name string, newest int64, before time.Time) (gone int) {
	r.t.Helper()
	for done := false; !done; {
		err := r.store.Update(r.ctx, func(tx store.Tx) error {
			head, err := tx.Head(r.ctx, name)
			if err != nil {
				return err
			}
			n := 0
			n, done, err = tx.Forget(r.ctx, name, head.Seq-newest, before, 7)
			gone += n
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.Control = control.New(r.Options) // which has no newest entries in memory
	return gone
}

// Wherever a gateway is when old entries are forgotten, before them, among them, at the edge or after them, it comes to hold what it
// held before, and nothing that was revoked counts again.
func TestForgottenEntriesChangeNothing(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := newRegional(t)
			chance := rand.New(rand.NewPCG(seed, 150))
			must(r.AddRegion(r.ctx, r.operator, "live", "eu", "the contract"))(t)
			r.sequence()
			feeds := []string{"live", env.FeedOf("live", "eu")}
			later := r.clock.Now().Add(time.Hour)
			gone, renewed := 0, 0
			var gs []*abroad // that stand wherever they came to stand
			for step := range 60 {
				n := chance.IntN(len(r.partners))
				k := r.keys[chance.IntN(len(r.keys))]
				var err error
				switch chance.IntN(5) {
				case 0:
					r.keys = append(r.keys, r.world.key(r.partners[n], r.apps[n], "live"))
				case 1:
					_, err = r.RevokeCredential(r.ctx, r.admin, k.ID, 0, "leaked")
				case 2:
					_, err = r.SuspendCredential(r.ctx, r.admin, k.ID, 0, "looked at")
				case 3:
					_, err = r.ResumeCredential(r.ctx, r.admin, k.ID, 0, "fine")
				case 4:
					err = r.pin(n, []string{"", "eu"}[chance.IntN(2)])
				}
				if err != nil && fault.KindOf(err) != fault.Conflict {
					t.Fatal(step, err)
				}
				r.sequence()
				name := feeds[chance.IntN(2)]
				if chance.IntN(3) == 0 {
					g := r.gateway(name)
					g.follow()
					gs = append(gs, g)
				}
				if chance.IntN(4) == 0 {
					gone += r.forget(name, int64(chance.IntN(8)), later)
				}
				if len(gs) > 0 && chance.IntN(3) == 0 {
					g := gs[chance.IntN(len(gs))]
					g.follow()
					g.check(fmt.Sprintf("step %d", step), false)
				}
			}
			for _, name := range feeds {
				gone += r.forget(name, 0, later)
			}
			for _, g := range append(gs, r.gateway(feeds[0]), r.gateway(feeds[1])) {
				g.follow()
				g.check("in the end", false)
				g.anew()
				g.check("from an image in the end", true)
				renewed += g.renewals
			}
			if gone < 20 || renewed < 2 {
				t.Errorf("only %d entries were forgotten, and %d gateways had to begin anew", gone, renewed)
			}
		})
	}
}

// What was forgotten still tells a gateway of another history from one that was away, and where a change is in force.
func TestWhatIsForgottenLeavesItsPlace(t *testing.T) {
	r := newRegional(t)
	k := r.keys[0]
	for range 3 {
		must(r.SuspendCredential(r.ctx, r.admin, k.ID, 0, "looked at"))(t)
		must(r.ResumeCredential(r.ctx, r.admin, k.ID, 0, "fine"))(t)
	}
	r.sequence()
	all := must(r.Source().Tail(r.ctx, "live", feed.Position{}, 1000))(t)
	if n := r.forget("live", 0, r.clock.Now().Add(-time.Hour)); n != 0 {
		t.Errorf("%d young ones were forgotten", n)
	}
	n := r.forget("live", 1, r.clock.Now().Add(time.Hour))
	if n < 5 {
		t.Fatalf("%d of %d were forgotten", n, len(all))
	}
	last := all[len(all)-1].Seq
	renewed := 0
	for _, e := range all[:len(all)-1] {
		es, err := r.Control.Source().Tail(r.ctx, "live", e.Position(), 1000)
		switch {
		case fault.As(err).Code == "feed-renewed":
			renewed++
		case err != nil:
			t.Fatal(err)
		case int64(len(es)) != last-e.Seq:
			t.Errorf("after %d come %d entries of %d", e.Seq, len(es), last-e.Seq)
		}
		at := e.Position()
		at.Digest = "sha256:another"
		_, err = r.Control.Source().Tail(r.ctx, "live", at, 1000)
		wants(t, "another history", err, fault.Conflict, "feed-forked")
		must(r.InForceAt(r.ctx, r.admin, "live", e.Seq))(t)
	}
	if renewed < n {
		t.Errorf("%d are told to begin anew", renewed)
	}
	if n := r.forget("live", 1, r.clock.Now().Add(time.Hour)); n != 0 {
		t.Errorf("%d were forgotten a second time", n)
	}
}
