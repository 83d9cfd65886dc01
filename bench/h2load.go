package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Over HTTP/2 it is h2load that asks, since wrk speaks HTTP/1.1 only.

// The connections of the cases over HTTP/2, and the streams that are open at a time on each: as many requests wait as on 128 connections of
// HTTP/1.1.
const (
	h2Connections = 16
	h2Streams     = 8
)

func (l load) h2args(p *process, spell time.Duration) []string {
	scheme := "http://"
	if p.tls {
		scheme = "https://"
	}
	args := []string{"-t1", "-c" + strconv.Itoa(l.connections), "-m" + strconv.Itoa(l.streams), "-D" + strconv.Itoa(max(int(spell.Seconds()), 1)), "--warm-up-time=0"}
	if l.key != "" {
		args = append(args, "-H", "X-API-Key: "+l.key)
	}
	return append(args, "-H", "Accept: application/json", scheme+p.addr+l.path)
}

// h2 asks for a while by h2load, which prints no quantiles: they are taken from its log of all requests.
func (l load) h2(ctx context.Context, p *process, spell time.Duration) (t tally, err error) {
	log, err := os.CreateTemp("", "gatehouse-h2load-")
	if err != nil {
		return t, err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	out, err := exec.CommandContext(ctx, "h2load", append([]string{"--log-file=" + log.Name()}, l.h2args(p, spell)...)...).CombinedOutput()
	if err != nil {
		return t, fmt.Errorf("h2load at %s: %w\n%s", p.name, err, out)
	}
	if t, err = readH2(out); err != nil {
		return t, err
	}
	t.p50, t.p99, err = quantiles(log)
	return t, err
}

var (
	h2Finished = regexp.MustCompile(`finished in ([\d.]+)(us|ms|s),`)
	h2Requests = regexp.MustCompile(`requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout`)
	h2Statuses = regexp.MustCompile(`status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx`)
)

// readH2 reads what h2load printed.
func readH2(out []byte) (t tally, err error) {
	n, f := h2Requests.FindSubmatch(out), h2Finished.FindSubmatch(out)
	if n == nil || f == nil || !h2Statuses.Match(out) || !strings.Contains(string(out), "Application protocol: h2") {
		return t, fmt.Errorf("not everything was answered well over HTTP/2:\n%s", out)
	}
	took, err := strconv.ParseFloat(string(f[1]), 64)
	if err != nil {
		return t, err
	}
	t.requests, err = strconv.ParseFloat(string(n[3]), 64)
	t.rps = t.requests / took / map[string]float64{"us": 1e-6, "ms": 1e-3, "s": 1}[string(f[2])]
	if err == nil && t.requests == 0 {
		err = fmt.Errorf("nothing was answered:\n%s", out)
	}
	return t, err
}

// quantiles are those of the log: each line has when a request began, its status and how long it took, in µs.
func quantiles(log *os.File) (p50, p99 float64, err error) {
	var took []float64
	for in := bufio.NewScanner(log); in.Scan(); {
		f := strings.Fields(in.Text())
		if len(f) != 3 {
			return 0, 0, fmt.Errorf("h2load's log has the line %q", in.Text())
		}
		us, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("h2load's log: %w", err)
		}
		took = append(took, us/1000)
	}
	if len(took) == 0 {
		return 0, 0, fmt.Errorf("h2load's log is empty")
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}

// h2Group is everybody with clients that speak HTTP/2 and an upstream that speaks HTTP/1.1.
func h2Group(suffix string, tls bool) func(context.Context, *lab) ([]entrant, error) {
	return func(ctx context.Context, l *lab) ([]entrant, error) {
		h, err := l.gatehouse(ctx, "gatehouse-"+suffix, 0, tls)
		if err != nil {
			return nil, err
		}
		plain, err := l.nginx(ctx, "nginx-"+suffix, nginxConf{before: kept(l.upstream), server: "location / { " + pass + " }", tls: tls, h2: true})
		if err != nil {
			return nil, err
		}
		policy, err := l.nginxPolicy(ctx, "nginx-policy-"+suffix, h.keys, nginxConf{tls: tls, h2: true})
		if err != nil {
			return nil, err
		}
		ld := load{connections: h2Connections, streams: h2Streams, path: smallPath, key: h.keys[0]}
		open := ld
		open.path = openPath
		return []entrant{{"plain-" + suffix, "nginx", plain, ld}, {"policy-" + suffix, "gatehouse", h.process, ld},
			{"policy-" + suffix, "nginx", policy, ld}, {"plain-" + suffix, "gatehouse", h.process, open}}, nil
	}
}
