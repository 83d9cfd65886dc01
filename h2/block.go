package h2

import (
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/wire"
)

// A block is one head or trailer as it arrives, in one frame or several.
type block struct {
	began     time.Time // zero: none is open
	id        uint32
	last      bool // the peer's message ends with it
	self      bool // the stream is said to depend on itself
	fragments int
	size      int // bytes as they were sent

	lent     *fields // where memory and fields come from; nil once they were taken
	memory   []byte  // of the fields
	fields   wire.Fields
	listed   int  // bytes as HPACK counts them
	tooLarge bool // more than is kept
}

// headers takes the first frame of a block.
func (c *conn) headers(f *http2.HeadersFrame) error {
	if !c.greeted {
		return fatal(http2.ErrCodeProtocol)
	}
	c.open(f.StreamID, f.StreamEnded(), f.HasPriority() && f.Priority.StreamDep == f.StreamID)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

func (c *conn) open(id uint32, last, self bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lent := lentFields.Get().(*fields)
	c.block = block{began: time.Now(), id: id, last: last, lent: lent, memory: lent.memory, fields: lent.fields, self: self}
}

// usual takes the frame that comes next when it is a whole block without padding and priority, as nearly every head is: the Framer would make
// a piece of memory for it. What is wrong or unusual is left to the Framer; so is what comes while a block is open.
func (c *conn) usual() (taken bool, err error) {
	const begin = 9 // bytes before a frame's payload
	if !c.greeted || !c.block.began.IsZero() {
		return false, nil
	}
	b, err := c.in.Peek(begin)
	if err != nil {
		return false, nil // the Framer finds the same
	}
	n, id := int(b[0])<<16|int(b[1])<<8|int(b[2]), binary.BigEndian.Uint32(b[5:])&(1<<31-1)
	kind, flags := http2.FrameType(b[3]), http2.Flags(b[4])
	if kind != http2.FrameHeaders || flags&^http2.FlagHeadersEndStream != http2.FlagHeadersEndHeaders || id == 0 || begin+n > c.in.Size() || n > frameSize {
		return false, nil
	}
	if b, err = c.in.Peek(begin + n); err != nil {
		return false, nil
	}
	c.open(id, flags&http2.FlagHeadersEndStream != 0, false)
	err = c.fragment(b[begin:], true) // it keeps nothing of that
	_, _ = c.in.Discard(begin + n)
	return true, err
}

// continuation takes a further one.
func (c *conn) continuation(f *http2.ContinuationFrame) error {
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// fragment takes a part of a block. All of it goes through the decompression, whose state both sides share.
func (c *conn) fragment(p []byte, end bool) error {
	b := &c.block
	b.fragments++
	b.size += len(p)
	if b.fragments > maxFragments || b.size > maxBlock {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	if _, err := c.dec.Write(p); err != nil {
		return fatal(http2.ErrCodeCompression)
	}
	if !end {
		return nil
	}
	if err := c.dec.Close(); err != nil {
		return fatal(http2.ErrCodeCompression)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole, c.block = *b, block{}
	done := &c.whole
	if c.err != nil {
		return c.err
	}
	defer done.give(c)
	if done.self {
		return c.refuse(done, http2.ErrCodeProtocol)
	}
	if s := c.streams[done.id]; s != nil {
		if s.whole {
			return onStream(done.id, http2.ErrCodeStreamClosed)
		}
		return c.peer.head(c, s, done)
	}
	return c.peer.begin(c, done)
}

// A fields is memory for the fields of a block.
type fields struct {
	memory []byte
	fields wire.Fields
}

var lentFields = sync.Pool{New: func() any { return &fields{make([]byte, 0, 1<<10), make(wire.Fields, 0, 24)} }}

// take is for who keeps the fields: giveFields must follow when they are over.
func (b *block) take() *fields {
	f := b.lent
	b.lent = nil
	if f != nil && cap(b.memory) <= mostKept && cap(b.fields) <= maxFields {
		f.memory, f.fields = b.memory, b.fields
	}
	return f
}

// mostKept is how large a memory may have become that is used again.
const mostKept = 8 << 10

// give gives back what nobody has taken.
func (b *block) give(c *conn) { c.giveFields(b.take()) }

// giveFields takes the memory of fields back.
func (c *conn) giveFields(f *fields) {
	if f == nil {
		return
	}
	if c.poison {
		for i := range f.memory {
			f.memory[i] = 0xdb
		}
	}
	clear(f.fields[:cap(f.fields)])
	f.memory, f.fields = f.memory[:0], f.fields[:0]
	lentFields.Put(f)
}

// refuse ends the stream of a block. One that was not open is now used up. c.mu is held.
func (c *conn) refuse(b *block, code http2.ErrCode) error {
	if b.id%2 == 1 && b.id > c.highest {
		c.highest = b.id
	}
	return onStream(b.id, code)
}

// field is told of each field of a block by the decompression.
func (c *conn) field(f hpack.HeaderField) {
	b := &c.block
	b.listed += len(f.Name) + len(f.Value) + 32
	if b.listed > maxHead || len(b.fields) >= maxFields+5 {
		b.tooLarge = true
		return
	}
	start := len(b.memory)
	b.memory = append(append(b.memory, f.Name...), f.Value...)
	n, end := start+len(f.Name), len(b.memory)
	// A growing memory moves, and what was taken from it stays valid where it is.
	b.fields = append(b.fields, wire.Field{Name: b.memory[start:n:n], Value: b.memory[n:end:end]})
}
