package krakend_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/krakend"
)

const goodConfig = `{
  "$schema": "https://www.krakend.io/schema/v3.json",
  "version": 3,
  "name": "orders",
  "host": ["https://orders.example.com"],
  "timeout": "3000ms",
  "tls": {
    "public_key": "/etc/tls/cert.pem",
    "private_key": "/etc/tls/key.pem",
    "min_version": "TLS13",
    "cipher_suites": [4865],
    "enable_mtls": true,
    "disable_system_ca_pool": true,
    "ca_certs": ["/etc/tls/partners.pem"]
  },
  "client_tls": {
    "allow_insecure_connections": false,
    "min_version": "TLS12",
    "ca_certs": ["/etc/tls/inner.pem"]
  },
  "endpoints": [
    {
      "endpoint": "/orders/{id}",
      "method": "GET",
      "timeout": "2000ms",
      "input_headers": ["X-Request-Id"],
      "backend": [
        {
          "url_pattern": "/orders/{id}",
          "extra_config": { "qos/ratelimit/proxy": { "max_rate": 500, "every": "1h", "capacity": 500 } }
        }
      ],
      "extra_config": {
        "auth/validator": {
          "alg": "RS256",
          "audience": ["orders"],
          "issuer": "https://login.example.com/",
          "jwk_url": "https://login.example.com/jwks",
          "roles": ["partner"],
          "leeway": "1s"
        },
        "qos/ratelimit/router": { "max_rate": 300, "client_max_rate": 60, "every": "1m", "strategy": "ip" },
        "security/bot-detector": { "deny": ["bad"] },
        "validation/cel": [ { "check_expr": "req_method == 'GET'" } ]
      }
    },
    {
      "endpoint": "/orders",
      "method": "POST",
      "input_headers": [],
      "backend": [ { "url_pattern": "/orders" } ],
      "extra_config": {
        "auth/validator": {
          "alg": "RS256",
          "audience": ["orders"],
          "issuer": "https://login.example.com/",
          "jwk_url": "https://login.example.com/jwks",
          "roles": ["partner"],
          "leeway": "1s"
        }
      }
    }
  ],
  "extra_config": {
    "security/cors": { "allow_origins": ["https://app.example.com"], "allow_methods": ["GET"], "allow_headers": ["Authorization"], "allow_credentials": true },
    "security/http": { "ssl_redirect": true, "sts_seconds": 31536000, "frame_deny": true },
    "router": { "return_error_msg": false, "disable_access_log": false },
    "plugin/http-server": { "name": ["ip-filter"], "ip-filter": { "CIDR": ["10.0.0.0/8"], "allow": true } },
    "telemetry/logging": { "level": "INFO", "stdout": true, "format": "logstash" },
    "telemetry/gelf": { "address": "logs.example.com:12201", "enable_tcp": false },
    "telemetry/opencensus": {
      "sample_rate": 50,
      "exporters": { "zipkin": { "collector_url": "https://traces.example.com/api", "service_name": "gw" }, "prometheus": { "port": 9091 } }
    }
  }
}`

func good() drifttest.Files { return drifttest.Files{"krakend.json": goodConfig} }

func weak(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "krakend.json", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func unsure(m drifttest.Mutation) drifttest.Mutation { m.Direction = drift.NoneWeaker; return m }

func with(old, new string, m drifttest.Mutation) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func mutations() []drifttest.Mutation {
	noMTLS := func(m drifttest.Mutation) drifttest.Mutation {
		return with(`"enable_mtls": true`, `"enable_mtls": false`, m)
	}
	return []drifttest.Mutation{
		noMTLS(weak("DR-AUT-01", `"auth/validator"`, `"@auth/validator"`)),
		alone(weak("DR-AUT-03", `"extra_config": {
    "security/cors"`, `"extra_config": {
    "auth/validator": { "alg": "RS256", "jwk_url": "https://login.example.com/jwks" },
    "security/cors"`)),
		weak("DR-AUT-05", `"enable_mtls": true`, `"enable_mtls": false`),
		weak("DR-AUT-05", `"auth/validator"`, `"auth/basic"`),
		unsure(weak("DR-AUT-07", `"issuer": "https://login.example.com/"`, `"issuer": "https://login.elsewhere.net/"`)),
		weak("DR-AUT-07", `"issuer": "https://login.example.com/",`, ``),
		alone(weak("DR-AUT-07", `"issuer": "https://login.example.com/",`, ``)),
		weak("DR-AUT-08", `"audience": ["orders"],`, ``),
		alone(weak("DR-AUT-08", `"audience": ["orders"],`, ``)),
		weak("DR-AUT-09", `"roles": ["partner"],`, ``),
		weak("DR-AUT-09", `"roles": ["partner"],`, `"roles": ["partner", "guest"],`),
		weak("DR-EXP-02", `"endpoint": "/orders",`, `"endpoint": "/orders/*",`),
		alone(with(`"issuer": "https://login.example.com/"`, `"issuer": ""`, weak("DR-AUT-11", `https://login.example.com/jwks`, `https://login.microsoftonline.com/common/discovery/v2.0/keys`))),
		alone(weak("DR-AUT-12", `"alg": "RS256"`, `"alg": "none"`)),
		unsure(weak("DR-AUT-12", `"jwk_url": "https://login.example.com/jwks"`, `"jwk_local_path": "/etc/jwk.json"`)),
		weak("DR-AUT-13", `"leeway": "1s"`, `"leeway": "10m"`),
		weak("DR-AUT-18", `"input_headers": ["X-Request-Id"]`, `"input_headers": ["*"]`),
		alone(weak("DR-AUT-22", `"service_name": "gw"`, `"password": "abcdefgh12345678"`)),
		weak("DR-CRT-01", `"min_version": "TLS13"`, `"min_version": "TLS10"`),
		alone(weak("DR-CRT-01", `"min_version": "TLS13"`, `"min_version": "TLS11"`)),
		weak("DR-CRT-01", `"min_version": "TLS12"`, `"min_version": "TLS10"`),
		weak("DR-CRT-02", `"cipher_suites": [4865]`, `"cipher_suites": [4865, 49169]`),
		alone(weak("DR-CRT-02", `"cipher_suites": [4865]`, `"cipher_suites": [4865, 49169]`)),
		weak("DR-CRT-03", `"enable_mtls": true`, `"enable_mtls": false`),
		weak("DR-CRT-04", `"disable_system_ca_pool": true`, `"disable_system_ca_pool": false`),
		weak("DR-CRT-04", `"ca_certs": ["/etc/tls/inner.pem"]`, `"ca_certs": ["/etc/tls/inner.pem", "/etc/tls/any.pem"]`),
		weak("DR-CRT-06", `"allow_insecure_connections": false`, `"allow_insecure_connections": true`),
		alone(weak("DR-CRT-06", `"allow_insecure_connections": false`, `"allow_insecure_connections": true`)),
		weak("DR-CRT-06", `https://orders.example.com`, `http://orders.example.com`),
		alone(weak("DR-CRT-09", `"/etc/tls/cert.pem"`, `"/etc/tls/dev/cert.pem"`)),
		weak("DR-CRT-12", `"public_key"`, `"disabled": true, "public_key"`),
		alone(weak("DR-CRT-12", `"public_key"`, `"disabled": true, "public_key"`)),
		weak("DR-CRT-12", `"ssl_redirect": true`, `"ssl_redirect": false`),
		weak("DR-CRT-12", `31536000`, `60`),
		weak("DR-OBS-01", `"disable_access_log": false`, `"disable_access_log": true`),
		weak("DR-OBS-01", `"disable_access_log": false`, `"logger_skip_paths": ["/orders"]`),
		weak("DR-OBS-05", `"sample_rate": 50`, `"sample_rate": 1`),
		weak("DR-OBS-05", `"zipkin"`, `"other"`),
		weak("DR-OBS-06", `, "prometheus": { "port": 9091 }`, ``),
		alone(weak("DR-OBS-07", `logs.example.com`, `logs-dev.example.com`)),
		weak("DR-OBS-09", `"level": "INFO"`, `"level": "CRITICAL"`),
		alone(weak("DR-OBS-10", `https://traces.example.com`, `http://traces.example.com`)),
		alone(weak("DR-OBS-11", `"return_error_msg": false`, `"return_error_msg": true`)),
		weak("DR-OBS-11", `"return_error_msg": false`, `"return_error_msg": true`),
		with(`"qos/ratelimit/proxy"`, `"@off"`, weak("DR-TRF-01", `"qos/ratelimit/router"`, `"@off"`)),
		weak("DR-TRF-02", `"every": "1m"`, `"every": "1s"`),
		weak("DR-TRF-03", `"strategy": "ip"`, `"strategy": "header", "key": "X-Client"`),
		weak("DR-TRF-07", `"client_max_rate": 60`, `"client_max_rate": 6000`),
		weak("DR-TRF-08", `"timeout": "2000ms"`, `"timeout": "60s"`),
		weak("DR-TRF-08", `"method": "POST",`, `"method": "POST", "concurrent_calls": 5,`),
		weak("DR-TRF-09", `"input_headers": []`, `"input_headers": ["*"]`),
		unsure(weak("DR-TRF-09", `"frame_deny": true`, `"frame_deny": false`)),
		weak("DR-EXP-01", `"endpoints": [`, `"endpoints": [ { "endpoint": "/extra", "backend": [ { "url_pattern": "/" } ] },`),
		weak("DR-EXP-01", `"version": 3,`, `"version": 3, "debug_endpoint": true,`),
		weak("DR-EXP-03", `["https://app.example.com"]`, `["https://app.example.com", "https://evil.test"]`),
		alone(weak("DR-EXP-03", `["https://app.example.com"]`, `["*"]`)),
		alone(weak("DR-EXP-03", `["https://app.example.com"]`, `[]`)),
		weak("DR-EXP-04", `["10.0.0.0/8"]`, `["0.0.0.0/0"]`),
		alone(weak("DR-EXP-07", `https://orders.example.com`, `https://orders.dev.example.com`)),
		alone(weak("DR-EXP-08", `"version": 3,`, `"version": 3, "debug_endpoint": true,`)),
		alone(weak("DR-EXP-08", `"security/bot-detector"`, `"proxy": { "static": { "strategy": "always", "data": {} } }, "security/bot-detector"`)),
		weak("DR-EXP-09", `"security/bot-detector"`, `"@off"`),
		unsure(weak("DR-EXP-10", `req_method == 'GET'`, `true`)),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, krakend.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFormatMeansNothing writes the same with the names of before, with defaults written out, and as YAML.
func TestFormatMeansNothing(t *testing.T) {
	old := strings.NewReplacer(
		`"auth/validator"`, `"github.com/devopsfaith/krakend-jose/validator"`,
		`"qos/ratelimit/router"`, `"github_com/devopsfaith/krakend-ratelimit/juju/router"`,
		`"qos/ratelimit/proxy"`, `"github.com/devopsfaith/krakend-ratelimit/juju/proxy"`,
		`"security/cors"`, `"github_com/devopsfaith/krakend-cors"`,
		`"security/http"`, `"github_com/devopsfaith/krakend-httpsecure"`,
		`"router": {`, `"github_com/luraproject/lura/router/gin": {`,
		`"plugin/http-server"`, `"github_com/devopsfaith/krakend/transport/http/server/handler"`,
		`"telemetry/logging"`, `"github_com/devopsfaith/krakend-gologging"`,
		`"telemetry/gelf"`, `"github_com/devopsfaith/krakend-gelf"`,
		`"telemetry/opencensus"`, `"github_com/letgoapp/krakend-none": {}, "github_com/devopsfaith/krakend-opencensus"`,
		`"validation/cel"`, `"github.com/devopsfaith/krakend-cel"`,
		`"security/bot-detector"`, `"github_com/devopsfaith/krakend-botdetector"`,
		`"max_rate": 300`, `"maxRate": 300`, `"client_max_rate"`, `"clientMaxRate"`,
		`"input_headers"`, `"headers_to_pass"`,
		`"timeout": "2000ms"`, `"timeout": "2s"`,
		`"every": "1m"`, `"every": "60s", "capacity": 0`,
		`"alg": "RS256"`, `"roles_key": "roles", "auth_header_name": "Authorization"`,
		`"method": "GET"`, `"@comment": "nothing"`,
		"\n", "",
	).Replace(goodConfig)
	drifttest.Unmoved(t, krakend.Read, good(), drifttest.Files{"conf/other.json": old})
	drifttest.Unmoved(t, krakend.Read, good(), drifttest.Files{"krakend.yaml": "# a comment\n" + goodConfig})
}
