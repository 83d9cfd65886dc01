package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// nameWindow is how many IDs are remembered to name the entries of a broken part.
const nameWindow = 4096

// tellMissing reports gaps: one for each run of numbers.
func (v *verification) tellMissing() {
	for i := 0; i < len(v.missing); {
		k := i
		for k+1 < len(v.missing) && v.missing[k+1] == v.missing[k]+1 {
			k++
		}
		first, last := v.missing[i], v.missing[k]
		switch {
		case last == v.newest.Size-1:
			v.problem(first, "", "the log was cut at its end: it has %d entries, its newest checkpoint says %d", first, v.newest.Size)
		case first == last:
			v.problem(first, "", "entry %d was removed", first)
		default:
			v.problem(first, "", "entries %d to %d were removed", first, last)
		}
		i = k + 1
	}
}

// tellSuspects tells, where the stored leaves are the ones that were signed, what became of each entry that is not the one
// sealed in its place: it was sealed in another place, or is another than it was.
func (v *verification) tellSuspects() {
	sealedAs := map[tlog.Hash]int64{}
	at := map[int64]suspect{}
	for _, s := range v.suspects {
		at[s.seq] = s
		if !s.beyond {
			sealedAs[s.sealed] = s.seq
		}
	}
	for _, n := range v.missing {
		if h, err := v.stored.hash(v.ctx, tlog.StoredHashIndex(0, n)); err == nil && h != nil {
			sealedAs[*h] = n
		}
	}
	for i := 0; i < len(v.suspects); i++ {
		s := v.suspects[i]
		was, moved := sealedAs[s.leaf]
		if other, swapped := at[was]; moved && swapped && !s.beyond && sealedAs[other.leaf] == s.seq {
			if s.seq < was {
				v.problem(s.seq, s.id, "entries %d (%s) and %d (%s) have changed places", s.seq, s.id, was, other.id)
			}
			continue
		}
		if !moved {
			if s.beyond {
				v.problem(s.seq, s.id, "the entry was put in at the end: no checkpoint knows it")
			} else {
				v.problem(s.seq, s.id, "the entry was changed after it was sealed, or put in: it is not what was sealed as number %d", s.seq)
			}
			continue
		}
		last := i // those behind it may have moved with it
		for last+1 < len(v.suspects) {
			next := v.suspects[last+1]
			if n, ok := sealedAs[next.leaf]; !ok || next.seq != v.suspects[last].seq+1 || next.seq-n != s.seq-was {
				break
			}
			last++
		}
		if last == i {
			v.problem(s.seq, s.id, "the entry was sealed as number %d and stands at %d", was, s.seq)
		} else {
			v.problem(s.seq, s.id, "entries %d to %d were moved: the first was sealed as number %d", s.seq, v.suspects[last].seq, was)
		}
		i = last
	}
}

// tellBroken reports a tree that is not the one that was signed, as narrowly as its parts and its checkpoints tell.
func (v *verification) tellBroken() {
	if (v.broken == span{}) {
		if (v.torn != span{}) {
			v.problem(v.torn.first, "", "a stored hash of the tree over entries %d to %d was changed", v.torn.first, v.torn.end-1)
		}
		return
	}
	where := v.broken
	if (v.torn != span{}) && v.torn.first < where.end && v.torn.end > where.first {
		both := span{max(v.torn.first, where.first), min(v.torn.end, where.end)}
		if both.narrower(where) {
			where = both
		}
	}
	first := v.names[where.first%nameWindow]
	if v.next-where.first > nameWindow {
		first = ""
	}
	if where.end-where.first == 1 {
		v.problem(where.first, first, "the entry and its hash are not what was signed: it was changed, put in or put in another's place")
		return
	}
	text := fmt.Sprintf("among entries %d to %d", where.first, where.end-1)
	if v.next-where.first <= nameWindow && where.end-where.first <= 8 {
		for n := where.first; n < where.end; n++ {
			text += ", " + v.names[n%nameWindow]
		}
	}
	v.problem(where.first, first, "%s: one or more, with their hashes, are not what was signed", text)
}
