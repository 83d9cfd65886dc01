package sqldb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
)

const (
	auditInsert = `INSERT INTO audit_entries (id, at, actor, action, object, organization, application, environment, reason, request_id,
		before_state, after_state) VALUES `
	auditAdd     = auditInsert + `($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	auditColumns = `id, COALESCE(seq, -1), at, actor, action, object, organization, application, environment, reason, request_id,
		before_state, after_state`
	auditAll      = `SELECT ` + auditColumns + ` FROM audit_entries`
	auditGet      = auditAll + ` WHERE id = $1`
	auditOfAction = auditAll + ` WHERE action = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`
	auditActions  = `WITH RECURSIVE a (action) AS (SELECT MIN(action) FROM audit_entries WHERE action >= $1 AND seq IS NOT NULL
		UNION ALL SELECT (SELECT MIN(e.action) FROM audit_entries e WHERE e.action > a.action AND e.seq IS NOT NULL) FROM a WHERE substr(a.action, 1, length($1)) = $1)
		SELECT action FROM a WHERE substr(action, 1, length($1)) = $1`
	auditUnsealed = auditAll + ` WHERE seq IS NULL ORDER BY number LIMIT $1`
	auditSealed   = auditAll + ` WHERE seq >= $1 ORDER BY seq LIMIT $2`
	auditSeal     = `UPDATE audit_entries SET seq = $2 WHERE id = $1 AND seq IS NULL`

	personalInsert = `INSERT INTO audit_personal (entry, place, name, value, salt, commitment) VALUES `
	personalAdd    = personalInsert + `($1, $2, $3, $4, $5, $6)`
	personalOf     = `SELECT entry, name, value, salt, commitment FROM audit_personal WHERE entry IN `
	personalErase  = `UPDATE audit_personal SET value = '', salt = $2 WHERE entry = $1`

	hashInsert = `INSERT INTO audit_hashes (place, hash) VALUES `
	hashAdd    = hashInsert + `($1, $2)`
	hashesGet  = `SELECT hash FROM audit_hashes WHERE place BETWEEN $1 AND $2 ORDER BY place`

	checkpointAdd    = `INSERT INTO audit_checkpoints (size, note, at) VALUES ($1, $2, $3)`
	checkpointNewest = `SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1`
	checkpointsAfter = `SELECT note FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2`
)

func (t *tx) AppendAudit(ctx context.Context, e audit.Entry) error {
	if _, err := audit.Leaf(e); err != nil {
		return err
	}
	row := func(rows func(*later) *[][]any, q string, args ...any) error {
		if t.later != nil {
			return t.add(ctx, rows(t.later), args...)
		}
		_, err := t.exec(ctx, q, args...)
		return err
	}
	err := row(func(l *later) *[][]any { return &l.audit }, auditAdd, string(e.ID), at(e.At), e.Actor, e.Action, string(e.Object), string(e.Organization),
		string(e.Application), e.Environment, e.Reason, e.RequestID, string(e.Before), string(e.After))
	for i, p := range e.Personal {
		if err != nil {
			break
		}
		err = row(func(l *later) *[][]any { return &l.personal }, personalAdd, string(e.ID), int64(i), p.Name, p.Value, blob(p.Salt), blob(p.Commitment))
	}
	t.fresh = true
	return err
}

func scanAudit(r row) (e audit.Entry, err error) {
	var before, after string
	err = r.Scan(&e.ID, &e.Seq, when{&e.At}, &e.Actor, &e.Action, &e.Object, &e.Organization, &e.Application, &e.Environment, &e.Reason,
		&e.RequestID, &before, &after)
	if before != "" {
		e.Before = json.RawMessage(before)
	}
	if after != "" {
		e.After = json.RawMessage(after)
	}
	return e, err
}

// audits runs a list of entries and adds to each its personal values.
func (t *tx) audits(ctx context.Context, q string, args ...any) ([]audit.Entry, error) {
	es, err := all(ctx, t, scanAudit, q, args...)
	if err != nil {
		return nil, err
	}
	return es, t.personal(ctx, es)
}

// together are the numbers of things that one statement asks for, the largest first and 1 last.
var together = [...]int{64, 8, 1}

// personal adds the personal values of entries.
func (t *tx) personal(ctx context.Context, es []audit.Entry) error {
	type of struct {
		entry string
		audit.Personal
	}
	for _, n := range together {
		for ; len(es) >= n; es = es[n:] {
			at := make(map[string]*audit.Entry, n)
			args := make([]any, n)
			for i := range es[:n] {
				at[string(es[i].ID)], args[i] = &es[i], string(es[i].ID)
			}
			ps, err := all(ctx, t, func(r row) (p of, err error) {
				err = r.Scan(&p.entry, &p.Name, &p.Value, &p.Salt, &p.Commitment)
				if len(p.Salt) == 0 {
					p.Salt = nil
				}
				return p, err
			}, personalOf+brackets(1, n)+` ORDER BY entry, place`, args...)
			if err != nil {
				return err
			}
			for _, p := range ps {
				e := at[p.entry]
				e.Personal = append(e.Personal, p.Personal)
			}
		}
	}
	return nil
}

func (t *tx) AuditEntries(ctx context.Context, f audit.Filter, limit int) ([]audit.Entry, error) {
	var w where
	w.and(`object = $`, string(f.Object))
	w.and(`application = $`, string(f.Application))
	w.and(`organization = $`, string(f.Organization))
	w.and(`actor = $`, f.Actor)
	alone := w.text == "" // nothing else picks: then the actions themselves do
	w.and(`substr(action, 1, length($)) = $`, f.Action)
	var es []audit.Entry
	if f.Before <= 0 {
		waiting := where{w.text, append([]any(nil), w.args...)}
		waiting.has(`seq IS NULL`)
		q := auditAll + waiting.text + ` ORDER BY number DESC LIMIT ` + waiting.add(first(limit))
		var err error
		if es, err = t.audits(ctx, q, waiting.args...); err != nil || len(es) >= limit {
			return es, err
		}
	}
	below := f.Before
	if below <= 0 {
		below = math.MaxInt64
	}
	if f.Action != "" && alone {
		sealed, err := t.ofActions(ctx, f.Action, below, limit-len(es))
		return append(es, sealed...), err
	}
	w.must(`seq < $`, below)
	q := auditAll + w.text + ` ORDER BY seq DESC LIMIT ` + w.add(first(limit-len(es)))
	sealed, err := t.audits(ctx, q, w.args...)
	return append(es, sealed...), err
}

// ofActions lists sealed entries below a place whose action begins with the text, the newest first. It takes as many of each action
// as could be wanted: to read the whole log for what is rare, or to sort all that is frequent, would take a second and more.
func (t *tx) ofActions(ctx context.Context, prefix string, below int64, limit int) (out []audit.Entry, err error) {
	actions, err := all(ctx, t, scanText, auditActions, prefix)
	if err != nil {
		return nil, err
	}
	for _, a := range actions {
		es, err := all(ctx, t, scanAudit, auditOfAction, a, below, first(limit))
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	slices.SortFunc(out, func(a, b audit.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
	out = out[:min(len(out), limit)]
	return out, t.personal(ctx, out)
}

func (t *tx) AuditEntry(ctx context.Context, i id.ID) (audit.Entry, error) {
	es, err := t.audits(ctx, auditGet, string(i))
	if err == nil && len(es) == 0 {
		return audit.Entry{}, fault.New(fault.NotFound, "there is no such audit entry")
	}
	if err != nil {
		return audit.Entry{}, err
	}
	return es[0], nil
}

func (t *tx) Unsealed(ctx context.Context, limit int) ([]audit.Entry, error) {
	return t.audits(ctx, auditUnsealed, first(limit))
}

func (t *tx) Seal(ctx context.Context, i id.ID, seq int64, hashes [][32]byte) error {
	if t.later != nil {
		err := t.add(ctx, &t.later.sealed, string(i), seq)
		place := tlog.StoredHashIndex(0, seq)
		for _, h := range hashes {
			if err == nil {
				err = t.add(ctx, &t.later.hashes, place, bytes.Clone(h[:]))
			}
			place++
		}
		return err
	}
	n, err := t.exec(ctx, auditSeal, string(i), seq)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "audit entry %s is sealed, or not there", i)
	}
	place := tlog.StoredHashIndex(0, seq)
	for _, h := range hashes {
		if err != nil {
			break
		}
		_, err = t.exec(ctx, hashAdd, place, h[:])
		place++
	}
	return err
}

func scanHash(r row) (h [32]byte, err error) {
	var b []byte
	if err = r.Scan(&b); err == nil && copy(h[:], b) != len(h) {
		err = fmt.Errorf("a hash of the log has %d bytes", len(b))
	}
	return h, err
}

func (t *tx) TreeHashes(ctx context.Context, indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, 0, len(indexes))
	for i := 0; i < len(indexes); {
		k := i + 1 // those that follow one another are read together
		for k < len(indexes) && indexes[k] == indexes[k-1]+1 {
			k++
		}
		hs, err := all(ctx, t, scanHash, hashesGet, indexes[i], indexes[k-1])
		if err != nil {
			return nil, err
		}
		if len(hs) != k-i {
			return nil, fault.New(fault.NotFound, "of the hashes %d to %d of the log some are not there", indexes[i], indexes[k-1])
		}
		out = append(out, hs...)
		i = k
	}
	return out, nil
}

func (t *tx) Checkpoint(ctx context.Context) (string, error) {
	ns, err := all(ctx, t, scanText, checkpointNewest)
	if err != nil || len(ns) == 0 {
		return "", err
	}
	return ns[0], nil
}

func (t *tx) Checkpoints(ctx context.Context, after int64, limit int) ([]string, error) {
	return all(ctx, t, scanText, checkpointsAfter, after, first(limit))
}

func (t *tx) PutCheckpoint(ctx context.Context, size int64, note string, when time.Time) error {
	_, err := t.exec(ctx, checkpointAdd, size, note, at(when))
	return err
}

func (t *tx) ErasePersonal(ctx context.Context, i id.ID) (int, error) {
	n, err := t.exec(ctx, personalErase, string(i), []byte{})
	return int(n), err
}

// sealedPage is how many entries Sealed reads at a time.
const sealedPage = 500

func (t *tx) Sealed(ctx context.Context, from int64, fn func(audit.Entry) error) error {
	for {
		es, err := t.audits(ctx, auditSealed, from, first(sealedPage))
		if err != nil {
			return err
		}
		for _, e := range es {
			if err := fn(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(es) < sealedPage {
			return nil
		}
	}
}
