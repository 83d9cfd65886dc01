package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fault"
)

// Table is what was moved of one table.
type Table struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"` // over all rows in the order of their first columns
}

// transferBatch is how many rows one statement reads: it bounds the memory.
const transferBatch = 500

// transfer copies every row of every table of one store into another one, which is empty, and returns what there was.
// Both have the schema of this build. The order is that of the schema: what is referred to comes first.
func transfer(ctx context.Context, from, into *tx) ([]Table, error) {
	tables, err := from.tables(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := into.tables(ctx)
	if err != nil {
		return nil, err
	}
	if d := differ(tables, theirs); d != "" {
		return nil, fault.New(fault.Internal, "the two databases do not have the same tables: %s", d)
	}
	if into.d.numbers != "" {
		tables = theirs // a table that refers to another one comes after it
	}
	var out []Table
	for _, t := range tables {
		if n, err := one(ctx, into, scanInt, `SELECT COUNT(*) FROM `+t.name); err != nil {
			return nil, err
		} else if n > 0 {
			return nil, fault.New(fault.Conflict, "the database holds %d rows of %s already: name an empty one", n, t.name)
		}
		done, err := t.copy(ctx, from, into)
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", t.name, err)
		}
		out = append(out, done)
	}
	return out, into.settled(ctx)
}

// table is one of the schema's, with its columns in their order.
type table struct {
	name    string
	columns []string
	key     []string // the primary key, in which rows are read
}

// copy moves one table's rows in the order of its key.
func (b table) copy(ctx context.Context, from, into *tx) (Table, error) {
	marks := make([]string, len(b.columns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	add := `INSERT INTO ` + b.name + ` (` + strings.Join(b.columns, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`
	digest := sha256.New()
	out := Table{Name: b.name}
	err := b.each(ctx, from, func(values []any) error {
		out.Rows++
		digest.Write(rowBytes(values))
		if into == nil {
			return nil
		}
		_, err := into.exec(ctx, add, values...)
		return err
	})
	out.Digest = hex.EncodeToString(digest.Sum(nil))
	return out, err
}

// each reads the table in the order of its key, some rows at a time.
func (b table) each(ctx context.Context, t *tx, fn func([]any) error) error {
	var places []int
	for _, k := range b.key {
		places = append(places, slices.Index(b.columns, k))
	}
	var last []any
	for {
		q := `SELECT ` + strings.Join(b.columns, ", ") + ` FROM ` + b.name
		args := []any{int64(transferBatch)}
		if last != nil {
			marks := make([]string, len(b.key))
			for i, p := range places {
				args = append(args, last[p])
				marks[i] = "$" + strconv.Itoa(i+2)
			}
			q += ` WHERE (` + strings.Join(b.key, ", ") + `) > (` + strings.Join(marks, ", ") + `)`
		}
		q += ` ORDER BY ` + strings.Join(b.key, ", ") + ` LIMIT $1`
		rows, err := all(ctx, t, func(r row) ([]any, error) {
			values, into := make([]any, len(b.columns)), make([]any, len(b.columns))
			for i := range values {
				into[i] = &values[i]
			}
			err := r.Scan(into...)
			return values, err
		}, q, args...)
		if err != nil {
			return err
		}
		for _, values := range rows {
			if err := fn(values); err != nil {
				return err
			}
			last = values
		}
		if len(rows) < transferBatch {
			return nil
		}
	}
}

// rowBytes is a row in a form that is the same on every database.
func rowBytes(values []any) (b []byte) {
	put := func(kind byte, text []byte) {
		b = append(b, kind)
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			put('n', nil)
		case int64:
			put('i', binary.BigEndian.AppendUint64(nil, uint64(v)))
		case string:
			put('t', []byte(v))
		case []byte:
			put('b', v)
		default:
			put('?', fmt.Append(nil, v))
		}
	}
	return b
}

// tables are those of the schema, in the order in which the migrations made them, but for the migrations' own.
func (t *tx) tables(ctx context.Context) ([]table, error) {
	names, err := all(ctx, t, scanText, t.d.tables)
	if err != nil {
		return nil, err
	}
	var out []table
	for _, name := range names {
		b := table{name: name}
		if b.columns, err = all(ctx, t, scanText, t.d.columns, name); err != nil {
			return nil, err
		}
		if b.key, err = all(ctx, t, scanText, t.d.keys, name); err != nil {
			return nil, err
		}
		if len(b.key) == 0 {
			return nil, fault.New(fault.Internal, "the table %s has no key", name)
		}
		out = append(out, b)
	}
	return out, nil
}

// settled lets numbers that the database itself gives go on after the highest one.
func (t *tx) settled(ctx context.Context) error {
	if t.d.numbers == "" {
		return nil
	}
	list, err := all(ctx, t, scanText, t.d.numbers)
	for _, n := range list {
		name, column, _ := strings.Cut(n, ".")
		if err == nil {
			_, err = all(ctx, t, scanInt, `SELECT setval(pg_get_serial_sequence('`+name+`', '`+column+`'), (SELECT COALESCE(MAX(`+column+`), 0) + 1 FROM `+name+`), false)`)
		}
	}
	return err
}

// differ says in what two lists of tables differ, but for the order; "" in nothing.
func differ(a, b []table) string {
	of := func(list []table) map[string]string {
		m := map[string]string{}
		for _, t := range list {
			m[t.name] = strings.Join(slices.Sorted(slices.Values(t.columns)), " ") + "; key " + strings.Join(t.key, " ")
		}
		return m
	}
	x, y := of(a), of(b)
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if x[name] != y[name] {
			return fmt.Sprintf("%s has %q here and %q there", name, x[name], y[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if _, ok := x[name]; !ok {
			return name + " is only there"
		}
	}
	return ""
}
