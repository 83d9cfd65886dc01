package sqldb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/store"
)

// The bounds of one group of updates that are committed together. The sync to disk at its end is what costs: a larger group
// shares it among more, a shorter one answers the first of them earlier.
const (
	groupCalls = 256
	groupTime  = 20 * time.Millisecond
	careFor    = time.Second // after an update that failed halfway: others of the same caller may follow
)

// writer runs updates one after another on the one connection that writes. Those that wait at the same time share one
// transaction and one commit: all are answered after it.
type writer struct {
	line  *line
	d     *dialect
	calls chan *call
	stop  chan struct{}
	done  chan struct{}
	fresh wake

	spoilt time.Time // when an update last failed halfway
	people bool      // what is not committed yet may change people, sessions or machine tokens

	identities atomic.Uint64
}

// call is one Update on its way. fn runs in the caller's own goroutine, when the writer gives it its turn: so a panic, or
// a test that ends itself, goes up where it belongs.
type call struct {
	state  atomic.Int32
	turn   chan *tx
	ran    chan error // what fn returned; errLeft when it did not return
	answer chan error
}

// The states of a call.
const (
	waiting int32 = iota
	started
	left // the caller's context ended before its turn
)

var (
	errLeft = errors.New("fn did not return")
	errLost = errors.New("the database has undone the transaction")
)

func newWriter(l *line, d *dialect) *writer {
	w := &writer{line: l, d: d, calls: make(chan *call), stop: make(chan struct{}), done: make(chan struct{})}
	w.fresh.ch = make(chan struct{})
	go w.run()
	return w
}

func closed() error { return fault.New(fault.Unavailable, "the store is closed") }

func (w *writer) update(ctx context.Context, fn func(store.Tx) error) error {
	return submit(ctx, w.calls, w.stop, fn)
}

// submit gives fn to whoever runs calls one after another, runs it when its turn comes, and returns the answer.
func submit(ctx context.Context, calls chan<- *call, stop <-chan struct{}, fn func(store.Tx) error) error {
	c := &call{turn: make(chan *tx, 1), ran: make(chan error, 1), answer: make(chan error, 1)}
	select {
	case <-ctx.Done():
		return givenUp(ctx.Err())
	default:
	}
	select {
	case calls <- c:
	case <-ctx.Done():
		return givenUp(ctx.Err())
	case <-stop:
		return closed()
	}
	gone := ctx.Done()
	for {
		select {
		case t := <-c.turn:
			c.serve(t, fn)
		case err := <-c.answer:
			return err
		case <-gone:
			if c.state.CompareAndSwap(waiting, left) {
				return givenUp(ctx.Err())
			}
			gone = nil // too late: what has begun is seen through
		}
	}
}

func (c *call) serve(t *tx, fn func(store.Tx) error) {
	err := errLeft
	defer func() { c.ran <- err }()
	err = fn(t)
}

// run gives the call its turn and waits until it has run: again, if it has run before. It reports whether the caller was still there.
func (c *call) run(t *tx) (err error, there bool) {
	if !c.state.CompareAndSwap(waiting, started) && c.state.Load() == left {
		return nil, false
	}
	return c.again(t), true
}

func (c *call) again(t *tx) error {
	c.turn <- t
	err := <-c.ran
	t.over = true
	return err
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case c := <-w.calls:
			w.group(c)
		case <-w.stop:
			return
		}
	}
}

// next is a call that waits already, if the group may grow. Nobody is waited for, and least of all whoever numbers and seals what the
// group has written: an answer waits for its commit, and never for a checkpoint.
func (w *writer) next(n int, began time.Time) *call {
	if n >= groupCalls || time.Since(began) > groupTime {
		return nil
	}
	select {
	case c := <-w.calls:
		return c
	default:
		return nil
	}
}

// group runs c and those that wait behind it in one transaction. They have no savepoints, since few updates fail, and most of those
// before they have changed anything. Where one failed later, or met an error of the database, all of it is undone and runs again with
// savepoints, as what comes does for a while.
func (w *writer) group(c *call) {
	n, began := 0, time.Now()
	next := func() *call {
		if n++; n == 1 {
			return c
		}
		return w.next(n-1, began)
	}
	if time.Since(w.spoilt) < careFor {
		w.careful(next)
		return
	}
	if err := w.do(w.d.begin); err != nil {
		c.answer <- w.d.fault(err)
		return
	}
	var ran []settled
	var fresh bool
	same := &shared{}
	for c := next(); c != nil; c = next() {
		t := &tx{line: w.line, d: w.d, write: true, shared: same}
		err, there := c.run(t)
		w.people = w.people || t.people
		if there && !errors.Is(err, errLeft) {
			ran = append(ran, settled{c, err})
		}
		if there && (t.broken != nil || err != nil && t.wrote) {
			w.again(ran)
			return
		}
		fresh = fresh || there && err == nil && t.fresh
	}
	w.end(ran, fresh)
}

// end commits a group, and answers those that ran in it: also those that failed, as they may have seen what the others did.
func (w *writer) end(ran []settled, fresh bool) {
	good := slices.ContainsFunc(ran, func(s settled) bool { return s.err == nil })
	end := `COMMIT`
	if !good {
		end = `ROLLBACK`
	}
	if err := w.do(end); err != nil && good {
		w.again(ran)
		return
	}
	w.committed(fresh)
	for _, s := range ran {
		s.c.answer <- s.err
	}
}

// committed tells of a commit, before it is answered.
func (w *writer) committed(fresh bool) {
	if w.people {
		w.people = false
		w.identities.Add(1)
	}
	if fresh {
		w.fresh.fire()
	}
}

// again undoes a group, and runs it once more, carefully.
func (w *writer) again(ran []settled) {
	w.spoilt = time.Now()
	_ = w.do(`ROLLBACK`) // it may be over already
	w.careful(func() *call {
		if len(ran) == 0 {
			return nil
		}
		c := ran[0].c
		ran = ran[1:]
		return c
	})
}

// careful runs calls in one transaction, each in a savepoint of its own.
func (w *writer) careful(next func() *call) {
	c := next()
	if c == nil {
		return
	}
	if err := w.do(w.d.begin); err != nil {
		for ; c != nil; c = next() {
			c.answer <- w.d.fault(err)
		}
		return
	}
	var good []*call // to be answered nil once the commit is on disk
	var bad []func() // answers of those that failed: after it too, as they may have seen what the others did
	var fresh bool
	var lost error
	same := &shared{}
	for ; c != nil; c = next() {
		t := &tx{line: w.line, d: w.d, write: true, shared: same}
		mine := c
		err, there := w.one(t, mine.run)
		w.people = w.people || t.people
		if err != nil {
			*same = shared{} // what it saw of its own is undone
		}
		switch {
		case !there:
		case err == nil:
			good = append(good, c)
			fresh = fresh || t.fresh
		case errors.Is(err, errLost):
			if t.broken != nil {
				err = t.broken
			}
			lost = err
			bad = append(bad, func() { mine.answer <- unlost(err) })
		default:
			bad = append(bad, func() { mine.answer <- err })
		}
		if lost != nil {
			break
		}
	}
	w.settle(good, bad, fresh, lost)
	for lost != nil { // those behind the one with which all was lost
		if c = next(); c == nil {
			return
		}
		w.alone(c)
	}
}

// settle commits what ran carefully, and answers.
func (w *writer) settle(good []*call, bad []func(), fresh bool, lost error) {
	err := lost
	if err == nil && len(good) > 0 {
		err = w.do(`COMMIT`)
	}
	if err != nil || len(good) == 0 {
		_ = w.do(`ROLLBACK`) // it may be over already
	}
	switch {
	case err == nil:
		w.committed(fresh)
		for _, c := range good {
			c.answer <- nil
		}
	case len(good) == 1 && lost == nil:
		good[0].answer <- w.d.fault(err)
	default: // one spoiled it for all: each on its own
		for _, c := range good {
			w.alone(c)
		}
	}
	for _, answer := range bad {
		answer()
	}
}

// one runs a call in its savepoint. errLost: the transaction is gone, with all that others have done in it.
func (w *writer) one(t *tx, run func(*tx) (error, bool)) (err error, there bool) {
	if err := w.do(`SAVEPOINT call`); err != nil {
		t.broken = w.d.fault(err)
		return errLost, true
	}
	err, there = run(t)
	err = t.unbroken(err)
	if err != nil || !there {
		if e := w.do(`ROLLBACK TO call`); e != nil {
			return errors.Join(errLost, e), true
		}
	}
	if e := w.do(`RELEASE call`); e != nil {
		return errors.Join(errLost, e), true
	}
	return err, there
}

// alone runs a call again in a transaction of its own.
func (w *writer) alone(c *call) {
	err := w.do(w.d.begin)
	if err == nil {
		t := &tx{line: w.line, d: w.d, write: true}
		if e, there := c.run(t); e != nil || !there || t.broken != nil {
			_ = w.do(`ROLLBACK`) // it may be over already
			c.answer <- t.unbroken(e)
			return
		}
		if err = w.do(`COMMIT`); err == nil {
			w.people = w.people || t.people
			w.committed(t.fresh)
			c.answer <- nil
			return
		}
		_ = w.do(`ROLLBACK`)
	}
	c.answer <- w.d.fault(err)
}

// unbroken is what a call is answered whose fn went on, as if nothing had happened, after the database had failed it.
func (t *tx) unbroken(err error) error {
	if err == nil {
		return t.broken
	}
	return err
}

func unlost(err error) error {
	if errors.Is(err, errLost) {
		return fault.New(fault.Unavailable, "the database has undone the change: try again").Because(err)
	}
	return err
}

func (w *writer) do(q string) error {
	_, err := w.line.exec(context.Background(), q)
	return err
}

func (w *writer) close() error {
	close(w.stop)
	<-w.done
	return w.line.close()
}

// wake is a channel that is closed at the next event, and then another one.
type wake struct {
	mu sync.Mutex
	ch chan struct{}
}

func (w *wake) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ch
}

func (w *wake) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ch)
	w.ch = make(chan struct{})
}
