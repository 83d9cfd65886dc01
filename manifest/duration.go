package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var durationForm = regexp.MustCompile(`^(?:([0-9]{1,18})d)?((?:[0-9]{1,18}(?:\.[0-9]{1,9})?(?:h|m|s|ms|us|µs))*)$`)

// ParseDuration reads a time span as Go writes it, with d for days first: 90d, 12h, 1m30s, 1d12h.
func ParseDuration(s string) (Duration, error) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, fmt.Errorf("%q is not a time span: write it like 90d, 12h or 1m30s", clip(s))
	}
	var d time.Duration
	if m[1] != "" {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > int64(math.MaxInt64/day) {
			return 0, fmt.Errorf("%s is too long", clip(s))
		}
		d = time.Duration(n) * day
	}
	if m[2] != "" {
		rest, err := time.ParseDuration(m[2])
		if err != nil || rest > math.MaxInt64-d {
			return 0, fmt.Errorf("%s is too long", clip(s))
		}
		d += rest
	}
	return Duration(d), nil
}

// String writes whole days as d and the rest as Go does, without units that are zero.
func (d Duration) String() string {
	t := time.Duration(d)
	if t == 0 {
		return "0s"
	}
	s := ""
	if n := t / day; n > 0 {
		s, t = strconv.FormatInt(int64(n), 10)+"d", t%day
	}
	if t == 0 {
		return s
	}
	rest := t.String()
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	return s + rest
}

// MarshalText writes what ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}
