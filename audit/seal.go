package audit

import (
	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
	"gatehouse/id"
)

// Sealed is where an entry stands in the log, with the hashes of the tree that it completes, its own first.
type Sealed struct {
	ID     id.ID
	Seq    int64
	Hashes [][32]byte
}

// Seal puts entries at the end of the log. It is pure: last is the newest checkpoint, the zero Checkpoint when there is
// none; read gives stored hashes by their index in tlog's numbering. A tree that is not the one of the last checkpoint any
// more is fault.Conflict, and nothing is put on top of it: a new signature would cover up what was done to it. It returns the
// size and root after the last entry.
func Seal(entries []Entry, last Checkpoint, read func(indexes []int64) ([][32]byte, error)) (sealed []Sealed, size int64, root [32]byte, err error) {
	fresh := map[int64]tlog.Hash{}
	r := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		var stored []int64
		for i, x := range indexes {
			h, ok := fresh[x]
			if !ok {
				stored = append(stored, x)
			}
			out[i] = h
		}
		hs, err := read(stored)
		if err != nil {
			return nil, err
		}
		if len(hs) != len(stored) {
			return nil, fault.New(fault.Internal, "%d hashes of the log were asked for, %d came", len(stored), len(hs))
		}
		n := 0
		for i, x := range indexes {
			if _, ok := fresh[x]; !ok {
				out[i] = hs[n]
				n++
			}
		}
		return out, nil
	})
	if last.Size > 0 {
		now, err := tlog.TreeHash(last.Size, r)
		if err != nil {
			return nil, 0, root, err
		}
		if now != last.Root {
			return nil, 0, root, fault.Of(fault.Conflict, "audit-tampered", "the audit log is not the one that its newest checkpoint signs: run gatehouse audit verify")
		}
	}
	size = last.Size
	for _, e := range entries {
		leaf, err := LeafHash(e)
		if err != nil {
			return nil, 0, root, err
		}
		hs, err := tlog.StoredHashesForRecordHash(size, leaf, r)
		if err != nil {
			return nil, 0, root, err
		}
		s := Sealed{ID: e.ID, Seq: size, Hashes: make([][32]byte, len(hs))}
		for i, h := range hs {
			s.Hashes[i] = h
			fresh[tlog.StoredHashIndex(0, size)+int64(i)] = h
		}
		sealed = append(sealed, s)
		size++
	}
	h, err := tlog.TreeHash(size, r)
	return sealed, size, h, err
}
