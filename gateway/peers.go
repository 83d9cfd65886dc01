package gateway

import (
	"net"
	"net/netip"
	"sync"
)

// peers counts the connections that each address holds open, so that no single one can take them all. Of IPv6 a /64 is one
// address: a subscriber has at least that.
type peers struct {
	most int // 0: no bound, and nothing is counted

	mu   sync.Mutex
	open map[netip.Addr]int
}

// enter counts a connection. It returns what ends that, to be called once; ok is false when its address has as many as it may.
func (p *peers) enter(nc net.Conn) (leave func(), ok bool) {
	a, known := nc.RemoteAddr().(*net.TCPAddr)
	if p.most == 0 || !known {
		return func() {}, true
	}
	from := subscriber(a.AddrPort().Addr())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[from] >= p.most {
		return nil, false
	}
	if p.open == nil {
		p.open = map[netip.Addr]int{}
	}
	p.open[from]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.open[from]--; p.open[from] <= 0 {
			delete(p.open, from)
		}
	}, true
}

// subscriber is the address that stands for all of whoever has a.
func subscriber(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// turnAway closes a connection at once, and leaves nothing of it behind in the operating system either.
func turnAway(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // below TLS, which would say farewell
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}
