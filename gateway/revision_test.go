package gateway_test

import (
	"context"
	"crypto/ed25519"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/secret"
)

// A revision that does not compile changes nothing, and the receipt says so; the next good one is served.
func TestBadRevision(t *testing.T) { both(t, testBadRevision) }

func testBadRevision(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	bad := files(h.upstream.URL, "")
	bad["gatehouse.yaml"] = []byte(strings.Replace(string(bad["gatehouse.yaml"]), "- headers:", "- headerz:", 1))
	seq := h.revise(bad)
	r := h.line.receipt(t, func(r feed.Receipt) bool { return r.Position.Seq >= seq })
	if r.Revision != 1 || r.Desired != 2 || !strings.Contains(r.Trouble, `there is no policy "headerz"`) {
		t.Errorf("the receipt says %+v", r)
	}
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "")
	if err := h.g.Ready(); err != nil {
		t.Errorf("it serves on, but is not ready: %v", err)
	}
	h.revise(files(h.upstream.URL, "# changed"))
	r = h.line.receipt(t, func(r feed.Receipt) bool { return r.Revision == 3 })
	if r.Desired != 3 || r.Trouble != "" {
		t.Errorf("the receipt says %+v", r)
	}
	if got := h.g.View().Revision; got != 3 {
		t.Errorf("revision %d is served", got)
	}
	wrong := files(h.upstream.URL, "# again")
	h.revision++
	h.line.publish(t, feed.KindRevision, "live", feed.Revision{Number: 4, Digest: "sha256:0000", Bundle: wrong.Encode()})
	r = h.line.receipt(t, func(r feed.Receipt) bool { return r.Desired == 4 })
	if r.Revision != 3 || !strings.Contains(r.Trouble, "digest") {
		t.Errorf("a bundle with another digest: %+v", r)
	}
}

// While revisions come, no call fails, and each is served by one of them whole.
func TestPublishUnderLoad(t *testing.T) { both(t, testPublishUnderLoad) }

func testPublishUnderLoad(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	calls := make([]int, 4)
	for i := range calls {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, _ := http.NewRequest("GET", "http://"+h.addr+"/eid/v1/many", nil)
				r.Header.Set("X-API-Key", key)
				res, err := c.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				// The revision's mark and the route's answer belong together.
				if res.StatusCode != 200 || res.Header.Get("X-From") == "" {
					t.Errorf("answered %d, mark %q", res.StatusCode, res.Header.Get("X-From"))
					return
				}
				calls[i]++
			}
		})
	}
	for n := range 20 {
		b := files(h.upstream.URL, "# "+strings.Repeat("x", n))
		b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "X-From: gateway", "X-From: gateway-"+strings.Repeat("x", n), 1))
		h.inForce(h.revise(b))
	}
	close(stop)
	wg.Wait()
	for i, n := range calls {
		if n == 0 {
			t.Errorf("caller %d made no call", i)
		}
	}
}

// A publish does not forget what was spent.
func TestLimitsSurvivePublishes(t *testing.T) { both(t, testLimitsSurvivePublishes) }

func testLimitsSurvivePublishes(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	for range 5 {
		h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "")
	}
	h.inForce(h.revise(files(h.upstream.URL, "# changed")))
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 429, "rate-limited")
}

// Without its secret an upstream is not asked: the routes are closed, not left out.
func TestMissingSecretClosesRoutes(t *testing.T) { both(t, testMissingSecretClosesRoutes) }

func testMissingSecretClosesRoutes(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, secrets: map[string]string{}})
	key, _ := h.issue()
	h.grant("read")
	a := h.do(call{path: "/eid/v1/many", key: key})
	a.want(t, 503, "route-closed")
	if strings.Contains(a.body, "eid-gateway") {
		t.Errorf("callers learn the names of secrets: %s", a.body)
	}
	for _, r := range h.g.View().Reach(h.app, time.Now()) {
		if r.Closed == "" {
			t.Errorf("%s counts as open", r.Operation)
		}
	}
}

// Before a revision has come: 503, and not ready.
func TestNothingPublishedYet(t *testing.T) { both(t, testNothingPublishedYet) }

func testNothingPublishedYet(t *testing.T, codec gateway.Codec) {
	l := newLine(t)
	codec, h2c := own(codec)
	g, err := gateway.New(gateway.Options{Environment: "live", Name: "gw", Source: l, Key: l.key.Public().(ed25519.PublicKey), Kinds: kinds(), Codec: codec, H2C: h2c, Loops: loops,
		Secrets: func(string) (secret.Value, bool) { return secret.Value{}, false }})
	if err != nil {
		t.Fatal(err)
	}
	if g.Ready() == nil {
		t.Error("it is ready before it has followed anything")
	}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Follow(ctx) })
	wg.Go(func() { _ = g.Serve(ctx, nl) })
	defer wg.Wait()
	defer cancel()
	h := &house{t: t, addr: nl.Addr().String(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	a := h.do(call{path: "/anything"})
	a.want(t, 503, "not-ready")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
	}
	l.receipt(t, func(feed.Receipt) bool { return true })
	select {
	case <-g.CaughtUp(): // a moment after the receipt
	case <-time.After(10 * time.Second):
		t.Error("it never catches up with a feed of nothing")
	}
	if err := g.Ready(); err == nil || !strings.Contains(err.Error(), "nothing has been published") {
		t.Errorf("readiness: %v", err)
	}
}

// Hints are hints: a change arrives without one as well.
func TestPollsBesidesHints(t *testing.T) { both(t, testPollsBesidesHints) }

func testPollsBesidesHints(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Poll: 20 * time.Millisecond}})
	h.line.mu.Lock()
	h.line.deaf = true
	h.line.mu.Unlock()
	key, _ := h.issue()
	h.grant("read")
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "")
}

// A feed that was tampered with is not followed; the gateway serves on with what it has.
func TestForgedEntryIsRefused(t *testing.T) { both(t, testForgedEntryIsRefused) }

func testForgedEntryIsRefused(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Poll: 10 * time.Millisecond}})
	key, cred := h.issue()
	h.grant("read")
	_, other, _ := ed25519.GenerateKey(nil)
	h.line.mu.Lock()
	h.line.key = other // somebody else writes
	h.line.mu.Unlock()
	cred.Expires = time.Now().Add(1000 * time.Hour)
	h.put(cred)
	h.line.receipt(t, func(r feed.Receipt) bool { return r.Trouble != "" })
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "")
	if err := h.g.Ready(); err != nil {
		t.Errorf("it serves on, but is not ready: %v", err)
	}
}

// A gateway that stops lets running exchanges end.
func TestDrain(t *testing.T) { both(t, testDrain) }

func testDrain(t *testing.T, codec gateway.Codec) {
	began, free := make(chan struct{}), make(chan struct{})
	up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-free
		_, _ = io.WriteString(w, "the end")
	})
	h := start(t, setup{codec: codec})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.upstream.Config.Handler = up
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.g.Serve(ctx, l) }()
	h.addr = l.Addr().String()
	got := make(chan answer, 1)
	go func() { got <- h.do(call{path: "/eid/v1/health"}) }()
	<-began
	cancel()
	h.wait("no new connections are taken", func() bool {
		c, err := net.Dial("tcp", h.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-served:
		t.Fatalf("it did not wait for the running exchange: %v", err)
	default:
	}
	close(free)
	if a := <-got; a.status != 200 || a.body != "the end" {
		t.Errorf("the running exchange: %d %q", a.status, a.body)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// An exchange that does not end is cut off after a bound.
func TestDrainIsBounded(t *testing.T) { both(t, testDrainIsBounded) }

func testDrainIsBounded(t *testing.T, codec gateway.Codec) {
	began := make(chan struct{})
	h := start(t, setup{codec: codec, limits: gateway.Limits{Drain: 20 * time.Millisecond}, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.g.Serve(ctx, l) }()
	go func() {
		if res, err := h.client.Get("http://" + l.Addr().String() + "/eid/v1/health"); err == nil {
			res.Body.Close()
		}
	}()
	<-began
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it still waits")
	}
}

// A policy that panics refuses its own route, and no other notices.
func TestPanicIsARefusal(t *testing.T) { both(t, testPanicIsARefusal) }

func testPanicIsARefusal(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	b := files(h.upstream.URL, "")
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "policies: [{request_size: {max: 1MB}}]", "policies: [broken]", 1))
	h.inForce(h.revise(b))
	key, _ := h.issue()
	h.grant("read")
	a := h.do(call{method: "POST", path: "/eid/v1/upload", key: key})
	if a.status != 500 || strings.Contains(a.body, "index out of range") {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "")
}
