package app

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sockets are the listening sockets of the process, by what they are for. They outlive whoever accepts from them: a
// successor may be given them, and then nobody who connects meanwhile is turned away, but waits in the kernel's queue.
type sockets struct {
	keeping atomic.Bool // to close one does not close the socket itself: another process accepts from it

	mu   sync.Mutex
	came []came
	open map[string]*net.TCPListener // by role
}

// came is a socket that this process was started with.
type came struct {
	role string // "" when nobody said
	l    *net.TCPListener
}

// lent is a socket while somebody accepts from it.
type lent struct {
	*net.TCPListener
	all    *sockets
	closed atomic.Bool
}

func (l *lent) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil && l.closed.Load() {
		err = net.ErrClosed
	}
	return c, err
}

// Close ends accepting. The socket itself stays open while it is kept for another process.
func (l *lent) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	if l.all.keeping.Load() {
		return l.SetDeadline(time.Unix(1, 0))
	}
	return l.TCPListener.Close()
}

// listen lends the socket of that role: the one that is open, one that came with the process and has that address, or a
// fresh one.
func (s *sockets) listen(ctx context.Context, role, address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*net.TCPListener{}
	}
	if l := s.open[role]; l != nil {
		if err := l.SetDeadline(time.Time{}); err != nil {
			return nil, err
		}
		return &lent{TCPListener: l, all: s}, nil
	}
	for i, c := range s.came {
		if c.role != "" && c.role != role || !fits(ctx, address, c.l.Addr(), c.role == role) {
			continue
		}
		s.came = append(s.came[:i], s.came[i+1:]...)
		s.open[role] = c.l
		return &lent{TCPListener: c.l, all: s}, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.open[role] = l.(*net.TCPListener)
	return &lent{TCPListener: s.open[role], all: s}, nil
}

// fits reports whether a socket has the address that is configured. Any port will do where the role says that it is the
// one.
func fits(ctx context.Context, address string, has net.Addr, named bool) bool {
	host, port, err := net.SplitHostPort(address)
	at, ok := has.(*net.TCPAddr)
	if err != nil || !ok {
		return false
	}
	if want, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil || want != at.Port && !(named && want == 0) {
		return false
	}
	if host == "" {
		return at.IP.IsUnspecified()
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return false
	}
	for _, ip := range ips {
		if ip.IP.Equal(at.IP) || ip.IP.IsUnspecified() && at.IP.IsUnspecified() {
			return true
		}
	}
	return false
}

// settle closes what came and nobody took.
func (s *sockets) settle() (unused []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.came {
		unused = append(unused, strings.TrimSpace(c.role+" "+c.l.Addr().String()))
		_ = c.l.Close()
	}
	s.came = nil
	return unused
}

// close closes all of them.
func (s *sockets) close() {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.open {
		_ = l.Close()
	}
}

// socketOf makes a listener of an inherited descriptor, which it closes.
func socketOf(fd uintptr) (*net.TCPListener, error) {
	f := os.NewFile(fd, "inherited")
	if f == nil {
		return nil, errors.New("it is not open")
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close()
		return nil, errors.New("it is no TCP socket that listens")
	}
	return t, nil
}
