package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/http1/rawtest"
)

// Whatever an upstream's answer is twisted into: the client gets 502, or one answer with the one reading, and the answer to
// its next request is its own.
func TestStrangeAnswers(t *testing.T) {
	answers := rawtest.Answers()
	addr := newUpstream(t, func(_ int, u *peer) {
		h := u.head()
		_, mark, strange := strings.Cut(h, "?")
		if !strange {
			_, _ = io.WriteString(u, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain")
			return
		}
		n, err := strconv.Atoi(strings.Fields(mark)[0])
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(u, answers[n].Raw)
		u.closeWrite()
		_, _ = io.Copy(io.Discard, u.r)
	})
	p := newProxy(t, addr, nil)
	each := 3 // every one of them takes most of a minute
	if raced {
		each = 20
	}
	todo := make(chan int)
	var running sync.WaitGroup
	var mu sync.Mutex
	passed, refused := 0, 0
	for range 16 {
		running.Go(func() {
			for i := range todo {
				ok, why := heard(p.addr, i, answers[i])
				mu.Lock()
				switch {
				case why != "":
					t.Errorf("%q: %s", answers[i].Name, why)
				case ok:
					passed++
				default:
					refused++
				}
				mu.Unlock()
			}
		})
	}
	for i := 0; i < len(answers); i += each {
		todo <- i
	}
	close(todo)
	running.Wait()
	t.Logf("%d answers passed with one reading, %d were refused", passed, refused)
	if refused < passed || passed < 100/each {
		t.Errorf("%d passed and %d were refused: that is not what was meant", passed, refused)
	}
}

// heard asks for a strange answer and then for a plain one on one connection. It reports whether the strange one passed, and
// what is wrong with what came.
func heard(addr string, i int, a rawtest.Strange) (passed bool, why string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false, err.Error()
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /?%d HTTP/1.1\r\nHost: a\r\n\r\nGET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", i); err != nil {
		return false, err.Error()
	}
	raw, err := io.ReadAll(c)
	if err != nil {
		return false, err.Error()
	}
	r := bufio.NewReader(strings.NewReader(string(raw)))
	first, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, fmt.Sprintf("heard %q: %v", raw, err)
	}
	body, err := io.ReadAll(first.Body)
	switch {
	case err != nil && r.Buffered() == 0: // broken off, and nothing after it
		return false, ""
	case err != nil:
		return false, fmt.Sprintf("heard %q: %v", raw, err)
	case first.StatusCode != 502 && (first.StatusCode/100 != 2 || string(body) != a.Body):
		return false, fmt.Sprintf("heard %d %q", first.StatusCode, body)
	}
	second, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, fmt.Sprintf("heard %q, no second answer: %v", raw, err)
	}
	plain, err := io.ReadAll(second.Body)
	if err != nil || second.StatusCode != 200 || string(plain) != "plain" || r.Buffered() > 0 {
		return false, fmt.Sprintf("heard %q: the second answer is %d %q (%v)", raw, second.StatusCode, plain, err)
	}
	return first.StatusCode/100 == 2, ""
}
