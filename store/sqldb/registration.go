package sqldb

import (
	"context"

	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/secret"
)

const (
	initialColumns = `id, organization, application, environment, name, hash, uses, most, created, created_by, expires, ended, version`
	initialGet     = `SELECT ` + initialColumns + ` FROM initial_tokens WHERE id = $1`
	initialByHash  = `SELECT ` + initialColumns + ` FROM initial_tokens WHERE hash = $1`
	initialHas     = `SELECT version FROM initial_tokens WHERE id = $1`
	initialInsert  = `INSERT INTO initial_tokens (` + initialColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 + 1) RETURNING ` + initialColumns
	initialUpdate = `UPDATE initial_tokens SET organization = $2, application = $3, environment = $4, name = $5, hash = $6, uses = $7,
		most = $8, created = $9, created_by = $10, expires = $11, ended = $12, version = version + 1 WHERE id = $1 AND version = $13
		RETURNING ` + initialColumns
	initialAll = `SELECT ` + initialColumns + ` FROM initial_tokens`

	registrationPut = `INSERT INTO registrations (credential, hash) VALUES ($1, $2) ON CONFLICT (credential) DO UPDATE SET hash = excluded.hash`
	registrationGet = `SELECT hash FROM registrations WHERE credential = $1`
)

func scanInitial(r row) (t credential.InitialToken, err error) {
	err = r.Scan(&t.ID, &t.Organization, &t.Application, &t.Environment, &t.Name, hash{&t.Hash}, &t.Uses, &t.Most, when{&t.Created},
		&t.CreatedBy, when{&t.Expires}, when{&t.Ended}, &t.Version)
	return t, err
}

func (t *tx) PutInitialToken(ctx context.Context, i credential.InitialToken) (credential.InitialToken, error) {
	return put(ctx, t, scanInitial, "initial access token", initialInsert, initialUpdate, initialHas, string(i.ID), string(i.Organization),
		string(i.Application), i.Environment, i.Name, i.Hash[:], i.Uses, i.Most, at(i.Created), string(i.CreatedBy), at(i.Expires), at(i.Ended), i.Version)
}

func (t *tx) InitialToken(ctx context.Context, i id.ID) (credential.InitialToken, error) {
	return get(ctx, t, scanInitial, "initial access token", initialGet, string(i))
}

func (t *tx) InitialTokenByHash(ctx context.Context, h secret.Hash) (credential.InitialToken, error) {
	return get(ctx, t, scanInitial, "initial access token", initialByHash, h[:])
}

func (t *tx) InitialTokens(ctx context.Context, organization, after id.ID, limit int) ([]credential.InitialToken, error) {
	var w where
	if organization != "" {
		w.must(`organization = $`, string(organization))
	}
	q := initialAll + w.page(string(after), limit)
	return all(ctx, t, scanInitial, q, w.args...)
}

func (t *tx) PutRegistration(ctx context.Context, client id.ID, h secret.Hash) error {
	_, err := t.exec(ctx, registrationPut, string(client), h[:])
	return err
}

func (t *tx) Registration(ctx context.Context, client id.ID) (secret.Hash, error) {
	return get(ctx, t, func(r row) (h secret.Hash, err error) { err = r.Scan(hash{&h}); return h, err }, "registration", registrationGet, string(client))
}
