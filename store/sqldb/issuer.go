package sqldb

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
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
	markTake  = `INSERT INTO marks (mark, expires) VALUES `
	markTaken = `
		ON CONFLICT (mark) DO UPDATE SET expires = excluded.expires WHERE marks.expires <= $%d RETURNING mark`
	// Grants are never deleted and their versions only grow: so does the sum, with each change and each new one.
	clientVersions = `SELECT c.version, COALESCE(a.version, 0), COALESCE(o.version, 0),
		(SELECT CAST(COALESCE(SUM(g.version), 0) AS BIGINT) FROM grants g WHERE g.application = c.application),
		COALESCE(i.version, 0), COALESCE(e.revision, 0), COALESCE(e.epoch, 0)
		FROM credentials c LEFT JOIN applications a ON a.id = c.application LEFT JOIN organizations o ON o.id = c.organization
		LEFT JOIN issuers i ON i.environment = c.environment LEFT JOIN environments e ON e.name = c.environment WHERE c.id = $1`
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

func (t *tx) ClientVersions(ctx context.Context, i id.ID) (credential.Versions, error) {
	return get(ctx, t, func(r row) (v credential.Versions, err error) {
		err = r.Scan(&v.Credential, &v.Application, &v.Organization, &v.Grants, &v.Issuer, &v.Revision, &v.Epoch)
		return v, err
	}, "credential", clientVersions, string(i))
}

func (t *tx) Take(ctx context.Context, marks []credential.Mark, now time.Time) ([]bool, error) {
	if !t.write {
		return nil, fault.New(fault.Internal, "a view changes nothing")
	}
	until := map[secret.Hash]int64{} // a statement must not change a row twice
	for _, m := range marks {
		if _, twice := until[m.Hash]; !twice {
			until[m.Hash] = at(m.Expires)
		}
	}
	order := sorted(until, func(a, b secret.Hash) int { return bytes.Compare(a[:], b[:]) })
	fresh := make(map[secret.Hash]bool, len(order))
	for _, n := range t.d.rows {
		q := markTake + brackets(n, 2) + fmt.Sprintf(markTaken, 2*n+1)
		for ; len(order) >= n; order = order[n:] {
			args := make([]any, 0, 2*n+1)
			for i := range n {
				args = append(args, order[i][:], until[order[i]])
			}
			taken, err := all(ctx, t, scanMark, q, append(args, at(now))...)
			if err != nil {
				return nil, err
			}
			for _, m := range taken {
				fresh[m] = true
			}
		}
	}
	out := make([]bool, len(marks))
	for i, m := range marks {
		out[i] = fresh[m.Hash]
		delete(fresh, m.Hash) // of equal ones the first
	}
	return out, nil
}

func scanMark(r row) (m secret.Hash, err error) {
	err = r.Scan(hash{&m})
	return m, err
}

func (t *tx) SweepMarks(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := t.exec(ctx, marksSweep, at(now), first(limit))
	return int(n), err
}
