package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/http1"
)

// A limit of the body holds whether its length is known or not, and what was carried is counted.
func TestAccounts(t *testing.T) {
	type account struct {
		fits                    bool
		received, content, sent int64
		refused                 http1.Reason
		err                     error
	}
	accounts := make(chan account, 1)
	p := newProxy(t, newUpstream(t, ok), func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			a := account{fits: e.LimitBody(10_000)}
			c := call{}
			c.Request, c.Response, c.Exchange = &e.Request, &c.answer, e
			if a.err = p.upstream.Do(context.Background(), &c.Call); a.err == nil {
				a.err = e.Respond(&c.answer)
				if closer, ok := c.answer.Body.(io.Closer); !ok || closer.Close() != nil {
					t.Error("the body of an answer cannot be closed")
				}
			}
			c.Done()
			if !e.Started() {
				_ = e.Respond(text(413, "no"))
			}
			a.received, a.content, a.sent, a.refused = e.Received(), e.Content(), e.Sent(), e.Refused()
			accounts <- a
		}
	})
	for _, c := range []struct {
		size    int
		chunked bool
		want    account
	}{
		{100, false, account{fits: true, received: 100, content: 2}},
		{9000, false, account{fits: true, received: 9000, content: 2}},
		{9000, true, account{fits: true, received: 9000, content: 2}},
		{10_001, false, account{refused: http1.BodyTooLarge, err: http1.BodyTooLarge, content: 2}},
		{10_001, true, account{fits: true, refused: http1.BodyTooLarge, err: http1.BodyTooLarge, content: 2}},
		{50_000, false, account{refused: http1.BodyTooLarge, err: http1.BodyTooLarge, content: 2}},
		{50_000, true, account{fits: true, refused: http1.BodyTooLarge, err: http1.BodyTooLarge, content: 2}},
	} {
		t.Run(fmt.Sprint(c.size, c.chunked), func(t *testing.T) {
			k := dial(t, p)
			q, err := http.NewRequest("POST", "http://a.test/", strings.NewReader(strings.Repeat("x", c.size)))
			if err != nil {
				t.Fatal(err)
			}
			if c.chunked {
				q.ContentLength = -1
			}
			go func() { _ = q.Write(k) }()
			k.answer("POST")
			a := <-accounts
			if a.fits != c.want.fits || a.refused != c.want.refused || a.content != c.want.content || !errors.Is(a.err, c.want.err) || a.sent < 50 ||
				c.want.err == nil && a.received != c.want.received || c.want.err != nil && a.received > 30_000 {
				t.Errorf("accounted %+v, want %+v", a, c.want)
			}
		})
	}
}

// Total bounds an answer that keeps coming slowly.
func TestTotal(t *testing.T) {
	failed := make(chan error, 1)
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		_, _ = io.WriteString(u, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(u, "1\r\nx\r\n"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}), func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			c := call{}
			c.Request, c.Response, c.Exchange, c.Total = &e.Request, &c.answer, e, 100*time.Millisecond
			err := p.upstream.Do(context.Background(), &c.Call)
			if err == nil {
				err = e.Respond(&c.answer)
			}
			c.Done()
			failed <- err
		}
	})
	c := dial(t, p)
	began := time.Now()
	c.say(get)
	_, _ = io.Copy(io.Discard, c.r)
	if err := <-failed; !errors.Is(err, fault.SlowUpstream) || time.Since(began) < 100*time.Millisecond || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// A connection that nobody uses is closed after its time.
func TestIdleUpstreamsAreClosed(t *testing.T) {
	ended := make(chan struct{}, 2)
	p := newProxy(t, newUpstream(t, func(i int, u *peer) { ok(i, u); ended <- struct{}{} }), func(p *proxy) {
		p.upstream.Patience.Idle = 50 * time.Millisecond
	})
	c := dial(t, p)
	for range 2 {
		c.say(get)
		c.answer("GET")
		<-ended
		if n := p.upstream.Idle(); n != 0 {
			t.Errorf("%d connections are kept", n)
		}
	}
}
