package gatehouse_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatehouse"
)

const manifestYAML = `gatehouse: 1
environments:
  - {name: live, url: "https://api.example.com"}
upstreams:
  - name: orders
    targets: ["https://orders.internal.example.com"]
    timeouts: {connect: 1s, read: 5s, total: 15s}
apis:
  - name: orders
    openapi: orders.yaml
    path: /orders
    upstream: orders
    policies:
      - api_key
      - grant
      - rate_limit
      - request_size: {max: 64KB}
      - cors: {origins: ["https://partner.example.com"], methods: [GET], headers: [X-API-Key]}
      - headers:
          request: {remove: [X-User]}
          response: {set: {Strict-Transport-Security: max-age=31536000}}
products:
  - name: orders
    title: Orders
    owner: Team
    operations: [{api: orders}]
    scopes: {"orders:read": Read orders.}
    plans:
      - name: standard
        limits:
          - {name: second, requests: 10, per: 1s}
          - {name: day, requests: 1000, per: 24h}
        approval: {stages: [{name: owner, role: approver}]}
        longest: 365d
`

const documentYAML = `openapi: 3.1.0
info: {title: Orders, version: 1.0.0}
security: [{gatehouse: ["orders:read"]}]
paths:
  /{id}:
    get:
      operationId: getOrder
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: one}}
  /:
    get:
      operationId: listOrders
      responses: {"200": {description: all}}
components:
  securitySchemes:
    gatehouse: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://x.example.com/t", scopes: {"orders:read": Read}}}}
`

func good() drifttest.Files {
	return drifttest.Files{"gatehouse.yaml": manifestYAML, "orders.yaml": documentYAML}
}

func in(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "gatehouse.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func mutations() []drifttest.Mutation {
	const exempt = "    operations:\n      - {id: listOrders, remove: [api_key, grant, rate_limit], policies: [anonymous]}\nproducts:"
	return []drifttest.Mutation{
		in("DR-AUT-01", "products:", exempt),
		in("DR-AUT-19", "products:", exempt),
		in("DR-AUT-09", "      - grant\n", "      - no_grant: {reason: none is needed}\n"),
		in("DR-AUT-21", "      - grant\n", "      - no_grant: {reason: none is needed}\n"),
		in("DR-AUT-21", "approval: {stages: [{name: owner, role: approver}]}", "approval: {automatic: true}"),
		in("DR-CRT-06", "https://orders.internal", "http://orders.internal"),
		alone(in("DR-CRT-06", "https://orders.internal", "http://orders.internal")),
		in("DR-CRT-12", "max-age=31536000", "max-age=60"),
		in("DR-TRF-01", "      - rate_limit\n", ""),
		in("DR-TRF-03", "      - rate_limit\n", "      - rate_limit: {by: address, windows: [{requests: 10, per: 1s}]}\n"),
		in("DR-TRF-06", "          - {name: day, requests: 1000, per: 24h}\n", ""),
		in("DR-TRF-07", "requests: 10, per: 1s", "requests: 1000, per: 1s"),
		in("DR-TRF-08", "max: 64KB", "max: 10MB"),
		in("DR-TRF-08", "read: 5s", "read: 15s"),
		in("DR-TRF-09", "          request: {remove: [X-User]}\n", ""),
		in("DR-EXP-03", `["https://partner.example.com"]`, `["https://partner.example.com", "https://other.example.com"]`),
		alone(in("DR-EXP-07", "https://orders.internal", "https://orders-dev.internal")),
		{Rule: "DR-EXP-01", File: "orders.yaml", Old: "  /:\n", New: "  /{id}/raw:\n    delete:\n      operationId: raw\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n      responses: {\"200\": {description: x}}\n  /:\n"},
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, gatehouse.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFormatMeansNothing: how a manifest is cut into files, and explicit defaults, make no difference.
func TestFormatMeansNothing(t *testing.T) {
	i := strings.Index(manifestYAML, "products:")
	drifttest.Unmoved(t, gatehouse.Read, good(), drifttest.Files{
		"a.yaml": "# products\ngatehouse: 1\n" + manifestYAML[i:], "b.yaml": strings.Replace(manifestYAML[:i], "- api_key\n", "- api_key: {header: X-API-Key}\n", 1), "orders.yaml": documentYAML})
}

// TestTheExample reads the manifest of the example platform.
func TestTheExample(t *testing.T) {
	e, problems := gatehouse.Read(os.DirFS("../../examples/eid/manifest"), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	drifttest.Invariants(t, "eid", e)
	open := 0
	for _, o := range e.Operations {
		if o.General().Auth.Ways.Value.Open() {
			open++
			if !o.General().Auth.Exempt.Value {
				t.Errorf("%s is open and not exempted aloud", o.Key)
			}
		}
	}
	if open != 1 {
		t.Errorf("%d operations are open, want the one of health", open)
	}
	if i := slices.IndexFunc(e.Operations, func(o drift.Operation) bool { return len(o.Effective) > 2 }); i < 0 {
		t.Error("no operation has the classes of its plans")
	}
	t.Logf("%d operations; %s", len(e.Operations), drift.Cover(e))
}

// TestAManifestThatCannotBePublishedIsInForceNowhere.
func TestAManifestThatCannotBePublishedIsInForceNowhere(t *testing.T) {
	e, problems := gatehouse.Read(good().With(t, "gatehouse.yaml", "- api_key", "- api_key: {").FS(), drift.Options{Name: "live"})
	if len(e.Operations) != 0 || len(problems) == 0 || drift.Cover(e).Whole() {
		t.Errorf("%d operations, %v", len(e.Operations), problems)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(manifestYAML), []byte(documentYAML))
	f.Fuzz(func(t *testing.T, m, d []byte) {
		e, _ := gatehouse.Read(drifttest.Files{"gatehouse.yaml": string(m), "orders.yaml": string(d)}.FS(), drift.Options{Name: "live"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
