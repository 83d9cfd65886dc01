package sqldb

import (
	"context"
	"time"

	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/secret"
)

const (
	gatewayColumns = `id, environment, name, state, key_digest, created, created_by, expires, ended, reason, region, version`
	gatewayGet     = `SELECT ` + gatewayColumns + ` FROM gateways WHERE id = $1`
	gatewayHas     = `SELECT version FROM gateways WHERE id = $1`
	gatewayInsert  = `INSERT INTO gateways (` + gatewayColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1) RETURNING ` + gatewayColumns
	gatewayUpdate = `UPDATE gateways SET environment = $2, name = $3, state = $4, key_digest = $5, created = $6, created_by = $7,
		expires = $8, ended = $9, reason = $10, region = $11, version = version + 1 WHERE id = $1 AND version = $12 RETURNING ` + gatewayColumns
	gatewaysOf = `SELECT ` + gatewayColumns + ` FROM gateways`

	enrolmentColumns = `id, environment, name, hash, created, created_by, expires, used, gateway, region, version`
	enrolmentByHash  = `SELECT ` + enrolmentColumns + ` FROM gateway_enrolments WHERE hash = $1`
	enrolmentHas     = `SELECT version FROM gateway_enrolments WHERE id = $1`
	enrolmentInsert  = `INSERT INTO gateway_enrolments (` + enrolmentColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 + 1) RETURNING ` + enrolmentColumns
	enrolmentUpdate = `UPDATE gateway_enrolments SET environment = $2, name = $3, hash = $4, created = $5, created_by = $6,
		expires = $7, used = $8, gateway = $9, region = $10, version = version + 1 WHERE id = $1 AND version = $11 RETURNING ` + enrolmentColumns

	anchorColumns = `number, made, signs, ends`
	anchorsAll    = `SELECT ` + anchorColumns + ` FROM gateway_anchors ORDER BY number`
	anchorPut     = `INSERT INTO gateway_anchors (` + anchorColumns + `) VALUES ($1, $2, $3, $4)
		ON CONFLICT (number) DO UPDATE SET made = excluded.made, signs = excluded.signs, ends = excluded.ends`

	sightingColumns = `environment, gateway, id, version, protocol, address, skew, heard, connected, trouble`
	sightingPut     = `INSERT INTO gateway_sightings (` + sightingColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (environment, gateway) DO UPDATE SET id = excluded.id, version = excluded.version, protocol = excluded.protocol,
		address = excluded.address, skew = excluded.skew, heard = excluded.heard, connected = excluded.connected, trouble = excluded.trouble`
	refusalColumns = `environment, gateway, address, code, id, text, version, first, last, times`
	refusalAdd     = `INSERT INTO gateway_refusals (` + refusalColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (environment, gateway, address, code) DO UPDATE SET id = excluded.id, text = excluded.text, version = excluded.version,
		last = excluded.last, times = gateway_refusals.times + excluded.times`
	refusalsForget = `DELETE FROM gateway_refusals WHERE last < (SELECT MIN(last) FROM (SELECT last FROM gateway_refusals ORDER BY last DESC LIMIT $1) AS kept)`
	refusalsNewest = `SELECT ` + refusalColumns + ` FROM gateway_refusals ORDER BY last DESC, environment, gateway, address, code LIMIT $1`
	sightingsOf    = `SELECT ` + sightingColumns + ` FROM gateway_sightings WHERE environment = $1 ORDER BY gateway`
)

func scanGateway(r row) (g fleet.Gateway, err error) {
	err = r.Scan(&g.ID, &g.Environment, &g.Name, &g.State, &g.Key, when{&g.Created}, &g.CreatedBy, when{&g.Expires}, when{&g.Ended}, &g.Reason, &g.Region, &g.Version)
	return g, err
}

func (t *tx) Gateway(ctx context.Context, i id.ID) (fleet.Gateway, error) {
	return get(ctx, t, scanGateway, "gateway", gatewayGet, string(i))
}

func (t *tx) Gateways(ctx context.Context, environment string, after id.ID, limit int) ([]fleet.Gateway, error) {
	var w where
	w.and(`environment = $`, environment)
	q := gatewaysOf + w.page(string(after), limit)
	return all(ctx, t, scanGateway, q, w.args...)
}

func (t *tx) PutGateway(ctx context.Context, g fleet.Gateway) (fleet.Gateway, error) {
	return put(ctx, t, scanGateway, "gateway", gatewayInsert, gatewayUpdate, gatewayHas, string(g.ID), g.Environment, g.Name, string(g.State),
		g.Key, at(g.Created), string(g.CreatedBy), at(g.Expires), at(g.Ended), g.Reason, g.Region, g.Version)
}

func scanEnrolment(r row) (e fleet.Enrolment, err error) {
	err = r.Scan(&e.ID, &e.Environment, &e.Name, hash{&e.Hash}, when{&e.Created}, &e.CreatedBy, when{&e.Expires}, when{&e.Used}, &e.Gateway, &e.Region, &e.Version)
	return e, err
}

func (t *tx) EnrolmentByHash(ctx context.Context, h secret.Hash) (fleet.Enrolment, error) {
	return get(ctx, t, scanEnrolment, "enrolment", enrolmentByHash, h[:])
}

func (t *tx) PutEnrolment(ctx context.Context, e fleet.Enrolment) (fleet.Enrolment, error) {
	return put(ctx, t, scanEnrolment, "enrolment", enrolmentInsert, enrolmentUpdate, enrolmentHas, string(e.ID), e.Environment, e.Name, e.Hash[:],
		at(e.Created), string(e.CreatedBy), at(e.Expires), at(e.Used), string(e.Gateway), e.Region, e.Version)
}

func (t *tx) Anchors(ctx context.Context) ([]fleet.Anchor, error) {
	return all(ctx, t, func(r row) (a fleet.Anchor, err error) {
		err = r.Scan(&a.Number, when{&a.Made}, when{&a.Signs}, when{&a.Ends})
		return a, err
	}, anchorsAll)
}

func (t *tx) PutAnchor(ctx context.Context, a fleet.Anchor) error {
	_, err := t.exec(ctx, anchorPut, a.Number, at(a.Made), at(a.Signs), at(a.Ends))
	return err
}

func (t *tx) PutSighting(ctx context.Context, s fleet.Sighting) error {
	_, err := t.exec(ctx, sightingPut, s.Environment, s.Gateway, string(s.ID), s.Version, int64(s.Protocol), s.Address, s.Skew.Microseconds(),
		at(s.Heard), flag(s.Connected), s.Trouble)
	return err
}

func (t *tx) Sightings(ctx context.Context, environment string) ([]fleet.Sighting, error) {
	return all(ctx, t, func(r row) (s fleet.Sighting, err error) {
		var skew, connected int64
		err = r.Scan(&s.Environment, &s.Gateway, &s.ID, &s.Version, &s.Protocol, &s.Address, &skew, when{&s.Heard}, &connected, &s.Trouble)
		s.Skew, s.Connected = time.Duration(skew)*time.Microsecond, connected != 0
		return s, err
	}, sightingsOf, environment)
}

func (t *tx) AddRefusal(ctx context.Context, r fleet.Refusal) error {
	_, err := t.exec(ctx, refusalAdd, r.Environment, r.Gateway, r.Address, r.Code, string(r.ID), r.Text, r.Version, at(r.First), at(r.Last), r.Times)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, refusalsForget, int64(fleet.KeptRefusals))
	return err
}

func (t *tx) Refusals(ctx context.Context, limit int) ([]fleet.Refusal, error) {
	return all(ctx, t, func(r row) (f fleet.Refusal, err error) {
		err = r.Scan(&f.Environment, &f.Gateway, &f.Address, &f.Code, &f.ID, &f.Text, &f.Version, when{&f.First}, when{&f.Last}, &f.Times)
		return f, err
	}, refusalsNewest, limit)
}
