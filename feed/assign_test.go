package feed_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/feed"
)

func none(string, feed.Kind, string) (feed.Known, error) { return feed.Known{}, nil }

func row(n int64, environment, key string, version int64) feed.Change {
	return feed.Change{Row: n, Environment: environment, Kind: feed.KindGrant, Key: key, Version: version, Payload: json.RawMessage(`{}`), Committed: now}
}

// short is what entries say, such as "live 3: b@2".
func short(ns []feed.Numbered) (out []string) {
	for _, n := range ns {
		for _, e := range n.Entries {
			out = append(out, fmt.Sprintf("%s %d: %s@%d", e.Environment, e.Seq, e.Key, e.Version))
		}
	}
	return out
}

func TestAssign(t *testing.T) {
	heads := []feed.Head{{Environment: "live", Epoch: 1, Position: feed.Position{Epoch: 1, Seq: 7, Digest: "d"}}, {Environment: "test", Epoch: 3}}
	known := func(environment string, _ feed.Kind, key string) (feed.Known, error) {
		if environment == "live" && key == "old" {
			return feed.Known{Version: 5}, nil
		}
		return feed.Known{}, nil
	}
	for name, c := range map[string]struct {
		rows []feed.Change
		want []string
	}{
		"nothing":                      {nil, nil},
		"one environment":              {[]feed.Change{row(1, "live", "a", 1), row(2, "live", "b", 1)}, []string{"live 8: a@1", "live 9: b@1"}},
		"every environment":            {[]feed.Change{row(1, "", "a", 1), row(2, "test", "b", 1)}, []string{"live 8: a@1", "test 1: a@1", "test 2: b@1"}},
		"rows of an entity by version": {[]feed.Change{row(1, "live", "a", 3), row(2, "live", "b", 1), row(3, "live", "a", 2)}, []string{"live 8: a@2", "live 9: b@1", "live 10: a@3"}},
		"nothing old after new":        {[]feed.Change{row(1, "", "old", 4), row(2, "", "old", 6)}, []string{"test 1: old@4", "live 8: old@6", "test 2: old@6"}},
		"the same twice":               {[]feed.Change{row(1, "live", "a", 1), row(2, "", "a", 1)}, []string{"live 8: a@1", "test 1: a@1"}},
	} {
		got, after, err := feed.Assign(heads, known, c.rows, sign)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, short(got)); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
		if len(got) != len(c.rows) {
			t.Errorf("%s: %d rows became %d", name, len(c.rows), len(got))
		}
		for i, h := range heads {
			at := h.Position
			for _, n := range got {
				for _, e := range n.Entries {
					if e.Environment == h.Environment {
						if err := feed.Check(h.Environment, at, e, public()); err != nil || e.Epoch != h.Epoch {
							t.Errorf("%s: %v, epoch %d", name, err, e.Epoch)
						}
						at = e.Position()
					}
				}
			}
			if after[i].Position != at {
				t.Errorf("%s: the head of %s is %v, want %v", name, h.Environment, after[i].Position, at)
			}
		}
	}
	if heads[0].Seq != 7 {
		t.Error("Assign changed its input")
	}
}

func TestAssignUnknownEnvironment(t *testing.T) {
	if _, _, err := feed.Assign(nil, none, []feed.Change{row(1, "live", "a", 1)}, sign); err == nil {
		t.Error("a row for nobody was taken")
	}
	got, _, err := feed.Assign(nil, none, []feed.Change{row(1, "", "a", 1)}, sign)
	if err != nil || len(got) != 1 || len(got[0].Entries) != 0 {
		t.Errorf("a row for every environment where there is none: %v, %v", got, err)
	}
}

// However rows are cut into batches and in whatever order they come, every environment ends with the newest version of each
// entity, and no version ever goes down.
func TestAssignAnyOrderEndsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []feed.Change
		for _, key := range []string{"a", "b", "c"} {
			for v := range rapid.IntRange(0, 5).Draw(t, key) {
				rows = append(rows, row(0, "", key, int64(v+1)))
			}
		}
		rows = rapid.Permutation(rows).Draw(t, "order")
		for i := range rows {
			rows[i].Row = int64(i + 1)
		}
		want := map[string]int64{}
		for _, r := range rows {
			want[r.Key] = max(want[r.Key], r.Version)
		}
		heads := []feed.Head{{Environment: "live", Epoch: 1}, {Environment: "test", Epoch: 1}}
		seen := map[string]map[string]int64{"live": {}, "test": {}}
		newest := func(environment string, _ feed.Kind, key string) (feed.Known, error) {
			return feed.Known{Version: seen[environment][key]}, nil
		}
		for batch := range slices.Chunk(rows, rapid.IntRange(1, 6).Draw(t, "batch")) {
			out, after, err := feed.Assign(heads, newest, batch, sign)
			if err != nil {
				t.Fatal(err)
			}
			heads = after
			for _, n := range out {
				for _, e := range n.Entries {
					if e.Version <= seen[e.Environment][e.Key] {
						t.Fatalf("%s@%d comes after %d", e.Key, e.Version, seen[e.Environment][e.Key])
					}
					seen[e.Environment][e.Key] = e.Version
				}
			}
		}
		for environment, got := range seen {
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s:\n%s", environment, d)
			}
		}
	})
}
