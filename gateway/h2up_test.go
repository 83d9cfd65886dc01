package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/manifest"
)

// both2 runs a test whose upstream speaks HTTP/2, with clients of either protocol.
func both2(t *testing.T, test func(*testing.T, gateway.Codec)) {
	for _, codec := range []gateway.Codec{toH2C, overToH2C} {
		t.Run("codec="+string(codec), func(t *testing.T) { test(t, codec) })
	}
}

// speaking is files for an upstream of that protocol, with more settings of it.
func speaking(protocol, target, more string) manifest.Bundle {
	b := files(target, "")
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "    timeouts:", "    protocol: "+protocol+"\n"+more+"    timeouts:", 1))
	return b
}

// Over TLS an upstream has to choose HTTP/2 in the handshake: one that does not is not asked.
func TestUpstreamH2OverTLS(t *testing.T) { both2(t, testUpstreamH2OverTLS) }

func testUpstreamH2OverTLS(t *testing.T, codec gateway.Codec) {
	secure, pool := certificate(t)
	for _, h2 := range []bool{true, false} {
		up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.URL.Path)
		}))
		up.TLS, up.EnableHTTP2 = secure.Clone(), h2
		up.StartTLS()
		t.Cleanup(up.Close)
		h := start(t, setup{codec: codec, roots: pool, bundle: speaking("h2", up.URL, "")})
		a := h.do(call{path: "/eid/v1/health"})
		if !h2 {
			a.want(t, 502, "upstream-unreachable")
			continue
		}
		if want := "HTTP/2.0 " + up.Listener.Addr().String() + " /v1/health"; a.body != want {
			t.Errorf("the upstream got %q, want %q", a.body, want)
		}
	}
}

// One connection carries many exchanges at a time, and another follows when it is full.
func TestUpstreamH2Multiplexes(t *testing.T) { both2(t, testUpstreamH2Multiplexes) }

func testUpstreamH2Multiplexes(t *testing.T, codec gateway.Codec) {
	var mu sync.Mutex
	from := map[string]int{}
	together := make(chan struct{})
	arrived := 0
	h := start(t, setup{codec: codec, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr]++
		if arrived++; arrived == 40 {
			close(together)
		}
		mu.Unlock()
		select {
		case <-together:
		case <-r.Context().Done():
		}
	})})
	h.patient()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { h.do(call{path: "/eid/v1/health"}).want(t, 200, "") })
	}
	wg.Wait()
	if len(from) > 2 {
		t.Errorf("40 exchanges at a time took %d connections", len(from))
	}
}

// Trailers pass both ways, but for those that only the gateway may write; content flows both ways at once.
func TestH2TrailersAndDuplex(t *testing.T) {
	h := start(t, setup{codec: overToH2C, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, Gatehouse-Grant")
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		w.WriteHeader(200)
		_ = c.Flush()
		buf := make([]byte, 64)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write([]byte(strings.ToUpper(string(buf[:n]))))
			_ = c.Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("X-Sum", r.Trailer.Get("X-Client-Sum")+"/"+r.Trailer.Get("Gatehouse-Organization"))
		w.Header().Set("Gatehouse-Grant", "forged")
	})})
	h.patient()
	key, _ := h.issue()
	h.grant("read")
	body, in := io.Pipe()
	r, _ := http.NewRequest("POST", "http://"+h.addr+"/eid/v1/upload", body)
	r.Header.Set("X-API-Key", key)
	r.Trailer = http.Header{"X-Client-Sum": nil, "Gatehouse-Organization": nil}
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 5)
	for _, word := range []string{"hello", "again"} { // each comes back before the next is sent
		if _, err := io.WriteString(in, word); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != strings.ToUpper(word) {
			t.Fatalf("%q came back for %q: %v", buf, word, err)
		}
	}
	r.Trailer.Set("X-Client-Sum", "10")
	r.Trailer.Set("Gatehouse-Organization", "forged")
	in.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	if got := res.Trailer; got.Get("X-Sum") != "10/" || got.Get("Gatehouse-Grant") != "" {
		t.Errorf("the trailer is %v", got)
	}
}

// An upstream that goes away in order (GOAWAY) loses nothing.
func TestUpstreamH2Leaves(t *testing.T) { both2(t, testUpstreamH2Leaves) }

func testUpstreamH2Leaves(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	h.patient()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.do(call{path: "/eid/v1/health"}).want(t, 200, "")
				}
			}
		})
	}
	for range 20 { // each of its connections is told to end, again and again
		h.upstream.Config.SetKeepAlivesEnabled(false)
		time.Sleep(10 * time.Millisecond)
		h.upstream.Config.SetKeepAlivesEnabled(true)
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
}

// Whether a target is well is asked in its own protocol.
func TestActiveHealthOverH2(t *testing.T) {
	seen := make(chan string, 100)
	up := server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			select {
			case seen <- r.Proto:
			default:
			}
		}
	}), toH2C)
	t.Cleanup(up.Close)
	h := start(t, setup{codec: gateway.HTTP1, bundle: speaking("h2c", up.URL, "    health: {active: {path: /healthz, interval: 100ms, timeout: 5s}}\n")})
	select {
	case got := <-seen:
		if got != "HTTP/2.0" {
			t.Errorf("it was asked over %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody asked")
	}
	h.do(call{path: "/eid/v1/health"}).want(t, 200, "")
	for _, u := range h.g.Upstreams() {
		for _, m := range u.Targets {
			if m.Down {
				t.Errorf("%s is taken for unwell", m.Name)
			}
		}
	}
}

// A trailer of HTTP/1.1 reaches an upstream of HTTP/2, whether the content is small or streamed.
func TestTrailerFromHTTP1ToH2(t *testing.T) {
	h := start(t, setup{codec: toH2C, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strconv.Itoa(len(b))+" "+r.Trailer.Get("Content-Digest")+r.Trailer.Get("Gatehouse-Grant"))
	})})
	h.patient()
	key, _ := h.issue()
	h.grant("read")
	for _, size := range []int{5, 300_000} {
		r, _ := http.NewRequest("POST", "http://"+h.addr+"/eid/v1/upload", io.LimitReader(zeros{}, int64(size)))
		r.Header.Set("X-API-Key", key)
		r.ContentLength = -1
		r.Trailer = http.Header{"Content-Digest": {"d"}, "Gatehouse-Grant": {"forged"}}
		res, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a := read(t, res); a.status != 200 || a.body != strconv.Itoa(size)+" d" {
			t.Errorf("%d bytes: the upstream got %d %q", size, a.status, a.body)
		}
	}
}

// An answer that says its length may have a trailer all the same; whether it comes with the last bytes or later, none is lost.
func TestH2TrailersAfterKnownLength(t *testing.T) {
	for _, late := range []bool{false, true} {
		read := make(chan struct{}) // the caller has the content
		h := start(t, setup{codec: overToH2C, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
			if late {
				_ = http.NewResponseController(w).Flush()
				select {
				case <-read:
				case <-r.Context().Done():
				}
			}
			w.Header().Set("X-Sum", "5")
		})})
		h.patient()
		key, _ := h.issue()
		h.grant("read")
		r, _ := http.NewRequest("GET", "http://"+h.addr+"/eid/v1/whoami", nil)
		r.Header.Set("X-API-Key", key)
		res, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		_, err = io.ReadFull(res.Body, b)
		close(read)
		rest, end := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || end != nil || len(rest) > 0 || string(b) != "hello" || res.ContentLength != 5 || res.Trailer.Get("X-Sum") != "5" {
			t.Errorf("late %v: %d %q, length %d, trailer %v, %v, %v", late, res.StatusCode, b, res.ContentLength, res.Trailer, err, end)
		}
	}
}
