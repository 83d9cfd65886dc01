package sqldb

import (
	"context"
	"encoding/json"

	"gatehouse/feed"
)

const (
	clockPut = `INSERT INTO feed_clock (id, word, signature) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET word = excluded.word, signature = excluded.signature`
	clockGet = `SELECT word, signature FROM feed_clock WHERE id = 1`
)

func (t *tx) PutFeedClock(ctx context.Context, c feed.Signed) error {
	_, err := t.exec(ctx, clockPut, string(c.Word), blob(c.Signature))
	return err
}

func (t *tx) FeedClock(ctx context.Context) (feed.Signed, error) {
	return get(ctx, t, func(r row) (c feed.Signed, err error) {
		var word string
		err = r.Scan(&word, &c.Signature)
		c.Word = json.RawMessage(word)
		return c, err
	}, "clock of the feeds", clockGet)
}
