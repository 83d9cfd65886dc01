package event_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/event"
)

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func full() *event.Exchange {
	return &event.Exchange{Time: time.Date(2026, 11, 24, 1, 2, 3, 456_789_000, time.UTC), ID: "rq_1", Environment: "live", Gateway: "gw-1",
		Revision: 3, Method: "GET", Host: "api.example", Path: "/eid/v1/whoami", Status: 200, Peer: "192.0.2.1", API: "eid",
		Operation: "whoAmI", Route: "eid whoAmI", Upstream: "10.0.0.1:80", Organization: "org_1", Application: "app_1",
		Credential: "crd_1", Grant: "gr_1", Product: "starter", Plan: "free", Verdict: "passed", Rule: "none", Fault: "none",
		RequestBytes: 1, ResponseBytes: 2, UpstreamTime: 1500 * time.Microsecond, Total: 2 * time.Millisecond, Protocol: "HTTP/1.1"}
}

func TestEveryFieldIsThere(t *testing.T) {
	var empty map[string]any
	if err := json.Unmarshal(event.Append(nil, &event.Exchange{}), &empty); err != nil {
		t.Fatal(err)
	}
	if want := reflect.TypeFor[event.Exchange]().NumField(); len(empty) != want {
		t.Errorf("an empty event has %d fields, the type has %d", len(empty), want)
	}
	var got map[string]any
	if err := json.Unmarshal(event.Append(nil, full()), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"time": "2026-11-24T01:02:03.456789Z", "id": "rq_1", "revision": 3.0, "status": 200.0,
		"grant": "gr_1", "upstream_us": 1500.0, "total_us": 2000.0, "request_bytes": 1.0, "response_bytes": 2.0, "path": "/eid/v1/whoami"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func FuzzAppend(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\x1b[31m", "\xff\xfe", "é\u2028\u202e", `"\`, "\x7f\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := full()
		e.Path, e.Host = s, s
		b := event.Append(nil, e)
		if bytes.Count(b, []byte("\n")) != 1 || b[len(b)-1] != '\n' {
			t.Fatalf("%q makes more than one line: %q", s, b)
		}
		var got struct{ Path, Host string }
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q makes no JSON: %v", s, err)
		}
		if utf8.ValidString(s) && got.Path != s {
			t.Errorf("%q came back as %q", s, got.Path)
		}
	})
}

func TestLinesWritesAll(t *testing.T) {
	var out locked
	l := event.NewLines(&out, event.LinesOptions{Flush: time.Hour})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250 {
				l.Write(full())
			}
		})
	}
	wg.Wait()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.b.String(), "\n"); n != 1000 || l.Lost() != 0 {
		t.Errorf("%d lines written and %d lost of 1000", n, l.Lost())
	}
	l.Write(full())
	if l.Lost() != 1 {
		t.Errorf("an event after Close: %d lost", l.Lost())
	}
	if err := l.Close(context.Background()); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.free; return len(p), nil }

func TestLinesNeverWaits(t *testing.T) {
	w := stuck{make(chan struct{})}
	size := len(event.Append(nil, full()))
	l := event.NewLines(w, event.LinesOptions{Flush: time.Millisecond, Pending: 10 * size})
	for range 100 { // the writer holds at most one batch, ten more wait, the others are lost
		l.Write(full())
	}
	if lost := l.Lost(); lost < 80 || lost > 90 {
		t.Errorf("%d of 100 are lost, want 80 to 90", lost)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close does not give up: %v", err)
	}
	close(w.free)
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

func TestLinesCountsWhatTheWriterLoses(t *testing.T) {
	l := event.NewLines(broken{}, event.LinesOptions{})
	l.Write(full())
	if err := l.Close(context.Background()); err == nil || l.Lost() != 1 {
		t.Errorf("Close says %v, %d lost", err, l.Lost())
	}
}

func BenchmarkLines(b *testing.B) {
	l, e := event.NewLines(devNull{}, event.LinesOptions{}), full()
	b.ReportAllocs()
	for b.Loop() {
		l.Write(e)
	}
	_ = l.Close(context.Background())
}

type devNull struct{}

func (devNull) Write(p []byte) (int, error) { return len(p), nil }

// What is looked at eight bytes at a time is what is looked at one by one.
func TestEscapeAtEveryPlace(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte("abcdefghijklmnopqrst")
			b[at] = byte(c)
			e := &event.Exchange{Path: string(b)}
			var got struct{ Path string }
			if err := json.Unmarshal(event.Append(nil, e), &got); err != nil {
				t.Fatalf("byte %#x at %d makes no JSON: %v", c, at, err)
			}
			if want := strings.ToValidUTF8(string(b), "\ufffd"); got.Path != want {
				t.Errorf("byte %#x at %d came back as %q", c, at, got.Path)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1e9, 999_999_999), time.Date(2024, 2, 29, 23, 59, 59, 1000, time.FixedZone("x", 3600)),
		time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		want := `{"time":"` + at.UTC().Format("2006-01-02T15:04:05.000000Z") + `",`
		if got := event.Append(nil, &event.Exchange{Time: at}); !bytes.HasPrefix(got, []byte(want)) {
			t.Errorf("%v is written %.40s", at, got)
		}
	}
}
