//go:build compat

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/store/pgtest"
)

// of does something with the program of the release before in place of this one.
func (k *killed) of(program string, do func()) {
	k.program = program
	do()
	k.program = ""
}

// drains takes an active gateway out of the fleet.
func (s *sites) drains(name string) {
	s.Helper()
	g := s.stands(name)
	s.must("POST", "/api/gateways/"+string(g.ID)+"/drain", s.admin, map[string]any{"reason": "the test goes on without it"}, nil)
	s.all[name].kill()
}

// Processes of the last release without regions beside those of this one, on one PostgreSQL and in one fleet: without regions each
// serves the other's gateways; from the first region on the older control process numbers nothing and a gateway of a region takes
// nothing from it, nothing is lost by that, and it does not start again. Real processes: GATEHOUSE_BEFORE is the older program, which
// `make compat` builds from the history, and with it this test (build tag compat). What it sends to the database and over the feed is in tests of store/sqldb and feed/link.
func TestReleaseBeforeBesideThisOne(t *testing.T) {
	before := os.Getenv("GATEHOUSE_BEFORE")
	if before == "" {
		t.Fatal("GATEHOUSE_BEFORE names no program of the release before: make compat builds one")
	}
	database, err := pgtest.Address()
	if err != nil {
		t.Fatal(err)
	}
	s := newSitesOn(t, t.TempDir(), "127.0.0.1", database.Reveal())
	feed, err := freeAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(s.dir, "old-data", "keys"), os.DirFS(filepath.Join(s.dir, "control-data", "keys"))); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(s.dir, "old-data", "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := os.Chmod(k, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var older struct{ Portal string }
	startOlder := func() (*victim, error) {
		return s.launch("older", &older, []string{"GATEHOUSE_DATABASE=" + database.Reveal()}, "control", "-o", "json", "--dev", "--data", "old-data", "--feed", feed)
	}
	var old *victim
	s.of(before, func() {
		if old, err = startOlder(); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(old.kill)
	join := func(name, at string) *site {
		g := &site{s: s, name: name, data: name + "-data", cable: newCable(t, "127.0.0.1:0", at)}
		s.all[name] = g
		g.start("GATEHOUSE_FEED_TOKEN=" + s.enrol("live", name))
		return g
	}

	// Without regions, each with the other.
	var olds *site
	s.of(before, func() { olds = join("old-1", s.feed) })
	news := join("new-1", feed)
	i, key := s.issue()
	olds.comes(key, 200)
	news.comes(key, 200)
	s.revoke(i)
	olds.comes(key, 401)
	news.comes(key, 401)
	s.inForceOn(i, 2)
	s.drains("old-1")
	s.drains("new-1")

	// The first region, while the older control process runs on.
	s.must("POST", "/api/environments/live/regions", s.admin, map[string]string{"region": "eu", "reason": "its contract names the EU"}, nil)
	eu := s.joinIn("eu", "fra-1")
	s.pin("eu")
	first, kept := s.issue()
	eu.comes(kept, 200)

	// It is alone now: what it commits waits, and the gateway of the region takes nothing from it and goes on.
	s.control.kill()
	eu.kill()
	eu.cable = newCable(t, "127.0.0.1:0", feed)
	eu.start()
	portal := s.portal
	s.portal = older.Portal
	waiting, late := s.issue()
	log := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(s.dir, name+".log")) // one that is not there says nothing
		return string(b)
	}
	s.eventually("the older one says why it numbers nothing", func() bool {
		return strings.Contains(log("older"), "knows no regions, and there are some: stop this process")
	})
	s.eventually("the gateway says why it takes nothing", func() bool { return strings.Contains(log("fra-1"), "upgrade the control plane first") })
	eu.comes(kept, 200)
	if got := eu.call(late); got != 401 {
		t.Errorf("a key that nothing has numbered is answered %d", got)
	}

	// This release comes back: it numbers what waited, for the region too.
	eu.kill()
	s.portal = portal
	s.startControl()
	eu.cable = newCable(t, "127.0.0.1:0", s.feed)
	eu.start()
	eu.comes(late, 200)
	s.revoke(first)
	eu.comes(kept, 401)
	s.eventually("it is in force in its region", func() bool {
		fs := s.force(waiting)
		return len(fs) == 1 && fs[0].Region == "eu" && fs[0].Gateways == 1 && fs[0].Done == 1 && len(fs[0].Waiting) == 0
	})
	old.kill()
	s.of(before, func() {
		if v, err := startOlder(); err == nil || !strings.Contains(err.Error(), "schema version") {
			v.kill()
			t.Errorf("the older one starts on what has regions: %v", err)
		}
	})
}
