package traefik_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

// one is a router with middlewares, and what else there is of http, beside entry points.
func one(middlewares, http string) drifttest.Files {
	return drifttest.Files{"t.yaml": "entryPoints: {web: {address: ':80', http: {middlewares: []}}}\n",
		"d.yaml": "http:\n  routers:\n    r: {rule: 'PathPrefix(`/a`)', middlewares: [" + middlewares + "], service: s}\n" + http + `
  middlewares:
    jwt: {plugin: {jwt: {secret: sk_live_0123456789abcdef0123}}}
    basic: {basicAuth: {users: ["me:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]}}
    ask: {forwardAuth: {address: "https://u:hunter22secret@auth.example.com/x"}}
    both: {chain: {middlewares: [basic, ask]}}
    round: {chain: {middlewares: [round]}}
    open: {compress: {}}
    hub: {oidc: {issuer: x}}
  services: {s: {loadBalancer: {servers: [{url: "http://s"}]}}}
`}
}

func TestWhoGetsIn(t *testing.T) {
	parent := "    p: {rule: 'Host(`a.example.com`)', middlewares: [basic]}\n    c: {rule: 'Path(`/c`)', parentRefs: [p], service: s}\n"
	for _, c := range []struct {
		name, middlewares, http, want, state string
		at                                   int
	}{
		{"none", "", "", "open", "default", 0},
		{"compress alone", "open", "", "open", "default", 0},
		{"a password", "basic", "", "basic", "set", 0},
		{"both by a chain", "both", "", "basic and ext_authz", "set", 0},
		{"a plugin may", "jwt", "", "open", "unresolved", 0},
		{"a plugin beside a password", "jwt, basic", "", "basic", "unresolved", 0},
		{"one that is missing", "basic@consul", "", "open", "unresolved", 0},
		{"a chain that never ends", "round", "", "open", "unresolved", 0},
		{"a session", "hub", "", "oidc_session", "conditional", 0},
		{"by its parent", "", parent, "basic", "set", 1},
	} {
		e := drifttest.Read(t, traefik.Read, one(c.middlewares, c.http), "x", drift.Prod)
		drifttest.Invariants(t, c.name, e)
		if len(e.Operations) <= c.at {
			t.Errorf("%s: %d operations", c.name, len(e.Operations))
			continue
		}
		a := e.Operations[c.at].General().Auth.Ways
		if got := a.Value.String(); got != c.want || a.State.String() != c.state {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, a.State, c.want, c.state)
		}
		drifttest.Hidden(t, c.name, e, []string{"sk_live_0123456789abcdef0123", "hunter22secret", "IgXLP6ewTrSuBkTrqE8wj"})
	}
}

func TestEntryPointsComeFirst(t *testing.T) {
	f := one("ask", "")
	f["t.yaml"] = "entryPoints:\n  web: {address: ':80'}\n  tls: {address: ':443', http: {tls: {}, middlewares: [basic@file]}}\n"
	e := drifttest.Read(t, traefik.Read, f, "x", drift.Prod)
	o := e.Operations[0]
	if len(o.Effective) != 2 || o.Effective[0].Policy.Auth.Ways.Value.String() != "ext_authz" || !o.Effective[0].Policy.TLS.Plain.Value ||
		o.Effective[1].Policy.Auth.Ways.Value.String() != "basic and ext_authz" || o.Effective[1].Policy.TLS.Plain.Value {
		t.Errorf("%+v", o.Effective)
	}
	delete(f, "t.yaml")
	e = drifttest.Read(t, traefik.Read, f, "x", drift.Prod)
	p := e.Operations[0].General()
	if p.Auth.Ways.State != drift.Set || p.Rates.State != drift.Unresolved || p.Logging.Enabled.State != drift.Unresolved || p.TLS.Plain.State != drift.Unresolved {
		t.Errorf("what only the static configuration says is known: %s %s %s", p.Rates.State, p.Logging.Enabled.State, p.TLS.Plain.State)
	}
}

func TestRules(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"Path(`/a`)", "* /a"}, {"PathPrefix(`/a`)", "* /a/**"}, {"Host(`x.y`)", "* /** x.y"}, {"Path(`/a`, `/b`)", "* /a, * /b"},
		{"Host(`x`) && (Path(`/a`) || PathPrefix(`/b`))", "* /a x, * /b/** x"},
		{"Method(`GET`,`post`) && Path(`/a/{id:[0-9]{1,3}}`)", "GET /a/{}, POST /a/{}"},
		{"PathPrefix(`/a`) && !Path(`/a/b`)", "* /a/**"}, {"!PathPrefix(`/a`)", "* /**"},
		{"PathRegexp(`^/a/[0-9]+$`)", "* /a/{}"}, {`Path("/a")`, "* /a"}, {"PathPrefix(`/`) && PathPrefix(`/b`)", "* /b/**"},
		{"Path(`/a`", "* ~Path(`/a`"}, {"what is this", "* ~what is this"}, {"", "* /**"},
	} {
		f := drifttest.Files{"t.yaml": "entryPoints: {web: {address: ':80'}}\n", "d.yaml": "http:\n  routers:\n    r:\n      service: s\n      rule: '" + c.rule + "'\n"}
		e := drifttest.Read(t, traefik.Read, f, "x", drift.Prod)
		var got []string
		for _, o := range e.Operations {
			got = append(got, strings.TrimSpace(o.Key.String()+" "+strings.Join(o.Match.Hosts, ",")))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", c.rule, s, c.want)
		}
	}
}

// TestPlainRoutersThatRedirect are the usual pair: the plain one only sends to HTTPS, and is no door of its own.
func TestPlainRoutersThatRedirect(t *testing.T) {
	f := drifttest.Files{"t.yaml": "entryPoints: {web: {address: ':80'}, tls: {address: ':443'}}\n",
		"d.yaml": "http:\n  routers:\n    a: {rule: 'Path(`/a`)', entryPoints: [web], middlewares: [go], service: s}\n    b: {rule: 'Path(`/a`)', entryPoints: [tls], tls: {}, service: s}\n  middlewares: {go: {redirectScheme: {scheme: https, permanent: true}}}\n"}
	e := drifttest.Read(t, traefik.Read, f, "x", drift.Prod)
	if len(e.Operations) != 1 || e.Operations[0].General().TLS.Redirect.Value != 301 || e.Operations[0].General().TLS.Plain.Value {
		t.Errorf("%+v", e.Operations)
	}
}

// TestOptionsThatConflict: two options of one host make neither count.
func TestOptionsThatConflict(t *testing.T) {
	f := drifttest.Files{"t.yaml": "entryPoints: {tls: {address: ':443'}}\n",
		"d.yaml": "http:\n  routers:\n    a: {rule: 'Host(`h`) && Path(`/a`)', tls: {options: strict}, service: s}\n    b: {rule: 'Host(`h`) && Path(`/b`)', tls: {}, service: s}\ntls: {options: {strict: {minVersion: VersionTLS13}}}\n"}
	e := drifttest.Read(t, traefik.Read, f, "x", drift.Prod)
	if v := e.Operations[0].General().TLS.Min; v.Value != "1.2" || len(e.Problems) != 1 {
		t.Errorf("%+v, %v", v, e.Problems)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(goodDynamic)
	f.Add(objects)
	f.Add("http: {routers: {r: {rule: '((((!!!Path(`x`) || Host()', parentRefs: [r], tls: x}}, middlewares: {m: [], c: {chain: {middlewares: [c]}}}, services: {s: {weighted: {services: [{name: s}]}}}}\nentryPoints: [a]\n")
	f.Fuzz(func(t *testing.T, s string) {
		e, _ := traefik.Read(drifttest.Files{"a.yaml": s, "b.yaml": goodStatic}.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
