package sqldb

import (
	"context"

	"gatehouse/application"
	"gatehouse/id"
)

const (
	applicationColumns = `id, organization, name, purpose, owner, state, created, created_by, closed, reason, version`
	applicationGet     = `SELECT ` + applicationColumns + ` FROM applications WHERE id = $1`
	applicationHas     = `SELECT version FROM applications WHERE id = $1`
	applicationInsert  = `INSERT INTO applications (id, organization, name, name_key, purpose, owner, state, created, created_by, closed,
		reason, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1) RETURNING ` + applicationColumns
	applicationUpdate = `UPDATE applications SET organization = $2, name = $3, name_key = $4, purpose = $5, owner = $6, state = $7,
		created = $8, created_by = $9, closed = $10, reason = $11, version = version + 1
		WHERE id = $1 AND version = $12 RETURNING ` + applicationColumns
	applicationsOf = `SELECT ` + applicationColumns + ` FROM applications`
)

func scanApplication(r row) (a application.Application, err error) {
	err = r.Scan(&a.ID, &a.Organization, &a.Name, &a.Purpose, &a.Owner, &a.State, when{&a.Created}, &a.CreatedBy, when{&a.Closed},
		&a.Reason, &a.Version)
	return a, err
}

func (t *tx) Application(ctx context.Context, i id.ID) (application.Application, error) {
	return get(ctx, t, scanApplication, "application", applicationGet, string(i))
}

func (t *tx) PutApplication(ctx context.Context, a application.Application) (application.Application, error) {
	return put(ctx, t, scanApplication, "application", applicationInsert, applicationUpdate, applicationHas, string(a.ID),
		string(a.Organization), a.Name, key(a.Name), a.Purpose, string(a.Owner), string(a.State), at(a.Created), string(a.CreatedBy),
		at(a.Closed), a.Reason, a.Version)
}

func (t *tx) ApplicationsByID(ctx context.Context, is []id.ID) ([]application.Application, error) {
	return among(ctx, t, scanApplication, applicationsOf+` WHERE id`, is)
}

func (t *tx) Applications(ctx context.Context, organization, after id.ID, limit int) ([]application.Application, error) {
	var w where
	w.and(`organization = $`, string(organization))
	q := applicationsOf + w.page(string(after), limit)
	return all(ctx, t, scanApplication, q, w.args...)
}
