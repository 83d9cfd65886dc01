package http1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/http1"
)

// wellFormed are messages that RFC 9110 and 9112 allow, and that are refused all the same. The page lists each kind with why.
var wellFormed = []struct{ reason, raw string }{
	{"method-connect", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"},
	{"method-trace", "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"asterisk-target", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"scheme-mismatch", "GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"host-mismatch", "GET http://a.test:80/ HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"bad-target", "GET http://user@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"bad-version", "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n"},
	{"no-host", "GET / HTTP/1.0\r\n\r\n"},
	{"bad-method", "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"bad-host", "GET / HTTP/1.1\r\nHost: a%41.test\r\n\r\n"},
	{"bad-host", "GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n"},
	{"bad-method", strings.Repeat("A", 33) + " / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"line-too-long", "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"head-too-large", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 40) + "\r\n"},
	{"too-many-fields", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n"},
	{"bad-connection", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("Connection: x\r\n", 5) + "\r\n"},
	{"dot-segment", "GET /a/../b HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"dot-segment", "GET /a/..;x/b HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"empty-segment", "GET /a//b HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"ambiguous-escape", "GET /a%2Fb HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"ambiguous-escape", "GET /a%252Fb HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"escape-not-utf8", "GET /%E9 HTTP/1.1\r\nHost: a.test\r\n\r\n"},
	{"underscore", "GET / HTTP/1.1\r\nHost: a.test\r\nX_A: y\r\n\r\n"},
	{"lookalike-name", "GET / HTTP/1.1\r\nHost: a.test\r\nContent--Length: 5\r\n\r\n"},
	{"lookalike-name", "GET / HTTP/1.1\r\nHost: a.test\r\nX-Transfer-Encoding: gzip\r\n\r\n"},
	{"bad-length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 02\r\n\r\nok"},
	{"repeated-length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{"bad-encoding", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	{"bad-chunk", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2 ; a=b\r\nok\r\n0\r\n\r\n"},
	{"bad-trailer", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: x\r\n\r\n"},
	{"trailer-too-large", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("a", 100)+"\r\n", 50) + "\r\n"},
	{"bad-connection", "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: authorization\r\n\r\n"},
	{"bad-expectation", "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n"},
}

// taken are messages of the same kinds as those that are refused, from the other side of the line.
var taken = []string{
	"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
	"REPORT / HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET /a.b/..c/.d HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET /a;x=y/b/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET /%C3%A9%20x?a=%2F..//&b HTTP/1.1\r\nHost: a.test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Transfer-Encoding: binary\r\nX-Content-Length: 5\r\nX-Amz-Decoded-Content-Length: 5\r\nX-Forwarded-Host: b\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a.test\r\ntransfer-encoding:\tCHUNKED \r\n\r\n2;a=b\r\nok\r\n0\r\nETag: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: , keep-alive ,\r\nX: \xe9\r\nY:\r\nZ: a\tb\r\n\r\n",
}

func TestWellFormedAndRefused(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	for _, c := range wellFormed {
		failed := len(p.failures())
		before := len(p.reasons())
		say(t, p.addr, c.raw)
		got := ""
		for _, r := range p.reasons()[before:] {
			got = r.String()
		}
		for _, err := range p.failures()[failed:] {
			if r, ok := err.(http1.Reason); ok {
				got = r.String()
			}
		}
		if got != c.reason {
			t.Errorf("%.80q is refused as %q, not %q", c.raw, got, c.reason)
		}
		up.take(p)
	}
	for _, raw := range taken {
		if answer := say(t, p.addr, raw); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Errorf("%q is answered %q", raw, answer)
		}
		up.take(p)
	}
}

// The page and the test name the same reasons: what is refused although it is well-formed is told, and what is told is so.
func TestPageListsWhatIsRefused(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "http1.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, page, ok := strings.Cut(string(b), "## Requests\n")
	page, _, ends := strings.Cut(page, "\n## ")
	if !ok || !ends {
		t.Fatal("docs/http1.md has no part about requests")
	}
	told := map[string]bool{}
	for line := range strings.Lines(page) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| ") && len(cells) == 3 {
			for _, m := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(cells[1], -1) {
				told[m[1]] = true
			}
		}
	}
	shown := map[string]bool{}
	for _, c := range wellFormed {
		shown[c.reason] = true
		if !told[c.reason] {
			t.Errorf("%s is refused, and the page does not say why", c.reason)
		}
	}
	for r := range told {
		if !shown[r] {
			t.Errorf("the page tells of %s, and no test shows it", r)
		}
	}
}
