package sqldb

import (
	"context"

	"gatehouse/audit"
	"gatehouse/id"
	"gatehouse/identity"
)

const (
	invitationsTo = `SELECT ` + invitationColumns + ` FROM invitations`

	forgetLinks       = `DELETE FROM links WHERE person = $1`
	forgetDevices     = `DELETE FROM devices WHERE person = $1`
	forgetOnce        = `DELETE FROM once WHERE person = $1`
	forgetCeremonies  = `DELETE FROM ceremonies WHERE person = $1`
	forgetLetters     = `DELETE FROM letters WHERE recipient = $1`
	forgetInvitations = `UPDATE invitations SET email = $2 WHERE email = $1`

	// An entry's personal values are of who acted (actor.…, and the program that they signed in with) or of what it is about.
	ofActor         = `(substr(name, 1, 6) = 'actor.' OR name = 'user_agent')`
	eraseOfActor    = `UPDATE audit_personal SET value = '', salt = $2 WHERE value <> '' AND ` + ofActor + ` AND entry IN (SELECT id FROM audit_entries WHERE actor = $1)`
	eraseOfObject   = `UPDATE audit_personal SET value = '', salt = $2 WHERE value <> '' AND NOT ` + ofActor + ` AND entry IN (SELECT id FROM audit_entries WHERE object = $1)`
	eraseOfValue    = `UPDATE audit_personal SET value = '', salt = $2 WHERE value = $1`
	eraseOfStranger = `UPDATE audit_personal SET value = '', salt = $2 WHERE value <> '' AND entry IN (SELECT id FROM audit_entries WHERE actor = 'anonymous'
		AND request_id IN (SELECT request_id FROM audit_entries WHERE object = $1 AND actor = 'anonymous' AND request_id <> ''))`
)

func (t *tx) InvitationsTo(ctx context.Context, email string, after id.ID, limit int) ([]identity.Invitation, error) {
	var w where
	w.must(`email = $`, email)
	q := invitationsTo + w.page(string(after), limit)
	return all(ctx, t, scanInvitation, q, w.args...)
}

func (t *tx) ForgetPerson(ctx context.Context, person id.ID, email, instead string) error {
	for _, q := range []string{forgetLinks, forgetDevices, forgetOnce, forgetCeremonies} {
		if _, err := t.exec(ctx, q, string(person)); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, forgetLetters, email); err != nil {
		return err
	}
	_, err := t.exec(ctx, forgetInvitations, email, instead)
	return err
}

func (t *tx) ErasePersonalOf(ctx context.Context, e audit.Erasure) (int, error) {
	total := 0
	erase := func(q, of string) error {
		if of == "" {
			return nil
		}
		n, err := t.exec(ctx, q, of, []byte{})
		total += int(n)
		return err
	}
	for _, q := range []string{eraseOfObject, eraseOfStranger} {
		if err := erase(q, string(e.Object)); err != nil {
			return total, err
		}
	}
	for _, actor := range e.Actors {
		if err := erase(eraseOfActor, actor); err != nil {
			return total, err
		}
	}
	for _, v := range e.Values {
		if err := erase(eraseOfValue, v); err != nil {
			return total, err
		}
	}
	return total, nil
}
