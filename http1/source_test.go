package http1

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/wire"
)

// pieces is a connection that gives its bytes in pieces of the wanted size.
type pieces struct {
	net.Conn
	rest string
	size func() int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size())], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// Wherever in the buffer a body begins and however it comes, its content is the same, what follows it is left, and the
// head before it is untouched until the exchange is settled.
func TestBodiesInPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		bufs := &Buffers{Poison: true}
		var want, raw strings.Builder
		chunked := rnd.IntN(3) > 0
		for range 1 + rnd.IntN(8) {
			part := strings.Repeat(string(rune('a'+rnd.IntN(26))), 1+rnd.IntN([]int{2, 300, 5000, 40_000}[rnd.IntN(4)]))
			want.WriteString(part)
			if chunked {
				fmt.Fprintf(&raw, "%x;%s\r\n%s\r\n", len(part), strings.Repeat("e", 1+rnd.IntN(240)), part)
			} else {
				raw.WriteString(part)
			}
		}
		if chunked {
			raw.WriteString("0\r\nDigest: " + strings.Repeat("d", rnd.IntN(3000)) + "\r\n\r\n")
		}
		behind := strings.Repeat("next", rnd.IntN(6000))
		head := strings.Repeat("h", rnd.IntN(headSize))
		there := rnd.IntN(headSize - len(head) + 1)
		all := raw.String() + behind
		there = min(there, len(all))

		most := 1 + rnd.IntN([]int{1, 50, 5000, 100_000}[rnd.IntN(4)])
		if most == 1 && len(all) > 20_000 {
			most = 700
		}
		nc := &pieces{rest: all[there:], size: func() int { return 1 + rnd.IntN(most) }}
		s := source{nc: nc, bufs: bufs, alarm: &alarm{set: nc.SetReadDeadline}, halted: new(atomic.Bool), silence: time.Second, buf: bufs.get(headSize)}
		first := s.buf
		s.w = copy(s.buf, head+all[:there])
		s.r, s.base = len(head), len(head)

		var b body
		var trailer wire.Fields
		if chunked {
			b.reset(&s, byChunks, 0, &trailer)
		} else {
			b.reset(&s, byLength, int64(want.Len()), nil)
		}
		var got bytes.Buffer
		p := make([]byte, 1+rnd.IntN(20_000))
		for {
			ready, before := b.Ready(), len(nc.rest)
			n, err := b.Read(p)
			if ready && len(nc.rest) != before {
				t.Fatalf("Ready, and yet the peer was waited for")
			}
			got.Write(p[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d of %d bytes: %v", got.Len(), want.Len(), err)
			}
		}
		if got.String() != want.String() || !b.whole() {
			t.Fatalf("%d bytes of content, want %d", got.Len(), want.Len())
		}
		if string(first[:len(head)]) != head {
			t.Fatalf("the head was overwritten")
		}
		s.settle()
		if s.r != 0 || s.base != 0 || s.spare != nil || string(s.buf[:s.w])+nc.rest != behind {
			t.Fatalf("%d bytes are left and %d to come, want %d", s.w, len(nc.rest), len(behind))
		}
	}
}
