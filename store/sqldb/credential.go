package sqldb

import (
	"context"

	"gatehouse/credential"
	"gatehouse/id"
)

const (
	credentialColumns = `id, organization, application, environment, kind, name, public_id, hash, grants, state, created, created_by,
		expires, retire_at, revoked, reason, version`
	credentialGet      = `SELECT ` + credentialColumns + ` FROM credentials WHERE id = $1`
	credentialByPublic = `SELECT ` + credentialColumns + ` FROM credentials WHERE public_id = $1`
	credentialHas      = `SELECT version FROM credentials WHERE id = $1`
	credentialInsert   = `INSERT INTO credentials (` + credentialColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 + 1) RETURNING ` + credentialColumns
	credentialUpdate = `UPDATE credentials SET organization = $2, application = $3, environment = $4, kind = $5, name = $6,
		public_id = $7, hash = $8, grants = $9, state = $10, created = $11, created_by = $12, expires = $13, retire_at = $14,
		revoked = $15, reason = $16, version = version + 1 WHERE id = $1 AND version = $17 RETURNING ` + credentialColumns
	credentialsOf = `SELECT ` + credentialColumns + ` FROM credentials`
)

func scanCredential(r row) (c credential.Credential, err error) {
	err = r.Scan(&c.ID, &c.Organization, &c.Application, &c.Environment, &c.Kind, &c.Name, &c.PublicID, hash{&c.Hash},
		from[[]id.ID]{&c.Grants}, &c.State, when{&c.Created}, &c.CreatedBy, when{&c.Expires}, when{&c.RetireAt}, when{&c.Revoked},
		&c.Reason, &c.Version)
	return c, err
}

func (t *tx) Credential(ctx context.Context, i id.ID) (credential.Credential, error) {
	return get(ctx, t, scanCredential, "credential", credentialGet, string(i))
}

func (t *tx) CredentialByPublicID(ctx context.Context, public string) (credential.Credential, error) {
	return get(ctx, t, scanCredential, "credential", credentialByPublic, public)
}

func (t *tx) PutCredential(ctx context.Context, c credential.Credential) (credential.Credential, error) {
	return put(ctx, t, scanCredential, "credential", credentialInsert, credentialUpdate, credentialHas, string(c.ID),
		string(c.Organization), string(c.Application), c.Environment, string(c.Kind), c.Name, c.PublicID, c.Hash[:], doc(c.Grants),
		string(c.State), at(c.Created), string(c.CreatedBy), at(c.Expires), at(c.RetireAt), at(c.Revoked), c.Reason, c.Version)
}

func (t *tx) Credentials(ctx context.Context, organization, application, after id.ID, limit int) ([]credential.Credential, error) {
	var w where
	w.and(`application = $`, string(application))
	w.and(`organization = $`, string(organization))
	q := credentialsOf + w.page(string(after), limit)
	return all(ctx, t, scanCredential, q, w.args...)
}
