package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strconv"

	"gatehouse/event"
	"gatehouse/http1/nginxtest"
)

// fixedAnswer is what the upstream of these tests always answers.
var fixedAnswer = []byte("HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 19:30:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))

// behind starts the upstream and the gateway in front of it, and returns the gateway's address and a key.
func behind(t testing.TB, o Options) (addr, key string) {
	t.Helper()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for buf := make([]byte, 64<<10); ; {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(fixedAnswer); err != nil {
						return
					}
				}
			}()
		}
	}()
	g, key, err := partner(o, up.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		up.Close()
		<-asked
	})
	return l.Addr().String(), key
}

// caller sends one request after the other on one connection through a real gateway to a real upstream, and reads the
// answers. It allocates nothing, nor does the upstream.
func caller(t testing.TB, codec Codec, events event.Sink, content string) func() {
	t.Helper()
	addr, key := behind(t, Options{Events: events, Codec: codec})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	request := []byte("GET /a/v1/things/17?page=2 HTTP/1.1\r\nHost: api.example.test\r\nX-API-Key: " + key + "\r\nAccept: application/json\r\nUser-Agent: partner/1.0\r\n\r\n")
	if content != "" {
		request = fmt.Appendf(nil, "POST /a/v1/things HTTP/1.1\r\nHost: api.example.test\r\nX-API-Key: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", key, len(content), content)
	}
	end := bytes.Repeat([]byte("x"), 1024)
	buf := make([]byte, 16<<10)
	return func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], end); {
			k, err := c.Read(buf[n:])
			if n += k; err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
				t.Fatalf("answered %.700s (%v)", buf[:n], err)
			}
		}
		if !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
			t.Fatalf("answered %.300s", buf)
		}
	}
}

// Between a caller's socket and an upstream's nothing is allocated: key, grant, two windows, event and metrics.
func TestConnectionAllocatesNothing(t *testing.T) {
	l := event.NewLines(io.Discard, event.LinesOptions{})
	defer l.Close(context.Background())
	for _, content := range []string{"", strings.Repeat("x", 100), strings.Repeat("x", 10_000)} {
		call := caller(t, HTTP1, l, content)
		for range 100 {
			call()
		}
		if n := testing.AllocsPerRun(1000, call); n > mostAllocations {
			t.Errorf("%d bytes of content: %v allocations for each exchange", len(content), n)
		}
	}
}

func BenchmarkConnection(b *testing.B) {
	for _, codec := range []Codec{HTTP1, Std} {
		b.Run("codec="+string(codec), func(b *testing.B) {
			l := event.NewLines(io.Discard, event.LinesOptions{})
			defer l.Close(context.Background())
			call := caller(b, codec, l, "")
			call()
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// aloneFor names the variable that makes the test's program a gateway with its value's codec in front of its value's
// upstream, so that its processor time can be told from the test's. It prints its address and a key.
const aloneFor = "GATEWAY_TEST_ALONE_FOR"

// aloneLoops names the variable with the number of its loops.
const aloneLoops = "GATEWAY_TEST_LOOPS"

// aloneH2C stands for HTTP1 whose clients may speak HTTP/2 from the first byte.
const aloneH2C Codec = "h2c"

// ServeAlone is that gateway; it does not return then.
func ServeAlone() {
	floodAlone()
	codec, upstream, ok := strings.Cut(os.Getenv(aloneFor), " ")
	if !ok {
		return
	}
	fmt.Println(serveAlone(Codec(codec), upstream))
	os.Exit(1)
}

func serveAlone(codec Codec, upstream string) error {
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	h2c := codec == aloneH2C
	if h2c {
		codec = HTTP1
	}
	loops, _ := strconv.Atoi(os.Getenv(aloneLoops))
	g, key, err := partner(Options{Events: event.NewLines(out, event.LinesOptions{}), Codec: codec, H2C: h2c, Loops: loops}, upstream)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr(), key)
	return g.Serve(context.Background(), l)
}

// BenchmarkAgainstNginx compares the processor time for each request: nginx's plain proxy_pass against the gateway with
// key, grant, rate limit, event and metrics on each of its codecs. GET, 1 KB, 64 kept connections, rounds of all in turn,
// medians. It needs nginx and wrk (Debian packages).
//
//	go test -run '^$' -bench AgainstNginx -benchtime 1x ./gateway
func BenchmarkAgainstNginx(b *testing.B) {
	nginxtest.Needs(b)
	const rounds = 7
	dir := b.TempDir()
	up := nginxtest.Upstream(b, dir, 1024)
	targets := []*nginxtest.Process{nginxtest.Plain(b, dir, up.Addr)}
	names, loads := []string{"nginx"}, make([]nginxtest.Load, 3)
	for i, codec := range []Codec{HTTP1, Std} {
		p := nginxtest.Start(b, exec.Command(os.Args[0]), aloneFor+"="+string(codec)+" "+up.Addr)
		var key string
		if _, err := fmt.Fscan(p.Out, &p.Addr, &key); err != nil {
			b.Fatal(err)
		}
		targets, names = append(targets, p), append(names, string(codec))
		loads[i+1].Fields = []string{"X-API-Key: " + key}
	}
	loads[0].Fields = loads[1].Fields
	cost, late := make([][]float64, len(targets)), make([][]float64, len(targets))
	for i := range loads {
		loads[i].Connections, loads[i].Target = 64, "/a/v1/things/17?page=2"
		loads[i].Fields = append(loads[i].Fields, "Accept: application/json")
		if r, err := http.NewRequest("GET", "http://"+targets[i].Addr+loads[i].Target, nil); err != nil {
			b.Fatal(err)
		} else {
			_, key, _ := strings.Cut(loads[i].Fields[0], ": ")
			r.Header.Set("X-API-Key", key)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 || res.ContentLength != 1024 {
				b.Fatalf("%s answers %d", names[i], res.StatusCode)
			}
		}
	}
	for range b.N {
		for range rounds {
			for i := range targets {
				us, p99 := loads[i].Run(b, targets[i])
				cost[i], late[i] = append(cost[i], us), append(late[i], p99)
			}
		}
	}
	for i, name := range names {
		b.ReportMetric(nginxtest.Median(cost[i]), name+"-us/request")
		b.ReportMetric(nginxtest.Median(late[i]), name+"-p99-ms")
		b.ReportMetric(nginxtest.Median(cost[i])/nginxtest.Median(cost[0]), name+"-of-nginx")
	}
}
