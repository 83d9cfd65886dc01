//go:build linux && (amd64 || arm64)

package http1

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A ring is an io_uring (io_uring(7)): a queue of operations that the kernel takes in one call, and one of what came of them. The
// kernel works for it on the thread that made it, and only while that thread asks for completions, so nothing is interrupted and
// only that thread may use it.
type ring struct {
	fd             int
	memory, table  []byte // mapped: the queues, and the operations
	sqHead, sqTail *uint32
	cqHead, cqTail *uint32
	sqMask, cqMask uint32
	sqes           []sqe
	cqes           []cqe
	tail           uint32 // of the operations that are written
	unsent         uint32 // of which the kernel does not know yet
	arg            enterArg
	within         syscall.Timespec
	places         uint32 // for files that it holds
	placing        filesUpdate
	placed         int32
}

// sqe is struct io_uring_sqe.
type sqe struct {
	op, flags uint8
	prio      uint16
	fd        int32
	off, addr uint64
	len, with uint32
	data      uint64
	_         [3]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	data  uint64
	res   int32
	flags uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   struct{ head, tail, mask, entries, flags, dropped, array, _ uint32 }
	_                                                    uint64
	cq                                                   struct{ head, tail, mask, entries, overflow, cqes, flags, _ uint32 }
	_                                                    uint64
}

// From linux/io_uring.h. The numbers of the calls are the same on every architecture.
const (
	sysRingSetup    = 425
	sysRingEnter    = 426
	sysRingRegister = 427

	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8
	featRWAttr     = 1 << 16 // of Linux 6.14

	registerFiles       = 2
	registerFilesUpdate = 6
	fixedFile           = 1 << 0 // of flags: the descriptor is a place

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	offSQEs = 0x10000000

	opNop         = 0
	opAsyncCancel = 14
	opRead        = 22
	opSend        = 26
	opRecv        = 27

	pollFirst = 1 // of prio: wait before the first try
)

// newRing makes a ring on the calling thread, which must be locked. Kernels before 6.1, most containers and some administrators
// refuse it.
func newRing(entries uint32) (*ring, error) {
	p := ringParams{cqEntries: 4 * entries, flags: setupCQSize | setupClamp | setupSingleIssuer | setupDeferTaskrun}
	fd, _, errno := syscall.Syscall(sysRingSetup, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	if need := uint32(featSingleMmap | featNoDrop | featExtArg); p.features&need != need {
		return nil, fmt.Errorf("io_uring: the kernel is too old (features %#x)", p.features)
	}
	var err error
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	if r.memory, err = mapRing(r.fd, 0, int(size)); err == nil {
		r.table, err = mapRing(r.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})))
	}
	if err != nil {
		r.close()
		return nil, err
	}
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.memory[off])) }
	r.sqHead, r.sqTail, r.cqHead, r.cqTail = at(p.sq.head), at(p.sq.tail), at(p.cq.head), at(p.cq.tail)
	r.sqMask, r.cqMask = *at(p.sq.mask), *at(p.cq.mask)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.table[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.memory[p.cq.cqes])), p.cqEntries)
	for i, order := 0, unsafe.Slice(at(p.sq.array), p.sqEntries); i < len(order); i++ {
		order[i] = uint32(i)
	}
	if p.features&featRWAttr != 0 { // before 6.13 a file that is let go of may stay open until operations on others have ended
		r.makePlaces(4096)
	}
	return r, nil
}

// makePlaces has the ring hold up to n files. Without it, and beyond, each operation looks its file up.
func (r *ring) makePlaces(n uint32) {
	none := make([]int32, n)
	for i := range none {
		none[i] = -1
	}
	if _, _, errno := syscall.Syscall6(sysRingRegister, uintptr(r.fd), registerFiles, uintptr(unsafe.Pointer(&none[0])), uintptr(n), 0, 0); errno == 0 {
		r.places = n
	}
}

// filesUpdate is struct io_uring_files_update.
type filesUpdate struct {
	place, _ uint32
	fds      uint64
}

// hold has the ring hold the file of a descriptor in that place, and reports whether it does. -1: it lets go of it.
func (r *ring) hold(place uint32, fd int) bool {
	if place >= r.places {
		return false
	}
	r.placed = int32(fd)
	r.placing = filesUpdate{place: place, fds: uint64(uintptr(unsafe.Pointer(&r.placed)))}
	n, _, errno := syscall.Syscall6(sysRingRegister, uintptr(r.fd), registerFilesUpdate, uintptr(unsafe.Pointer(&r.placing)), 1, 0, 0)
	return errno == 0 && n == 1
}

func mapRing(fd int, off int64, size int) ([]byte, error) {
	m, err := syscall.Mmap(fd, off, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("io_uring: mmap: %w", err)
	}
	return m, nil
}

func (r *ring) close() {
	for _, m := range [][]byte{r.memory, r.table} {
		if m != nil {
			_ = syscall.Munmap(m)
		}
	}
	_ = syscall.Close(r.fd)
}

// push writes an operation down, on a descriptor or, with fixedFile, what is held in a place. What it uses must stay as it is until it
// has completed.
func (r *ring) push(op, flags uint8, fd int, b []byte, prio uint16, with uint32, data uint64) {
	r.add(sqe{op: op, flags: flags, prio: prio, fd: int32(fd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), len: uint32(len(b)), with: with, data: data})
}

// cancel has the operations with that data end, whose completion says so. Its own completion carries no data.
func (r *ring) cancel(data uint64) { r.add(sqe{op: opAsyncCancel, fd: -1, addr: data}) }

func (r *ring) add(q sqe) {
	for r.unsent == uint32(len(r.sqes)) {
		r.enter(0)
	}
	r.sqes[r.tail&r.sqMask] = q
	r.tail++
	r.unsent++
}

// enterArg is struct io_uring_getevents_arg.
type enterArg struct {
	mask   uint64
	size   uint32
	_      uint32
	within uint64 // of a timespec
}

// enter tells the kernel what was written down and lets it complete what has become ready. It waits up to d for a completion;
// 0: it does not wait; forever: as long as it takes.
func (r *ring) enter(d time.Duration) {
	atomic.StoreUint32(r.sqTail, r.tail)
	fd, unsent := uintptr(r.fd), uintptr(r.unsent)
	var errno syscall.Errno
	switch d {
	case 0: // it does not block, so the scheduler need not know
		_, _, errno = syscall.RawSyscall6(sysRingEnter, fd, unsent, 0, enterGetEvents, 0, 0)
	case forever:
		_, _, errno = syscall.Syscall6(sysRingEnter, fd, unsent, 1, enterGetEvents, 0, 0)
	default:
		r.within = syscall.NsecToTimespec(int64(d))
		r.arg.within = uint64(uintptr(unsafe.Pointer(&r.within)))
		_, _, errno = syscall.Syscall6(sysRingEnter, fd, unsent, 1, enterGetEvents|enterExtArg, uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	}
	r.unsent = r.tail - atomic.LoadUint32(r.sqHead)
	switch errno {
	case 0, syscall.EINTR, syscall.ETIME:
	case syscall.EAGAIN, syscall.EBUSY, syscall.ENOMEM: // short of memory for a moment
		time.Sleep(time.Millisecond)
	default: // a mistake of ours: nothing that was written down would ever complete
		panic(fmt.Errorf("io_uring_enter: %w", errno))
	}
}

// look has the kernel complete what has become ready, and nothing that was written down begin.
func (r *ring) look() {
	_, _, _ = syscall.RawSyscall6(sysRingEnter, uintptr(r.fd), 0, 0, enterGetEvents, 0, 0) // an error comes again
}

// void takes back an operation that was written down at that tail: it completes with 0. It reports false when the kernel has it already.
func (r *ring) void(at uint32) bool {
	if r.tail-at > r.unsent {
		return false
	}
	q := &r.sqes[at&r.sqMask]
	*q = sqe{op: opNop, fd: -1, data: q.data}
	return true
}

// forever is how long enter waits when nothing else is to be done.
const forever time.Duration = -1

// some reports whether something has completed.
func (r *ring) some() bool { return *r.cqHead != atomic.LoadUint32(r.cqTail) }
