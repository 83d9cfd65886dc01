package sqldb

import (
	"context"
	"os"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

// Summary is what a database file holds.
type Summary struct {
	File          string         `json:"file"`
	Bytes         int64          `json:"bytes"`
	Schema        int64          `json:"schema"`
	Organizations int64          `json:"organizations"`
	People        int64          `json:"people"`
	Applications  int64          `json:"applications"`
	Credentials   int64          `json:"credentials"`
	Requests      int64          `json:"requests"`
	Grants        int64          `json:"grants"`
	Letters       int64          `json:"letters"` // that wait to be sent
	Audit         int64          `json:"audit"`   // sealed entries
	Unsealed      int64          `json:"unsealed"`
	Unnumbered    int64          `json:"unnumbered"` // changes that no gateway has been told yet
	Checkpoint    string         `json:"checkpoint"`
	Environments  []SummaryPlace `json:"environments"`
}

// SummaryPlace is where one environment stands.
type SummaryPlace struct {
	env.Environment
	Head feed.Position `json:"head"`
}

// Inspect reads a database file that may be in use or a backup: it checks it page by page and row by row, and tells what it
// holds. Damage is fault.Unavailable. It changes nothing. That the audit log holds is for audit.Verify to say, over
// OpenSQLite with ReadOnly.
func Inspect(ctx context.Context, file string) (Summary, error) {
	s, err := open(ctx, file, Options{ReadOnly: true})
	if err != nil {
		return Summary{}, err
	}
	sum, err := s.summary(ctx)
	if e := s.Close(); err == nil {
		err = e
	}
	return sum, err
}

func (s *db) summary(ctx context.Context) (sum Summary, err error) {
	sum.File = s.file
	i, err := os.Stat(s.file)
	if err != nil {
		return sum, fault.New(fault.Unavailable, "%s cannot be read (%s)", s.file, reason(err))
	}
	sum.Bytes = i.Size()
	if sum.Schema, err = s.version(ctx, s.reading); err != nil {
		return sum, err
	}
	return sum, s.View(ctx, func(stx store.Tx) error {
		t := stx.(*tx)
		found, err := all(ctx, t, scanText, `PRAGMA integrity_check(1)`)
		if err != nil {
			return err
		}
		if len(found) != 1 || found[0] != "ok" {
			return fault.New(fault.Unavailable, "%s is damaged (%s): restore another backup", s.file, found)
		}
		broken, err := all(ctx, t, func(r row) (table string, err error) {
			var id, parent, key any
			err = r.Scan(&table, &id, &parent, &key)
			return table, err
		}, `PRAGMA foreign_key_check`)
		if err != nil {
			return err
		}
		if len(broken) > 0 {
			return fault.New(fault.Unavailable, "%s is damaged (%d rows of %s refer to what is not there): restore another backup", s.file, len(broken), broken[0])
		}
		for _, c := range []struct {
			n *int64
			q string
		}{
			{&sum.Organizations, `SELECT COUNT(*) FROM organizations`},
			{&sum.People, `SELECT COUNT(*) FROM people`},
			{&sum.Applications, `SELECT COUNT(*) FROM applications`},
			{&sum.Credentials, `SELECT COUNT(*) FROM credentials`},
			{&sum.Requests, `SELECT COUNT(*) FROM requests`},
			{&sum.Grants, `SELECT COUNT(*) FROM grants`},
			{&sum.Letters, `SELECT COUNT(*) FROM letters WHERE given_up = 0`},
			{&sum.Audit, `SELECT COUNT(*) FROM audit_entries WHERE seq IS NOT NULL`},
			{&sum.Unsealed, `SELECT COUNT(*) FROM audit_entries WHERE seq IS NULL`},
			{&sum.Unnumbered, `SELECT COUNT(*) FROM feed_changes`},
		} {
			if *c.n, err = one(ctx, t, scanInt, c.q); err != nil {
				return err
			}
		}
		if sum.Checkpoint, err = t.Checkpoint(ctx); err != nil {
			return err
		}
		es, err := t.Environments(ctx)
		for _, e := range es {
			if err != nil {
				return err
			}
			p := SummaryPlace{Environment: e}
			p.Head, err = t.Head(ctx, e.Name)
			sum.Environments = append(sum.Environments, p)
		}
		return err
	})
}
