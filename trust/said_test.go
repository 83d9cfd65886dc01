package trust_test

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// said is what was logged.
type said chan string

func (s said) logger() *slog.Logger { return slog.New(s) }

func (s said) Enabled(context.Context, slog.Level) bool { return true }

func (s said) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	select {
	case s <- text:
	default:
	}
	return nil
}

func (s said) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s said) WithGroup(string) slog.Handler      { return s }

func (s said) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s:
		return line
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was logged")
		return ""
	}
}
