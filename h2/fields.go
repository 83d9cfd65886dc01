package h2

import (
	"strconv"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"gatehouse/http1"
	"gatehouse/wire"
)

// sendable reports whether all fields can be sent as what they are.
func sendable(fields wire.Fields) bool {
	for i := range fields {
		if name := fields[i].Name; len(name) > 0 && (http1.Name(name) == http1.BadName || !http1.Value(fields[i].Value)) {
			return false
		}
	}
	return true
}

// putFields writes the fields but those that only this package writes, and those that drop tells of. c.mu is held.
func (c *conn) putFields(fields wire.Fields, drop func(name []byte) bool) {
	for i := range fields {
		name := fields[i].Name
		if len(name) == 0 {
			continue
		}
		b := append(c.texts.lower[:0], name...)
		for j, ch := range b {
			if 'A' <= ch && ch <= 'Z' {
				b[j] = ch + 'a' - 'A'
			}
		}
		if ours(b) || drop != nil && (drop(b) || !http1.Value(fields[i].Value)) {
			continue
		}
		c.putView(c.texts.known(b), fields[i].Value)
	}
}

// anyTrailer reports whether one of the fields may stand in a trailer.
func anyTrailer(t wire.Fields) bool {
	for i := range t {
		if len(t[i].Name) > 0 && !http1.NoTrailer(t[i].Name) && http1.Value(t[i].Value) {
			return true
		}
	}
	return false
}

// put writes one field. c.mu is held.
func (c *conn) put(name, value string) {
	_ = c.enc.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: once(name)})
}

// putView is put of a value that is somebody else's memory. c.mu is held.
func (c *conn) putView(name string, value []byte) {
	if once(name) { // the compression keeps nothing of it
		c.put(name, unsafe.String(unsafe.SliceData(value), len(value)))
		return
	}
	c.put(name, c.texts.of(value))
}

// putNumber writes a field whose value is a number, and of one message only. c.mu is held.
func (c *conn) putNumber(name string, n int64) {
	c.putView(name, strconv.AppendInt(c.texts.digits[:0], n, 10))
}

// texts are values that a connection has sent: those that come again need no new memory.
type texts struct {
	kept   [16]string
	lower  [64]byte // a name
	digits [20]byte
}

// longestText is how long a value may be that is kept.
const longestText = 128

// of is b as text.
func (t *texts) of(b []byte) string {
	if len(b) > longestText {
		return string(b)
	}
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	at := &t.kept[(h^h>>16)%uint32(len(t.kept))]
	if *at != string(b) {
		*at = string(b)
	}
	return *at
}

// known is of, for names: the usual ones are there anyhow.
func (t *texts) known(name []byte) string {
	if s, ok := usual[string(name)]; ok {
		return s
	}
	return t.of(name)
}

// statusText is a status as a field has it.
func statusText(status int) string {
	if status == 200 { // nearly all
		return "200"
	}
	return strconv.Itoa(status)
}

// once reports whether the value is a secret, or of one message only: neither belongs into a table that is shared.
func once(name string) bool {
	switch name {
	case "authorization", "cookie", "set-cookie", "x-api-key", "gatehouse-request-id", "x-request-id", "traceparent", "content-length",
		"ratelimit", ":path", "forwarded", "etag", "grpc-timeout":
		return true
	}
	return false
}

// ours reports whether only this package writes the field, or it belongs to a connection of another protocol.
func ours(name []byte) bool {
	switch string(name) {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te", "host", "content-length", "expect", "http2-settings":
		return true
	}
	return false
}

// known is the name without a new string for it, where it is a usual one.
func known(name []byte) string {
	if s, ok := usual[string(name)]; ok {
		return s
	}
	return string(name)
}

var usual = func() map[string]string {
	m := map[string]string{}
	for _, n := range []string{"accept", "accept-encoding", "accept-language", "authorization", "cache-control", "content-encoding", "content-type",
		"cookie", "date", "etag", "forwarded", "gatehouse-application", "gatehouse-credential", "gatehouse-environment", "gatehouse-grant",
		"gatehouse-organization", "gatehouse-request-id", "gatehouse-scopes", "grpc-message", "grpc-status", "grpc-timeout", "last-modified",
		"location", "origin", "ratelimit", "ratelimit-policy", "server", "set-cookie", "traceparent", "tracestate", "user-agent", "vary", "via",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"} {
		m[n] = n
	}
	return m
}()
