package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

const (
	authenticatorGet  = `SELECT person, secret, created, confirmed, step FROM authenticators WHERE person = $1`
	authenticatorDrop = `DELETE FROM authenticators WHERE person = $1`
	authenticatorPut  = `INSERT INTO authenticators (person, secret, created, confirmed, step) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (person) DO UPDATE SET secret = $2, created = $3, confirmed = $4, step = $5`

	recoveryAdd   = `INSERT INTO recovery_codes (person, hash) VALUES ($1, $2)`
	recoveryDrop  = `DELETE FROM recovery_codes WHERE person = $1`
	recoveryUse   = `DELETE FROM recovery_codes WHERE person = $1 AND hash = $2`
	recoveryCount = `SELECT COUNT(*) FROM recovery_codes WHERE person = $1`

	ceremonyColumns = `hash, purpose, person, data, created, expires`
	ceremonyAdd     = `INSERT INTO ceremonies (` + ceremonyColumns + `) VALUES ($1, $2, $3, $4, $5, $6)`
	ceremonyGet     = `SELECT ` + ceremonyColumns + ` FROM ceremonies WHERE hash = $1 AND purpose = $2 AND expires > $3`
	ceremonyTake    = `DELETE FROM ceremonies WHERE hash = $1 AND purpose = $2 AND expires > $3 RETURNING ` + ceremonyColumns
)

func (t *tx) Authenticator(ctx context.Context, person id.ID) (identity.Authenticator, error) {
	return get(ctx, t, func(r row) (a identity.Authenticator, err error) {
		err = r.Scan(&a.Person, &a.Secret, when{&a.Created}, when{&a.Confirmed}, &a.Step)
		return a, err
	}, "authenticator app", authenticatorGet, string(person))
}

func (t *tx) PutAuthenticator(ctx context.Context, a identity.Authenticator) error {
	_, err := t.exec(ctx, authenticatorPut, string(a.Person), a.Secret, at(a.Created), at(a.Confirmed), a.Step)
	return err
}

func (t *tx) DropAuthenticator(ctx context.Context, person id.ID) error {
	_, err := t.exec(ctx, authenticatorDrop, string(person))
	return err
}

func (t *tx) PutRecoveryCodes(ctx context.Context, person id.ID, hashes []secret.Hash) error {
	_, err := t.exec(ctx, recoveryDrop, string(person))
	for _, h := range hashes {
		if err != nil {
			break
		}
		_, err = t.exec(ctx, recoveryAdd, string(person), h[:])
	}
	return err
}

func (t *tx) UseRecoveryCode(ctx context.Context, person id.ID, h secret.Hash) error {
	n, err := t.exec(ctx, recoveryUse, string(person), h[:])
	if err == nil && n == 0 {
		return fault.New(fault.Gone, "this recovery code was used, or never was")
	}
	return err
}

func (t *tx) CountRecoveryCodes(ctx context.Context, person id.ID) (int, error) {
	n, err := one(ctx, t, scanInt, recoveryCount, string(person))
	return int(n), err
}

func (t *tx) AddCeremony(ctx context.Context, c identity.Ceremony) error {
	_, err := t.exec(ctx, ceremonyAdd, c.Hash[:], string(c.Purpose), string(c.Person), c.Data, at(c.Created), at(c.Expires))
	return err
}

func (t *tx) Ceremony(ctx context.Context, h secret.Hash, p identity.CeremonyPurpose, now time.Time) (identity.Ceremony, error) {
	return t.ceremony(ctx, ceremonyGet, h, p, now)
}

func (t *tx) TakeCeremony(ctx context.Context, h secret.Hash, p identity.CeremonyPurpose, now time.Time) (identity.Ceremony, error) {
	if !t.write {
		return identity.Ceremony{}, fault.New(fault.Internal, "a view changes nothing")
	}
	return t.ceremony(ctx, ceremonyTake, h, p, now)
}

func (t *tx) ceremony(ctx context.Context, q string, h secret.Hash, p identity.CeremonyPurpose, now time.Time) (identity.Ceremony, error) {
	c, err := one(ctx, t, func(r row) (c identity.Ceremony, err error) {
		err = r.Scan(hash{&c.Hash}, &c.Purpose, &c.Person, &c.Data, when{&c.Created}, when{&c.Expires})
		return c, err
	}, q, h[:], string(p), at(now))
	if errors.Is(err, sql.ErrNoRows) {
		return c, fault.New(fault.Gone, "this is over, or was finished already")
	}
	return c, err
}
