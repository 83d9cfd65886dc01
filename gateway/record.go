package gateway

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/event"
	"gatehouse/feed"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// The verdicts of exchanges.
const (
	passed   = "passed"   // the upstream answered
	answered = "answered" // a policy did
	refused  = "refused"
	aborted  = "aborted" // the caller did not get the whole answer, or the gateway ended a WebSocket: Code says whose doing it was, or why
)

// record writes the exchange's event and counts it. n is how many bytes of body were sent, err why not all were.
func (g *Gateway) record(c *carrier, n int64, err error) {
	x, e := &c.x, events.Get().(*event.Exchange)
	*e = event.Exchange{}
	total := time.Since(c.began)
	e.Time, e.ID, e.Environment, e.Gateway, e.Revision = x.Now, borrow(x.ID), g.o.Environment, g.o.Name, c.view.Revision
	e.Method, e.Host, e.Path, e.Protocol = borrow(x.Request.Method), borrow(x.Request.Authority), borrow(c.path), x.Protocol
	e.Peer = borrow(x.KeepScratch(x.Peer.Addr().Unmap().AppendTo(x.Scratch())))
	e.Status, e.Upstream, e.UpstreamTime, e.Total, e.ResponseBytes = x.Response.Status, c.target, c.asked, total, n
	e.Tries = c.tries
	if c.body != nil {
		e.RequestBytes = c.body.end()
	}
	if c.route != nil {
		e.API, e.Operation, e.Route = x.Route.API, x.Route.Operation, x.Route.Route
	}
	w := c.identify()
	e.Organization, e.Application, e.Credential, e.Grant = borrow(w.organization), borrow(w.application), borrow(w.credential), borrow(w.grant)
	if r := &x.Grant; !r.None() {
		e.Product, e.Plan = r.Terms.Product, r.Terms.Plan
	}
	e.Verdict, e.Rule, e.Fault, e.Code = passed, c.rule, "none", ""
	switch {
	case x.Refusal != nil:
		e.Verdict, e.Fault, e.Code = refused, string(x.Refusal.Kind), x.Refusal.Code
	case x.Answered():
		e.Verdict = answered
	}
	if err != nil {
		e.Verdict, e.Code = aborted, "client-gone"
		if errors.Is(err, errUpstreamBroke) && c.ctx.Err() == nil {
			e.Code = "upstream-broke-off"
		}
	}
	if t := c.tunnel; t != nil && e.Status == 101 {
		e.RequestBytes, e.ResponseBytes = t.Up, t.Down
		if f := t.over(); f != nil && err == nil {
			e.Verdict, e.Code = aborted, f.Code
		}
		total = c.asked // how long it was open would say nothing beside answers
	}
	g.uses.note(x)
	g.meters.exchange(e.Route, e.Status, e.Verdict, e.Rule, e.Fault, total, c.asked)
	g.o.Events.Write(e)
	events.Put(e)
}

// events lends the memory of an event while it is written. What is used again at once is still in the processor's caches; in
// the carrier of an exchange that has waited for its upstream it would not be.
var events = sync.Pool{New: func() any { return new(event.Exchange) }}

// borrow shows bytes as a string without copying them. The string must not outlive the exchange: an event.Sink keeps
// none.
func borrow(v wire.View) string { return unsafe.String(unsafe.SliceData(v), len(v)) }

// meters is what a gateway counts. Labels are bounded: routes and rules are those of the served revision, never a path
// or an application.
type meters struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	total     *prometheus.HistogramVec
	upstream  *prometheus.HistogramVec
	running   prometheus.Gauge
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
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_exchanges_running", Help: "Exchanges that run now."}),
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
	in.MustRegister(m.exchanges, m.total, m.upstream, m.running, m.applyLag, m.lastSeq, m.handshakes, m.turnedAway, targets{g})
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

func (m *meters) exchange(route string, status int, verdict, rule, fault string, total, asked time.Duration) {
	if route == "" {
		route = "none"
	}
	if k := (*m.marks.Load())[route]; k != nil && verdict == passed && rule == "" && fault == "none" && status >= 200 && status <= 599 {
		k.passed(m, route, status, total, asked)
		return
	}
	if rule == "" {
		rule = "none"
	}
	m.exchanges.WithLabelValues(route, class(status), verdict, rule, fault).Inc()
	m.total.WithLabelValues(route).Observe(total.Seconds())
	if asked > 0 {
		m.upstream.WithLabelValues(route).Observe(asked.Seconds())
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
