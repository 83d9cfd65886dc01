package http1

import (
	"testing"

	"gatehouse/wire"
)

const (
	usualRequest = "GET /api/v1/items/17?page=2 HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: k_0123456789abcdef0123456789abcdef\r\nUser-Agent: wrk/4.1 bench\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n\r\n"
	usualAnswer  = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 19:30:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n"
)

// BenchmarkRequest is reading a usual request's head and writing it for the upstream.
func BenchmarkRequest(b *testing.B) {
	var h head
	m := wire.Message{Head: wire.Head{Fields: make(wire.Fields, 0, 16)}}
	raw, out := []byte(usualRequest), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		h.reset(false, false)
		m = wire.Message{Head: wire.Head{Fields: m.Fields[:0]}}
		if n, _ := h.request(raw, "http", &m); n != len(raw) {
			b.Fatal(n)
		}
		if _, ok := appendRequest(out, &m, framing{length: -1}); !ok {
			b.Fatal()
		}
	}
}

// BenchmarkResponse is the same for the answer.
func BenchmarkResponse(b *testing.B) {
	var h head
	m := wire.Message{Head: wire.Head{Fields: make(wire.Fields, 0, 16)}}
	raw, out := []byte(usualAnswer), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		h.reset(true, true)
		m.Fields = m.Fields[:0]
		if n, _ := h.response(raw, &m); n != len(raw) {
			b.Fatal(n)
		}
		if _, ok := appendResponse(out, &m.Head, framing{length: h.length}); !ok {
			b.Fatal()
		}
	}
}
