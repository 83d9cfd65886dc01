// Package nginxtest runs a proxy and nginx in turn, for benchmarks of the one against the other.
package nginxtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spell is how long a round lasts.
const spell = 2 * time.Second

// Needs skips the benchmark where nginx or wrk (Debian packages) are not there.
func Needs(b *testing.B) {
	b.Helper()
	for _, tool := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skip(err)
		}
	}
}

// A Load is what is asked of a process: one request again and again on so many connections.
type Load struct {
	Connections int
	Target      string   // of the requests: path and query
	Fields      []string // such as "Accept: application/json"
}

// Upstream starts an nginx that answers everything with size bytes.
func Upstream(b *testing.B, dir string, size int) *Process {
	b.Helper()
	return Nginx(b, dir, "up", `return 200 "`+strings.Repeat("x", size)+`";`, "")
}

// Plain starts an nginx that passes everything on to addr, on kept connections.
func Plain(b *testing.B, dir, addr string) *Process {
	b.Helper()
	return Nginx(b, dir, "proxy", `proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection "";`,
		"upstream u { server "+addr+"; keepalive 256; keepalive_requests 1000000000; }")
}

// A Process is one whose cost is looked at.
type Process struct {
	Addr string    // where it listens
	Out  io.Reader // what it prints
	cmd  *exec.Cmd
}

// Start starts it with further variables, and ends it with the benchmark.
func Start(b *testing.B, cmd *exec.Cmd, env ...string) *Process {
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	return &Process{cmd: cmd, Out: out}
}

// Nginx starts one of two workers with the directives of its only location, and further ones beside its server.
func Nginx(b *testing.B, dir, name, location, rest string) *Process {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	conf := filepath.Join(dir, name+".conf")
	text := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/%[2]s.pid; error_log %[1]s/%[2]s.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; %[3]s
server { listen %[4]s; location / { default_type application/json; %[5]s } } }
`, dir, name, rest, addr, location)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	p := Start(b, exec.Command("nginx", "-c", conf, "-p", dir))
	p.Addr = addr
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return p
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
}

// tasks are the process and its children.
func (p *Process) tasks(b *testing.B) []string {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		b.Skip(err)
	}
	return append([]string{pid}, strings.Fields(string(children))...)
}

// spent is the processor time of the process and its children so far.
func (p *Process) spent(b *testing.B) time.Duration {
	var ticks int64
	for _, pid := range p.tasks(b) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			b.Fatal(err)
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, s := range f[11:13] {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

var (
	served = regexp.MustCompile(`(\d+) requests in`)
	late   = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s)`)
)

func (l Load) wrk(b *testing.B, p *Process) (requests, p99 float64) {
	args := []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-d" + strconv.Itoa(int(spell.Seconds())) + "s", "--latency"}
	for _, f := range l.Fields {
		args = append(args, "-H", f)
	}
	out, err := exec.Command("wrk", append(args, "http://"+p.Addr+l.Target)...).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("Non-2xx")) {
		b.Fatalf("%s (%v)", out, err)
	}
	n, slow := served.FindSubmatch(out), late.FindSubmatch(out)
	if n == nil || slow == nil {
		b.Fatalf("%s", out)
	}
	requests, err1 := strconv.ParseFloat(string(n[1]), 64)
	p99, err2 := strconv.ParseFloat(string(slow[1]), 64)
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return requests, p99 * map[string]float64{"us": .001, "ms": 1, "s": 1000}[string(slow[2])]
}

// Run is one round: processor time for each request in microseconds, and the 99th percentile in milliseconds.
func (l Load) Run(b *testing.B, p *Process) (cost, p99 float64) {
	b.Helper()
	before := p.spent(b)
	n, p99 := l.wrk(b, p)
	return float64((p.spent(b) - before).Microseconds()) / n, p99
}

var total = regexp.MustCompile(`(?m)^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total$`)

// Calls is how many system calls there are for each request.
func (l Load) Calls(b *testing.B, p *Process) float64 {
	args := []string{"-c", "-f"}
	for _, pid := range p.tasks(b) {
		args = append(args, "-p", pid)
	}
	cmd := exec.Command("strace", args...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // nothing tells when it has attached
	n, _ := l.wrk(b, p)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // interrupted
	m := total.FindSubmatch(out.Bytes())
	if m == nil {
		b.Fatalf("%s", out.Bytes())
	}
	all, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return all / n
}

// Median is the one in the middle.
func Median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
