//go:build linux && (amd64 || arm64)

package http1

import (
	"syscall"
	"unsafe"
)

// polled tells that waiting and reading can be done apart.
const polled = true

// errNothing is what reading ends with when there is nothing to read yet.
const errNothing = syscall.EAGAIN

// readNow reads from a non-blocking socket. A call that never blocks need not tell the scheduler that it may, and one that
// is made for sockets passes fewer layers than one for any file.
func readNow(fd uintptr, p []byte) (int, error) { return rawNow(syscall.SYS_RECVFROM, fd, p, 0) }

// writeNow writes to one.
func writeNow(fd uintptr, p []byte) (int, error) {
	return rawNow(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

func rawNow(call, fd uintptr, p []byte, flags uintptr) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, errNothing
		default:
			return 0, errno
		}
	}
}

// hasLeft reports whether the peer of a connection has ended it, and nothing that it sent before is unread.
func hasLeft(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
}
