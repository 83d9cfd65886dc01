package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/id"
)

// Story point 7: what a key, a grant and a plan let through.
func TestStoryCall(t *testing.T) { both(t, testStoryCall) }

func testStoryCall(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, cred := h.issue()
	g := h.grant("read")

	a := h.do(call{path: "/eid/v1/things/a%2Db?x=1&y=%20", key: key, header: http.Header{
		"Gatehouse-Organization": {"forged"}, "Gatehouse_Grant": {"forged"}, "GATEHOUSE-scopes": {"admin"}, "Eid-Gateway-Secret": {"forged"},
		"X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "X_Forwarded_For": {"6.6.6.6"},
		"Connection": {"X-Hop, gatehouse-organization, Gatehouse-Grant"}, "X-Hop": {"1"}, "X-Request-Id": {"mine-1"},
		"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "Tracestate": {"a=b"},
	}})
	a.want(t, 200, "")
	e := a.echoed(t)
	via := "1.1 gatehouse"
	if inH2(codec) {
		via = "2 gatehouse"
	}
	if e.URI != "/v1/things/a-b?x=1&y=%20" {
		t.Errorf("the upstream was asked for %q", e.URI)
	}
	for name, want := range map[string]string{
		"Gatehouse-Organization": string(h.org), "Gatehouse-Application": string(h.app), "Gatehouse-Credential": string(cred.ID),
		"Gatehouse-Grant": string(g.ID), "Gatehouse-Scopes": "read", "Gatehouse-Environment": "live",
		"Gatehouse-Request-Id": a.header.Get("Gatehouse-Request-Id"), "Eid-Gateway-Secret": "let me in",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": h.addr, "X-Request-Id": "mine-1", "Via": via,
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate": "a=b",
		"Forwarded": `for=127.0.0.1;host="` + h.addr + `";proto=http`,
	} {
		if got := e.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("the upstream got %s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"X-Api-Key", "Authorization", "X-Hop", "Connection", "Gatehouse_Grant", "X_Forwarded_For", "X-Real-Ip"} {
		if got := e.Header.Values(name); len(got) > 0 {
			t.Errorf("the upstream got %s: %q", name, got)
		}
	}
	for name, want := range map[string]string{"Gatehouse-Grant": "", "Alt-Svc": "", "Server": "", "X-From": "gateway",
		"Ratelimit-Policy": `"burst";q=5;w=10, "day";q=1000;w=86400`} {
		if got := a.header.Get(name); got != want {
			t.Errorf("the caller got %s: %q, want %q", name, got, want)
		}
	}
	if got := a.header.Get("RateLimit"); !strings.HasPrefix(got, `"burst";r=4;t=2, "day";r=999;t=`) {
		t.Errorf("RateLimit: %s", got)
	}
	ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id"))
	for name, want := range map[string]any{"status": 200.0, "verdict": "passed", "fault": "none", "organization": string(h.org),
		"application": string(h.app), "credential": string(cred.ID), "grant": string(g.ID), "product": "starter", "plan": "free",
		"path": "/eid/v1/things/a-b", "operation": "thing", "peer": "127.0.0.1", "revision": 1.0, "gateway": "gw-1"} {
		if ev[name] != want {
			t.Errorf("the event's %s is %v, want %v", name, ev[name], want)
		}
	}

	h.do(call{path: "/eid/v1/whoami"}).want(t, 401, "key-missing")
	h.do(call{method: "DELETE", path: "/eid/v1/things/1", key: key}).want(t, 403, "scope-missing")
	h.do(call{path: "/eid/v1/whoami", header: http.Header{"Authorization": {"bearer " + key}}}).want(t, 200, "")

	for range 10 { // five of ten seconds are allowed, two are spent
		a = h.do(call{path: "/eid/v1/whoami", key: key})
	}
	a.want(t, 429, "rate-limited")
	if a.header.Get("Retry-After") != "2" || a.problem.Rule != "rate_limit" || !strings.HasPrefix(a.header.Get("RateLimit"), `"burst";r=0;t=10`) {
		t.Errorf("Retry-After %q, RateLimit %q, rule %q", a.header.Get("Retry-After"), a.header.Get("RateLimit"), a.problem.Rule)
	}
}

// Every way in which a key is refused, each by its own name, and always with a challenge.
func TestStoryRefusedKeys(t *testing.T) { both(t, testStoryRefusedKeys) }

func testStoryRefusedKeys(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	other, _, _ := credential.NewKey("test")
	stranger, _, _ := credential.NewKey("live")
	revokedKey, revoked := h.issue()
	revoked.Live, revoked.Ended = false, "revoked"
	suspendedKey, suspended := h.issue()
	suspended.Live, suspended.Ended = false, "suspended"
	oldKey, old := h.issue()
	old.Expires = time.Now().Add(-time.Second)
	h.put(revoked)
	h.put(suspended)
	h.inForce(h.put(old))

	forged := []byte(key)
	forged[30] ^= 1
	for _, c := range []struct {
		name, key string
		header    http.Header
		want      string
	}{
		{"none", "", nil, "key-missing"},
		{"empty", "", http.Header{"X-Api-Key": {""}}, "key-missing"},
		{"twice", "", http.Header{"X-Api-Key": {key, key}}, "key-repeated"},
		{"in two fields", key, http.Header{"Authorization": {"Bearer " + key}}, "key-repeated"},
		{"nonsense", "hello", nil, "key-malformed"},
		{"mistyped", string(forged), nil, "key-malformed"},
		{"in the query only", "", nil, "key-missing"},
		{"two in one field", key + ", " + key, nil, "key-malformed"},
		{"of another environment", other.Reveal(), nil, "wrong-environment"},
		{"well-formed and unknown", stranger.Reveal(), nil, "key-unknown"},
		{"revoked", revokedKey, nil, "key-revoked"},
		{"suspended", suspendedKey, nil, "key-suspended"},
		{"expired", oldKey, nil, "key-expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := h.do(call{path: "/eid/v1/whoami?api_key=" + key, key: c.key, header: c.header})
			a.want(t, 401, c.want)
			if got := a.header.Get("WWW-Authenticate"); got != `ApiKey realm="live", header="X-API-Key", Bearer realm="live"` {
				t.Errorf("WWW-Authenticate: %s", got)
			}
			if a.problem.Rule != "api_key" || strings.Contains(a.body, key[20:]) {
				t.Errorf("the problem: %s", a.body)
			}
			if c.want == "wrong-environment" && !strings.Contains(a.problem.Detail, "environment test; this is live") {
				t.Errorf("it does not name the environments: %s", a.problem.Detail)
			}
		})
	}
}

// Story point 8: what is taken away is refused from the next call on.
func TestStoryTakenAway(t *testing.T) { both(t, testStoryTakenAway) }

func testStoryTakenAway(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, cred := h.issue()
	g := h.grant("read")
	path := "/eid/v1/many"
	h.do(call{path: path, key: key}).want(t, 200, "")

	took := h.untilRefused(path, key, func() {
		cred.Live, cred.Ended = false, "revoked"
		h.put(cred)
	}, 401, "key-revoked")
	t.Logf("revoked key: first refused call %v after the entry was published", took)
	if took > 100*time.Millisecond {
		t.Errorf("a revocation took %v", took)
	}

	key, _ = h.issue()
	step := func(name string, payload any, status int, kind string) {
		t.Helper()
		h.inForce(h.put(payload))
		a := h.do(call{path: path, key: key})
		if got := strings.TrimPrefix(a.problem.Type, "/problems/"); a.status != status || got != kind {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, got, status, kind)
		}
	}
	state := func(s string) feed.Grant { g.State = s; return g }
	step("grant suspended", state("suspended"), 403, "grant-suspended")
	step("grant resumed", state("active"), 200, "")
	step("application closed", feed.Application{ID: h.app, Organization: h.org}, 401, "application-not-live")
	step("application open", feed.Application{ID: h.app, Organization: h.org, Live: true}, 200, "")
	step("organization suspended", feed.Organization{ID: h.org}, 401, "organization-not-live")
	step("organization back", feed.Organization{ID: h.org, Live: true}, 200, "")
	step("grant ended", state("ended"), 403, "grant-ended")
	g.ID = id.New(id.Grant, time.Now())
	g.From = time.Now().Add(time.Hour)
	g.Until = time.Now().Add(2 * time.Hour)
	step("grant of tomorrow", state("active"), 403, "grant-upcoming")
	h.clock.move(time.Hour + time.Minute)
	h.do(call{path: path, key: key}).want(t, 200, "")
	h.clock.move(time.Hour)
	h.do(call{path: path, key: key}).want(t, 403, "grant-expired")
	h.clock.move(48 * time.Hour)
	h.do(call{path: path, key: key}).want(t, 401, "key-expired")
}

// untilRefused calls without pause while change happens, and returns the time from change to the first refused call.
func (h *house) untilRefused(path, key string, change func(), status int, kind string) time.Duration {
	h.t.Helper()
	changed := make(chan time.Time, 1)
	go func() { at := time.Now(); change(); changed <- at }()
	deadline := time.Now().Add(5 * time.Second)
	for {
		a := h.do(call{path: path, key: key})
		if a.status == status {
			at := time.Now()
			a.want(h.t, status, kind)
			return at.Sub(<-changed)
		}
		if a.status != 200 || time.Now().After(deadline) {
			h.t.Fatalf("meanwhile: %d %s", a.status, a.body)
		}
	}
}

// Records may arrive in any order: what is not known to be live is refused.
func TestStoryUnknownOwners(t *testing.T) { both(t, testStoryUnknownOwners) }

func testStoryUnknownOwners(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	org, app := h.org, h.app
	h.org, h.app = id.New(id.Organization, time.Now()), id.New(id.Application, time.Now())
	key, _ := h.issue()
	h.grant("read")
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 401, "organization-not-live")
	h.inForce(h.put(feed.Application{ID: h.app, Organization: h.org, Live: true}))
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 401, "organization-not-live")
	h.inForce(h.put(feed.Organization{ID: h.org, Live: true}))
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "")
	if h.org == org || h.app == app {
		t.Error("the test is about itself")
	}
}

// A credential that is bound to named grants uses those; without a binding two that cover one operation are refused.
func TestStoryWhichGrantCounts(t *testing.T) { both(t, testStoryWhichGrantCounts) }

func testStoryWhichGrantCounts(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	first := h.grant("read")
	free, _ := h.issue()
	bound, _ := h.issue(first.ID)
	second := h.grant("read", "write")
	h.do(call{path: "/eid/v1/many", key: free}).want(t, 403, "grant-ambiguous")
	a := h.do(call{path: "/eid/v1/many", key: bound})
	a.want(t, 200, "")
	if got := a.echoed(t).Header.Get("Gatehouse-Grant"); got != string(first.ID) {
		t.Errorf("served under %s, want %s", got, first.ID)
	}
	h.do(call{method: "DELETE", path: "/eid/v1/things/1", key: bound}).want(t, 403, "scope-missing")
	a = h.do(call{method: "DELETE", path: "/eid/v1/things/1", key: free}) // only the second holds write
	a.want(t, 200, "")
	if got := a.echoed(t).Header.Get("Gatehouse-Grant"); got != string(second.ID) {
		t.Errorf("served under %s, want %s", got, second.ID)
	}
}
