package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What a soak holds against a gateway.
const (
	idleConnections = 10_000
	slowHeads       = 9_000
	headDeadline    = 10 * time.Second // of the gateway, which it may miss by an eighth
	probers         = 4
)

// endured is one line of what a soak came to.
type endured struct {
	Case        string  `json:"case"`
	Target      string  `json:"target"`
	Connections int     `json:"connections"`
	Growth      float64 `json:"growth_mb"` // of the process, at its most
	Each        float64 `json:"kb_each"`   // of a connection
	Cut         int     `json:"cut"`       // connections that the gateway ended, with 408
	Last        float64 `json:"last_cut_s"`
	P50         float64 `json:"p50_ms"` // of the other clients, meanwhile
	P99         float64 `json:"p99_ms"`
	Before      float64 `json:"p99_before_ms"` // without the connections
}

// soak holds many connections that do nothing, or next to nothing, against a gateway, and asks it meanwhile.
func soak(ctx context.Context, l *lab, out io.Writer) error {
	h, err := l.gatehouse(ctx, "gatehouse", 0, false)
	if err != nil {
		return err
	}
	for _, run := range []func(context.Context, *lab, *house) (endured, error){idle, slow} {
		e, err := run(ctx, l, h)
		if err != nil {
			return err
		}
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", b)
		fmt.Fprintf(l.log, "%s: %d connections, %.1f MB more (%.1f KB each), %d cut, the last after %.1f s; other clients p50 %.2f ms, p99 %.2f ms (%.2f without)\n",
			e.Case, e.Connections, e.Growth, e.Each, e.Cut, e.Last, e.P50, e.P99, e.Before)
	}
	return nil
}

// idle keeps connections that have made one request each.
func idle(ctx context.Context, l *lab, h *house) (endured, error) {
	e := endured{Case: "idle", Target: "gatehouse", Connections: idleConnections}
	request := []byte("GET " + smallPath + " HTTP/1.1\r\nHost: a.test\r\nX-API-Key: " + h.keys[0] + "\r\n\r\n")
	_, _, e.Before = probe(h, request, 2*time.Second)
	h.collect()
	before := h.memory()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range idleConnections {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			return e, err
		}
		conns = append(conns, c)
		if err := ask(c, bufio.NewReader(c), request); err != nil {
			return e, err
		}
	}
	select {
	case <-ctx.Done():
		return e, ctx.Err()
	case <-time.After(2 * time.Second): // they go cold, and give their buffers back
	}
	h.collect()
	e.Growth = round(h.memory()-before, 1)
	e.Each = round((h.memory()-before)*1024/idleConnections, 2)
	_, e.P50, e.P99 = probe(h, request, 3*time.Second)
	return e, nil
}

// collect has the process give back what it does not hold.
func (h *house) collect() {
	for range 3 { // pools let go of what two collections found unused
		if res, err := http.Get(h.operations + "/debug/pprof/heap?gc=1"); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	time.Sleep(500 * time.Millisecond)
}

// slow begins requests and sends a byte of their heads now and then, until the gateway cuts them.
func slow(ctx context.Context, l *lab, h *house) (endured, error) {
	e := endured{Case: "slow-heads", Target: "gatehouse", Connections: slowHeads}
	request := []byte("GET " + smallPath + " HTTP/1.1\r\nHost: a.test\r\nX-API-Key: " + h.keys[0] + "\r\n\r\n")
	_, _, e.Before = probe(h, request, 2*time.Second)
	h.collect()
	before := h.memory()
	var running sync.WaitGroup
	var cut, wrong atomic.Int64
	var last atomic.Int64 // the longest that one was let go on, in ns
	for range slowHeads {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			return e, err
		}
		running.Go(func() {
			defer c.Close()
			began := time.Now()
			_ = c.SetDeadline(began.Add(3 * headDeadline))
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: "); err != nil {
				wrong.Add(1)
				return
			}
			over := make(chan struct{})
			go func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(2 * time.Second):
						_, _ = c.Write([]byte("x")) // the reader notices the end
					}
				}
			}()
			b, err := io.ReadAll(c)
			close(over)
			took := int64(time.Since(began))
			if len(b) > 12 && string(b[9:12]) == "408" && (err == nil || !errors.Is(err, context.DeadlineExceeded)) {
				cut.Add(1)
			} else {
				wrong.Add(1)
			}
			for {
				if at := last.Load(); took <= at || last.CompareAndSwap(at, took) {
					return
				}
			}
		})
	}
	most := h.memory()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for cut.Load()+wrong.Load() < slowHeads && ctx.Err() == nil {
			most = max(most, h.memory())
			time.Sleep(250 * time.Millisecond)
		}
	}()
	_, e.P50, e.P99 = probe(h, request, headDeadline)
	running.Wait()
	<-watched
	e.Cut, e.Last = int(cut.Load()), round(time.Duration(last.Load()).Seconds(), 1)
	e.Growth, e.Each = round(most-before, 1), round((most-before)*1024/slowHeads, 2)
	return e, ctx.Err()
}

// probe is what other clients see: a few that ask one after the other, with a pause.
func probe(h *house, request []byte, spell time.Duration) (asked int, p50, p99 float64) {
	var mu sync.Mutex
	var took []time.Duration
	var running sync.WaitGroup
	until := time.Now().Add(spell)
	for range probers {
		running.Go(func() {
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for time.Now().Before(until) {
				began := time.Now()
				if ask(c, r, request) != nil {
					return
				}
				d := time.Since(began)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	running.Wait()
	if len(took) == 0 {
		return 0, 0, 0
	}
	slices.Sort(took)
	ms := func(q int) float64 {
		return round(float64(took[min(len(took)*q/100, len(took)-1)].Microseconds())/1000, 3)
	}
	return len(took), ms(50), ms(99)
}

// ask makes one request and reads the answer.
func ask(c net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}
