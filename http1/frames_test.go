package http1_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// A frame of a WebSocket as RFC 6455 §5.2 writes it, valid or not: a tunnel passes both, byte by byte.
type frame struct {
	first   byte // FIN, reserved bits, opcode
	masked  bool
	length  int // how its length is written: 7, 16 or 64 bits, perhaps longer than needed
	payload []byte
}

func (f frame) bytes(rnd *rand.Rand) []byte {
	b := []byte{f.first}
	mask := byte(0)
	if f.masked {
		mask = 0x80
	}
	switch f.length {
	case 7:
		b = append(b, mask|byte(len(f.payload)))
	case 16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(len(f.payload)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(len(f.payload)))
	}
	if !f.masked {
		return append(b, f.payload...)
	}
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], rnd.Uint32())
	b = append(b, key[:]...)
	for i, c := range f.payload {
		b = append(b, c^key[i%4])
	}
	return b
}

const (
	fin   = 0x80
	more  = 0
	text1 = 1
	bin   = 2
	end   = 8
	ping  = 9
	pong  = 10
)

// frameCases are Autobahn's groups of cases, as the frames that its peers send.
func frameCases() map[string][]frame {
	sized := func(op byte, sizes ...int) (fs []frame) {
		for _, n := range sizes {
			length := 7
			switch {
			case n > 65535:
				length = 64
			case n > 125:
				length = 16
			}
			fs = append(fs, frame{op, true, length, bytes.Repeat([]byte("*"), n)})
		}
		return fs
	}
	small := func(first byte, s string) frame { return frame{first, true, 7, []byte(s)} }
	cases := map[string][]frame{
		"1.1 text, each length":           sized(fin|text1, 0, 125, 126, 127, 128, 65535, 65536),
		"1.2 binary, each length":         sized(fin|bin, 0, 125, 126, 127, 128, 65535, 65536),
		"1.x lengths in more bytes":       {{fin | text1, true, 16, []byte("short")}, {fin | text1, true, 64, []byte("short")}, {fin | bin, true, 64, bytes.Repeat([]byte("x"), 200)}},
		"2 pings and pongs":               append(sized(fin|ping, 0, 7, 125), append(sized(fin|pong, 0, 125), small(fin|ping, "\x00\xff\xfe\xfd"))...),
		"2.5 a ping that is too long":     {{fin | ping, true, 16, bytes.Repeat([]byte("p"), 126)}},
		"2.10 ten pings":                  sized(fin|ping, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
		"3 reserved bits":                 {small(fin|0x10|text1, "r3"), small(fin|0x20|text1, "r2"), small(fin|0x40|text1, "r1"), small(fin|0x70|bin, "all"), small(fin|0x40|end, "")},
		"4 reserved opcodes":              nil,
		"5.1 a ping in fragments":         {small(more|ping, "a"), small(fin, "b")},
		"5.3 fragments":                   {small(more|text1, "frag"), small(more, "ment"), small(fin, "ed")},
		"5.6 a ping between fragments":    {small(more|text1, "frag"), small(fin|ping, "now"), small(fin, "ment")},
		"5.9 a continuation of nothing":   {small(fin, "of nothing"), small(more, "of nothing"), small(fin|text1, "then text")},
		"5.18 a beginning in the middle":  {small(more|text1, "one"), small(fin|text1, "two")},
		"6 UTF-8, valid and not":          {small(fin|text1, "κόσμε"), small(fin|text1, "\xce\xba\xed\xa0\x80"), small(fin|text1, "\xf4\x90\x80\x80"), small(fin|text1, "\xc0\xaf"), small(fin|text1, "\xef\xbf\xbf"), small(more|text1, "\xce"), small(fin, "\xba")},
		"7.1 close, and what comes after": {small(fin|end, "\x03\xe8bye"), small(fin|ping, "late"), small(fin|text1, "later")},
		"7.3 closes of each form":         {small(fin|end, ""), small(fin|end, "a"), small(fin|end, "\x03\xe8"), small(fin|end, "\x03\xe8"+strings.Repeat("*", 123)), {fin | end, true, 16, bytes.Repeat([]byte("c"), 126)}},
		"7.9 closes with codes of no use": nil,
		"9 large, in one frame":           sized(fin|bin, 1<<20, 4<<20),
		"9.5 large, in fragments":         nil,
		"10 fragmented by a small write":  sized(fin|text1, 65536),
		"without masks, as servers send":  {{fin | text1, false, 7, []byte("plain")}, {fin | bin, false, 16, bytes.Repeat([]byte{0}, 300)}, {fin | end, false, 7, []byte("\x03\xe8")}},
		"12 looks like HTTP":              {small(fin|text1, "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"), {fin | text1, false, 7, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}, {fin | text1, false, 7, []byte("0\r\n\r\n")}},
		"13 no frames at all, any bytes":  {{0xff, false, 7, bytes.Repeat([]byte{0xff}, 100)}, {0, false, 7, bytes.Repeat([]byte{0}, 100)}},
	}
	for op := byte(3); op < 16; op++ {
		if op < 8 || op > 10 {
			cases["4 reserved opcodes"] = append(cases["4 reserved opcodes"], small(fin|op, ""), small(fin|op, "with content"), small(fin|text1, "and text"))
		}
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 3000, 4999, 5000, 65535} {
		cases["7.9 closes with codes of no use"] = append(cases["7.9 closes with codes of no use"], small(fin|end, string(binary.BigEndian.AppendUint16(nil, code))))
	}
	for i := range 64 {
		first := byte(more)
		switch i {
		case 0:
			first = more | bin
		case 63:
			first = fin
		}
		cases["9.5 large, in fragments"] = append(cases["9.5 large, in fragments"], frame{first, true, 16, bytes.Repeat([]byte{byte(i)}, 16<<10)})
	}
	return cases
}

// What Autobahn's peers send to each other passes a tunnel byte by byte, both ways at once, valid or not and however it is
// cut: a gateway is not the one to judge it.
func TestFramesPass(t *testing.T) {
	for name, frames := range frameCases() {
		for _, cut := range []int{1 << 20, 1460, 3} {
			t.Run(fmt.Sprintf("%s, in pieces of %d", name, cut), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(6455, uint64(cut)))
				var there, back bytes.Buffer
				for _, f := range frames {
					there.Write(f.bytes(rnd))
					back.Write(f.bytes(rnd))
				}
				if cut == 3 && there.Len() > 100_000 {
					return // three bytes at a time of a megabyte show nothing more
				}
				got, over := make(chan []byte, 1), make(chan struct{})
				p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
					u.head()
					u.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
					go inPieces(u, back.Bytes(), cut)
					b, err := io.ReadAll(u.r)
					if err != nil {
						t.Error(err)
					}
					got <- b
					<-over
				}), nil)
				c := dial(t, p)
				c.say("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
				if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 101 ") {
					t.Fatalf("answered %q", h)
				}
				go func() {
					inPieces(c, there.Bytes(), cut)
					c.closeWrite()
				}()
				heard := make([]byte, back.Len())
				if _, err := io.ReadFull(c.r, heard); err != nil || !bytes.Equal(heard, back.Bytes()) {
					t.Errorf("%d bytes came back changed (%v)", back.Len(), err)
				}
				if b := <-got; !bytes.Equal(b, there.Bytes()) {
					t.Errorf("of %d bytes %d arrived, or changed", there.Len(), len(b))
				}
				close(over)
				c.ends()
			})
		}
	}
}

// inPieces writes b in pieces of n bytes.
func inPieces(to io.Writer, b []byte, n int) {
	for len(b) > 0 {
		k := min(n, len(b))
		if _, err := to.Write(b[:k]); err != nil {
			return
		}
		b = b[k:]
	}
}
