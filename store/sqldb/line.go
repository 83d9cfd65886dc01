package sqldb

import (
	"context"
	"database/sql"
)

// line is one connection to the database with the statements that it has prepared so far. One goroutine uses it at a time.
type line struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
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

func (l *line) close() error {
	for _, s := range l.prepared {
		_ = s.Close() // the connection goes with it
	}
	return l.conn.Close()
}
