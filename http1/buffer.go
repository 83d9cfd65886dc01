package http1

import "sync"

// Sizes of buffers. What waits for a request holds the small one, so that thousands of slow senders hold little.
//
// Each is a size class of the allocator, and the first two are no powers of two: a processor keeps few lines whose addresses
// differ by a multiple of some KB, and of buffers that lie 16 KB apart the few dozen that are in use push each other out of
// its caches, though there is room.
const (
	headSize = 4864     // a usual head and a small body
	pageSize = 18 << 10 // an answer of usual size, in one write
	bulkSize = 64 << 10 // a large head, and what large bodies are carried in
)

// Buffers lends memory to connections. The zero value is ready; a Server and its Upstreams may share one.
type Buffers struct {
	Poison bool // overwrite what comes back, so that whoever kept a View notices; for tests

	head, page, bulk, exchanges sync.Pool
}

// get returns a buffer of at least size bytes.
func (b *Buffers) get(size int) []byte {
	switch {
	case size <= headSize:
		if p, ok := b.head.Get().(*[headSize]byte); ok {
			return p[:]
		}
		return new([headSize]byte)[:]
	case size <= pageSize:
		if p, ok := b.page.Get().(*[pageSize]byte); ok {
			return p[:]
		}
		return new([pageSize]byte)[:]
	case size <= bulkSize:
		if p, ok := b.bulk.Get().(*[bulkSize]byte); ok {
			return p[:]
		}
		return new([bulkSize]byte)[:]
	}
	return make([]byte, size)
}

// put takes a buffer back. Of another size than it lends, it is left to the collector.
func (b *Buffers) put(s []byte) {
	s = s[:cap(s)]
	if b.Poison {
		for i := range s {
			s[i] = 0xdb
		}
	}
	switch len(s) {
	case headSize:
		b.head.Put((*[headSize]byte)(s))
	case pageSize:
		b.page.Put((*[pageSize]byte)(s))
	case bulkSize:
		b.bulk.Put((*[bulkSize]byte)(s))
	}
}
