package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// howLong is how much TestNothingIsLost does: publishes and upgrades. `make lossless` asks for more.
const howLong = "GATEHOUSE_LOSSLESS"

// A running is the real binary under load, one process after the other.
type running struct {
	t       *testing.T
	dir     string
	env     []string
	log     string
	started chan startedAs
	now     startedAs
}

type startedAs struct {
	Process  int
	Gateways map[string]string
	Gateway  string // of a process that is one
	Seq      int64
}

const losslessManifest = `gatehouse: 1
environments: [{name: live}]
upstreams:
  - name: eid
    targets: ["UPSTREAM"]
    timeouts: {connect: 10s, read: 30s, total: 60s}
apis:
  - name: eid
    openapi: eid.json
    path: /eid
    upstream: eid
    policies:
      - anonymous
      - headers: {request: {set: {X-Asked-By: "REVISION"}}, response: {set: {X-Answered-By: "REVISION"}}}
`

const losslessDocument = `{"openapi":"3.1.0","info":{"title":"eid","version":"1"},"paths":{"/x":{
"get":{"operationId":"read","security":[],"responses":{"200":{"description":"ok"}}},
"post":{"operationId":"write","security":[],"responses":{"200":{"description":"ok"}}}}}}`

// declare writes the manifest of a revision.
func (r *running) declare(upstream string, revision int) {
	r.t.Helper()
	text := strings.NewReplacer("UPSTREAM", upstream, "REVISION", fmt.Sprint("revision-", revision)).Replace(losslessManifest)
	dir := filepath.Join(r.dir, "manifest")
	for name, text := range map[string]string{"gatehouse.yaml": text, "eid.json": losslessDocument} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// start runs the binary and waits until it is ready.
func (r *running) start(flags ...string) {
	r.t.Helper()
	r.run(exec.Command(filepath.Join(binary, "gatehouse"), r.args(flags)...))
}

func (r *running) args(flags []string) []string {
	return append([]string{"serve", "-o", "json", "--data", filepath.Join(r.dir, "data")}, flags...)
}

func (r *running) run(cmd *exec.Cmd) {
	r.t.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	in, out, err := os.Pipe() // its own: a successor says more on it after the first process has ended
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, out, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	out.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			var s startedAs
			if json.Unmarshal(lines.Bytes(), &s) == nil && s.Process > 0 {
				r.started <- s
			}
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.t.Cleanup(func() {
		r.stop()
		if err := <-ended; err != nil {
			r.t.Errorf("the first process ended with %v", err)
		}
		<-read
		in.Close()
		if r.t.Failed() {
			b, _ := os.ReadFile(r.log)
			r.t.Logf("what the processes said:\n%s", b)
		}
	})
	r.await()
}

// await waits until a process says that it serves.
func (r *running) await() {
	r.t.Helper()
	select {
	case r.now = <-r.started:
	case <-time.After(time.Minute):
		b, _ := os.ReadFile(r.log)
		r.t.Fatalf("nothing is ready\n%s", b)
	}
}

// stop ends the process that serves now.
func (r *running) stop() {
	if r.now.Process == 0 {
		return
	}
	_ = syscall.Kill(r.now.Process, syscall.SIGTERM)
	r.gone(r.now.Process)
	r.now.Process = 0
}

// gone waits until a process has ended.
func (r *running) gone(pid int) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(b), ") Z ") {
			return // nobody has waited for it yet
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			r.t.Errorf("process %d does not end", pid)
			return
		}
	}
}

// upgrade makes the process that serves start its successor, and waits until only that one is left.
func (r *running) upgrade() {
	r.t.Helper()
	old := r.now.Process
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.await()
	if r.now.Process == old {
		r.t.Fatal("the process that serves is the same")
	}
	r.gone(old)
}

// cli runs a command of the owner of the data directory.
func (r *running) cli(args ...string) error {
	cmd := exec.Command(filepath.Join(binary, "gatehouse"), append(args, "--data", filepath.Join(r.dir, "data"))...)
	cmd.Dir, cmd.Env = r.dir, r.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

func newRunning(t *testing.T) *running {
	dir := t.TempDir()
	return &running{t: t, dir: dir, log: filepath.Join(dir, "serve.log"), started: make(chan startedAs, 4),
		env: []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0",
			"GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_H2C=true"}}
}

// A visitor sends one request after the other, with no second try of any: each must be answered, whole, and by one
// revision. It goes on with a connection for as long as it is told that it may.
type visitor struct {
	addr   string
	method string
	fresh  bool          // a connection for each request
	pause  time.Duration // between two
	asked  *atomic.Int64
}

// visit runs until stop is closed, and returns the first thing that is wrong.
func (v visitor) visit(stop <-chan struct{}) error {
	body := ""
	if v.method == "POST" {
		body = strings.Repeat("b", 3000)
	}
	request := fmt.Sprintf("%s /eid/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", v.method, len(body), body)
	return inTurn(v.addr, v.method, request, v.fresh, v.pause, stop, func(res *http.Response, b []byte) error {
		by := res.Header.Get("X-Answered-By")
		if want := fmt.Sprint(by, " ", len(body)); res.StatusCode != 200 || string(b) != want || by == "" {
			return fmt.Errorf("answered %d by %q: %q, want %q", res.StatusCode, by, b, want)
		}
		v.asked.Add(1)
		return nil
	})
}

// inTurn sends one request after the other, on a connection that it keeps for as long as it is told that it may, with no second try of any,
// until stop is closed. It returns the first thing that is wrong; right says what is wrong with an answer that came whole.
func inTurn(addr, method, request string, fresh bool, pause time.Duration, stop <-chan struct{}, right func(res *http.Response, body []byte) error) error {
	var c net.Conn
	var in *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(pause):
		}
		var err error
		if c == nil {
			if c, err = net.Dial("tcp", addr); err != nil {
				return fmt.Errorf("request %d: %w", n, err)
			}
			in = bufio.NewReader(c)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, request); err != nil {
			return fmt.Errorf("request %d: %w", n, err)
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return fmt.Errorf("request %d: the answer: %w", n, err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return fmt.Errorf("request %d: the answer's body: %w", n, err)
		}
		if err := right(res, b); err != nil {
			return fmt.Errorf("request %d: %w", n, err)
		}
		if res.Close || fresh {
			c.Close()
			c = nil
		}
	}
}

// visitH2 is visit over HTTP/2, by a client that goes to a new connection when it is told to go away.
func (v visitor) visitH2(stop <-chan struct{}) error {
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t, Timeout: time.Minute}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(v.pause):
		}
		body := ""
		if v.method == "POST" {
			body = strings.Repeat("b", 3000)
		}
		r, err := http.NewRequest(v.method, "http://"+v.addr+"/eid/x", strings.NewReader(body))
		if err != nil {
			return err
		}
		res, err := c.Do(r)
		if err != nil {
			return fmt.Errorf("request %d: %w", n, err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return fmt.Errorf("request %d: the answer's body: %w", n, err)
		}
		by := res.Header.Get("X-Answered-By")
		if want := fmt.Sprint(by, " ", len(body)); res.StatusCode != 200 || string(b) != want || by == "" {
			return fmt.Errorf("request %d: answered %d by %q: %q, want %q", n, res.StatusCode, by, b, want)
		}
		v.asked.Add(1)
	}
}

// Under load, revisions are published and the process is replaced by another one: no request is lost, and none is served
// by a mixture of two revisions.
func TestNothingIsLost(t *testing.T) {
	publishes, upgrades := 6, 2
	if s := os.Getenv(howLong); s != "" {
		if _, err := fmt.Sscanf(s, "%d,%d", &publishes, &upgrades); err != nil {
			t.Fatalf("%s is %q: write publishes and upgrades, such as 100,10", howLong, s)
		}
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		fmt.Fprint(w, r.Header.Get("X-Asked-By"), " ", n)
	}))
	defer up.Close()
	r := newRunning(t)
	r.declare(up.URL, 0)
	r.start("--dev", "--manifest", filepath.Join(r.dir, "manifest"))
	addr := strings.TrimPrefix(r.now.Gateways["live"], "http://")
	addr = strings.Replace(addr, "localhost", "127.0.0.1", 1)

	var asked atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	lost := make(chan error, 100)
	for _, v := range []visitor{{method: "GET"}, {method: "GET"}, {method: "GET", pause: 20 * time.Millisecond}, {method: "GET", pause: 150 * time.Millisecond},
		{method: "POST"}, {method: "POST", pause: 5 * time.Millisecond}, {method: "GET", fresh: true}, {method: "POST", fresh: true, pause: 10 * time.Millisecond}} {
		v.addr, v.asked = addr, &asked
		load.Go(func() {
			if err := v.visit(stop); err != nil {
				lost <- fmt.Errorf("%s, fresh connections %v, pause %v: %w", v.method, v.fresh, v.pause, err)
			}
		})
	}
	for _, v := range []visitor{{method: "GET"}, {method: "POST"}, {method: "GET", pause: 100 * time.Millisecond}} {
		v.addr, v.asked = addr, &asked
		load.Go(func() {
			if err := v.visitH2(stop); err != nil {
				lost <- fmt.Errorf("%s over HTTP/2, pause %v: %w", v.method, v.pause, err)
			}
		})
	}
	done := 0
	for revision := range publishes {
		r.declare(up.URL, revision+1)
		if err := r.cli("publish", filepath.Join(r.dir, "manifest"), "--env", "live"); err != nil {
			t.Error(err)
		}
		for done < upgrades*(revision+1)/publishes {
			r.upgrade()
			done++
		}
	}
	before := asked.Load()
	for deadline := time.Now().Add(20 * time.Second); asked.Load() < before+50 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	load.Wait()
	close(lost)
	for err := range lost {
		t.Errorf("lost: %v", err)
	}
	if asked.Load() < before+50 {
		t.Error("in the end nothing is served")
	}
	t.Logf("%d requests, %d publishes, %d upgrades", asked.Load(), publishes, done)
}

// A successor that does not come up changes nothing: the process goes on, with its control plane.
func TestAFailedUpgradeChangesNothing(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Asked-By"), " 0") }))
	defer up.Close()
	r := newRunning(t)
	r.declare(up.URL, 0)
	config := filepath.Join(r.dir, "start.yaml")
	if err := os.WriteFile(config, []byte("log:\n  level: info\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start("--dev", "--config", config, "--manifest", filepath.Join(r.dir, "manifest"))
	said := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if b, _ := os.ReadFile(r.log); bytes.Contains(b, []byte(what)) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the process never said %q", what)
			}
		}
	}
	// First one with a configuration that is refused, then one that cannot have the database.
	if err := os.WriteFile(config, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.now.Process, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	said("the successor is not ready to take over")
	if err := os.WriteFile(config, []byte("log:\n  level: info\nevents: /nowhere/at/all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.now.Process, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	said("the successor did not take over")
	r.declare(up.URL, 1)
	if err := r.cli("publish", filepath.Join(r.dir, "manifest"), "--env", "live"); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(r.now.Gateways["live"] + "/eid/x")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Header.Get("X-Answered-By") == "revision-1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it still serves %s", res.Header.Get("X-Answered-By"))
		}
	}
	// Mended, it works.
	if err := os.WriteFile(config, []byte("log:\n  level: info\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.upgrade()
	if err := r.cli("publish", filepath.Join(r.dir, "manifest"), "--env", "live"); err != nil {
		t.Error(err)
	}
}

// A socket that the service manager holds is taken, by its address: whoever connects before there is a process waits. It is
// handed on as well.
func TestSocketActivation(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Asked-By"), " 0") }))
	defer up.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := newRunning(t)
	for i, v := range r.env {
		if strings.HasPrefix(v, "GATEHOUSE_GATEWAY_LISTEN=") {
			r.env[i] = "GATEHOUSE_GATEWAY_LISTEN=" + l.Addr().String()
		}
	}
	r.declare(up.URL, 0)
	var asked atomic.Int64
	early := make(chan error, 1)
	stop := make(chan struct{})
	v := visitor{addr: l.Addr().String(), method: "GET", asked: &asked}
	go func() { early <- v.visit(stop) }()
	args := r.args([]string{"--dev", "--manifest", filepath.Join(r.dir, "manifest")})
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=gatehouse.socket exec "$0" "$@"`, filepath.Join(binary, "gatehouse")}, args...)...)
	cmd.ExtraFiles = []*os.File{f}
	r.run(cmd)
	r.upgrade()
	before := asked.Load()
	for deadline := time.Now().Add(20 * time.Second); asked.Load() < before+20 && len(early) == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	if err := <-early; err != nil || asked.Load() < before+20 {
		t.Errorf("%d requests were answered, then %v", asked.Load(), err)
	}
}
