package audit

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
)

// tree is the Merkle tree of RFC 6962 over the leaves so far, as the roots of its complete parts, the largest first.
type tree struct {
	size  int64
	parts []tlog.Hash
}

// add puts a leaf at the end and calls done with each complete part that ends with it, the leaf itself first: its level, its
// number on that level, and its hash.
func (t *tree) add(leaf tlog.Hash, done func(level int, n int64, h tlog.Hash)) {
	done(0, t.size, leaf)
	n := t.size
	for level := 1; n&1 == 1; level++ {
		leaf = tlog.NodeHash(t.parts[len(t.parts)-1], leaf)
		t.parts = t.parts[:len(t.parts)-1]
		n >>= 1
		done(level, n, leaf)
	}
	t.parts = append(t.parts, leaf)
	t.size++
}

// root is that of the whole tree.
func (t *tree) root() [32]byte {
	if len(t.parts) == 0 {
		return emptyRoot()
	}
	h := t.parts[len(t.parts)-1]
	for i := len(t.parts) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.parts[i], h)
	}
	return h
}

// stored reads the tree's stored hashes ahead, in the order in which they are needed.
type stored struct {
	log    Reader
	end    int64 // how many there should be
	from   int64
	window []*[32]byte
}

const readAhead = 1024

// hash is the stored one with that index, or nil when it is not there.
func (s *stored) hash(ctx context.Context, index int64) (*[32]byte, error) {
	if index >= s.end {
		return nil, nil
	}
	if index < s.from || index >= s.from+int64(len(s.window)) {
		if err := s.read(ctx, index); err != nil {
			return nil, err
		}
	}
	return s.window[index-s.from], nil
}

func (s *stored) read(ctx context.Context, from int64) error {
	indexes := make([]int64, min(readAhead, s.end-from))
	for i := range indexes {
		indexes[i] = from + int64(i)
	}
	s.from, s.window = from, make([]*[32]byte, len(indexes))
	hs, err := s.log.TreeHashes(ctx, indexes)
	if err == nil {
		for i := range hs {
			s.window[i] = &hs[i]
		}
		return nil
	}
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	for i, x := range indexes { // some are gone: which
		hs, err := s.log.TreeHashes(ctx, []int64{x})
		switch {
		case err == nil:
			s.window[i] = &hs[0]
		case !errors.Is(err, fault.NotFound):
			return err
		}
	}
	return nil
}

// span is the entries from first up to but not including end.
type span struct{ first, end int64 }

func (s span) narrower(t span) bool { return s.end-s.first < t.end-t.first }

// under is the entries under a part of the tree.
func under(level int, n int64) span { return span{n << level, (n + 1) << level} }
