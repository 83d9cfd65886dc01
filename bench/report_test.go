package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const wrkSaid = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.97ms    1.15ms  18.68ms   81.60%
  Latency Distribution
     50%    1.50ms
     75%    2.00ms
     90%    2.70ms
     99%  900.00us
  100000 requests in 2.00s, 132.00MB read
Requests/sec:  50000.00
`

func TestReadsWrk(t *testing.T) {
	got, err := read([]byte(wrkSaid))
	if want := (tally{requests: 100_000, rps: 50_000, p50: 1.5, p99: .9}); err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
	for _, wrong := range []string{"", wrkSaid + "  Non-2xx or 3xx responses: 3\n", wrkSaid + "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
		strings.Replace(wrkSaid, "100000 requests", "0 requests", 1)} {
		if _, err := read([]byte(wrong)); err == nil {
			t.Errorf("no error for %q", wrong)
		}
	}
}

// The ratio is that of rounds, so a slow spell of the machine that both were in does not show in it.
func TestSummary(t *testing.T) {
	base := []tally{{cpu: 10}, {cpu: 20}, {cpu: 10}}
	r := summary(entrant{kase: "policy", target: "gatehouse", load: load{connections: 64}}, []tally{{cpu: 11, p99: 1}, {cpu: 22, p99: 9}, {cpu: 11, p99: 2}}, base)
	if r.Ratio != 1.1 || r.CPU != 11 || r.P99 != 2 {
		t.Errorf("summed up to %+v", r)
	}
}

func TestWritesOnlyItsPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+pageBegin+"\nold\n"+pageEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(file, []result{{Case: "policy", Target: "gatehouse", CPU: 12.34}}, []string{"Nobody: not there"}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if !strings.HasPrefix(got, "before\n"+pageBegin) || !strings.HasSuffix(got, pageEnd+"\nafter\n") || strings.Contains(got, "old") ||
		!strings.Contains(got, "| policy | **Gatehouse** | 0 | 0 | 12.3 |") || !strings.Contains(got, "Nobody: not there.") {
		t.Errorf("the page is\n%s", got)
	}
	if err := os.WriteFile(file, []byte("no place"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(file, nil, nil, time.Unix(0, 0)); err == nil {
		t.Error("a page without a place for the table is not told of")
	}
}

// A process knows its own processor time, and that of its children.
func TestSpent(t *testing.T) {
	p, err := start("busy", t.TempDir(), nil, "sh", "-c", "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 100) & wait")
	if err != nil {
		t.Fatal(err)
	}
	<-p.lines
	spent, err := p.spent()
	if err != nil || spent < 5*time.Millisecond {
		t.Errorf("spent %v (%v)", spent, err)
	}
	if p.memory() <= 0 {
		t.Error("it holds no memory")
	}
	for _, pid := range p.family() {
		if q, err := os.FindProcess(pid); err == nil {
			_ = q.Kill()
		}
	}
	<-p.done
}
