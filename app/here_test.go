package app_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// In development the letters with their links are shown to whoever asks on this machine. A page of another site, whose
// name was made to point here, must not be the one who asks.
func TestDevelopmentAnswersLocalNamesOnly(t *testing.T) {
	at := serving(t)
	port := at.Portal[strings.LastIndexByte(at.Portal, ':'):]
	for _, c := range []struct {
		url, host string
		status    int
	}{
		{at.Portal + "/dev/mail", "localhost" + port, 200},
		{at.Portal + "/dev/mail", "127.0.0.1" + port, 200},
		{at.Portal + "/dev/mail", "[::1]" + port, 200},
		{at.Portal + "/dev/mail", "gatehouse.localhost", 200},
		{at.Portal + "/dev/mail", "evil.example" + port, 421},
		{at.Portal + "/dev/mail", "localhost.evil.example", 421},
		{at.Portal + "/dev/mail", "127.0.0.1.nip.example", 421},
		{at.Portal + "/dev/mail", "10.0.0.1", 421},
		{at.Portal + "/api/openapi.json", "evil.example", 421},
		{at.Operations + "/metrics", "localhost", 200},
		{at.Operations + "/metrics", "evil.example", 421},
		{at.Operations + "/debug/pprof/cmdline", "localhost", 200},
		{at.Operations + "/debug/pprof/cmdline", "evil.example", 421},
	} {
		r, err := http.NewRequest("GET", c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s as %s: %d, want %d", c.url, c.host, res.StatusCode, c.status)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	// A refusal does not wait for a body that was announced and does not come.
	for _, to := range []string{"/signin", "/nothing", "/api/nothing"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(at.Portal, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "POST "+to+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9999999\r\n\r\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v", to, line, err)
		}
		conn.Close()
	}
}
