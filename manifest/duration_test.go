package manifest_test

import (
	"testing"
	"time"

	"gatehouse/manifest"
)

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"90d", 90 * day, "90d"}, {"12h", 12 * time.Hour, "12h"}, {"1m30s", 90 * time.Second, "1m30s"}, {"1d12h", 36 * time.Hour, "1d12h"},
		{"24h", day, "1d"}, {"1.5h", 90 * time.Minute, "1h30m"}, {"100ms", 100 * time.Millisecond, "100ms"}, {"0s", 0, "0s"}, {"0d", 0, "0s"},
		{"60m", time.Hour, "1h"}, {"106751d", 106751 * day, "106751d"}, {"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"}, {"25h1s", 25*time.Hour + time.Second, "1d1h0m1s"},
	} {
		d, err := manifest.ParseDuration(c.in)
		if err != nil || time.Duration(d) != c.want {
			t.Errorf("%s is %v, %v; want %v", c.in, time.Duration(d), err, c.want)
		}
		if got := d.String(); got != c.out {
			t.Errorf("%s is written %s, want %s", c.in, got, c.out)
		}
	}
	for _, in := range []string{"", "d", "1", "-1d", "1d-1h", "1.5d", "1h1d", "1w", " 1d", "1d ", "1e3s", "106752d", "999999999999999999d", "106751d48h", "2562048h", "+1h", "1D", "٣d"} {
		if d, err := manifest.ParseDuration(in); err == nil {
			t.Errorf("%q was taken as %v", in, d)
		}
	}
}
