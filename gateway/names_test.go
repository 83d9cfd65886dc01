package gateway_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse/gateway"
)

// A nameServer is a DNS server with one name, whose addresses a test changes.
type nameServer struct {
	addr string

	mu        sync.Mutex
	addresses []string
	ttl       uint32
	broken    bool
	asked     int // for addresses of IPv4
}

const upName = "up.example."

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{addr: c.LocalAddr().String(), ttl: 3600}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := s.answer(t, buf[:n]); answer != nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return s
}

func (s *nameServer) set(ttl uint32, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ttl, s.addresses, s.broken = ttl, addresses, len(addresses) == 0
}

func (s *nameServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *nameServer) answer(t *testing.T, query []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	r := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	switch {
	case s.broken:
		r.RCode = dnsmessage.RCodeServerFailure
	case q.Name.String() != upName:
		r.RCode = dnsmessage.RCodeNameError
	}
	if q.Type == dnsmessage.TypeA && q.Name.String() == upName {
		s.asked++
	}
	for _, a := range s.addresses {
		if ip := netip.MustParseAddr(a); q.Type == dnsmessage.TypeA && ip.Is4() && r.RCode == dnsmessage.RCodeSuccess {
			r.Answers = append(r.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: s.ttl},
				Body:   &dnsmessage.AResource{A: ip.As4()}})
		}
	}
	b, err := r.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

// alike starts a target on each of the addresses, on one port.
func alike(t *testing.T, addresses ...string) (out []*target, port string) {
	t.Helper()
	out = targets(t, len(addresses)) // their handlers; they listen anew below
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", addresses[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		l.Close()
		free := true
		for _, a := range addresses {
			if l, err := net.Listen("tcp", a+":"+port); err != nil {
				free = false
			} else {
				l.Close()
			}
		}
		if free {
			break
		}
		if try == 20 {
			t.Fatal("no port is free on all addresses")
		}
	}
	for i, a := range addresses {
		out[i].serve(t, a+":"+port)
	}
	return out, port
}

// The addresses of a name are used as long as its records say, and go on when it cannot be resolved.
func TestNames(t *testing.T) { both(t, testNames) }

func testNames(t *testing.T, codec gateway.Codec) {
	dns := newNameServer(t)
	xs, port := alike(t, "127.0.0.1", "127.0.0.2")
	dns.set(1, "127.0.0.1")
	h := start(t, setup{codec: codec, dns: dns.addr,
		bundle: declared([]*target{{url: "http://" + strings.TrimSuffix(upName, ".") + ":" + port}}, `dns: {least: 100ms}`)})
	known := func(want ...string) {
		t.Helper()
		for i := range want {
			want[i] = "http://" + want[i] + ":" + port
		}
		h.wait("the addresses are "+strings.Join(want, ", "), func() bool {
			var got []string
			for _, x := range h.g.Upstreams()[0].Targets {
				got = append(got, x.Name)
			}
			return slices.Equal(got, want)
		})
	}
	for range 4 {
		h.get().want(t, 200, "")
	}
	known("127.0.0.1")
	dns.set(1, "127.0.0.2")
	known("127.0.0.2")
	before := xs[1].hits.Load()
	for range 4 {
		h.get().want(t, 200, "")
	}
	if n := xs[1].hits.Load() - before; n != 4 {
		t.Errorf("%d of 4 calls went to the new address", n)
	}
	dns.set(0) // it cannot be resolved any more
	failed := func() int64 { return h.g.Upstreams()[0].Unresolved }
	h.wait("a look-up failed", func() bool { return failed() > 0 })
	for range 4 {
		h.get().want(t, 200, "")
	}
	dns.set(3600, "127.0.0.2", "127.0.0.1")
	known("127.0.0.1", "127.0.0.2")
	asked := dns.count()
	time.Sleep(500 * time.Millisecond)
	if n := dns.count() - asked; n != 0 {
		t.Errorf("the name was looked up %d times although its records are good for an hour", n)
	}
	seen := map[string]bool{}
	for range 10 {
		seen[h.get().body] = true
	}
	if len(seen) != 2 {
		t.Errorf("of two addresses only %v answered", seen)
	}
}
