package http1_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/http1"
	"gatehouse/http1/nginxtest"
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

const rounds = 5

// BenchmarkAgainstNginx compares the processor time for each request with nginx's plain proxy_pass: GET, 1 KB, keep-alive,
// rounds of both in turn, medians. It needs nginx and wrk (Debian packages), and counts system calls where strace is.
//
//	go test -run '^$' -bench AgainstNginx -benchtime 1x ./http1
func BenchmarkAgainstNginx(b *testing.B) {
	nginxtest.Needs(b)
	dir := b.TempDir()
	up := nginxtest.Upstream(b, dir, 1024)
	other := nginxtest.Plain(b, dir, up.Addr)
	ours := nginxtest.Start(b, exec.Command(os.Args[0]), proxyFor+"="+up.Addr)
	line := make([]byte, 64)
	n, err := ours.Out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	ours.Addr = strings.TrimSpace(string(line[:n]))
	for range b.N {
		for _, conns := range []int{64, 256} {
			load := nginxtest.Load{Connections: conns, Target: "/api/v1/items/17?page=2",
				Fields: []string{"X-Api-Key: k_0123456789abcdef0123456789abcdef", "Accept: application/json"}}
			var a, o, p99a, p99o []float64
			for range rounds {
				cost, p99 := load.Run(b, other)
				o, p99o = append(o, cost), append(p99o, p99)
				cost, p99 = load.Run(b, ours)
				a, p99a = append(a, cost), append(p99a, p99)
			}
			b.ReportMetric(nginxtest.Median(a), fmt.Sprintf("us/request-%d", conns))
			b.ReportMetric(nginxtest.Median(o), fmt.Sprintf("nginx-us/request-%d", conns))
			b.ReportMetric(nginxtest.Median(a)/nginxtest.Median(o), fmt.Sprintf("of-nginx-%d", conns))
			b.ReportMetric(nginxtest.Median(p99a), fmt.Sprintf("p99-ms-%d", conns))
			b.ReportMetric(nginxtest.Median(p99o), fmt.Sprintf("nginx-p99-ms-%d", conns))
		}
		if _, err := exec.LookPath("strace"); err == nil {
			load := nginxtest.Load{Connections: 64, Target: "/"}
			b.ReportMetric(load.Calls(b, ours), "calls/request")
			b.ReportMetric(load.Calls(b, other), "nginx-calls/request")
		}
	}
}
