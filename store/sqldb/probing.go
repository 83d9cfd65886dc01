package sqldb

import (
	"context"

	"gatehouse/feed"
	"gatehouse/id"
)

const (
	probingGet    = `SELECT probing, version FROM probings WHERE organization = $1`
	probingHas    = `SELECT version FROM probings WHERE organization = $1`
	probingInsert = `INSERT INTO probings (organization, probing, version) VALUES ($1, $2, $3 + 1) RETURNING probing, version`
	probingUpdate = `UPDATE probings SET probing = $2, version = version + 1 WHERE organization = $1 AND version = $3 RETURNING probing, version`
)

func scanProbing(r row) (p feed.Probing, err error) {
	var version int64
	err = r.Scan(from[feed.Probing]{&p}, &version)
	p.Version = version
	return p, err
}

func (t *tx) Probing(ctx context.Context, organization id.ID) (feed.Probing, error) {
	return get(ctx, t, scanProbing, "offboarding", probingGet, string(organization))
}

func (t *tx) PutProbing(ctx context.Context, p feed.Probing) (feed.Probing, error) {
	return put(ctx, t, scanProbing, "offboarding", probingInsert, probingUpdate, probingHas, string(p.Organization), doc(p), p.Version)
}
