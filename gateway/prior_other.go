//go:build !unix

package gateway

import "net"

// prior reports whether a client of plain TCP begins as one of HTTP/2 does: it cannot be told here without taking bytes away.
func prior(net.Conn) bool { return false }
