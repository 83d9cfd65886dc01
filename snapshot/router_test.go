package snapshot_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/manifest"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// An api of the tests: hosts, path, and operations as "METHOD /path", hidden ones with a minus before.
type api struct {
	hosts      []string
	headers    map[string]string
	path       string
	operations []string
}

func compile(_ testing.TB, apis ...api) (*snapshot.Routes, []manifest.Diagnostic) {
	p := &manifest.Parsed{Documents: map[string]*manifest.Document{}}
	p.Environments = []manifest.Environment{{Name: "live"}}
	p.Upstreams = []manifest.Upstream{{Name: "u", Targets: []string{"http://10.0.0.1:80"}}}
	hide := false
	for i, a := range apis {
		m := manifest.API{Name: fmt.Sprint("a", i), Path: a.path, Hosts: a.hosts, Headers: a.headers, Upstream: "u",
			Policies: []manifest.Policy{{Kind: "anonymous"}, {Kind: "cors", Config: []byte(`{"origins": ["https://p.example"]}`)}}}
		doc := &manifest.Document{}
		for _, o := range a.operations {
			o, hidden := strings.CutPrefix(o, "-")
			method, path, _ := strings.Cut(o, " ")
			doc.Operations = append(doc.Operations, manifest.DocOperation{ID: o, Method: method, Path: path})
			if hidden {
				m.Operations = append(m.Operations, manifest.Operation{ID: o, Expose: &hide})
			}
		}
		p.APIs, p.Documents[m.Name] = append(p.APIs, m), doc
	}
	return snapshot.Compile(p, "live", 1, kinds(), deps())
}

func head(method, host, path string) *wire.Head {
	return &wire.Head{Method: wire.View(method), Authority: wire.View(host), Path: wire.View(path)}
}

func TestMatch(t *testing.T) {
	r, ds := compile(t,
		api{path: "/v1", operations: []string{
			"GET /things", "POST /things", "GET /things/{id}", "DELETE /things/{id}", "GET /things/mine", "-GET /things/secret",
			"GET /things/{id}/parts/{part}", "GET /things/mine/parts/all", "GET /files/{name}.json", "GET /files/report-{year}.json", "GET /files/{name}",
			"POST /jobs/{id}:cancel", "GET /jobs/{id}", "HEAD /only", "OPTIONS /options", "GET /a/{b}/c", "GET /a/x/d", "GET /slash/", "GET /caf%C3%A9",
		}},
		api{hosts: []string{"api.example.com"}, path: "/v1", operations: []string{"GET /things", "PUT /host"}},
		api{hosts: []string{"*.example.com"}, path: "/v1", operations: []string{"GET /wild"}},
		api{hosts: []string{"*.eu.example.com"}, path: "/v1", operations: []string{"GET /wild"}},
	)
	if r == nil {
		t.Fatal(ds)
	}
	for _, c := range []struct {
		method, host, path string
		want               string // API and operation, or the methods that are allowed, or ""
	}{
		{"GET", "x", "/v1/things", "a0 GET /things"},
		{"POST", "x", "/v1/things", "a0 POST /things"},
		{"PUT", "x", "/v1/things", "GET, HEAD, OPTIONS, POST"},
		{"HEAD", "x", "/v1/things", "a0 GET /things"},
		{"GET", "x", "/v1/things/7", "a0 GET /things/{id}"},
		{"GET", "x", "/v1/things/mine", "a0 GET /things/mine"},
		{"DELETE", "x", "/v1/things/mine", "GET, HEAD, OPTIONS"}, // the path decides before the method
		{"GET", "x", "/v1/things/secret", ""},                    // hidden: no wider route answers for it
		{"DELETE", "x", "/v1/things/secret", ""},
		{"GET", "x", "/v1/things/mine/parts/all", "a0 GET /things/mine/parts/all"},
		{"GET", "x", "/v1/things/mine/parts/7", "a0 GET /things/{id}/parts/{part}"}, // back from the literal branch
		{"GET", "x", "/v1/things//parts/7", ""},
		{"GET", "x", "/v1/files/a.json", "a0 GET /files/{name}.json"},
		{"GET", "x", "/v1/files/report-2026.json", "a0 GET /files/report-{year}.json"},
		{"GET", "x", "/v1/files/report-.json", "a0 GET /files/{name}.json"},
		{"GET", "x", "/v1/files/.json", "a0 GET /files/{name}"},
		{"GET", "x", "/v1/files/a.xml", "a0 GET /files/{name}"},
		{"POST", "x", "/v1/jobs/7:cancel", "a0 POST /jobs/{id}:cancel"},
		{"GET", "x", "/v1/jobs/7:cancel", "OPTIONS, POST"},
		{"GET", "x", "/v1/jobs/7", "a0 GET /jobs/{id}"},
		{"HEAD", "x", "/v1/only", "a0 HEAD /only"},
		{"GET", "x", "/v1/only", "HEAD, OPTIONS"},
		{"OPTIONS", "x", "/v1/options", "a0 OPTIONS /options"},
		{"GET", "x", "/v1/a/x/c", "a0 GET /a/{b}/c"},
		{"GET", "x", "/v1/a/x/d", "a0 GET /a/x/d"},
		{"GET", "x", "/v1/slash/", "a0 GET /slash/"},
		{"GET", "x", "/v1/slash", ""},
		{"GET", "x", "/v1/things/", ""},
		{"GET", "x", "/v1/caf%C3%A9", "a0 GET /caf%C3%A9"},
		{"GET", "x", "/", ""},
		{"GET", "x", "/v1", ""},
		{"GET", "x", "/v2/things", ""},
		{"get", "x", "/v1/things", "GET, HEAD, OPTIONS, POST"},
		{"GET", "api.example.com", "/v1/things", "a1 GET /things"},
		{"GET", "api.example.com:8443", "/v1/things", "a1 GET /things"},
		{"PUT", "api.example.com", "/v1/host", "a1 PUT /host"},
		{"PUT", "x", "/v1/host", ""},
		{"GET", "api.example.com", "/v1/things/7", "a0 GET /things/{id}"}, // the host has no such path
		{"GET", "b.example.com", "/v1/wild", "a2 GET /wild"},
		{"GET", "b.c.example.com", "/v1/wild", "a2 GET /wild"},
		{"GET", "b.eu.example.com", "/v1/wild", "a3 GET /wild"},
		{"GET", "example.com", "/v1/wild", ""},
		{"GET", ".example.com", "/v1/wild", ""},
		{"GET", "[::1]:80", "/v1/things", "a0 GET /things"},
		{"GET", "[::1]", "/v1/things", "a0 GET /things"},
	} {
		m := r.Match(head(c.method, c.host, c.path))
		got := m.Allow
		if m.Route != nil {
			got = m.Route.Route
		}
		if got != c.want {
			t.Errorf("%s %s%s: %q, want %q", c.method, c.host, c.path, got, c.want)
		}
	}
}

func TestMatchPreflight(t *testing.T) {
	r, _ := compile(t, api{path: "/", operations: []string{"GET /a", "OPTIONS /b", "GET /b"}})
	ask := func(path, method string) snapshot.Match {
		h := head("OPTIONS", "x", path)
		h.Fields.AddString("Origin", "https://p.example")
		h.Fields.AddString("Access-Control-Request-Method", method)
		return r.Match(h)
	}
	if m := ask("/a", "GET"); !m.Preflight || m.Route.Operation != "GET /a" {
		t.Errorf("%+v", m)
	}
	if m := ask("/a", "PUT"); m.Route != nil || m.Allow != "GET, HEAD, OPTIONS" {
		t.Errorf("%+v", m)
	}
	if m := ask("/b", "GET"); m.Preflight || m.Route.Operation != "OPTIONS /b" {
		t.Errorf("an OPTIONS that is offered is a call: %+v", m)
	}
	if m := r.Match(head("OPTIONS", "x", "/a")); m.Route != nil || m.Allow == "" {
		t.Errorf("an OPTIONS that is no preflight: %+v", m)
	}
}

// Of routes at one place, the one that asks for more header fields goes first; where none of them has its fields, no wider
// route answers.
func TestMatchHeaders(t *testing.T) {
	with := func(fields ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(fields); i += 2 {
			m[fields[i]] = fields[i+1]
		}
		return m
	}
	r, ds := compile(t,
		api{path: "/", operations: []string{"GET /things", "GET /{all}"}},
		api{path: "/", operations: []string{"GET /things", "POST /things"}, headers: with("X-Version", "2")},
		api{path: "/", operations: []string{"GET /things"}, headers: with("X-Version", "3")},
		api{path: "/", operations: []string{"GET /things"}, headers: with("x-version", "2", "X-Beta", "yes")},
		api{path: "/", operations: []string{"GET /only"}, headers: with("X-Beta", "yes")},
		api{path: "/", hosts: []string{"api.example.com"}, operations: []string{"GET /host"}, headers: with("X-Beta", "yes")},
	)
	if r == nil {
		t.Fatal(ds)
	}
	for _, c := range []struct {
		method, host, path, fields, want string
	}{
		{"GET", "x", "/things", "", "a0 GET /things"},
		{"GET", "x", "/things", "X-Version: 1", "a0 GET /things"},
		{"GET", "x", "/things", "X-Version: 2", "a1 GET /things"},
		{"HEAD", "x", "/things", "x-vErsion: 2", "a1 GET /things"},
		{"GET", "x", "/things", "X-Version: 3", "a2 GET /things"},
		{"GET", "x", "/things", "X-Version: 2, X-Beta: yes", "a3 GET /things"},
		{"GET", "x", "/things", "X-Version: 3, X-Beta: yes", "a2 GET /things"},
		{"GET", "x", "/things", "X-Version: 2, X-Beta: no", "a1 GET /things"},
		{"GET", "x", "/things", "X-Version: 2, X-Version: 2", "a0 GET /things"}, // twice is nobody's
		{"GET", "x", "/things", "X-Version: 2, X-Version: 3", "a0 GET /things"},
		{"POST", "x", "/things", "X-Version: 2", "a1 POST /things"},
		{"POST", "x", "/things", "", ""},
		{"PUT", "x", "/things", "", "GET, HEAD, OPTIONS, POST"},
		{"GET", "x", "/only", "X-Beta: yes", "a4 GET /only"},
		{"GET", "x", "/only", "", ""}, // /{all} is wider
		{"GET", "api.example.com", "/host", "", ""},
		{"GET", "api.example.com", "/host", "X-Beta: yes", "a5 GET /host"},
	} {
		h := head(c.method, c.host, c.path)
		for f := range strings.SplitSeq(c.fields, ", ") {
			if name, value, ok := strings.Cut(f, ": "); ok {
				h.Fields.AddString(name, value)
			}
		}
		m := r.Match(h)
		got := m.Allow
		if m.Route != nil {
			got = m.Route.Route
		}
		if got != c.want {
			t.Errorf("%s %s%s %s: %q, want %q", c.method, c.host, c.path, c.fields, got, c.want)
		}
	}
	h := head("GET", "x", "/things")
	h.Fields.AddString("X-Version", "2")
	h.Fields.AddString("X-Beta", "yes")
	if n := testing.AllocsPerRun(100, func() { r.Match(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	h = head("OPTIONS", "x", "/only")
	h.Fields.AddString("Origin", "https://p.example")
	h.Fields.AddString("Access-Control-Request-Method", "GET")
	if m := r.Match(h); !m.Preflight || m.Route.Route != "a4 GET /only" {
		t.Errorf("a browser asks without the fields of the call: %+v", m)
	}
	for _, c := range []struct {
		one, two map[string]string
		refused  bool
	}{
		{with("X-A", "1"), with("X-B", "1"), true},
		{with("X-A", "1"), with("x-a", "1"), true},
		{with("X-A", "1"), with("x-a", "2"), false},
		{with("X-A", "1"), with("X-A", "1", "X-B", "1"), false},
		{with("X-A", "1", "X-B", "1"), with("X-A", "1", "X-C", "1"), true},
		{with("X-A", "1", "X-B", "1"), with("X-A", "2", "X-C", "1"), false},
	} {
		r, ds := compile(t, api{path: "/", operations: []string{"GET /a"}, headers: c.one}, api{path: "/", operations: []string{"GET /a"}, headers: c.two})
		if (r == nil) != c.refused {
			t.Errorf("%v beside %v: %v", c.one, c.two, ds)
		}
	}
}

func TestSameRouteTwice(t *testing.T) {
	r, ds := compile(t, api{path: "/v1", operations: []string{"GET /things/{id}"}}, api{path: "/", operations: []string{"GET /v1/things/{name}"}})
	if r != nil || !strings.Contains(fmt.Sprint(ds), "is also GET /things/{id} of API a0") {
		t.Errorf("two operations at one place: %v", ds)
	}
}

// many is 10,000 routes as a large platform has them.
func many(t testing.TB) *snapshot.Routes {
	var apis []api
	for i := range 20 {
		a := api{path: fmt.Sprintf("/service-%d/v1", i)}
		for j := range 100 {
			c := fmt.Sprintf("/collection-%d", j)
			a.operations = append(a.operations, "GET "+c, "POST "+c, "GET "+c+"/{id}", "DELETE "+c+"/{id}", "GET "+c+"/{id}/history/{entry}")
		}
		apis = append(apis, a)
	}
	r, ds := compile(t, apis...)
	if r == nil {
		t.Fatal(ds)
	}
	return r
}

func TestMatchAllocatesNothing(t *testing.T) {
	r := many(t)
	if n := len(r.All); n != 10000 {
		t.Fatalf("%d routes", n)
	}
	heads := []*wire.Head{head("GET", "api.example.com:443", "/service-7/v1/collection-42/0123456789/history/77"), head("PUT", "x", "/service-0/v1/collection-1"), head("GET", "x", "/nothing")}
	if n := testing.AllocsPerRun(100, func() {
		for _, h := range heads {
			_ = r.Match(h)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	r := many(b)
	for name, path := range map[string]string{"short": "/service-7/v1/collection-42", "long": "/service-7/v1/collection-42/0123456789/history/77", "none": "/service-7/v1/collection-999/1"} {
		b.Run("routes=10000/"+name, func(b *testing.B) {
			h := head("GET", "api.example.com", path)
			b.ReportAllocs()
			n, before := 0, processor(b)
			for b.Loop() {
				r.Match(h)
				n++
			}
			b.ReportMetric(float64(processor(b)-before)/float64(n), "cpu-ns/op")
		})
	}
}

// processor is the time that this process has used, all in all: what others use of the machine does not count.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func FuzzMatch(f *testing.F) {
	r, ds := compile(f, api{path: "/v1", operations: []string{"GET /a/{b}/c", "GET /a/x/d", "GET /f/{n}.json", "GET /{x}:go"}})
	if r == nil {
		f.Fatal(ds)
	}
	for _, s := range []string{"/v1/a/x/c", "/v1/f/a.json", "/v1/a:go", "/", "//", "/v1/a//c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, why := wire.NormalPath(nil, wire.View(s))
		if why != "" {
			return
		}
		m := r.Match(head("GET", "h", string(path)))
		if m.Route != nil && len(m.Route.UpstreamPath(nil, path)) == 0 {
			t.Errorf("%q is forwarded as nothing", s)
		}
	})
}
