//go:build linux && (amd64 || arm64)

package http1

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Loops serve busy connections of plain TCP: each is one thread that keeps many of them going over an io_uring, so that one call
// into the kernel carries what dozens of exchanges read and write. What has to wait for anything else than its client or an upstream's
// connection leaves them (Exchange.Leave, Exchange.Await): it would stop the others.
type Loops struct {
	Eager bool // connections ride whenever they wait for anything; of use to tests only

	pace    pace
	all     []*loop
	next    atomic.Uint32
	running sync.WaitGroup
}

// NewLoops starts n of them. The error says why the kernel does not offer what they need; a server goes without them then.
func NewLoops(n int) (*Loops, error) {
	ls := &Loops{}
	started := make(chan error, n)
	for range n {
		l := &loop{slots: make([]*ringConn, 1), next: never}
		ls.all = append(ls.all, l)
		ls.running.Go(func() { l.run(started) })
	}
	var err error
	for range n {
		err = errors.Join(err, <-started)
	}
	if err != nil {
		ls.Close()
		return nil, err
	}
	return ls, nil
}

// Close ends them. Nothing may use them any more: servers and upstreams are closed before.
func (ls *Loops) Close() {
	for _, l := range ls.all {
		l.tell(func() { l.over = true })
	}
	ls.running.Wait()
}

// take returns the one that a connection joins.
func (ls *Loops) take() *loop { return ls.all[int(ls.next.Add(1))%len(ls.all)] }

func (ls *Loops) many() int { return len(ls.all) }

// A loop is one of them. Only its own thread uses it, but for tell.
type loop struct {
	r        *ring
	cur      *turn   // who runs
	idle     []*turn // the last used last: its stack is in the caches
	slots    []*ringConn
	holes    []uint32
	next     instant // no deadline passes before
	bold     bool    // something is written down that is to be looked after once more before it is sent
	over     bool
	lull     lull
	watching int // unused connections whose ends the kernel tells of

	event  int // eventfd: somebody has told
	told   [8]byte
	mu     sync.Mutex
	inbox  []func()
	rung   bool // the event is on its way
	failed bool // it never ran
}

// never is when a deadline passes that is none.
const never = instant(1<<63 - 1)

// Kinds of operations, the lowest bits of their data; above them is the slot of the connection, and 0 for the loop's own.
const (
	ofCancel = iota
	ofRecv
	ofSend
	ofEvent
	kinds = 4
)

func (l *loop) run(started chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the loop, and what the kernel keeps for it
	err := l.open()
	started <- err
	if err != nil {
		return
	}
	defer l.close()
	for !l.over {
		l.verify()
		l.r.enter(0)
		if !l.r.some() {
			l.r.enter(l.pause())
		}
		l.take()
		if l.next != never {
			if at := now(); at >= l.next {
				l.sweep(at)
			}
		}
	}
}

// verify looks, before what was written down is sent, whether one of the upstreams that are to be asked has ended its connection
// meanwhile or said something that nobody asked for, which would be taken for the answer. Such a one is not asked.
func (l *loop) verify() {
	if !l.bold {
		return
	}
	l.bold = false
	l.r.look()
	for head, tail := *l.r.cqHead, atomic.LoadUint32(l.r.cqTail); head != tail; head++ {
		q := &l.r.cqes[head&l.r.cqMask]
		if q.data%kinds != ofRecv || q.data/kinds == 0 {
			continue
		}
		if rc := l.slots[q.data/kinds]; rc.bold && q.res != -int32(syscall.ECANCELED) {
			rc.stale = l.r.void(rc.asked)
		}
	}
}

func (l *loop) open() error {
	r, err := newRing(1024)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = true
		return err
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC, 0)
	if errno != 0 {
		r.close()
		return fmt.Errorf("eventfd: %w", errno)
	}
	l.r, l.event = r, int(fd)
	r.push(opRead, 0, l.event, l.told[:], 0, 0, ofEvent)
	return nil
}

func (l *loop) close() {
	l.hear()
	l.settle()
	for _, t := range l.idle {
		t.stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = true
	l.r.close()
	_ = syscall.Close(l.event)
}

// settle ends what the kernel still has of unused connections: it must not write into memory that is somebody else's by then.
func (l *loop) settle() {
	for l.watching > 0 {
		for slot, rc := range l.slots {
			if rc != nil && rc.recv.pending && !rc.recv.ending {
				rc.recv.ending = true
				l.r.cancel(uint64(slot)*kinds + ofRecv)
			}
		}
		l.r.enter(time.Millisecond)
		l.take()
	}
}

// take takes what has completed.
func (l *loop) take() {
	for head, tail := *l.r.cqHead, atomic.LoadUint32(l.r.cqTail); head != tail; head++ {
		l.complete(&l.r.cqes[head&l.r.cqMask])
		atomic.StoreUint32(l.r.cqHead, head+1)
	}
}

// pause is how long nothing has to be done unless something completes.
func (l *loop) pause() time.Duration {
	if l.next == never {
		return forever
	}
	return max(l.next.sub(now()), time.Millisecond)
}

// tell has f called on the loop's thread. It reports false when there is no such thread any more.
func (l *loop) tell(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed {
		return false
	}
	l.inbox = append(l.inbox, f)
	if !l.rung {
		l.rung = true
		one := uint64(1)
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.event), uintptr(unsafe.Pointer(&one)), 8)
	}
	return true
}

// hear does what it was told.
func (l *loop) hear() {
	l.r.push(opRead, 0, l.event, l.told[:], 0, 0, ofEvent)
	l.mu.Lock()
	todo := l.inbox
	l.inbox, l.rung = nil, false
	l.mu.Unlock()
	for _, f := range todo {
		f()
	}
}

// complete takes the result of an operation, and has whoever waits for it go on.
func (l *loop) complete(q *cqe) {
	kind, slot := q.data%kinds, q.data/kinds
	if slot == 0 {
		if kind == ofEvent {
			l.hear()
		}
		return
	}
	rc := l.slots[slot]
	o := &rc.recv
	if kind == ofSend {
		o = &rc.send
	}
	o.pending, o.n, o.err = false, int(q.res), nil
	switch {
	case q.res == -int32(syscall.ECANCELED):
		o.n, o.err = 0, os.ErrDeadlineExceeded
	case q.res < 0:
		o.n, o.err = 0, syscall.Errno(-q.res)
	}
	if kind == ofSend && rc.recv.pending && o.n < o.want { // the peer waits for the rest, and so would we
		l.r.cancel(uint64(slot)*kinds + ofRecv)
	}
	if rc.recv.pending || rc.send.pending {
		return
	}
	if t := rc.waiter; t != nil {
		rc.waiter = nil
		l.resume(t)
		return
	}
	if rc.conn == nil {
		rc.lapse()
		return
	}
	l.begin(rc.conn)
}

// begin serves what came for a connection.
func (l *loop) begin(c *conn) {
	var t *turn
	if n := len(l.idle); n > 0 {
		t, l.idle = l.idle[n-1], l.idle[:n-1]
	} else {
		t = &turn{l: l}
		t.next, t.stop = iter.Pull(t.run)
	}
	t.c = c
	l.resume(t)
}

func (l *loop) resume(t *turn) {
	l.cur = t
	t.next()
	l.cur = nil
}

// sweep ends the waits whose deadline has passed, and finds out when the next one does.
func (l *loop) sweep(at instant) {
	l.next = never
	for slot, rc := range l.slots {
		if rc == nil {
			continue
		}
		l.end(&rc.recv, rc.rd.Load(), at, uint64(slot)*kinds+ofRecv)
		l.end(&rc.send, rc.wd.Load(), at, uint64(slot)*kinds+ofSend)
	}
}

func (l *loop) end(o *op, deadline int64, at instant, data uint64) {
	switch {
	case !o.pending || o.ending || deadline == 0:
	case at >= instant(deadline):
		o.ending = true
		l.r.cancel(data)
	default:
		l.next = min(l.next, instant(deadline))
	}
}

// await runs f on a goroutine of its own, while the loop goes on with others.
func (l *loop) await(f func()) {
	t := l.cur
	var thrown any
	go func() {
		defer l.tell(func() { l.resume(t) })
		defer func() { thrown = recover() }()
		f()
	}()
	t.yield(struct{}{})
	if thrown != nil {
		panic(thrown)
	}
}

// keptTurns is how many stacks a loop keeps for later.
const keptTurns = 256

// A turn is a coroutine in which a connection is served from one wait for its client to the next.
type turn struct {
	l     *loop
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	c     *conn
}

func (t *turn) run(yield func(struct{}) bool) {
	t.yield = yield
	for {
		t.c.turn()
		t.c = nil
		if len(t.l.idle) >= keptTurns {
			return
		}
		t.l.idle = append(t.l.idle, t)
		if !yield(struct{}{}) {
			return
		}
	}
}
