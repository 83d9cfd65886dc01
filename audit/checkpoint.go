package audit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
)

// Checkpoint is what is signed: the log of that origin had Size entries with that root.
type Checkpoint struct {
	Origin string // the name of the key that signs it
	Size   int64
	Root   [32]byte // of the tree of RFC 6962 over the leaves
	At     time.Time
}

// Text is the text of the note: the origin, the size and the root in base64, each on a line of its own, and a line with the
// word "at" and the time.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\nat %s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), c.At.UTC().Format(time.RFC3339Nano))
}

// ParseCheckpoint reads what Text wrote, and nothing else.
func ParseCheckpoint(text string) (Checkpoint, error) {
	bad := func(what string) (Checkpoint, error) {
		return Checkpoint{}, fault.New(fault.Invalid, "this is no checkpoint: %s", what)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" || lines[0] == "" {
		return bad("it must have four lines")
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return bad("its second line is no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || copy(c.Root[:], root) != len(c.Root) || len(root) != len(c.Root) {
		return bad("its third line is no hash")
	}
	at, ok := strings.CutPrefix(lines[3], "at ")
	if c.At, err = time.Parse(time.RFC3339Nano, at); !ok || err != nil {
		return bad("its fourth line is no time")
	}
	if c.Text() != text {
		return bad("it is not written as it should be")
	}
	return c, nil
}

// OpenCheckpoint reads a signed checkpoint. One that the verifier key (as note.NewVerifier takes it) did not sign, or that
// names another origin than that key, is fault.Invalid.
func OpenCheckpoint(signed, verifier string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "the verifier key is not one: %v", err)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "the checkpoint is not signed by %s", v.Name()).Because(err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fault.New(fault.Invalid, "the checkpoint is of the log %q, not of %q", c.Origin, v.Name())
	}
	return c, nil
}

// emptyRoot is the root of the tree without leaves.
func emptyRoot() [32]byte {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(err) // it reads nothing
	}
	return h
}
