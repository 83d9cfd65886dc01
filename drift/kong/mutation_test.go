package kong_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

const goodDeck = `_format_version: "3.0"
services:
- name: orders
  host: orders.example.com
  port: 8443
  protocol: https
  tls_verify: true
  ca_certificates: [ca-1]
  client_certificate: cert-1
  connect_timeout: 2000
  read_timeout: 10000
  retries: 1
  routes:
  - name: items
    methods: [GET]
    paths: ["~/orders/(?<id>[^#?/]+)$"]
    protocols: [https]
    https_redirect_status_code: 308
  - name: create
    methods: [POST]
    paths: ["~/orders$"]
    protocols: [https]
    https_redirect_status_code: 308
plugins:
- name: openid-connect
  config:
    issuer: https://login.example.com/
    auth_methods: [bearer]
    audience_required: [orders]
    scopes_required: [orders.read]
    bearer_token_param_type: [header]
    upstream_access_token_header: ""
- name: mtls-auth
  config:
    ca_certificates: [ca-1]
- name: acl
  config:
    allow: [partners]
- name: ip-restriction
  config:
    allow: [10.0.0.0/8]
- name: rate-limiting
  config:
    minute: 60
    day: 10000
    policy: redis
    limit_by: consumer
    fault_tolerant: false
- name: request-size-limiting
  config:
    allowed_payload_size: 1
- name: cors
  config:
    origins: ["https://app.example.com"]
    methods: [GET]
    headers: [authorization]
    credentials: true
- name: request-transformer
  config:
    remove:
      headers: [X-User]
    add:
      headers: ["X-From:kong"]
- name: response-transformer
  config:
    add:
      headers: ["Strict-Transport-Security:max-age=31536000"]
- name: http-log
  config:
    http_endpoint: https://logs.example.com/in
    custom_fields_by_lua:
      trace: "return 1"
- name: prometheus
  config:
    status_code_metrics: true
- name: zipkin
  config:
    http_endpoint: https://traces.example.com/api
    sample_ratio: 0.5
    header_type: w3c
- name: bot-detection
- name: pre-function
  config:
    header_filter: ["return 1"]
`

const goodConf = `# the node
ssl_cipher_suite = modern
ssl_protocols = TLSv1.3
ssl_ciphers = TLS_AES_128_GCM_SHA256
trusted_ips = 10.0.0.0/8
real_ip_header = X-Forwarded-For
`

func good() drifttest.Files { return drifttest.Files{"kong.yaml": goodDeck, "kong.conf": goodConf} }

func deck(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "kong.yaml", Old: old, New: new}
}

func as(d drift.Direction, m drifttest.Mutation) drifttest.Mutation { m.Direction = d; return m }

func with(old, new string, m drifttest.Mutation) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func mutations() []drifttest.Mutation {
	const oidc = "- name: openid-connect\n"
	routePlugin := func(name, config string) string {
		return "    https_redirect_status_code: 308\n    plugins:\n    - name: " + name + "\n      config: " + config + "\n  - name: create"
	}
	return []drifttest.Mutation{
		with("- name: mtls-auth\n", "- name: mtls-auth\n  enabled: false\n", deck("DR-AUT-01", "- name: openid-connect\n", "- name: openid-connect\n  enabled: false\n")),
		alone(deck("DR-AUT-02", "    https_redirect_status_code: 308\n  - name: create", routePlugin("openid-connect", "{issuer: 'https://login.example.com/', auth_methods: [bearer], anonymous: nobody}"))),
		alone(deck("DR-AUT-03", oidc, oidc+"  enabled: false\n")),
		deck("DR-AUT-05", "- name: openid-connect\n  config:\n", "- name: key-auth\n  config:\n"),
		with("    ca_certificates: [ca-1]\n- name: acl", "    ca_certificates: [ca-1]\n    anonymous: nobody\n- name: acl", deck("DR-AUT-06", "auth_methods: [bearer]", "auth_methods: [bearer]\n    anonymous: nobody")),
		as(drift.NoneWeaker, deck("DR-AUT-07", "issuer: https://login.example.com/", "issuer: https://login.elsewhere.net/")),
		deck("DR-AUT-07", "auth_methods: [bearer]", "auth_methods: [bearer]\n    issuers_allowed: ['https://login.example.com/', 'https://other.test/']"),
		alone(deck("DR-AUT-08", "audience_required: [orders]", "audience_required: []")),
		deck("DR-AUT-08", "audience_required: [orders]", "audience_required: []"),
		deck("DR-AUT-09", "scopes_required: [orders.read]", "scopes_required: []"),
		deck("DR-AUT-09", "allow: [partners]", "allow: []"),
		deck("DR-AUT-09", "allow: [partners]", "allow: [partners, guests]"),
		alone(deck("DR-AUT-11", "issuer: https://login.example.com/", "issuer: https://login.microsoftonline.com/common/v2.0")),
		alone(deck("DR-AUT-12", "auth_methods: [bearer]", "auth_methods: [bearer]\n    verify_signature: false")),
		alone(deck("DR-AUT-13", "auth_methods: [bearer]", "auth_methods: [bearer]\n    verify_claims: false")),
		deck("DR-AUT-13", "auth_methods: [bearer]", "auth_methods: [bearer]\n    leeway: 600"),
		alone(with("    ca_certificates: [ca-1]\n- name: acl", "    ca_certificates: [ca-1]\n    anonymous: nobody\n- name: acl", deck("DR-AUT-14", "auth_methods: [bearer]", "auth_methods: [bearer]\n    anonymous: nobody"))),
		deck("DR-AUT-17", "bearer_token_param_type: [header]", "bearer_token_param_type: [header, query]"),
		deck("DR-AUT-18", `upstream_access_token_header: ""`, "upstream_access_token_header: authorization:bearer"),
		alone(deck("DR-AUT-20", oidc, oidc+"  condition: http.headers.x_internal != \"1\"\n")),
		alone(deck("DR-AUT-22", "plugins:\n- name: openid", "consumers:\n- username: c\n  keyauth_credentials:\n  - key: abcdefgh12345678\nplugins:\n- name: openid")),
		{Rule: "DR-CRT-01", File: "kong.conf", Old: "ssl_cipher_suite = modern", New: "ssl_cipher_suite = old"},
		{Rule: "DR-CRT-01", File: "kong.conf", Old: "ssl_cipher_suite = modern", New: "ssl_cipher_suite = old", Self: true},
		{Rule: "DR-CRT-02", File: "kong.conf", Old: "ssl_ciphers = TLS_AES_128_GCM_SHA256", New: "ssl_ciphers = TLS_AES_128_GCM_SHA256:DES-CBC3-SHA"},
		deck("DR-CRT-03", "- name: mtls-auth\n", "- name: mtls-auth\n  enabled: false\n"),
		deck("DR-CRT-04", "- name: mtls-auth\n  config:\n    ca_certificates: [ca-1]", "- name: mtls-auth\n  config:\n    ca_certificates: [ca-1, ca-any]"),
		deck("DR-CRT-06", "tls_verify: true", "tls_verify: false"),
		alone(deck("DR-CRT-06", "tls_verify: true", "tls_verify: false")),
		deck("DR-CRT-06", "protocol: https\n  tls_verify: true", "protocol: http\n  tls_verify: true"),
		deck("DR-CRT-12", "protocols: [https]", "protocols: [http, https]"),
		alone(deck("DR-CRT-12", "protocols: [https]", "protocols: [http, https]")),
		deck("DR-CRT-12", "max-age=31536000", "max-age=60"),
		deck("DR-CRT-12", "https_redirect_status_code: 308", "https_redirect_status_code: 426"),
		alone(deck("DR-CRT-13", "- name: mtls-auth\n", "- name: header-cert-auth\n  config:\n    certificate_header_name: X-Client-Cert\n- name: mtls-auth\n")),
		deck("DR-OBS-01", "- name: http-log\n", "- name: http-log\n  enabled: false\n"),
		as(drift.NoneWeaker, deck("DR-OBS-02", "      trace: \"return 1\"\n", "      other: \"return 1\"\n")),
		deck("DR-OBS-05", "sample_ratio: 0.5", "sample_ratio: 0.001"),
		deck("DR-OBS-05", "- name: zipkin\n", "- name: zipkin\n  enabled: false\n"),
		deck("DR-OBS-06", "- name: prometheus\n", "- name: prometheus\n  enabled: false\n"),
		alone(deck("DR-OBS-07", "https://logs.example.com/in", "https://logs-dev.example.com/in")),
		alone(deck("DR-OBS-10", "https://logs.example.com/in", "http://logs.example.com/in")),
		deck("DR-TRF-01", "    minute: 60\n", ""),
		deck("DR-TRF-02", "policy: redis", "policy: local"),
		deck("DR-TRF-03", "limit_by: consumer", "limit_by: header\n    header_name: X-Client"),
		deck("DR-TRF-03", "limit_by: consumer", "limit_by: ip"),
		deck("DR-TRF-04", "fault_tolerant: false", "fault_tolerant: true"),
		deck("DR-TRF-06", "    day: 10000\n", ""),
		deck("DR-TRF-06", "    day: 10000\n", "    day: 900000\n"),
		deck("DR-TRF-07", "minute: 60", "minute: 6000"),
		deck("DR-TRF-08", "allowed_payload_size: 1", "allowed_payload_size: 128"),
		deck("DR-TRF-08", "read_timeout: 10000", "read_timeout: 600000"),
		deck("DR-TRF-08", "retries: 1", "retries: 10"),
		deck("DR-TRF-09", "    remove:\n      headers: [X-User]\n", ""),
		deck("DR-EXP-01", "  - name: create\n", "  - name: debug\n    methods: [GET]\n    paths: ['~/debug$']\n    protocols: [https]\n    https_redirect_status_code: 308\n  - name: create\n"),
		deck("DR-EXP-02", `["~/orders$"]`, `["/orders"]`),
		deck("DR-EXP-02", "    methods: [POST]\n", ""),
		deck("DR-EXP-03", `["https://app.example.com"]`, `["https://app.example.com", "https://evil.test"]`),
		alone(deck("DR-EXP-03", `["https://app.example.com"]`, `["*"]`)),
		deck("DR-EXP-04", "allow: [10.0.0.0/8]", "allow: [0.0.0.0/0]"),
		{Rule: "DR-EXP-04", File: "kong.conf", Old: "trusted_ips = 10.0.0.0/8\n", New: "", Direction: drift.NoneWeaker},
		alone(deck("DR-EXP-07", "host: orders.example.com", "host: orders.dev.example.com")),
		alone(deck("DR-EXP-08", "- name: bot-detection\n", "- name: bot-detection\n- name: mocking\n")),
		deck("DR-EXP-09", "- name: bot-detection\n", ""),
		as(drift.NoneWeaker, deck("DR-EXP-10", `header_filter: ["return 1"]`, `header_filter: ["return 2"]`)),
		alone(deck("DR-EXP-11", "- name: bot-detection\n", "- name: bot-detection\n  service: elsewhere\n")),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, kong.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

func TestFormatMeansNothing(t *testing.T) {
	flat := strings.NewReplacer(
		"  routes:\n  - name: items\n", "routes:\n  - name: items\n    service: {name: orders}\n",
		"  - name: create\n", "  - name: create\n    service: orders\n",
		"methods: [GET]\n    paths", "tags: [x]\n    methods:\n    - GET\n    paths",
		"minute: 60", "minute: 60\n    error_code: 429",
		"allow: [10.0.0.0/8]", "whitelist: [10.0.0.0/8]",
		"fault_tolerant: false", "fault_tolerant: \"false\"",
	).Replace(goodDeck)
	flat = "# a comment\n" + strings.Replace(flat, "plugins:\n- name: openid", "_plugin_configs:\n  unused: {}\nplugins:\n- name: openid", 1)
	drifttest.Unmoved(t, kong.Read, good(), drifttest.Files{"a/other.yaml": flat, "kong.conf": "real_ip_header=X-Forwarded-For\ntrusted_ips=10.0.0.0/8\nssl_ciphers=TLS_AES_128_GCM_SHA256\nssl_protocols=TLSv1.3\nssl_cipher_suite=modern\n"})
}
