package main_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/secret"
	"gatehouse/store/pgtest"
)

// far is a second control plane process of the fleet, whose feed is read of a standby of the database.
type far struct {
	*sites
	primary, standby *pgtest.Server
	of               secret.Value // the database, as the standby has it
	line             *cable       // between the process and the database that is written
	feed             string
	process          *victim
	operations       string
}

// newFar starts a fleet with a process that reads a standby. changes are of the manifest, as of newSitesOn.
func newFar(t *testing.T, changes ...string) *far {
	t.Helper()
	start := func(s *pgtest.Server, err error) *pgtest.Server {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	primary := start(pgtest.Start("-c", "fsync=off"))
	database, err := primary.Database()
	if err != nil {
		t.Fatal(err)
	}
	standby := start(primary.Standby("-c", "fsync=off"))
	f := &far{sites: newSitesOn(t, t.TempDir(), "127.0.0.1", database.Reveal(), changes...), primary: primary, standby: standby, of: standby.At(database)}
	if f.feed, err = freeAddress("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(f.dir, "far-data", "keys")
	err = os.CopyFS(keys, os.DirFS(filepath.Join(f.dir, "control-data", "keys")))
	for _, k := range []string{"feed", "checkpoint"} {
		err = errors.Join(err, os.Chmod(filepath.Join(keys, k), 0o600))
	}
	at, e := url.Parse(database.Reveal())
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	f.line = newCable(t, "127.0.0.1:0", at.Host)
	at.Host = f.line.at()
	f.database = database.Reveal()
	var ready struct{ Operations string }
	f.process, err = f.launch("far", &ready, []string{"GATEHOUSE_DATABASE=" + at.String(), "GATEHOUSE_FEED_DATABASE=" + f.of.Reveal()}, "control", "-o", "json", "--dev", "--data", "far-data", "--feed", f.feed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.process.kill)
	f.operations = ready.Operations
	return f
}

// joins enrols a gateway and starts it at the feed of that address.
func (f *far) joins(name, feed string) *site {
	f.Helper()
	g := &site{s: f.sites, name: name, data: name + "-data", cable: newCable(f.T, "127.0.0.1:0", feed)}
	f.all[name] = g
	g.start("GATEHOUSE_FEED_TOKEN=" + f.enrol("live", name))
	return g
}

// on runs a statement on the standby.
func (f *far) on(statement string) {
	f.Helper()
	if err := f.standby.Do(context.Background(), statement); err != nil {
		f.Fatal(err)
	}
}

// said reports whether the log of the process says so.
func (f *far) said(text string) bool {
	b, err := os.ReadFile(filepath.Join(f.dir, "far.log"))
	if err != nil {
		f.Fatal(err)
	}
	return strings.Contains(string(b), text)
}

// A gateway follows the feed of a standby: what is revoked reaches it and its receipt the database that is written, also when that was
// away meanwhile. One that knows more than the standby waits for it. A promoted one is not followed.
func TestGatewayBehindAStandby(t *testing.T) {
	f := newFar(t)
	near, behind := f.join("near"), f.joins("behind", f.feed)
	id, key := f.issue()
	near.comes(key, http.StatusOK)
	behind.comes(key, http.StatusOK)
	f.revoke(id)
	behind.comes(key, http.StatusUnauthorized)
	f.inForceOn(id, 2)

	// The process loses the database that is written.
	f.line.set(cut)
	id, key = f.issue()
	behind.comes(key, http.StatusOK)
	f.revoke(id)
	behind.comes(key, http.StatusUnauthorized)
	if _, done, waiting := f.waits(id); done > 1 || !slices.Contains(waiting, "behind") {
		t.Errorf("%d have it in force, and %v are waited for", done, waiting)
	}
	f.line.set(whole)
	f.inForceOn(id, 2)

	// A gateway that knows more comes.
	f.on(`SELECT pg_wal_replay_pause()`)
	id, key = f.issue()
	near.comes(key, http.StatusOK)
	f.inForceOn(id, 1)
	near.kill()
	near.cable = newCable(t, "127.0.0.1:0", f.feed)
	near.start()
	f.trouble("near", "it waits")
	if got := near.call(key); got != http.StatusOK {
		t.Errorf("the gateway that waits answers %d", got)
	}
	if got := behind.call(key); got != http.StatusUnauthorized {
		t.Errorf("the standby that was halted tells what came later: %d", got)
	}
	f.on(`SELECT pg_wal_replay_resume()`)
	f.eventually("nothing is wrong with near", func() bool { g := f.stands("near"); return g.Connected && g.Behind == 0 && len(g.Trouble) == 0 })
	f.revoke(id)
	near.comes(key, http.StatusUnauthorized)
	behind.comes(key, http.StatusUnauthorized)
	f.inForceOn(id, 2)

	f.on(`SELECT pg_promote()`)
	f.eventually("the promoted one is refused", func() bool { return f.said("is no standby") })
	f.refused("behind", "standby-promoted")
}

// Behind a standby that stands still a product's offline bound runs out as without a control plane, although the process that
// reads it is there and says so; what is wrong is seen everywhere, and all is well again once the standby goes on.
func TestOfflineBoundBehindAStandbyThatStandsStill(t *testing.T) {
	const bound = 15 * time.Second
	f := newFar(t, "operations: [{ api: echo }]", "operations: [{ api: echo }]\n    max_offline: "+bound.String())
	near, behind := f.join("near"), f.joins("behind", f.feed)
	id, key := f.issue()
	near.comes(key, http.StatusOK)
	behind.comes(key, http.StatusOK)
	f.inForceOn(id, 2)

	f.on(`SELECT pg_wal_replay_pause()`)
	paused := time.Now()
	f.revoke(id)
	near.comes(key, http.StatusUnauthorized)
	f.trouble("behind", "behind, of ")
	if !f.said("the replica that gateways follow is behind") {
		t.Error("the log does not say that the replica is behind")
	}
	behind.comes(key, http.StatusServiceUnavailable)
	if took := time.Since(paused); took < bound/2 {
		t.Errorf("the bound of %s ran out after %s", bound, took)
	}
	if g := f.stands("behind"); !g.Connected {
		t.Error("the gateway is not connected any more")
	}
	f.age(func(seconds float64) bool { return seconds > 10 })

	f.on(`SELECT pg_wal_replay_resume()`)
	behind.comes(key, http.StatusUnauthorized)
	f.inForceOn(id, 2)
	f.eventually("nothing is wrong any more", func() bool { return len(f.stands("behind").Trouble) == 0 })
	f.age(func(seconds float64) bool { return seconds < 10 })
}

// age waits until the metric of how old the replica is holds.
func (f *far) age(holds func(seconds float64) bool) {
	f.Helper()
	said := ""
	f.eventually("the metric says how old the replica is", func() bool {
		res, err := http.Get(f.operations + "/metrics")
		if err != nil {
			f.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			f.Fatal(err)
		}
		_, after, found := strings.Cut(string(b), "\ngatehouse_replica_age_seconds ")
		said, _, _ = strings.Cut(after, "\n")
		seconds, err := strconv.ParseFloat(said, 64)
		return found && err == nil && holds(seconds)
	})
}

// What is no standby of the database is refused at the start, with the reason.
func TestFeedDatabaseThatIsNoStandbyIsRefused(t *testing.T) {
	primary, err := pgtest.Start("-c", "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Stop)
	database, err := primary.Database()
	if err != nil {
		t.Fatal(err)
	}
	k := &killed{T: t, dir: t.TempDir()}
	for name, c := range map[string]struct{ database, feed, says string }{
		"itself":  {database.Reveal(), database.Reveal(), "it can be written"},
		"another": {database.Reveal(), pgtest.Database(t).Reveal(), "it can be written"},
		"SQLite":  {"", database.Reveal(), "/feed/database"},
	} {
		v, err := k.launch(name, new(struct{}), []string{"GATEHOUSE_DATABASE=" + c.database, "GATEHOUSE_FEED_DATABASE=" + c.feed}, "control", "-o", "json", "--dev", "--data", name, "--feed", "127.0.0.1:0")
		if err == nil {
			v.kill()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
