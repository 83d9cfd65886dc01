package control_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// changes writes so many changes to the feed of live, and numbers them.
func (w *world) changes(n int) {
	w.t.Helper()
	for range n {
		c := feed.Change{Environment: "live", Kind: feed.KindApplication, Key: string(id.New(id.Application, w.clock.Now())), Version: 1, Payload: []byte(`{}`), Committed: w.clock.Now()}
		if err := w.store.Update(w.ctx, func(tx store.Tx) error { return tx.AppendChange(w.ctx, c) }); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.Sequence(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// A control plane whose feed is read of a copy of the database from before two changes: what is believed of the copy, what gateways that
// are behind it, ahead of it or of another history are told, and of when heartbeats and images are.
func TestFeedOfAReplica(t *testing.T) {
	w := newWorld(t)
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live"}); err != nil {
		t.Fatal(err)
	}
	w.changes(3)
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := w.store.Backup(w.ctx, file); err != nil {
		t.Fatal(err)
	}
	copied := must(sqldb.OpenSQLite(w.ctx, file, sqldb.Options{}))(t)
	t.Cleanup(func() { _ = copied.Close() })
	w.changes(2)
	all := w.fed("live")
	o := w.Control.Options
	o.Replica, o.FeedKey, o.Images = copied, o.Keys.(keys).feed.Public().(ed25519.PublicKey), t.TempDir()
	near := control.New(o)
	plane := near.Plane()
	g := fleet.Gateway{ID: id.New(id.Gateway, w.clock.Now()), Environment: "live", Name: "one"}

	looks := func(code string) {
		t.Helper()
		err := control.LookAtReplica(w.ctx, near)
		if code == "" && err != nil || code != "" && (err == nil || fault.As(err).Code != code) {
			t.Fatalf("a look says %v, not %q", err, code)
		}
		word, wrong := plane.Word(w.ctx, feed.Heartbeat, g)
		if _, tail := plane.Tail(w.ctx, "live", feed.Position{}, 10); wrong != nil || (tail != nil) != (err != nil) || (len(word.Word) == 0) != (err != nil) {
			t.Errorf("after %v the tail says %v, and the heartbeat is %s, %v", err, tail, word.Word, wrong)
		}
	}
	of := w.clock.Now().Add(-42 * time.Second)
	clock := func(c feed.Clock, key ed25519.PrivateKey) {
		t.Helper()
		s := must(c.Say(func(d string) []byte { return feed.Sign(key, d) }))(t)
		if err := copied.Update(w.ctx, func(tx store.Tx) error { return tx.PutFeedClock(w.ctx, s) }); err != nil {
			t.Fatal(err)
		}
	}
	at := func(n int) map[string]feed.Position { return map[string]feed.Position{"live": all[n-1].Position()} }
	looks("replica-timeless")
	clock(feed.Clock{At: of, Feeds: at(3)}, newKeys(t).feed)
	looks("clock-unsigned")
	clock(feed.Clock{At: of, Feeds: at(5)}, o.Keys.(keys).feed)
	looks("feed-forked") // what it says to have is not there
	clock(feed.Clock{At: of, Feeds: at(3)}, o.Keys.(keys).feed)
	looks("")

	var said feed.Word
	if err := json.Unmarshal(must(plane.Word(w.ctx, feed.Heartbeat, g))(t).Word, &said); err != nil {
		t.Fatal(err)
	}
	if !said.At.Equal(of) || said.Age < 42*time.Second || said.Position != all[2].Position() {
		t.Errorf("the heartbeat says %+v", said)
	}
	if es := must(plane.Tail(w.ctx, "live", all[0].Position(), 10))(t); len(es) != 2 {
		t.Errorf("%d entries follow the first one", len(es))
	}
	other := func(n int) feed.Position {
		p := all[n-1].Position()
		p.Digest = all[0].Digest
		return p
	}
	for name, c := range map[string]struct {
		at   feed.Position
		code string
	}{"where it is": {all[2].Position(), ""}, "ahead": {all[4].Position(), ""}, "of another history": {other(2), "feed-forked"}, "ahead in another history": {other(5), "feed-forked"}} {
		es, err := plane.Tail(w.ctx, "live", c.at, 10)
		if len(es) > 0 || c.code == "" && err != nil || c.code != "" && (err == nil || fault.As(err).Code != c.code) {
			t.Errorf("%s: %d entries, %v", name, len(es), err)
		}
		r := feed.Receipt{Gateway: name, Environment: "live", Position: c.at, At: w.clock.Now()}
		if err := plane.Acknowledge(w.ctx, r); (err == nil) != (c.code == "") {
			t.Errorf("%s: the receipt: %v", name, err)
		}
		if got := plane.Said("live", name).Position; (got == c.at) != (c.code == "") {
			t.Errorf("%s: it has said %+v", name, got)
		}
	}
	if _, err := plane.Image(w.ctx, "live", int(disk.Packed), 5); err == nil || fault.As(err).Code != "replica-behind" {
		t.Errorf("an image from before what a gateway has had: %v", err)
	}
	f := must(os.Open(must(plane.Image(w.ctx, "live", int(disk.Texts), 3))(t)))(t)
	defer f.Close()
	if img := must(disk.ReadImage(f, "live", o.FeedKey, func(feed.Entry) error { return nil }))(t); !img.Made.Equal(of) || img.Position != all[2].Position() {
		t.Errorf("the image is %+v", img)
	}

	// Somebody writes to the copy.
	o.Store, o.Replica = copied, nil
	(&world{t: t, ctx: w.ctx, store: copied, clock: w.clock, Control: control.New(o)}).changes(1)
	looks("feed-forked")
	looks("feed-forked")
	if s, ok := near.ReplicaStanding(); !ok || s.Err == nil || fmt.Sprint(s.Age) == "0s" {
		t.Errorf("it stands %+v, %v", s, ok)
	}
}
