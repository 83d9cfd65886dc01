package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/control"
)

// logTime is how long a count of the feeds' entries may take: metrics are collected by somebody who waits.
const logTime = 5 * time.Second

// feedMetrics tells how long what is kept of the feeds is. What cannot be counted in time is left out.
type feedMetrics struct {
	plane           func() *control.Control // nil: it is being handed over
	now             func() time.Time
	log             *slog.Logger
	entries, oldest *prometheus.Desc
}

func newFeedMetrics(plane func() *control.Control, now func() time.Time, log *slog.Logger) prometheus.Gatherer {
	labels := []string{"environment", "region"}
	r := prometheus.NewRegistry()
	r.MustRegister(&feedMetrics{plane, now, log,
		prometheus.NewDesc("gatehouse_feed_entries", "Entries of the feed that are kept, as counted within five minutes.", labels, nil),
		prometheus.NewDesc("gatehouse_feed_oldest_seconds", "Age of the oldest entry of the feed that is kept.", labels, nil)})
	return r
}

// Describe is prometheus.Collector's.
func (m *feedMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.entries; to <- m.oldest }

// Collect is prometheus.Collector's.
func (m *feedMetrics) Collect(to chan<- prometheus.Metric) {
	plane := m.plane()
	if plane == nil {
		return
	}
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
