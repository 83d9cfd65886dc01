package http1

import (
	"bytes"
	"encoding/binary"
)

// What a byte may be in a token (RFC 9110 §5.6.2).
const (
	plain      = 1 << iota // letter, digit or hyphen
	underscore             // allowed in a token, and taken for a hyphen by some
	mark                   // the other characters of a token
)

// What a byte may be in a path.
const (
	pathChar  = 1 << iota // stands for itself
	pathSlash             // ends a segment
	pathDot               // may make a dot segment
	pathCare              // percent sign or semicolon: the path needs a second look
	pathEnd               // question mark
)

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func classes(sets map[string]uint8) (t [256]uint8) {
	for set, class := range sets {
		for i := 0; i < len(set); i++ {
			t[set[i]] = class
		}
	}
	return t
}

// The tables are made once and never change.
var (
	tokens = classes(map[string]uint8{alnum + "-": plain, "_": underscore, "!#$%&'*+.^`|~": mark})
	paths  = classes(map[string]uint8{alnum + "-_~!$&'()*+,=:@": pathChar, "/": pathSlash, ".": pathDot, "%;": pathCare, "?": pathEnd})
	hosts  = classes(map[string]uint8{alnum + "-._": 1})
	hex    = hexTable()
)

func hexTable() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i := range 10 {
		t['0'+i] = int8(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = int8(10+i), int8(10+i)
	}
	return t
}

// isToken reports whether b is one (RFC 9110 §5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if tokens[c] == 0 {
			return false
		}
	}
	return len(b) > 0
}

// isValue reports whether b has no control byte but the tab. It looks at eight bytes at a time, and closer only where
// one of them may be a control byte.
func isValue(b []byte) bool {
	const (
		ones   = 0x0101010101010101
		high   = 0x8080808080808080
		spaces = 0x20 * ones
		dels   = 0x7f * ones
	)
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		low := (x - spaces) & ^x // its high bits: below 0x20
		d := x ^ dels
		del := (d - ones) & ^d // its high bits: 0x7f
		if (low|del)&high != 0 && !valueBytes(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return valueBytes(b)
}

func valueBytes(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// fold reports whether b is s, which is in lower case, letters compared without case.
func fold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// trim cuts spaces and tabs from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// cut returns the first element of a comma-separated list, trimmed, and the rest.
func cut(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

// lookalike reports whether some program may take the name for one that frames or routes a message: its letters alone are
// one of them, perhaps behind the prefix that CGI gives to fields, or it holds Transfer-Encoding's, which no name but that of
// MIME has a use for. name is not itself one of them.
func lookalike(name []byte) bool {
	if len(name) > maxLookalike {
		return false
	}
	var letters [maxLookalike]byte
	n := 0
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if 'a' <= c && c <= 'z' {
			letters[n] = c
			n++
		}
	}
	switch string(bytes.TrimPrefix(letters[:n], []byte("http"))) {
	case "contentlength", "transferencoding", "host", "connection":
		return true
	}
	return n > len("transferencoding") && bytes.Contains(letters[:n], []byte("transferencoding")) && string(letters[:n]) != "contenttransferencoding"
}

// number reads a decimal number that is written in one way only: no sign, no leading zero.
func number(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxLengthDig || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
