package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/fault"
	"gatehouse/feed"
)

// counter takes batches as the control plane does, and loses as many answers as it is told.
type counter struct {
	newest map[string]int64
	got    []int
	fail   []string // what happens to the next batches: "", "lost" before it is kept, "unanswered" after, "forgot" everything
}

func (c *counter) Ship(_ context.Context, b feed.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	fate := ""
	if len(c.fail) > 0 {
		fate, c.fail = c.fail[0], c.fail[1:]
	}
	switch fate {
	case "lost":
		return errors.New("the line is dead")
	case "forgot":
		c.newest = map[string]int64{}
	}
	switch newest := c.newest[b.Life]; {
	case b.Number > newest+1:
		return fault.New(fault.Conflict, "a gap")
	case b.Number == newest+1:
		var n int
		if err := json.Unmarshal(b.Body, &n); err != nil {
			return fault.New(fault.Invalid, "not a number")
		}
		c.newest[b.Life] = b.Number
		c.got = append(c.got, n)
	}
	if fate == "unanswered" {
		return errors.New("the line is dead")
	}
	return nil
}

// Whatever is lost on the way, each thing counts once and in order.
func TestShipperCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &counter{newest: map[string]int64{}, fail: rapid.SliceOfN(rapid.SampledFrom([]string{"", "lost", "unanswered"}), 0, 30).Draw(t, "fates")}
		s := feed.NewShipper(c, "live", "g", feed.BatchUses)
		var want []int
		for n := range rapid.IntRange(1, 15).Draw(t, "things") {
			for taken := false; !taken; {
				taken, _ = s.Ship(t.Context(), n)
			}
			want = append(want, n)
		}
		for s.Flush(t.Context()) != nil {
		}
		if d := cmp.Diff(want, c.got); d != "" {
			t.Fatal(d)
		}
	})
}

// A control plane that was restored from a backup knows less than was shipped: what is shipped from then on counts.
func TestShipperCountsAnewAfterARestore(t *testing.T) {
	c := &counter{newest: map[string]int64{}, fail: []string{"", "", "forgot"}}
	s := feed.NewShipper(c, "live", "g", feed.BatchUses)
	for n := range 5 {
		if taken, err := s.Ship(t.Context(), n); !taken || err != nil {
			t.Fatal(taken, err)
		}
	}
	if d := cmp.Diff([]int{0, 1, 2, 3, 4}, c.got); d != "" {
		t.Error(d)
	}
}

func TestShipperDropsWhatIsNeverTaken(t *testing.T) {
	c := &counter{newest: map[string]int64{}}
	s := feed.NewShipper(c, "live", "g", feed.BatchUses)
	if taken, err := s.Ship(t.Context(), "no number"); !taken || !errors.Is(err, fault.Invalid) {
		t.Errorf("%v, %v", taken, err)
	}
	if taken, err := s.Ship(t.Context(), 7); !taken || err != nil || len(c.got) != 1 {
		t.Errorf("%v, %v, %v", taken, err, c.got)
	}
}
