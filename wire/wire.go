// Package wire is a message on its way through the gateway, whatever protocol carried it: head, body, trailer.
package wire

import (
	"io"
	"strings"
)

// View is bytes borrowed from a connection's buffer. It is valid until the exchange ends and must not be
// changed; keep it by Clone.
type View []byte

// Clone copies the bytes out of the borrowed buffer.
func (v View) Clone() []byte { return append([]byte(nil), v...) }

// String copies the bytes into a string.
func (v View) String() string { return string(v) }

// EqualFold reports whether v is s, letters compared without case. s must be ASCII.
func (v View) EqualFold(s string) bool {
	if len(v) != len(s) {
		return false
	}
	for i := 0; i < len(v); i++ {
		if lower(v[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Field is one header or trailer field (RFC 9110 §5). A Field with an empty Name has been deleted and is not sent.
type Field struct{ Name, Value View }

// Fields is the fields of a message in their order.
type Fields []Field

// Get returns the first value of the named field.
func (f Fields) Get(name string) (View, bool) {
	for i := range f {
		if f[i].Name.EqualFold(name) {
			return f[i].Value, true
		}
	}
	return nil, false
}

// Count is how many fields have the name.
func (f Fields) Count(name string) int {
	n := 0
	for i := range f {
		if f[i].Name.EqualFold(name) {
			n++
		}
	}
	return n
}

// Del deletes every field of that name, and reports whether there was one. It keeps the other fields where they are.
func (f Fields) Del(name string) bool {
	found := false
	for i := range f {
		if f[i].Name.EqualFold(name) {
			f[i] = Field{}
			found = true
		}
	}
	return found
}

// DelPrefix deletes every field whose name begins with the prefix, without case.
func (f Fields) DelPrefix(prefix string) {
	for i := range f {
		if len(f[i].Name) >= len(prefix) && f[i].Name[:len(prefix)].EqualFold(prefix) {
			f[i] = Field{}
		}
	}
}

// Add appends a field. The bytes are borrowed from the caller until the exchange ends.
func (f *Fields) Add(name, value View) { *f = append(*f, Field{name, value}) }

// AddString appends a field from strings, which it copies.
func (f *Fields) AddString(name, value string) { f.Add(View(name), View(value)) }

// SetString replaces every field of that name by one.
func (f *Fields) SetString(name, value string) {
	f.Del(name)
	f.AddString(name, value)
}

// Head is the head of a request or of a response.
type Head struct {
	// Of a request.
	Method    View   // as sent: methods are compared with case
	Scheme    string // "http" or "https": how the client reached us
	Authority View   // host and port that the client asked for, lower case
	Path      View   // normalised: begins with a slash, no dot segments, no ambiguous escapes. What is routed is what is forwarded
	Query     View   // after the question mark, as sent; nil when there is none

	// Of a response.
	Status int

	Fields Fields
}

// Message is a request or a response. Body is nil when there is none; it is read once, by whoever forwards it.
type Message struct {
	Head
	Body    io.Reader
	Length  int64  // of the body in bytes; -1 when it is not known before its end
	Trailer Fields // filled once Body has returned io.EOF
	// Lines are further fields of a request, as HTTP/1.1 writes them, each with its end. Only http1 sends them, and writes them
	// (http1.AppendField): for an upstream that is spoken to otherwise they must be Fields.
	Lines View
}

// ContainsToken reports whether a comma-separated list holds the token, without case (RFC 9110 §5.6.1).
func ContainsToken(list View, token string) bool {
	for part := range strings.SplitSeq(string(list), ",") {
		if strings.EqualFold(strings.Trim(part, " \t"), token) {
			return true
		}
	}
	return false
}
