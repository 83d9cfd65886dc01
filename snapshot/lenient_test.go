package snapshot_test

import (
	"fmt"
	"testing"
)

// A path that an upstream could take for another one that is known is refused, wherever a parameter would have let it in.
func TestMatchAmbiguous(t *testing.T) {
	many := []string{"GET /many/{id}"}
	for i := range 20 {
		many = append(many, fmt.Sprintf("GET /many/Name%d", i))
	}
	r, ds := compile(t,
		api{path: "/v1", operations: append(many,
			"GET /things", "GET /things/{id}", "GET /things/mine", "-GET /things/secret", "GET /things/{id}/parts/{part}", "GET /things/mine/parts/all",
			"GET /files/{name}.json", "GET /files/{name}", "POST /jobs/{id}:cancel", "GET /jobs/{id}", "GET /plain/{id}", "GET /both/me", "GET /both/Me", "GET /both/{id}")},
		api{path: "/", operations: []string{"GET /v1/{a}/{b}/{c}/{d}", "GET /v1/{a}/{b}"}},
		api{hosts: []string{"api.example.com"}, path: "/v1", operations: []string{"GET /things/{id}", "-GET /things/secret"}},
	)
	if r == nil {
		t.Fatal(ds)
	}
	for _, c := range []struct {
		host, path string
		ambiguous  bool
		want       string
	}{
		{"x", "/v1/things/7", false, "a0 GET /things/{id}"},
		{"x", "/v1/things/7;v=1", false, "a0 GET /things/{id}"},
		{"x", "/v1/things/secrets", false, "a0 GET /things/{id}"},
		{"x", "/v1/things/secret", false, ""},
		{"x", "/v1/things/secret;", true, ""},
		{"x", "/v1/things/secret;x", true, ""},
		{"x", "/v1/things/secret%3Bx", true, ""},
		{"x", "/v1/things/SECRET", true, ""},
		{"x", "/v1/things/Secret;x", true, ""},
		{"x", "/v1/things/Mine", true, ""},
		{"x", "/v1/things/mine", false, "a0 GET /things/mine"},
		{"x", "/v1/things/mine;x/parts/all;y", true, ""},
		{"x", "/v1/things/mine/parts/ALL", true, ""},
		{"x", "/v1/things/mine;x/parts/7", false, "a0 GET /things/{id}/parts/{part}"},
		{"x", "/v1/files/a.json;x", true, ""},
		{"x", "/v1/jobs/7:cancel;x", true, ""},
		{"x", "/v1/plain/Me;x", false, "a0 GET /plain/{id}"},
		{"x", "/v1/both/Me", false, "a0 GET /both/Me"},
		{"x", "/v1/both/me", false, "a0 GET /both/me"},
		{"x", "/v1/both/ME", true, ""},
		{"x", "/v1/many/name7", true, ""},
		{"x", "/v1/many/Name7", false, "a0 GET /many/Name7"},
		{"x", "/v1/many/name99", false, "a0 GET /many/{id}"},
		{"api.example.com.", "/v1/things/secret", false, ""}, // a dot at the end names the same host
		{"api.example.com.:80", "/v1/things/7", false, "a2 GET /things/{id}"},
		{"api.example.com", "/v1/things/secret;x", true, ""},
	} {
		m := r.Match(head("GET", c.host, c.path))
		got := ""
		if m.Route != nil {
			got = m.Route.Route
		}
		if m.Ambiguous != c.ambiguous || got != c.want {
			t.Errorf("%s%s: %q, ambiguous %v; want %q, %v", c.host, c.path, got, m.Ambiguous, c.want, c.ambiguous)
		}
	}
}

func TestMatchAmbiguousAllocatesNothing(t *testing.T) {
	r, _ := compile(t, api{path: "/v1", operations: []string{"GET /things/{id}", "GET /things/mine", "GET /things/{id}/parts/{part}"}})
	h := head("GET", "x", "/v1/things/0123456789/parts/abc;x")
	if n := testing.AllocsPerRun(200, func() { r.Match(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
