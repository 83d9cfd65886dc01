package sqldb

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gatehouse/id"
)

// many writes rows by statements of several rows each: before, their values in brackets, after. A row has width values, which
// values appends. Where after says what happens on a conflict, no two rows may be of the same key.
func many[T any](ctx context.Context, t *tx, before, after string, width int, rows []T, values func(args []any, row T) []any) error {
	args := make([]any, 0, min(len(rows), t.d.rows[0])*width)
	for _, n := range t.d.rows {
		if len(rows) < n {
			continue
		}
		q := before + brackets(n, width) + after
		for ; len(rows) >= n; rows = rows[n:] {
			args = args[:0]
			for _, r := range rows[:n] {
				args = values(args, r)
			}
			if _, err := t.exec(ctx, q, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// brackets is ($1, $2), ($3, $4), … for so many rows.
func brackets(rows, width int) string {
	var b strings.Builder
	for i := range rows * width {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%width == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteByte(')')
	return b.String()
}

// parts hands identifiers on by so many as one statement takes.
func (t *tx) parts(is []id.ID, each func(some []any) error) error {
	values := make([]any, len(is))
	for i := range is {
		values[i] = string(is[i])
	}
	return t.portions(values, each)
}

// portions hands values on by so many as one statement takes.
func (t *tx) portions(values []any, each func(some []any) error) error {
	for len(values) > 0 {
		n := 1
		for _, rows := range t.d.rows {
			if rows <= len(values) {
				n = rows
				break
			}
		}
		if err := each(values[:n:n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// among reads the rows of which a column is one of the values: the text ends in that column.
func among[T any](ctx context.Context, t *tx, scan func(row) (T, error), q string, is []id.ID) ([]T, error) {
	var out []T
	err := t.parts(slices.Compact(slices.Sorted(slices.Values(is))), func(some []any) error {
		rows, err := all(ctx, t, scan, q+` IN `+list(1, len(some)), some...)
		out = append(out, rows...)
		return err
	})
	return out, err
}

// list is ($from, $from+1, …) of so many values.
func list(from, values int) string {
	var b strings.Builder
	for i := range values {
		b.WriteString(", $")
		b.WriteString(strconv.Itoa(from + i))
	}
	return "(" + strings.TrimPrefix(b.String(), ", ") + ")"
}
