package sqldb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/notice"
	"gatehouse/webhook"
)

const (
	endpointColumns = `id, organization, url, kinds, state, reason, created, by_person, secret, old_secret, old_until, version`
	endpointGet     = `SELECT ` + endpointColumns + ` FROM webhook_endpoints WHERE id = $1`
	endpointHas     = `SELECT version FROM webhook_endpoints WHERE id = $1`
	endpointInsert  = `INSERT INTO webhook_endpoints (` + endpointColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1) RETURNING ` + endpointColumns
	endpointUpdate = `UPDATE webhook_endpoints SET organization = $2, url = $3, kinds = $4, state = $5, reason = $6, created = $7,
		by_person = $8, secret = $9, old_secret = $10, old_until = $11, version = version + 1 WHERE id = $1 AND version = $12
		RETURNING ` + endpointColumns
	endpointsOf = `SELECT ` + endpointColumns + ` FROM webhook_endpoints`
)

func scanEndpoint(r row) (e webhook.Endpoint, err error) {
	err = r.Scan(&e.ID, &e.Organization, &e.URL, from[[]string]{&e.Kinds}, &e.State, &e.Reason, when{&e.Created}, &e.By, &e.Secret,
		&e.Old, when{&e.OldUntil}, &e.Version)
	return e, err
}

func (t *tx) PutEndpoint(ctx context.Context, e webhook.Endpoint) (webhook.Endpoint, error) {
	return put(ctx, t, scanEndpoint, "webhook", endpointInsert, endpointUpdate, endpointHas, string(e.ID), string(e.Organization), e.URL,
		doc(e.Kinds), string(e.State), e.Reason, at(e.Created), string(e.By), e.Secret, e.Old, at(e.OldUntil), e.Version)
}

func (t *tx) Endpoint(ctx context.Context, i id.ID) (webhook.Endpoint, error) {
	return get(ctx, t, scanEndpoint, "webhook", endpointGet, string(i))
}

func (t *tx) EndpointsOf(ctx context.Context, organization, after id.ID, limit int) ([]webhook.Endpoint, error) {
	key := ""
	if t.shared != nil {
		key = fmt.Sprint(organization, " ", after, " ", limit)
		if es, known := t.shared.endpoints[key]; known {
			return slices.Clone(es), nil
		}
	}
	var w where
	w.must(`organization = $`, string(organization))
	w.must(`state <> $`, string(webhook.Ended))
	q := endpointsOf + w.page(string(after), limit)
	es, err := all(ctx, t, scanEndpoint, q, w.args...)
	if err == nil && t.shared != nil {
		if t.shared.endpoints == nil {
			t.shared.endpoints = map[string][]webhook.Endpoint{}
		}
		t.shared.endpoints[key] = slices.Clone(es)
	}
	return es, err
}

const (
	deliveryColumns = `id, message, endpoint, organization, type, body, at, tries, given_up, problem`
	deliveryAdd     = `INSERT INTO webhook_deliveries (message, endpoint, organization, type, body, at, tries, next_try, given_up, problem)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, '')`
	deliveriesClaim = `UPDATE webhook_deliveries SET next_try = $2, tries = tries + 1
		WHERE id IN (SELECT id FROM webhook_deliveries WHERE given_up = 0 AND next_try <= $1 ORDER BY next_try, id LIMIT $3)
		RETURNING ` + deliveryColumns
	deliveryDone      = `DELETE FROM webhook_deliveries WHERE id = $1`
	deliveryFailed    = `UPDATE webhook_deliveries SET problem = $2, next_try = $3, given_up = $4 WHERE id = $1`
	deliveryGet       = `SELECT ` + deliveryColumns + ` FROM webhook_deliveries WHERE id = $1`
	deliveryAgain     = `UPDATE webhook_deliveries SET tries = 0, next_try = $2, given_up = 0 WHERE id = $1 AND given_up = 1`
	deliveriesGivenUp = `SELECT ` + deliveryColumns + ` FROM webhook_deliveries WHERE given_up = 1 AND endpoint = $1 AND id > $2 ORDER BY id LIMIT $3`
)

func scanDelivery(r row) (d webhook.Delivery, err error) {
	err = r.Scan(&d.ID, &d.Message, &d.Endpoint, &d.Organization, &d.Type, &d.Body, when{&d.At}, &d.Tries, &d.GivenUp, &d.Problem)
	return d, err
}

func (t *tx) AddDelivery(ctx context.Context, d webhook.Delivery) error {
	_, err := t.exec(ctx, deliveryAdd, d.Message, string(d.Endpoint), string(d.Organization), d.Type, blob(d.Body), at(d.At))
	return err
}

func (t *tx) ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]webhook.Delivery, error) {
	if !t.write {
		return nil, fault.New(fault.Internal, "a view changes nothing")
	}
	ds, err := all(ctx, t, scanDelivery, deliveriesClaim, at(now), at(now.Add(lease)), first(limit))
	slices.SortFunc(ds, func(a, b webhook.Delivery) int { return cmp.Compare(a.ID, b.ID) }) // RETURNING promises no order
	return ds, err
}

func (t *tx) DeliveryDone(ctx context.Context, i int64) error {
	_, err := t.exec(ctx, deliveryDone, i)
	return err
}

func (t *tx) DeliveryFailed(ctx context.Context, i int64, problem string, again time.Time) error {
	_, err := t.exec(ctx, deliveryFailed, i, problem, at(again), flag(again.IsZero()))
	return err
}

func (t *tx) Delivery(ctx context.Context, i int64) (webhook.Delivery, error) {
	return get(ctx, t, scanDelivery, "delivery", deliveryGet, i)
}

func (t *tx) DeliverAgain(ctx context.Context, i int64, now time.Time) error {
	n, err := t.exec(ctx, deliveryAgain, i, at(now))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "there is no such delivery that was given up")
	}
	return err
}

func (t *tx) GivenUpDeliveries(ctx context.Context, endpoint id.ID, after int64, limit int) ([]webhook.Delivery, error) {
	return all(ctx, t, scanDelivery, deliveriesGivenUp, string(endpoint), after, first(limit))
}

const (
	markGet = `SELECT kind, days, ends, object FROM notice_marks WHERE kind = $1 AND days = $2`
	markPut = `INSERT INTO notice_marks (kind, days, ends, object) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, days) DO UPDATE SET ends = excluded.ends, object = excluded.object`
	grantsEnding = `SELECT id, organization, application, environment, product, starts, ends FROM grants
		WHERE state = 'active' AND (ends, id) > ($1, $2) AND ends <= $3 ORDER BY ends, id LIMIT $4`
	credentialsEnding = `SELECT id, organization, application, environment, name, created, expires FROM credentials
		WHERE state IN ('active', 'suspended') AND (expires, id) > ($1, $2) AND expires <= $3 ORDER BY expires, id LIMIT $4`
)

func (t *tx) Mark(ctx context.Context, k notice.Kind, days int) (notice.Mark, error) {
	return get(ctx, t, func(r row) (m notice.Mark, err error) {
		err = r.Scan(&m.Kind, &m.Days, when{&m.End}, &m.Object)
		return m, err
	}, "mark", markGet, string(k), int64(days))
}

func (t *tx) PutMark(ctx context.Context, m notice.Mark) error {
	_, err := t.exec(ctx, markPut, string(m.Kind), int64(m.Days), at(m.End), string(m.Object))
	return err
}

func (t *tx) Ending(ctx context.Context, m notice.Mark, through time.Time, limit int) ([]notice.Ending, error) {
	q := grantsEnding
	if m.Kind == notice.Credential {
		q = credentialsEnding
	}
	return all(ctx, t, func(r row) (e notice.Ending, err error) {
		err = r.Scan(&e.Object, &e.Organization, &e.Application, &e.Environment, &e.Name, when{&e.Created}, when{&e.End})
		return e, err
	}, q, at(m.End), string(m.Object), at(through), first(limit))
}
