package snapshot

import (
	"sync/atomic"
	"unsafe"
)

// shardMost is how many records a shard holds before it is split, unless the index says otherwise. A change copies one
// shard: well below a microsecond. Shards of this size are looked through from the first record on: the processor fetches their lines all
// at the same time, where a list of what they hold would have to be waited for before the record. And what the
// allocator rounds them up by is little.
const shardMost = 24

// index finds records by a 64-bit hash (extendible hashing). One writer changes it; readers take no lock: a directory of
// atomic pointers to small shards, each of which is immutable and exactly as large as what it holds. R has no pointers
// in it, so the garbage collector does not look inside, and needs no more than four bytes' alignment. Who looks something up goes
// through the records of the hash's shard.
type index[R any] struct {
	dir   atomic.Pointer[directory[R]]
	most  int // records of a shard; 0: shardMost
	count int // the writer's
}

func (x *index[R]) longest() int {
	if x.most > 0 {
		return x.most
	}
	return shardMost
}

// atomicShard is a shard's place in a directory.
type atomicShard[R any] = atomic.Pointer[shard[R]]

// directory has 1<<bits entries, chosen by the lowest bits of the hash. A shard that was not split as often stands in
// several of them.
type directory[R any] struct {
	bits   uint
	shards []atomicShard[R]
}

// shard is the head of a piece of memory in which its records follow. A slice beside it would be one more place to fetch from
// memory for each look-up.
type shard[R any] struct {
	_    [0]R
	head uint32 // bits in the lowest byte, above it the number of records
}

// newShard makes a shard of n records. They are zero until they are written to, before anybody else sees the shard.
func newShard[R any](bits uint, n int) *shard[R] {
	size := unsafe.Sizeof(shard[R]{}) + uintptr(n)*unsafe.Sizeof(*new(R))
	s := (*shard[R])(unsafe.Pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))) // no pointers in it
	s.head = uint32(n)<<8 | uint32(bits)
	return s
}

func shardOf[R any](bits uint, recs []R) *shard[R] {
	s := newShard[R](bits, len(recs))
	copy(s.records(), recs)
	return s
}

func (s *shard[R]) bits() uint { return uint(s.head & 0xff) }

// records are all records of the shard; those of nil are none.
func (s *shard[R]) records() []R {
	if s == nil || s.head>>8 == 0 {
		return nil
	}
	return unsafe.Slice((*R)(unsafe.Add(unsafe.Pointer(s), unsafe.Sizeof(*s))), int(s.head>>8))
}

func (d *directory[R]) at(h uint64) *atomicShard[R] { return &d.shards[h&(1<<d.bits-1)] }

// near returns the records among which the one of the hash is, if there is one. Nobody changes them.
func (x *index[R]) near(h uint64) []R {
	d := x.dir.Load()
	if d == nil {
		return nil
	}
	return d.at(h).Load().records()
}

// put replaces the record for which same holds, or adds r. hash returns the hash of any record in the index.
func (x *index[R]) put(h uint64, r R, same func(*R) bool, hash func(*R) uint64) {
	d := x.dir.Load()
	if d == nil {
		d = &directory[R]{shards: make([]atomicShard[R], 1)}
		d.shards[0].Store(newShard[R](0, 0))
		x.dir.Store(d)
	}
	s := d.at(h).Load()
	old := s.records()
	for i := range old {
		if same(&old[i]) {
			fresh := newShard[R](s.bits(), len(old))
			copy(fresh.records(), old)
			fresh.records()[i] = r
			d.swap(h, fresh)
			return
		}
	}
	fresh := newShard[R](s.bits(), len(old)+1)
	copy(fresh.records(), old)
	fresh.records()[len(old)] = r
	x.count++
	for len(fresh.records()) > x.longest() && 1<<fresh.bits() < x.count { // records of one hash cannot be split: the directory stays in bounds
		if fresh.bits() == d.bits {
			d = d.double()
			x.dir.Store(d)
		}
		fresh = d.split(h, fresh, hash)
	}
	d.swap(h, fresh)
}

// swap puts the shard into every entry of the directory that is its own.
func (d *directory[R]) swap(h uint64, s *shard[R]) {
	step := uint64(1) << s.bits()
	for i := h & (step - 1); i < uint64(len(d.shards)); i += step {
		d.shards[i].Store(s)
	}
}

func (d *directory[R]) double() *directory[R] {
	big := &directory[R]{bits: d.bits + 1, shards: make([]atomicShard[R], 2*len(d.shards))}
	for i := range d.shards {
		s := d.shards[i].Load()
		big.shards[i].Store(s)
		big.shards[i+len(d.shards)].Store(s)
	}
	return big
}

// split makes two of the shard, stores the one that is not for h, and returns the other.
func (d *directory[R]) split(h uint64, s *shard[R], hash func(*R) uint64) *shard[R] {
	bit := uint64(1) << s.bits()
	var half [2][]R
	for _, r := range s.records() {
		to := 0
		if hash(&r)&bit != 0 {
			to = 1
		}
		half[to] = append(half[to], r)
	}
	mine, other := half[0], half[1]
	if h&bit != 0 {
		mine, other = other, mine
	}
	d.swap(h^bit, shardOf(s.bits()+1, other))
	return shardOf(s.bits()+1, mine)
}

// each calls yield with every record until it returns false.
func (x *index[R]) each(yield func(*R) bool) {
	d := x.dir.Load()
	if d == nil {
		return
	}
	for i := range d.shards {
		s := d.shards[i].Load()
		if uint64(i)>>s.bits() != 0 {
			continue // a further entry of a shard that was seen
		}
		recs := s.records()
		for j := range recs {
			if !yield(&recs[j]) {
				return
			}
		}
	}
}

// table is a list that only grows: one writer, readers without a lock.
type table[T any] struct{ p atomic.Pointer[[]T] }

// get returns the i-th, which must have been added.
func (t *table[T]) get(i uint32) T { return (*t.p.Load())[i] }

func (t *table[T]) len() int {
	if p := t.p.Load(); p != nil {
		return len(*p)
	}
	return 0
}

// add appends v and returns its place. Readers of the list before see nothing of it: it stands behind their end.
func (t *table[T]) add(v T) uint32 {
	var old []T
	if p := t.p.Load(); p != nil {
		old = *p
	}
	fresh := append(old, v)
	t.p.Store(&fresh)
	return uint32(len(old))
}
