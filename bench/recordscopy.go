package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/id"
)

// firstOnes is how IDs of records end that are written through the store; those of their copies end in another number.
const firstOnes = "00"

// newID makes an ID that can be copied.
func newID(k id.Kind, at time.Time) id.ID {
	i := id.New(k, at)
	return i[:len(i)-len(firstOnes)] + firstOnes
}

// copied are the tables that are copied, and how columns that are no IDs differ in a copy, whose number stands for $.
var copied = []struct {
	table   string
	differs map[string]string
}{
	{"organizations", map[string]string{"name": `substr(name, 1, 8) || $ || substr(name, 11)`, "name_key": `substr(name_key, 1, 8) || $ || substr(name_key, 11)`}},
	{"people", map[string]string{"email": `'owner@partner-' || $ || substr(email, 17)`, "email_key": `'owner@partner-' || $ || substr(email_key, 17)`}},
	{"applications", nil}, {"requests", nil}, {"grants", nil},
	{"credentials", map[string]string{"public_id": `public_id || $`}},
	{"credential_uses", nil},
	{"audit_entries", map[string]string{"actor": `substr(actor, 1, length(actor) - 2) || $`}},
}

// copies writes so many copies of all that there is, by SQL: through the store a million take many minutes.
func (a *archive) copies(ctx context.Context, many int) (err error) {
	driver, at := "sqlite", filepath.Join(a.folder(), "data", "gatehouse.db")
	if a.name == "postgresql" {
		driver, at = "pgx", a.database.Reveal()
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if driver == "sqlite" {
		if _, err := db.ExecContext(ctx, `PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA temp_store = MEMORY`); err != nil {
			return err
		}
	}
	var numbers []string
	for n := range many {
		numbers = append(numbers, fmt.Sprintf("('%02d')", n+1))
	}
	for _, c := range copied {
		if err := a.copyTable(ctx, db, c.table, c.differs, strings.Join(numbers, ", ")); err != nil {
			return fmt.Errorf("%s: %w", c.table, err)
		}
		fmt.Fprintf(a.log, "%s: %s written\n", a.name, c.table)
	}
	_, err = db.ExecContext(ctx, map[string]string{"sqlite": `PRAGMA wal_checkpoint(TRUNCATE)`, "pgx": `VACUUM ANALYZE`}[driver])
	return err
}

// copyTable copies the rows of a table without its indexes, and makes them again.
func (a *archive) copyTable(ctx context.Context, db *sql.DB, table string, differs map[string]string, numbers string) error {
	names, again, err := a.indexes(ctx, db, table)
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, err := db.ExecContext(ctx, `DROP INDEX `+n); err != nil {
			return err
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return err
	}
	columns, err := rows.Columns()
	if err = errors.Join(err, rows.Close()); err != nil {
		return err
	}
	columns = slices.DeleteFunc(columns, func(c string) bool { return c == "number" }) // it is given
	values := slices.Clone(columns)
	for i, c := range columns {
		switch d, ok := differs[c]; {
		case ok:
			values[i] = strings.ReplaceAll(d, "$", "copy.column1")
		case slices.Contains([]string{"id", "organization", "application", "request", "credential", "grant_id", "person", "by_person", "owner", "created_by", "verified_by", "object"}, c):
			values[i] = `CASE WHEN ` + c + ` LIKE '%_` + firstOnes + `' THEN substr(` + c + `, 1, length(` + c + `) - 2) || copy.column1 ELSE ` + c + ` END`
		default:
			values[i] = table + "." + c
		}
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) SELECT `+strings.Join(values, ", ")+` FROM `+table+` CROSS JOIN (VALUES `+numbers+`) copy`); err != nil {
		return err
	}
	for _, q := range again {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// indexes are those of a table that belong to no constraint, and what makes them.
func (a *archive) indexes(ctx context.Context, db *sql.DB, table string) (names, make []string, err error) {
	q := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = $1`
	if a.name == "postgresql" {
		q = `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	}
	rows, err := db.QueryContext(ctx, q, table)
	if err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, nil, errors.Join(err, rows.Close())
		}
		names, make = append(names, name), append(make, text)
	}
	return names, make, errors.Join(rows.Err(), rows.Close())
}
