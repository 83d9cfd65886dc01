package audit_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/audit"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// ledger is a real log in a real file.
type ledger struct {
	testing.TB
	file     string
	skey     string
	verifier string
	ids      []id.ID
	notes    []string // each checkpoint
}

// keep makes a log whose batches have these sizes, each sealed with a checkpoint.
func keep(t testing.TB, batches ...int) *ledger {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "gatehouse-test")
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{TB: t, file: filepath.Join(t.TempDir(), "gatehouse.db"), skey: skey, verifier: vkey}
	l.seal(batches...)
	return l
}

func (l *ledger) open(o sqldb.Options) store.Store {
	l.Helper()
	s, err := sqldb.OpenSQLite(context.Background(), l.file, o)
	if err != nil {
		l.Fatal(err)
	}
	return s
}

func (l *ledger) seal(batches ...int) {
	l.Helper()
	ctx := context.Background()
	s := l.open(sqldb.Options{})
	defer s.Close()
	signer, err := note.NewSigner(l.skey)
	if err != nil {
		l.Fatal(err)
	}
	for _, n := range batches {
		err := s.Update(ctx, func(tx store.Tx) error {
			for range n {
				e := audit.New(now, audit.Entry{
					Actor: "staff:per_1", Action: "grant.suspend", Object: "gr_1", Reason: "r <&> „ü“", Before: json.RawMessage(`{"state":"active"}`), After: json.RawMessage(`{ "state" : "suspended" }`),
					Personal: append(audit.Commit("name", "Ada"), audit.Commit("address", "203.0.113.9")...),
				})
				l.ids = append(l.ids, e.ID)
				if err := tx.AppendAudit(ctx, e); err != nil {
					return err
				}
			}
			es, err := tx.Unsealed(ctx, n)
			if err != nil {
				return err
			}
			signed, err := tx.Checkpoint(ctx)
			if err != nil {
				return err
			}
			var last audit.Checkpoint
			if signed != "" {
				if last, err = audit.OpenCheckpoint(signed, l.verifier); err != nil {
					return err
				}
			}
			sealed, size, root, err := audit.Seal(es, last, func(x []int64) ([][32]byte, error) { return tx.TreeHashes(ctx, x) })
			if err != nil {
				return err
			}
			for _, e := range sealed {
				if err := tx.Seal(ctx, e.ID, e.Seq, e.Hashes); err != nil {
					return err
				}
			}
			text := audit.Checkpoint{Origin: signer.Name(), Size: size, Root: root, At: now}.Text()
			b, err := note.Sign(&note.Note{Text: text}, signer)
			if err != nil {
				return err
			}
			l.notes = append(l.notes, string(b))
			return tx.PutCheckpoint(ctx, size, string(b), now)
		})
		if err != nil {
			l.Fatal(err)
		}
	}
}

// sql does to the file what only its owner can.
func (l *ledger) sql(statements ...string) {
	l.Helper()
	db, err := sql.Open("sqlite", l.file)
	if err != nil {
		l.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		r, err := db.Exec(q)
		if err != nil {
			l.Fatalf("%s: %v", q, err)
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			l.Fatalf("%s changed nothing", q)
		}
	}
}

func (l *ledger) verify(kept string) audit.Report {
	l.Helper()
	s := l.open(sqldb.Options{ReadOnly: true})
	defer s.Close()
	var r audit.Report
	err := s.View(context.Background(), func(tx store.Tx) (err error) {
		r, err = audit.Verify(context.Background(), tx, l.verifier, kept, now)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	return r
}

// forge makes the entry's stored leaf what its changed content gives, and as much of the tree above it as asked.
func (l *ledger) forge(seq int64, levels int) {
	l.Helper()
	ctx := context.Background()
	s := l.open(sqldb.Options{ReadOnly: true})
	var h [32]byte
	var q []string
	err := s.View(ctx, func(tx store.Tx) error {
		return tx.Sealed(ctx, seq, func(e audit.Entry) (err error) {
			if e.Seq != seq {
				return nil
			}
			h, err = audit.LeafHash(e)
			set := func(level int, n int64) {
				q = append(q, fmt.Sprintf(`UPDATE audit_hashes SET hash = x'%x' WHERE place = %d`, h, tlog.StoredHashIndex(level, n)))
			}
			set(0, seq)
			for level, n := 1, seq; level <= levels && err == nil; level++ {
				sibling, e := tx.TreeHashes(ctx, []int64{tlog.StoredHashIndex(level-1, n^1)})
				if err = e; err != nil {
					break
				}
				if n&1 == 1 {
					h = tlog.NodeHash(sibling[0], h)
				} else {
					h = tlog.NodeHash(h, sibling[0])
				}
				n >>= 1
				set(level, n)
			}
			return err
		})
	})
	s.Close()
	if err != nil {
		l.Fatal(err)
	}
	l.sql(q...)
}

func TestVerifyHolds(t *testing.T) {
	for _, batches := range [][]int{{}, {1}, {2, 1}, {1, 2, 3, 4, 5, 6, 7}, {600}} {
		l := keep(t, batches...)
		total := 0
		for _, n := range batches {
			total += n
		}
		for _, kept := range append([]string{""}, l.notes...) {
			r := l.verify(kept)
			if !r.OK || r.Entries != int64(total) || len(r.Problems) != 0 {
				t.Errorf("%v: %+v", batches, r)
			}
		}
	}
}

func TestVerifyTampered(t *testing.T) {
	const free = `UPDATE audit_entries SET seq = seq + 1000 WHERE seq = %d`
	for name, c := range map[string]struct {
		do   func(l *ledger)
		kept int // 1: the first checkpoint was kept, …
		seq  int64
		text string
	}{
		"reason changed":  {func(l *ledger) { l.sql(`UPDATE audit_entries SET reason = 'x' WHERE seq = 4`) }, 0, 4, "was changed"},
		"actor changed":   {func(l *ledger) { l.sql(`UPDATE audit_entries SET actor = 'staff:per_2' WHERE seq = 0`) }, 0, 0, "was changed"},
		"time changed":    {func(l *ledger) { l.sql(`UPDATE audit_entries SET at = at + 1 WHERE seq = 9`) }, 0, 9, "was changed"},
		"after reordered": {func(l *ledger) { l.sql(`UPDATE audit_entries SET after_state = '{"state":"suspended"}' WHERE seq = 2`) }, 0, 2, "was changed"},
		"before removed":  {func(l *ledger) { l.sql(`UPDATE audit_entries SET before_state = '' WHERE seq = 2`) }, 0, 2, "was changed"},
		"text broken":     {func(l *ledger) { l.sql(`UPDATE audit_entries SET reason = CAST(x'ff' AS TEXT) WHERE seq = 2`) }, 0, 2, "cannot be what was sealed"},
		"commitment changed": {func(l *ledger) {
			l.sql(`UPDATE audit_personal SET commitment = x'00' WHERE place = 0 AND entry = (SELECT id FROM audit_entries WHERE seq = 3)`)
		}, 0, 3, "was changed"},
		"personal value removed": {func(l *ledger) {
			l.sql(`DELETE FROM audit_personal WHERE place = 1 AND entry = (SELECT id FROM audit_entries WHERE seq = 3)`)
		}, 0, 3, "was changed"},
		"personal value changed": {func(l *ledger) {
			l.sql(`UPDATE audit_personal SET value = 'Eve' WHERE place = 0 AND entry = (SELECT id FROM audit_entries WHERE seq = 3)`)
		}, 0, 3, `personal value "name" is not the one`},
		"salt moved into the value": {func(l *ledger) {
			l.sql(`UPDATE audit_personal SET value = 'x', salt = x'' WHERE place = 0 AND entry = (SELECT id FROM audit_entries WHERE seq = 3)`)
		}, 0, 3, `personal value "name" is not the one`},
		"changed with its hash":            {func(l *ledger) { l.sql(`UPDATE audit_entries SET reason = 'x' WHERE seq = 5`); l.forge(5, 0) }, 0, 4, "among entries 4 to 5"},
		"changed with hashes above":        {func(l *ledger) { l.sql(`UPDATE audit_entries SET reason = 'x' WHERE seq = 5`); l.forge(5, 2) }, 0, 3, "among entries 3 to 5"},
		"changed where batches are single": {func(l *ledger) { l.sql(`UPDATE audit_entries SET reason = 'x' WHERE seq = 0`); l.forge(0, 3) }, 0, 0, "not what was signed"},
		"removed": {func(l *ledger) {
			l.sql(`DELETE FROM audit_personal WHERE entry = (SELECT id FROM audit_entries WHERE seq = 6)`, `DELETE FROM audit_entries WHERE seq = 6`)
		}, 0, 6, "entry 6 was removed"},
		"two removed":   {func(l *ledger) { l.sql(`UPDATE audit_entries SET seq = NULL WHERE seq IN (6, 7)`) }, 0, 6, "entries 6 to 7 were removed"},
		"first removed": {func(l *ledger) { l.sql(`UPDATE audit_entries SET seq = NULL WHERE seq = 0`) }, 0, 0, "entry 0 was removed"},
		"reordered": {func(l *ledger) {
			l.sql(fmt.Sprintf(free, 2), `UPDATE audit_entries SET seq = 2 WHERE seq = 7`, `UPDATE audit_entries SET seq = 7 WHERE seq = 1002`)
		}, 0, 2, "have changed places"},
		"removed and closed up": {func(l *ledger) {
			l.sql(`UPDATE audit_entries SET seq = NULL WHERE seq = 4`, `UPDATE audit_entries SET seq = -seq WHERE seq > 4`, `UPDATE audit_entries SET seq = -seq - 1 WHERE seq < 0`)
		}, 0, 4, "were moved: the first was sealed as number 5"},
		"put in": {func(l *ledger) {
			l.sql(`UPDATE audit_entries SET seq = -seq WHERE seq >= 4`, `UPDATE audit_entries SET seq = -seq + 1 WHERE seq < 0`,
				`INSERT INTO audit_entries SELECT NULL, 'aud_eve', 4, at, actor, action, object, organization, application, environment, reason, request_id, before_state, after_state FROM audit_entries WHERE seq = 1`)
		}, 0, 4, "or put in"},
		"put in moves the rest": {func(l *ledger) {
			l.sql(`UPDATE audit_entries SET seq = -seq WHERE seq >= 4`, `UPDATE audit_entries SET seq = -seq + 1 WHERE seq < 0`,
				`INSERT INTO audit_entries SELECT NULL, 'aud_eve', 4, at, actor, action, object, organization, application, environment, reason, request_id, before_state, after_state FROM audit_entries WHERE seq = 1`)
		}, 0, 5, "entries 5 to 10 were moved: the first was sealed as number 4"},
		"put in at the end": {func(l *ledger) {
			l.sql(`INSERT INTO audit_entries SELECT NULL, 'aud_eve', 10, at, actor, action, object, organization, application, environment, reason, request_id, before_state, after_state FROM audit_entries WHERE seq = 1`)
		}, 0, 10, "put in at the end"},
		"cut at the end":                {func(l *ledger) { l.sql(`UPDATE audit_entries SET seq = NULL WHERE seq >= 8`) }, 0, 8, "cut at its end: it has 8 entries, its newest checkpoint says 10"},
		"cut with its checkpoint, kept": {func(l *ledger) { l.cut(6) }, 4, 6, "cut at its end: it has 6 entries, the checkpoint that was kept says 10"},
		"checkpoint removed":            {func(l *ledger) { l.sql(`DELETE FROM audit_checkpoints WHERE size = 10`) }, 0, 6, "put in at the end"},
		"all checkpoints removed":       {func(l *ledger) { l.sql(`DELETE FROM audit_checkpoints`) }, 0, -1, "there is no checkpoint"},
		"newest checkpoint forged": {func(l *ledger) {
			l.sql(`UPDATE audit_checkpoints SET note = replace(note, '10', '11') WHERE size = 10`)
		}, 0, -1, "the newest checkpoint is forged"},
		"newest checkpoint huge": {func(l *ledger) {
			l.sql(`UPDATE audit_checkpoints SET note = replace(note, '10', '9000000000000000000') WHERE size = 10`)
		}, 0, -1, "the newest checkpoint is forged"},
		"newest checkpoint no note": {func(l *ledger) { l.sql(`UPDATE audit_checkpoints SET note = 'x' WHERE size = 10`) }, 0, -1, "the newest checkpoint is forged"},
		"older checkpoint forged":   {func(l *ledger) { l.sql(`UPDATE audit_checkpoints SET note = replace(note, '6', '7') WHERE size = 6`) }, 0, -1, "a stored checkpoint after the one over 3 entries is forged"},
		"checkpoint of another key": {func(l *ledger) { l.impostor() }, 0, -1, "the newest checkpoint is forged"},
		"checkpoints exchanged": {func(l *ledger) {
			l.sql(`UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE size = 1) WHERE size = 6`)
		}, 0, -1, "the checkpoint over 1 entries stands after the one over 3"},
		"stored leaf hash changed": {func(l *ledger) { l.sql(`UPDATE audit_hashes SET hash = zeroblob(32) WHERE place = 0`) }, 0, 0, "not what was sealed as number 0"},
		"stored leaf hash removed": {func(l *ledger) {
			l.sql(fmt.Sprintf(`DELETE FROM audit_hashes WHERE place = %d`, tlog.StoredHashIndex(0, 7)))
		}, 0, 7, "the stored hash of the entry is gone"},
		"stored inner hash changed": {func(l *ledger) {
			l.sql(fmt.Sprintf(`UPDATE audit_hashes SET hash = zeroblob(32) WHERE place = %d`, tlog.StoredHashIndex(1, 2)))
		}, 0, 4, "over entries 4 to 5 was changed"},
		"stored inner hash removed": {func(l *ledger) {
			l.sql(fmt.Sprintf(`DELETE FROM audit_hashes WHERE place = %d`, tlog.StoredHashIndex(2, 1)))
		}, 0, 4, "over entries 4 to 7 was changed"},
		"history rewritten with the key": {func(l *ledger) { l.rewrite() }, 2, -1, "not a beginning of this log"},
	} {
		t.Run(name, func(t *testing.T) {
			l := keep(t, 1, 2, 3, 4) // entries 0; 1, 2; 3, 4, 5; 6, 7, 8, 9
			if r := l.verify(""); !r.OK {
				t.Fatalf("before: %+v", r.Problems)
			}
			kept := ""
			if c.kept > 0 {
				kept = l.notes[c.kept-1]
			}
			c.do(l)
			r := l.verify(kept)
			for _, p := range r.Problems {
				if !r.OK && p.Seq == c.seq && strings.Contains(p.Text, c.text) {
					return
				}
			}
			t.Errorf("ok=%v, no problem of entry %d with %q in %+v", r.OK, c.seq, c.text, r.Problems)
		})
	}
}

// cut takes everything from n on away, with the hashes and checkpoints that knew of it.
func (l *ledger) cut(n int64) {
	l.sql(fmt.Sprintf(`DELETE FROM audit_personal WHERE entry IN (SELECT id FROM audit_entries WHERE seq >= %d)`, n), fmt.Sprintf(`DELETE FROM audit_entries WHERE seq >= %d`, n),
		fmt.Sprintf(`DELETE FROM audit_hashes WHERE place >= %d`, tlog.StoredHashCount(n)), fmt.Sprintf(`DELETE FROM audit_checkpoints WHERE size > %d`, n))
}

// impostor signs the newest checkpoint with another key of the same name.
func (l *ledger) impostor() {
	skey, _, err := note.GenerateKey(rand.Reader, "gatehouse-test")
	if err != nil {
		l.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		l.Fatal(err)
	}
	text, _, _ := strings.Cut(l.notes[len(l.notes)-1], "\n\n")
	b, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	if err != nil {
		l.Fatal(err)
	}
	l.sql(`UPDATE audit_checkpoints SET note = '` + string(b) + `' WHERE size = 10`)
}

// rewrite makes another history of the same length with the real key, as whoever owns database and key can.
func (l *ledger) rewrite() {
	l.cut(1)
	l.seal(2, 3, 4)
}

func TestVerifyNamesTheEntry(t *testing.T) {
	l := keep(t, 3, 3)
	l.sql(`UPDATE audit_entries SET reason = 'x' WHERE seq = 4`)
	r := l.verify("")
	if len(r.Problems) != 1 || r.Problems[0].Entry != string(l.ids[4]) {
		t.Errorf("want one problem, of %s: %+v", l.ids[4], r.Problems)
	}
}

func TestVerifyErasedHolds(t *testing.T) {
	l := keep(t, 3)
	s := l.open(sqldb.Options{})
	err := s.Update(context.Background(), func(tx store.Tx) error { _, err := tx.ErasePersonal(context.Background(), l.ids[1]); return err })
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if r := l.verify(l.notes[0]); !r.OK {
		t.Errorf("%+v", r.Problems)
	}
}

// A checkpoint that somebody kept proves itself against the newest one, without the entries.
func TestCheckpointsProveTheirConsistency(t *testing.T) {
	l := keep(t, 3, 4, 5)
	old, err := audit.OpenCheckpoint(l.notes[0], l.verifier)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := audit.OpenCheckpoint(l.notes[2], l.verifier)
	if err != nil {
		t.Fatal(err)
	}
	s := l.open(sqldb.Options{ReadOnly: true})
	defer s.Close()
	err = s.View(context.Background(), func(tx store.Tx) error {
		r := tlog.HashReaderFunc(func(x []int64) ([]tlog.Hash, error) {
			hs, err := tx.TreeHashes(context.Background(), x)
			out := make([]tlog.Hash, len(hs))
			for i, h := range hs {
				out[i] = h
			}
			return out, err
		})
		proof, err := tlog.ProveTree(fresh.Size, old.Size, r)
		if err != nil {
			return err
		}
		return tlog.CheckTree(proof, fresh.Size, fresh.Root, old.Size, old.Root)
	})
	if err != nil {
		t.Error(err)
	}
}

// Nothing is put on top of a tree that somebody has changed.
func TestSealRefusesATamperedTree(t *testing.T) {
	last := audit.Checkpoint{Size: 2, Root: [32]byte{1}}
	_, _, _, err := audit.Seal([]audit.Entry{audit.New(now, audit.Entry{Action: "a.b"})}, last, func(x []int64) ([][32]byte, error) { return make([][32]byte, len(x)), nil })
	if err == nil || !strings.Contains(err.Error(), "gatehouse audit verify") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	l := keep(b, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500)
	for b.Loop() {
		if r := l.verify(""); !r.OK {
			b.Fatal(r.Problems)
		}
	}
	b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
