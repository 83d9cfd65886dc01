package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/control"
	"gatehouse/env"
)

// logTime is how long a count of the feeds' entries may take: metrics are collected by somebody who waits.
const logTime = 5 * time.Second

// feedMetrics tells how long what is kept of the feeds is. What cannot be counted in time is left out.
type feedMetrics struct {
	plane           func() *control.Control // nil: it is being handed over
	now             func() time.Time
	log             *slog.Logger
	entries, oldest *prometheus.Desc
	age, behind     *prometheus.Desc // of the replica
}

func newFeedMetrics(plane func() *control.Control, now func() time.Time, log *slog.Logger) prometheus.Gatherer {
	labels := []string{"environment", "region"}
	r := prometheus.NewRegistry()
	r.MustRegister(&feedMetrics{plane, now, log,
		prometheus.NewDesc("gatehouse_feed_entries", "Entries of the feed that are kept, as counted within five minutes.", labels, nil),
		prometheus.NewDesc("gatehouse_feed_oldest_seconds", "Age of the oldest entry of the feed that is kept.", labels, nil),
		prometheus.NewDesc("gatehouse_replica_age_seconds", "How long ago that was of which the standby is that the feed is read of.", nil, nil),
		prometheus.NewDesc("gatehouse_replica_behind_entries", "Entries of the feed that the standby lacks of those that this process knows of.", labels, nil)})
	return r
}

// Describe is prometheus.Collector's.
func (m *feedMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.entries, m.oldest, m.age, m.behind} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (m *feedMetrics) Collect(to chan<- prometheus.Metric) {
	plane := m.plane()
	if plane == nil {
		return
	}
	m.replica(plane, to)
	ctx, cancel := context.WithTimeout(context.Background(), logTime)
	defer cancel()
	logs, err := plane.FeedLogs(ctx)
	if err != nil {
		m.log.Warn("the entries of the feeds cannot be counted for the metrics", "error", err)
		return
	}
	for _, l := range logs {
		to <- prometheus.MustNewConstMetric(m.entries, prometheus.GaugeValue, float64(l.Entries), l.Environment, l.Region)
		if !l.Oldest.IsZero() {
			to <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, m.now().Sub(l.Oldest).Seconds(), l.Environment, l.Region)
		}
	}
}

// replica tells how the standby stands that the feed is read of, if there is one.
func (m *feedMetrics) replica(plane *control.Control, to chan<- prometheus.Metric) {
	r, ok := plane.ReplicaStanding()
	if !ok || r.Of.IsZero() {
		return
	}
	to <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, r.Age.Seconds())
	for name, n := range r.Behind {
		environment, region := env.OfFeed(name)
		to <- prometheus.MustNewConstMetric(m.behind, prometheus.GaugeValue, float64(n), environment, region)
	}
}
