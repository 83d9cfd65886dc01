package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/gateway"
)

// A caller cannot have deleted what the manifest's own policies add, by naming it in Connection.
func TestConnectionNamesNothingOfTheGateway(t *testing.T) {
	both(t, testConnectionNamesNothingOfTheGateway)
}

func testConnectionNamesNothingOfTheGateway(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	b := files(h.upstream.URL, "")
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "headers: {response:", "headers: {request: {set: {X-Tier: partner}}, response:", 1))
	h.inForce(h.revise(b))
	key, _ := h.issue()
	h.grant("read")
	a := h.do(call{path: "/eid/v1/whoami", key: key, header: http.Header{"X-Tier": {"admin"}, "X-Hop": {"1"},
		"Connection": {"x-hop, X-Tier, eid-gateway-secret, Gatehouse-Organization, Gatehouse-Scopes, X-Forwarded-For, Via"}}})
	a.want(t, 200, "")
	got := a.echoed(t).Header
	if got.Get("X-Tier") != "partner" || len(got.Values("X-Tier")) != 1 {
		t.Errorf("the upstream was told X-Tier: %q", got.Values("X-Tier"))
	}
	for _, name := range []string{"Eid-Gateway-Secret", "Gatehouse-Organization", "Gatehouse-Scopes", "X-Forwarded-For", "Via"} {
		if got.Get(name) == "" {
			t.Errorf("the caller had %s deleted", name)
		}
	}
	if got.Get("X-Hop") != "" {
		t.Error("a field of the connection was forwarded")
	}
}

// What was allowed is the request line: fields that some frameworks take for another method or path do not arrive, nor
// does what some servers cannot tell from the gateway's own.
func TestFieldsThatNameAnotherTarget(t *testing.T) { both(t, testFieldsThatNameAnotherTarget) }

func testFieldsThatNameAnotherTarget(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	hostile := http.Header{}
	for _, name := range []string{"X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
		"X-HTTP.Method~Override", "Gatehouse.Organization", "GATEHOUSE~Scopes", "Gatehouse!Grant", "X.Forwarded.For"} {
		hostile[name] = []string{"DELETE"}
	}
	a := h.do(call{path: "/eid/v1/whoami", key: key, header: hostile})
	a.want(t, 200, "")
	for name, values := range a.echoed(t).Header {
		for _, v := range values {
			if v == "DELETE" {
				t.Errorf("the upstream got %s: %s", name, v)
			}
		}
	}
}
