package ingressnginx_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
)

const goodIngress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: orders
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/auth-url: "https://auth.example.com/check"
    nginx.ingress.kubernetes.io/auth-cache-key: "$http_authorization"
    nginx.ingress.kubernetes.io/auth-cache-duration: "200 10s"
    nginx.ingress.kubernetes.io/auth-tls-secret: "shop/partners"
    nginx.ingress.kubernetes.io/auth-tls-verify-client: "on"
    nginx.ingress.kubernetes.io/auth-tls-match-cn: "CN=partner"
    nginx.ingress.kubernetes.io/auth-tls-pass-certificate-to-upstream: "false"
    nginx.ingress.kubernetes.io/auth-response-headers: "X-User"
    nginx.ingress.kubernetes.io/limit-rpm: "60"
    nginx.ingress.kubernetes.io/proxy-body-size: 1m
    nginx.ingress.kubernetes.io/enable-cors: "true"
    nginx.ingress.kubernetes.io/cors-allow-origin: "https://app.example.com"
    nginx.ingress.kubernetes.io/allowlist-source-range: "10.0.0.0/8"
    nginx.ingress.kubernetes.io/backend-protocol: "HTTPS"
    nginx.ingress.kubernetes.io/proxy-ssl-secret: "shop/inner"
    nginx.ingress.kubernetes.io/proxy-ssl-verify: "on"
    nginx.ingress.kubernetes.io/proxy-ssl-protocols: "TLSv1.2 TLSv1.3"
    nginx.ingress.kubernetes.io/configuration-snippet: |
      more_clear_input_headers "X-Admin";
spec:
  ingressClassName: nginx
  tls: [{hosts: [api.example.com], secretName: api-tls}]
  rules:
  - host: api.example.com
    http:
      paths:
      - {path: /orders, pathType: Exact, backend: {service: {name: orders, port: {number: 443}}}}
      - {path: /orders/items, pathType: Prefix, backend: {service: {name: orders, port: {number: 443}}}}
`

const goodController = `apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data:
  allow-snippet-annotations: "true"
  ssl-protocols: "TLSv1.2 TLSv1.3"
  ssl-ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
  use-forwarded-headers: "false"
  enable-modsecurity: "true"
  enable-opentelemetry: "true"
  otlp-collector-host: "otel.example.com"
  otel-sampler: "TraceIdRatioBased"
  otel-sampler-ratio: "0.5"
  error-log-level: "notice"
  hide-headers: "Server"
  log-format-upstream: '{"id":"$req_id","user":"$remote_user","status":"$status"}'
  proxy-set-headers: "ingress-nginx/headers"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: headers, namespace: ingress-nginx}
data: {X-Edge: "yes"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
spec:
  replicas: 3
  template:
    spec:
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.12.0
        args: [/nginx-ingress-controller, "--configmap=$(POD_NAMESPACE)/ingress-nginx-controller", "--enable-metrics=true"]
`

func good() drifttest.Files {
	return drifttest.Files{"ingress.yaml": goodIngress, "controller.yaml": goodController}
}

func weak(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "ingress.yaml", Old: old, New: new}
}

func control(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "controller.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func unsure(m drifttest.Mutation) drifttest.Mutation { m.Direction = drift.NoneWeaker; return m }

func line(s string) string { return "    nginx.ingress.kubernetes.io/" + s + "\n" }

func mutations() []drifttest.Mutation {
	authURL := line(`auth-url: "https://auth.example.com/check"`)
	verify := line(`auth-tls-verify-client: "on"`)
	both := func(m drifttest.Mutation) drifttest.Mutation {
		m.Also = [2]string{verify, line(`auth-tls-verify-client: "off"`)}
		return m
	}
	return []drifttest.Mutation{
		both(weak("DR-AUT-01", authURL, "")),
		alone(weak("DR-AUT-02", "more_clear_input_headers \"X-Admin\";\n", "allow 10.0.0.0/8;\n    nginx.ingress.kubernetes.io/server-snippet: |\n      deny all;\n")),
		alone(weak("DR-AUT-03", authURL, strings.Replace(authURL, "nginx.ingress", "ingress", 1))),
		alone(weak("DR-AUT-03", authURL, line(`auth-secret: "shop/users"`))),
		weak("DR-AUT-05", authURL, ""),
		weak("DR-AUT-05", authURL, line(`auth-type: basic`)+line(`auth-secret: shop/users`)),
		weak("DR-AUT-16", `"200 10s"`, `"200 1h"`),
		unsure(weak("DR-AUT-16", line(`auth-cache-key: "$http_authorization"`), line(`auth-cache-key: "$host"`))),
		weak("DR-AUT-18", `upstream: "false"`, `upstream: "true"`),
		control("DR-AUT-19", "data:\n  allow-snippet", "data:\n  no-auth-locations: /orders\n  allow-snippet"),
		alone(drifttest.Mutation{Rule: "DR-AUT-22", File: "controller.yaml", Old: "apiVersion: apps/v1", New: "apiVersion: v1\nkind: Secret\nmetadata: {name: api-tls, namespace: shop}\ndata: {tls.key: c2VjcmV0}\n---\napiVersion: apps/v1"}),
		control("DR-CRT-01", "TLSv1.2 TLSv1.3", "TLSv1.1 TLSv1.2 TLSv1.3"),
		alone(control("DR-CRT-01", "TLSv1.2 TLSv1.3", "TLSv1 TLSv1.2")),
		weak("DR-CRT-01", "TLSv1.2 TLSv1.3", "TLSv1.1 TLSv1.2"),
		control("DR-CRT-02", `ECDHE-ECDSA-AES128-GCM-SHA256:`, `ECDHE-ECDSA-AES128-GCM-SHA256:AES128-SHA:`),
		alone(control("DR-CRT-02", `ECDHE-ECDSA-AES128-GCM-SHA256:`, `DES-CBC3-SHA:`)),
		weak("DR-CRT-03", verify, line(`auth-tls-verify-client: "optional"`)),
		unsure(weak("DR-CRT-04", "shop/partners", "shop/everybody")),
		weak("DR-CRT-05", line(`auth-tls-match-cn: "CN=partner"`), ""),
		weak("DR-CRT-06", line(`proxy-ssl-verify: "on"`), line(`proxy-ssl-verify: "off"`)),
		alone(weak("DR-CRT-06", line(`backend-protocol: "HTTPS"`), "")),
		alone(weak("DR-CRT-09", "secretName: api-tls", "secretName: api-dev-tls")),
		weak("DR-CRT-12", "  tls: [{hosts: [api.example.com], secretName: api-tls}]\n", ""),
		alone(weak("DR-CRT-12", verify, verify+line(`ssl-redirect: "false"`))),
		control("DR-CRT-12", "data:\n  allow", "data:\n  hsts: \"false\"\n  allow"),
		weak("DR-OBS-01", verify, verify+line(`enable-access-log: "false"`)),
		control("DR-OBS-02", `"id":"$req_id",`, ""),
		alone(control("DR-OBS-03", `"id":"$req_id",`, `"id":"$req_id","auth":"$http_authorization",`)),
		control("DR-OBS-05", `ratio: "0.5"`, `ratio: "0.01"`),
		control("DR-OBS-05", `enable-opentelemetry: "true"`, `enable-opentelemetry: "false"`),
		control("DR-OBS-06", `"--enable-metrics=true"`, `"--enable-metrics=false"`),
		alone(control("DR-OBS-07", "otel.example.com", "otel.dev.example.com")),
		control("DR-OBS-09", `"notice"`, `"crit"`),
		control("DR-OBS-11", "data:\n  allow", "data:\n  server-tokens: \"true\"\n  allow"),
		weak("DR-TRF-01", line(`limit-rpm: "60"`), ""),
		weak("DR-TRF-02", `limit-rpm: "60"`, `limit-rps: "60"`),
		weak("DR-TRF-07", `limit-rpm: "60"`, `limit-rpm: "600"`),
		weak("DR-TRF-08", "proxy-body-size: 1m", "proxy-body-size: 100m"),
		weak("DR-EXP-01", "paths:\n", "paths:\n      - {path: /debug, pathType: Exact, backend: {service: {name: orders, port: {number: 443}}}}\n"),
		weak("DR-EXP-02", "path: /orders, pathType: Exact", "path: /orders, pathType: Prefix"),
		weak("DR-EXP-03", `"https://app.example.com"`, `"https://app.example.com, https://evil.test"`),
		alone(weak("DR-EXP-03", `"https://app.example.com"`, `"*"`)),
		weak("DR-EXP-04", `"10.0.0.0/8"`, `"0.0.0.0/0"`),
		unsure(control("DR-EXP-04", `use-forwarded-headers: "false"`, `use-forwarded-headers: "true"`)),
		alone(weak("DR-EXP-07", "name: orders, port", "name: orders-dev, port")),
		weak("DR-EXP-09", verify, verify+line(`enable-modsecurity: "false"`)),
		unsure(weak("DR-EXP-10", `"X-Admin"`, `"X-Other"`)),
		alone(control("DR-EXP-11", "name: headers,", "name: others,")),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, ingressnginx.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
	// Without snippets at all, for the rule that finds any.
	plain := good().With(t, "ingress.yaml", "    nginx.ingress.kubernetes.io/configuration-snippet: |\n      more_clear_input_headers \"X-Admin\";\n", "")
	both := line("auth-type: basic") + line("auth-secret: shop/users")
	plain = plain.With(t, "ingress.yaml", "allowlist", "denylist").With(t, "ingress.yaml", "spec:\n  ingress", both+"spec:\n  ingress")
	found, all = drifttest.Mutate(t, ingressnginx.Read, plain, []drifttest.Mutation{
		weak("DR-AUT-06", both, both+line("satisfy: any")),
		unsure(control("DR-TRF-09", `{X-Edge: "yes"}`, `{}`)),
		alone(weak("DR-EXP-08", "spec:\n  ingress", "    nginx.ingress.kubernetes.io/server-snippet: |\n      gzip on;\nspec:\n  ingress")),
		weak("DR-TRF-08", "spec:\n  ingress", "    nginx.ingress.kubernetes.io/proxy-read-timeout: \"600\"\nspec:\n  ingress"),
		alone(control("DR-CRT-08", "apiVersion: apps/v1", "apiVersion: v1\nkind: Secret\nmetadata: {name: api-tls, namespace: shop}\nstringData: {tls.crt: \""+strings.ReplaceAll(drifttest.Leafless(t, "other.example.com"), "\n", "\\n")+"\"}\n---\napiVersion: apps/v1")),
	})
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFormatsMeanTheSame: order, quotes, comments, aliases, split files, and defaults written out.
func TestFormatsMeanTheSame(t *testing.T) {
	other := strings.NewReplacer(`"on"`, "'on'", `limit-rpm: "60"`, `limit-rpm: "60" # calls`, "spec:\n", "    nginx.ingress.kubernetes.io/ssl-redirect: \"true\"\n    nginx.ingress.kubernetes.io/proxy-next-upstream-tries: \"3\"\nspec:\n", `"10.0.0.0/8"`, `" 10.0.0.0/8 "`,
		"allowlist-source-range", "whitelist-source-range").Replace(goodIngress)
	config := strings.NewReplacer("data:\n  allow", "data:\n  http-redirect-code: \"308\"\n  hsts: \"true\"\n  allow").Replace(goodController)
	parts := strings.Split(config, "---\n")
	drifttest.Unmoved(t, ingressnginx.Read, good(), drifttest.Files{"z/b.yml": other, "z/a.yaml": parts[2], "c.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(parts[0]), "\n", "\n  ") + "\n- " + strings.ReplaceAll(strings.TrimSpace(parts[1]), "\n", "\n  ") + "\n"})
}
