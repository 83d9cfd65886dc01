package gateway

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names looks names up as the system does (its configuration, its hosts file, its search list), by Go's own resolver, and
// reads along how long the records may be used, which that resolver does not tell.
type names struct{ server string } // the address of the DNS server to ask; "": those of the system

// untold is how long addresses are used when nothing says so: those of the hosts file.
const untold = 30 * time.Second

// lookUp returns the addresses of a name, and how long they may be used.
func (n *names) lookUp(ctx context.Context, host string) ([]string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	heard := &ttls{}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, server string) (net.Conn, error) {
		if n.server != "" {
			server = n.server
		}
		c, err := new(net.Dialer).DialContext(ctx, network, server)
		if err != nil {
			return nil, err
		}
		if u, ok := c.(*net.UDPConn); ok {
			return &heardPackets{u, heard}, nil
		}
		return &heardStream{Conn: c, heard: heard}, nil
	}}
	found, err := r.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, 0, err
	}
	var out []string
	for _, a := range found {
		if s := a.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, heard.least(), nil
}

// lookUpTime is how long a look-up may take, with all its servers and repetitions.
const lookUpTime = 15 * time.Second

// ttls is the shortest time that was heard. A look-up asks for both families at once.
type ttls struct {
	mu   sync.Mutex
	told bool
	ttl  time.Duration
}

func (t *ttls) least() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.told {
		return untold
	}
	return t.ttl
}

// hear reads one message.
func (t *ttls) hear(message []byte) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.RCode != dnsmessage.RCodeSuccess || p.SkipAllQuestions() != nil {
		return
	}
	for {
		r, err := p.AnswerHeader()
		if err != nil || p.SkipAnswer() != nil {
			return
		}
		t.mu.Lock()
		if d := time.Duration(r.TTL) * time.Second; !t.told || d < t.ttl {
			t.told, t.ttl = true, d
		}
		t.mu.Unlock()
	}
}

// heardPackets reads along what comes by UDP.
type heardPackets struct {
	*net.UDPConn
	heard *ttls
}

func (c *heardPackets) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	c.heard.hear(b[:n])
	return n, err
}

// heardStream reads along what comes by TCP: messages with their length before them.
type heardStream struct {
	net.Conn
	heard *ttls
	got   []byte
}

func (c *heardStream) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.got = append(c.got, b[:n]...)
	for len(c.got) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(c.got))
		if len(c.got) < end {
			break
		}
		c.heard.hear(c.got[2:end])
		c.got = c.got[end:]
	}
	return n, err
}
