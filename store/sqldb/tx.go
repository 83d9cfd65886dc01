package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// tx is one transaction: store.Tx over one connection. The nouns' methods are in files of their names.
type tx struct {
	line   *line
	d      *dialect
	write  bool // within Update
	over   bool // fn has returned
	fresh  bool // it left rows to number or seal
	told   bool // it numbered rows: other processes' gateways wait for them
	broken error
	failed error // the first error of a statement, as the driver gave it
	// PostgreSQL does nothing more in a transaction in which a statement was refused, unless it was in a savepoint. That is
	// rare, and savepoints cost: so an fn that goes on after a refusal runs again, carefully.
	careful bool
	again   bool // it must

	later  *later  // in a group on PostgreSQL: what is sent together
	shared *shared // in a group: what all ask alike
	wrote  bool    // it has changed something
	people bool    // perhaps people, sessions or machine tokens

	newest newest

	placed map[string]string // in a group on PostgreSQL: where rows that this transaction has read stand, and in which version
}

// check answers before anything is sent to the database.
func (t *tx) check(ctx context.Context, args []any) error {
	if t.over {
		return fault.New(fault.Internal, "the transaction is over")
	}
	if t.broken != nil { // the database may have undone all of it: what follows would stand alone
		return t.broken
	}
	if err := ctx.Err(); err != nil {
		return givenUp(err)
	}
	for _, a := range args {
		if s, ok := a.(string); ok && (!utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0) {
			return fault.New(fault.Invalid, "a text holds a zero byte or bytes that are not UTF-8")
		}
	}
	return nil
}

// context is what statements run under. A write is never interrupted halfway: SQLite would undo the whole transaction, and
// with it what others have done in it.
func (t *tx) context(ctx context.Context) context.Context {
	if t.write {
		return context.Background()
	}
	return ctx
}

func (t *tx) exec(ctx context.Context, q string, args ...any) (int64, error) {
	if err := t.check(ctx, args); err != nil {
		return 0, err
	}
	if !t.write {
		return 0, fault.New(fault.Internal, "a view changes nothing")
	}
	if err := t.save(); err != nil {
		return 0, t.fault(ctx, err)
	}
	if err := t.later.before(t, q, args); err != nil {
		return 0, t.fault(ctx, err)
	}
	t.changes(q)
	n, err := t.line.exec(t.context(ctx), q, args...)
	t.wrote = t.wrote || n > 0
	return n, t.fault(ctx, t.saved(err))
}

// changes is called with each statement: it forgets what the statement might change.
func (t *tx) changes(q string) {
	if strings.HasPrefix(q, `SELECT`) {
		return
	}
	t.shared.changed(q)
	t.people = t.people || strings.Contains(q, `people`) || strings.Contains(q, `sessions`) || strings.Contains(q, `machines`)
}

// save begins a statement that may be refused without an end of the transaction.
func (t *tx) save() error {
	switch {
	case !t.write || !t.d.aborts:
		return nil
	case t.careful:
		_, err := t.line.exec(context.Background(), `SAVEPOINT statement`)
		return err
	case t.failed != nil:
		t.again = true
		return errAborted
	}
	return nil
}

// saved ends it.
func (t *tx) saved(err error) error {
	if !t.careful {
		return err
	}
	q := `RELEASE SAVEPOINT statement`
	if err != nil {
		q = `ROLLBACK TO SAVEPOINT statement`
	}
	_, e := t.line.exec(context.Background(), q)
	if err == nil {
		err = e
	}
	return err
}

var errAborted = errors.New("a statement of the transaction was refused: it is run again")

func (t *tx) fault(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if c := ctx.Err(); c != nil && errors.Is(err, c) {
		return givenUp(err)
	}
	if t.failed == nil {
		t.failed = err
	}
	err = t.d.fault(err)
	if t.write && fault.KindOf(err) == fault.Unavailable {
		t.broken = err
	}
	return err
}

func givenUp(err error) error {
	return fault.New(fault.Unavailable, "the call was given up before it was done").Because(err)
}

// row is what a scan function reads from: *sql.Rows.
type row interface{ Scan(dest ...any) error }

// all runs a query and scans every row.
func all[T any](ctx context.Context, t *tx, scan func(row) (T, error), q string, args ...any) ([]T, error) {
	return until(ctx, t, func(T) bool { return false }, scan, q, args...)
}

// until is all up to the row, left out, of which over says that it is not needed any more.
func until[T any](ctx context.Context, t *tx, over func(T) bool, scan func(row) (T, error), q string, args ...any) (_ []T, err error) {
	if err := t.check(ctx, args); err != nil {
		return nil, err
	}
	if err := t.save(); err != nil {
		return nil, t.fault(ctx, err)
	}
	if err := t.later.before(t, q, args); err != nil {
		return nil, t.fault(ctx, err)
	}
	t.changes(q)
	out, unreadable, err := collect(ctx, t, over, scan, q, args)
	t.wrote = t.wrote || (len(out) > 0 || unreadable != nil) && !strings.HasPrefix(q, `SELECT`)
	if err = t.saved(err); err == nil && unreadable != nil {
		return nil, fault.New(fault.Unavailable, "the database holds a row that cannot be read: restore a backup").Because(unreadable)
	}
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	return out, nil
}

// collect reads the rows. unreadable is an error of scan.
func collect[T any](ctx context.Context, t *tx, over func(T) bool, scan func(row) (T, error), q string, args []any) (out []T, unreadable, err error) {
	rows, err := t.line.query(t.context(ctx), q, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err, nil
		}
		if over(v) {
			break
		}
		out = append(out, v)
	}
	return out, nil, rows.Err()
}

// one runs a query that gives one row or none; none is sql.ErrNoRows. It also runs writes with RETURNING.
func one[T any](ctx context.Context, t *tx, scan func(row) (T, error), q string, args ...any) (T, error) {
	var zero T
	vs, err := all(ctx, t, scan, q, args...)
	if err != nil {
		return zero, err
	}
	if len(vs) == 0 {
		return zero, sql.ErrNoRows
	}
	return vs[0], nil
}

// get is one for a noun: none is fault.NotFound with the text.
func get[T any](ctx context.Context, t *tx, scan func(row) (T, error), what string, q string, args ...any) (T, error) {
	v, err := one(ctx, t, scan, q, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault.New(fault.NotFound, "there is no such %s", what)
	}
	return v, err
}

// put inserts at version 0, else updates the row of that version. Both texts return the whole row, so that the caller gets
// what is stored. The first argument is the ID, the last one the version.
func put[T any](ctx context.Context, t *tx, scan func(row) (T, error), what, insert, update, exists string, args ...any) (T, error) {
	var zero T
	if !t.write {
		return zero, fault.New(fault.Internal, "a view changes nothing")
	}
	q := insert
	version, _ := args[len(args)-1].(int64)
	if version != 0 {
		q = update
	}
	v, err := one(ctx, t, scan, q, args...)
	if !errors.Is(err, sql.ErrNoRows) {
		return v, err
	}
	if _, err := get(ctx, t, scanInt, what, exists, args[0]); err != nil {
		return zero, err
	}
	return zero, fault.New(fault.Stale, "the %s has changed since version %d", what, version)
}

// filing is how the rows of a noun are written whose columns are the arguments, all of them in their order: what is stored is what was
// given, and the texts return nothing, since SQLite keeps what a statement returns in a table of its own until it is over.
type filing struct {
	what, insert, exists string
	narrow               string // the update of an object that stays where it is: it leaves the columns alone that place it, and so their indexes
	update               string // of one that moves
	place                []int  // which arguments place it
}

// at is where the row of the arguments stands, and in which version.
func (d filing) at(args []any) string {
	at := make([]any, 0, len(d.place)+1)
	for _, i := range d.place {
		at = append(at, args[i])
	}
	return standing(append(at, args[len(args)-1])...)
}

func standing(at ...any) string { return fmt.Sprintf("%#v", at) }

// read remembers where a row stands that this transaction has read.
func (t *tx) read(i id.ID, at ...any) {
	if t.later == nil {
		return
	}
	if t.placed == nil {
		t.placed = map[string]string{}
	}
	t.placed[string(i)] = standing(at...)
}

// putRow is put for such a noun.
func putRow[T any](ctx context.Context, t *tx, scan func(row) (T, error), d filing, args ...any) (T, error) {
	var zero T
	version, _ := args[len(args)-1].(int64)
	if version != 0 {
		if kept, err := t.updateLater(ctx, d.narrow, d.at(args), args); kept || err != nil {
			return stored(scan, d, t, args, err)
		}
	}
	texts := []string{d.narrow, d.update}
	if version == 0 {
		texts = []string{d.insert}
	}
	for _, q := range texts {
		n, err := t.exec(ctx, q, args...)
		if err != nil || n > 0 {
			return stored(scan, d, t, args, err)
		}
	}
	if _, err := get(ctx, t, scanInt, d.what, d.exists, args[0]); err != nil {
		return zero, err
	}
	return zero, fault.New(fault.Stale, "the %s has changed since version %d", d.what, version)
}

// stored is the object as it stands now.
func stored[T any](scan func(row) (T, error), d filing, t *tx, args []any, err error) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	version, _ := args[len(args)-1].(int64)
	args[len(args)-1] = version + 1
	if i, _ := args[0].(string); t.placed[i] != "" {
		t.placed[i] = d.at(args)
	}
	return scan(given(args))
}

// given is a row of values that were not read from anywhere.
type given []any

func (g given) Scan(dest ...any) error {
	if len(dest) != len(g) {
		return fmt.Errorf("%d values are no row of %d", len(g), len(dest))
	}
	for i, d := range dest {
		if err := g.scan(d, g[i]); err != nil {
			return err
		}
	}
	return nil
}

func (given) scan(dest, v any) error {
	if s, ok := dest.(sql.Scanner); ok {
		return s.Scan(v)
	}
	from, to := reflect.ValueOf(v), reflect.ValueOf(dest)
	if to.Kind() != reflect.Pointer || from.Kind() != to.Elem().Kind() || from.Kind() != reflect.String && from.Kind() != reflect.Int64 {
		return fmt.Errorf("a %T does not go into a %T", v, dest)
	}
	to.Elem().Set(from.Convert(to.Elem().Type()))
	return nil
}

// The forms in which Go's values stand in columns.

// at is a time as it is stored; when reads it back.
func at(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

type when struct{ t *time.Time }

func (w when) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T is no time", v)
	}
	*w.t = time.Time{}
	if n != 0 {
		*w.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// doc is a value as a JSON document; from reads it back.
func doc(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types, all of which encode
	}
	return string(b)
}

type from[T any] struct{ v *T }

func (f from[T]) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T is no document", v)
	}
	if s == "null" { // most of those that may be
		var none T
		*f.v = none
		return nil
	}
	return json.Unmarshal([]byte(s), f.v)
}

// hash reads a stored hash.
type hash struct{ h *secret.Hash }

func (h hash) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(h.h) {
		return fmt.Errorf("%T of %d bytes is no hash", v, len(b))
	}
	copy(h.h[:], b)
	return nil
}

// flag is a truth value as it is stored: as a number, which both databases have.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// key is the form in which names and addresses are compared: without case, in any script.
func key(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}

func scanInt(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// first is a limit that SQL takes: a negative one would mean all.
func first(limit int) int64 { return int64(max(limit, 0)) }
