package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// process is a child that is measured or that answers. Its standard error is kept for the day it fails.
type process struct {
	name  string
	cmd   *exec.Cmd
	addr  string // where it is asked
	tls   bool
	lines chan string // of its standard output
	done  chan struct{}
	err   error // why it ended, once done is closed
	errs  tail
}

// start starts a program in dir.
func start(name, dir string, env []string, file string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(file, args...), lines: make(chan string, 16), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stderr = dir, &p.errs
	p.cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, who end them in order
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
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

// ready waits until the process takes connections.
func (p *process) ready(ctx context.Context) error {
	for until := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("%s ended: %v\n%s", p.name, p.err, p.errs.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s does not listen: %w\n%s", p.name, err, p.errs.String())
		}
	}
}

// stop interrupts the process, and kills it when it does not listen.
func (p *process) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended: %w\n%s", p.name, errors.Join(p.err, errors.New("nobody asked it to")), p.errs.String())
	default:
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end when it was asked to", p.name)
	}
	return nil
}

// family are the process and its children: nginx's and HAProxy's workers.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		if err != nil {
			continue
		}
		for _, t := range tasks {
			text, err := os.ReadFile(t)
			if err != nil {
				continue
			}
			for f := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(f); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// spent is the processor time of the process and its children so far, user and system together: what /proc/PID/stat says,
// but in nanoseconds instead of ticks.
func (p *process) spent() (time.Duration, error) {
	var all time.Duration
	for _, pid := range p.family() {
		const ofProcess = 2 // CPUCLOCK_SCHED; without the bit for a thread it is the whole process
		clock := int32(^pid)<<3 | ofProcess
		var at syscall.Timespec
		if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&at)), 0); errno != 0 {
			return 0, fmt.Errorf("processor time of %s: %w", p.name, errno)
		}
		all += time.Duration(at.Nano())
	}
	return all, nil
}

// memory is what the process and its children hold in MB; what they share is counted once.
func (p *process) memory() float64 {
	kb := 0
	for _, pid := range p.family() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				n, err := strconv.Atoi(f[1])
				if err == nil {
					kb += n
				}
			}
		}
	}
	return float64(kb) / 1024
}

// freeAddr is a loopback address that nobody listened on a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
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
	t.b = append(t.b, b...)
	if len(t.b) > most {
		t.b = append([]byte(nil), t.b[len(t.b)-most:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
