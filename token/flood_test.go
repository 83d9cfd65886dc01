package token

import (
	"encoding/binary"
	"errors"
	"testing"
)

// A client that floods proofs fills a quarter of what can be remembered, and others go on.
func TestOneClientDoesNotFillTheMemory(t *testing.T) {
	p := NewProver()
	var n uint64
	take := func(client byte) error {
		var mark [32]byte
		n++
		binary.BigEndian.PutUint64(mark[:], n)
		return p.once(mark, [32]byte{client}, 7)
	}
	for i := range proofsOne {
		if err := take(1); err != nil {
			t.Fatalf("proof %d: %v", i, err)
		}
	}
	if err := take(1); !errors.Is(err, ErrMany) {
		t.Errorf("one more: %v", err)
	}
	if err := take(2); err != nil {
		t.Errorf("another client: %v", err)
	}
	var again [32]byte
	binary.BigEndian.PutUint64(again[:], 1)
	if err := p.once(again, [32]byte{2}, 8); !errors.Is(err, ErrReplay) {
		t.Errorf("a proof of the slot before: %v", err)
	}
	n += 10
	var fresh [32]byte
	binary.BigEndian.PutUint64(fresh[:], n)
	if err := p.once(fresh, [32]byte{1}, 8); err != nil {
		t.Errorf("in the next slot: %v", err)
	}
}
