package snapshot

import (
	"bytes"

	"gatehouse/wire"
)

// Some upstreams do not tell /Secret from /secret, others cut off what follows a semicolon. Where a parameter stands beside
// a literal, /things/secret;x would be routed as /things/{id} and served as /things/secret, which may be another operation or
// one that is not offered. So a path is also found as such an upstream would find it, and refused when that is another one.

// match finds the route below a host. found says that the host knows the path.
func (n *node) match(h *wire.Head) (m Match, found bool) {
	end := n.find(h.Path[1:])
	if end == nil {
		return m, false
	}
	if n.mixed && n.lenient(h.Path[1:]) != end {
		return Match{Ambiguous: true}, true
	}
	return end.pick(h), true
}

// both reports whether a segment could be a literal or a parameter.
func (n *node) both() bool {
	return (n.param != nil || len(n.patterns) > 0) && (len(n.few) > 0 || len(n.many) > 0)
}

// lenient is find as an upstream does it that is not as strict.
func (n *node) lenient(rest wire.View) *node {
	segment, tail, last := rest, wire.View(nil), true
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		segment, tail, last = rest[:i], rest[i+1:], false
	}
	then := func(c *node) *node {
		switch {
		case c == nil:
			return nil
		case !last:
			return c.lenient(tail)
		case c.end:
			return c
		}
		return nil
	}
	segment = bare(segment)
	if end := then(n.literal(segment)); end != nil {
		return end
	}
	if end := then(n.folding(segment)); end != nil {
		return end
	}
	if len(segment) == 0 {
		return nil
	}
	for i := range n.patterns {
		if fits(n.patterns[i].parts, segment) {
			if end := then(n.patterns[i].node); end != nil {
				return end
			}
		}
	}
	return then(n.param)
}

// bare is the segment without its parameters (RFC 3986 §3.3), if anything else is in it.
func bare(segment wire.View) wire.View {
	if i := bytes.IndexByte(segment, ';'); i > 0 {
		segment = segment[:i]
	}
	if i := bytes.Index(segment, semicolon); i > 0 {
		segment = segment[:i]
	}
	return segment
}

var semicolon = []byte("%3B") // as paths in their normal form have it

// folding is literal without regard to case.
func (n *node) folding(segment wire.View) *node {
	if n.many != nil {
		var buf [64]byte
		return n.folded[string(lower(buf[:0], segment))]
	}
	for i := range n.few {
		if segment.EqualFold(n.few[i].segment) {
			return n.few[i].node
		}
	}
	return nil
}

func lower(dst []byte, s wire.View) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
