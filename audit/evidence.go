package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
	"gatehouse/id"
)

// Evidence is entries of the log about one object with the proof that each is in it. It verifies without the log, the
// database or a network: only the verifier key must come from elsewhere.
type Evidence struct {
	Format     int       `json:"format"` // 1
	Object     id.ID     `json:"object"`
	Made       time.Time `json:"made"`
	Checkpoint string    `json:"checkpoint"` // signed
	Verifier   string    `json:"verifier"`   // the key's text, to compare with the one that the reader trusts
	Entries    []Proven  `json:"entries"`    // in the order of the log
}

// Proven is one entry with the hashes that lead from its leaf to the checkpoint's root (RFC 6962 §2.1.1).
type Proven struct {
	Seq      int64      `json:"seq"`
	Leaf     string     `json:"leaf"`               // the bytes that the log holds, as Leaf writes them: not one may change
	Personal []Personal `json:"personal,omitempty"` // values that the leaf commits to, as far as they are told
	Proof    [][]byte   `json:"proof"`              // base64 in JSON
}

// evidenceFormat is the version of the form.
const evidenceFormat = 1

// Prove makes evidence of entries that are sealed. One that is not is fault.Unavailable: it is milliseconds later.
func Prove(ctx context.Context, log Reader, verifier string, object id.ID, entries []Entry, now time.Time) (Evidence, error) {
	out := Evidence{Format: evidenceFormat, Object: object, Made: now.UTC(), Verifier: verifier, Entries: []Proven{}}
	signed, err := log.Checkpoint(ctx)
	if err != nil {
		return out, err
	}
	if signed == "" {
		return out, fault.New(fault.Unavailable, "nothing has been sealed into the audit log yet: ask again in a moment")
	}
	c, err := OpenCheckpoint(signed, verifier)
	if err != nil {
		return out, err
	}
	out.Checkpoint = signed
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hs, err := log.TreeHashes(ctx, indexes)
		list := make([]tlog.Hash, len(hs))
		for i, h := range hs {
			list[i] = h
		}
		return list, err
	})
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return int(a.Seq - b.Seq) })
	for _, e := range entries {
		if e.Seq < 0 || e.Seq >= c.Size {
			return out, fault.New(fault.Unavailable, "entry %s waits to be sealed into the audit log: ask again in a moment", e.ID)
		}
		path, err := tlog.ProveRecord(c.Size, e.Seq, read)
		if err != nil {
			return out, fmt.Errorf("prove entry %d: %w", e.Seq, err)
		}
		text, err := Leaf(e)
		if err != nil {
			return out, err
		}
		p := Proven{Seq: e.Seq, Leaf: string(text), Personal: e.Personal, Proof: make([][]byte, len(path))}
		for i, h := range path {
			p.Proof[i] = bytes.Clone(h[:])
		}
		out.Entries = append(out.Entries, p)
	}
	return out, nil
}

// Verify checks the evidence with a verifier key that the caller trusts, and reports everything that does not hold. It
// reads nothing but the evidence.
func (e Evidence) Verify(verifier string, now time.Time) Report {
	r := Report{At: now.UTC(), Checkpoint: e.Checkpoint}
	problem := func(seq int64, entry id.ID, format string, args ...any) {
		r.Problems = append(r.Problems, Problem{Seq: seq, Entry: string(entry), Text: fmt.Sprintf(format, args...)})
	}
	if e.Format != evidenceFormat {
		problem(-1, "", "the evidence has the form %d, this version knows %d", e.Format, evidenceFormat)
		return r
	}
	if e.Verifier != verifier {
		problem(-1, "", "the evidence names another verifier key than the one that is trusted")
	}
	c, err := OpenCheckpoint(e.Checkpoint, verifier)
	if err != nil {
		problem(-1, "", "the checkpoint cannot be trusted: %s", fault.As(err).Public)
		return r
	}
	if len(e.Entries) == 0 {
		problem(-1, "", "there is no entry in it: it proves nothing")
	}
	last := int64(-1)
	for _, p := range e.Entries {
		r.Entries++
		l, _ := p.read()
		if p.Seq <= last {
			problem(p.Seq, l.ID, "the entry stands twice, or out of its order")
		}
		last = p.Seq
		if text := p.wrong(c); text != "" {
			problem(p.Seq, l.ID, "%s", text)
		}
		for _, text := range l.unproven() {
			problem(p.Seq, l.ID, "%s", text)
		}
	}
	r.Root = fmt.Sprint(tlog.Hash(c.Root))
	r.OK = len(r.Problems) == 0
	return r
}

// wrong says what does not hold of one entry; "" for nothing.
func (p Proven) wrong(c Checkpoint) string {
	l, err := p.read()
	if err != nil {
		return "it is not an entry of an audit log"
	}
	path := make(tlog.RecordProof, len(p.Proof))
	for i, h := range p.Proof {
		if len(h) != tlog.HashSize {
			return "its proof is not made of hashes"
		}
		copy(path[i][:], h)
	}
	if err := tlog.CheckRecord(path, c.Size, tlog.Hash(c.Root), p.Seq, tlog.RecordHash([]byte(p.Leaf))); err != nil {
		return "it is not what was sealed in this place of the log"
	}
	for i, v := range p.Personal {
		if i >= len(l.Personal) || l.Personal[i].Name != v.Name || !bytes.Equal(l.Personal[i].Commitment, v.Commitment) {
			return "the personal value " + v.Name + " is not one that the entry commits to"
		}
		if !v.Erased() && !bytes.Equal(commitment(v.Salt, v.Value), v.Commitment) {
			return "the personal value " + v.Name + " is not the one that was committed to"
		}
	}
	return ""
}

// Tell says in plain words what the evidence shows: one paragraph an entry, for people who read no JSON.
func (e Evidence) Tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "What the audit log says about %s, as of %s.\n", e.Object, e.Made.UTC().Format("2 January 2006, 15:04 UTC"))
	for _, p := range e.Entries {
		l, err := p.read()
		if err != nil {
			continue // Verify says so
		}
		fmt.Fprintf(&b, "\n%s: %s\n  %s, by %s\n", time.UnixMicro(l.At).UTC().Format("2 January 2006, 15:04:05 UTC"), l.Action, l.Object, p.who(l))
		if l.Reason != "" {
			fmt.Fprintf(&b, "  in their words: %s\n", strings.Join(strings.Fields(l.Reason), " "))
		}
		b.WriteString(decided(l))
		b.WriteString(reviewed(l))
		b.WriteString(left(l))
	}
	fmt.Fprintf(&b, "\nEach of these %d entries is proven to stand in the log whose newest checkpoint is:\n\n%s", len(e.Entries), e.Checkpoint)
	return b.String()
}

// read decodes the leaf.
func (p Proven) read() (l leaf, err error) {
	err = json.Unmarshal([]byte(p.Leaf), &l)
	return l, err
}

// who is the actor, with the name if it has not been erased.
func (p Proven) who(l leaf) string {
	for _, v := range p.Personal {
		if v.Name == "actor.name" && v.Value != "" {
			return v.Value + " (" + l.Actor + ")"
		}
	}
	return l.Actor
}

// decided tells what the object allows after the entry: exactly what, until when, approved by whom, on which facts.
func decided(l leaf) string {
	var o struct {
		Product     string    `json:"product"`
		Plan        string    `json:"plan"`
		Environment string    `json:"environment"`
		Scopes      []string  `json:"scopes"`
		Purpose     string    `json:"purpose"`
		Until       time.Time `json:"until"`
		ApprovedBy  []string  `json:"approved_by"`
		State       string    `json:"state"`
		Decisions   []struct {
			By    string `json:"by"`
			For   string `json:"for"`
			Basis *struct {
				Revision     int64    `json:"revision"`
				Organization string   `json:"organization"`
				Operations   []string `json:"operations"`
			} `json:"basis"`
		} `json:"decisions"`
	}
	if json.Unmarshal([]byte(l.After), &o) != nil || o.Product == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s on the plan %s in %s, scopes %s, %s\n", o.Product, o.Plan, o.Environment, strings.Join(o.Scopes, " "), o.State)
	if o.Purpose != "" {
		fmt.Fprintf(&b, "  for: %s\n", strings.Join(strings.Fields(o.Purpose), " "))
	}
	if !o.Until.IsZero() {
		fmt.Fprintf(&b, "  until %s, approved by %s\n", o.Until.UTC().Format("2 January 2006, 15:04:05 UTC"), strings.Join(o.ApprovedBy, ", "))
	}
	if n := len(o.Decisions); n > 0 && o.Decisions[n-1].Basis != nil {
		f := o.Decisions[n-1].Basis
		fmt.Fprintf(&b, "  on these facts: revision %d in force, the organization %s, opens %s\n", f.Revision, f.Organization, strings.Join(f.Operations, ", "))
	}
	return b.String()
}
