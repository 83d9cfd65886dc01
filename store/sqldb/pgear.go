package sqldb

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/secret"
)

const (
	pgChannel   = "gatehouse_fresh"
	pgReconnect = time.Second
)

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// ear wakes whoever waits for commits, of this process and of others. What it hears is a hint: who misses one polls. Telling
// goes over a connection of its own, after the commit and once for many: a NOTIFY within the transactions themselves would
// let them commit only one after another.
type ear struct {
	config *pgx.ConnConfig
	log    *slog.Logger
	fresh  wake
	said   chan struct{}
	name   string        // our own in what is told: we do not wake ourselves twice
	ready  chan struct{} // closed once it hears
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func listen(c *pgx.ConnConfig, log *slog.Logger) *ear {
	ctx, cancel := context.WithCancel(context.Background())
	e := &ear{config: c.Copy(), log: log, said: make(chan struct{}, 1), name: secret.Random("").Reveal(), ready: make(chan struct{}), cancel: cancel}
	// Neither waits inside a transaction, and a wait for others is no statement that takes too long.
	delete(e.config.RuntimeParams, "statement_timeout")
	e.fresh.ch = make(chan struct{})
	e.done.Go(func() { e.again(ctx, "hear of", e.hear) })
	e.done.Go(func() { e.again(ctx, "tell of", e.speak) })
	select {
	case <-e.ready:
	case <-time.After(pgReconnect): // it goes on trying, and who waits polls meanwhile
	}
	return e
}

// tell says that something was committed.
func (e *ear) tell() {
	e.fresh.fire()
	e.say()
}

// say tells other processes only.
func (e *ear) say() {
	select {
	case e.said <- struct{}{}:
	default: // what is about to be said says it too
	}
}

// again runs fn with a connection of its own, and with another one when it was lost.
func (e *ear) again(ctx context.Context, what string, fn func(context.Context, *pgx.Conn) error) {
	well := true
	for ctx.Err() == nil {
		c, err := pgx.ConnectConfig(ctx, e.config)
		if err == nil {
			if !well {
				e.log.Info("the database is back", "to", what+" commits of others")
			}
			well = true
			err = fn(ctx, c)
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), pgReconnect)
			_ = c.Close(closing)
			cancel()
		}
		if ctx.Err() != nil {
			return
		}
		if well {
			e.log.Warn("the database cannot be reached to "+what+" commits of others: they are found by looking, a second later", "error", err)
		}
		well = false
		select {
		case <-ctx.Done():
		case <-time.After(pgReconnect):
		}
	}
}

func (e *ear) hear(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, `LISTEN `+pgChannel); err != nil {
		return err
	}
	select {
	case <-e.ready:
		e.fresh.fire() // for what was said meanwhile
	default:
		close(e.ready)
	}
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload != e.name {
			e.fresh.fire()
		}
	}
}

func (e *ear) speak(ctx context.Context, c *pgx.Conn) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.said:
		}
		if _, err := c.Exec(ctx, `SELECT pg_notify($1, $2)`, pgChannel, e.name); err != nil {
			return err
		}
	}
}

func (e *ear) close() {
	e.cancel()
	e.done.Wait()
}
