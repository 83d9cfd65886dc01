//go:build linux && (amd64 || arm64)

package http1

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A ringConn is a connection of TCP that may be on a loop: what waits on it there gives the thread to others. Elsewhere it is
// what net makes of it. One goroutine at a time uses it; only deadlines and closing are for any.
type ringConn struct {
	lp   *loop // nil: on none
	slot uint32
	held bool // by the ring, in the place of the slot's number
	recv op
	send op

	watched bool   // it is an upstream's and unused: recv is pending
	unused  func() // called on the loop when it is watched no longer, though nobody uses it; recv says why
	bold    bool   // it is asked, and was watched until then
	asked   uint32 // the ring's tail when the request was written down
	stale   bool   // it was not asked

	waiter *turn // who goes on when nothing is pending any more
	conn   *conn // who is served then, if nobody waits

	rd, wd        atomic.Int64 // deadlines, as instants; 0: none
	local, remote net.Addr

	mu     sync.Mutex // for deadlines and closing, against joining and leaving
	t      *net.TCPConn
	fd     int // while it is on a loop
	closed bool
}

// An op is one operation that the kernel may have.
type op struct {
	pending bool
	ending  bool // it was cancelled
	want    int  // bytes to be sent; 0: any
	n       int
	err     error
}

// ringed makes a connection one that may join a loop, or returns nil where it cannot.
func ringed(nc net.Conn) *ringConn {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	return &ringConn{t: t, local: t.LocalAddr(), remote: t.RemoteAddr()}
}

// join takes the connection from the runtime's poller. It stays where it is when that fails.
func (rc *ringConn) join(l *loop) bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	raw, err := rc.t.SyscallConn()
	if err != nil {
		return false
	}
	fd, errno := uintptr(0), syscall.EBADF
	if err := raw.Control(func(old uintptr) { fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0) }); err != nil || errno != 0 {
		return false
	}
	_ = rc.t.Close()
	rc.t, rc.fd, rc.lp = nil, int(fd), l
	return true
}

// leave gives it back, once it has no seat. When that fails, the connection is closed.
func (rc *ringConn) leave() error {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.closed {
		return net.ErrClosed
	}
	rc.lp = nil
	f := os.NewFile(uintptr(rc.fd), "")
	nc, err := net.FileConn(f)
	_ = f.Close()
	t, ok := nc.(*net.TCPConn)
	if !ok {
		rc.closed = true
		return err
	}
	rc.t = t
	_ = t.SetReadDeadline(onWall(rc.rd.Load()))
	_ = t.SetWriteDeadline(onWall(rc.wd.Load()))
	return nil
}

// unseat gives the slot back, on the loop's thread. Nothing is pending.
func (rc *ringConn) unseat() {
	if l := rc.lp; rc.slot > 0 {
		l.slots[rc.slot] = nil
		if rc.held {
			rc.held = false
			l.r.hold(rc.slot, -1) // which cannot fail for a place that there is
		}
		l.holes = append(l.holes, rc.slot)
		rc.slot = 0
	}
}

func onWall(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return instant(at).deadline()
}

// submit hands an operation to the loop, unless its deadline has passed.
func (rc *ringConn) submit(o *op, kind, code uint8, b []byte, prio uint16, with uint32, by int64) bool {
	if by != 0 && now() >= instant(by) {
		o.n, o.err = 0, os.ErrDeadlineExceeded
		return false
	}
	l := rc.lp
	if rc.slot == 0 {
		l.seat(rc)
	}
	o.pending, o.ending, o.want = true, false, 0
	if by != 0 && instant(by) < l.next {
		l.next = instant(by)
	}
	fd, flags := rc.fd, uint8(0)
	if rc.held {
		fd, flags = int(rc.slot), fixedFile
	}
	l.r.push(code, flags, fd, b, prio, with, uint64(rc.slot)*kinds+uint64(kind))
	return true
}

func (l *loop) seat(rc *ringConn) {
	if n := len(l.holes); n > 0 {
		rc.slot, l.holes = l.holes[n-1], l.holes[:n-1]
	} else {
		rc.slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[rc.slot] = rc
	rc.held = l.r.hold(rc.slot, rc.fd)
}

// wait gives the thread to others until nothing is pending.
func (rc *ringConn) wait() {
	t := rc.lp.cur
	rc.waiter = t
	t.yield(struct{}{})
}

// await has the connection served when bytes come, or its deadline passes. It reports false when that is so now.
func (rc *ringConn) await(b []byte) bool {
	return rc.submit(&rc.recv, ofRecv, opRecv, b, pollFirst, 0, rc.rd.Load())
}

// left reports whether the peer has ended the connection and nothing is unread.
func (rc *ringConn) left() bool { return hasLeft(uintptr(rc.fd)) }

// silent reports whether nothing can be read, not even the end.
func (rc *ringConn) silent(b []byte) bool {
	_, err := readNow(uintptr(rc.fd), b)
	return err == errNothing
}

// watch has f called on the loop when bytes come into b, the connection ends or its deadline passes, unless it is used before.
// It reports false when the deadline has passed.
func (rc *ringConn) watch(b []byte, f func()) bool {
	if !rc.await(b) {
		return false
	}
	rc.watched, rc.unused = true, f
	rc.lp.watching++
	return true
}

// watching reports whether it is watched.
func (rc *ringConn) watching() bool { return rc.watched }

// unwatch is called on the loop by whoever uses the connection.
func (rc *ringConn) unwatch() {
	rc.watched, rc.unused = false, nil
	rc.lp.watching--
}

// lapse ends the watch of an unused connection.
func (rc *ringConn) lapse() {
	f := rc.unused
	rc.unwatch()
	f()
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.closed {
		rc.shut()
	}
}

// calm ends the watch, for a use that reads by itself, and reports whether nothing had come.
func (rc *ringConn) calm() bool {
	if !rc.watched {
		return true
	}
	rc.unwatch()
	if !rc.recv.ending {
		rc.recv.ending = true
		rc.lp.r.cancel(uint64(rc.slot)*kinds + ofRecv)
	}
	rc.wait()
	return rc.recv.err == os.ErrDeadlineExceeded
}

// ask sends what is to be sent and waits for the first bytes of an answer. Of a connection that was watched, in is what watch was given.
func (rc *ringConn) ask(out, in []byte) (int, error) {
	if rc.watched {
		rc.unwatch()
		if by := instant(rc.rd.Load()); by != 0 {
			rc.lp.next = min(rc.lp.next, by)
		}
		rc.bold, rc.stale, rc.asked = true, false, rc.lp.r.tail
		rc.lp.bold = true
	} else if !rc.submit(&rc.recv, ofRecv, opRecv, in, pollFirst, 0, rc.rd.Load()) {
		return 0, rc.recv.err
	}
	rc.submit(&rc.send, ofSend, opSend, out, 0, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0)
	rc.send.want = len(out)
	rc.wait()
	runtime.KeepAlive(in)
	bold := rc.bold
	if rc.bold = false; bold && rc.stale {
		return 0, errStale
	}
	if sent, err := rc.send.n, rc.send.err; sent < len(out) {
		if err != nil && err != syscall.EAGAIN {
			return rc.recv.n, err
		}
		if _, err := rc.Write(out[sent:]); err != nil {
			return rc.recv.n, err
		}
		if rc.recv.n == 0 && rc.recv.err == os.ErrDeadlineExceeded {
			return rc.Read(in)
		}
	}
	return rc.received()
}

func (rc *ringConn) received() (int, error) {
	if rc.recv.n == 0 && rc.recv.err == nil {
		return 0, io.EOF
	}
	return rc.recv.n, rc.recv.err
}

// sendNow sends as much as there is room for.
func (rc *ringConn) sendNow(b []byte) (int, error) {
	rc.submit(&rc.send, ofSend, opSend, b, 0, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0)
	rc.wait()
	runtime.KeepAlive(b)
	return rc.send.n, rc.send.err
}

func (rc *ringConn) Read(b []byte) (int, error) {
	if rc.lp == nil {
		return rc.t.Read(b)
	}
	n, err := readNow(uintptr(rc.fd), b)
	switch {
	case len(b) == 0:
		return 0, nil
	case err == nil && n == 0:
		return 0, io.EOF
	case err != errNothing:
		return n, err
	}
	if !rc.submit(&rc.recv, ofRecv, opRecv, b, pollFirst, 0, rc.rd.Load()) {
		return 0, rc.recv.err
	}
	rc.wait()
	runtime.KeepAlive(b)
	return rc.received()
}

func (rc *ringConn) Write(b []byte) (sent int, err error) {
	if rc.lp == nil {
		return rc.t.Write(b)
	}
	for sent < len(b) {
		n, err := writeNow(uintptr(rc.fd), b[sent:])
		if err == errNothing {
			if !rc.submit(&rc.send, ofSend, opSend, b[sent:], 0, syscall.MSG_NOSIGNAL, rc.wd.Load()) {
				return sent, rc.send.err
			}
			rc.wait()
			runtime.KeepAlive(b)
			n, err = rc.send.n, rc.send.err
		}
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// Close closes the connection. On a loop nothing is pending but the watch of an unused one, which the loop ends then, and nothing
// follows.
func (rc *ringConn) Close() error {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.closed {
		return net.ErrClosed
	}
	rc.closed = true
	if rc.lp == nil {
		return rc.t.Close()
	}
	if rc.conn == nil { // its number may be written down for the kernel, so the loop closes it
		_ = syscall.Shutdown(rc.fd, syscall.SHUT_RDWR)
		if rc.lp.tell(rc.end) {
			return nil
		}
	}
	rc.lp.tell(rc.unseat)
	return syscall.Close(rc.fd)
}

// end closes an upstream's connection, on the loop's thread.
func (rc *ringConn) end() {
	if rc.watched { // the end that it was given completes that
		return
	}
	rc.shut()
}

// shut closes the descriptor, on the loop's thread.
func (rc *ringConn) shut() {
	if rc.fd >= 0 {
		rc.unseat()
		_ = syscall.Close(rc.fd)
		rc.fd = -1
	}
}

func (rc *ringConn) LocalAddr() net.Addr  { return rc.local }
func (rc *ringConn) RemoteAddr() net.Addr { return rc.remote }

func (rc *ringConn) SetDeadline(t time.Time) error {
	if err := rc.SetReadDeadline(t); err != nil {
		return err
	}
	return rc.SetWriteDeadline(t)
}

func (rc *ringConn) SetReadDeadline(t time.Time) error {
	return rc.setDeadline(t, &rc.rd, (*net.TCPConn).SetReadDeadline)
}

func (rc *ringConn) SetWriteDeadline(t time.Time) error {
	return rc.setDeadline(t, &rc.wd, (*net.TCPConn).SetWriteDeadline)
}

func (rc *ringConn) setDeadline(t time.Time, to *atomic.Int64, set func(*net.TCPConn, time.Time) error) error {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.closed {
		return net.ErrClosed
	}
	at := instant(0)
	if !t.IsZero() {
		at = max(instant(t.Sub(epoch)), 1)
	}
	to.Store(int64(at))
	if l := rc.lp; l == nil {
		return set(rc.t, t)
	} else if at != 0 && at <= now() { // from elsewhere: what waits is to end
		l.tell(func() { l.next = 0 })
	}
	return nil
}

// CloseRead and CloseWrite end one side.
func (rc *ringConn) CloseRead() error {
	return rc.shutdown(syscall.SHUT_RD, (*net.TCPConn).CloseRead)
}

func (rc *ringConn) CloseWrite() error {
	return rc.shutdown(syscall.SHUT_WR, (*net.TCPConn).CloseWrite)
}

func (rc *ringConn) shutdown(how int, elsewhere func(*net.TCPConn) error) error {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	switch {
	case rc.closed:
		return net.ErrClosed
	case rc.lp == nil:
		return elsewhere(rc.t)
	}
	return syscall.Shutdown(rc.fd, how)
}
