package gatehouse_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatehouse"
	"gatehouse/manifest"
)

// TestEverySettingIsReadOrLeftAlone: whoever adds a setting to the manifest, to a kind of policy or to the start-up configuration
// says here whether the drift review reads it, and if not, why not.
func TestEverySettingIsReadOrLeftAlone(t *testing.T) {
	known, found := gatehouse.Settings(), map[string]bool{}
	see := func(name string) { found[name] = true }
	schema(reflect.TypeFor[manifest.Manifest](), "", see)
	for _, k := range app.Kinds() {
		schema(reflect.TypeOf(k.New()), "policy."+k.Name, see)
	}
	for _, s := range config.Settings() {
		see("start." + s.Name)
	}
	see("start.secrets")
	see("start.sso")
	for name := range found {
		if _, ok := known[name]; !ok {
			t.Errorf("%s is neither read by drift/gatehouse nor left alone for a reason: read it, or say why not in Settings", name)
		}
	}
	read := 0
	for name, why := range known {
		if !found[name] {
			t.Errorf("%s is told of, and is no setting (any more)", name)
		}
		if why == "" {
			read++
		}
	}
	t.Logf("%d settings: %d read, %d left alone", len(found), read, len(found)-read)
}

// schema calls see for the names of all settings below a type.
func schema(at reflect.Type, name string, see func(string)) {
	switch at.Kind() {
	case reflect.Pointer:
		schema(at.Elem(), name, see)
		return
	case reflect.Slice:
		if at.Elem().Kind() == reflect.Struct && at.Elem() != reflect.TypeFor[manifest.Policy]() {
			schema(at.Elem(), name, see)
			return
		}
	case reflect.Map:
		if strings.HasPrefix(name, "policy.") {
			break
		}
		schema(at.Elem(), name+".*", see)
		return
	case reflect.Struct:
		for i := range at.NumField() {
			if tag := at.Field(i).Tag.Get("json"); tag != "" {
				schema(at.Field(i).Type, strings.TrimPrefix(name+"."+tag, "."), see)
			}
		}
		return
	}
	if name != "" && !(at.Kind() == reflect.Struct) {
		see(name)
	}
}

const everything = `gatehouse: 1
environments:
  - {name: live}
  - {name: test, url: "https://test.example.com"}
trusted_issuers:
  - {name: ci, issuer: "https://ci.example.com", audiences: ["api://gate"], jwks_uri: "https://ci.example.com/keys", algorithms: [ES256], longest: 1h, environments: [live]}
  - {name: hub, issuer: "https://hub.example.com", audiences: ["api://gate"]}
upstreams:
  - name: orders
    targets: ["https://orders.internal.example.com"]
    environments: {live: {targets: ["https://live.internal.example.com"]}}
    timeouts: {connect: 1s, read: 5s}
    present: [{header: X-Proof, secret: orders-key}]
    retries: {attempts: 2, status: [503]}
    breaker: {errors: 40}
    concurrency: {most: 10}
    tls: {name: orders.example.com, ca: orders-ca, certificate: ours, key: ours-key}
  - name: others
    targets: ["https://others.internal.example.com"]
apis:
  - name: orders
    openapi: orders.yaml
    path: /orders
    hosts: [api.example.com]
    headers: {X-Version: "1"}
    upstream: orders
    policies:
      - any_of: {methods: [{api_key: {header: X-Our-Key, bearer: false}}, {oauth: {constrained: true}}, {workload_identity: {issuers: [ci]}}, {client_certificate: {}}]}
      - grant
      - rate_limit
      - request_size: {max: 64KB}
      - cors: {origins: ["https://partner.example.com"], methods: [GET], headers: [X-API-Key], expose: [X-Count], credentials: true, max_age: 1h}
      - headers:
          request: {remove: [X-User], set: {X-Set: a}, add: {X-Add: a}}
          response: {remove: [Server], set: {Strict-Transport-Security: max-age=31536000}, add: {X-More: a}}
    operations:
      - {id: putOrder, idempotent: true, scopes: ["orders:write"]}
      - {id: oldOrder, expose: false}
      - id: listOrders
        remove: [any_of, grant, rate_limit]
        policies: [{all_of: {methods: [{client_certificate: {}}, {oauth: {}}]}}, {no_grant: {reason: lists are for all}}, {rate_limit: {by: application, windows: [{requests: 5, per: 1s, burst: 9, counter: leased, away: closed}]}}]
products:
  - name: orders
    owner: Team
    environments: [live]
    operations: [{api: orders, ids: [getOrder, putOrder]}]
    scopes: {"orders:read": Read orders., "orders:write": Write orders.}
    plans:
      - name: standard
        limits:
          - {requests: 10, per: 1s, burst: 20, counter: strict, away: closed}
        approval:
          rules: [{name: small, when: "duration <= duration('720h')", then: approve}]
        credentials: [api_key, oauth_client, workload_identity]
        constrained: false
        longest: 365d
        environments: [live]
      - name: profile
        limits: [{requests: 1, per: 1s}]
        longest: 365d
        fapi: true
        approval: {automatic: false}
`

const everyOperation = `openapi: 3.1.0
info: {title: Orders, version: 1.0.0}
security: [{gatehouse: ["orders:read"]}]
paths:
  /{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getOrder, responses: {"200": {description: one}}}
    put: {operationId: putOrder, responses: {"200": {description: one}}}
  /:
    get: {operationId: listOrders, responses: {"200": {description: all}}}
  /old:
    get: {operationId: oldOrder, responses: {"200": {description: all}}}
components:
  securitySchemes:
    gatehouse: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://x.example.com/t", scopes: {"orders:read": Read, "orders:write": Write}}}}
`

const everyStart = `gateway:
  listen: ":443"
  h2c: false
  http3: true
  connections-per-address: 20
  tls: {certificate: server.pem, key: server.key, clients: require, client-authorities: partners.pem}
events: stdout
secrets: {orders-key: {env: ORDERS_KEY}}
`

// changes are, for every setting that is said to be read, another value of it.
var changes = map[string][2]string{
	"environments.name": {"{name: live}", "{name: life}"}, "environments.url": {"{name: live}", `{name: live, url: "https://new.example.com"}`},
	"upstreams.name": {"upstream: orders", "upstream: others"}, "apis.upstream": {"upstream: orders", "upstream: others"},
	"upstreams.targets":                {`    environments: {live: {targets: ["https://live.internal.example.com"]}}` + "\n", ""},
	"upstreams.environments.*.targets": {"https://live.internal", "https://more.internal"},
	"upstreams.timeouts.connect":       {"connect: 1s", "connect: 2s"}, "upstreams.timeouts.read": {"read: 5s", "read: 6s"},
	"upstreams.present.header":   {"X-Proof", "X-Prove"},
	"upstreams.retries.attempts": {"attempts: 2", "attempts: 3"}, "upstreams.retries.status": {"status: [503]", "status: [502]"},
	"upstreams.breaker.errors": {"errors: 40", "errors: 41"}, "upstreams.concurrency.most": {"most: 10", "most: 11"},
	"upstreams.tls.name": {"name: orders.example.com", "name: other.example.com"}, "upstreams.tls.ca": {"ca: orders-ca", "ca: other-ca"}, "upstreams.tls.certificate": {"certificate: ours", "certificate: theirs"},
	"apis.name": {"api: orders,", "api: order,"}, "apis.openapi": {"operationId: getOrder, responses", "operationId: getOrder, deprecated: true, responses"}, "apis.path": {"path: /orders", "path: /order"},
	"apis.hosts": {"hosts: [api", "hosts: [apx"}, "apis.headers.*": {`{X-Version: "1"}`, `{X-Version: "2"}`},
	"apis.policies":      {"      - request_size: {max: 64KB}\n", ""},
	"apis.operations.id": {"{id: oldOrder, expose", "{id: getOrder, expose"}, "apis.operations.expose": {"expose: false", "expose: true"},
	"apis.operations.scopes": {`scopes: ["orders:write"]}`, `scopes: []}`}, "apis.operations.idempotent": {"idempotent: true", "idempotent: false"},
	"apis.operations.policies": {"{no_grant: {reason: lists are for all}}, ", "{no_grant: {reason: lists are for all}}, {request_size: {max: 1KB}}, "},
	"apis.operations.remove":   {"remove: [any_of,", "remove: [cors, any_of,"},
	"products.name":            {"products:\n  - name: orders", "products:\n  - name: order"}, "products.environments": {"owner: Team\n    environments: [live]", "owner: Team\n    environments: [test]"},
	"products.operations.api": {"api: orders, ids: [getOrder, putOrder]", "api: orders, ids: [putOrder]"}, "products.operations.ids": {"ids: [getOrder, putOrder]", "ids: [getOrder]"},
	"products.plans.name": {"name: standard", "name: usual"}, "products.plans.limits.requests": {"requests: 10, per", "requests: 11, per"}, "products.plans.limits.per": {"10, per: 1s", "10, per: 2s"},
	"products.plans.limits.burst": {"burst: 20", "burst: 21"}, "products.plans.limits.counter": {"counter: strict, away: closed", "counter: local"}, "products.plans.limits.away": {"counter: strict, away: closed", "counter: strict, away: open"},
	"products.plans.approval.automatic":  {"automatic: false", "automatic: true"},
	"products.plans.approval.rules.name": {"name: small", "name: little"}, "products.plans.approval.rules.when": {"720h", "721h"}, "products.plans.approval.rules.then": {"then: approve", "then: people"},
	"products.plans.credentials": {"[api_key, oauth_client, workload_identity]", "[oauth_client]"}, "products.plans.constrained": {"constrained: false", "constrained: true"}, "products.plans.fapi": {"fapi: true", "fapi: false"},
	"products.plans.environments": {"longest: 365d\n        environments: [live]", "longest: 365d"},
	"trusted_issuers.name":        {"{name: ci,", "{name: cj,"}, "trusted_issuers.issuer": {`issuer: "https://ci.`, `issuer: "https://cj.`}, "trusted_issuers.audiences": {`audiences: ["api://gate"], jwks`, `audiences: ["api://get"], jwks`},
	"trusted_issuers.jwks_uri": {"ci.example.com/keys", "ci.example.com/key"}, "trusted_issuers.algorithms": {"[ES256]", "[ES256, RS256]"}, "trusted_issuers.longest": {"longest: 1h", "longest: 2h"},
	"trusted_issuers.environments": {"longest: 1h, environments: [live]", "longest: 1h, environments: [test]"},
	"policy.api_key.header":        {"header: X-Our-Key", "header: X-Your-Key"}, "policy.api_key.bearer": {"bearer: false", "bearer: true"}, "policy.oauth.constrained": {"oauth: {constrained: true}", "oauth: {}"},
	"policy.workload_identity.issuers": {"issuers: [ci]", "issuers: [hub]"}, "policy.any_of.methods": {", {client_certificate: {}}]}\n      - grant", "]}\n      - grant"}, "policy.all_of.methods": {"{methods: [{client_certificate: {}}, {oauth: {}}]}", "{methods: [{client_certificate: {}}, {api_key: {}}]}"},
	"policy.rate_limit.by": {"by: application", "by: address"}, "policy.rate_limit.windows.requests": {"requests: 5", "requests: 6"}, "policy.rate_limit.windows.per": {"5, per: 1s", "5, per: 2s"},
	"policy.rate_limit.windows.burst": {"burst: 9", "burst: 8"}, "policy.rate_limit.windows.counter": {"counter: leased, away: closed", "counter: local"}, "policy.rate_limit.windows.away": {"counter: leased, away: closed", "counter: leased, away: open"},
	"policy.request_size.max": {"max: 64KB", "max: 65KB"}, "policy.cors.origins": {"https://partner.", "https://part."}, "policy.cors.methods": {"methods: [GET]", "methods: [PUT]"}, "policy.cors.headers": {"[X-API-Key]", "[X-Our-Key]"},
	"policy.cors.expose": {"[X-Count]", "[X-Sum]"}, "policy.cors.credentials": {"credentials: true", "credentials: false"}, "policy.cors.max_age": {"max_age: 1h", "max_age: 2h"},
	"policy.headers.request.remove": {"remove: [X-User]", "remove: [X-Us]"}, "policy.headers.request.set": {"X-Set: a", "X-Set: b"}, "policy.headers.request.add": {"X-Add: a", "X-Add: b"},
	"policy.headers.response.remove": {"remove: [Server]", "remove: [Via]"}, "policy.headers.response.set": {"max-age=31536000", "max-age=3"}, "policy.headers.response.add": {"X-More: a", "X-More: b"},
	"start.events": {"events: stdout", "events: none"}, "start.gateway.http3": {"http3: true", "http3: false"}, "start.gateway.connections-per-address": {"per-address: 20", "per-address: 21"},
	"start.gateway.tls.certificate": {"certificate: server.pem, key: server.key, clients: require, client-authorities: partners.pem", ""},
	"start.gateway.tls.folder":      {"tls: {certificate: server.pem, key: server.key, clients: require, client-authorities: partners.pem}", "tls: {folder: certs}"},
	"start.gateway.tls.clients":     {"clients: require", "clients: verify"}, "start.gateway.tls.client-authorities": {"partners.pem", "others.pem"}, "start.secrets": {"{env: ORDERS_KEY}", "{value: 8fba0c33d1}"},
	"start.gateway.h2c": {"h2c: false\n  http3: true\n  connections-per-address: 20\n  tls: {certificate: server.pem, key: server.key, clients: require, client-authorities: partners.pem}", "h2c: true"},
}

// TestWhatIsSaidToBeReadIsRead: another value of a setting is another environment.
func TestWhatIsSaidToBeReadIsRead(t *testing.T) {
	files := drifttest.Files{"gatehouse.yaml": everything, "orders.yaml": everyOperation, "start/gatehouse.yaml": everyStart}
	said := func(f drifttest.Files) string {
		e, problems := told(f.FS(), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
		e.Source, e.Files = drift.Source{}, drift.Files{}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(problems, string(b))
	}
	e, problems := told(files.FS(), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
	if len(problems) > 0 || len(e.Gaps) > 0 || len(e.Operations) != 3 {
		t.Fatalf("%v %v: %d operations", problems, e.Gaps, len(e.Operations))
	}
	before := said(files)
	for name, why := range gatehouse.Settings() {
		if why != "" || strings.HasPrefix(name, "client_authorities.") { // an authority needs certificates of its own
			continue
		}
		c, ok := changes[name]
		if !ok || c[0] == "" {
			t.Errorf("%s: no change of it is tried", name)
			continue
		}
		file := "gatehouse.yaml"
		switch {
		case strings.HasPrefix(name, "start."):
			file = "start/gatehouse.yaml"
		case name == "apis.openapi":
			file = "orders.yaml"
		}
		after := said(files.With(t, file, c[0], c[1]))
		if after == before {
			t.Errorf("%s is said to be read, and nothing changes with it", name)
		}
	}
}

// TestASettingThatIsNotKnownIsTold: never passed over in silence.
func TestASettingThatIsNotKnownIsTold(t *testing.T) {
	f := good().With(t, "gatehouse.yaml", "      - api_key\n", "      - api_key: {header: X-Key, rotated: daily}\n")
	f["start/gatehouse.yaml"] = startYAML + "novelty: {depth: 3}\n"
	e, _ := told(f.FS(), drift.Options{Name: "live", Now: drifttest.Now()})
	var names []string
	for _, g := range e.Gaps {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"policy.api_key.rotated", "start.novelty.depth"}) || drift.Cover(e).Whole() {
		t.Errorf("gaps %v", names)
	}
}

const workloadsYAML = `trusted_issuers:
  - {name: ci, kind: entra, issuer: "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0", audiences: ["api://gate"], algorithms: [RS256], longest: 1h}
`

// workloads is a manifest whose callers prove themselves by tokens of an issuer elsewhere, with limits that gateways share.
func workloads() drifttest.Files {
	f := good()
	f["gatehouse.yaml"] = strings.Replace(manifestYAML, "upstreams:\n", workloadsYAML+"upstreams:\n", 1)
	for _, c := range [][2]string{
		{"      - api_key\n", "      - any_of: {methods: [{api_key: {}}, {workload_identity: {}}]}\n"},
		{"longest: 365d", "longest: 365d\n        credentials: [workload_identity]"},
		{"{name: second, requests: 10, per: 1s}", "{name: second, requests: 10, per: 1s, counter: leased, away: closed}"},
	} {
		f["gatehouse.yaml"] = strings.Replace(f["gatehouse.yaml"], c[0], c[1], 1)
	}
	return f
}

func workloadMutations() []drifttest.Mutation {
	return []drifttest.Mutation{
		in("DR-TRF-02", "counter: leased, away: closed", "counter: local"),
		in("DR-TRF-04", "away: closed", "away: open"),
		in("DR-AUT-05", "credentials: [workload_identity]", "credentials: [api_key, workload_identity]"),
		in("DR-AUT-07", "upstreams:\n", "  - {name: other, issuer: \"https://issuer.example.net\", audiences: [\"api://gate\"], longest: 1h, algorithms: [RS256]}\nupstreams:\n"),
		in("DR-AUT-08", `audiences: ["api://gate"]`, `audiences: ["api://gate", "api://everything"]`),
		{Rule: "DR-AUT-10", File: "gatehouse.yaml", Old: "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0", New: "https://sts.windows.net/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/", Direction: drift.NoneWeaker},
		in("DR-AUT-12", "algorithms: [RS256]", "algorithms: [RS256, ES256]"),
		in("DR-AUT-13", "longest: 1h", "longest: 24h"),
	}
}

func two(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	o.Values = map[string]string{"replicas": "3"}
	return gatehouse.Read(fsys, o)
}

func TestWorkloadMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, two, workloads(), workloadMutations())
	t.Logf("%d of %d weakenings found", found, all)
	drifttest.Heal(t, two, workloads(), workloadMutations(), drifttest.Healed{})
}

// TestPlansNarrowTheWaysIn: a plan's kinds of credentials, and what it asks of tokens, count for those who call under it.
func TestPlansNarrowTheWaysIn(t *testing.T) {
	f := drifttest.Files{"gatehouse.yaml": everything, "orders.yaml": everyOperation}
	e := drifttest.Read(t, gatehouse.Read, f, "live", drift.Prod)
	want := map[string]string{"": "jwt or jwt", "plan orders/standard": "jwt", "plan orders/profile": "jwt"}
	for _, o := range e.Operations {
		if o.Name != "getOrder" {
			continue
		}
		for _, c := range o.Effective {
			ways := c.Policy.Auth.Ways.Value
			var kinds []string
			for _, w := range ways {
				kinds = append(kinds, strings.Fields(w.Needs[0].Name)[0])
			}
			rule := fmt.Sprint(c.Policy.Access.Rules.Value)
			switch c.Class {
			case "":
				if !slices.Equal(kinds, []string{"api_key", "oauth", "workload_identity"}) || strings.Contains(rule, "fapi") {
					t.Errorf("general: %v %s", kinds, rule)
				}
			case "plan orders/standard":
				if !slices.Equal(kinds, []string{"api_key", "oauth", "workload_identity"}) {
					t.Errorf("%s: %v", c.Class, kinds)
				}
			case "plan orders/profile":
				if !slices.Equal(kinds, []string{"oauth"}) || !strings.Contains(rule, "client:fapi") {
					t.Errorf("%s: %v %s", c.Class, kinds, rule)
				}
			}
			delete(want, c.Class)
		}
	}
	if len(want) > 0 {
		t.Errorf("not seen: %v", want)
	}
}
