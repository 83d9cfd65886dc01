package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is one line of what was measured.
type result struct {
	Case        string  `json:"case"`
	Target      string  `json:"target"`
	Connections int     `json:"connections"`
	RPS         float64 `json:"rps"`
	CPU         float64 `json:"cpu_us"`      // processor time for each request, user and system
	Ratio       float64 `json:"ratio_nginx"` // of that to nginx's plain proxy in the same round
	Calls       float64 `json:"syscalls"`    // for each request; 0: not counted
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	RSS         float64 `json:"rss_mb"`
}

// summary is the medians of an entrant's rounds. The ratio is taken within each round: both ran within a moment.
func summary(e entrant, rounds, baseline []tally) result {
	r := result{Case: e.kase, Target: e.target, Connections: e.load.connections}
	of := func(value func(int) float64) float64 {
		v := make([]float64, len(rounds))
		for i := range rounds {
			v[i] = value(i)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	r.RPS = round(of(func(i int) float64 { return rounds[i].rps }), 0)
	r.CPU = round(of(func(i int) float64 { return rounds[i].cpu }), 2)
	r.Ratio = round(of(func(i int) float64 { return rounds[i].cpu / baseline[i].cpu }), 3)
	r.P50 = round(of(func(i int) float64 { return rounds[i].p50 }), 3)
	r.P99 = round(of(func(i int) float64 { return rounds[i].p99 }), 3)
	return r
}

func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}

func (r result) print(out io.Writer) error {
	b, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", b)
	}
	return err
}

// table prints results for people.
func table(out io.Writer, rs []result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\ttarget\tconnections\trequests/s\tCPU µs\tof nginx\tcalls\tp50 ms\tp99 ms\tMB\t")
	for _, r := range rs {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t\n", r.Case, r.Target, r.Connections, r.RPS, r.CPU, r.Ratio, r.Calls, r.P50, r.P99, r.RSS)
	}
	_ = w.Flush()
}

// The table on the page stands between these lines.
const (
	pageBegin = "<!-- Written by make bench. -->"
	pageEnd   = "<!-- End of what make bench writes. -->"
)

// writePage replaces the table on the page.
func writePage(file string, rs []result, missing []string, at time.Time) error {
	var t strings.Builder
	fmt.Fprintf(&t, "\n\nMeasured on %s, %s.\n\n", at.UTC().Format(time.DateOnly), machine())
	t.WriteString("| case | target | connections | requests/s | CPU µs per request | of nginx plain | system calls | p50 ms | p99 ms | MB |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rs {
		target := r.Target
		if target == "gatehouse" {
			target = "**Gatehouse**"
		}
		fmt.Fprintf(&t, "| %s | %s | %d | %.0f | %.1f | %.2f | %.1f | %.2f | %.2f | %.0f |\n", r.Case, target, r.Connections, r.RPS, r.CPU, r.Ratio, r.Calls, r.P50, r.P99, r.RSS)
	}
	for _, m := range missing {
		fmt.Fprintf(&t, "\n%s.\n", m)
	}
	t.WriteString("\n")
	return replaceBetween(file, pageBegin, pageEnd, t.String())
}

// replaceBetween puts the text between two lines of the page.
func replaceBetween(file, begin, end, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ends := strings.Cut(rest, end)
	if !ok || !ends {
		return fmt.Errorf("%s has no place for the table: the lines %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}

// machine names where this runs.
func machine() string {
	model, memory := "an unknown processor", 0.0
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		for in := bufio.NewScanner(f); in.Scan(); {
			if name, value, ok := strings.Cut(in.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
		f.Close()
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, _ = fmt.Sscanf(string(b), "MemTotal: %f kB", &memory)
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, %.0f GB, Linux %s, %s", model, runtime.NumCPU(), memory/1e6, strings.TrimSpace(string(kernel)), runtime.Version())
}
