package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Profiles are for the machine itself, wherever the operations listener listens.
func TestOnlyHereLooksAtBothEnds(t *testing.T) {
	h := onlyHere("https://portal.example:8443", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for _, c := range []struct {
		from, host string
		want       int
	}{
		{"127.0.0.1:1", "localhost:8003", 204}, {"[::1]:1", "[::1]:8003", 204}, {"[::ffff:127.0.0.1]:1", "LOCALHOST", 204},
		{"127.0.0.1:1", "portal.example", 204}, {"127.0.0.1:1", "portal.example.evil.example", 421}, {"127.0.0.1:1", "", 421},
		{"192.0.2.7:1", "localhost", 403}, {"192.0.2.7:1", "portal.example", 403}, {"", "localhost", 403},
	} {
		r := httptest.NewRequest("GET", "/debug/pprof/", nil)
		r.RemoteAddr, r.Host = c.from, c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("from %s to %s: %d, want %d", c.from, c.host, w.Code, c.want)
		}
	}
}
