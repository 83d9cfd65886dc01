package app

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process hands its listening sockets to a successor in steps, each of which is said over a pair of sockets:
//
//	successor: prepared   its configuration is good
//	we:        yours      the control plane has ended here, the database is free; our gateways go on from what they know
//	successor: ready      its gateways serve what ours did, and take connections beside them
//	we:        quiet      our gateways take no more requests; those that run may end
//	successor             opens the portal: from here on things change again, and no gateway is left that would not know
//
// Whoever connects meanwhile waits in the kernel's queue. When the successor ends before it was ready, we go on as before.

// Deadlines of a succession.
const (
	prepareTime = 30 * time.Second // for the successor to check its configuration
	takeTime    = time.Minute      // for it to open the database, to migrate it, and to catch up
	quietTime   = time.Second      // after which a gateway that stops takes no more requests: more than a codec's own grace
)

// Variables that a successor is started with. The first two are those of systemd's socket activation.
const (
	varSockets   = "LISTEN_FDS"
	varNames     = "LISTEN_FDNAMES"
	varProcess   = "LISTEN_PID"
	varHandover  = "GATEHOUSE_HANDOVER"
	firstSocket  = 3
	systemdReady = "NOTIFY_SOCKET"
)

// Inherited is what a process was started with: sockets, and perhaps a predecessor that waits.
type Inherited struct {
	came []came
	with *talk // nil: no predecessor
}

// Inherit takes what the environment says the process was started with, and takes it out of the environment: it is for
// this process alone. Call it once, first of all.
func Inherit() (*Inherited, error) {
	count, names := os.Getenv(varSockets), strings.Split(os.Getenv(varNames), ":")
	process, handover := os.Getenv(varProcess), os.Getenv(varHandover)
	for _, name := range []string{varSockets, varNames, varProcess, varHandover} {
		_ = os.Unsetenv(name)
	}
	in := &Inherited{}
	if handover == "" && process != strconv.Itoa(os.Getpid()) {
		return in, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1000 {
		return nil, fmt.Errorf("%s is %q, which is no number of sockets", varSockets, count)
	}
	for i := range n {
		l, err := socketOf(uintptr(firstSocket + i))
		if err != nil {
			return nil, fmt.Errorf("the process was started with %d sockets, but number %d cannot be used: %w", n, i+1, err)
		}
		c := came{l: l}
		if i < len(names) && names[i] != "unknown" && handover != "" {
			c.role = names[i] // systemd names sockets after their unit: the address says what they are for
		}
		in.came = append(in.came, c)
	}
	if handover != "" {
		fd, err := strconv.Atoi(handover)
		if err != nil {
			return nil, fmt.Errorf("%s is %q, which is no descriptor", varHandover, handover)
		}
		syscall.CloseOnExec(fd)
		in.with = newTalk(fd)
	}
	return in, nil
}

// talk is one end of the pair of sockets between a process and its successor.
type talk struct {
	f *os.File
	r *bufio.Reader
}

func newTalk(fd int) *talk {
	_ = syscall.SetNonblock(fd, true) // so that waiting has a deadline
	f := os.NewFile(uintptr(fd), "succession")
	return &talk{f, bufio.NewReader(f)}
}

func (t *talk) say(words ...string) error {
	_ = t.f.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := fmt.Fprintln(t.f, strings.Join(words, " "))
	return err
}

// hear waits for that word and returns what came with it.
func (t *talk) hear(word string, within time.Duration) ([]string, error) {
	_ = t.f.SetReadDeadline(time.Now().Add(within))
	line, err := t.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	said := strings.Fields(line)
	if len(said) == 0 || said[0] != word {
		return nil, fmt.Errorf("it said %q instead of %s", strings.TrimSpace(line), word)
	}
	return said[1:], nil
}

// successor is the process that takes over.
type successor struct {
	*talk
	pid   int
	ended chan struct{}
}

// succeed starts our program anew, from where it lies now, with the sockets.
func (s *sockets) succeed() (*successor, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program = strings.TrimSuffix(program, " (deleted)") // Linux says so when another version has taken its place
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	ours := newTalk(pair[0])
	pid, err := s.start(program, uintptr(pair[1]))
	_ = syscall.Close(pair[1])
	if err != nil {
		_ = ours.f.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	next := &successor{talk: ours, pid: pid, ended: make(chan struct{})}
	go func() {
		defer close(next.ended)
		if p, err := os.FindProcess(pid); err == nil {
			_, _ = p.Wait() // its end is heard on the talk
		}
	}()
	return next, nil
}

// start runs the program with the sockets from descriptor 3 on, and the talk after them. The descriptors are passed as
// they are: by way of os.File they would be made to block, for us as well.
func (s *sockets) start(program string, with uintptr) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Sorted(maps.Keys(s.open))
	files := []uintptr{0, 1, 2}
	var run func(i int) (int, error)
	run = func(i int) (pid int, err error) {
		if i == len(names) {
			env := append(os.Environ(), fmt.Sprintf("%s=%d", varSockets, len(names)), varNames+"="+strings.Join(names, ":"),
				fmt.Sprintf("%s=%d", varHandover, firstSocket+len(names)))
			return syscall.ForkExec(program, os.Args, &syscall.ProcAttr{Env: env, Files: append(files, with)})
		}
		raw, err := s.open[names[i]].SyscallConn()
		if err != nil {
			return 0, err
		}
		refused := raw.Control(func(fd uintptr) { // the descriptor stays open until the call has returned
			files = append(files, fd)
			pid, err = run(i + 1)
		})
		return pid, errors.Join(err, refused)
	}
	return run(0)
}

// end ends a successor that must not take over, and returns once it has ended.
func (n *successor) end() {
	_ = n.f.Close() // it ends by itself when it hears that
	select {
	case <-n.ended:
	case <-time.After(2 * time.Second):
		_ = syscall.Kill(n.pid, syscall.SIGKILL)
		<-n.ended
	}
}

// notify tells the service manager (systemd's Type=notify) that this process serves now, if one asks.
func notify(log *slog.Logger) {
	to := os.Getenv(systemdReady)
	if to == "" {
		return
	}
	c, err := net.Dial("unixgram", to)
	if err != nil {
		log.Warn("the service manager cannot be told that we serve", "error", err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "READY=1\nMAINPID=%d", os.Getpid())
}
