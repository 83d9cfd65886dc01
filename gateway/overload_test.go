package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/manifest"
)

// What an overload is made of.
const (
	desks       = 8 // requests that the upstream works on at once; the others stand in its queue
	deskTime    = 10 * time.Millisecond
	crowd       = 128                   // clients with a request at a time
	crowdPause  = 50 * time.Millisecond // of a client that was refused; ten to a hundred times less than what Retry-After asks for
	crowdTime   = 8 * time.Second
	crowdSettle = 4 * time.Second // of which nothing counts: the bound finds its place
)

// BenchmarkOverload measures what those feel who are served while many more ask than an upstream can take: eight at once,
// 10 ms each, so 800 a second, and 128 clients. Reported are median and 99th percentile of the answers, how many of them
// came in a second, and how many were refused: without a bound, with one that somebody has chosen well, and with one that is far
// too large and finds its place by itself.
//
//	go test -run '^$' -bench Overload -benchtime 1x ./gateway
func BenchmarkOverload(b *testing.B) {
	for _, c := range []struct {
		name  string
		bound *manifest.Concurrency
	}{
		{"unbounded", nil},
		{"chosen", &manifest.Concurrency{Most: 12, Queue: 4, Wait: manifest.Duration(20 * time.Millisecond)}},
		{"adaptive", &manifest.Concurrency{Most: 1000, Queue: 4, Wait: manifest.Duration(20 * time.Millisecond), Adaptive: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				overload(b, c.bound)
			}
		})
	}
}

// felt is how one client was answered.
type felt struct {
	took    []time.Duration
	refused int
}

func overload(b *testing.B, bound *manifest.Concurrency) {
	desk := make(chan struct{}, desks)
	content := strings.Repeat("x", 1024)
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		desk <- struct{}{}
		time.Sleep(deskTime)
		<-desk
		_, _ = io.WriteString(w, content)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{})
	go func() { _ = up.Serve(l); close(over) }()
	defer func() { _ = up.Close(); <-over }()
	g, key, err := partnerOf(Options{}, manifest.Upstream{Targets: []string{"http://" + l.Addr().String()}, Concurrency: bound})
	if err != nil {
		b.Fatal(err)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- g.Serve(ctx, front) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			b.Error(err)
		}
	}()
	transport := &http.Transport{MaxIdleConnsPerHost: crowd}
	defer transport.CloseIdleConnections()
	ask := func() (int, time.Duration) {
		r, _ := http.NewRequest("GET", "http://"+front.Addr().String()+"/a/v1/things/17", nil)
		r.Header.Set("X-API-Key", key)
		began := time.Now()
		res, err := transport.RoundTrip(r)
		if err != nil {
			b.Error(err)
			return 0, 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode, time.Since(began)
	}
	for range 100 { // a time without a crowd, by which the bound knows what is slow
		ask()
		time.Sleep(deskTime)
	}
	began := time.Now()
	all := make([]felt, crowd)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			for f := &all[i]; ; {
				status, took := ask()
				at := time.Since(began)
				switch counts := at > crowdSettle && at < crowdTime; {
				case at > crowdTime || status == 0:
					return
				case status == 200 && counts:
					f.took = append(f.took, took)
				case status == 503 && counts:
					f.refused++
				case status != 200 && status != 503:
					b.Errorf("answered %d", status)
					return
				}
				if status == 503 {
					time.Sleep(crowdPause)
				}
			}
		})
	}
	wg.Wait()
	var took []time.Duration
	refused := 0
	for _, f := range all {
		took, refused = append(took, f.took...), refused+f.refused
	}
	if len(took) == 0 {
		b.Fatal("nobody was answered")
	}
	slices.Sort(took)
	span := (crowdTime - crowdSettle).Seconds()
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(len(took))/span, "answers/s")
	b.ReportMetric(float64(refused)/span, "refusals/s")
}
