package gateway

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/balance"
)

// UpstreamState is what a gateway knows about an upstream of the served revision.
type UpstreamState struct {
	Name           string
	Targets        []TargetState
	Breaker        balance.BreakerState // "" without one
	Opened         int64                // how often it has
	Resting        int64                // requests that it refused
	Bounded        bool                 // its concurrency is
	Gate           balance.GateState
	Retries        int64
	RetriesRefused int64 // by the budget
	Unresolved     int64 // look-ups of names that failed
}

// TargetState is what is known about one address.
type TargetState struct {
	Name string
	balance.State
}

// Upstreams is what is known about the upstreams, by name.
func (g *Gateway) Upstreams() []UpstreamState {
	now := time.Now()
	var out []UpstreamState
	for _, p := range g.current.Load().pools {
		s := UpstreamState{Name: p.u.Name, Unresolved: p.resolved.Load()}
		for _, m := range p.set.Load().members {
			s.Targets = append(s.Targets, TargetState{m.Name, m.State(now)})
		}
		if p.breaker != nil {
			s.Breaker, s.Opened, s.Resting = p.breaker.State(now)
		}
		if p.gate != nil {
			s.Bounded, s.Gate = true, p.gate.State()
		}
		if p.budget != nil {
			s.Retries, s.RetriesRefused = p.budget.Counts()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b UpstreamState) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// targets collects the series of upstreams when they are asked for: those that are served, and no others. Labels are the
// names of upstreams and the addresses of their targets, never anything from a request.
type targets struct{ g *Gateway }

// Descriptions of the series.
var (
	oneTarget    = []string{"upstream", "target"}
	oneUpstream  = []string{"upstream"}
	descAsked    = prometheus.NewDesc("gatehouse_upstream_requests_total", "Requests that were sent to a target, retries included.", oneTarget, nil)
	descFailed   = prometheus.NewDesc("gatehouse_upstream_failures_total", "Of these, those that it failed at.", oneTarget, nil)
	descRunning  = prometheus.NewDesc("gatehouse_upstream_running", "Requests that run at a target now.", oneTarget, nil)
	descThere    = prometheus.NewDesc("gatehouse_upstream_available", "1 when a target can be asked: neither ejected nor found unwell.", oneTarget, nil)
	descEjected  = prometheus.NewDesc("gatehouse_upstream_ejections_total", "How often a target was ejected.", oneTarget, nil)
	descRetries  = prometheus.NewDesc("gatehouse_upstream_retries_total", "Retries, by whether they were made or the budget refused them.", []string{"upstream", "made"}, nil)
	descBreaker  = prometheus.NewDesc("gatehouse_upstream_breaker", "1 for the state that the breaker is in.", []string{"upstream", "state"}, nil)
	descShed     = prometheus.NewDesc("gatehouse_upstream_shed_total", "Requests that were answered 503 to spare an upstream, by what did: breaker or concurrency.", []string{"upstream", "by"}, nil)
	descLimit    = prometheus.NewDesc("gatehouse_upstream_limit", "How many requests may run at an upstream at once now.", oneUpstream, nil)
	descWaiting  = prometheus.NewDesc("gatehouse_upstream_waiting", "Requests that wait for a place.", oneUpstream, nil)
	descUnsolved = prometheus.NewDesc("gatehouse_upstream_lookups_failed_total", "Look-ups of targets' names that failed.", oneUpstream, nil)
)

// Describe says nothing beforehand: which series there are depends on the revision.
func (t targets) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector's.
func (t targets) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for _, u := range t.g.Upstreams() {
		seen := map[string]bool{}
		for _, m := range u.Targets {
			if seen[m.Name] { // two names may lead to one address
				continue
			}
			seen[m.Name] = true
			send(descAsked, count, float64(m.Asked), u.Name, m.Name)
			send(descFailed, count, float64(m.Failed), u.Name, m.Name)
			send(descRunning, gauge, float64(m.Running), u.Name, m.Name)
			send(descThere, gauge, truth(!m.Down && m.Ejected == 0), u.Name, m.Name)
			send(descEjected, count, float64(m.Ejections), u.Name, m.Name)
		}
		send(descRetries, count, float64(u.Retries), u.Name, "yes")
		send(descRetries, count, float64(u.RetriesRefused), u.Name, "no")
		if u.Breaker != "" {
			for _, s := range []balance.BreakerState{balance.Closed, balance.Open, balance.HalfOpen} {
				send(descBreaker, gauge, truth(u.Breaker == s), u.Name, string(s))
			}
			send(descShed, count, float64(u.Resting), u.Name, "breaker")
		}
		if u.Bounded {
			send(descShed, count, float64(u.Gate.Shed), u.Name, "concurrency")
			send(descLimit, gauge, float64(u.Gate.Limit), u.Name)
			send(descWaiting, gauge, float64(u.Gate.Waiting), u.Name)
		}
		send(descUnsolved, count, float64(u.Unresolved), u.Name)
	}
}
