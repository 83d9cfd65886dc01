package gateway

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/feed"
	"gatehouse/snapshot"
)

// The verdicts of exchanges.
const (
	passed   = "passed"   // the upstream answered
	answered = "answered" // a policy did
	refused  = "refused"
	aborted  = "aborted" // the caller did not get the whole answer, or the gateway ended a WebSocket: Code says whose doing it was, or why
)

// record notes what the exchange was. n is how many bytes of body were sent, err why not all were. Its event is written and it is
// counted with others of its sheet, within noteFor; at once when nothing else goes on.
func (g *Gateway) record(c *carrier, n int64, err error) {
	x := &c.x
	k := note{at: x.Now, view: c.view, route: c.route, total: time.Since(c.began), asked: c.asked, peer: x.Peer.Addr(), protocol: x.Protocol,
		target: c.target, rule: c.rule, verdict: passed, fault: "none", sent: n, status: uint16(x.Response.Status), tries: uint16(min(c.tries, math.MaxUint16))}
	if c.body != nil {
		k.received = c.body.end()
	}
	if p := &x.Principal; p.Known() {
		k.known, k.organization, k.application, k.credential = true, p.Organization, p.Application, p.Credential
	}
	if r := &x.Grant; !r.None() {
		k.grant, k.terms = r.ID, r.Terms
	}
	switch {
	case x.Refusal != nil:
		k.verdict, k.fault, k.code = refused, string(x.Refusal.Kind), x.Refusal.Code
	case x.Answered():
		k.verdict = answered
	}
	if err != nil {
		k.verdict, k.code = aborted, "client-gone"
		if errors.Is(err, errUpstreamBroke) && c.ctx.Err() == nil {
			k.code = "upstream-broke-off"
		}
	}
	if t := c.tunnel; t != nil && k.status == 101 {
		k.received, k.sent = t.Up, t.Down
		if f := t.over(); f != nil && err == nil {
			k.verdict, k.code = aborted, f.Code
		}
		k.total = c.asked // how long it was open would say nothing beside answers
	}
	g.notes.add(c.book, &k, x.ID, x.Request.Method, x.Request.Authority, c.path)
}

// meters is what a gateway counts. Labels are bounded: routes and rules are those of the served revision, never a path
// or an application.
type meters struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	total     *prometheus.HistogramVec
	upstream  *prometheus.HistogramVec
	running   atomic.Int64 // exchanges that run now
	applyLag  prometheus.Histogram
	lastSeq   prometheus.Gauge
	marks     atomic.Pointer[map[string]*mark] // of the routes that are served

	handshakes prometheus.Counter
	turnedAway prometheus.Counter
}

// buckets are upper bounds in seconds: finer than usual below 5 ms, where a gateway's own cost is.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newMeters(g *Gateway) *meters {
	r := prometheus.NewRegistry()
	in := prometheus.WrapRegistererWith(prometheus.Labels{"environment": g.o.Environment}, r)
	m := &meters{registry: r,
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_exchanges_total",
			Help: "Exchanges by route, class of status, verdict, the rule that refused or answered, and the kind of fault."},
			[]string{"route", "status", "verdict", "rule", "fault"}),
		total: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_exchange_seconds", Buckets: buckets,
			Help: "Time from a request's head to the end of its answer."}, []string{"route"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gatehouse_upstream_seconds", Buckets: buckets,
			Help: "Time from asking the upstream to the head of its answer."}, []string{"route"}),
		applyLag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_feed_apply_seconds", Buckets: buckets,
			Help: "Time from a change's commit to its being in force here, for changes of the last hour."}),
		lastSeq: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_feed_seq", Help: "Number of the last entry of the feed that is in force."}),

		handshakes: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_handshakes_failed_total",
			Help: "Connections whose TLS handshake failed or took too long."}),
		turnedAway: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_connections_turned_away_total",
			Help: "Connections that were closed at once, since their address held as many as one may."}),
	}
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		in.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	m.marks.Store(&map[string]*mark{})
	in.MustRegister(m.exchanges, m.total, m.upstream, m.applyLag, m.lastSeq, m.handshakes, m.turnedAway, targets{g})
	gauge("gatehouse_exchanges_running", "Exchanges that run now.", nil, func() float64 { return float64(m.running.Load()) })
	gauge("gatehouse_feed_trouble", "1 while the feed stands still.", nil, func() float64 { return truth(g.Trouble() != nil) })
	gauge("gatehouse_ready", "1 when requests are served.", nil, func() float64 { return truth(g.Ready() == nil) })
	in.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gatehouse_usage_lost_total",
		Help: "Calls that were not counted by application: there was no room, because the control plane was away or too many different ones came."},
		func() float64 { return float64(g.uses.gone.Load()) }))
	gauge("gatehouse_tunnels_open", "WebSockets that are open now.", nil, func() float64 { return float64(g.tunnels.opened.Load()) })
	const revision = "Revision of the manifest that is served, and the newest that arrived."
	gauge("gatehouse_revision", revision, prometheus.Labels{"which": "served"}, func() float64 { return float64(g.View().Revision) })
	gauge("gatehouse_revision", revision, prometheus.Labels{"which": "desired"}, func() float64 { _, d, _ := g.status(); return float64(d) })
	const records = "Records in the access index."
	for kind, count := range map[string]func(snapshot.Counts) int{
		"organization": func(c snapshot.Counts) int { return c.Organizations }, "application": func(c snapshot.Counts) int { return c.Applications },
		"credential": func(c snapshot.Counts) int { return c.Credentials }, "grant": func(c snapshot.Counts) int { return c.Grants },
	} {
		gauge("gatehouse_access_records", records, prometheus.Labels{"kind": kind}, func() float64 { return float64(count(g.access.Counts())) })
	}
	return m
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *meters) exchange(n *note) {
	route, rule, status := "none", n.rule, int(n.status)
	if n.route != nil {
		route = n.route.Route
	}
	if k := (*m.marks.Load())[route]; k != nil && n.verdict == passed && rule == "" && n.fault == "none" && status >= 200 && status <= 599 {
		k.passed(m, route, status, n.total, n.asked)
		return
	}
	if rule == "" {
		rule = "none"
	}
	m.exchanges.WithLabelValues(route, class(status), n.verdict, rule, n.fault).Inc()
	m.total.WithLabelValues(route).Observe(n.total.Seconds())
	if n.asked > 0 {
		m.upstream.WithLabelValues(route).Observe(n.asked.Seconds())
	}
}

// A mark is the series of a route whose exchanges pass, found once: looking them up by their labels costs as much as
// everything else that is counted.
type mark struct {
	total, upstream atomic.Pointer[prometheus.Observer]
	classes         [4]atomic.Pointer[prometheus.Counter] // from 2xx on
}

func (k *mark) passed(m *meters, route string, status int, total, asked time.Duration) {
	found(&k.classes[status/100-2], func() prometheus.Counter {
		return m.exchanges.WithLabelValues(route, class(status), passed, "none", "none")
	}).Inc()
	found(&k.total, func() prometheus.Observer { return m.total.WithLabelValues(route) }).Observe(total.Seconds())
	if asked > 0 {
		found(&k.upstream, func() prometheus.Observer { return m.upstream.WithLabelValues(route) }).Observe(asked.Seconds())
	}
}

// found is what p holds, or else what find finds, which p holds from then on.
func found[T any](p *atomic.Pointer[T], find func() T) T {
	if v := p.Load(); v != nil {
		return *v
	}
	v := find()
	p.Store(&v)
	return v
}

func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// applied notes that an entry is in force. What is replayed at a start says nothing about how long a change takes.
func (m *meters) applied(e feed.Entry, now time.Time) {
	m.lastSeq.Set(float64(e.Seq))
	if lag := now.Sub(e.Committed); lag >= 0 && lag < time.Hour {
		m.applyLag.Observe(lag.Seconds())
	}
}

// served forgets the series of routes that are not served any more.
func (m *meters) served(r *snapshot.Routes, old *snapshot.Routes) {
	before, still := *m.marks.Load(), map[string]*mark{}
	for _, route := range r.All {
		if still[route.Route] = before[route.Route]; still[route.Route] == nil {
			still[route.Route] = &mark{}
		}
	}
	m.marks.Store(&still)
	for _, route := range old.All {
		if still[route.Route] == nil {
			gone := prometheus.Labels{"route": route.Route}
			m.exchanges.DeletePartialMatch(gone)
			m.total.DeletePartialMatch(gone)
			m.upstream.DeletePartialMatch(gone)
		}
	}
}
