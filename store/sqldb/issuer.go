package sqldb

import (
	"context"
	"time"

	"gatehouse/credential"
	"gatehouse/secret"
)

const (
	issuerColumns = `environment, url, audience, keys, version`
	issuerGet     = `SELECT ` + issuerColumns + ` FROM issuers WHERE environment = $1`
	issuerHas     = `SELECT version FROM issuers WHERE environment = $1`
	issuerInsert  = `INSERT INTO issuers (` + issuerColumns + `) VALUES ($1, $2, $3, $4, $5 + 1) RETURNING ` + issuerColumns
	issuerUpdate  = `UPDATE issuers SET url = $2, audience = $3, keys = $4, version = version + 1
		WHERE environment = $1 AND version = $5 RETURNING ` + issuerColumns
	denialAdd = `INSERT INTO denials (environment, mark, expires) VALUES ($1, $2, $3) ON CONFLICT (environment, mark) DO NOTHING`
	denialHas = `SELECT COUNT(*) FROM denials WHERE environment = $1 AND mark = $2`
	markTake  = `INSERT INTO marks (mark, expires) VALUES ($1, $2)
		ON CONFLICT (mark) DO UPDATE SET expires = excluded.expires WHERE marks.expires <= $3`
	marksSweep = `DELETE FROM marks WHERE mark IN (SELECT mark FROM marks WHERE expires <= $1 ORDER BY expires LIMIT $2)`
)

func scanIssuer(r row) (i credential.Issuer, err error) {
	err = r.Scan(&i.Environment, &i.URL, &i.Audience, from[[]credential.SigningKey]{&i.Keys}, &i.Version)
	return i, err
}

func (t *tx) Issuer(ctx context.Context, environment string) (credential.Issuer, error) {
	return get(ctx, t, scanIssuer, "issuer", issuerGet, environment)
}

func (t *tx) PutIssuer(ctx context.Context, i credential.Issuer) (credential.Issuer, error) {
	return put(ctx, t, scanIssuer, "issuer", issuerInsert, issuerUpdate, issuerHas, i.Environment, i.URL, i.Audience, doc(i.Keys), i.Version)
}

func (t *tx) Deny(ctx context.Context, d credential.Denial) error {
	_, err := t.exec(ctx, denialAdd, d.Environment, d.Mark[:], at(d.Expires))
	return err
}

func (t *tx) Denied(ctx context.Context, environment string, mark secret.Hash) (bool, error) {
	n, err := one(ctx, t, scanInt, denialHas, environment, mark[:])
	return n > 0, err
}

func (t *tx) Take(ctx context.Context, mark secret.Hash, expires, now time.Time) (bool, error) {
	n, err := t.exec(ctx, markTake, mark[:], at(expires), at(now))
	return n > 0, err
}

func (t *tx) SweepMarks(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := t.exec(ctx, marksSweep, at(now), first(limit))
	return int(n), err
}
