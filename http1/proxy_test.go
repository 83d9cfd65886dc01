package http1_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/http1"
	"gatehouse/wire"
)

// A proxy is a Server and an Upstream glued together, without policies between.
type proxy struct {
	server   *http1.Server
	upstream *http1.Upstream
	addr     string
	calls    sync.Pool
	dials    atomic.Int64 // that succeeded

	mu      sync.Mutex
	refused []http1.Reason
	errors  []error
}

// newProxy starts a proxy in front of addr and ends it with the test.
func newProxy(t testing.TB, addr string, set func(*proxy)) *proxy {
	t.Helper()
	bufs := &http1.Buffers{Poison: true}
	p := &proxy{server: &http1.Server{Buffers: bufs, Loops: loops}, upstream: &http1.Upstream{Address: addr, Buffers: bufs}}
	p.upstream.Dial = func(ctx context.Context) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			p.dials.Add(1)
		}
		return c, err
	}
	p.server.Handler = p.handle
	p.server.Refused = func(e *http1.Exchange, r http1.Reason) (string, []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refused = append(p.refused, r)
		return "text/plain", []byte(r.String() + "\n")
	}
	if set != nil {
		set(p)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(l) }()
	t.Cleanup(func() {
		p.upstream.Close()
		_ = p.server.Close()
		if err := <-done; !errors.Is(err, http1.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		if n := p.server.Open(); n != 0 {
			t.Errorf("%d connections are open after Close", n)
		}
	})
	return p
}

// A call and the answer it fills.
type call struct {
	http1.Call
	answer wire.Message
}

func (p *proxy) handle(e *http1.Exchange) {
	c, ok := p.calls.Get().(*call)
	if !ok {
		c = new(call)
		c.Response = &c.answer
	}
	defer p.calls.Put(c)
	c.Request, c.Exchange = &e.Request, e
	err := p.upstream.Do(context.Background(), &c.Call)
	if err == nil {
		err = e.Respond(&c.answer)
	}
	c.Done()
	if err == nil {
		return
	}
	p.mu.Lock()
	p.errors = append(p.errors, err)
	p.mu.Unlock()
	if e.Started() || errors.Is(err, http1.ErrClientGone) {
		return
	}
	status := 502
	var r http1.Reason
	if !errors.As(err, new(*fault.Error)) && errors.As(err, &r) && r.Status() != 502 {
		status = r.Status()
		e.Close()
	} else if errors.Is(err, fault.SlowUpstream) {
		status = 504
	}
	_ = e.Respond(text(status, err.Error()+"\n"))
}

// text is an answer.
func text(status int, s string) *wire.Message {
	return &wire.Message{Head: wire.Head{Status: status}, Body: strings.NewReader(s), Length: int64(len(s))}
}

// reasons returns why messages were refused so far.
func (p *proxy) reasons() []http1.Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]http1.Reason(nil), p.refused...)
}

// failures returns the errors of the handler so far.
func (p *proxy) failures() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]error(nil), p.errors...)
}

// lastError waits for an error of the handler.
func (p *proxy) lastError(t *testing.T) error {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		p.mu.Lock()
		n := len(p.errors)
		var err error
		if n > 0 {
			err = p.errors[n-1]
		}
		p.mu.Unlock()
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the handler had no error")
	return nil
}
