package audit_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// evidence is every third entry of a log of 23, as it comes out of a file.
func evidence(t *testing.T) (*ledger, []byte) {
	t.Helper()
	l := keep(t, 5, 1, 17)
	s := l.open(sqldb.Options{})
	defer s.Close()
	var raw []byte
	err := s.View(context.Background(), func(tx store.Tx) error {
		var some []audit.Entry
		err := tx.Sealed(context.Background(), 0, func(e audit.Entry) error {
			if e.Seq%3 == 0 {
				some = append(some, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		e, err := audit.Prove(context.Background(), tx, l.verifier, "gr_1", some, now)
		if err != nil {
			return err
		}
		raw, err = json.MarshalIndent(e, "", "\t") // white space and escapes must not matter
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, raw
}

func TestEvidenceVerifiesOffline(t *testing.T) {
	l, raw := evidence(t)
	read := func() (e audit.Evidence) {
		t.Helper()
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	whole := read()
	if r := whole.Verify(l.verifier, now); !r.OK || r.Entries != 8 || r.Root == "" {
		t.Fatalf("whole evidence: %+v", r)
	}
	if text := whole.Tell(); !strings.Contains(text, "grant.suspend") || !strings.Contains(text, "r <&> „ü“") {
		t.Errorf("told as %s", text)
	}
	erased := read()
	for i := range erased.Entries[0].Personal {
		erased.Entries[0].Personal[i].Value, erased.Entries[0].Personal[i].Salt = "", nil
	}
	if r := erased.Verify(l.verifier, now); !r.OK {
		t.Errorf("with erased values: %+v", r)
	}
	_, other, err := note.GenerateKey(rand.Reader, "gatehouse-test")
	if err != nil {
		t.Fatal(err)
	}
	if r := whole.Verify(other, now); r.OK {
		t.Error("another key verifies it")
	}
	for name, harm := range map[string]func(*audit.Evidence){
		"a changed leaf": func(e *audit.Evidence) {
			e.Entries[1].Leaf = strings.Replace(e.Entries[1].Leaf, "suspend", "resume", 1)
		},
		"a leaf of white space": func(e *audit.Evidence) { e.Entries[1].Leaf += " " },
		"no leaf":               func(e *audit.Evidence) { e.Entries[1].Leaf = "" },
		"another place":         func(e *audit.Evidence) { e.Entries[1].Seq = 4 },
		"beyond the end":        func(e *audit.Evidence) { e.Entries[7].Seq = 23 },
		"a changed proof":       func(e *audit.Evidence) { e.Entries[2].Proof[0][0] ^= 1 },
		"a short hash":          func(e *audit.Evidence) { e.Entries[2].Proof[0] = e.Entries[2].Proof[0][:31] },
		"no proof":              func(e *audit.Evidence) { e.Entries[2].Proof = nil },
		"another name":          func(e *audit.Evidence) { e.Entries[3].Personal[0].Value = "Eve" },
		"another commitment":    func(e *audit.Evidence) { e.Entries[3].Personal[0].Commitment = nil },
		"a value too many": func(e *audit.Evidence) {
			e.Entries[3].Personal = append(e.Entries[3].Personal, audit.Commit("name", "Eve")...)
		},
		"swapped entries":     func(e *audit.Evidence) { e.Entries[0], e.Entries[1] = e.Entries[1], e.Entries[0] },
		"twice the same":      func(e *audit.Evidence) { e.Entries[1] = e.Entries[0] },
		"no entries":          func(e *audit.Evidence) { e.Entries = nil },
		"a forged checkpoint": func(e *audit.Evidence) { e.Checkpoint = strings.Replace(e.Checkpoint, "23", "24", 1) },
		"another form":        func(e *audit.Evidence) { e.Format = 2 },
	} {
		e := read()
		harm(&e)
		if r := e.Verify(l.verifier, now); r.OK || len(r.Problems) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}

func TestEvidenceOfWhatIsNotSealed(t *testing.T) {
	l := keep(t, 2)
	s := l.open(sqldb.Options{})
	defer s.Close()
	err := s.View(context.Background(), func(tx store.Tx) error {
		_, err := audit.Prove(context.Background(), tx, l.verifier, "gr_1", []audit.Entry{{ID: "aud_1", Seq: -1}}, now)
		return err
	})
	if !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}
