package http1

import (
	"bytes"

	"gatehouse/wire"
)

// A memo is the last block of field lines of a peer, which mostly sends the same again: its next message is compared with it before
// it is read, and not read when it has the very same bytes. What a block means depends on nothing but its bytes and on whether
// underscores are allowed, so it does not matter who sent it.
type memo struct {
	block       []byte // to the empty line's end
	spots       []spot
	host        spot // without a name
	said        said
	underscores bool
	misses      uint8 // in a row, modulo 256
}

// A spot is where a field is in a block.
type spot struct{ name, nameEnd, value, valueEnd uint16 }

// Bounds of what is kept of one peer.
const (
	memoBlock  = 1 << 10
	memoFields = 24
	memoMisses = 16 // in a row: then only every sixteenth block is kept
)

// recall does what reading the fields at h.pos would, and reports whether it could.
func (o *memo) recall(h *head, buf []byte, f *wire.Fields) bool {
	if o == nil || len(o.block) == 0 || o.underscores != h.underscores || !bytes.HasPrefix(buf[h.pos:], o.block) {
		return false
	}
	o.misses = 0
	at := buf[h.pos : h.pos+len(o.block)]
	for _, s := range o.spots {
		*f = append(*f, wire.Field{Name: at[s.name:s.nameEnd], Value: at[s.value:s.valueEnd]})
	}
	if s := o.host; s.valueEnd > 0 {
		h.host = at[s.value:s.valueEnd]
	}
	h.said = o.said
	h.pos += len(o.block)
	h.seen = h.pos
	return true
}

// learn keeps the block that begins at start and was just read. One that names fields as of the connection only, or asks for
// another protocol, is not kept.
func (o *memo) learn(h *head, start int, buf []byte, f wire.Fields) {
	if o == nil {
		return
	}
	if o.misses++; o.misses > memoMisses && o.misses%memoMisses != 0 {
		return
	}
	block := buf[start:h.pos]
	o.block, o.spots, o.host = o.block[:0], o.spots[:0], spot{}
	if len(block) > memoBlock || len(f) > memoFields || h.optionsLen > 0 || h.upgrade != nil {
		return
	}
	for i := range f {
		s, ok := placed(block, f[i].Name, f[i].Value)
		if !ok {
			return
		}
		o.spots = append(o.spots, s)
	}
	if h.host != nil {
		s, ok := placed(block, h.host, h.host)
		if !ok {
			return
		}
		o.host = s
	}
	o.said, o.underscores = h.said, h.underscores
	o.block = append(o.block, block...)
}

// placed returns where a field's parts are in block; ok is false when they are not parts of it.
func placed(block, name, value []byte) (s spot, ok bool) {
	n, v := cap(block)-cap(name), cap(block)-cap(value)
	if len(name) == 0 || n < 0 || n+len(name) > len(block) || &block[n] != &name[0] ||
		v < 0 || v+len(value) > len(block) || len(value) > 0 && &block[v] != &value[0] {
		return spot{}, false
	}
	return spot{uint16(n), uint16(n + len(name)), uint16(v), uint16(v + len(value))}, true
}
