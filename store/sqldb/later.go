package sqldb

import (
	"context"
	"slices"
	"strings"

	"gatehouse/fault"
	"gatehouse/webhook"
)

// later is what the updates of a group on PostgreSQL share: what nobody reads before the group is over, and so goes to the server
// together, in one way there and back. Whoever does read one of those tables, or of those rows, sends it first.
type later struct {
	updates []sending
	updated map[string]bool // identifiers of the rows of updates

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
	if s == nil {
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
func (l *later) before(t *tx, q string, args []any) error {
	if l == nil {
		return nil
	}
	if strings.Contains(q, `audit_`) || strings.Contains(q, `feed_`) || len(l.updates) > 0 && l.sees(q, args) {
		return l.send(t)
	}
	return nil
}

// sees reports whether the statement might see a row that is to be updated.
func (l *later) sees(q string, args []any) bool {
	switch q {
	case credentialGet, grantGet:
		i, ok := args[0].(string)
		return !ok || l.updated[i]
	}
	return strings.Contains(q, `credentials`) || strings.Contains(q, `grants`)
}

// updateLater keeps the update of a row for later, if this transaction has read it as it must stand for that.
func (t *tx) updateLater(ctx context.Context, q, place string, args []any) (bool, error) {
	i, _ := args[0].(string)
	if t.later == nil || t.placed[i] != place {
		return false, nil
	}
	if err := t.check(ctx, args); err != nil {
		return false, err
	}
	l := t.later
	if l.updated == nil {
		l.updated = map[string]bool{}
	}
	l.updated[i] = true
	l.updates = append(l.updates, sending{q, slices.Clone(args), true, 1})
	t.wrote = true
	return true, nil
}

// sending is a statement on its way with others, and how many rows it writes, if all of them must be there.
type sending struct {
	q     string
	args  []any
	every bool
	rows  int64
}

const (
	laterDone = `DELETE FROM feed_changes WHERE number IN `
	laterSeal = `UPDATE audit_entries SET seq = v.column2 FROM (VALUES `
)

// send writes everything that was kept.
func (l *later) send(t *tx) error {
	all := l.updates
	l.updates, l.updated = nil, nil
	done := make([][]any, len(l.numbered))
	for i, n := range l.numbered {
		done[i] = []any{n}
	}
	l.numbered = nil
	for _, s := range []struct {
		rows          *[][]any
		before, after string
		every         bool // each row must be there
	}{
		{&l.audit, auditInsert, ``, false},
		{&l.personal, personalInsert, ``, false},
		{&l.changes, changeInsert, ``, false},
		{&l.entries, entryInsert, ``, false},
		{&l.regional, strings.ReplaceAll(entryInsert, `feed_entries`, `feed_region_entries`), ``, false},
		{&l.sealed, laterSeal, `) AS v WHERE audit_entries.id = v.column1 AND audit_entries.seq IS NULL`, true},
		{&l.hashes, hashInsert, ``, false},
		{&done, laterDone, ``, true},
	} {
		all = append(all, statements(t.d.rows, *s.rows, s.before, s.after, s.every)...)
		*s.rows = nil
	}
	if len(all) == 0 {
		return nil
	}
	wrote, err := t.line.together(context.Background(), all)
	for i, s := range all {
		if err == nil && s.every && wrote[i] != s.rows {
			err = fault.New(fault.Conflict, "%d of %d rows were not there any more", s.rows-wrote[i], s.rows)
		}
	}
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

// statements are those that write the rows, each so many as one takes.
func statements(most []int, rows [][]any, before, after string, every bool) (out []sending) {
	for _, n := range most {
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
			out = append(out, sending{before + values + after, args, every, int64(n)})
		}
	}
	return out
}
