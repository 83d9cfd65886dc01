package snapshot

import (
	"bytes"
	"sync/atomic"
)

// shardMost is how many records a shard holds before it is split, unless the index says otherwise. A change copies one shard:
// about a microsecond.
const shardMost = 64

// index finds records by a 64-bit hash (extendible hashing). One writer changes it; readers take no lock: a directory of
// atomic pointers to small shards, each of which is immutable and exactly as large as what it holds. R has no pointers
// in it, so the garbage collector does not look inside. Records of one hash are told apart by the caller.
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

type shard[R any] struct {
	bits uint8
	tags []uint8 // the highest byte of each record's hash: looked through before the records
	recs []R
}

func (d *directory[R]) at(h uint64) *atomicShard[R] { return &d.shards[h&(1<<d.bits-1)] }

// shard returns the shard of the hash; nil when there is none yet.
func (x *index[R]) shard(h uint64) *shard[R] {
	d := x.dir.Load()
	if d == nil {
		return nil
	}
	return d.at(h).Load()
}

// next returns the place of the next record at or after from whose tag is that of the hash, or -1.
func (s *shard[R]) next(h uint64, from int) int {
	if s == nil {
		return -1
	}
	i := bytes.IndexByte(s.tags[from:], uint8(h>>56))
	if i < 0 {
		return -1
	}
	return from + i
}

// put replaces the record for which same holds, or adds r. hash returns the hash of any record in the index.
func (x *index[R]) put(h uint64, r R, same func(*R) bool, hash func(*R) uint64) {
	d := x.dir.Load()
	if d == nil {
		d = &directory[R]{shards: make([]atomicShard[R], 1)}
		d.shards[0].Store(&shard[R]{})
		x.dir.Store(d)
	}
	s := d.at(h).Load()
	for i := s.next(h, 0); i >= 0; i = s.next(h, i+1) {
		if same(&s.recs[i]) {
			fresh := &shard[R]{s.bits, s.tags, append([]R(nil), s.recs...)}
			fresh.recs[i] = r
			d.swap(h, fresh)
			return
		}
	}
	fresh := &shard[R]{s.bits, make([]uint8, len(s.tags)+1), make([]R, len(s.recs)+1)}
	copy(fresh.tags, s.tags)
	copy(fresh.recs, s.recs)
	fresh.tags[len(s.tags)], fresh.recs[len(s.recs)] = uint8(h>>56), r
	x.count++
	for len(fresh.recs) > x.longest() && 1<<fresh.bits < x.count { // records of one hash cannot be split: the directory stays in bounds
		if uint(fresh.bits) == d.bits {
			d = d.double()
			x.dir.Store(d)
		}
		fresh = d.split(h, fresh, hash)
	}
	d.swap(h, fresh)
}

// swap puts the shard into every entry of the directory that is its own.
func (d *directory[R]) swap(h uint64, s *shard[R]) {
	step := uint64(1) << s.bits
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
	bit := uint64(1) << s.bits
	var half [2]*shard[R]
	n := 0
	hashes := make([]uint64, len(s.recs))
	for i := range s.recs {
		hashes[i] = hash(&s.recs[i])
		if hashes[i]&bit != 0 {
			n++
		}
	}
	for i, size := range [2]int{len(s.recs) - n, n} {
		half[i] = &shard[R]{s.bits + 1, make([]uint8, 0, size), make([]R, 0, size)}
	}
	for i := range s.recs {
		to := half[0]
		if hashes[i]&bit != 0 {
			to = half[1]
		}
		to.tags, to.recs = append(to.tags, s.tags[i]), append(to.recs, s.recs[i])
	}
	mine, other := half[0], half[1]
	if h&bit != 0 {
		mine, other = other, mine
	}
	d.swap(h^bit, other)
	return mine
}

// each calls yield with every record until it returns false.
func (x *index[R]) each(yield func(*R) bool) {
	d := x.dir.Load()
	if d == nil {
		return
	}
	for i := range d.shards {
		s := d.shards[i].Load()
		if uint64(i)>>s.bits != 0 {
			continue // a further entry of a shard that was seen
		}
		for j := range s.recs {
			if !yield(&s.recs[j]) {
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
