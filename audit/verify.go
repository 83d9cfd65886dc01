package audit

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
)

// Reader is what Verify needs of a Log.
type Reader interface {
	Unsealed(ctx context.Context, limit int) ([]Entry, error)
	TreeHashes(ctx context.Context, indexes []int64) ([][32]byte, error)
	Checkpoint(ctx context.Context) (string, error)
	Checkpoints(ctx context.Context, after int64, limit int) ([]string, error)
	Sealed(ctx context.Context, from int64, fn func(Entry) error) error
}

const (
	maxProblems = 100    // reported; more are counted
	maxSuspects = 100000 // entries that are compared with all others to tell what became of them

	checkpointPage = 500
)

// Verify reads the whole log, computes every leaf and the tree anew, and reports everything that does not hold: entries that
// were changed, removed, put in, or have changed places, a log that was cut at its end, checkpoints that the verifier key did
// not sign, and personal values that are not those committed to, unless they were erased. kept is a checkpoint that somebody
// keeps elsewhere, or "": the log must begin with what it says. It needs no network. An error means that the log could not
// be read to its end, not that something is wrong with it.
func Verify(ctx context.Context, log Reader, verifier, kept string, now time.Time) (Report, error) {
	v := &verification{ctx: ctx, log: log, verifier: verifier, report: Report{At: now.UTC()}}
	if err := v.checkpoints(kept); err != nil {
		return v.report, err
	}
	if err := log.Sealed(ctx, 0, v.entry); err != nil {
		return v.report, err
	}
	if err := v.end(); err != nil {
		return v.report, err
	}
	if v.more > 0 {
		v.report.Problems = append(v.report.Problems, Problem{Seq: -1, Text: fmt.Sprintf("and %d more", v.more)})
	}
	v.report.OK = len(v.report.Problems) == 0
	return v.report, nil
}

// verification is one run of Verify.
type verification struct {
	ctx      context.Context
	log      Reader
	verifier string
	report   Report
	more     int

	newest   Checkpoint
	kept     *Checkpoint
	stored   stored
	tree     tree // over the stored leaves: what the checkpoints signed, if nobody has touched them
	next     int64
	suspects []suspect // entries whose leaf is not the stored one
	missing  []int64
	sizes    []Checkpoint // checkpoints that are to come, the smallest first
	asked    int64        // up to which size they were read
	all      bool
	good     int64 // the size of the largest checkpoint that holds
	broken   span  // where the first one that does not hold must have been broken
	torn     span  // the smallest part of the tree whose stored hash does not fit what is under it
	names    map[int64]string
}

// suspect is an entry that is not what was sealed in its place.
type suspect struct {
	seq          int64
	id           string
	leaf, sealed tlog.Hash
	beyond       bool // the log had ended before it
}

func (v *verification) problem(seq int64, entry, format string, args ...any) {
	if len(v.report.Problems) >= maxProblems {
		v.more++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{Seq: seq, Entry: entry, Text: fmt.Sprintf(format, args...)})
}

// checkpoints reads the newest and the kept one.
func (v *verification) checkpoints(kept string) error {
	signed, err := v.log.Checkpoint(v.ctx)
	if err != nil {
		return err
	}
	v.report.Checkpoint = signed
	if signed != "" {
		if v.newest, err = OpenCheckpoint(signed, v.verifier); err != nil {
			v.problem(-1, "", "the newest checkpoint is forged: %s", fault.As(err).Public)
			if err := v.fallBack(); err != nil {
				return err
			}
		}
	}
	if kept != "" {
		c, err := OpenCheckpoint(kept, v.verifier)
		switch {
		case err != nil:
			v.problem(-1, "", "the checkpoint that was kept cannot be used: %s", fault.As(err).Public)
		case c.Size > v.newest.Size:
			v.problem(v.newest.Size, "", "the log was cut at its end: it has %d entries, the checkpoint that was kept says %d", v.newest.Size, c.Size)
		default:
			v.kept = &c
		}
	}
	v.stored = stored{log: v.log, end: tlog.StoredHashCount(v.newest.Size)}
	waiting, err := v.log.Unsealed(v.ctx, maxSuspects)
	v.report.Unsealed = int64(len(waiting))
	for _, e := range waiting {
		v.personal(e)
	}
	v.names = map[int64]string{}
	return errors.Join(err, v.compare())
}

// entry takes the next sealed entry.
func (v *verification) entry(e Entry) error {
	if err := v.ctx.Err(); err != nil {
		return err
	}
	for v.next < e.Seq && v.next < v.newest.Size {
		v.missing = append(v.missing, v.next)
		if err := v.leaf(nil); err != nil {
			return err
		}
	}
	v.report.Entries++
	v.personal(e)
	leaf, err := LeafHash(e)
	if err != nil {
		v.problem(e.Seq, string(e.ID), "the entry cannot be what was sealed: %s", fault.As(err).Public)
	}
	if e.Seq >= v.newest.Size {
		if len(v.suspects) < maxSuspects {
			v.suspects = append(v.suspects, suspect{seq: e.Seq, id: string(e.ID), leaf: leaf, beyond: true})
		} else {
			v.more++
		}
		return nil
	}
	v.names[e.Seq%nameWindow] = string(e.ID)
	h := tlog.Hash(leaf)
	sealed, err := v.stored.hash(v.ctx, tlog.StoredHashIndex(0, e.Seq))
	switch {
	case err != nil:
		return err
	case sealed == nil:
		v.problem(e.Seq, string(e.ID), "the stored hash of the entry is gone")
	case *sealed != leaf && len(v.suspects) < maxSuspects:
		v.suspects = append(v.suspects, suspect{seq: e.Seq, id: string(e.ID), leaf: h, sealed: *sealed})
	case *sealed != leaf:
		v.more++
	}
	return v.leaf(&h)
}

// leaf puts the next leaf into the tree: the stored one, or where that is gone the one that was computed. The parts that it
// completes are compared with the stored ones.
func (v *verification) leaf(computed *tlog.Hash) error {
	index := tlog.StoredHashIndex(0, v.next)
	sealed, err := v.stored.hash(v.ctx, index)
	if err != nil {
		return err
	}
	var h tlog.Hash
	switch {
	case sealed != nil:
		h = *sealed
	case computed != nil:
		h = *computed
	}
	v.next++
	v.tree.add(h, func(level int, n int64, h tlog.Hash) {
		if err != nil || level == 0 {
			return
		}
		var is *[32]byte
		if is, err = v.stored.hash(v.ctx, index+int64(level)); err != nil {
			return
		}
		if at := under(level, n); (is == nil || *is != h) && (v.torn == span{} || at.narrower(v.torn)) {
			v.torn = at
		}
	})
	if err != nil {
		return err
	}
	return v.compare()
}

// fallBack finds the newest checkpoint that is not forged.
func (v *verification) fallBack() error {
	v.newest = Checkpoint{}
	for {
		notes, err := v.log.Checkpoints(v.ctx, v.newest.Size, checkpointPage)
		if err != nil {
			return err
		}
		before := v.newest.Size
		for _, n := range notes {
			if c, err := OpenCheckpoint(n, v.verifier); err == nil && c.Size > v.newest.Size {
				v.newest = c
			}
		}
		if len(notes) < checkpointPage || v.newest.Size == before {
			return nil
		}
	}
}

// compare holds the tree against the checkpoints of its size.
func (v *verification) compare() error {
	for {
		for len(v.sizes) > 0 && v.sizes[0].Size <= v.tree.size {
			switch {
			case v.tree.root() == v.sizes[0].Root:
				v.good = v.tree.size
			case v.broken == span{}: // after the first one that does not hold none can
				v.broken = span{v.good, v.tree.size}
			}
			v.sizes = v.sizes[1:]
		}
		if v.all || len(v.sizes) > 0 {
			break
		}
		if err := v.moreCheckpoints(); err != nil {
			return err
		}
	}
	if v.kept != nil && v.kept.Size == v.tree.size && v.tree.root() != v.kept.Root {
		v.problem(-1, "", "the checkpoint that was kept is not a beginning of this log: something before entry %d is another than it was", v.kept.Size)
		if (v.broken == span{}) && v.good < v.kept.Size {
			v.broken = span{v.good, v.kept.Size}
		}
	}
	return nil
}

// moreCheckpoints reads the next ones of those that are stored.
func (v *verification) moreCheckpoints() error {
	notes, err := v.log.Checkpoints(v.ctx, v.asked, checkpointPage)
	if err != nil {
		return err
	}
	before := v.asked
	for _, n := range notes {
		c, err := OpenCheckpoint(n, v.verifier)
		switch {
		case err != nil && n == v.report.Checkpoint: // told already
		case err != nil:
			v.problem(-1, "", "a stored checkpoint after the one over %d entries is forged: %s", v.asked, fault.As(err).Public)
		case c.Size <= v.asked:
			v.problem(-1, "", "the checkpoint over %d entries stands after the one over %d", c.Size, v.asked)
		default:
			v.asked = c.Size
			v.sizes = append(v.sizes, c)
		}
	}
	v.all = len(notes) < checkpointPage || v.asked == before
	return nil
}

// personal checks that the values are those that the leaf commits to.
func (v *verification) personal(e Entry) {
	for _, p := range e.Personal {
		if p.Erased() {
			continue
		}
		if len(p.Salt) != saltSize || subtle.ConstantTimeCompare(commitment(p.Salt, p.Value), p.Commitment) != 1 {
			v.problem(e.Seq, string(e.ID), "the personal value %q is not the one that was committed to", p.Name)
		}
	}
}

// end draws the conclusions.
func (v *verification) end() error {
	for v.next < v.newest.Size {
		v.missing = append(v.missing, v.next)
		if err := v.leaf(nil); err != nil {
			return err
		}
	}
	root := v.tree.root()
	v.report.Root = base64.StdEncoding.EncodeToString(root[:])
	v.tellMissing()
	v.tellSuspects()
	v.tellBroken()
	if v.newest.Size == 0 && v.report.Checkpoint == "" && v.report.Entries > 0 {
		v.problem(-1, "", "there is no checkpoint: it was removed")
	}
	return nil
}
