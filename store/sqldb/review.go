package sqldb

import (
	"context"

	"gatehouse/id"
	"gatehouse/review"
)

const (
	reviewGet    = `SELECT review, version FROM reviews WHERE id = $1`
	reviewHas    = `SELECT version FROM reviews WHERE id = $1`
	reviewInsert = `INSERT INTO reviews (id, state, review, version) VALUES ($1, $2, $3, $4 + 1) RETURNING review, version`
	reviewUpdate = `UPDATE reviews SET state = $2, review = $3, version = version + 1 WHERE id = $1 AND version = $4 RETURNING review, version`
	reviewsOf    = `SELECT review, version FROM reviews`

	reviewItemGet    = `SELECT item, version FROM review_items WHERE id = $1`
	reviewItemHas    = `SELECT version FROM review_items WHERE id = $1`
	reviewItemInsert = `INSERT INTO review_items (id, review, organization, grant_id, state, item, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7 + 1) RETURNING item, version`
	reviewItemUpdate = `UPDATE review_items SET review = $2, organization = $3, grant_id = $4, state = $5, item = $6, version = version + 1
		WHERE id = $1 AND version = $7 RETURNING item, version`
	reviewItemsOf = `SELECT item, version FROM review_items`
	reviewCounts  = `SELECT state, COUNT(*) FROM review_items`
)

func scanReview(r row) (v review.Review, err error) {
	var version int64
	err = r.Scan(from[review.Review]{&v}, &version)
	v.Version = version // the document has the one before
	return v, err
}

func scanReviewItem(r row) (i review.Item, err error) {
	var version int64
	err = r.Scan(from[review.Item]{&i}, &version)
	i.Version = version
	return i, err
}

func (t *tx) Review(ctx context.Context, i id.ID) (review.Review, error) {
	return get(ctx, t, scanReview, "review", reviewGet, string(i))
}

func (t *tx) PutReview(ctx context.Context, r review.Review) (review.Review, error) {
	return put(ctx, t, scanReview, "review", reviewInsert, reviewUpdate, reviewHas, string(r.ID), string(r.State), doc(r), r.Version)
}

func (t *tx) Reviews(ctx context.Context, s review.State, after id.ID, limit int) ([]review.Review, error) {
	var w where
	w.and(`state = $`, string(s))
	q := reviewsOf + w.page(string(after), limit)
	return all(ctx, t, scanReview, q, w.args...)
}

func (t *tx) ReviewItem(ctx context.Context, i id.ID) (review.Item, error) {
	return get(ctx, t, scanReviewItem, "item of a review", reviewItemGet, string(i))
}

func (t *tx) PutReviewItem(ctx context.Context, i review.Item) (review.Item, error) {
	return put(ctx, t, scanReviewItem, "item of a review", reviewItemInsert, reviewItemUpdate, reviewItemHas, string(i.ID), string(i.Review),
		string(i.Organization), string(i.Grant), string(i.State), doc(i), i.Version)
}

func (t *tx) ReviewItems(ctx context.Context, f review.Filter, after id.ID, limit int) ([]review.Item, error) {
	var w where
	w.and(`review = $`, string(f.Review))
	w.and(`organization = $`, string(f.Organization))
	w.and(`grant_id = $`, string(f.Grant))
	w.and(`state = $`, string(f.State))
	q := reviewItemsOf + w.page(string(after), limit)
	return all(ctx, t, scanReviewItem, q, w.args...)
}

func (t *tx) ReviewCounts(ctx context.Context, i, organization id.ID) (map[review.ItemState]int, error) {
	type count struct {
		state review.ItemState
		n     int
	}
	var w where
	w.must(`review = $`, string(i))
	w.and(`organization = $`, string(organization))
	list, err := all(ctx, t, func(r row) (c count, err error) {
		err = r.Scan(&c.state, &c.n)
		return c, err
	}, reviewCounts+w.text+` GROUP BY state`, w.args...)
	out := map[review.ItemState]int{}
	for _, c := range list {
		out[c.state] = c.n
	}
	return out, err
}
