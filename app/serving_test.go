package app_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/secret"
)

// serving runs the whole program in development, with the manifest of the example, until the test is over, and returns where it listens.
func serving(t *testing.T) (at app.Started) {
	t.Helper()
	c := config.Default()
	c.Data, c.Dev, c.Manifest, c.Events = t.TempDir(), true, "../examples/eid/manifest", "none"
	c.Control.Listen, c.Gateway.Listen, c.Operations.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Secrets = map[string]secret.Value{"eid-gateway": secret.New("of this test")}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Started, 1), make(chan error, 1)
	go func() {
		ended <- app.Serve{Config: c, Version: "v0.0.0-test", Events: io.Discard, Log: slog.New(slog.DiscardHandler), Ready: func(s app.Started) { ready <- s }}.Run(ctx)
	}()
	select {
	case at = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return at
}
