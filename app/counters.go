package app

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/config"
	"gatehouse/ratelimit"
	"gatehouse/ratelimit/shared"
)

// openCounters opens what the gateway of an environment counts shared limits in. nil: none is configured, and limits that are
// shared are counted as they say for when it is away.
func openCounters(c config.Config, environment string, log *slog.Logger) (*shared.Store, error) {
	if c.Counters.Empty() {
		return nil, nil
	}
	return shared.Open(shared.Options{Address: c.Counters.Reveal(), CA: c.CountersCA, Group: environment, Log: log.With("environment", environment)})
}

// sharing is a store as a gateway takes it.
func sharing(c *shared.Store) ratelimit.Shared {
	if c == nil {
		return nil
	}
	return c
}

// countersMetrics tells how the counters of an environment do.
func countersMetrics(environment string, c *shared.Store) prometheus.Gatherer {
	r := prometheus.NewRegistry()
	in := prometheus.Labels{"environment": environment}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: in}, value))
	}
	gauge("gatehouse_counters_away", "1 while the server of shared limits does not answer.", func() float64 {
		if c.Away() {
			return 1
		}
		return 0
	})
	gauge("gatehouse_counters_gateways", "Gateways that share the counts, as far as this one knows.", func() float64 { return float64(c.Gateways()) })
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gatehouse_counters_failed_total", ConstLabels: in,
		Help: "How often the server of shared limits did not answer in time."}, func() float64 { return float64(c.Failures()) }))
	return r
}
