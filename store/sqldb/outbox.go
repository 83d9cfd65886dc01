package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/mail"
	"gatehouse/session"
	"gatehouse/store"
)

const (
	letterAdd = `INSERT INTO letters (recipient, subject, body, at, tries, next_try, given_up, problem)
		VALUES ($1, $2, $3, $4, 0, 0, 0, '')`
	lettersClaim = `UPDATE letters SET next_try = $2, tries = tries + 1
		WHERE id IN (SELECT id FROM letters WHERE given_up = 0 AND next_try <= $1 ORDER BY next_try, id LIMIT $3)
		RETURNING id, tries, problem, recipient, subject, body, at`
	lettersGivenUp = `SELECT id, tries, problem, recipient, subject, body, at FROM letters WHERE given_up = 1 AND id > $1
		ORDER BY id LIMIT $2`
	letterSent   = `DELETE FROM letters WHERE id = $1`
	letterFailed = `UPDATE letters SET problem = $2, next_try = $3, given_up = $4 WHERE id = $1`
)

func (t *tx) AddLetter(ctx context.Context, l mail.Letter) error {
	_, err := t.exec(ctx, letterAdd, l.To, l.Subject, l.Text, at(l.At))
	return err
}

func (t *tx) ClaimLetters(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]store.Posted, error) {
	if !t.write {
		return nil, fault.New(fault.Internal, "a view changes nothing")
	}
	ls, err := all(ctx, t, scanPosted, lettersClaim, at(now), at(now.Add(lease)), first(limit))
	slices.SortFunc(ls, func(a, b store.Posted) int { return cmp.Compare(a.ID, b.ID) }) // RETURNING promises no order
	return ls, err
}

func scanPosted(r row) (p store.Posted, err error) {
	err = r.Scan(&p.ID, &p.Tries, &p.Problem, &p.To, &p.Subject, &p.Text, when{&p.At})
	return p, err
}

func (t *tx) GivenUp(ctx context.Context, after int64, limit int) ([]store.Posted, error) {
	return all(ctx, t, scanPosted, lettersGivenUp, after, first(limit))
}

func (t *tx) LetterSent(ctx context.Context, i int64) error {
	_, err := t.exec(ctx, letterSent, i)
	return err
}

func (t *tx) LetterFailed(ctx context.Context, i int64, problem string, again time.Time) error {
	_, err := t.exec(ctx, letterFailed, i, problem, at(again), flag(again.IsZero()))
	return err
}

const (
	onceGet = `SELECT object FROM once WHERE person = $1 AND form = $2`
	onceSet = `INSERT INTO once (person, form, object, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person, form) DO UPDATE SET object = excluded.object`
)

func (t *tx) Once(ctx context.Context, person id.ID, form string, object id.ID, now time.Time) (id.ID, error) {
	if form == "" {
		return "", nil
	}
	made, err := one(ctx, t, scanText, onceGet, string(person), form)
	switch {
	case err == nil && made != "":
		return id.ID(made), nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return "", err
	}
	_, err = t.exec(ctx, onceSet, string(person), form, string(object), at(now))
	return "", err
}

// keepOnce is how long a form that was sent is remembered: longer than a page stays open.
const keepOnce = 7 * 24 * time.Hour

const (
	sweepSessions   = `DELETE FROM sessions WHERE expires <= $1 OR last_seen <= $2`
	sweepLinks      = `DELETE FROM links WHERE expires <= $1 OR used <> 0`
	sweepDevices    = `DELETE FROM devices WHERE expires <= $1`
	sweepDenials    = `DELETE FROM denials WHERE expires <= $1`
	sweepCeremonies = `DELETE FROM ceremonies WHERE expires <= $1`
	sweepOnce       = `DELETE FROM once WHERE at <= $1`
)

func (t *tx) Sweep(ctx context.Context, now time.Time) error {
	_, err := t.exec(ctx, sweepSessions, at(now), at(now.Add(-session.Idle)))
	for _, q := range []string{sweepLinks, sweepDevices, sweepDenials, sweepCeremonies, triesSweep} {
		if err == nil {
			_, err = t.exec(ctx, q, at(now))
		}
	}
	if err == nil {
		_, err = t.exec(ctx, sweepOnce, at(now.Add(-keepOnce)))
	}
	if err == nil {
		_, err = t.exec(ctx, batchSweep, at(now.Add(-batchesKept)))
	}
	return err
}
