package sqldb

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/session"
)

const (
	sessionColumns = `id, hash, person, created, last_seen, expires, address, user_agent, how, proven, confirmed`
	sessionAdd     = `INSERT INTO sessions (` + sessionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	sessionByHash  = `SELECT ` + sessionColumns + ` FROM sessions WHERE hash = $1`
	sessionTouch   = `UPDATE sessions SET last_seen = $2 WHERE id = $1 AND last_seen < $2`
	sessionConfirm = `UPDATE sessions SET confirmed = $2 WHERE id = $1`
	sessionProve   = `UPDATE sessions SET confirmed = $2, proven = $3 WHERE id = $1`
	sessionEnd     = `DELETE FROM sessions WHERE id = $1`
	sessionsEnd    = `DELETE FROM sessions WHERE person = $1 AND id <> $2`
	sessionsOf     = `SELECT ` + sessionColumns + ` FROM sessions WHERE person = $1 ORDER BY created DESC, id DESC`
)

func scanSession(r row) (s session.Session, err error) {
	err = r.Scan(&s.ID, hash{&s.Hash}, &s.Person, when{&s.Created}, when{&s.LastSeen}, when{&s.Expires}, &s.Address, &s.UserAgent,
		&s.How, when{&s.Proven}, when{&s.Confirmed})
	return s, err
}

func (t *tx) AddSession(ctx context.Context, s session.Session) error {
	_, err := t.exec(ctx, sessionAdd, string(s.ID), s.Hash[:], string(s.Person), at(s.Created), at(s.LastSeen), at(s.Expires), s.Address,
		s.UserAgent, s.How, at(s.Proven), at(s.Confirmed))
	return err
}

func (t *tx) SessionByHash(ctx context.Context, h secret.Hash) (session.Session, error) {
	return get(ctx, t, scanSession, "session", sessionByHash, h[:])
}

func (t *tx) TouchSession(ctx context.Context, i id.ID, seen time.Time) error {
	_, err := t.exec(ctx, sessionTouch, string(i), at(seen))
	return err
}

func (t *tx) ConfirmSession(ctx context.Context, i id.ID, confirmed, proven time.Time) error {
	var err error
	if proven.IsZero() {
		_, err = t.exec(ctx, sessionConfirm, string(i), at(confirmed))
	} else {
		_, err = t.exec(ctx, sessionProve, string(i), at(confirmed), at(proven))
	}
	return err
}

func (t *tx) EndSession(ctx context.Context, i id.ID) error {
	_, err := t.exec(ctx, sessionEnd, string(i))
	return err
}

func (t *tx) EndSessionsOf(ctx context.Context, person, keep id.ID) (int, error) {
	n, err := t.exec(ctx, sessionsEnd, string(person), string(keep))
	return int(n), err
}

func (t *tx) SessionsOf(ctx context.Context, person id.ID) ([]session.Session, error) {
	return all(ctx, t, scanSession, sessionsOf, string(person))
}
