package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is what is asked of a target: one request again and again on so many kept connections, or in turn the requests
// that a script has.
type load struct {
	connections int
	streams     int // at a time on each, over HTTP/2; 0: HTTP/1.1
	path        string
	key         string
	token       string        // sent instead of a key
	script      string        // a file for wrk; it writes the requests itself
	warm        time.Duration // how long it is asked before it counts; 0: a second
}

// tally is what one round of a target came to.
type tally struct {
	requests, rps, cpu, p50, p99 float64 // cpu in µs for each request, times in ms
}

var (
	served  = regexp.MustCompile(`(\d+) requests in ([\d.]+)(m?s)`)
	quarter = regexp.MustCompile(`(50|99)%\s+([\d.]+)(us|ms|s)`)
)

func (l load) args(p *process, spell time.Duration) []string {
	scheme := "http://"
	if p.tls {
		scheme = "https://"
	}
	args := []string{"-t1", "-c" + strconv.Itoa(l.connections), "-d" + strconv.Itoa(max(int(spell.Seconds()), 1)) + "s", "--latency"}
	if l.script != "" {
		args = append(args, "-s", l.script)
	}
	if l.key != "" {
		args = append(args, "-H", "X-API-Key: "+l.key)
	}
	if l.token != "" {
		args = append(args, "-H", "Authorization: Bearer "+l.token)
	}
	return append(args, "-H", "Accept: application/json", scheme+p.addr+l.path)
}

// run asks the target for a while.
func (l load) run(ctx context.Context, p *process, spell time.Duration) (tally, error) {
	before, err := p.spent()
	if err != nil {
		return tally{}, err
	}
	ask := l.h1
	if l.streams > 0 {
		ask = l.h2
	}
	t, err := ask(ctx, p, spell)
	if err != nil {
		return t, fmt.Errorf("%s: %w\n%s", p.name, err, p.errs.String())
	}
	after, err := p.spent()
	if err != nil {
		return tally{}, err
	}
	t.cpu = float64((after - before).Nanoseconds()) / 1000 / t.requests
	return t, nil
}

// h1 asks for a while by wrk.
func (l load) h1(ctx context.Context, p *process, spell time.Duration) (tally, error) {
	out, err := exec.CommandContext(ctx, "wrk", l.args(p, spell)...).CombinedOutput()
	if err != nil {
		return tally{}, fmt.Errorf("wrk at %s: %w\n%s", p.name, err, out)
	}
	return read(out)
}

// command is what asks for a while, where no more is wanted than what it prints.
func (l load) command(p *process, spell time.Duration) []string {
	if l.streams > 0 {
		return append([]string{"h2load"}, l.h2args(p, spell)...)
	}
	return append([]string{"wrk"}, l.args(p, spell)...)
}

// read reads what wrk printed.
func read(out []byte) (t tally, err error) {
	n := served.FindSubmatch(out)
	if n == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return t, fmt.Errorf("not everything was answered well:\n%s", out)
	}
	number := func(b []byte) float64 {
		v, e := strconv.ParseFloat(string(b), 64)
		if err == nil {
			err = e
		}
		return v
	}
	t.requests = number(n[1])
	t.rps = t.requests / number(n[2]) / map[string]float64{"s": 1, "ms": .001}[string(n[3])]
	for _, q := range quarter.FindAllSubmatch(out, -1) {
		ms := number(q[2]) * map[string]float64{"us": .001, "ms": 1, "s": 1000}[string(q[3])]
		if string(q[1]) == "50" {
			t.p50 = ms
		} else {
			t.p99 = ms
		}
	}
	if err == nil && t.requests == 0 {
		err = fmt.Errorf("nothing was answered:\n%s", out)
	}
	return t, err
}

// calls counts the system calls of the target for each request in a round of its own: by the kernel's tracepoint, which
// disturbs little, or by strace where that cannot be had. It is 0 where neither can.
func (l load) calls(ctx context.Context, p *process) (float64, error) {
	var pids []string
	for _, pid := range p.family() {
		pids = append(pids, strconv.Itoa(pid))
	}
	if n, ok := l.perf(ctx, p, pids); ok {
		return n, nil
	}
	return l.strace(ctx, p, pids)
}

func (l load) perf(ctx context.Context, p *process, pids []string) (float64, bool) {
	if _, err := exec.LookPath("perf"); err != nil {
		return 0, false
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "perf", append([]string{"stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strings.Join(pids, ","), "--"}, l.command(p, time.Second)...)...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return 0, false
	}
	t, err := read(out)
	if l.streams > 0 {
		t, err = readH2(out)
	}
	count, _, _ := strings.Cut(said.String(), ",")
	n, bad := strconv.ParseFloat(strings.TrimSpace(count), 64)
	return n / t.requests, err == nil && bad == nil
}

var total = regexp.MustCompile(`(?m)^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total`)

func (l load) strace(ctx context.Context, p *process, pids []string) (float64, error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return 0, nil
	}
	args := []string{"-c", "-f", "-q"}
	for _, pid := range pids {
		args = append(args, "-p", pid)
	}
	cmd := exec.CommandContext(ctx, "strace", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond) // nothing tells when it has attached
	t, err := l.run(ctx, p, time.Second)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // interrupted
	m := total.FindSubmatch(said.Bytes())
	if err != nil || m == nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	return n / t.requests, err
}

// inTurn writes a script for wrk that sends a GET of each path in turn, with the keys in turn.
func inTurn(dir, name string, paths, keys []string) (string, error) {
	var b bytes.Buffer
	b.WriteString("local requests = {}\nlocal n = 0\n")
	list := func(name string, values []string) {
		fmt.Fprintf(&b, "local %s = {\n", name)
		for _, v := range values {
			fmt.Fprintf(&b, "%q,\n", v)
		}
		b.WriteString("}\n")
	}
	list("paths", paths)
	list("keys", keys)
	b.WriteString(`init = function(args)
  for i = 1, math.max(#paths, #keys) do
    requests[i] = wrk.format("GET", paths[(i - 1) % #paths + 1], {["X-API-Key"] = keys[(i - 1) % #keys + 1], ["Accept"] = "application/json"})
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
`)
	file := filepath.Join(dir, name+".lua")
	return file, os.WriteFile(file, b.Bytes(), 0o600)
}

// uploads writes a script for wrk that posts size bytes.
func uploads(dir string, size int) (string, error) {
	file := filepath.Join(dir, "upload.lua")
	text := fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n", size)
	return file, os.WriteFile(file, []byte(text), 0o600)
}
