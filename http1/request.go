package http1

import (
	"bytes"
	"unicode/utf8"

	"gatehouse/wire"
)

// request reads a request's head from buf, the bytes that came in so far, which it changes: names of hosts become
// lower case, escapes in the path the canonical ones. It returns how long the head is; 0 when it is not all there.
func (h *head) request(buf []byte, scheme string, m *wire.Message) (int, Reason) {
	if !h.begun {
		if h.pos == 0 && len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' { // one empty line before is allowed (RFC 9112 §2.2)
			h.pos, h.seen = 2, 2
		}
		line, ok, r := h.line(buf)
		if r != Fine {
			return 0, r
		}
		if !ok {
			return 0, h.begins(buf[h.pos:])
		}
		if r := h.requestLine(line, m); r != Fine {
			return 0, r
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
	m.Scheme = scheme
	if r := target(h.target, m); r != Fine {
		return 0, r
	}
	switch {
	case h.host == nil:
		return 0, NoHost
	case m.Authority != nil && !bytes.Equal(m.Authority, h.host):
		return 0, HostMismatch
	}
	m.Authority = h.host
	return h.pos, Fine
}

// begins refuses early what will not become a request line: another protocol, or too much of it.
func (h *head) begins(part []byte) Reason {
	if len(part) > maxLine {
		return LineTooLong
	}
	if len(part) == 1 && part[0] == '\r' {
		return Fine // of an empty line
	}
	for i, c := range part {
		if tokens[c] == 0 && (c != ' ' || i == 0) || i > maxMethod {
			return BadMethod
		}
		if c == ' ' {
			break
		}
	}
	return Fine
}

func (h *head) requestLine(line []byte, m *wire.Message) Reason {
	if len(line) > maxLine {
		return LineTooLong
	}
	i := 0
	for i < len(line) && tokens[line[i]] != 0 {
		i++
	}
	if i == 0 || i > maxMethod || i == len(line) || line[i] != ' ' {
		return BadMethod
	}
	m.Method = line[:i:i]
	rest := line[i+1:]
	v := len(rest) - len(" HTTP/1.1")
	if v < 0 || rest[v] != ' ' || string(rest[v+1:v+6]) != "HTTP/" || rest[v+7] != '.' || hex[rest[v+6]]|hex[rest[v+8]] < 0 {
		return BadLine
	}
	if rest[v+6] != '1' || rest[v+8] != '1' && rest[v+8] != '0' {
		return BadVersion
	}
	h.old = rest[v+8] == '0'
	switch string(m.Method) {
	case "CONNECT":
		return MethodConnect
	case "TRACE":
		return MethodTrace
	}
	h.target = rest[:v:v]
	return Fine
}

// target reads a request target: a path and a query, perhaps after scheme and authority (RFC 9112 §3.2).
func target(t []byte, m *wire.Message) Reason {
	if len(t) == 0 {
		return BadTarget
	}
	if t[0] == '/' {
		return pathAndQuery(t, m)
	}
	if len(t) == 1 && t[0] == '*' {
		return AsteriskTarget
	}
	i := bytes.Index(t, []byte("://"))
	if i < 0 {
		return BadTarget
	}
	lower(t[:i])
	if string(t[:i]) != m.Scheme {
		if s := string(t[:i]); s == "http" || s == "https" {
			return SchemeMismatch
		}
		return BadTarget
	}
	rest := t[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !isAuthority(rest[:end]) {
		return BadTarget
	}
	lower(rest[:end])
	m.Authority = rest[:end:end]
	if rest = rest[end:]; len(rest) > 0 && rest[0] == '/' {
		return pathAndQuery(rest, m)
	}
	// An absolute target may go without a path, which then is a slash: there is one in the scheme's end.
	r := pathAndQuery(append(t[i+1:i+2:i+2], rest...), m)
	return r
}

func pathAndQuery(t []byte, m *wire.Message) Reason {
	var class uint8
	before := byte(0)
	suspect := false
	i := 0
	for ; i < len(t); i++ {
		c := t[i]
		k := paths[c]
		if k == 0 {
			return BadTarget
		}
		if k == pathEnd {
			break
		}
		if before == '/' && k&(pathSlash|pathDot) != 0 {
			if k == pathSlash {
				return EmptySegment
			}
			suspect = true
		}
		class |= k
		before = c
	}
	m.Path = t[:i:i]
	if i < len(t) {
		m.Query = t[i+1:]
		for _, c := range m.Query {
			if c <= ' ' || c >= 0x7f || c == '#' {
				return BadTarget
			}
		}
	}
	if class&pathCare == 0 && !suspect {
		return Fine
	}
	return normalise(m)
}

// normalise makes the path canonical in place: unreserved characters stand for themselves, other escapes are in upper
// case (RFC 3986 §6.2.2). What programs read differently is refused.
func normalise(m *wire.Message) Reason {
	p := m.Path
	w, escapes := 0, false
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c != '%' {
			p[w] = c
			w++
			continue
		}
		if i+2 >= len(p) || hex[p[i+1]] < 0 || hex[p[i+2]] < 0 {
			return BadEscape
		}
		d := byte(hex[p[i+1]])<<4 | byte(hex[p[i+2]])
		switch {
		case d == '/' || d == '\\' || d < 0x20 || d == 0x7f:
			return AmbiguousEscape
		case tokens[d] == plain || d == '.' || d == '_' || d == '~':
			p[w] = d
			w++
		default:
			escapes = escapes || d >= 0x80
			const digits = "0123456789ABCDEF"
			p[w], p[w+1], p[w+2] = '%', digits[d>>4], digits[d&15]
			w += 3
		}
		i += 2
	}
	p = p[:w:w]
	m.Path = p
	if escapes && !escapedUTF8(p) {
		return EscapeNotUTF8
	}
	if i := bytes.Index(p, []byte("%25")); i >= 0 && escapedTwice(p[i:]) {
		return AmbiguousEscape
	}
	for rest := p[1:]; ; {
		i := bytes.IndexByte(rest, '/')
		segment := rest
		if i >= 0 {
			segment = rest[:i]
		}
		name := segment
		if j := bytes.IndexByte(name, ';'); j >= 0 { // some drop the parameters of a segment before they look at it
			name = name[:j]
		}
		if j := bytes.Index(name, []byte("%3B")); j >= 0 {
			name = name[:j]
		}
		switch {
		case string(name) == "." || string(name) == "..":
			return DotSegment
		case len(name) == 0 && len(segment) > 0:
			return EmptySegment
		case i < 0:
			return Fine
		}
		rest = rest[i+1:]
	}
}

// escapedTwice reports whether a canonical path has an escaped percent sign that makes an escape with what follows it.
func escapedTwice(p []byte) bool {
	for i := 0; i+4 < len(p); i++ {
		if p[i] == '%' && p[i+1] == '2' && p[i+2] == '5' && hex[p[i+3]] >= 0 && hex[p[i+4]] >= 0 {
			return true
		}
	}
	return false
}

// escapedUTF8 reports whether the runs of escaped bytes in a canonical path are UTF-8.
func escapedUTF8(p []byte) bool {
	var run [utf8.UTFMax]byte
	n := 0
	for i := 0; i <= len(p); i++ {
		var d byte
		if i < len(p) && p[i] == '%' {
			d = byte(hex[p[i+1]])<<4 | byte(hex[p[i+2]])
			i += 2
		}
		if d < 0x80 { // ends a run
			if n > 0 {
				return false
			}
			continue
		}
		run[n] = d
		n++
		if utf8.FullRune(run[:n]) {
			if r, size := utf8.DecodeRune(run[:n]); r == utf8.RuneError && size <= 1 || size != n {
				return false
			}
			n = 0
		}
	}
	return n == 0
}

// isAuthority reports whether b is a host name or address and perhaps a port: the characters that names have in
// practice, or an IP literal in brackets.
func isAuthority(b []byte) bool {
	if len(b) == 0 || len(b) > maxHost {
		return false
	}
	host, port := b, []byte(nil)
	if b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 3 {
			return false
		}
		for _, c := range b[1:i] {
			if hex[c] < 0 && c != ':' && c != '.' {
				return false
			}
		}
		if host = b[i+1:]; len(host) == 0 {
			return true
		}
		if host[0] != ':' {
			return false
		}
		port = host[1:]
	} else {
		i := bytes.IndexByte(b, ':')
		if i >= 0 {
			host, port = b[:i], b[i+1:]
		}
		if len(host) == 0 {
			return false
		}
		for _, c := range host {
			if hosts[c] == 0 {
				return false
			}
		}
		if i < 0 {
			return true
		}
	}
	n, ok := number(port)
	return ok && n > 0 && n <= 65535
}
