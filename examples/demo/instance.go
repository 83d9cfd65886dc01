package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options is where the demo finds what it shows.
type options struct {
	gatehouse, eid, manifest string
	patience                 int // how many times longer than told things may take
}

// within is a time that is told, as far as patience goes.
func (o options) within(told time.Duration) time.Duration {
	return told * time.Duration(max(o.patience, 1))
}

// visit is one walk through a story: the instance that it started, and what happened so far.
type visit struct {
	options
	started time.Time
	dir     string // everything that is written is in here
	eidAt   string // address of the example upstream
	secret  string // that the gateway presents to it
	at      addresses
	web     *http.Client // what everybody calls with
	life    life         // of the story of that name

	processes []*process

	admin, approver, operator, member caller
	organization                      string
	portalApp, batchApp               string // applications
	request                           string // of portalApp in live
	grant, key, credential            string // of portalApp in live
	shortGrant, shortKey              string // of portalApp in test
	batchKey                          string // of batchApp in test
	revision                          int64
	verifier                          string // key of checkpoints
}

// addresses is what gatehouse prints when it is ready.
type addresses struct {
	Portal     string            `json:"portal"`
	Gateways   map[string]string `json:"gateways"`
	Operations string            `json:"operations"`
	SignIn     string            `json:"sign_in"`
}

// process is a child that was started. Its standard error is kept for the day it fails.
type process struct {
	cmd   *exec.Cmd
	lines chan string // of its standard output
	errs  tail
	done  chan struct{} // closed when it has ended
	err   error         // why, once done is closed
}

// start runs a binary and passes on the lines it prints.
func (v *visit) start(file string, env []string, args ...string) (*process, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(path, args...), lines: make(chan string, 100), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = v.dir, append([]string{"HOME=" + v.dir, "PATH=" + os.Getenv("PATH")}, env...), &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which ends them in order
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w (is it built? make build)", file, err)
	}
	v.processes = append(v.processes, p)
	go func() {
		defer close(p.done)
		for in := bufio.NewScanner(out); in.Scan(); {
			select {
			case p.lines <- in.Text():
			default: // nobody reads any more
			}
		}
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// line waits for a line that begins with the prefix.
func (p *process) line(ctx context.Context, prefix string) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s printed no line that begins with %q", filepath.Base(p.cmd.Path), prefix)
		case <-p.done:
			return "", fmt.Errorf("%s ended: %v", filepath.Base(p.cmd.Path), p.err)
		case l := <-p.lines:
			if strings.HasPrefix(l, prefix) {
				return l, nil
			}
		}
	}
}

// stop ends the process as Ctrl-C does, and by force when it does not listen.
func (p *process) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended before: %w", filepath.Base(p.cmd.Path), errors.Join(p.err, errors.New("nobody asked it to")))
	default:
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 15 s", filepath.Base(p.cmd.Path))
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), p.err)
	}
	return nil
}

// leave ends what was started, the last first, and removes what was written.
func (v *visit) leave() error {
	var all error
	for i := len(v.processes) - 1; i >= 0; i-- {
		all = errors.Join(all, v.processes[i].stop())
	}
	v.processes = nil
	all = errors.Join(all, v.life.world.stop())
	if v.dir != "" {
		all = errors.Join(all, os.RemoveAll(v.dir))
	}
	return all
}

// lastWords is what the processes printed last, for a step that failed.
func (v *visit) lastWords() string {
	var b strings.Builder
	for _, p := range v.processes {
		if text := p.errs.String(); text != "" {
			fmt.Fprintf(&b, "\n--- %s said last:\n%s", filepath.Base(p.cmd.Path), text)
		}
	}
	return b.String()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b = append(t.b, b...); len(t.b) > most {
		t.b = bytes.Clone(t.b[len(t.b)-most:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// arrival starts everything.
func arrival() []step {
	return []step{
		{"the upstream starts and trusts only the gateway", startUpstream},
		{"gatehouse starts with the manifest", startGatehouse},
		{"an open operation answers without a key", openOperation},
		{"staff sign in by the printed link", staffSignIn},
	}
}

func startUpstream(ctx context.Context, v *visit) (string, error) {
	var err error
	if v.dir == "" {
		if v.dir, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
			return "", err
		}
	}
	v.secret = rand.Text()
	began := time.Now()
	p, err := v.start(v.eid, []string{"EID_GATEWAY_SECRET=" + v.secret}, "-listen", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	line, err := p.line(ctx, "eid listens on ")
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	v.eidAt = "http://" + strings.TrimPrefix(line, "eid listens on ")
	r, err := send(ctx, v.web, http.MethodGet, v.eidAt+"/v1/whoami", http.Header{"Gatehouse-Organization": {"org_pretended"}}, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ready in %d ms; asked around the gateway it answers %d", took.Milliseconds(), r.status), r.is(http.StatusForbidden)
}

func startGatehouse(ctx context.Context, v *visit) (string, error) {
	if err := v.copyManifest(); err != nil {
		return "", err
	}
	began := time.Now()
	p, err := v.start(v.gatehouse, append(v.life.settings, "GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0",
		"GATEHOUSE_SECRET_EID_GATEWAY="+v.secret), "serve", "--dev", "-o", "json", "--manifest", v.manifestDir(), "--data", filepath.Join(v.dir, "data"))
	if err != nil {
		return "", err
	}
	line, err := p.line(ctx, "{")
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := json.Unmarshal([]byte(line), &v.at); err != nil {
		return "", fmt.Errorf("the line with the addresses: %w", err)
	}
	if v.at.Gateways["live"] == "" || v.at.Gateways["test"] == "" || v.at.Portal == "" {
		return "", fmt.Errorf("an address is missing in %s", line)
	}
	if took > v.within(2*time.Second) {
		return "", fmt.Errorf("it was ready after %s, told is 2 s", took)
	}
	return fmt.Sprintf("ready in %d ms: portal %s, live %s, test %s", took.Milliseconds(), v.at.Portal, v.at.Gateways["live"], v.at.Gateways["test"]), nil
}

func (v *visit) manifestDir() string { return filepath.Join(v.dir, "manifest") }

// copyManifest copies the example's manifest and lets its upstream be the one that was started.
func (v *visit) copyManifest() error {
	const target = "http://127.0.0.1:8009"
	if err := os.Mkdir(v.manifestDir(), 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(v.manifest)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(v.manifest, e.Name()))
		if err != nil {
			return err
		}
		if own := v.life.manifest[e.Name()]; own != nil {
			data = own
		}
		found = found || bytes.Contains(data, []byte(target))
		data = bytes.ReplaceAll(data, []byte(target), []byte(v.eidAt))
		if err := os.WriteFile(filepath.Join(v.manifestDir(), e.Name()), data, 0o644); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s names no target %s", v.manifest, target)
	}
	return nil
}

// files reads the copied manifest as the admin API takes it.
func (v *visit) files() (map[string][]byte, error) {
	out := map[string][]byte{}
	entries, err := os.ReadDir(v.manifestDir())
	for _, e := range entries {
		if err == nil {
			out[e.Name()], err = os.ReadFile(filepath.Join(v.manifestDir(), e.Name()))
		}
	}
	return out, err
}

func openOperation(ctx context.Context, v *visit) (string, error) {
	for _, env := range []string{"live", "test"} {
		r, err := v.call(ctx, env, "", http.MethodGet, "/health", nil)
		if err == nil {
			err = r.is(http.StatusOK)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", env, err)
		}
	}
	return "GET /eid/v1/health: 200 in live and test", nil
}

func staffSignIn(ctx context.Context, v *visit) (string, error) {
	token, err := tokenOf(v.at.SignIn)
	if err != nil {
		return "", err
	}
	if v.admin, err = v.signInByLink(ctx, token); err != nil {
		return "", err
	}
	again := v.nobody().post(ctx, "/api/sessions/link", secretLink{token})
	if err := again.is(http.StatusGone); err != nil {
		return "", fmt.Errorf("the link used a second time: %w", err)
	}
	return "the link works once, then it is 410", nil
}
