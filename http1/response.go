package http1

import "gatehouse/wire"

// response reads a response's head from buf, the bytes that came in so far. It returns how long the head is; 0 when it
// is not all there.
func (h *head) response(buf []byte, m *wire.Message) (int, Reason) {
	if !h.begun {
		line, ok, r := h.line(buf)
		if r != Fine {
			return 0, r
		}
		if !ok {
			if len(buf) > maxLine {
				return 0, HeadTooLarge
			}
			return 0, startsLike(buf, "HTTP/1.")
		}
		if m.Status, ok = h.statusLine(line); !ok {
			return 0, BadStatus
		}
	}
	done, r := h.fields(buf, &m.Fields)
	if r != Fine || !done {
		return 0, r
	}
	if h.pos > maxHead {
		return 0, HeadTooLarge
	}
	if r := h.finish(m.Fields); r != Fine {
		return 0, r
	}
	if m.Status < 200 && (h.chunked || h.length >= 0) || m.Status == 204 && (h.chunked || h.length > 0) {
		return 0, UnexpectedContent
	}
	return h.pos, Fine
}

func startsLike(buf []byte, s string) Reason {
	n := min(len(buf), len(s))
	if string(buf[:n]) != s[:n] {
		return BadStatus
	}
	return Fine
}

// statusLine reads HTTP/1.1 200 OK (RFC 9112 §4). The space before a missing phrase may be missing too.
func (h *head) statusLine(line []byte) (status int, ok bool) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return 0, false
	}
	switch line[7] {
	case '1':
	case '0':
		h.old = true
	default:
		return 0, false
	}
	n, ok := number(line[9:12])
	if !ok || n < 100 || n > 599 || !isValue(line[12:]) {
		return 0, false
	}
	return int(n), true
}
