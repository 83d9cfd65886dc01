package sqldb

import (
	"context"
	"time"

	"gatehouse/grant"
	"gatehouse/id"
)

const (
	grantColumns = `id, request, organization, application, environment, product, plan, scopes, purpose, approved_by, starts, ends,
		state, reason, ended, version`
	grantGet    = `SELECT ` + grantColumns + ` FROM grants WHERE id = $1`
	grantHas    = `SELECT version FROM grants WHERE id = $1`
	grantInsert = `INSERT INTO grants (` + grantColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 + 1) RETURNING ` + grantColumns
	grantUpdate = `UPDATE grants SET request = $2, organization = $3, application = $4, environment = $5, product = $6, plan = $7,
		scopes = $8, purpose = $9, approved_by = $10, starts = $11, ends = $12, state = $13, reason = $14, ended = $15,
		version = version + 1 WHERE id = $1 AND version = $16 RETURNING ` + grantColumns
	grantsOf = `SELECT ` + grantColumns + ` FROM grants`
)

func scanGrant(r row) (g grant.Grant, err error) {
	err = r.Scan(&g.ID, &g.Request, &g.Organization, &g.Application, &g.Environment, &g.Product, &g.Plan, from[[]string]{&g.Scopes},
		&g.Purpose, from[[]id.ID]{&g.ApprovedBy}, when{&g.From}, when{&g.Until}, &g.State, &g.Reason, when{&g.Ended}, &g.Version)
	return g, err
}

func (t *tx) Grant(ctx context.Context, i id.ID) (grant.Grant, error) {
	return get(ctx, t, scanGrant, "grant", grantGet, string(i))
}

func (t *tx) PutGrant(ctx context.Context, g grant.Grant) (grant.Grant, error) {
	return put(ctx, t, scanGrant, "grant", grantInsert, grantUpdate, grantHas, string(g.ID), string(g.Request), string(g.Organization),
		string(g.Application), g.Environment, g.Product, g.Plan, doc(g.Scopes), g.Purpose, doc(g.ApprovedBy), at(g.From), at(g.Until),
		string(g.State), g.Reason, at(g.Ended), g.Version)
}

func (t *tx) Grants(ctx context.Context, f grant.Filter, after id.ID, limit int) ([]grant.Grant, error) {
	w := selected(f)
	if !f.Ending.IsZero() {
		w.must(`state = 'active' AND ends < $`, at(f.Ending))
	}
	q := grantsOf + w.page(string(after), limit)
	return all(ctx, t, scanGrant, q, w.args...)
}

func selected(f grant.Filter) (w where) {
	w.and(`application = $`, string(f.Application))
	w.and(`organization = $`, string(f.Organization))
	w.and(`environment = $`, f.Environment)
	w.and(`state = $`, f.State)
	return w
}

const (
	requestColumns = `id, organization, application, environment, product, plan, scopes, purpose, duration, by_person, created, state,
		stages, decisions, grant_id, version`
	requestGet    = `SELECT ` + requestColumns + ` FROM requests WHERE id = $1`
	requestHas    = `SELECT version FROM requests WHERE id = $1`
	requestInsert = `INSERT INTO requests (` + requestColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 + 1) RETURNING ` + requestColumns
	requestUpdate = `UPDATE requests SET organization = $2, application = $3, environment = $4, product = $5, plan = $6, scopes = $7,
		purpose = $8, duration = $9, by_person = $10, created = $11, state = $12, stages = $13, decisions = $14, grant_id = $15,
		version = version + 1 WHERE id = $1 AND version = $16 RETURNING ` + requestColumns
	requestsOf = `SELECT ` + requestColumns + ` FROM requests`
)

func scanRequest(r row) (grant.Request, error) {
	var q grant.Request
	var micros int64
	err := r.Scan(&q.ID, &q.Organization, &q.Application, &q.Environment, &q.Product, &q.Plan, from[[]string]{&q.Scopes}, &q.Purpose,
		&micros, &q.By, when{&q.Created}, &q.State, from[[]grant.Stage]{&q.Stages}, from[[]grant.Decision]{&q.Decisions}, &q.Grant,
		&q.Version)
	q.Duration = time.Duration(micros) * time.Microsecond
	return q, err
}

func (t *tx) Request(ctx context.Context, i id.ID) (grant.Request, error) {
	return get(ctx, t, scanRequest, "access request", requestGet, string(i))
}

func (t *tx) PutRequest(ctx context.Context, r grant.Request) (grant.Request, error) {
	return put(ctx, t, scanRequest, "access request", requestInsert, requestUpdate, requestHas, string(r.ID), string(r.Organization),
		string(r.Application), r.Environment, r.Product, r.Plan, doc(r.Scopes), r.Purpose, r.Duration.Microseconds(), string(r.By),
		at(r.Created), string(r.State), doc(r.Stages), doc(r.Decisions), string(r.Grant), r.Version)
}

func (t *tx) Requests(ctx context.Context, f grant.Filter, after id.ID, limit int) ([]grant.Request, error) {
	w := selected(f)
	q := requestsOf + w.page(string(after), limit)
	return all(ctx, t, scanRequest, q, w.args...)
}
