package envoygateway_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
)

const goodYAML = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy, namespace: gw}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: proxy, namespace: gw}
spec:
  telemetry:
    accessLog:
      settings:
      - format: {type: JSON, json: {trace: "%TRACE_ID%", status: "%RESPONSE_CODE%"}}
        sinks:
        - {type: OpenTelemetry, openTelemetry: {host: otel.example.com, port: 4317}}
    tracing:
      samplingRate: 50
      provider: {type: OpenTelemetry, host: otel.example.com, port: 4317}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: gw}
spec:
  gatewayClassName: eg
  listeners:
  - {name: https, protocol: HTTPS, port: 443, hostname: api.example.com, allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders, namespace: apps}
spec:
  parentRefs: [{name: gw, namespace: gw}]
  rules:
  - matches: [{path: {type: Exact, value: /orders}, method: GET}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [X-User]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: Strict-Transport-Security, value: max-age=31536000}]}}
    timeouts: {request: 10s}
    backendRefs: [{name: orders, port: 8443}]
  - matches: [{path: {type: Exact, value: /items}, method: GET}]
    backendRefs: [{name: orders, port: 8443}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls, namespace: apps}
spec:
  targetRefs: [{group: "", kind: Service, name: orders}]
  validation: {hostname: orders.example.com, caCertificateRefs: [{name: ca}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: base, namespace: gw}
spec:
  targetRefs: [{kind: Gateway, name: gw}]
  jwt:
    providers:
    - name: idp
      issuer: https://login.example.com
      audiences: [orders]
      remoteJWKS: {uri: https://login.example.com/keys}
      extractFrom: {headers: [{name: Authorization}]}
  extAuth:
    failOpen: false
    http: {backendRefs: [{name: authz, port: 80}]}
  cors:
    allowOrigins: ["https://app.example.com"]
    allowMethods: [GET]
    allowCredentials: true
  authorization:
    defaultAction: Deny
    rules:
    - {name: r, action: Allow, principal: {jwt: {provider: idp, scopes: [read]}}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: traffic, namespace: gw}
spec:
  targetRefs: [{kind: Gateway, name: gw}]
  rateLimit:
    global:
      rules:
      - clientSelectors: [{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}}]
        limit: {requests: 100, unit: Minute}
  requestBuffer: {limit: 64Ki}
  retry: {numRetries: 1}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: client, namespace: gw}
spec:
  targetRefs: [{kind: Gateway, name: gw}]
  tls:
    minVersion: "1.3"
    ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256]
    clientValidation: {caCertificateRefs: [{name: partners}], subjectAltNames: {dnsNames: [{type: Exact, value: p.example.com}]}}
  clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}
`

func good() drifttest.Files { return drifttest.Files{"all.yaml": goodYAML} }

func in(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "all.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func as(d drift.Direction, m drifttest.Mutation) drifttest.Mutation { m.Direction = d; return m }

func with(old, new string, m drifttest.Mutation) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func mutations() []drifttest.Mutation {
	own := "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: own, namespace: apps}\nspec:\n  targetRefs: [{kind: HTTPRoute, name: orders}]\n  cors: {allowOrigins: ['https://app.example.com'], allowMethods: [GET], allowCredentials: true}\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\n"
	const traffic = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\n"
	cut := func(from, to string) string {
		i := strings.Index(goodYAML, from)
		return goodYAML[i : i+strings.Index(goodYAML[i:], to)]
	}
	return []drifttest.Mutation{
		in("DR-AUT-01", traffic, own),
		alone(in("DR-AUT-02", traffic, own)),
		alone(in("DR-AUT-03", traffic, strings.Replace(own, "name: orders}]\n  cors", "name: gone}]\n  basicAuth: {users: {name: u}}\n  cors", 1))),
		in("DR-AUT-05", cut("  jwt:\n", "  extAuth:"), ""),
		as(drift.NoneWeaker, in("DR-AUT-07", "issuer: https://login.example.com", "issuer: https://login.elsewhere.net")),
		alone(in("DR-AUT-07", "      issuer: https://login.example.com\n", "")),
		in("DR-AUT-08", "audiences: [orders]", "audiences: []"),
		alone(in("DR-AUT-08", "audiences: [orders]", "audiences: []")),
		in("DR-AUT-08", "audiences: [orders]", "audiences: [orders, other]"),
		in("DR-AUT-09", cut("  authorization:\n", "---"), ""),
		alone(in("DR-AUT-11", "uri: https://login.example.com/keys", "uri: https://login.microsoftonline.com/common/discovery/v2.0/keys")),
		with("    providers:\n", "    optional: true\n    providers:\n", in("DR-AUT-14", cut("  extAuth:\n", "  cors:"), "")),
		in("DR-AUT-15", "failOpen: false", "failOpen: true"),
		alone(in("DR-AUT-15", "failOpen: false", "failOpen: true")),
		in("DR-AUT-17", "{headers: [{name: Authorization}]}", "{params: [token]}"),
		in("DR-CRT-01", `minVersion: "1.3"`, `minVersion: "1.0"`),
		alone(in("DR-CRT-01", `minVersion: "1.3"`, `minVersion: "1.0"`)),
		in("DR-CRT-02", "ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256]", "ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256, DES-CBC3-SHA]"),
		alone(in("DR-CRT-02", "ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256]", "ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256, DES-CBC3-SHA]")),
		in("DR-CRT-03", "clientValidation: {", "clientValidation: {optional: true, "),
		in("DR-CRT-04", "caCertificateRefs: [{name: partners}]", "caCertificateRefs: [{name: partners}, {name: everybody}]"),
		in("DR-CRT-06", cut("apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy", "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy"), ""),
		alone(in("DR-CRT-06", cut("apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy", "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy"), "")),
		in("DR-CRT-12", "protocol: HTTPS, port: 443", "protocol: HTTP, port: 80"),
		in("DR-CRT-12", "max-age=31536000", "max-age=1"),
		in("DR-OBS-01", "    accessLog:\n", "    accessLog:\n      disable: true\n"),
		in("DR-OBS-02", `trace: "%TRACE_ID%", `, ""),
		in("DR-OBS-05", "samplingRate: 50", "samplingRate: 1"),
		alone(in("DR-OBS-07", "host: otel.example.com", "host: otel-dev.example.com")),
		in("DR-TRF-01", cut("  rateLimit:\n", "  requestBuffer"), ""),
		in("DR-TRF-02", "unit: Minute", "unit: Second"),
		in("DR-TRF-02", "    global:\n", "    local:\n"),
		in("DR-TRF-03", "{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}}", "{headers: [{type: Distinct, name: X-Client}]}"),
		in("DR-TRF-07", "requests: 100", "requests: 10000"),
		in("DR-TRF-08", "limit: 64Ki", "limit: 64Mi"),
		in("DR-TRF-08", "numRetries: 1", "numRetries: 9"),
		in("DR-TRF-08", "request: 10s", "request: 10m"),
		in("DR-TRF-09", "    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [X-User]}}\n", ""),
		in("DR-EXP-01", "  - matches: [{path: {type: Exact, value: /items}", "  - matches: [{path: {type: Exact, value: /debug}, method: GET}]\n    backendRefs: [{name: orders, port: 8443}]\n  - matches: [{path: {type: Exact, value: /items}"),
		in("DR-EXP-02", "{type: Exact, value: /orders}", "{type: PathPrefix, value: /orders}"),
		in("DR-EXP-02", "value: /orders}, method: GET}", "value: /orders}}"),
		in("DR-EXP-03", `["https://app.example.com"]`, `["*"]`),
		alone(in("DR-EXP-03", `["https://app.example.com"]`, `["*"]`)),
		alone(in("DR-EXP-08", "  retry: {numRetries: 1}", "  retry: {numRetries: 1}\n  faultInjection: {abort: {httpStatus: 500}}")),
		alone(in("DR-EXP-11", "kind: EnvoyProxy, name: proxy", "kind: EnvoyProxy, name: gone")),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, envoygateway.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFormatMeansNothing: other order, other files, a List, and explicit defaults.
func TestFormatMeansNothing(t *testing.T) {
	other := drifttest.Files{}
	docs := strings.Split(strings.Replace(goodYAML, "failOpen: false\n", "timeout: 10s\n", 1), "---\n")
	for i, d := range docs {
		other[string(rune('z'-i))+"/x.yaml"] = d
	}
	drifttest.Unmoved(t, envoygateway.Read, good(), other)
}

// TestMergeGoesIntoTheClosestParentOnly walks the levels.
func TestMergeGoesIntoTheClosestParentOnly(t *testing.T) {
	policy := func(name, ns, target, spec string) string {
		return "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: " + name + ", namespace: " + ns + "}\nspec:\n  targetRefs: [" + target + "]\n" + spec
	}
	listener := policy("l", "gw", "{kind: Gateway, name: gw, sectionName: https}", "  basicAuth: {users: {name: u}}\n")
	for _, c := range []struct{ name, extra, want string }{
		{"gateway alone", "", "ext_authz and jwt"},
		{"the listener's replaces the gateway's", listener, "basic"},
		{"the route's replaces both", listener + policy("r", "apps", "{kind: HTTPRoute, name: orders}", "  apiKeyAuth: {extractFrom: [{headers: [k]}]}\n"), "api_key"},
		{"the route's merges into the listener's", listener + policy("r", "apps", "{kind: HTTPRoute, name: orders}", "  mergeType: StrategicMerge\n  apiKeyAuth: {extractFrom: [{headers: [k]}]}\n"), "api_key and basic"},
		{"the route's merges into the gateway's", policy("r", "apps", "{kind: HTTPRoute, name: orders}", "  mergeType: JSONMerge\n  apiKeyAuth: {extractFrom: [{headers: [k]}]}\n"), "api_key and ext_authz and jwt"},
		{"another namespace has no say", policy("r", "other", "{kind: HTTPRoute, name: orders}", "  apiKeyAuth: {extractFrom: [{headers: [k]}]}\n"), "ext_authz and jwt"},
	} {
		e := drifttest.Read(t, envoygateway.Read, drifttest.Files{"all.yaml": goodYAML + c.extra}, "env", drift.Prod)
		if got := e.Operations[0].General().Auth.Ways.Value.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(goodYAML))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _ := envoygateway.Read(drifttest.Files{"all.yaml": string(b)}.FS(), drift.Options{Name: "env"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
