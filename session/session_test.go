package session_test

import (
	"testing"
	"time"

	"gatehouse/session"
)

func TestLive(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name          string
		seen, expires time.Duration // from now
		want          bool
	}{
		{"fresh", 0, session.Longest, true},
		{"seen within the idle time", -session.Idle + 1, time.Hour, true},
		{"idle", -session.Idle, time.Hour, false},
		{"at its end", 0, 0, false},
		{"past its end", 0, -time.Hour, false},
	} {
		s := session.Session{LastSeen: now.Add(c.seen), Expires: now.Add(c.expires)}
		if got := s.Live(now); got != c.want {
			t.Errorf("%s: live %v", c.name, got)
		}
	}
	if (session.Session{}).Live(now) {
		t.Error("the zero session is live")
	}
}
