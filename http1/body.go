package http1

import (
	"bytes"
	"io"

	"gatehouse/wire"
)

// How a body ends.
const (
	byLength = iota // after left bytes
	byChunks        // after a chunk of size zero and the trailer
	byClose         // with the connection
)

// body reads the content of a message from its source. It is the Body of a Message, and valid as long as that is.
type body struct {
	src     *source
	ends    uint8
	over    bool  // all of it has been read, or err is set
	within  bool  // a chunk has begun, and its end is still to come
	left    int64 // of the length, or of the chunk
	total   int64 // content that was read
	limit   int64 // the most content; 0: any
	err     error // what reading ended with
	trailer *wire.Fields
	memory  []byte       // where trailer fields are kept
	wanted  func() error // called before the first wait: the peer waits to be told to send
	call    *Call        // of an answer
}

func (b *body) reset(src *source, ends uint8, length int64, trailer *wire.Fields) {
	*b = body{src: src, ends: ends, left: length, trailer: trailer, memory: b.memory[:0]}
	b.over = ends == byLength && length == 0
}

// none says that there is no body.
func (b *body) none(src *source) { b.reset(src, byLength, 0, nil) }

// whole reports whether the body was read to its end, and so where the next message begins is known.
func (b *body) whole() bool { return b.over && b.err == nil && b.ends != byClose }

// Ready reports whether the next Read will not wait for the peer.
func (b *body) Ready() bool {
	raw := b.src.buf[b.src.r:b.src.w]
	switch {
	case b.over:
		return true
	case b.ends != byChunks || b.left > 0:
		return len(raw) > 0
	case b.within:
		if len(raw) < 2 {
			return false
		}
		raw = raw[2:]
	}
	i := bytes.IndexByte(raw, '\n')
	if i < 1 {
		return i == 0 // a fault is there at once
	}
	size, ok := chunkSize(raw[:i-1])
	if ok && size == 0 {
		there, r := complete(raw)
		return there || r != Fine
	}
	return !ok || len(raw) > i+1
}

// Close ends the call whose answer it belongs to, as Done does. To a request's body it does nothing.
func (b *body) Close() error {
	if b.call != nil {
		b.call.Done()
	}
	return nil
}

// Read returns content as it comes, and io.EOF after the last.
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.ends == byChunks && b.left == 0 {
		if err := b.nextChunk(); err != nil {
			return 0, b.fail(err)
		}
		if b.over {
			return 0, io.EOF
		}
	}
	if b.ends != byClose {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.take(p)
	if err == io.EOF && b.ends == byClose {
		b.over = true
		return 0, io.EOF
	}
	if err != nil {
		return 0, b.fail(peerGone(err, SlowBody))
	}
	b.total += int64(n)
	if b.limit > 0 && b.total > b.limit {
		return 0, b.fail(BodyTooLarge)
	}
	if b.ends != byClose {
		b.left -= int64(n)
		b.over = b.ends == byLength && b.left == 0
	}
	return n, nil
}

func (b *body) fail(err error) error {
	if b.call != nil {
		err = b.call.explain(err)
	}
	b.over, b.err = true, err
	return err
}

// wait reads more into the source.
func (b *body) wait() error {
	if w := b.wanted; w != nil {
		b.wanted = nil
		if err := w(); err != nil {
			return err
		}
	}
	return b.src.fill()
}

// take moves unread bytes to p, or reads into p when there are none.
func (b *body) take(p []byte) (int, error) {
	s := b.src
	if s.unread() == 0 {
		if len(p) >= headSize && b.wanted == nil { // no need to copy
			return s.read(p)
		}
		if err := b.wait(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buf[s.r:s.w])
	s.r += n
	return n, nil
}

// nextChunk reads the line before a chunk's content, and after the last one the trailer.
func (b *body) nextChunk() error {
	if b.within { // RFC 9112 §7.1: content is followed by CR LF
		line, err := b.line(2)
		if err != nil {
			return err
		}
		if len(line) != 0 {
			return BadChunk
		}
		b.within = false
	}
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, ok := chunkSize(line)
	if !ok {
		return BadChunk
	}
	if size > 0 {
		if b.limit > 0 && b.total+size > b.limit {
			return BodyTooLarge
		}
		b.left, b.within = size, true
		return nil
	}
	return b.readTrailer()
}

// line reads a line of at most limit bytes with its end, which it cuts off. The line is valid until more is read.
func (b *body) line(limit int) ([]byte, error) {
	s := b.src
	for {
		part := s.buf[s.r:s.w]
		if len(part) > limit {
			part = part[:limit]
		}
		i := bytes.IndexByte(part, '\n')
		switch {
		case i == 0, i > 0 && part[i-1] != '\r':
			return nil, BareLF
		case i > 0:
			s.r += i + 1
			return part[:i-1], nil
		case len(part) == limit:
			return nil, BadChunk
		}
		if err := b.wait(); err != nil {
			return nil, peerGone(err, SlowBody)
		}
	}
}

// chunkSize reads a chunk's size and passes over extensions (RFC 9112 §7.1.1), which must be well-formed.
func chunkSize(line []byte) (int64, bool) {
	size, i := int64(0), 0
	for ; i < len(line) && hex[line[i]] >= 0; i++ {
		if i == maxChunkDig {
			return 0, false
		}
		size = size<<4 | int64(hex[line[i]])
	}
	if i == 0 {
		return 0, false
	}
	for rest := line[i:]; len(rest) > 0; {
		if rest[0] != ';' {
			return 0, false
		}
		var ok bool
		if rest, ok = extension(rest[1:]); !ok {
			return 0, false
		}
	}
	return size, true
}

// extension passes over name, name=token or name="quoted".
func extension(b []byte) (rest []byte, ok bool) {
	word := func() bool {
		i := 0
		for i < len(b) && tokens[b[i]] != 0 {
			i++
		}
		b = b[i:]
		return i > 0
	}
	if !word() {
		return nil, false
	}
	if len(b) == 0 || b[0] != '=' {
		return b, true
	}
	b = b[1:]
	if len(b) == 0 || b[0] != '"' {
		return b, word()
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[i+1:], true
		case c == '\\':
			i++
			if i == len(b) || b[i] < ' ' && b[i] != '\t' || b[i] == 0x7f {
				return nil, false
			}
		case c < ' ' && c != '\t' || c == 0x7f:
			return nil, false
		}
	}
	return nil, false
}

// complete reports whether all of a chunked body, its trailer too, is in raw. What is malformed is found by the way.
func complete(raw []byte) (bool, Reason) {
	for {
		i := bytes.IndexByte(raw, '\n')
		switch {
		case i < 0:
			return false, Fine
		case i == 0 || raw[i-1] != '\r':
			return false, BareLF
		}
		size, ok := chunkSize(raw[:i-1])
		if !ok || i > maxChunkLine {
			return false, BadChunk
		}
		raw = raw[i+1:]
		if size == 0 {
			break
		}
		if size > int64(len(raw))-2 {
			return false, Fine
		}
		if raw[size] != '\r' || raw[size+1] != '\n' {
			return false, BadChunk
		}
		raw = raw[size+2:]
	}
	for { // the lines of the trailer
		i := bytes.IndexByte(raw, '\n')
		switch {
		case i < 0:
			return false, Fine
		case i == 0 || raw[i-1] != '\r':
			return false, BareLF
		case i == 1:
			return true, Fine
		}
		raw = raw[i+1:]
	}
}
