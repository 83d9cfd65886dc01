//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// prior reports whether a client of plain TCP begins as one of HTTP/2 does, without taking a byte away. It waits for as many
// as that needs; when they do not come, the answer is no.
func prior(nc net.Conn) bool {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return false
	}
	yes := false
	var b [len(preface)]byte
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err != nil || n <= 0 || string(b[:n]) != preface[:n]:
				return true
			}
			yes = n == len(preface)
			return yes
		}
	})
	return yes
}
