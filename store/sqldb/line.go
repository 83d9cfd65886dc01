package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// line is one connection to the database with the statements that it has prepared so far. One goroutine uses it at a time.
type line struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	compared bool // it leads to a standby of the database that is written
}

func newLine(ctx context.Context, db *sql.DB) (*line, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &line{conn: c, prepared: map[string]*sql.Stmt{}}, nil
}

func (l *line) stmt(ctx context.Context, q string) (*sql.Stmt, error) {
	if s := l.prepared[q]; s != nil {
		return s, nil
	}
	s, err := l.conn.PrepareContext(ctx, q)
	if err == nil {
		l.prepared[q] = s
	}
	return s, err
}

func (l *line) exec(ctx context.Context, q string, args ...any) (int64, error) {
	s, err := l.stmt(ctx, q)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (l *line) query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	s, err := l.stmt(ctx, q)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// together runs statements on PostgreSQL in one way there and back, and returns how many rows each wrote. After an error none of those
// behind it has run.
func (l *line) together(ctx context.Context, all []sending) (wrote []int64, err error) {
	err = l.conn.Raw(func(c any) error {
		p, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a %T sends nothing together", c)
		}
		var b pgx.Batch
		for _, s := range all {
			b.Queue(s.q, s.args...)
		}
		r := p.Conn().SendBatch(ctx, &b)
		for range all {
			tag, err := r.Exec()
			if err != nil {
				return errors.Join(err, r.Close())
			}
			wrote = append(wrote, tag.RowsAffected())
		}
		return r.Close()
	})
	return wrote, err
}

func (l *line) close() error {
	for _, s := range l.prepared {
		_ = s.Close() // the connection goes with it
	}
	return l.conn.Close()
}
