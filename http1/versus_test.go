package http1_test

import (
	"bytes"
	"errors"
	"fmt"
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

	"gatehouse/http1"
)

// proxyFor names the variable that makes the test's program a proxy in front of its value, so that its processor time
// can be told from the test's. It prints its address.
const proxyFor = "HTTP1_TEST_PROXY_FOR"

func serveAlone(upstream string) {
	p := &proxy{server: &http1.Server{Buffers: new(http1.Buffers)}, upstream: &http1.Upstream{Address: upstream}}
	p.upstream.Buffers = p.server.Buffers
	p.server.Handler = p.handle
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	fmt.Println(p.server.Serve(l))
	os.Exit(1)
}

const (
	rounds = 5
	spell  = 2 * time.Second
)

// BenchmarkAgainstNginx compares the processor time for each request with nginx's plain proxy_pass: GET, 1 KB, keep-alive,
// rounds of both in turn, medians. It needs nginx and wrk (Debian packages), and counts system calls where strace is.
//
//	go test -run '^$' -bench AgainstNginx -benchtime 1x ./http1
func BenchmarkAgainstNginx(b *testing.B) {
	for _, tool := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skip(err)
		}
	}
	dir := b.TempDir()
	up := nginx(b, dir, "up", `return 200 "`+strings.Repeat("x", 1024)+`";`, "")
	other := nginx(b, dir, "proxy", `proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection "";`,
		"upstream u { server "+up.addr+"; keepalive 256; keepalive_requests 1000000000; }")
	ours := start(b, exec.Command(os.Args[0]), proxyFor+"="+up.addr)
	line := make([]byte, 64)
	n, err := ours.out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	ours.addr = strings.TrimSpace(string(line[:n]))
	for range b.N {
		for _, conns := range []int{64, 256} {
			var a, o, p99a, p99o []float64
			for range rounds {
				cost, p99 := load(b, other, conns)
				o, p99o = append(o, cost), append(p99o, p99)
				cost, p99 = load(b, ours, conns)
				a, p99a = append(a, cost), append(p99a, p99)
			}
			b.ReportMetric(median(a), fmt.Sprintf("us/request-%d", conns))
			b.ReportMetric(median(o), fmt.Sprintf("nginx-us/request-%d", conns))
			b.ReportMetric(median(a)/median(o), fmt.Sprintf("of-nginx-%d", conns))
			b.ReportMetric(median(p99a), fmt.Sprintf("p99-ms-%d", conns))
			b.ReportMetric(median(p99o), fmt.Sprintf("nginx-p99-ms-%d", conns))
		}
		if _, err := exec.LookPath("strace"); err == nil {
			b.ReportMetric(calls(b, ours), "calls/request")
			b.ReportMetric(calls(b, other), "nginx-calls/request")
		}
	}
}

// A process is one whose cost is looked at.
type process struct {
	addr string
	cmd  *exec.Cmd
	out  interface{ Read([]byte) (int, error) }
}

func start(b *testing.B, cmd *exec.Cmd, env ...string) *process {
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
	return &process{cmd: cmd, out: out}
}

func nginx(b *testing.B, dir, name, location, rest string) *process {
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
	p := start(b, exec.Command("nginx", "-c", conf, "-p", dir))
	p.addr = addr
	until(b, "nginx to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return p
}

// tasks are the process and its children.
func (p *process) tasks(b *testing.B) []string {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		b.Skip(err)
	}
	return append([]string{pid}, strings.Fields(string(children))...)
}

// spent is the processor time of the process and its children so far.
func (p *process) spent(b *testing.B) time.Duration {
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

func wrk(b *testing.B, p *process, conns int, d time.Duration) (requests, p99 float64) {
	out, err := exec.Command("wrk", "-t1", "-c"+strconv.Itoa(conns), "-d"+strconv.Itoa(int(d.Seconds()))+"s", "--latency",
		"-H", "X-Api-Key: k_0123456789abcdef0123456789abcdef", "-H", "Accept: application/json", "http://"+p.addr+"/api/v1/items/17?page=2").CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("Non-2xx")) {
		b.Fatalf("%s (%v)", out, err)
	}
	n, l := served.FindSubmatch(out), late.FindSubmatch(out)
	if n == nil || l == nil {
		b.Fatalf("%s", out)
	}
	requests, err1 := strconv.ParseFloat(string(n[1]), 64)
	p99, err2 := strconv.ParseFloat(string(l[1]), 64)
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return requests, p99 * map[string]float64{"us": .001, "ms": 1, "s": 1000}[string(l[2])]
}

// load is one round: processor time for each request in microseconds, and the 99th percentile in milliseconds.
func load(b *testing.B, p *process, conns int) (cost, p99 float64) {
	before := p.spent(b)
	n, p99 := wrk(b, p, conns, spell)
	return float64((p.spent(b) - before).Microseconds()) / n, p99
}

var total = regexp.MustCompile(`(?m)^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total$`)

// calls is how many system calls there are for each request.
func calls(b *testing.B, p *process) float64 {
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
	n, _ := wrk(b, p, 64, spell)
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

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
