package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/gateway"
)

// An upstream in every kind of trouble.
func TestUpstreamTrouble(t *testing.T) { both(t, testUpstreamTrouble) }

func testUpstreamTrouble(t *testing.T, codec gateway.Codec) {
	free := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(free) }) })
	h := start(t, setup{codec: codec, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/v1/things/") {
		case "slow":
			select {
			case <-free:
			case <-r.Context().Done():
			}
		case "drip": // every part in time, the whole too late
			for range 100 {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		case "stall":
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "short":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
		case "reset":
			if r.ProtoMajor == 2 {
				panic(http.ErrAbortHandler) // resets the stream
			}
			c, _, _ := http.NewResponseController(w).Hijack()
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		case "nonsense":
			if r.ProtoMajor == 2 {
				w.Header()["Content_Length"] = []string{"7"}
				return
			}
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(c, "nonsense\r\n\r\n")
			_ = c.Close()
		case "switch":
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			_ = c.Close()
		case "big":
			w.Header().Set("X-Big", strings.Repeat("a", 100<<10))
		case "teapot":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(418)
			_, _ = io.WriteString(w, `{}`)
		}
	})})
	key, _ := h.issue()
	h.grant("read")
	get := func(name string) answer {
		t.Helper()
		a, err := h.try("/eid/v1/things/"+name, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return a
	}
	h.clock.move(0)
	began := time.Now()
	get("slow").want(t, 504, "upstream-timeout")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a slow upstream is given up after %v", took)
	}
	get("reset").want(t, 502, "upstream-failed")
	get("nonsense").want(t, 502, "upstream-failed")
	h.clock.move(time.Minute)
	broken := []string{"drip", "stall", "short"}
	if outH2(codec) { // where nothing switches, and an answer that is too short may be known to be before its head is passed on
		if a, err := h.try("/eid/v1/things/short", key); err == nil {
			a.want(t, 502, "upstream-failed")
		}
		broken = broken[:2]
	} else {
		get("switch").want(t, 502, "upstream-switched")
	}
	get("big").want(t, 502, "upstream-failed")
	if a := get("teapot"); a.status != 418 {
		t.Errorf("an upstream's own problem became %d", a.status)
	}
	h.clock.move(time.Minute)
	for _, name := range broken {
		if _, err := h.try("/eid/v1/things/"+name, key); err == nil {
			t.Errorf("%s: the caller did not notice that the answer broke off", name)
		}
		ev := h.events.where(t, func(e map[string]any) bool { return e["path"] == "/eid/v1/things/"+name })
		if ev["verdict"] != "aborted" || ev["code"] != "upstream-broke-off" {
			t.Errorf("%s: verdict %v, code %v", name, ev["verdict"], ev["code"])
		}
	}
	h.upstream.CloseClientConnections()
	h.upstream.Listener.Close()
	h.clock.move(time.Minute)
	get("gone").want(t, 502, "upstream-unreachable")
}

// try is do for answers that break off.
func (h *house) try(path, key string) (a answer, err error) {
	r, err := http.NewRequest("GET", "http://"+h.addr+path, nil)
	if err != nil {
		return a, err
	}
	r.Header.Set("X-API-Key", key)
	res, err := h.client.Do(r)
	if err != nil {
		return a, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return a, err
	}
	res.Body = io.NopCloser(strings.NewReader(string(b)))
	if strings.Contains(res.Request.URL.Path, "teapot") {
		return answer{status: res.StatusCode}, nil
	}
	return read(h.t, res), nil
}

// Events of a server-sent stream arrive one by one, and a caller that goes away ends the upstream's request.
func TestStreaming(t *testing.T) { both(t, testStreaming) }

func testStreaming(t *testing.T, codec gateway.Codec) {
	next, gone := make(chan struct{}), make(chan struct{})
	h := start(t, setup{codec: codec, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	})})
	key, _ := h.issue()
	h.grant("read")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+h.addr+"/eid/v1/many", nil)
	r.Header.Set("X-API-Key", key)
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprint("data: ", i) || !lines.Scan() {
			t.Fatalf("event %d: %q %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{} // the upstream writes the next only after this one has arrived
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream goes on although the caller is gone")
	}
	ev := h.events.where(t, func(e map[string]any) bool { return e["verdict"] == "aborted" })
	if ev["code"] != "client-gone" || ev["status"] != 200.0 {
		t.Errorf("the event says %v, status %v", ev["code"], ev["status"])
	}
}

// A caller that goes away before there is an answer.
func TestClientGone(t *testing.T) { both(t, testClientGone) }

func testClientGone(t *testing.T, codec gateway.Codec) {
	began, gone := make(chan struct{}), make(chan struct{})
	h := start(t, setup{codec: codec, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(gone)
	})})
	key, _ := h.issue()
	h.grant("read")
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+h.addr+"/eid/v1/many", nil)
	r.Header.Set("X-API-Key", key)
	go func() { <-began; cancel() }()
	if _, err := h.client.Do(r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-gone
	ev := h.events.where(t, func(e map[string]any) bool { return e["verdict"] == "aborted" })
	if ev["code"] != "client-gone" || ev["status"] != 0.0 {
		t.Errorf("the event says %v, status %v", ev["code"], ev["status"])
	}
}

// A body of 200 MB passes both ways in constant memory.
func TestLargeBodiesUseConstantMemory(t *testing.T) { both(t, testLargeBodiesUseConstantMemory) }

func testLargeBodiesUseConstantMemory(t *testing.T, codec gateway.Codec) {
	size, most := int64(200<<20), int64(16<<20)
	if gateway.Raced && (inH2(codec) || outH2(codec)) { // it is slow there, and pools forget, those of the test's own client too
		size, most = 64<<20, 64<<20
	}
	h := start(t, setup{codec: codec, limits: gateway.Limits{}, bundle: nil, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	})})
	h.patient()
	key, _ := h.issue()
	h.grant("read")
	r, _ := http.NewRequest("GET", "http://"+h.addr+"/eid/v1/many", nil)
	r.Header.Set("X-API-Key", key)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	res.Body.Close()
	runtime.ReadMemStats(&after)
	if err != nil || n != size {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > most {
		t.Errorf("%d MiB were allocated for it", grown>>20)
	}
}

// Each target in its turn.
func TestTargetsTakeTurns(t *testing.T) { both(t, testTargetsTakeTurns) }

func testTargetsTakeTurns(t *testing.T, codec gateway.Codec) {
	var hits [2]atomic.Int64
	servers := make([]string, 2)
	for i := range hits {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits[i].Add(1) })}
		done := make(chan struct{})
		go func() { _ = s.Serve(l); close(done) }()
		t.Cleanup(func() { _ = s.Close(); <-done })
		servers[i] = "http://" + l.Addr().String()
	}
	h := start(t, setup{codec: codec, bundle: files(strings.Join(servers, `", "`), "")})
	for range 10 {
		h.do(call{path: "/eid/v1/health"}).want(t, 200, "")
	}
	if hits[0].Load() != 5 || hits[1].Load() != 5 {
		t.Errorf("%d and %d of 10 calls", hits[0].Load(), hits[1].Load())
	}
}

// gathered is each series with its value, or how often a histogram has observed.
func (h *house) gathered(t *testing.T) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	families, err := prometheus.Gatherers{h.g.Metrics()}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestMetrics(t *testing.T) { both(t, testMetrics) }

func testMetrics(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	h.do(call{path: "/eid/v1/many", key: key})
	h.do(call{path: "/eid/v1/many"})
	h.do(call{path: "/nowhere/" + key})
	h.wait("no exchange runs", func() bool { return h.gathered(t)["gatehouse_exchanges_running environment=live"] == 0 }) // they end after their answers
	got := h.gathered(t)
	for name := range got {
		if strings.Contains(name, key[10:]) || strings.Contains(name, string(h.app)) {
			t.Errorf("a label holds what callers choose: %s", name)
		}
	}
	for name, want := range map[string]float64{
		"gatehouse_exchanges_total environment=live fault=none route=eid many rule=none status=2xx verdict=passed":                1,
		"gatehouse_exchanges_total environment=live fault=unauthenticated route=eid many rule=api_key status=4xx verdict=refused": 1,
		"gatehouse_exchanges_total environment=live fault=not-found route=none rule=route status=4xx verdict=refused":             1,
		"gatehouse_exchange_seconds environment=live route=eid many":                                                              2,
		"gatehouse_upstream_seconds environment=live route=eid many":                                                              1,
		"gatehouse_revision environment=live which=served":                                                                        1,
		"gatehouse_access_records environment=live kind=grant":                                                                    1,
		"gatehouse_feed_seq environment=live":                                                                                     5,
		"gatehouse_ready environment=live":                                                                                        1,
		"gatehouse_exchanges_running environment=live":                                                                            0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
}

// A target that cannot be reached is passed over: nothing was sent to it.
func TestUnreachableTargetIsPassedOver(t *testing.T) { both(t, testUnreachableTargetIsPassedOver) }

func testUnreachableTargetIsPassedOver(t *testing.T, codec gateway.Codec) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	l.Close()
	up := &http.Server{Handler: http.HandlerFunc(echo)}
	alive, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = up.Serve(alive); close(done) }()
	t.Cleanup(func() { _ = up.Close(); <-done })
	h := start(t, setup{codec: codec, bundle: files(dead+`", "http://`+alive.Addr().String(), "")})
	key, _ := h.issue()
	h.grant("read")
	for i := range 4 {
		a := h.do(call{method: "POST", path: "/eid/v1/upload", key: key, body: strings.NewReader("once")})
		a.want(t, 200, "")
		if e := a.echoed(t); e.Body != "once" {
			t.Errorf("call %d: the body arrived as %q", i, e.Body)
		}
	}
	ev := h.events.where(t, func(e map[string]any) bool { return e["status"] == 200.0 })
	if ev["upstream"] != alive.Addr().String() {
		t.Errorf("the event names %v", ev["upstream"])
	}
}
