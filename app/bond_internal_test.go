package app

import (
	"crypto/ed25519"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
	"gatehouse/id"
)

// A heartbeat of a replica counts from when that is, restarts included: one that stands still lengthens nothing, one that is behind
// takes nothing back that was heard before, and a clock that was ahead meanwhile gains nothing.
func TestHeartbeatOfAReplicaCountsFromWhenThatIs(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	began := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	watch := &setClock{shows: began}
	who := link.Identity{Joined: link.Joined{ID: id.New(id.Gateway, began), Name: "one", Environment: "live"}}
	dir := filepath.Join(t.TempDir(), "live")
	var d *disk.Disk
	var b *bond
	open := func() {
		t.Helper()
		var err error
		if d, err = disk.Open(dir, "live", public); err != nil {
			t.Fatal(err)
		}
		b = newBond(d, "live", who, public, time.Hour, watch.read, slog.New(slog.DiscardHandler))
	}
	hear := func(age time.Duration) {
		t.Helper()
		shows, _ := watch.read()
		w := feed.Word{Kind: feed.Heartbeat, Environment: "live", Gateway: who.ID, At: shows.Add(-age), Age: age, MaxOffline: time.Hour}
		s, err := feed.Say(w, func(digest string) []byte { return feed.Sign(key, digest) })
		if err != nil {
			t.Fatal(err)
		}
		b.heard(w, s)
	}
	offline := func(want time.Duration) {
		t.Helper()
		if got := b.standing().Offline; got != want {
			t.Errorf("it counts %v, not %v", got, want)
		}
	}
	open()
	defer func() { _ = d.Close() }()
	hear(0)
	offline(0)
	for range 10 { // the replica stands still
		watch.pass(time.Minute)
		age := b.standing().Offline
		hear(age)
		offline(age)
	}
	hear(time.Hour) // another one, further behind
	offline(10 * time.Minute)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	offline(10 * time.Minute)
	hear(2 * time.Second)
	offline(2 * time.Second)
	watch.set(24 * time.Hour)
	hear(0)
	watch.set(-24 * time.Hour)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	hear(time.Minute)
	if got := b.standing().Offline; got < time.Minute {
		t.Errorf("after the clock was ahead it counts %v", got)
	}
}
