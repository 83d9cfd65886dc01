package sqldb

import (
	"context"

	"gatehouse/id"
	"gatehouse/organization"
)

const (
	organizationColumns = `id, name, website, country, register, state, reason, created, verified, verified_by, region, version`
	organizationGet     = `SELECT ` + organizationColumns + ` FROM organizations WHERE id = $1`
	organizationHas     = `SELECT version FROM organizations WHERE id = $1`
	organizationInsert  = `INSERT INTO organizations (id, name, name_key, website, country, register, state, reason, created, verified,
		verified_by, region, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 + 1) RETURNING ` + organizationColumns
	organizationUpdate = `UPDATE organizations SET name = $2, name_key = $3, website = $4, country = $5, register = $6, state = $7,
		reason = $8, created = $9, verified = $10, verified_by = $11, region = $12,
		version = version + 1 WHERE id = $1 AND version = $13 RETURNING ` + organizationColumns
	organizationsPinned = `SELECT DISTINCT region FROM organizations WHERE region <> '' ORDER BY region`
	organizationsOf     = `SELECT ` + organizationColumns + ` FROM organizations`
)

func scanOrganization(r row) (o organization.Organization, err error) {
	err = r.Scan(&o.ID, &o.Name, &o.Website, &o.Country, &o.Register, &o.State, &o.Reason, when{&o.Created}, when{&o.Verified},
		&o.VerifiedBy, &o.Region, &o.Version)
	return o, err
}

func (t *tx) Organization(ctx context.Context, i id.ID) (organization.Organization, error) {
	return get(ctx, t, scanOrganization, "organization", organizationGet, string(i))
}

func (t *tx) PutOrganization(ctx context.Context, o organization.Organization) (organization.Organization, error) {
	return put(ctx, t, scanOrganization, "organization", organizationInsert, organizationUpdate, organizationHas, string(o.ID), o.Name,
		key(o.Name), o.Website, o.Country, o.Register, string(o.State), o.Reason, at(o.Created), at(o.Verified), string(o.VerifiedBy),
		o.Region, o.Version)
}

func (t *tx) OrganizationsByID(ctx context.Context, is []id.ID) ([]organization.Organization, error) {
	return among(ctx, t, scanOrganization, organizationsOf+` WHERE id`, is)
}

func (t *tx) Organizations(ctx context.Context, s organization.State, search string, after id.ID, limit int) ([]organization.Organization, error) {
	var w where
	w.and(`state = $`, string(s))
	w.and(t.d.contains(`name_key`, `$`), key(search))
	q := organizationsOf + w.page(string(after), limit)
	return all(ctx, t, scanOrganization, q, w.args...)
}

func (t *tx) Pinned(ctx context.Context) ([]string, error) {
	return all(ctx, t, func(r row) (s string, err error) { err = r.Scan(&s); return s, err }, organizationsPinned)
}
