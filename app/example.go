package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/secret"
)

// The example upstream: its binary lies beside ours, and its address and secret are what the example manifest names.
const (
	exampleBinary = "eid"
	exampleListen = "127.0.0.1:8009"
	exampleSecret = "eid-gateway"
)

// example is the running example upstream.
type example struct {
	cmd  *exec.Cmd
	in   io.Closer // open as long as we live: the upstream ends with us, however we end
	done chan error
}

// startExample runs the example upstream and returns once it listens.
func startExample(ctx context.Context, s secret.Value) (*example, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(filepath.Dir(self), exampleBinary)
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the example upstream is not at %s: run 'make build', or leave --example away", binary)
	}
	cmd := exec.Command(binary, "-listen", exampleListen, "-until-stdin-ends")
	cmd.Env = append(os.Environ(), "EID_GATEWAY_SECRET="+s.Reveal())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches us first: we drain, then end it
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the example upstream cannot be started: %w", err)
	}
	e := &example{cmd: cmd, in: in, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			close(ready)
		}
		_, _ = io.Copy(io.Discard, out)
		e.done <- cmd.Wait()
	}()
	select {
	case <-ready:
		return e, nil
	case err := <-e.done:
		text := strings.TrimSpace(trouble.String())
		if strings.Contains(text, "address already in use") {
			return nil, fmt.Errorf("the example upstream cannot listen on %s: another program does. End that one, or leave --example away", exampleListen)
		}
		return nil, fmt.Errorf("the example upstream ended at once (%w): %s", errors.Join(err), text)
	case <-time.After(5 * time.Second):
		e.stop()
		return nil, errors.New("the example upstream did not listen within 5 s")
	case <-ctx.Done():
		e.stop()
		return nil, ctx.Err()
	}
}

// stop ends the example upstream, at the latest after a few seconds.
func (e *example) stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	_ = e.in.Close()
	select {
	case <-e.done:
	case <-time.After(6 * time.Second):
		_ = e.cmd.Process.Kill()
		<-e.done
	}
}
