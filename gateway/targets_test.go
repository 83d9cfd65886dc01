package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/manifest"
)

// A target is one server of an upstream, which a test can put into trouble.
type target struct {
	url, addr string
	hits      atomic.Int64
	handler   atomic.Pointer[http.HandlerFunc]
}

// will sets what the target does from now on.
func (x *target) will(h http.HandlerFunc) { x.handler.Store(&h) }

// targets starts n servers that answer with their number.
func targets(t *testing.T, n int) []*target {
	t.Helper()
	var out []*target
	for i := range n {
		x := &target{}
		x.will(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, i)
		})
		x.serve(t, "127.0.0.1:0")
		out = append(out, x)
	}
	return out
}

func (x *target) serve(t *testing.T, at string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	x.addr = l.Addr().String()
	x.url = "http://" + x.addr
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			x.hits.Add(1)
		}
		(*x.handler.Load())(w, r)
	})}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
}

// declared is the manifest of the tests with these targets and settings of the upstream.
func declared(xs []*target, settings string) manifest.Bundle {
	urls := make([]string, len(xs))
	for i, x := range xs {
		urls[i] = x.url
	}
	b := files(strings.Join(urls, `", "`), "")
	text := string(b["gatehouse.yaml"])
	text = strings.Replace(text, "    present:", "    "+strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n    ")+"\n    present:", 1)
	b["gatehouse.yaml"] = []byte(text)
	return b
}

// status answers with that status.
func status(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n); fmt.Fprint(w, "no") }
}

// reset breaks the connection before any byte of an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

func hits(xs []*target) (out []int64) {
	for _, x := range xs {
		out = append(out, x.hits.Load())
	}
	return out
}

// get calls an operation of the test's manifest that anybody may call.
func (h *house) get() answer { h.t.Helper(); return h.do(call{path: "/eid/v1/health"}) }

func TestWeights(t *testing.T) { both(t, testWeights) }

func testWeights(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 2)
	h := start(t, setup{codec: codec, bundle: declared(xs, `weights: {"`+xs[1].url+`": 3}`)})
	for range 40 {
		h.get().want(t, 200, "")
	}
	if got := hits(xs); got[0] != 10 || got[1] != 30 {
		t.Errorf("%v of 40", got)
	}
}

// The same key leads to the same target, and another one when that is down.
func TestHashByHeader(t *testing.T) { both(t, testHashByHeader) }

func testHashByHeader(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 4)
	h := start(t, setup{codec: codec, bundle: declared(xs, `balance: {by: hash, key: header X-Session}`)})
	ask := func(session string) string {
		a := h.do(call{path: "/eid/v1/health", header: http.Header{"X-Session": {session}}})
		a.want(t, 200, "")
		return a.body
	}
	used := map[string]bool{}
	for i := range 20 {
		session := fmt.Sprint("session ", i)
		first := ask(session)
		used[first] = true
		for range 3 {
			if again := ask(session); again != first {
				t.Errorf("%s went to %s and to %s", session, first, again)
			}
		}
	}
	if len(used) < 3 {
		t.Errorf("20 sessions use %v only", used)
	}
}

// A safe request is sent to another target when one breaks off, is slow or says that it cannot; one that may have had an
// effect never is.
func TestRetries(t *testing.T) { both(t, testRetries) }

func testRetries(t *testing.T, codec gateway.Codec) {
	for name, trouble := range map[string]http.HandlerFunc{"reset": reset, "503": status(503),
		"slow": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }} {
		t.Run(name, func(t *testing.T) {
			xs := targets(t, 2)
			b := declared(xs, `retries: {attempts: 1, try: 500ms, minimum: 1000}`)
			b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "read: 300ms, total: 2s", "read: 5s, total: 30s", 1))
			h := start(t, setup{codec: codec, bundle: b})
			key, _ := h.issue()
			h.grant("read", "write")
			xs[0].will(trouble)
			for range 4 {
				h.get().want(t, 200, "")
			}
			if got := hits(xs); got[0] != 2 || got[1] != 4 {
				t.Errorf("%v for 4 calls", got)
			}
			ev := h.events.where(t, func(e map[string]any) bool { return e["tries"] == 2.0 })
			if ev["upstream"] != xs[1].addr || ev["status"] != 200.0 {
				t.Errorf("the event names %v, status %v", ev["upstream"], ev["status"])
			}
			for _, method := range []string{"POST", "DELETE"} {
				path := map[string]string{"POST": "/eid/v1/upload", "DELETE": "/eid/v1/things/7"}[method]
				before := hits(xs)
				var bad int
				for range 4 {
					if a := h.do(call{method: method, path: path, key: key, body: strings.NewReader("once")}); a.status >= 500 {
						bad++
					}
					h.clock.move(time.Minute)
				}
				if got := hits(xs); got[0]+got[1]-before[0]-before[1] != 4 || bad != 2 {
					t.Errorf("4 calls of %s were sent %d times, %d were bad", method, got[0]+got[1]-before[0]-before[1], bad)
				}
			}
		})
	}
}

// What is declared idempotent is sent again with its body, as long as that is at hand.
func TestRetryWithBody(t *testing.T) {
	xs := targets(t, 2)
	b := declared(xs, `retries: {minimum: 1000}`)
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "{id: upload, ", "{id: upload, idempotent: true, ", 1))
	h := start(t, setup{codec: gateway.HTTP1, bundle: b})
	key, _ := h.issue()
	h.grant("read")
	xs[0].will(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); reset(w, r) })
	xs[1].will(echo)
	for range 2 {
		a := h.do(call{method: "POST", path: "/eid/v1/upload", key: key, body: strings.NewReader("twice")})
		a.want(t, 200, "")
		if e := a.echoed(t); e.Body != "twice" {
			t.Errorf("the body arrived as %q", e.Body)
		}
	}
	if got := hits(xs); got[0] != 1 || got[1] != 2 {
		t.Errorf("%v for 2 calls", got)
	}
	// A body that is streamed is not there any more.
	h.clock.move(time.Minute)
	bad := 0
	for range 2 {
		if a := h.do(call{method: "POST", path: "/eid/v1/upload", key: key, body: io.LimitReader(zeros{}, 900<<10)}); a.status == 502 {
			bad++
		}
	}
	if got := hits(xs); bad != 1 || got[0]+got[1] != 5 {
		t.Errorf("%d of 2 streamed calls failed; %v", bad, got)
	}
}

// Retries stay within their budget, however bad it gets.
func TestRetryBudget(t *testing.T) {
	xs := targets(t, 2)
	h := start(t, setup{codec: gateway.HTTP1, bundle: declared(xs, `retries: {attempts: 5, share: 10, minimum: 1}`)})
	xs[0].will(status(503))
	xs[1].will(status(503))
	const calls = 400
	for range calls {
		if a := h.get(); a.status != 503 || a.body != "no" {
			t.Fatalf("answered %d %q instead of what the upstream says", a.status, a.body)
		}
	}
	got := hits(xs)
	if extra := got[0] + got[1] - calls; extra < 10 || extra > calls/10+10 {
		t.Errorf("%d retries for %d calls", extra, calls)
	}
}

// A target that fails is ejected for a while, and comes back.
func TestPassiveHealth(t *testing.T) { both(t, testPassiveHealth) }

func testPassiveHealth(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 2)
	h := start(t, setup{codec: codec, bundle: declared(xs, `health: {passive: {failures: 3, eject: 600ms}}`)})
	good := *xs[0].handler.Load()
	xs[0].will(status(503))
	bad := 0
	for range 20 {
		if h.get().status == 503 {
			bad++
		}
	}
	most := 3
	if inH2(codec) { // the next call may come before the last one's exchange is over
		most = 4
	}
	if bad < 3 || bad > most {
		t.Errorf("%d of 20 calls met the bad target", bad)
	}
	xs[0].will(good)
	before := xs[0].hits.Load()
	h.wait("the target comes back", func() bool { h.get().want(t, 200, ""); return xs[0].hits.Load() > before })
}

// An answer that breaks off counts as well.
func TestBrokenAnswersEject(t *testing.T) { both(t, testBrokenAnswersEject) }

func testBrokenAnswersEject(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 2)
	h := start(t, setup{codec: codec, bundle: declared(xs, `health: {passive: {failures: 2, eject: 1h, longest: 1h}}`)})
	xs[0].will(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50000))
	})
	bad := 0
	for range 20 {
		if _, err := h.try("/eid/v1/health", ""); err != nil {
			bad++
		}
	}
	if bad != 2 {
		t.Errorf("%d of 20 answers broke off", bad)
	}
}

func TestActiveHealth(t *testing.T) {
	xs := targets(t, 2)
	var well atomic.Bool
	well.Store(true)
	good := *xs[0].handler.Load()
	xs[0].will(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/healthz":
			good(w, r)
		case r.Host != "probe.example" || r.Header.Get("Eid-Gateway-Secret") != "":
			t.Errorf("the check comes to %s with %v", r.Host, r.Header)
		case !well.Load():
			w.WriteHeader(503)
		}
	})
	h := start(t, setup{codec: gateway.HTTP1, bundle: declared(xs,
		`health: {active: {path: /healthz, host: probe.example, interval: 100ms, healthy: 2, unhealthy: 2}}`)})
	flip := func(to bool) {
		t.Helper()
		well.Store(to)
		want := 0.0
		if to {
			want = 1
		}
		h.wait("the check notices", func() bool {
			return h.gathered(t)["gatehouse_upstream_available environment=live target="+xs[0].url+" upstream=eid"] == want
		})
	}
	for range 2 {
		flip(false)
		before := xs[0].hits.Load()
		for range 10 {
			h.get().want(t, 200, "")
		}
		if n := xs[0].hits.Load() - before; n != 0 {
			t.Errorf("%d calls to a target that is not well", n)
		}
		flip(true)
		for range 10 {
			h.get().want(t, 200, "")
		}
		if n := xs[0].hits.Load() - before; n != 5 {
			t.Errorf("%d of 10 calls to a target that is well again", n)
		}
	}
}

// The breaker answers for an upstream in trouble, and lets it be asked again.
func TestBreaker(t *testing.T) { both(t, testBreaker) }

func testBreaker(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 1)
	h := start(t, setup{codec: codec, bundle: declared(xs, `breaker: {requests: 5, open: 500ms, probes: 2}`)})
	good := *xs[0].handler.Load()
	xs[0].will(reset)
	for range 5 {
		h.get().want(t, 502, "upstream-failed")
	}
	a := h.get()
	a.want(t, 503, "upstream-resting")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if n := xs[0].hits.Load(); n != 5 {
		t.Errorf("the upstream was asked %d times", n)
	}
	xs[0].will(good)
	h.wait("it is asked again", func() bool { return h.get().status == 200 })
	h.get().want(t, 200, "")
	h.wait("the breaker is closed", func() bool {
		return h.gathered(t)["gatehouse_upstream_breaker environment=live state=closed upstream=eid"] == 1
	})
}

// No more run at an upstream than it can take; the others are told at once.
func TestConcurrency(t *testing.T) { both(t, testConcurrency) }

func testConcurrency(t *testing.T, codec gateway.Codec) {
	xs := targets(t, 1)
	free := make(chan struct{})
	var running, most atomic.Int64
	xs[0].will(func(w http.ResponseWriter, r *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-free
		running.Add(-1)
	})
	b := declared(xs, `concurrency: {most: 3, queue: 2, wait: 1m}`)
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "read: 300ms, total: 2s", "read: 10s, total: 30s", 1))
	h := start(t, setup{codec: codec, bundle: b})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { h.get().want(t, 200, "") })
	}
	h.wait("three run and two wait", func() bool {
		got := h.gathered(t)
		return running.Load() == 3 && got["gatehouse_upstream_waiting environment=live upstream=eid"] == 2
	})
	for range 3 {
		began := time.Now()
		a := h.get()
		a.want(t, 503, "upstream-busy")
		if took := time.Since(began); took > time.Second || a.header.Get("Retry-After") != "1" {
			t.Errorf("told after %v, Retry-After %q", took, a.header.Get("Retry-After"))
		}
	}
	close(free)
	wg.Wait()
	if most.Load() != 3 {
		t.Errorf("%d ran at once", most.Load())
	}
}

// What is known about targets outlives a publish that does not change them.
func TestPoolsOutlivePublishes(t *testing.T) {
	xs := targets(t, 2)
	b := declared(xs, `health: {passive: {failures: 1, eject: 1h, longest: 1h}}`)
	h := start(t, setup{codec: gateway.HTTP1, bundle: b})
	xs[0].will(status(503))
	for range 2 {
		h.get()
	}
	b["gatehouse.yaml"] = append(b["gatehouse.yaml"], "# another revision\n"...)
	h.inForce(h.revise(b))
	for range 10 {
		h.get().want(t, 200, "")
	}
}
