package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
	"gatehouse/policy/apikey"
	"gatehouse/policy/cors"
	"gatehouse/policy/granted"
	"gatehouse/policy/headers"
	"gatehouse/policy/limit"
	"gatehouse/policy/requestsize"
	"gatehouse/secret"
)

func TestMain(m *testing.M) {
	gateway.ServeAlone()
	if os.Getenv(noLoops) == "" {
		gateway.Eager(true)
		loops = 2
	}
	goleak.VerifyTestMain(m)
}

// loops is on how many loops gateways of tests serve connections, where the kernel lets them; 0 where noLoops asks for it.
var loops int

// noLoops names the variable that has the tests do without.
const noLoops = "GATEHOUSE_TEST_NO_LOOPS"

func kinds() []policy.Kind {
	return []policy.Kind{anonymous.Kind(), apikey.Kind(), granted.Kind(), granted.WithoutKind(), limit.Kind(), cors.Kind(),
		headers.Kind(), requestsize.Kind(), broken(), proof(), protected()}
}

// A clock that tests move.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// A house is a real gateway on a real listener, in front of a real upstream, behind a feed.
type house struct {
	t        *testing.T
	g        *gateway.Gateway
	line     *line
	events   *kept
	clock    *clock
	addr     string // of the gateway
	upstream *httptest.Server
	app, org id.ID
	revision int64
	client   *http.Client
	codec    gateway.Codec
}

// files is the manifest of the tests; %s is the upstream's address.
func files(upstream, extra string) manifest.Bundle {
	return manifest.Bundle{
		"gatehouse.yaml": []byte(strings.ReplaceAll(strings.ReplaceAll(testManifest, "UPSTREAM", upstream), "# EXTRA", extra)),
		"eid.json":       []byte(testDocument),
	}
}

const testManifest = `gatehouse: 1
environments: [{name: live}, {name: test}]
upstreams:
  - name: eid
    targets: ["UPSTREAM"]
    timeouts: {connect: 1s, read: 300ms, total: 2s}
    present: [{header: Eid-Gateway-Secret, secret: eid-gateway}]
apis:
  - name: eid
    openapi: eid.json
    path: /eid/v1
    upstream: eid
    upstream_path: /v1
    policies:
      - api_key: {bearer: true}
      - grant
      - rate_limit
      - request_size: {max: 64KB}
      - cors: {origins: ["https://partner.example"], headers: [Content-Type, X-API-Key]}
      - headers: {response: {set: {X-From: gateway}, remove: [Server]}}
    operations:
      - {id: health, remove: [api_key, grant, rate_limit], policies: [anonymous]}
      - {id: upload, policies: [{request_size: {max: 1MB}}]}
      - {id: hidden, expose: false}
      - {id: many, policies: [{rate_limit: {by: application, windows: [{name: big, requests: 1000000, per: 1s}]}}]}
# EXTRA
products:
  - name: starter
    operations: [{api: eid}]
    scopes: {read: Read., write: Write.}
    plans:
      - name: free
        limits: [{name: burst, requests: 5, per: 10s}, {name: day, requests: 1000, per: 24h}]
        approval: {automatic: true}
        longest: 90d
`

const testDocument = `{"openapi":"3.1.0","info":{"title":"eid","version":"1"},
"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-API-Key"}}},
"paths":{
 "/whoami":{"get":{"operationId":"whoami","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}}}},
 "/many":{"get":{"operationId":"many","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}}}},
 "/things/{id}":{"get":{"operationId":"thing","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}},
   "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}]},
   "delete":{"operationId":"drop","security":[{"key":["write"]}],"responses":{"204":{"description":"ok"}},
   "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}]}},
 "/things/secret":{"get":{"operationId":"hidden","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}}}},
 "/upload":{"post":{"operationId":"upload","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}}}},
 "/health":{"get":{"operationId":"health","security":[],"responses":{"200":{"description":"ok"}}}}
}}`

// broken is a policy with a mistake in it.
func broken() policy.Kind {
	return policy.Define("broken", policy.Admit, "Has a mistake.", func(struct{}, policy.Site, policy.Deps) (policy.Policy, error) {
		return policy.Policy{Request: func(x *policy.Exchange) error { _ = x.Limits[7]; return nil }}, nil
	})
}

// overH2 stands for HTTP1 whose clients choose HTTP/2: over TLS in the handshake, otherwise by how they begin.
const overH2 = gateway.Codec("h2")

// These have upstreams that speak HTTP/2 too.
const (
	toH2C     = gateway.Codec("http1 to h2c")
	overToH2C = gateway.Codec("h2 to h2c")
)

// inH2 reports whether clients speak HTTP/2, and outH2 whether upstreams do.
func inH2(c gateway.Codec) bool  { return c == overH2 || c == overToH2C }
func outH2(c gateway.Codec) bool { return c == toH2C || c == overToH2C }

// both runs a test on each codec.
func both(t *testing.T, test func(*testing.T, gateway.Codec)) {
	for _, codec := range []gateway.Codec{gateway.HTTP1, gateway.Std, overH2, toH2C, overToH2C} {
		t.Run("codec="+string(codec), func(t *testing.T) { test(t, codec) })
	}
}

// own is what the gateway is told for one.
func own(codec gateway.Codec) (_ gateway.Codec, h2c bool) {
	switch {
	case inH2(codec):
		return gateway.HTTP1, true
	case outH2(codec):
		return gateway.HTTP1, false
	}
	return codec, false
}

type setup struct {
	codec    gateway.Codec
	secure   *tls.Config    // of the listener; nil: plain
	roots    *x509.CertPool // that upstreams are verified by
	upstream http.Handler
	limits   gateway.Limits
	tally    gateway.Tally
	dns      string // where upstreams' names are looked up
	secrets  map[string]string
	bundle   manifest.Bundle // instead of files(…)
}

// server is a real upstream.
func server(h http.Handler, codec gateway.Codec) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	if outH2(codec) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	s.Start()
	return s
}

func start(t *testing.T, s setup) *house {
	t.Helper()
	if s.upstream == nil {
		s.upstream = http.HandlerFunc(echo)
	}
	if s.secrets == nil {
		s.secrets = map[string]string{"eid-gateway": "let me in"}
	}
	h := &house{t: t, codec: s.codec, line: newLine(t), events: &kept{more: make(chan struct{})}, clock: &clock{}, upstream: server(s.upstream, s.codec)}
	t.Cleanup(h.upstream.Close)
	transport := &http.Transport{}
	if inH2(s.codec) {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	h.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(transport.CloseIdleConnections)

	h.org, h.app = id.New(id.Organization, time.Now()), id.New(id.Application, time.Now())
	h.line.publish(t, feed.KindOrganization, string(h.org), feed.Organization{ID: h.org, Name: "Acme", Live: true})
	h.line.publish(t, feed.KindApplication, string(h.app), feed.Application{ID: h.app, Organization: h.org, Name: "Shop", Live: true})
	if s.bundle == nil {
		s.bundle = files(h.upstream.URL, "")
	}
	h.revise(s.bundle)
	h.run(s)
	return h
}

// run makes the gateway and waits until it serves.
func (h *house) run(s setup) {
	t := h.t
	var logged bytes.Buffer
	var mu sync.Mutex
	codec, h2c := own(s.codec)
	g, err := gateway.New(gateway.Options{H2C: h2c, Loops: loops, Environment: "live", Name: "gw-1", Source: h.line, Key: h.line.key.Public().(ed25519.PublicKey),
		Kinds: kinds(), Events: h.events, Now: h.clock.now, Limits: s.limits, Tally: s.tally, Codec: codec, DNS: s.dns,
		Log: slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return logged.Write(b)
		}), nil)),
		Secrets: func(name string) (secret.Value, bool) {
			v, ok := s.secrets[name]
			return secret.New(v), ok
		}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.Poison()
	g.Trust(s.roots)
	h.g, h.addr = g, l.Addr().String()
	if s.secure != nil {
		if h2c {
			s.secure = s.secure.Clone()
			s.secure.NextProtos = []string{"h2", "http/1.1"}
		}
		l = tls.NewListener(l, s.secure)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Follow(ctx); err != nil {
			t.Errorf("Follow: %v", err)
		}
	})
	wg.Go(func() {
		if err := g.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		cancel()
		wg.Wait()
		if t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			t.Logf("the gateway's log:\n%s", logged.String())
		}
	})
	h.wait("the gateway is ready", func() bool { return g.Ready() == nil })
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// wait polls for a condition that nothing announces.
func (h *house) wait(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			h.t.Fatalf("it never came about that %s; readiness: %v", what, h.g.Ready())
		}
		time.Sleep(time.Millisecond)
	}
}

// revise publishes a bundle as the next revision.
func (h *house) revise(b manifest.Bundle) int64 {
	if outH2(h.codec) {
		b = maps.Clone(b)
		own := fmt.Sprintf("    targets: [%q]\n", h.upstream.URL) // other servers of a test speak HTTP/1.1
		b["gatehouse.yaml"] = []byte(strings.ReplaceAll(string(b["gatehouse.yaml"]), own, "    protocol: h2c\n"+own))
	}
	h.revision++
	return h.line.publish(h.t, feed.KindRevision, "live", feed.Revision{Number: h.revision, Digest: b.Digest(), Bundle: b.Encode()})
}

// patient gives the upstream more time: under the race detector large bodies take long.
func (h *house) patient() {
	b := files(h.upstream.URL, "")
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "read: 300ms, total: 2s", "read: 10s, total: 30s", 1))
	h.inForce(h.revise(b))
}

// inForce waits until the gateway says that the entry is.
func (h *house) inForce(seq int64) {
	h.line.receipt(h.t, func(r feed.Receipt) bool { return r.Position.Seq >= seq })
}

// issue publishes a fresh key and returns it with what can be published again, changed.
func (h *house) issue(bound ...id.ID) (string, feed.Credential) {
	key, public, hash := credential.NewKey("live")
	c := feed.Credential{ID: id.New(id.Credential, time.Now()), Application: h.app, Kind: "api_key", PublicID: public, Hash: hash[:],
		Grants: bound, Live: true, Expires: time.Now().Add(24 * time.Hour)}
	h.put(c)
	return key.Reveal(), c
}

func (h *house) put(payload any) int64 {
	switch p := payload.(type) {
	case feed.Credential:
		return h.line.publish(h.t, feed.KindCredential, string(p.ID), p)
	case feed.Grant:
		return h.line.publish(h.t, feed.KindGrant, string(p.ID), p)
	case feed.Application:
		return h.line.publish(h.t, feed.KindApplication, string(p.ID), p)
	case feed.Organization:
		return h.line.publish(h.t, feed.KindOrganization, string(p.ID), p)
	}
	panic(fmt.Sprintf("what is a %T", payload))
}

func (h *house) grant(scopes ...string) feed.Grant {
	g := feed.Grant{ID: id.New(id.Grant, time.Now()), Application: h.app, Product: "starter", Plan: "free", Scopes: scopes,
		From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour), State: "active"}
	h.inForce(h.put(g))
	return g
}

// call is one request; do sends it and reads the whole answer.
type call struct {
	method, path, key string
	header            http.Header
	body              io.Reader
}

type answer struct {
	status  int
	header  http.Header
	body    string
	problem struct {
		Type, Title, Detail, Instance, Rule string
		Status                              int
		RequestID                           string `json:"request_id"`
	}
}

func (h *house) do(c call) answer {
	h.t.Helper()
	if c.method == "" {
		c.method = "GET"
	}
	r, err := http.NewRequest(c.method, "http://"+h.addr+c.path, c.body)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, values := range c.header {
		if inH2(h.codec) && (name == "Connection" || name == "X-Hop") {
			continue // HTTP/2 has no fields of the connection; that they are refused is a test of its own
		}
		r.Header[name] = values
	}
	if c.key != "" {
		r.Header.Set("X-API-Key", c.key)
	}
	res, err := h.client.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return read(h.t, res)
}

func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	if res.Header.Get("Content-Type") == "application/problem+json" && len(b) > 0 {
		if err := json.Unmarshal(b, &a.problem); err != nil {
			t.Fatalf("the problem is no JSON: %v: %s", err, b)
		}
		if a.problem.Status != a.status || a.problem.RequestID == "" || a.problem.RequestID != a.header.Get("Gatehouse-Request-Id") ||
			a.problem.Title == "" || a.problem.Detail == "" || a.problem.Rule == "" || !strings.HasPrefix(a.problem.Type, "/problems/") {
			t.Errorf("the problem lacks something: %d %s", a.status, b)
		}
	}
	return a
}

// want checks status and problem type; "" is no problem.
func (a answer) want(t *testing.T, status int, kind string) {
	t.Helper()
	got := strings.TrimPrefix(a.problem.Type, "/problems/")
	if a.status != status || got != kind {
		t.Errorf("answered %d %q, want %d %q: %.300s", a.status, got, status, kind, a.body)
	}
}

// echo is an upstream that answers what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Gatehouse-Grant", "forged by the upstream")
	w.Header().Set("Server", "upstream/1")
	w.Header().Set("Alt-Svc", `h3=":443"`)
	_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "uri": r.RequestURI, "host": r.Host, "header": r.Header, "body": string(b)})
}

type echoed struct {
	Method, URI, Host, Body string
	Header                  http.Header
}

func (a answer) echoed(t *testing.T) (e echoed) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("the upstream's answer: %v: %s", err, a.body)
	}
	return e
}
