package control_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
	"gatehouse/policy/apikey"
	"gatehouse/policy/granted"
	"gatehouse/policy/limit"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// clock is a time that tests set. Each look at it is a little later, so that identifiers keep their order.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type keys struct {
	feed     ed25519.PrivateKey
	signer   note.Signer
	verifier string
}

func newKeys(t testing.TB) keys {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "gatehouse.test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return keys{private, signer, vkey}
}

func (k keys) SignFeed(digest string) []byte { return feed.Sign(k.feed, digest) }
func (k keys) SignCheckpoint(text string) (string, error) {
	b, err := note.Sign(&note.Note{Text: text}, k.signer)
	return string(b), err
}
func (k keys) Verifier() string { return k.verifier }
func (k keys) Derive(purpose string) [32]byte {
	return sha256.Sum256(append(k.feed.Seed(), purpose...))
}

// views is what gateways enforce: the tests put it there.
type views map[string]*snapshot.View

func (v views) View(environment string) *snapshot.View { return v[environment] }

// world is a control plane on a real database, with a clock that stands still and a box of letters.
type world struct {
	*control.Control
	t     testing.TB
	ctx   context.Context
	store store.Store
	clock *clock
	box   *mail.Box
	file  string // of the database
	views views

	probers probers

	admin, approver, operator, auditor, host, system identity.Actor
}

const portalURL = "https://portal.test"

func newWorld(t testing.TB) *world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	st, err := sqldb.OpenSQLite(context.Background(), file, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, st)
	w.file = file
	return w
}

// newWorldOn is newWorld on a database that is open and empty.
func newWorldOn(t testing.TB, st store.Store) *world {
	t.Helper()
	t.Cleanup(func() { _ = st.Close() })
	w := &world{t: t, ctx: context.Background(), store: st, box: mail.NewBox(), views: views{}, probers: probers{},
		clock: &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}}
	w.Control = control.New(control.Options{
		Store: st, Mail: w.box, Kinds: kinds(), Views: w.views, Probers: w.probers, Keys: newKeys(t), Now: w.clock.Now, URL: portalURL,
		Gateways: map[string]string{"live": "https://gateway.test", "test": "https://gateway.test:8010"},
		Backups:  filepath.Join(t.TempDir(), "backups"), Version: "test",
	})
	w.CheapPasswords()
	w.Patience(0) // nothing is numbered beside the test
	w.host = identity.Actor{Class: identity.Host}
	w.system = identity.Actor{Class: identity.System}
	return w
}

func kinds() []policy.Kind {
	return []policy.Kind{anonymous.Kind(), apikey.Kind(), granted.Kind(), limit.Kind()}
}

// staffed adds people of the platform.
func (w *world) staffed() *world {
	w.t.Helper()
	w.admin = w.staff("ada@platform.example", identity.Admin)
	w.approver = w.staff("paul@platform.example", identity.Approver)
	w.operator = w.staff("olga@platform.example", identity.Operator)
	w.auditor = w.staff("udo@platform.example", identity.Auditor)
	return w
}

// staff makes a person of the platform and signs them in by the link of the letter.
func (w *world) staff(email string, roles ...identity.Role) identity.Actor {
	w.t.Helper()
	must(w.AddStaff(w.ctx, w.host, email, "Person "+email, roles))(w.t)
	in := must(w.SignInByLink(w.ctx, at("203.0.113.7"), w.link(email, "/signin/link"), "test"))(w.t)
	return w.actor(in)
}

func (w *world) actor(in control.SignedIn) identity.Actor {
	w.t.Helper()
	return must(w.BySession(w.ctx, in.Token, "203.0.113.7:4000", "rq_test"))(w.t)
}

const password = "seven green horses"

// partner registers an organization, confirms the address and signs its owner in.
func (w *world) partner(name, email string) identity.Actor {
	w.t.Helper()
	if err := w.Register(w.ctx, at("198.51.100.1"), registration(name, email)); err != nil {
		w.t.Fatal(err)
	}
	must(w.ConfirmEmail(w.ctx, at("198.51.100.1"), w.link(email, "/confirm")))(w.t)
	return w.actor(must(w.SignIn(w.ctx, at("198.51.100.1"), email, secret.New(password), "test"))(w.t))
}

// verified is a partner that staff have verified.
func (w *world) verified(name, email string) identity.Actor {
	w.t.Helper()
	a := w.partner(name, email)
	must(w.VerifyOrganization(w.ctx, w.operator, a.Organization, 0, "looked up in the register"))(w.t)
	return a
}

func registration(name, email string) control.Registration {
	return control.Registration{Organization: name, Website: "https://example.org", Country: "NL", Register: "KVK 12345678",
		Name: "Person of " + name, Email: email, Password: secret.New(password)}
}

// with is the same actor with other roles.
func with(a identity.Actor, roles ...identity.Role) identity.Actor { a.Roles = roles; return a }

// machine is a machine token of the actor.
func machine(a identity.Actor) identity.Actor {
	a.Class, a.ID, a.Session = identity.Machine, "mt_00000000000000000000000000", ""
	return a
}

func at(address string) identity.Actor { return control.Nobody(address, "rq_nobody") }

// link delivers what waits and returns the token of the newest link to the page that was sent to the address.
func (w *world) link(to, page string) secret.Value {
	w.t.Helper()
	if err := w.Deliver(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	for _, l := range w.box.Letters() {
		if l.To != to {
			continue
		}
		for _, text := range mail.Links(l.Text) {
			u, err := url.Parse(text)
			if err == nil && strings.HasPrefix(text, portalURL+page) && u.Query().Get("token") != "" {
				return secret.New(u.Query().Get("token"))
			}
		}
	}
	w.t.Fatalf("no letter to %s has a link to %s", to, page)
	return secret.Value{}
}

// letters is the subjects of the letters to the address, oldest first.
func (w *world) letters(to string) []string {
	w.t.Helper()
	if err := w.Deliver(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	ls := w.box.Letters()
	for i := len(ls) - 1; i >= 0; i-- {
		if ls[i].To == to {
			out = append(out, ls[i].Subject)
		}
	}
	return out
}

// must returns a value or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v (kind %s)", err, fault.KindOf(err))
		}
		return v
	}
}

// wants checks the kind and, unless "", the code of an error.
func wants(t testing.TB, what string, err error, k fault.Kind, code string) {
	t.Helper()
	if !errors.Is(err, k) {
		t.Errorf("%s: error %v, want kind %s", what, err, k)
		return
	}
	if got := fault.As(err).Code; code != "" && got != code {
		t.Errorf("%s: code %q, want %q (%v)", what, got, code, err)
	}
}

// wrong is the pointers that an Invalid error names.
func wrong(err error) string {
	var out []string
	for _, f := range fault.As(err).Fields {
		out = append(out, f.Pointer)
	}
	return strings.Join(out, " ")
}

const (
	openAPI = `openapi: 3.1.0
info: {title: Ident, version: "1"}
servers: [{url: "http://internal.example:9000"}]
paths:
  /checks:
    get:
      operationId: listChecks
      security: [{key: [checks:read]}]
      responses: {"200": {description: ok}}
    post:
      operationId: startCheck
      security: [{key: [checks:write]}]
      responses: {"201": {description: ok}}
  /secret:
    get:
      operationId: internalOnly
      security: [{key: []}]
      responses: {"200": {description: ok}}
  /health:
    get:
      operationId: health
      security: []
      responses: {"200": {description: ok}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
`
	gatehouseYAML = `gatehouse: 1
environments: [{name: live, title: Live}, {name: test}]
upstreams: [{name: ident, targets: ["http://127.0.0.1:1"]}]
apis:
  - name: ident
    openapi: ident.yaml
    path: /ident/v1
    upstream: ident
    policies: [api_key, grant, rate_limit]
    operations:
      - {id: health, remove: [api_key, grant, rate_limit], policies: [anonymous]}
      - {id: internalOnly, expose: false}
products:
  - name: reading
    operations: [{api: ident, ids: [listChecks, health]}]
    scopes: {"checks:read": Read checks.}
    plans:
      - {name: free, longest: 90d, credential_longest: 30d, limits: [{requests: 5, per: 1s}], approval: {automatic: true}}
  - name: checking
    operations: [{api: ident}]
    scopes: {"checks:read": Read checks., "checks:write": Start checks.}
    plans:
      - {name: standard, longest: 365d, limits: [{requests: 10, per: 1s}], approval: {stages: [{name: owner, role: approver}]}}
      - {name: big, longest: 180d, credential_longest: 60d, limits: [{requests: 100, per: 1s}], approval: {stages: [{name: owner, role: approver}, {name: operations, role: operator}]}}
      - {name: tried, longest: 30d, environments: [test], limits: [{requests: 10, per: 1s}], approval: {automatic: true}}
  - name: starting
    operations: [{api: ident, ids: [startCheck]}]
    scopes: {"checks:write": Start checks.}
    plans:
      - {name: free, longest: 10d, limits: [{requests: 5, per: 1s}], approval: {automatic: true}}
`
)

func bundle() manifest.Bundle {
	return manifest.Bundle{"gatehouse.yaml": []byte(gatehouseYAML), "ident.yaml": []byte(openAPI)}
}

// published is a world with staff and a manifest in both environments.
func (w *world) published() *world {
	w.t.Helper()
	w.staffed()
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live", "test"}); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range []string{"live", "test"} {
		p, err := w.Publish(w.ctx, w.operator, e, bundle(), "first")
		if err != nil {
			w.t.Fatalf("publish to %s: %v %v", e, err, p.Diagnostics)
		}
	}
	return w
}

func (w *world) application(a identity.Actor, name string) application.Application {
	w.t.Helper()
	return must(w.CreateApplication(w.ctx, a, control.NewApplication{Name: name, Purpose: "to test"}))(w.t)
}

// ask is a request for the product in the environment.
func ask(app application.Application, environment, product, plan string) control.AccessRequest {
	return control.AccessRequest{Application: app.ID, Environment: environment, Product: product, Plan: plan, Purpose: "to check partners"}
}

// grantOf is the grant that an approved request became.
func (w *world) grantOf(r grant.Request) grant.Grant {
	w.t.Helper()
	if r.State != grant.Approved {
		w.t.Fatalf("request is %s, want approved", r.State)
	}
	return must(w.Grant(w.ctx, w.admin, r.Grant))(w.t)
}

func (w *world) key(a identity.Actor, app application.Application, environment string, grants ...id.ID) credential.Credential {
	w.t.Helper()
	cr, _, err := w.IssueKey(w.ctx, a, control.NewKey{Application: app.ID, Environment: environment, Name: "key", Grants: grants})
	if err != nil {
		w.t.Fatal(err)
	}
	return cr
}
