package rawtest_test

import (
	"strings"
	"testing"

	"gatehouse/http1/rawtest"
)

// There are many messages, no two are the same, and the plain one reads as it says.
func TestMessages(t *testing.T) {
	all := rawtest.Messages()
	seen := map[string]bool{}
	for i, m := range all {
		raw := m.Marked(rawtest.Mark(i))
		if seen[m.Raw] || !strings.Contains(raw, "/visible?") {
			t.Errorf("%q", raw)
		}
		seen[m.Raw] = true
	}
	if len(all) < 30_000 {
		t.Errorf("%d messages", len(all))
	}
	t.Log(len(all), "messages")
}

func TestRead(t *testing.T) {
	const good = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nokGET /b HTTP/1.1\r\nHost: a\r\n\r\n"
	all, err := rawtest.ReadAll(good)
	if err != nil || len(all) != 2 || all[0].Body != "ok" || all[1].Target != "/b" {
		t.Errorf("%+v (%v)", all, err)
	}
	for _, bad := range []string{"GET /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1\r\nHost: a\r\n\r\nx", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", "GET /a HTTP/1.1\r\nHost: a\r\nContent--Length: 1\r\n\r\n", "GET /a HTTP/1.1\nHost: a\r\n\r\n"} {
		if all, err := rawtest.ReadAll(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, all)
		}
	}
}
