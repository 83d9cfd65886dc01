//go:build !linux || !(amd64 || arm64)

package http1

import (
	"errors"
	"net"
)

// Loops are for Linux.
type Loops struct {
	Eager bool
	pace  pace
}

// NewLoops returns an error: there is no io_uring here.
func NewLoops(int) (*Loops, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (*Loops) Close() {}

func (*Loops) take() *loop { return nil }
func (*Loops) many() int   { return 0 }

type loop struct{ lull lull }

func (*loop) tell(func()) bool { return false }
func (*loop) await(func())     {}

type ringConn struct {
	net.Conn
	t    *net.TCPConn
	conn *conn
	lp   *loop
}

func ringed(net.Conn) *ringConn                { return nil }
func (*ringConn) join(*loop) bool              { return false }
func (*ringConn) leave() error                 { return errors.ErrUnsupported }
func (*ringConn) unseat()                      {}
func (*ringConn) await([]byte) bool            { return false }
func (*ringConn) left() bool                   { return false }
func (*ringConn) watch([]byte, func()) bool    { return false }
func (*ringConn) watching() bool               { return false }
func (*ringConn) calm() bool                   { return true }
func (*ringConn) silent([]byte) bool           { return false }
func (*ringConn) received() (int, error)       { return 0, errors.ErrUnsupported }
func (*ringConn) ask(_, _ []byte) (int, error) { return 0, errors.ErrUnsupported }
func (*ringConn) sendNow([]byte) (int, error)  { return 0, errors.ErrUnsupported }
