package traefik_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

const goodStatic = `entryPoints:
  web:
    address: ":80"
    http:
      redirections: {entryPoint: {to: websecure, scheme: https}}
  websecure:
    address: ":443"
    forwardedHeaders: {insecure: false}
    http:
      tls: {options: strict@file}
log: {level: INFO}
accessLog:
  format: json
  fields:
    defaultMode: drop
    names: {RequestMethod: keep, DownstreamStatus: keep, ClientUsername: keep}
    headers:
      defaultMode: drop
      names: {User-Agent: keep, Authorization: redact}
metrics:
  prometheus: {addRoutersLabels: true}
tracing:
  sampleRate: 0.5
  otlp: {http: {endpoint: "https://otel.example.com/v1/traces"}}
serversTransport: {insecureSkipVerify: false}
providers: {file: {directory: /etc/dynamic}}
`

const goodDynamic = `http:
  routers:
    orders:
      rule: Host(` + "`api.example.com`" + `) && Path(` + "`/orders`" + `) && Method(` + "`GET`" + `)
      entryPoints: [websecure]
      middlewares: [auth, users, limit, office, head, size]
      service: orders
      tls: {options: strict}
    items:
      rule: Host(` + "`api.example.com`" + `) && PathPrefix(` + "`/items`" + `)
      entryPoints: [websecure]
      middlewares: [auth, users, limit, office, head, size]
      service: orders
      tls: {options: strict}
  middlewares:
    auth: {forwardAuth: {address: "https://auth.example.com/check", authResponseHeaders: [X-User]}}
    users: {basicAuth: {usersFile: /etc/users, removeHeader: true}}
    limit:
      rateLimit: {average: 60, period: 1m, burst: 10, redis: {endpoints: ["redis:6379"], denyOnError: true}}
    office: {ipAllowList: {sourceRange: [10.0.0.0/8]}}
    size: {buffering: {maxRequestBodyBytes: 1000000}}
    head:
      headers:
        customRequestHeaders: {X-Admin: ""}
        customResponseHeaders: {X-Edge: "a"}
        stsSeconds: 31536000
        accessControlAllowOriginList: ["https://app.example.com"]
        accessControlAllowMethods: [GET]
        accessControlAllowCredentials: true
  services:
    orders:
      loadBalancer:
        serversTransport: inner
        servers: [{url: "https://orders.example.com"}]
  serversTransports:
    inner: {rootCAs: [/etc/inner.pem], insecureSkipVerify: false, forwardingTimeouts: {dialTimeout: 5s, responseHeaderTimeout: 10s}}
tls:
  certificates: [{certFile: /etc/api.crt, keyFile: /etc/api.key}]
  options:
    strict:
      minVersion: VersionTLS12
      cipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
      clientAuth: {caFiles: [/etc/partners.pem], clientAuthType: RequireAndVerifyClientCert}
`

func good() drifttest.Files {
	return drifttest.Files{"traefik.yaml": goodStatic, "dynamic.yaml": goodDynamic}
}

func weak(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "dynamic.yaml", Old: old, New: new}
}

func fixed(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "traefik.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func unsure(m drifttest.Mutation) drifttest.Mutation { m.Direction = drift.NoneWeaker; return m }

func with(old, new string, m drifttest.Mutation) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func mutations() []drifttest.Mutation {
	noMTLS := func(m drifttest.Mutation) drifttest.Mutation {
		m.Also = [2]string{", clientAuthType: RequireAndVerifyClientCert", ""}
		return m
	}
	return []drifttest.Mutation{
		noMTLS(weak("DR-AUT-01", "[auth, users, limit", "[limit")),
		alone(weak("DR-AUT-02", "      middlewares: [auth, users, limit, office, head, size]\n      service: orders\n      tls: {options: strict}\n    items:\n      rule: Host(`api.example.com`) && PathPrefix(`/items`)",
			"      service: orders\n      tls: {options: strict}\n    items:\n      rule: Host(`api.example.com`) && PathPrefix(`/`)")),
		alone(weak("DR-AUT-03", "[auth, users, limit", "[users, limit")),
		weak("DR-AUT-05", "[auth, users, limit", "[users, limit"),
		weak("DR-AUT-18", "removeHeader: true", "removeHeader: false"),
		alone(weak("DR-AUT-22", "usersFile: /etc/users", `users: ["me:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]`)),
		weak("DR-CRT-01", "VersionTLS12", "VersionTLS10"),
		alone(weak("DR-CRT-01", "VersionTLS12", "VersionTLS10")),
		weak("DR-CRT-02", "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]"),
		alone(weak("DR-CRT-02", "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", "[TLS_RSA_WITH_3DES_EDE_CBC_SHA]")),
		weak("DR-CRT-03", "RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
		unsure(weak("DR-CRT-04", "/etc/partners.pem", "/etc/everybody.pem")),
		alone(weak("DR-CRT-05", "caFiles: [/etc/partners.pem], clientAuthType: RequireAndVerifyClientCert", "clientAuthType: RequireAnyClientCert")),
		alone(weak("DR-CRT-06", "/etc/inner.pem], insecureSkipVerify: false", "/etc/inner.pem], insecureSkipVerify: true")),
		alone(weak("DR-CRT-06", "https://orders.example.com", "http://orders.example.com")),
		weak("DR-CRT-06", "https://orders.example.com", "http://orders.example.com"),
		alone(weak("DR-CRT-09", "/etc/api.crt", "/etc/dev/api.crt")),
		fixed("DR-CRT-12", "      redirections: {entryPoint: {to: websecure, scheme: https}}\n", "      sanitizePath: true\n"),
		alone(with("      tls: {options: strict}\n", "", weak("DR-CRT-12", "entryPoints: [websecure]", "entryPoints: [plain, websecure]"))),
		weak("DR-CRT-12", "stsSeconds: 31536000", "stsSeconds: 60"),
		fixed("DR-OBS-01", "accessLog:\n", "off:\n"),
		weak("DR-OBS-01", "      service: orders\n      tls", "      observability: {accessLogs: false}\n      service: orders\n      tls"),
		fixed("DR-OBS-02", "ClientUsername: keep", "ClientUsername: drop"),
		alone(fixed("DR-OBS-03", "Authorization: redact", "Authorization: keep")),
		fixed("DR-OBS-04", "Authorization: redact", "Authorization: drop"),
		fixed("DR-OBS-05", "sampleRate: 0.5", "sampleRate: 0.01"),
		fixed("DR-OBS-05", "tracing:\n", "off:\n"),
		fixed("DR-OBS-06", "metrics:\n", "off:\n"),
		unsure(fixed("DR-OBS-06", "{addRoutersLabels: true}", "{addRoutersLabels: false}")),
		alone(fixed("DR-OBS-07", "otel.example.com", "otel.dev.example.com")),
		fixed("DR-OBS-09", "level: INFO", "level: FATAL"),
		alone(fixed("DR-OBS-10", "https://otel", "http://otel")),
		weak("DR-TRF-01", "users, limit,", "users,"),
		weak("DR-TRF-02", "period: 1m", "period: 1s"),
		weak("DR-TRF-02", `, redis: {endpoints: ["redis:6379"], denyOnError: true}`, ""),
		weak("DR-TRF-03", "burst: 10,", "burst: 10, sourceCriterion: {requestHeaderName: X-Client},"),
		weak("DR-TRF-04", "denyOnError: true", "denyOnError: false"),
		weak("DR-TRF-07", "average: 60", "average: 600"),
		weak("DR-TRF-08", "maxRequestBodyBytes: 1000000", "maxRequestBodyBytes: 100000000"),
		weak("DR-TRF-08", "responseHeaderTimeout: 10s", "responseHeaderTimeout: 100s"),
		weak("DR-TRF-09", `customRequestHeaders: {X-Admin: ""}`, `customRequestHeaders: {}`),
		unsure(weak("DR-TRF-09", `X-Edge: "a"`, `X-Edge: "b"`)),
		weak("DR-EXP-01", "  routers:\n", "  routers:\n    debug: {rule: Path(`/debug`), entryPoints: [websecure], service: orders}\n"),
		weak("DR-EXP-02", "&& Path(`/orders`)", "&& PathPrefix(`/orders`)"),
		weak("DR-EXP-02", " && Method(`GET`)", ""),
		weak("DR-EXP-03", `["https://app.example.com"]`, `["https://app.example.com", "https://evil.test"]`),
		alone(weak("DR-EXP-03", `["https://app.example.com"]`, `["*"]`)),
		weak("DR-EXP-04", "10.0.0.0/8", "0.0.0.0/0"),
		unsure(weak("DR-EXP-04", "sourceRange: [10.0.0.0/8]", "sourceRange: [10.0.0.0/8], ipStrategy: {depth: 2}")),
		alone(weak("DR-EXP-07", "https://orders.example.com", "https://orders.dev.example.com")),
		alone(fixed("DR-EXP-08", "log: {level: INFO}", "api: {insecure: true}\nlog: {level: INFO}")),
		alone(fixed("DR-EXP-08", "{insecure: false}", "{insecure: true}")),
		alone(weak("DR-EXP-11", "middlewares: [auth,", "middlewares: [auth, elsewhere@consul,")),
	}
}

func TestMutations(t *testing.T) {
	base := good().With(t, "traefik.yaml", "entryPoints:\n", "entryPoints:\n  plain: {address: ':8080'}\n")
	found, all := drifttest.Mutate(t, traefik.Read, base, mutations())
	t.Logf("%d of %d weakenings found", found, all)
	coded := base.With(t, "dynamic.yaml", "    size:", "    code: {plugin: {filter: {text: one}}}\n    size:").With(t, "dynamic.yaml", "head, size]", "head, size, code]")
	drifttest.Mutate(t, traefik.Read, coded, []drifttest.Mutation{unsure(weak("DR-EXP-10", "text: one", "text: two"))})
}

const objects = `apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: orders, namespace: shop}
spec:
  entryPoints: [websecure]
  tls: {options: {name: strict}, secretName: api}
  routes:
  - kind: Rule
    match: Host(` + "`api.example.com`" + `) && Path(` + "`/orders`" + `) && Method(` + "`GET`" + `)
    middlewares: [{name: all}]
    services: [{name: orders, port: 443, serversTransport: inner}]
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: all, namespace: shop}
spec: {chain: {middlewares: [{name: auth}, {name: limit}]}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: auth, namespace: shop}
spec: {forwardAuth: {address: "https://auth.example.com/check"}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: limit, namespace: shop}
spec: {rateLimit: {average: 60, period: 1m}}
---
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {name: strict, namespace: shop}
spec: {minVersion: VersionTLS13, clientAuth: {secretNames: [partners], clientAuthType: RequireAndVerifyClientCert}}
---
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {name: inner, namespace: shop}
spec: {serverName: orders, rootCAsSecrets: [inner]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: traefik, namespace: traefik}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - image: docker.io/traefik:v3.5
        args: ["--entryPoints.websecure.address=:443", "--accesslog=true", "--metrics.prometheus=true", "--tracing.otlp.grpc.endpoint=otel:4317", "--tracing.sampleRate=0.1", "--log.level=INFO"]
`

func TestObjectMutations(t *testing.T) {
	file := drifttest.Files{"a.yaml": objects}
	in := func(rule, old, new string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "a.yaml", Old: old, New: new}
	}
	found, all := drifttest.Mutate(t, traefik.Read, file, []drifttest.Mutation{
		in("DR-AUT-05", "[{name: auth}, {name: limit}]", "[{name: limit}]"),
		alone(in("DR-AUT-03", "[{name: auth}, {name: limit}]", "[{name: limit}]")),
		in("DR-CRT-01", "VersionTLS13", "VersionTLS12"),
		in("DR-CRT-03", "RequireAndVerifyClientCert", "RequestClientCert"),
		alone(in("DR-CRT-06", "serverName: orders,", "insecureSkipVerify: true,")),
		in("DR-OBS-01", `"--accesslog=true", `, ""),
		in("DR-OBS-05", "sampleRate=0.1", "sampleRate=0.01"),
		in("DR-OBS-06", `"--metrics.prometheus=true", `, ""),
		in("DR-TRF-01", "[{name: auth}, {name: limit}]", "[{name: auth}]"),
		in("DR-TRF-02", "period: 1m", "period: 1s"),
		in("DR-EXP-02", "&& Path(`/orders`)", "&& PathPrefix(`/orders`)"),
		alone(in("DR-EXP-11", "name: auth, namespace: shop", "name: other, namespace: shop")),
	})
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFormatsMeanTheSame: order, case of keys, defaults written out, files split, TOML in place of YAML.
func TestFormatsMeanTheSame(t *testing.T) {
	other := strings.NewReplacer("rateLimit:", "RateLimit:", "[GET]", "['GET'] # only", "minVersion: VersionTLS12", "maxVersion: VersionTLS13\n      minVersion: VersionTLS12", "middlewares: [auth, users, limit,", "middlewares: [auth@file, users, limit@file,",
		"denyOnError: true", `denyOnError: "true"`, "period: 1m", "period: 60s").Replace(goodDynamic)
	drifttest.Unmoved(t, traefik.Read, good(), drifttest.Files{"static.yml": goodStatic, "d/x.yml": other})
	head, tail, _ := strings.Cut(goodDynamic, "  services:\n")
	services, tls, _ := strings.Cut(tail, "tls:\n")
	drifttest.Unmoved(t, traefik.Read, good(), drifttest.Files{"traefik.yml": goodStatic, "a.yml": head, "b.yml": "http:\n  services:\n" + services, "c.yml": "tls:\n" + tls})
	drifttest.Unmoved(t, traefik.Read, drifttest.Files{"a.yaml": "http: {routers: {r: {rule: 'Path(`/a`)', middlewares: [m], service: s}}, middlewares: {m: {rateLimit: {average: 5}}}, services: {s: {loadBalancer: {servers: [{url: 'https://a'}]}}}}\n"},
		drifttest.Files{"a.toml": "[http.routers.r]\nrule = \"Path(`/a`)\"\nmiddlewares = ['m']\nservice = 's'\n[http.middlewares.m.rateLimit]\naverage = 5\nburst = 1\n[[http.services.s.loadBalancer.servers]]\nurl = 'https://a'\n"})
}
