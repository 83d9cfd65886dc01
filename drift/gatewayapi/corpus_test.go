package gatewayapi_test

import (
	"io/fs"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatewayapi"
)

func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "gateway-api")
	files, ops := 0, 0
	var all []*drift.Environment
	drifttest.EachFile(t, dir, []string{".yaml"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, _ := gatewayapi.Read(fsys, drift.Options{Name: "corpus", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		ops += len(e.Operations)
		all = append(all, e)
	})
	t.Logf("%d files, %d operations; %s", files, ops, drift.CoverAll(all))
}

const core = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: gw}
spec:
  listeners:
  - {name: https, protocol: HTTPS, port: 443, hostname: "*.example.com", allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: apps}
spec:
  parentRefs: [{name: gw, namespace: gw}]
  hostnames: [api.example.com]
  rules:
  - matches: [{path: {type: Exact, value: /orders}, method: GET}, {path: {type: RegularExpression, value: "/items/[0-9]+"}}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [X-User]}}
    - {type: CORS, cors: {allowOrigins: ["https://app.example.com"], allowCredentials: true}}
    backendRefs: [{name: orders, port: 80}]
`

func TestMutations(t *testing.T) {
	in := func(rule, old, new string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "a.yaml", Old: old, New: new}
	}
	found, all := drifttest.Mutate(t, gatewayapi.Read, drifttest.Files{"a.yaml": core}, []drifttest.Mutation{
		in("DR-CRT-12", "protocol: HTTPS, port: 443", "protocol: HTTP, port: 80"),
		in("DR-TRF-09", "    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [X-User]}}\n", ""),
		in("DR-EXP-02", "{type: Exact, value: /orders}", "{type: PathPrefix, value: /orders}"),
		in("DR-EXP-03", `["https://app.example.com"]`, `["*"]`),
	})
	t.Logf("%d of %d weakenings found", found, all)
}

// TestAbsenceProvesNothing: the core has no authentication, so a route without any is not said to be open.
func TestAbsenceProvesNothing(t *testing.T) {
	e := drifttest.Read(t, gatewayapi.Read, drifttest.Files{"a.yaml": core}, "env", drift.Prod)
	for _, o := range e.Operations {
		if s := o.General().Auth.Ways.State; s != drift.Unresolved {
			t.Errorf("%s: %s", o.Key, s)
		}
	}
	if k := e.Operations[1].Key.String(); k != "* /items/{}" {
		t.Errorf("the pattern became %s", k)
	}
}
