package http1

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/wire"
)

// again reads a request's head as a peer's with that memo sends it.
func again(o *memo, raw []byte, cuts ...int) (m wire.Message, h head, n int, r Reason) {
	buf := bytes.Clone(raw)
	h.memo = o
	h.reset(false, false)
	for _, end := range append(cuts, len(buf)) {
		if n, r = h.request(buf[:end], "http", &m); n > 0 || r != Fine {
			break
		}
	}
	return m, h, n, r
}

// Whatever a peer sent before, a head means what it means to one who sends it first.
func TestWhatCameBeforeChangesNothing(t *testing.T) {
	blocks := []string{"", "X: y\r\n", "x: y\r\n", "X: y \r\n", "X:\r\nZ: \r\n", "Content-Length: 5\r\n", "Content-Length: 6\r\n", "content-length: 5\r\nX: y\r\n",
		"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Connection: close\r\n", "Connection: X\r\nX: y\r\n", "X: y\r\nConnection: keep-alive, X\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\n", "Upgrade: h2c\r\n", "Expect: 100-continue\r\n", "TE: trailers\r\n", "X: y\r\n z\r\n", "X : y\r\n", "X_Y: z\r\n", "X: y\nZ: z\r\n",
		"Host: b.test\r\n", strings.Repeat("A: b\r\n", memoFields), strings.Repeat("A: b\r\n", memoFields-2), "Long: " + strings.Repeat("l", memoBlock) + "\r\n", "Key: one\r\n", "Key: two\r\n"}
	lines := []string{"GET / HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "POST /a/b?c HTTP/1.1\r\n", "\r\nGET /%41 HTTP/1.1\r\n", "GET http://a.test/ HTTP/1.1\r\n", "GET http://b.test/ HTTP/1.1\r\n", "BAD\r\n"}
	hosts := []string{"Host: a.test\r\n", "Host: A.TEST\r\n", "Host: [::1]:80\r\n", "host: b.test:8080\r\n", ""}
	rest := []string{"", "GET / HTTP/1.1\r\n", "hello", "X: y\r\n\r\n"}
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(of []string) string { return of[rnd.IntN(len(of))] }
	var o memo
	recalled := 0
	raw := ""
	for range 40_000 {
		switch rnd.IntN(4) {
		case 0: // anything
			raw = pick(lines) + pick(hosts) + pick(blocks) + pick(blocks) + "\r\n" + pick(rest)
		case 1: // other fields after the same line
			raw = "GET / HTTP/1.1\r\nHost: a.test\r\n" + pick(blocks) + "\r\n" + pick(rest)
		case 2: // the same fields after another line
			if _, block, ok := strings.Cut(strings.TrimPrefix(raw, "\r\n"), "\r\n"); ok {
				raw = pick(lines) + block
			}
		}
		var cuts []int
		if rnd.IntN(3) == 0 {
			cuts = []int{rnd.IntN(len(raw) + 1)}
		}
		m, h, n, r := parse([]byte(raw), cuts...)
		m2, h2, n2, r2 := again(&o, []byte(raw), cuts...)
		if n2 != n || r2 != r || n > 0 && shape(m2, h2)+fmt.Sprint(h2.keep, h2.te) != shape(m, h)+fmt.Sprint(h.keep, h.te) {
			t.Fatalf("%q: read at first %d %v, then %d %v\n%s\n%s", raw, n, r, n2, r2, shape(m, h), shape(m2, h2))
		}
		if n > 0 && o.misses == 0 {
			recalled++
		}
	}
	if recalled < 4_000 {
		t.Errorf("recalled only %d", recalled)
	}
}

// One who never sends the same twice costs little more for it, and one who does so again is known soon.
func TestWhoNeverSendsTheSame(t *testing.T) {
	var o memo
	send := func(i int) { again(&o, fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n", i)) }
	kept := 0
	for i := range 10_000 {
		before := string(o.block)
		send(i)
		if string(o.block) != before {
			kept++
		}
	}
	if kept > 10_000/memoMisses+10_000/256*memoMisses {
		t.Errorf("%d of 10,000 were kept", kept)
	}
	for range 2 * memoMisses {
		send(0)
	}
	if o.misses != 0 {
		t.Error("what comes again is not known")
	}
}
