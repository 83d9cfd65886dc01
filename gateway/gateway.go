// Package gateway is the data plane: it serves the requests of one environment from a view, and keeps that view current
// from the feed.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/event"
	"gatehouse/feed"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// Options is what a gateway is made from.
type Options struct {
	Environment string        // the one it serves
	Name        string        // its own, in receipts and events
	Source      feed.Source   // where its changes come from
	Kinds       []policy.Kind // the policies that routes may name
	Secrets     func(name string) (secret.Value, bool)
	Events      event.Sink
	Now         func() time.Time
	Log         *slog.Logger
	Limits      Limits // zero fields take the defaults
}

// Gateway is one data-plane process for one environment.
type Gateway struct {
	o Options
}

// New makes a gateway that serves nothing yet: every request is answered 503 until Follow has brought a revision.
func New(o Options) (*Gateway, error) { return nil, errors.New("gateway: to be written") }

// Follow applies the feed until the context ends: entries in their order, revisions compiled beside the running one. It
// answers each change with a receipt. It returns nil when the context has ended.
func (g *Gateway) Follow(ctx context.Context) error { return errors.New("gateway: to be written") }

// Serve answers connections of the listener, which it closes, until the context ends; then it takes no new ones, lets
// running exchanges end for up to Limits.Drain, and returns. It may be called for several listeners.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	return errors.New("gateway: to be written")
}

// View is what the next request is served from.
func (g *Gateway) View() *snapshot.View { return nil }

// Ready is nil once a revision is served and the feed was caught up with once.
func (g *Gateway) Ready() error { return errors.New("gateway: to be written") }

// Metrics gathers what this gateway counts, every series with its environment. Several gateways of one process are
// joined by prometheus.Gatherers.
func (g *Gateway) Metrics() prometheus.Gatherer { return nil }
