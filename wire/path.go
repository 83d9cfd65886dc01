package wire

// NormalPath checks a request's path as it was sent and writes it in the one form in which it is routed and forwarded:
// escapes of unreserved characters undone (RFC 3986 §6.2.2), the digits of others in upper case. A path that is in that
// form already is returned as it is; otherwise it is appended to dst. What two readers could take for two different
// paths is refused, and why says what it was.
func NormalPath(dst []byte, raw View) (path View, why string) {
	if len(raw) == 0 || raw[0] != '/' {
		return nil, "the path does not begin with a slash"
	}
	clean := true
	for i := 0; i < len(raw); i++ {
		switch pathClass[raw[i]] {
		case plain:
		case escape:
			clean = false
			i += 2 // looked at below
		default:
			return nil, "the path holds a character that must be escaped"
		}
	}
	out := raw
	if !clean {
		if out, why = unescape(dst, raw); why != "" {
			return nil, why
		}
	}
	if why = checkSegments(out); why != "" {
		return nil, why
	}
	return out, ""
}

// The classes of bytes in a path.
const (
	foreign = iota // must not stand there
	plain          // a pchar (RFC 3986 §3.3) or a slash
	escape         // %
)

// pathClass is the class of each byte.
var pathClass = func() (t [256]uint8) {
	for c := range 256 {
		if isUnreserved(byte(c)) {
			t[c] = plain
		}
	}
	for _, b := range []byte("!$&'()*+,;=:@/") {
		t[b] = plain
	}
	t['%'] = escape
	return t
}()

func isUnreserved(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
}

// unescape writes the normal form of raw's escapes after dst.
func unescape(dst []byte, raw View) (View, string) {
	from := len(dst)
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			dst = append(dst, raw[i])
			continue
		}
		if i+2 >= len(raw) || hex(raw[i+1]) < 0 || hex(raw[i+2]) < 0 {
			return nil, "the path holds a percent sign that is no escape"
		}
		c := byte(hex(raw[i+1])<<4 | hex(raw[i+2]))
		switch {
		case c == '/' || c == '\\':
			return nil, "the path holds an escaped slash or backslash"
		case c < 0x20 || c == 0x7f:
			return nil, "the path holds an escaped control character"
		case isUnreserved(c):
			dst = append(dst, c)
		case overlong(c, raw[i+3:]):
			return nil, "the path holds an escape that is no UTF-8"
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
		i += 2
	}
	out := View(dst[from:len(dst):len(dst)])
	for i := 0; i+4 < len(out); i++ { // on what came out: %25%32%65 is escaped twice as well
		if out[i] == '%' && out[i+1] == '2' && out[i+2] == '5' && hex(out[i+3]) >= 0 && hex(out[i+4]) >= 0 {
			return nil, "the path is escaped twice"
		}
	}
	return out, ""
}

// overlong reports whether c begins an overlong form in UTF-8 (RFC 3629 §3), which lenient decoders take for an ASCII
// character, such as a slash. rest is what follows the escape of c.
func overlong(c byte, rest View) bool {
	next := byte(0)
	if len(rest) >= 3 && rest[0] == '%' && hex(rest[1]) >= 0 && hex(rest[2]) >= 0 {
		next = byte(hex(rest[1])<<4 | hex(rest[2]))
	}
	switch c {
	case 0xC0, 0xC1:
		return true
	case 0xE0:
		return 0x80 <= next && next < 0xA0
	case 0xF0:
		return 0x80 <= next && next < 0x90
	}
	return false
}

const upperHex = "0123456789ABCDEF"

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// checkSegments refuses empty segments but the last, and dot segments, also with a parameter behind them ("..;x"),
// which some servers cut off before they look.
func checkSegments(p View) string {
	for i := 0; i < len(p); { // p[i] is a slash
		end := i + 1
		for end < len(p) && p[end] != '/' {
			end++
		}
		switch s := p[i+1 : end]; {
		case len(s) == 0:
			if end < len(p) {
				return "the path holds an empty segment"
			}
		case s[0] == ';': // empty for servers that cut parameters off
			return "the path holds an empty segment"
		case s[0] == '.':
			if len(s) == 1 || s[1] == ';' || s[1] == '.' && (len(s) == 2 || s[2] == ';') {
				return "the path holds a dot segment"
			}
		}
		i = end
	}
	return ""
}
