package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const h2loadSaid = `Application protocol: h2c

finished in 2.50s, 2000.00 req/s, 216.23KB/s
requests: 5000 total, 5128 started, 5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 5000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 432.46KB (442834) total, 299.30KB (306488) headers (space savings 50.00%), 28.78KB (29470) data
`

func TestReadsH2load(t *testing.T) {
	got, err := readH2([]byte(h2loadSaid))
	if want := (tally{requests: 5000, rps: 2000}); err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
	for _, change := range [][2]string{{"0 failed", "1 failed"}, {"0 4xx", "7 4xx"}, {"0 timeout", "2 timeout"}, {"5000 succeeded", "0 succeeded"}, {"finished in", "ended in"}, {"protocol: h2c", "protocol: http/1.1"}} {
		if _, err := readH2([]byte(strings.Replace(h2loadSaid, change[0], change[1], 1))); err == nil {
			t.Errorf("no error for %q", change[1])
		}
	}
}

func TestQuantilesOfALog(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "1795867612786787\t200\t%d\n", (i*37%100+1)*1000)
	}
	open := func(text string) *os.File {
		name := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	if p50, p99, err := quantiles(open(text.String())); err != nil || p50 != 51 || p99 != 100 {
		t.Errorf("p50 %v, p99 %v (%v)", p50, p99, err)
	}
	for _, wrong := range []string{"", "1 200\n", "1 200 x\n"} {
		if _, _, err := quantiles(open(wrong)); err == nil {
			t.Errorf("no error for %q", wrong)
		}
	}
}
