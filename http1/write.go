package http1

import (
	"errors"
	"slices"
	"strconv"

	"gatehouse/wire"
)

// ErrUnsendable is what a message cannot be sent with: a field, method or target that would be read as something else.
// Nothing of it has been written then.
var ErrUnsendable = errors.New("http1: the message cannot be sent without ambiguity")

// framing is what a message's head says of its content.
type framing struct {
	length  int64 // Content-Length; -1: none is sent
	chunked bool
	close   bool
	upgrade wire.View // the protocol that is changed to
	expect  bool
	date    []byte    // the Date line for a response that has none
	lines   wire.View // further fields, of AppendField
}

// AppendField appends a field for Message.Lines, or reports false when it cannot be sent without ambiguity.
func AppendField(b []byte, name, value wire.View) ([]byte, bool) {
	if !isToken(name) || !isValue(value) || ours(name) || fold(name, "trailer") {
		return b, false
	}
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...), true
}

// appendRequest appends a request's head, or reports false when it cannot be sent as one.
func appendRequest(b []byte, m *wire.Message, f framing) ([]byte, bool) {
	if !isToken(m.Method) || !isAuthority(m.Authority) || len(m.Path) == 0 || m.Path[0] != '/' || !visible(m.Path) || !visible(m.Query) {
		return b, false
	}
	b = append(append(b, m.Method...), ' ')
	b = append(b, m.Path...)
	if m.Query != nil {
		b = append(append(b, '?'), m.Query...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), m.Authority...)
	b = append(b, "\r\n"...)
	if f.expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return appendFields(b, m.Fields, f)
}

// appendResponse appends a response's head.
func appendResponse(b []byte, h *wire.Head, f framing) ([]byte, bool) {
	if h.Status < 100 || h.Status > 599 {
		return b, false
	}
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(h.Status), 10)
	b = append(append(b, ' '), statusText(h.Status)...)
	b = append(b, "\r\n"...)
	return appendFields(b, h.Fields, f)
}

func appendFields(b []byte, fields wire.Fields, f framing) ([]byte, bool) {
	dated := false
	for i := range fields {
		name, value := fields[i].Name, fields[i].Value
		if len(name) == 0 || ours(name) || !f.chunked && fold(name, "trailer") {
			continue
		}
		if !isToken(name) || !isValue(value) {
			return b, false
		}
		dated = dated || len(name) == 4 && fold(name, "date")
		at := len(b)
		end := at + len(name) + len(value) + 4
		if end > cap(b) {
			b = slices.Grow(b, end-at)
		}
		b = b[:end]
		at += copy(b[at:], name)
		b[at], b[at+1] = ':', ' '
		at += 2 + copy(b[at+2:], value)
		b[at], b[at+1] = '\r', '\n'
	}
	if !dated {
		b = append(b, f.date...)
	}
	b = append(b, f.lines...)
	switch {
	case f.upgrade != nil:
		b = append(append(b, "Connection: Upgrade\r\nUpgrade: "...), f.upgrade...)
		b = append(b, "\r\n"...)
	case f.close:
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case f.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case f.length >= 0:
		b = strconv.AppendInt(append(b, "Content-Length: "...), f.length, 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...), true
}

// ours reports whether only this package writes the field.
func ours(name []byte) bool {
	switch len(name) {
	case 2:
		return fold(name, "te")
	case 4:
		return fold(name, "host")
	case 6:
		return fold(name, "expect")
	case 7:
		return fold(name, "upgrade")
	case 10:
		return fold(name, "connection") || fold(name, "keep-alive")
	case 14:
		return fold(name, "content-length")
	case 16:
		return fold(name, "proxy-connection")
	case 17:
		return fold(name, "transfer-encoding")
	}
	return false
}

// appendTrailer appends the last chunk and the trailer.
func appendTrailer(b []byte, trailer wire.Fields) []byte {
	b = append(b, "0\r\n"...)
	for _, f := range trailer {
		if isToken(f.Name) && isValue(f.Value) && trailing(f.Name) {
			b = append(append(b, f.Name...), ": "...)
			b = append(append(b, f.Value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// chunkRoom is what a chunk of up to 64 KB needs before its content, and chunkEnd after it.
const (
	chunkRoom = len("10000\r\n")
	chunkEnd  = len("\r\n")
)

// appendChunk makes a chunk of the n bytes that stand chunkRoom behind the end of b.
func appendChunk(b []byte, n int) []byte {
	content := b[len(b)+chunkRoom : len(b)+chunkRoom+n]
	b = append(strconv.AppendUint(b, uint64(n), 16), "\r\n"...)
	b = append(b, content...) // moves it by the digits that were not needed
	return append(b, "\r\n"...)
}

// appendWhole appends a chunked body of one chunk.
func appendWhole(b, content []byte, trailer wire.Fields) []byte {
	if len(content) > 0 {
		b = append(strconv.AppendInt(b, int64(len(content)), 16), "\r\n"...)
		b = append(append(b, content...), "\r\n"...)
	}
	return appendTrailer(b, trailer)
}

// visible reports whether b has no space, control byte or byte beyond ASCII.
func visible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
