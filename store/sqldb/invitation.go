package sqldb

import (
	"context"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

const (
	invitationColumns = `id, organization, email, roles, by_person, hash, created, expires, accepted, person, withdrawn, version`
	invitationGet     = `SELECT ` + invitationColumns + ` FROM invitations WHERE id = $1`
	invitationByHash  = `SELECT ` + invitationColumns + ` FROM invitations WHERE hash = $1`
	invitationHas     = `SELECT version FROM invitations WHERE id = $1`
	invitationInsert  = `INSERT INTO invitations (` + invitationColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1) RETURNING ` + invitationColumns
	invitationUpdate = `UPDATE invitations SET organization = $2, email = $3, roles = $4, by_person = $5, hash = $6, created = $7,
		expires = $8, accepted = $9, person = $10, withdrawn = $11, version = version + 1 WHERE id = $1 AND version = $12
		RETURNING ` + invitationColumns
	invitationsOf = `SELECT ` + invitationColumns + ` FROM invitations`
)

func scanInvitation(r row) (i identity.Invitation, err error) {
	err = r.Scan(&i.ID, &i.Organization, &i.Email, from[[]identity.Role]{&i.Roles}, &i.By, hash{&i.Hash}, when{&i.Created},
		when{&i.Expires}, when{&i.Accepted}, &i.Person, when{&i.Withdrawn}, &i.Version)
	return i, err
}

func (t *tx) PutInvitation(ctx context.Context, i identity.Invitation) (identity.Invitation, error) {
	return put(ctx, t, scanInvitation, "invitation", invitationInsert, invitationUpdate, invitationHas, string(i.ID),
		string(i.Organization), i.Email, doc(i.Roles), string(i.By), i.Hash[:], at(i.Created), at(i.Expires), at(i.Accepted),
		string(i.Person), at(i.Withdrawn), i.Version)
}

func (t *tx) Invitation(ctx context.Context, i id.ID) (identity.Invitation, error) {
	return get(ctx, t, scanInvitation, "invitation", invitationGet, string(i))
}

func (t *tx) InvitationByHash(ctx context.Context, h secret.Hash) (identity.Invitation, error) {
	return get(ctx, t, scanInvitation, "invitation", invitationByHash, h[:])
}

func (t *tx) InvitationsOf(ctx context.Context, organization, after id.ID, limit int) ([]identity.Invitation, error) {
	var w where
	w.must(`organization = $`, string(organization))
	q := invitationsOf + w.page(string(after), limit)
	return all(ctx, t, scanInvitation, q, w.args...)
}
