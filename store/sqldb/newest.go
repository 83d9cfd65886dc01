package sqldb

import (
	"context"

	"gatehouse/feed"
)

const (
	newestColumns = `seq, epoch, kind, entity, version, payload, committed`
	entriesNewest = `SELECT ` + newestColumns + ` FROM feed_entries e WHERE environment = $1 AND seq > $2 AND seq <= $3
		AND NOT EXISTS (SELECT 1 FROM feed_entries n WHERE n.environment = e.environment AND n.kind = e.kind AND n.entity = e.entity
		AND n.seq > e.seq AND n.seq <= $3) ORDER BY seq LIMIT $4`
	entriesAmong = `SELECT ` + newestColumns + ` FROM feed_entries WHERE environment = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`
	// The inner one goes through feed_entries_of from end to end, whatever the numbers: seq with a sign is not looked up.
	entriesSuperseded = `SELECT e.seq FROM (SELECT kind, entity, MAX(seq) AS newest FROM feed_entries WHERE environment = $1 AND +seq <= $2
		GROUP BY kind, entity HAVING COUNT(*) > 1) n
		JOIN feed_entries e ON e.environment = $1 AND e.kind = n.kind AND e.entity = n.entity AND e.seq < n.newest`
)

// newest is what a transaction remembers from page to page of Newest.
type newest struct {
	environment string
	through     int64
	superseded  []uint64 // a bit for each number; nil: not known yet
}

func (n *newest) counts(seq int64) bool { return n.superseded[seq/64]>>(seq%64)&1 == 0 }

// Newest asks of each entry of the first page whether there is a newer one. Who wants a second page wants them all: then it is
// cheaper to go once through the index, where the entries of one key stand together, than to look a million of them up in it.
func (t *tx) Newest(ctx context.Context, environment string, through, after int64, limit int) ([]feed.Entry, error) {
	n := &t.newest
	if n.environment != environment || n.through != through {
		*n = newest{environment: environment, through: through}
		return t.newestAmong(ctx, entriesNewest, environment, through, after, limit)
	}
	if n.superseded == nil {
		bits := make([]uint64, through/64+1)
		_, err := all(ctx, t, func(r row) (none struct{}, err error) {
			var seq int64
			if err = r.Scan(&seq); err == nil {
				bits[seq/64] |= 1 << (seq % 64)
			}
			return none, err
		}, of(environment, entriesSuperseded), environment, through)
		if err != nil {
			return nil, err
		}
		n.superseded = bits
	}
	var out []feed.Entry
	for len(out) < limit {
		most := max(limit-len(out), 64) // most of them count
		es, err := t.newestAmong(ctx, entriesAmong, environment, through, after, most)
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			if after = e.Seq; n.counts(e.Seq) && len(out) < limit {
				out = append(out, e)
			}
		}
		if len(es) < most {
			break
		}
	}
	return out, nil
}

func (t *tx) newestAmong(ctx context.Context, statement, environment string, through, after int64, limit int) ([]feed.Entry, error) {
	return all(ctx, t, func(r row) (e feed.Entry, err error) {
		e.Environment = environment
		err = r.Scan(&e.Seq, &e.Epoch, &e.Kind, &e.Key, &e.Version, (*[]byte)(&e.Payload), when{&e.Committed})
		return e, err
	}, of(environment, statement), environment, after, through, first(limit))
}
