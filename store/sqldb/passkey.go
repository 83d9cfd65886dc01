package sqldb

import (
	"context"

	"gatehouse/id"
	"gatehouse/identity"
)

const (
	passkeyColumns      = `id, person, name, credential, record, created, used, version`
	passkeyGet          = `SELECT ` + passkeyColumns + ` FROM passkeys WHERE id = $1`
	passkeyByCredential = `SELECT ` + passkeyColumns + ` FROM passkeys WHERE credential = $1`
	passkeysOf          = `SELECT ` + passkeyColumns + ` FROM passkeys WHERE person = $1 ORDER BY id`
	passkeyHas          = `SELECT version FROM passkeys WHERE id = $1`
	passkeyInsert       = `INSERT INTO passkeys (` + passkeyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8 + 1) RETURNING ` + passkeyColumns
	passkeyUpdate       = `UPDATE passkeys SET person = $2, name = $3, credential = $4, record = $5, created = $6, used = $7, version = version + 1
		WHERE id = $1 AND version = $8 RETURNING ` + passkeyColumns
	passkeyDrop  = `DELETE FROM passkeys WHERE id = $1`
	passkeysDrop = `DELETE FROM passkeys WHERE person = $1`
)

func scanPasskey(r row) (p identity.Passkey, err error) {
	err = r.Scan(&p.ID, &p.Person, &p.Name, &p.Credential, &p.Record, when{&p.Created}, when{&p.Used}, &p.Version)
	return p, err
}

func (t *tx) PutPasskey(ctx context.Context, p identity.Passkey) (identity.Passkey, error) {
	return put(ctx, t, scanPasskey, "passkey", passkeyInsert, passkeyUpdate, passkeyHas, string(p.ID), string(p.Person), p.Name, blob(p.Credential),
		p.Record, at(p.Created), at(p.Used), p.Version)
}

func (t *tx) Passkey(ctx context.Context, i id.ID) (identity.Passkey, error) {
	return get(ctx, t, scanPasskey, "passkey", passkeyGet, string(i))
}

func (t *tx) PasskeyByCredential(ctx context.Context, credential []byte) (identity.Passkey, error) {
	return get(ctx, t, scanPasskey, "passkey", passkeyByCredential, blob(credential))
}

func (t *tx) PasskeysOf(ctx context.Context, person id.ID) ([]identity.Passkey, error) {
	return all(ctx, t, scanPasskey, passkeysOf, string(person))
}

func (t *tx) DropPasskey(ctx context.Context, i id.ID) error {
	_, err := t.exec(ctx, passkeyDrop, string(i))
	return err
}

func (t *tx) DropPasskeys(ctx context.Context, person id.ID) error {
	_, err := t.exec(ctx, passkeysDrop, string(person))
	return err
}
