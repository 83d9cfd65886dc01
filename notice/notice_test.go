package notice_test

import (
	"testing"
	"time"

	"gatehouse/notice"
)

func TestDue(t *testing.T) {
	end := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name         string
		created, now time.Time
		want         bool
	}{
		{"made long before", end.AddDate(0, -3, 0), end.AddDate(0, 0, -7), true},
		{"made within the days", end.AddDate(0, 0, -6), end.AddDate(0, 0, -5), false},
		{"made just at them", end.AddDate(0, 0, -7), end.AddDate(0, 0, -7), false},
		{"over", end.AddDate(0, -3, 0), end, false},
	} {
		if got := (notice.Ending{Created: c.created, End: end}).Due(7, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
