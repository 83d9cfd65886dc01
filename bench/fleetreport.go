package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// fleetResult is one line of what was measured of a fleet. Times are in milliseconds.
type fleetResult struct {
	Case         string  `json:"case"`
	Gateways     int     `json:"gateways"` // feed connections
	Credentials  int     `json:"credentials"`
	Samples      int     `json:"samples"`
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
	Max          float64 `json:"max_ms"`
	RSS          float64 `json:"rss_mb"` // of the largest full gateway; of the control plane where there is no gateway
	Control      float64 `json:"control_rss_mb,omitempty"`
	BytesP50     float64 `json:"bytes_p50,omitempty"`
	BytesMax     float64 `json:"bytes_max,omitempty"`
	PerSecond    float64 `json:"per_second,omitempty"`     // answered
	FedPerSecond float64 `json:"fed_per_second,omitempty"` // until the last of them had its number
	ControlCPU   float64 `json:"control_cpu_us,omitempty"` // processor time of the control planes for each write
	CallersCPU   float64 `json:"callers_cpu_us,omitempty"` // and of those who ask, on the same cores
	Target       string  `json:"target"`
	Note         string  `json:"note,omitempty"`
}

func (r fleetResult) print(out io.Writer) error {
	b, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", b)
	}
	return err
}

// The fleet's table on the page stands between these lines.
const (
	fleetBegin = "<!-- Written by make bench-fleet. -->"
	fleetEnd   = "<!-- End of what make bench-fleet writes. -->"
)

func writeFleetPage(file string, rs []fleetResult, at time.Time) error {
	var t strings.Builder
	fmt.Fprintf(&t, "\n\nMeasured on %s, %s.\n\n", at.UTC().Format(time.DateOnly), machine())
	t.WriteString("| case | gateways | credentials | samples | p50 ms | p99 ms | max ms | MB | MB of control | other | to reach | what |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|\n")
	for _, r := range rs {
		other := ""
		switch {
		case r.BytesMax > 0:
			other = fmt.Sprintf("%.0f bytes, at most %.0f", r.BytesP50, r.BytesMax)
		case r.PerSecond > 0:
			other = fmt.Sprintf("%.0f/s, fed %.0f/s; %.0f µs of control", r.PerSecond, r.FedPerSecond, r.ControlCPU)
			if r.CallersCPU > 0 {
				other += fmt.Sprintf(", %.0f of the callers", r.CallersCPU)
			}
		}
		fmt.Fprintf(&t, "| %s | %d | %d | %d | %.1f | %.1f | %.1f | %.0f | %.0f | %s | %s | %s |\n", r.Case, r.Gateways, r.Credentials, r.Samples, r.P50, r.P99, r.Max, r.RSS, r.Control, other, r.Target, r.Note)
	}
	t.WriteString("\n")
	return replaceBetween(file, fleetBegin, fleetEnd, t.String())
}

// peak is the most that the process has held, in MB.
func (p *process) peak() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return round(kb/1024, 1)
		}
	}
	return 0
}
