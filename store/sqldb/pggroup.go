package sqldb

import (
	"context"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
)

// The bounds of one group of updates on PostgreSQL.
const (
	pgGroupCalls = 128
	pgGroupTime  = 40 * time.Millisecond
	pgGroupTries = 3
	pgGroupWait  = 2 * time.Second // for the turn: whoever gets none goes on without, by the database's own rules
	// pgGroupBar is how long nobody here waits for the turn again after that. A process that stands still with it would else hold up
	// every update of the others.
	pgGroupBar = 10 * time.Second
)

// pgGroups runs the updates that wait in this process one after another in one transaction, and commits them together: the way there
// and back, the sync and what all ask alike are shared. The processes that share the database take turns, by a lock on the server:
// without it they would only get in each other's way. Nothing depends on that lock: every group is serializable by itself.
//
// In a group there are no savepoints, since most updates need none. One that is refused before it has changed anything leaves
// nothing to undo. One that was refused later, or met an error of the database, undoes the group, which runs again without it.
type pgGroups struct {
	s     *pg
	calls chan *call
	done  chan struct{}
	line  *line // nil: not connected
	bar   time.Time
}

// The answers to a call that runs by itself then: at once, or in its turn.
var (
	errAlone  = errors.New("the update runs by itself")
	errInTurn = errors.New("the update runs by itself, in its turn")
)

func newPGGroups(s *pg) *pgGroups {
	g := &pgGroups{s: s, calls: make(chan *call), done: make(chan struct{})}
	go g.run()
	return g
}

func (g *pgGroups) run() {
	defer close(g.done)
	for {
		select {
		case c := <-g.calls:
			g.group(c)
		case <-g.s.stop:
			if g.line != nil {
				_ = g.line.close()
			}
			return
		}
	}
}

func (g *pgGroups) next(n int, began time.Time) *call {
	if n >= pgGroupCalls || time.Since(began) > pgGroupTime {
		return nil
	}
	select {
	case c := <-g.calls:
		return c
	default:
		return nil
	}
}

// do runs a statement of the group's own. After an error the connection is closed.
func (g *pgGroups) do(q string, args ...any) error {
	_, err := g.line.exec(context.Background(), q, args...)
	if err != nil {
		_ = g.line.close()
		g.line = nil
	}
	return err
}

// turn connects, and takes the turn.
func (g *pgGroups) turn() error {
	if g.line == nil {
		ctx, cancel := context.WithTimeout(context.Background(), pgGroupWait)
		l, err := newLine(ctx, g.s.db)
		cancel()
		if err != nil {
			return err
		}
		g.line = l
		if err := g.do(`SET lock_timeout = ` + milliseconds(pgGroupWait)); err != nil {
			return err
		}
	}
	return g.do(`SELECT pg_advisory_lock($1)`, pgTurn)
}

// group runs c and those that wait behind it.
func (g *pgGroups) group(c *call) {
	if time.Now().Before(g.bar) {
		c.answer <- errAlone
		return
	}
	if err := g.turn(); err != nil {
		g.bar = time.Now().Add(pgGroupBar)
		c.answer <- errAlone
		return
	}
	r := g.gather(c)
	for try := 1; r.again && try < pgGroupTries; try++ {
		r = g.repeat(r)
	}
	if g.line != nil {
		_ = g.do(`SELECT pg_advisory_unlock($1)`, pgTurn)
	}
	if r.news.fresh {
		g.s.ear.tell()
	} else if r.news.told {
		g.s.ear.say()
	}
	for _, s := range r.settled {
		if r.again {
			s.err = errInTurn
		}
		s.c.answer <- s.err
	}
	for _, c := range r.alone {
		c.answer <- errInTurn
	}
}

// settled is a call with its answer, if the group is committed.
type settled struct {
	c   *call
	err error
}

// round is what one transaction came to.
type round struct {
	settled []settled
	alone   []*call // that spoilt it
	again   bool    // nothing of it was committed: those that are settled may run again
	news    news
}

// gather is the first round: it takes calls as they come.
func (g *pgGroups) gather(c *call) (r round) {
	l, err := g.begin()
	if err != nil {
		return round{alone: []*call{c}}
	}
	began := time.Now()
	for n := 1; c != nil; n++ {
		mine := c
		if !g.one(&r, l, c, func(t *tx) (error, bool) { return mine.run(t) }) {
			break
		}
		c = g.next(n, began)
	}
	return g.end(r, l)
}

// repeat is another round, of those that did not spoil the one before.
func (g *pgGroups) repeat(before round) round {
	r := round{alone: before.alone}
	l, err := g.begin()
	if err != nil {
		before.again = true
		return before
	}
	for i, s := range before.settled {
		if !g.one(&r, l, s.c, func(t *tx) (error, bool) { return s.c.again(t), true }) {
			r.settled = append(r.settled, before.settled[i+1:]...) // that have not run now
			break
		}
	}
	return g.end(r, l)
}

func (g *pgGroups) begin() (*later, error) {
	if g.line == nil {
		return nil, errAlone
	}
	return &later{}, g.do(g.s.d.begin)
}

// one runs a call. It reports whether the transaction may go on.
func (g *pgGroups) one(r *round, l *later, c *call, run func(*tx) (error, bool)) bool {
	t := &tx{line: g.line, d: g.s.d, write: true, later: l, shared: &l.shared}
	err, there := run(t)
	switch {
	case !there:
	case t.failed == nil && !t.again && (err == nil || !t.wrote):
		r.settled = append(r.settled, settled{c, err})
		if err == nil {
			r.news.fresh, r.news.told = r.news.fresh || t.fresh, r.news.told || t.told
		}
	case t.failed != nil && pgAgain(t.failed): // others got in the way: it is as good as the rest
		r.settled = append(r.settled, settled{c, err})
		r.again = true
	default:
		r.alone = append(r.alone, c)
		r.again = true
	}
	return !r.again
}

// end commits the round, or undoes it.
func (g *pgGroups) end(r round, l *later) round {
	t := &tx{line: g.line, d: g.s.d, write: true}
	if !r.again && l.send(t) != nil {
		r.again = true
	}
	if r.again {
		r.news = news{}
		_ = g.do(`ROLLBACK`)
		return r
	}
	err := g.do(`COMMIT`)
	switch {
	case err == nil:
	case pgLost(err):
		lost := fault.New(fault.Unavailable, "the database went away while it committed: whether the change was made is to be seen when it is back").Because(err)
		for i := range r.settled {
			if r.settled[i].err == nil {
				r.settled[i].err = lost
			}
		}
		r.news = news{}
	default:
		r.again, r.news = true, news{}
	}
	return r
}

// Update implements store.Store. Updates run as if one after another. fn may run again: when others got in the way of its group.
func (s *pg) Update(ctx context.Context, fn func(store.Tx) error) error {
	err := submit(ctx, s.groups.calls, s.stop, fn)
	switch {
	case errors.Is(err, errAlone):
		return s.alone(ctx, pgQueue, fn)
	case errors.Is(err, errInTurn):
		return s.alone(ctx, 1, fn)
	}
	return err
}
