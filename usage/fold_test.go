package usage_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse/usage"
)

func TestStretch(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		unit         usage.Unit
		at, from, to time.Time
	}{
		{usage.Hour, time.Date(2026, 3, 29, 1, 59, 0, 0, time.UTC), day(2026, 3, 29), day(2026, 3, 30)},
		{usage.Day, time.Date(2026, 3, 29, 1, 59, 0, 0, time.UTC), day(2026, 3, 1), day(2026, 4, 1)},
		{usage.Day, day(2024, 2, 29), day(2024, 2, 1), day(2024, 3, 1)},
		{usage.Day, time.Date(2025, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200)), day(2026, 1, 1), day(2026, 2, 1)},
	} {
		if from, to := c.unit.Stretch(c.at); !from.Equal(c.from) || !to.Equal(c.to) {
			t.Errorf("by %s of %s: from %s to %s", c.unit, c.at, from, to)
		}
	}
	now := time.Date(2026, 3, 29, 1, 59, 0, 0, time.UTC)
	if got := usage.Hour.FoldBefore(now); !got.Equal(day(2026, 3, 27)) {
		t.Errorf("hours are put together until %s", got)
	}
	if got := usage.Day.FoldBefore(now); !got.Equal(day(2026, 2, 1)) {
		t.Errorf("days are put together until %s", got)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(usage.Pack([]int64{1, 0, 1 << 40, 0}))
	f.Add([]byte{0x80})
	f.Add(slices.Repeat([]byte{1}, 32))
	f.Add(slices.Repeat([]byte{0xff}, 10))
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		calls, err := usage.Unpack(b, usage.Day, at)
		if err != nil {
			return
		}
		again, err := usage.Unpack(usage.Pack(calls), usage.Day, at)
		if err != nil || len(calls) != 31 || !slices.Equal(calls, again) {
			t.Errorf("%v, then %v, %v", calls, again, err)
		}
		if len(usage.Pack(calls)) > len(b) {
			t.Error("it got longer")
		}
	})
}

func TestUnpackRefusesWhatIsNoStretch(t *testing.T) {
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, b := range [][]byte{{0x80}, slices.Repeat([]byte{1}, 29), slices.Repeat([]byte{0xff}, 10)} {
		if _, err := usage.Unpack(b, usage.Day, at); err == nil {
			t.Errorf("%x was read", b)
		}
	}
}
