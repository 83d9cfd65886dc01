package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"testing"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/secret"
)

// The metrics of a process with a control plane tell how long each feed is, and how old its oldest entry.
func TestMetricsTellOfTheFeeds(t *testing.T) {
	c := config.Default()
	c.Data, c.Dev, c.Manifest, c.Events = t.TempDir(), true, "../examples/eid/manifest", "none"
	c.Control.Listen, c.Gateway.Listen, c.Operations.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Secrets = map[string]secret.Value{"eid-gateway": secret.New("of this test")}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan app.Started, 1), make(chan error, 1)
	go func() {
		ended <- app.Serve{Config: c, Version: "v0.0.0-test", Events: io.Discard, Log: slog.New(slog.DiscardHandler), Ready: func(s app.Started) { ready <- s }}.Run(ctx)
	}()
	var at app.Started
	select {
	case at = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	res, err := http.Get(at.Operations + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^gatehouse_feed_entries\{environment="[a-z]+",region=""\} [1-9]`, `(?m)^gatehouse_feed_oldest_seconds\{environment="[a-z]+",region=""\} [0-9]`} {
		if !regexp.MustCompile(want).Match(b) {
			t.Errorf("no %s", want)
		}
	}
}
