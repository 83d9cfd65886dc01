//go:build unix && !(linux && (amd64 || arm64))

package http1

import "syscall"

// polled tells that waiting and reading can be done apart.
const polled = true

// errNothing is what reading ends with when there is nothing to read yet.
const errNothing = syscall.EAGAIN

// readNow reads from a non-blocking descriptor.
func readNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// writeNow writes to one.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// hasLeft reports whether the peer of a connection has ended it, and nothing that it sent before is unread.
func hasLeft(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
}
