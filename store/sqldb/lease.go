package sqldb

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/fault"
	"gatehouse/store"
)

const (
	leaseColumns = `name, holder, mark, token, beat`
	leaseGet     = `SELECT ` + leaseColumns + ` FROM leases WHERE name = $1`
	// The beat is written twice: by that the fence of regions tells this release from one that knows none (migration 163).
	leaseTake = `INSERT INTO leases (` + leaseColumns + `, fenced) VALUES ($1, $2, $3, 1, 1, 1)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, mark = excluded.mark, beat = leases.beat + 1, fenced = leases.beat + 1,
		token = CASE WHEN leases.holder = excluded.holder THEN leases.token ELSE leases.token + 1 END
		WHERE leases.token = $4 AND leases.beat = $5 RETURNING ` + leaseColumns
)

func scanLease(r row) (l store.Lease, err error) {
	err = r.Scan(&l.Name, &l.Holder, &l.Mark, &l.Token, &l.Beat)
	return l, err
}

func (t *tx) Lease(ctx context.Context, name string) (store.Lease, error) {
	l, err := one(ctx, t, scanLease, leaseGet, name)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Lease{Name: name}, nil
	}
	return l, err
}

func (t *tx) TakeLease(ctx context.Context, seen store.Lease, holder, mark string) (store.Lease, error) {
	if !t.write {
		return store.Lease{}, fault.New(fault.Internal, "a view changes nothing")
	}
	l, err := one(ctx, t, scanLease, leaseTake, seen.Name, holder, mark, seen.Token, seen.Beat)
	if errors.Is(err, sql.ErrNoRows) || err == nil && l.Beat != seen.Beat+1 {
		return l, fault.New(fault.Stale, "the duty %s does not stand any more as it was seen", seen.Name)
	}
	return l, err
}

// Alone implements store.Store: the file is locked.
func (s *db) Alone() bool { return true }

// Alone implements store.Store.
func (s *pg) Alone() bool { return false }

// Identities implements store.Store.
func (s *db) Identities() uint64 {
	if s.w == nil {
		return 0
	}
	return s.w.identities.Load() + 1
}

// Identities implements store.Store.
func (s *pg) Identities() uint64 { return 0 }
