package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"gatehouse/gateway"
)

// What an upstream was told of one caller is never told of the next one on the same connection.
func TestCallersOfOneConnectionAreToldApart(t *testing.T) {
	h := start(t, setup{codec: gateway.HTTP1})
	g := h.grant("read")
	first, one := h.issue()
	second, two := h.issue()
	h.inForce(h.put(two))
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	identity := []string{"Gatehouse-Organization", "Gatehouse-Application", "Gatehouse-Credential", "Gatehouse-Grant", "Gatehouse-Scopes"}
	ask := func(path, host, key, more string) http.Header {
		t.Helper()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n%s", path, host, more)
		if key != "" {
			fmt.Fprintf(c, "X-API-Key: %s\r\n", key)
		}
		fmt.Fprint(c, "\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var e echoed
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s of %s answered %d (%v)", path, host, res.StatusCode, err)
		}
		for name, want := range map[string]string{"X-Forwarded-Host": host, "Forwarded": `for=127.0.0.1;host="` + host + `";proto=http`, "X-Forwarded-For": "127.0.0.1",
			"Eid-Gateway-Secret": "let me in", "Gatehouse-Environment": "live", "Gatehouse-Request-Id": res.Header.Get("Gatehouse-Request-Id"), "Via": "1.1 gatehouse"} {
			if got := e.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s of %s: the upstream got %s %q, want %q", path, host, name, got, want)
			}
		}
		return e.Header
	}
	const many, health = "/eid/v1/many", "/eid/v1/health"
	for i, s := range []struct{ path, host, key, credential, more string }{
		{path: many, host: "a.example", key: first, credential: string(one.ID)},
		{path: many, host: "a.example", key: first, credential: string(one.ID)},
		{path: many, host: "a.example", key: second, credential: string(two.ID)},
		{path: health, host: "a.example"},
		{path: health, host: "a.example", key: first},
		{path: many, host: "b.example", key: second, credential: string(two.ID)},
		{path: many, host: "b.example", key: second, credential: string(two.ID), more: "Eid-Gateway-Secret: mine\r\nVia_: x\r\nX-Forwarded-Host: c\r\n"},
		{path: health, host: "b.example", more: "Gatehouse-Grant: mine\r\nConnection: gatehouse-environment\r\n"},
		{path: many, host: strings.Repeat("c", 200) + ".example", key: first, credential: string(one.ID)},
		{path: many, host: "b.example", key: first, credential: string(one.ID)},
	} {
		got := ask(s.path, s.host, s.key, s.more)
		for _, name := range identity {
			if v := got.Values(name); s.credential == "" && len(v) > 0 || s.credential != "" && (len(v) != 1 || v[0] == "") {
				t.Errorf("step %d: the upstream got %s %q", i, name, v)
			}
		}
		if v := got.Get("Gatehouse-Credential"); v != s.credential {
			t.Errorf("step %d: the upstream got the credential %q, want %q", i, v, s.credential)
		}
	}

	// Nor what a grant allowed before it was changed, nor what an upstream was shown before another revision was served.
	g.Scopes = []string{"read", "write"}
	h.inForce(h.put(g))
	if v := ask(many, "b.example", first, "").Get("Gatehouse-Scopes"); v != "read write" {
		t.Errorf("after the grant was widened the upstream got the scopes %q", v)
	}
	b := files(h.upstream.URL, "")
	b["gatehouse.yaml"] = []byte(strings.ReplaceAll(string(b["gatehouse.yaml"]), "upstream_path: /v1", "upstream_path: /v2"))
	h.inForce(h.revise(b))
	ask(many, "b.example", first, "")
}
