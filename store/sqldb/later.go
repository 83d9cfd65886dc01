package sqldb

import (
	"context"
	"strings"

	"gatehouse/fault"
	"gatehouse/webhook"
)

// later is what the updates of a group on PostgreSQL share: rows that nobody reads before the group is over, and so go to the server
// together. Whoever does read one of those tables sends them first.
type later struct {
	audit, personal, changes, entries, hashes [][]any
	regional                                  [][]any // entries of feeds of regions
	numbered                                  []any   // rows of feed_changes that have their number
	sealed                                    [][]any // identifier and place

	shared shared
}

// shared is what the updates of one transaction would all ask again, as the newest of them sees it.
type shared struct {
	epochs    map[string]int64
	endpoints map[string][]webhook.Endpoint
}

// changed forgets what the statement might change.
func (s *shared) changed(q string) {
	if s == nil || strings.HasPrefix(q, `SELECT`) {
		return
	}
	if strings.Contains(q, `environments`) {
		s.epochs = nil
	}
	if strings.Contains(q, `webhook_endpoints`) {
		s.endpoints = nil
	}
}

// add keeps a row for later. Statements of one table keep their order.
func (t *tx) add(ctx context.Context, rows *[][]any, args ...any) error {
	if err := t.check(ctx, args); err != nil {
		return err
	}
	t.wrote = true
	*rows = append(*rows, args)
	return nil
}

// before is called with each statement before it is sent: it sends what the statement might see.
func (l *later) before(t *tx, q string) error {
	if l == nil {
		return nil
	}
	if strings.Contains(q, `audit_`) || strings.Contains(q, `feed_`) {
		return l.send(t)
	}
	return nil
}

const (
	laterDone = `DELETE FROM feed_changes WHERE number IN `
	laterSeal = `UPDATE audit_entries SET seq = v.column2 FROM (VALUES `
)

// send writes everything that was kept.
func (l *later) send(t *tx) error {
	for _, s := range []struct {
		rows          *[][]any
		before, after string
		all           bool // each row must be there
	}{
		{&l.audit, auditInsert, ``, false},
		{&l.personal, personalInsert, ``, false},
		{&l.changes, changeInsert, ``, false},
		{&l.entries, entryInsert, ``, false},
		{&l.regional, strings.ReplaceAll(entryInsert, `feed_entries`, `feed_region_entries`), ``, false},
		{&l.sealed, laterSeal, `) AS v WHERE audit_entries.id = v.column1 AND audit_entries.seq IS NULL`, true},
		{&l.hashes, hashInsert, ``, false},
	} {
		rows := *s.rows
		*s.rows = nil
		if err := l.write(t, rows, s.before, s.after, s.all); err != nil {
			return err
		}
	}
	done := make([][]any, len(l.numbered))
	for i, n := range l.numbered {
		done[i] = []any{n}
	}
	l.numbered = nil
	return l.write(t, done, laterDone, ``, true)
}

func (l *later) write(t *tx, rows [][]any, before, after string, every bool) error {
	for _, n := range t.d.rows {
		for ; len(rows) >= n; rows = rows[n:] {
			args := make([]any, 0, n*len(rows[0]))
			for _, r := range rows[:n] {
				args = append(args, r...)
			}
			values := brackets(n, len(rows[0]))
			switch before {
			case laterDone:
				values = brackets(1, n)
			case laterSeal:
				values = strings.Replace(values, `($1, $2)`, `($1::text, $2::bigint)`, 1)
			}
			wrote, err := t.line.exec(context.Background(), before+values+after, args...)
			if err == nil && every && wrote != int64(n) {
				err = fault.New(fault.Conflict, "%d of %d rows were not there any more", int64(n)-wrote, n)
			}
			if err != nil {
				if t.failed == nil {
					t.failed = err
				}
				return err
			}
		}
	}
	return nil
}
