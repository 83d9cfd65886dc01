package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// flood is what one connection of those who attack writes, again and again on new ones: far more than is borne.
type flood struct {
	name  string
	bytes []byte
}

func floods(key string) []flood {
	head := func() []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "api.example"}, {":path", "/a/v1/things/17"}, {"x-api-key", key}} {
			_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
		}
		return b.Bytes()
	}()
	begin := func(w io.Writer) *http2.Framer {
		_, _ = io.WriteString(w, http2.ClientPreface)
		fr := http2.NewFramer(w, nil)
		_ = fr.WriteSettings()
		return fr
	}
	var resets, fragments bytes.Buffer
	fr := begin(&resets)
	for id := uint32(1); id < 4000; id += 2 {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndStream: true, EndHeaders: true})
		_ = fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	fr = begin(&fragments)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
	for range 2000 {
		_ = fr.WriteContinuation(1, false, []byte{0x00, 0x01, 'x', 0x01, 'y'})
	}
	return []flood{{name: "none"}, {"rapid reset", resets.Bytes()}, {"CONTINUATION", fragments.Bytes()}}
}

// run lets attackers go on until ctx ends, and returns how many connections they made.
func (f *flood) run(ctx context.Context, addr string, attackers int) (made int64) {
	var n atomic.Int64
	var wg sync.WaitGroup
	for range attackers {
		wg.Go(func() {
			for f.bytes != nil && ctx.Err() == nil {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = c.Write(f.bytes)
				_, _ = io.Copy(io.Discard, c) // until it is cut off: more connections would be another attack
				c.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// floodFor names the variable that makes the test's program one that attacks: a gateway's address, a key, and a flood's number.
const floodFor = "GATEWAY_TEST_FLOOD"

// floodAlone attacks until it is killed; then it does not return.
func floodAlone() {
	f := strings.Fields(os.Getenv(floodFor))
	if len(f) != 3 {
		return
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		os.Exit(1)
	}
	fl := floods(f[1])[n]
	time.AfterFunc(30*time.Second, func() { os.Exit(1) })
	ctx, cancel := context.WithTimeout(context.Background(), floodTime)
	defer cancel()
	fmt.Println(fl.run(ctx, f[0], attackers))
	os.Exit(0)
}

const (
	floodTime = 5 * time.Second
	attackers = 8 // connections at any moment
)

// BenchmarkFloods measures what others feel of a flood: four polite clients of HTTP/2, each with a request at a time and a
// pause of a millisecond, while eight connections attack at any moment, from a process with one processor. The gateway is a
// process of its own, with key, grant, rate limit, event and metrics. Reported are the polite clients' median and 99th percentile, and what the process grew by.
//
//	go test -run '^$' -bench Floods -benchtime 1x ./gateway
func BenchmarkFloods(b *testing.B) {
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1024)) })}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{})
	go func() { _ = up.Serve(l); close(over) }()
	defer func() { _ = up.Close(); <-over }()
	alone := exec.Command(os.Args[0])
	alone.Env = append(os.Environ(), aloneFor+"="+string(aloneH2C)+" "+l.Addr().String())
	out, err := alone.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := alone.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = alone.Process.Kill(); _ = alone.Wait() }()
	var addr, key string
	if _, err := fmt.Fscan(out, &addr, &key); err != nil {
		b.Fatal(err)
	}
	for n, f := range floods(key) {
		b.Run(strings.ReplaceAll(f.name, " ", "-"), func(b *testing.B) {
			for range b.N {
				before := resident(b, alone.Process.Pid)
				attack := exec.Command(os.Args[0])
				attack.Env = append(os.Environ(), "GOMAXPROCS=1", floodFor+"="+addr+" "+key+" "+strconv.Itoa(n))
				var said bytes.Buffer
				attack.Stdout = &said
				if err := attack.Start(); err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), floodTime)
				took := polite(ctx, b, addr, key, 4)
				cancel()
				_ = attack.Wait()
				made, _ := strconv.Atoi(strings.TrimSpace(said.String()))
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(len(took)), "requests")
				b.ReportMetric(float64(made), "attacks")
				b.ReportMetric(float64(resident(b, alone.Process.Pid)-before)/(1<<20), "MiB-grown")
			}
		})
	}
}

// polite asks until ctx ends, and returns how long each answer took.
func polite(ctx context.Context, b *testing.B, addr, key string, clients int) []time.Duration {
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			t := &http.Transport{Protocols: new(http.Protocols)}
			t.Protocols.SetUnencryptedHTTP2(true)
			defer t.CloseIdleConnections()
			var mine []time.Duration
			for ctx.Err() == nil {
				r, err := http.NewRequest("GET", "http://"+addr+"/a/v1/things/17", nil)
				if err != nil {
					b.Error(err)
					return
				}
				r.Header.Set("X-API-Key", key)
				at := time.Now()
				res, err := t.RoundTrip(r)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != 200 {
					b.Errorf("%d, %v", res.StatusCode, err)
					return
				}
				mine = append(mine, time.Since(at))
				time.Sleep(time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	wg.Wait()
	return all
}

// resident is the memory of a process in bytes.
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		b.Skip(err)
	}
	n, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}
