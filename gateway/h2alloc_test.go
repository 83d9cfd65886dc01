package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/event"
)

// h2Caller is caller for HTTP/2 without TLS: one stream after the other on one connection. From the second request on, its head is
// all in the table that both sides share, as it is with clients that repeat themselves.
func h2Caller(t testing.TB, events event.Sink) func() {
	t.Helper()
	addr, key := behind(t, Options{Events: events, Codec: HTTP1, H2C: true})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	var block, hello bytes.Buffer
	hello.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&hello, nil)
	_ = fr.WriteSettings()
	_ = fr.WriteWindowUpdate(0, 1<<30) // so that it need not be widened again
	enc := hpack.NewEncoder(&block)
	head := func() {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "api.example.test"}, {":path", "/a/v1/things/17?page=2"},
			{"x-api-key", key}, {"accept", "application/json"}, {"user-agent", "partner/1.0"}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
	}
	if _, err := nc.Write(hello.Bytes()); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReaderSize(nc, 64<<10)
	id, frame := uint32(1), make([]byte, 0, 1<<10)
	return func() {
		if id <= 5 {
			head()
		}
		frame = append(frame[:0], 0, 0, byte(block.Len()), byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream))
		frame = append(binary.BigEndian.AppendUint32(frame, id), block.Bytes()...)
		if _, err := nc.Write(frame); err != nil {
			t.Fatal(err)
		}
		for content := 0; ; {
			b, err := in.Peek(9)
			if err != nil {
				t.Fatal(err)
			}
			n, kind, flags, stream := int(b[0])<<16|int(b[1])<<8|int(b[2]), http2.FrameType(b[3]), http2.Flags(b[4]), binary.BigEndian.Uint32(b[5:])
			if _, err := in.Discard(9 + n); err != nil {
				t.Fatal(err)
			}
			switch {
			case kind == http2.FrameRSTStream || kind == http2.FrameGoAway:
				t.Fatalf("stream %d ends with a %s", id, kind)
			case kind == http2.FrameData && stream == id:
				content += n
			}
			if stream == id && flags&http2.FlagDataEndStream != 0 && (kind == http2.FrameData || kind == http2.FrameHeaders) {
				if content != 1024 {
					t.Fatalf("the answer has %d bytes", content)
				}
				break
			}
		}
		id += 2
	}
}

// Between a client's stream and an upstream's socket nothing is allocated, as with HTTP/1.1.
func TestH2ConnectionAllocatesNothing(t *testing.T) {
	l := event.NewLines(io.Discard, event.LinesOptions{})
	defer l.Close(context.Background())
	call := h2Caller(t, l)
	for range 200 {
		call()
	}
	if n := testing.AllocsPerRun(1000, call); n > 4*mostAllocations {
		t.Errorf("%v allocations for each exchange", n)
	}
}

func BenchmarkH2Connection(b *testing.B) {
	l := event.NewLines(io.Discard, event.LinesOptions{})
	defer l.Close(context.Background())
	call := h2Caller(b, l)
	for range 200 {
		call()
	}
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
