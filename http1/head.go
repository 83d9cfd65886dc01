package http1

import (
	"bytes"

	"gatehouse/wire"
)

// head reads the head of a message as its bytes come in, each byte once. What frames the message or concerns the
// connection is kept here; every other field goes to the message.
type head struct {
	pos   int  // where the line that is being read begins
	seen  int  // how far a line end has been looked for
	begun bool // the first line has been read

	underscores bool // are allowed in names
	answer      bool // it is a response's head

	said
	old        bool // HTTP/1.0
	upgrading  bool // Connection: upgrade
	repeated   bool // Upgrade was
	upgrade    wire.View
	host       wire.View
	target     wire.View // of a request, until its head is complete: only then it is made canonical in place
	options    [maxOptions]wire.View
	optionsLen int

	memo *memo // of the peer; nil: none is kept
}

// said is what the fields of a message say of it.
type said struct {
	length  int64 // of Content-Length; -1: none
	chunked bool
	close   bool // Connection: close
	keep    bool // Connection: keep-alive
	te      bool // the peer takes trailers
	expect  bool // Expect: 100-continue
}

func (h *head) reset(answer, underscores bool) {
	*h = head{said: said{length: -1}, answer: answer, underscores: underscores, memo: h.memo}
}

// line returns the next line of buf without its end, or ok == false when it is not all there.
func (h *head) line(buf []byte) (line []byte, ok bool, r Reason) {
	q := bytes.IndexByte(buf[h.seen:], '\n')
	if q < 0 {
		h.seen = len(buf)
		return nil, false, Fine
	}
	end := h.seen + q
	if end == h.pos || buf[end-1] != '\r' {
		return nil, false, BareLF
	}
	line = buf[h.pos : end-1]
	h.pos, h.seen = end+1, end+1
	return line, true, Fine
}

// fields reads field lines until the empty one; done tells that it was there, and h.pos where the head ends.
func (h *head) fields(buf []byte, f *wire.Fields) (done bool, r Reason) {
	start, first := h.pos, !h.begun
	h.begun = true
	if first && h.memo.recall(h, buf, f) {
		return true, Fine
	}
	if done, r = h.read(buf, f); done && first {
		h.memo.learn(h, start, buf, *f)
	}
	return done, r
}

// read is fields for a block that was not seen before.
func (h *head) read(buf []byte, f *wire.Fields) (done bool, r Reason) {
	for {
		line, ok, r := h.line(buf)
		switch {
		case r != Fine:
			return false, r
		case !ok:
			if h.seen >= maxHead {
				return false, HeadTooLarge
			}
			return false, Fine
		case len(line) == 0:
			return true, Fine
		case len(*f) >= maxFields:
			return false, TooManyFields
		}
		if r := h.field(line, f); r != Fine {
			return false, r
		}
	}
}

// split takes a field line apart, and refuses what is not one.
func split(line []byte) (name, value []byte, class uint8, r Reason) {
	i := 0
	for ; i < len(line); i++ {
		k := tokens[line[i]]
		if k == 0 {
			break
		}
		class |= k
	}
	if i == len(line) || i == 0 || line[i] != ':' {
		switch {
		case i == 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
			return nil, nil, 0, ObsFold
		case i > 0 && i < len(line) && (line[i] == ' ' || line[i] == '\t'):
			return nil, nil, 0, SpaceBeforeColon
		}
		return nil, nil, 0, BadName
	}
	value = trim(line[i+1:])
	if !isValue(value) {
		return nil, nil, 0, BadValue
	}
	return line[:i], value, class, Fine
}

// field reads one field line.
func (h *head) field(line []byte, f *wire.Fields) Reason {
	name, value, class, r := split(line)
	if r != Fine {
		return r
	}
	if class != plain {
		if class&underscore != 0 && !h.underscores && !h.answer {
			return Underscore
		}
		if lookalike(name) {
			return LookalikeName
		}
		*f = append(*f, wire.Field{Name: name, Value: value})
		return Fine
	}
	switch len(name) { // most fields pass with this one comparison
	case 2:
		if fold(name, "te") {
			h.te = h.te || has(value, "trailers")
			return Fine
		}
	case 4:
		if fold(name, "host") && !h.answer {
			return h.setHost(value)
		}
	case 6:
		if fold(name, "expect") && !h.answer {
			if h.expect || !fold(value, "100-continue") {
				return BadExpectation
			}
			h.expect = true
			return Fine
		}
	case 7:
		if fold(name, "upgrade") {
			h.repeated = h.upgrade != nil
			h.upgrade = value
			return Fine
		}
	case 10:
		if fold(name, "connection") {
			return h.setConnection(value)
		}
		if fold(name, "keep-alive") {
			return Fine
		}
	case 14:
		if fold(name, "content-length") {
			return h.setLength(value)
		}
	case 16:
		if fold(name, "proxy-connection") {
			return Fine
		}
	case 17:
		if fold(name, "transfer-encoding") {
			return h.setEncoding(value)
		}
	case 18, 19:
		if fold(name, "proxy-authenticate") || fold(name, "proxy-authorization") {
			return Fine
		}
	}
	if c := name[0] | 0x20; (c == 'c' || len(name) > 16 || c == 't' || c == 'h' || c < 'a') && doubtful(name) {
		return LookalikeName
	}
	*f = append(*f, wire.Field{Name: name, Value: value})
	return Fine
}

// doubtful is lookalike for names of letters, digits and hyphens, asked only where the length makes it possible.
func doubtful(name []byte) bool {
	switch n := len(name); {
	case n == 4 && name[0]|0x20 == 'h', n == 10 && name[0]|0x20 == 'c':
		return false // Host and Connection themselves were taken before, others of that length are other words
	case n >= 13, n >= 5 && n <= 9, n == 11, name[0] < 'A':
		return lookalike(name)
	}
	return false
}

func (h *head) setHost(value []byte) Reason {
	if h.host != nil {
		return RepeatedHost
	}
	if !isAuthority(value) {
		return BadHost
	}
	lower(value)
	h.host = value
	return Fine
}

func (h *head) setLength(value []byte) Reason {
	if h.length >= 0 {
		return RepeatedLength
	}
	n, ok := number(value)
	if !ok {
		return BadLength
	}
	h.length = n
	return Fine
}

func (h *head) setEncoding(value []byte) Reason {
	if h.chunked || !fold(value, "chunked") {
		return BadEncoding
	}
	h.chunked = true
	return Fine
}

func (h *head) setConnection(value []byte) Reason {
	switch { // what nearly everybody sends
	case fold(value, "keep-alive"):
		h.keep = true
		return Fine
	case fold(value, "close"):
		h.close = true
		return Fine
	}
	if h.optionsLen == maxOptions {
		return BadConnection
	}
	for list := value; list != nil; {
		var o []byte
		o, list = cut(list)
		switch {
		case len(o) == 0: // RFC 9110 §5.6.1 lets lists have empty elements
		case !isToken(o):
			return BadConnection
		case fold(o, "keep-alive"):
			h.keep = true
		case fold(o, "close"):
			h.close = true
		case fold(o, "upgrade"):
			h.upgrading = true
		case fold(o, "host"), fold(o, "content-length"), fold(o, "transfer-encoding"), fold(o, "authorization"), fold(o, "expect"):
			return BadConnection
		}
	}
	h.options[h.optionsLen] = value
	h.optionsLen++
	return Fine
}

// finish takes out the fields that Connection names and decides how the message is framed.
func (h *head) finish(f wire.Fields) Reason {
	for _, list := range h.options[:h.optionsLen] {
		for list != nil {
			var o []byte
			o, list = cut(list)
			if len(o) == 0 {
				continue
			}
			for i := range f {
				if bytes.EqualFold(f[i].Name, o) {
					f[i] = wire.Field{}
				}
			}
		}
	}
	switch {
	case h.chunked && h.length >= 0:
		return LengthAndEncoding
	case h.chunked && h.old:
		return EncodingInHTTP10
	}
	return Fine
}

// has reports whether a comma-separated list has the element, which is in lower case; a parameter after it is ignored.
func has(list []byte, element string) bool {
	for list != nil {
		var e []byte
		e, list = cut(list)
		if i := bytes.IndexByte(e, ';'); i >= 0 {
			e = trim(e[:i])
		}
		if fold(e, element) {
			return true
		}
	}
	return false
}

func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}
