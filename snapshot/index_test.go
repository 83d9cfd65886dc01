package snapshot

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"gatehouse/policy"
	"gatehouse/secret"
)

// What a record takes is what a million of them take: see BenchmarkLoad. A chunk that grows by a word is rounded up by 6 %.
func TestRecordsAreSmall(t *testing.T) {
	if got := unsafe.Sizeof(credential{}); got != 52 {
		t.Errorf("a credential takes %d bytes", got)
	}
	if got := unsafe.Sizeof(pointer{}); got != 5 {
		t.Errorf("the place of an application takes %d bytes", got)
	}
	if got := unsafe.Sizeof(chunk{}); got > 6144 {
		t.Errorf("a chunk takes %d bytes", got)
	}
	if a := max(unsafe.Alignof(credential{}), unsafe.Alignof(pointer{})); a > 4 {
		t.Errorf("a record wants %d bytes of alignment: shards have 4", a)
	}
}

func TestWhen(t *testing.T) {
	for _, at := range []int64{0, 1, -1, 1 << 31, 1 << 32, -1 << 40, 1<<63 - 1, -1 << 63} {
		if got := whenOf(at).micros(); got != at {
			t.Errorf("%d comes back as %d", at, got)
		}
	}
	for _, slot := range []uint32{0, 1, 255, 256, 1<<32 - 1} {
		if p := pointerTo(0xab<<56|7, slot); p.slot() != slot || p.tag != 0xab {
			t.Errorf("%d comes back as %d, %x", slot, p.slot(), p.tag)
		}
	}
}

// numbered is a record of an odd size, whose hash is its own.
type numbered struct {
	hash [8]byte
	says [3]byte
}

func numberedOf(h uint64, says byte) (n numbered) {
	for i := range n.hash {
		n.hash[i] = byte(h >> (8 * i))
	}
	n.says = [3]byte{says, says, says}
	return n
}

func (n *numbered) number() uint64 { return hashOfKey(n.hash[:]) }

func putNumbered(x *index[numbered], n numbered) {
	x.put(n.number(), n, func(o *numbered) bool { return o.hash == n.hash }, (*numbered).number)
}

func found(x *index[numbered], h uint64) (byte, bool) {
	near := x.near(h)
	i := slices.IndexFunc(near, func(n numbered) bool { return n.number() == h })
	if i < 0 {
		return 0, false
	}
	return near[i].says[0], true
}

// An index says what a map says, whether it was built at once or grew, and however alike the hashes are.
func FuzzIndex(f *testing.F) {
	f.Add(uint64(1), uint16(3000), uint16(0), ^uint64(0))
	f.Add(uint64(2), uint16(300), uint16(2000), ^uint64(0))
	f.Add(uint64(3), uint16(400), uint16(400), uint64(0xf))           // few hashes, all of them in the lowest bits
	f.Add(uint64(4), uint16(500), uint16(500), uint64(0xfff0)<<40)    // no difference in the bits that the directory goes by
	f.Add(uint64(5), uint16(900), uint16(100), uint64(0x1ff00000000)) // a difference that it meets late
	f.Fuzz(func(t *testing.T, seed uint64, built, added uint16, mask uint64) {
		built, added = built%4000, added%4000
		r := rand.New(rand.NewPCG(seed, 1))
		var x index[numbered]
		want := map[uint64]byte{}
		fresh := func() numbered { return numberedOf(r.Uint64()&mask, byte(r.Uint32())) }
		var all []numbered
		for range built {
			n := fresh()
			all, want[n.number()] = append(all, n), n.says[0]
		}
		if built > 0 {
			x.build(all, (*numbered).number, func(old, fresh *numbered) int {
				if old.hash == fresh.hash {
					return 1
				}
				return 0
			})
		}
		for range added {
			n := fresh()
			putNumbered(&x, n)
			want[n.number()] = n.says[0]
		}
		if x.count != len(want) {
			t.Fatalf("it counts %d records, not %d", x.count, len(want))
		}
		for h, says := range want {
			if got, ok := found(&x, h); !ok || got != says {
				t.Fatalf("%x says %d, %v; want %d", h, got, ok, says)
			}
		}
		if h := r.Uint64() | 1<<63; mask>>63 == 0 {
			if _, ok := found(&x, h); ok {
				t.Fatalf("%x is found and was not put there", h)
			}
		}
		seen := map[uint64]bool{}
		x.each(func(n *numbered) bool {
			if seen[n.number()] || want[n.number()] != n.says[0] || n.says[2] != n.says[0] {
				t.Fatalf("%x is passed twice, or is another", n.number())
			}
			seen[n.number()] = true
			return true
		})
		if len(seen) != len(want) {
			t.Fatalf("%d records are passed, not %d", len(seen), len(want))
		}
	})
}

// A reader sees each record whole and never misses one, while shards split and the directory doubles.
func TestIndexReadWhileItGrows(t *testing.T) {
	var x index[numbered]
	const n = 20_000
	hash := func(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }
	var there atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := uint64(0); there.Load() < n; i++ {
				k := there.Load()
				if k == 0 {
					continue
				}
				h := hash(i % k)
				if says, ok := found(&x, h); !ok || says != byte(h) && says != ^byte(h) {
					t.Errorf("record %d of %d: %d, %v", i%k, k, says, ok)
					return
				}
			}
		})
	}
	for i := range uint64(n) {
		putNumbered(&x, numberedOf(hash(i), byte(hash(i))))
		there.Store(i + 1)
		putNumbered(&x, numberedOf(hash(i/2), ^byte(hash(i/2)))) // a change of an earlier one
	}
	wg.Wait()
}

// A mark that begins as another one's does, is not that one.
func TestMarksOfOneBeginning(t *testing.T) {
	a := NewAccess("live")
	at := func(last byte) (h secret.Hash) {
		h[0], h[len(mark{})-1] = 1, last
		return h
	}
	for last := range byte(200) { // more than a shard holds, and they cannot be split
		h := at(last)
		a.index(credential{hash: markOf(&h), slot: policy.Slot(a.slot([16]byte{last}) + 1), expires: whenOf(int64(last))})
	}
	for last := range byte(200) {
		if c, ok := a.Marked(at(last)); !ok || c.Expires != int64(last) || c.Application != [16]byte{last} {
			t.Fatalf("%d: %+v, %v", last, c, ok)
		}
	}
	if _, ok := a.Marked(at(200)); ok {
		t.Error("what was not put there is found")
	}
	h := at(7)
	if n := testing.AllocsPerRun(100, func() {
		c, _ := a.Marked(h)
		_ = a.Grants(c.Slot)
	}); n != 0 {
		t.Errorf("a look-up makes %v allocations", n)
	}
}
