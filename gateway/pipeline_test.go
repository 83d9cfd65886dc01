package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/event"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/apikey"
	"gatehouse/policy/granted"
	"gatehouse/policy/limit"
	"gatehouse/policy/requestsize"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// noFeed is a feed without entries.
type noFeed struct{}

func (noFeed) Tail(context.Context, string, feed.Position, int) ([]feed.Entry, error) {
	return nil, nil
}
func (noFeed) Changed(string, int64) <-chan struct{}           { return nil }
func (noFeed) Acknowledge(context.Context, feed.Receipt) error { return nil }
func (noFeed) Ship(context.Context, feed.Batch) error          { return nil }

// memory is a codec without connections: the upstream answers at once, and nobody reads it.
type memory struct{ sent int }

func (m *memory) send(x *policy.Exchange) (int64, error) { m.sent = x.Response.Status; return 0, nil }
func (m *memory) close()                                 {}
func (m *memory) ask(c *carrier, _, _ time.Duration) error {
	c.x.Response.Status, c.x.Response.Length = 200, 0
	c.x.Response.Fields.Add(nameContentType, typeProblem)
	return nil
}

// bench is a gateway with one route, on which everything happens that happens on a partner's: key, grant, two windows.
type bench struct {
	g   *Gateway
	m   *memory
	key string
}

func newBench(t testing.TB, events event.Sink) *bench {
	t.Helper()
	g, key, err := partner(Options{Events: events}, "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{g: g, m: &memory{}, key: key}
	for _, pool := range g.pools {
		for _, m := range pool.set.Load().members {
			m.asker = b.m
		}
	}
	return b
}

// partner makes a gateway that serves one operation of an upstream, and the key of an application that may call it.
func partner(o Options, upstream string) (*Gateway, string, error) {
	return partnerOf(o, manifest.Upstream{Targets: []string{"http://" + upstream}})
}

func partnerOf(o Options, up manifest.Upstream) (*Gateway, string, error) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, "", err
	}
	o.Environment, o.Name, o.Source, o.Key = "live", "gw", noFeed{}, public
	o.Kinds = []policy.Kind{apikey.Kind(), granted.Kind(), limit.Kind(), requestsize.Kind()}
	o.Secrets = func(string) (secret.Value, bool) { return secret.New("proof"), true }
	g, err := New(o)
	if err != nil {
		return nil, "", err
	}
	p := &manifest.Parsed{Documents: map[string]*manifest.Document{"a": {Operations: []manifest.DocOperation{{ID: "read", Method: "GET", Path: "/things/{id}", Scopes: []string{"read"}}, {ID: "write", Method: "POST", Path: "/things", Scopes: []string{"read"}}}}}}
	p.Environments = []manifest.Environment{{Name: "live"}}
	up.Name, up.Present = "u", []manifest.Present{{Header: "X-Proof", Secret: "s"}}
	p.Upstreams = []manifest.Upstream{up}
	p.APIs = []manifest.API{{Name: "a", Path: "/a/v1", Upstream: "u", UpstreamPath: "/v1", Policies: []manifest.Policy{{Kind: "api_key"}, {Kind: "grant"}, {Kind: "rate_limit"}, {Kind: "request_size", Config: []byte(`{"max": "64KB"}`)}}}}
	p.Products = []manifest.Product{{Name: "p", Operations: []manifest.ProductAPI{{API: "a"}}, Plans: []manifest.Plan{{Name: "free", Limits: []manifest.Limit{
		{Name: "second", Requests: 1e9, Per: manifest.Duration(time.Second)}, {Name: "hour", Requests: 1e9, Per: manifest.Duration(time.Hour)}}}}}}
	for i := range p.Upstreams {
		u := &p.Upstreams[i]
		u.Timeouts.Connect, u.Timeouts.Read, u.Timeouts.Total = manifest.Duration(time.Second), manifest.Duration(5*time.Second), manifest.Duration(10*time.Second)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	routes, ds := snapshot.Compile(p, "live", 1, o.Kinds, policy.Deps{Limiter: g.limiter, Secret: g.o.Secrets})
	if routes == nil {
		return nil, "", fmt.Errorf("%v", ds)
	}
	g.use(routes)
	now := time.Now()
	org, app := id.New(id.Organization, now), id.New(id.Application, now)
	key, pub, hash := credential.NewKey("live")
	for _, e := range []struct {
		k feed.Kind
		v any
	}{
		{feed.KindOrganization, feed.Organization{ID: org, Live: true}}, {feed.KindApplication, feed.Application{ID: app, Organization: org, Live: true}},
		{feed.KindCredential, feed.Credential{ID: id.New(id.Credential, now), Application: app, Kind: "api_key", PublicID: pub, Hash: hash[:], Live: true, Expires: now.Add(time.Hour)}},
		{feed.KindGrant, feed.Grant{ID: id.New(id.Grant, now), Application: app, Product: "p", Plan: "free", Scopes: []string{"read"}, From: now.Add(-time.Hour), Until: now.Add(time.Hour), State: "active"}},
	} {
		raw, err := json.Marshal(e.v)
		if err != nil {
			return nil, "", err
		}
		if err := g.access.Apply(feed.Entry{Environment: "live", Kind: e.k, Payload: raw}); err != nil {
			return nil, "", err
		}
	}
	return g, key.Reveal(), nil
}

var peer = netip.MustParseAddrPort("192.0.2.7:4711")

// fill does what a codec does, with as many fields as a client library sends.
func (b *bench) fill(x *policy.Exchange) {
	x.Protocol, x.Peer = "HTTP/1.1", peer
	q := &x.Request
	q.Method, q.Scheme, q.Authority, q.Path = getMethod, "http", host, path
	q.Fields = append(q.Fields, fields...)
	q.Fields = append(q.Fields, wire.Field{Name: keyName, Value: keep(x, b.key)})
}

var (
	getMethod, host, path = wire.View("GET"), wire.View("api.example.com"), wire.View("/a/v1/things/0123456789")
	keyName               = wire.View("X-API-Key")
	fields                = wire.Fields{{Name: wire.View("Accept"), Value: wire.View("*/*")}, {Name: wire.View("Accept-Encoding"), Value: wire.View("gzip")},
		{Name: wire.View("User-Agent"), Value: wire.View("partner/1.0")}, {Name: wire.View("Traceparent"), Value: wire.View("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
		{Name: wire.View("Cache-Control"), Value: wire.View("no-cache")}}
)

// chain is the route's policies alone, on a bare Exchange.
func (b *bench) chain(t testing.TB) func() {
	c := b.g.newCarrier()
	view := b.g.View()
	return func() {
		x := &c.x
		x.Reset()
		b.fill(x)
		x.Now, x.Access = time.Now(), view
		m := view.Match(&x.Request.Head)
		x.Route = &m.Route.RouteInfo
		for _, request := range m.Route.Request {
			if err := request(x); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// whole is an exchange from the codec to the codec, with event and metrics.
func (b *bench) whole(t testing.TB) func() {
	c := b.g.newCarrier()
	return func() {
		c.ctx = context.Background()
		b.fill(&c.x)
		if !b.g.exchange(c, b.m, nil) || b.m.sent != 200 {
			t.Fatalf("answered %d", b.m.sent)
		}
		c.reset()
	}
}

func TestChainAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(200, newBench(t, nil).chain(t)); n != 0 {
		t.Errorf("match, key, grant and two windows: %v allocations", n)
	}
}

// Between the codecs nothing is allocated, event and metrics included.
func TestExchangeAllocatesNothing(t *testing.T) {
	l := event.NewLines(io.Discard, event.LinesOptions{})
	defer l.Close(context.Background())
	if n := testing.AllocsPerRun(200, newBench(t, l).whole(t)); n != 0 {
		t.Errorf("a whole exchange: %v allocations", n)
	}
}

// Everything that an upstream can declare allocates nothing either.
func TestDeclaredUpstreamAllocatesNothing(t *testing.T) {
	for _, balance := range []manifest.Balance{{By: manifest.ByTurn}, {By: manifest.ByLeastRequests}, {By: manifest.ByHash, Key: "client"},
		{By: manifest.ByHash, Key: "application"}, {By: manifest.ByHash, Key: "header User-Agent"}} {
		g, key, err := partnerOf(Options{}, manifest.Upstream{Targets: []string{"http://10.0.0.1:80", "http://10.0.0.2:80", "http://10.0.0.3:80"},
			Weights: map[string]int{"http://10.0.0.2:80": 3}, Balance: balance,
			Health:      manifest.Health{Passive: &manifest.Passive{Failures: 3, Eject: manifest.Duration(time.Second), Longest: manifest.Duration(time.Second), Most: 50, Status: []int{503}}, SlowReturn: manifest.Duration(time.Second)},
			Retries:     &manifest.Retries{Attempts: 1, Share: 20, Minimum: 3, Status: []int{503}},
			Breaker:     &manifest.Breaker{Errors: 50, Requests: 20, Window: manifest.Duration(time.Second), Open: manifest.Duration(time.Second), Probes: 1},
			Concurrency: &manifest.Concurrency{Most: 10, Queue: 10, Wait: manifest.Duration(time.Second), Adaptive: true}})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{g: g, m: &memory{}, key: key}
		for _, pool := range g.pools {
			for _, m := range pool.set.Load().members {
				m.asker = b.m
			}
		}
		if n := testing.AllocsPerRun(200, b.whole(t)); n != 0 {
			t.Errorf("%s %s: %v allocations", balance.By, balance.Key, n)
		}
	}
}

func BenchmarkChain(b *testing.B) {
	run := newBench(b, nil).chain(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func BenchmarkExchange(b *testing.B) {
	l := event.NewLines(io.Discard, event.LinesOptions{})
	defer l.Close(context.Background())
	run := newBench(b, l).whole(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}
