package app

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
	"gatehouse/gateway"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/secret"
)

// hourManifest has a product that is served for ten minutes without the control plane, and one without a bound of its own.
const hourManifest = `gatehouse: 1
environments: [{name: live}]
upstreams: [{name: a, targets: ["UPSTREAM"]}]
apis: [{name: a, openapi: a.json, path: /a, upstream: a, policies: [api_key, grant]}, {name: b, openapi: a.json, path: /b, upstream: a, policies: [api_key, grant]}]
products:
  - {name: plain, operations: [{api: a}], scopes: {read: Read.}, plans: [{name: free, approval: {automatic: true}, longest: 90d}]}
  - {name: sensitive, max_offline: 10m, operations: [{api: b}], scopes: {read: Read.}, plans: [{name: free, approval: {automatic: true}, longest: 90d}]}
`

const hourDocument = `{"openapi":"3.1.0","info":{"title":"a","version":"1"},"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-API-Key"}}},
"paths":{"/x":{"get":{"operationId":"x","security":[{"key":["read"]}],"responses":{"200":{"description":"ok"}}}}}}`

// setClock is a clock of which a test decides what it shows, and how much time passes.
type setClock struct {
	mu     sync.Mutex
	shows  time.Time
	passed time.Duration
}

func (w *setClock) read() (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shows, w.passed
}

func (w *setClock) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shows, w.passed = w.shows.Add(d), w.passed+d
}

// set changes what it shows. Nothing passes.
func (w *setClock) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shows = w.shows.Add(by)
}

// hour is a gateway without a control plane: a real one on a real listener, on what is on a real disk. Only its clock is the test's.
type hour struct {
	*testing.T
	watch setClock
	dir   string
	key   ed25519.PrivateKey
	who   link.Identity
	es    []feed.Entry // what it had heard before

	bond *bond
	g    *gateway.Gateway
	at   string
	stop func()
}

func (h *hour) know(k feed.Kind, key string, payload any) {
	h.Helper()
	b, err := json.Marshal(payload)
	if err != nil {
		h.Fatal(err)
	}
	var at feed.Position
	if n := len(h.es); n > 0 {
		at = h.es[n-1].Position()
	}
	now, _ := h.watch.read()
	e, err := feed.Seal(at, feed.Entry{Environment: "live", Epoch: 1, Kind: k, Key: key, Version: 1, Payload: b, Committed: now}, func(d string) []byte { return feed.Sign(h.key, d) })
	if err != nil {
		h.Fatal(err)
	}
	h.es = append(h.es, e)
}

// start starts it from its disk. What is known and not on it is put there.
func (h *hour) start() {
	h.Helper()
	public := h.key.Public().(ed25519.PublicKey)
	d, err := disk.Open(filepath.Join(h.dir, "live"), "live", public)
	if err != nil {
		h.Fatal(err)
	}
	if d.Empty() {
		_, err := d.Load(func(feed.Entry) error { return nil })
		if err == nil {
			err = d.Keep(h.es)
		}
		if err == nil {
			err = d.Sync(h.es[len(h.es)-1].Position())
		}
		if err != nil {
			h.Fatal(err)
		}
		_ = d.Close()
		if d, err = disk.Open(filepath.Join(h.dir, "live"), "live", public); err != nil {
			h.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	h.bond = newBond(d, "live", h.who, public, 0, h.watch.read, log)
	h.g, err = gateway.New(gateway.Options{Environment: "live", Name: "one", Source: alone{}, Key: public, Kinds: Kinds(), Secrets: func(string) (secret.Value, bool) { return secret.Value{}, false }, Now: h.bond.time, Log: log,
		Codec: gateway.HTTP1, Load: d.Load, Keep: d.Keep, Sync: d.Sync, Hinted: true})
	if err != nil {
		h.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	h.at = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.g.Follow(ctx) })
	wg.Go(func() { _ = h.g.Serve(ctx, l) })
	h.stop = func() {
		cancel()
		wg.Wait()
		h.bond.note() // as keepTime does at the end
		if err := d.Close(); err != nil {
			h.Error(err)
		}
	}
}

// call asks with the key, after the gateway has looked how it stands, as it does four times a second.
func (h *hour) call(path, key string) (status int, said string) {
	h.Helper()
	h.g.Stands(h.bond.standing())
	r, err := http.NewRequest("GET", h.at+path, nil)
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	var p struct{ Type string }
	_ = json.NewDecoder(res.Body).Decode(&p)
	return res.StatusCode, p.Type[strings.LastIndex(p.Type, "/")+1:]
}

// An hour without the control plane, on a clock of the test's own, with a restart and a clock that is set back in it: every call that
// should pass passes, every grant and credential ends at its second, and every offline bound is honoured to the second.
func TestAnHourWithoutTheControlPlane(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "{}") }))
	t.Cleanup(up.Close)
	seed := make([]byte, ed25519.SeedSize)
	h := &hour{T: t, dir: t.TempDir(), key: ed25519.NewKeyFromSeed(seed)}
	began := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	h.watch.shows = began
	h.who = link.Identity{Joined: link.Joined{ID: id.New(id.Gateway, began), Name: "one", Environment: "live"}}
	b := manifest.Bundle{"gatehouse.yaml": []byte(strings.ReplaceAll(hourManifest, "UPSTREAM", up.URL)), "a.json": []byte(hourDocument)}

	const bound, productBound = 55 * time.Minute, 10 * time.Minute
	type caller struct {
		path, key  string
		grant, own time.Duration // when its grant ends, and its credential
	}
	var callers []caller
	org := id.New(id.Organization, began)
	h.know(feed.KindOrganization, string(org), feed.Organization{ID: org, Name: "Acme", Live: true})
	h.know(feed.KindRevision, "live", feed.Revision{Number: 1, Digest: b.Digest(), Bundle: b.Encode()})
	for i, c := range []caller{
		{path: "/a/x", grant: 2 * time.Hour, own: 2 * time.Hour},
		{path: "/b/x", grant: 2 * time.Hour, own: 2 * time.Hour},
		{path: "/a/x", grant: 5 * time.Minute, own: 2 * time.Hour},
		{path: "/b/x", grant: 5*time.Minute + time.Second, own: 2 * time.Hour},
		{path: "/a/x", grant: 27 * time.Minute, own: 2 * time.Hour}, // after the restart
		{path: "/a/x", grant: 40 * time.Minute, own: 2 * time.Hour}, // after the clock was set back
		{path: "/a/x", grant: 2 * time.Hour, own: 41 * time.Minute},
	} {
		app := id.New(id.Application, began.Add(time.Duration(i)))
		h.know(feed.KindApplication, string(app), feed.Application{ID: app, Organization: org, Name: "App", Live: true})
		g := feed.Grant{ID: id.New(id.Grant, began), Application: app, Product: map[string]string{"/a/x": "plain", "/b/x": "sensitive"}[c.path], Plan: "free", Scopes: []string{"read"},
			From: began.Add(-time.Hour), Until: began.Add(c.grant), State: "active"}
		h.know(feed.KindGrant, string(g.ID), g)
		key, public, hash := credential.NewKey("live")
		cr := feed.Credential{ID: id.New(id.Credential, began), Application: app, Kind: "api_key", PublicID: public, Hash: hash[:], Live: true, Expires: began.Add(c.own)}
		h.know(feed.KindCredential, string(cr.ID), cr)
		c.key = key.Reveal()
		callers = append(callers, c)
	}
	h.start()
	defer func() { h.stop() }()
	word := feed.Word{Kind: feed.Heartbeat, Environment: "live", Gateway: h.who.ID, At: began, MaxOffline: bound}
	signed, err := feed.Say(word, func(d string) []byte { return feed.Sign(h.key, d) })
	if err != nil {
		t.Fatal(err)
	}
	h.bond.heard(word, signed) // the last one

	turning := map[time.Duration]bool{}
	for _, at := range []time.Duration{bound, productBound, 5 * time.Minute, 25 * time.Minute, 27 * time.Minute, 30 * time.Minute, 40 * time.Minute, 41 * time.Minute} {
		for d := -2 * time.Second; d <= 2*time.Second; d += time.Second {
			turning[at+d] = true
		}
	}
	passed, refused := 0, 0
	for at := time.Duration(0); at <= time.Hour+time.Minute; at += time.Second {
		switch at {
		case 25 * time.Minute: // a restart: what has passed is on the disk alone
			h.stop()
			h.watch.set(-20 * time.Minute) // and a clock that was set back meanwhile
			h.start()
		case 30 * time.Minute: // it is set back while the gateway runs
			h.watch.set(-2 * time.Hour)
		}
		if at%(2*time.Minute) == 0 || turning[at] {
			for i, c := range callers {
				status, code := h.call(c.path, c.key)
				want := ""
				switch {
				case at > bound:
					want = "gateway-offline"
				case at >= c.own:
					want = "key-expired"
				case at >= c.grant:
					want = "grant"
				case c.path == "/b/x" && at > productBound:
					want = "product-offline"
				}
				if want == "" && status != http.StatusOK || want != "" && (status == http.StatusOK || !strings.Contains(code, want)) {
					t.Errorf("at %v caller %d of %s is answered %d %s, want %q", at, i, c.path, status, code, want)
				}
				if want == "" {
					passed++
				} else {
					refused++
				}
			}
		}
		h.watch.pass(time.Second)
	}
	if passed < 100 || refused < 100 {
		t.Errorf("%d passed, %d were refused", passed, refused)
	}

	// Back: what is in force is what it was, and the clock that is wrong does not count against the control plane's.
	word.At = began.Add(time.Hour + time.Minute)
	if signed, err = feed.Say(word, func(d string) []byte { return feed.Sign(h.key, d) }); err != nil {
		t.Fatal(err)
	}
	h.bond.heard(word, signed)
	for i, want := range []bool{true, true, false, false, false, false, false} {
		if status, code := h.call(callers[i].path, callers[i].key); (status == http.StatusOK) != want {
			t.Errorf("after it is back caller %d is answered %d %s", i, status, code)
		}
	}

	// A clock that was ahead for a while makes nobody wait for it: the control plane's word counts again.
	h.watch.set(24 * time.Hour)
	h.watch.set(-24 * time.Hour)
	h.bond.heard(word, signed)
	if status, code := h.call(callers[0].path, callers[0].key); status != http.StatusOK {
		t.Errorf("after the clock was ahead: %d %s", status, code)
	}
}
