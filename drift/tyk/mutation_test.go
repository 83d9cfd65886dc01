package tyk_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/tyk"
)

// goodClassic and goodOAS are one API in the two formats.
const goodClassic = `{
  "name": "orders", "api_id": "orders", "active": true, "internal": false,
  "domain": "api.example.com",
  "use_keyless": false,
  "enable_jwt": true,
  "jwt_signing_method": "rsa",
  "jwt_source": "aHR0cHM6Ly9sb2dpbi5leGFtcGxlLmNvbS9qd2tz",
  "jwt_default_policies": ["partner"],
  "jwt_expires_at_validation_skew": 5,
  "use_mutual_tls_auth": true,
  "client_certificates": ["cert-partner"],
  "certificates": ["cert-server"],
  "strip_auth_data": true,
  "auth_configs": { "jwt": { "auth_header_name": "Authorization", "use_param": false } },
  "global_rate_limit": { "rate": 300, "per": 60 },
  "enable_ip_whitelisting": true,
  "allowed_ips": ["10.0.0.0/8"],
  "do_not_track": false,
  "enable_detailed_recording": false,
  "CORS": { "enable": true, "allowed_origins": ["https://app.example.com"], "allowed_methods": ["GET"], "allowed_headers": ["Authorization"], "allow_credentials": true, "max_age": 24 },
  "custom_middleware": { "response": [ { "name": "answer", "path": "answer.js" } ] },
  "proxy": {
    "listen_path": "/orders/", "strip_listen_path": true, "target_url": "https://orders.example.com",
    "transport": { "ssl_insecure_skip_verify": false, "ssl_min_version": 771 }
  },
  "version_data": { "not_versioned": true, "versions": { "Default": {
    "name": "Default",
    "use_extended_paths": true,
    "global_size_limit": 100000,
    "global_headers_remove": ["X-User"],
    "global_response_headers": { "Strict-Transport-Security": "max-age=31536000" },
    "extended_paths": {
      "white_list": [ { "path": "/items/{id}", "method": "GET" }, { "path": "/items", "method": "POST" } ],
      "size_limits": [ { "path": "/items", "method": "POST", "size_limit": 2000 } ],
      "hard_timeouts": [ { "path": "/items", "method": "POST", "timeout": 5 } ],
      "circuit_breakers": [ { "path": "/items", "method": "POST", "threshold_percent": 0.5, "samples": 10, "return_to_service_after": 60 } ],
      "rate_limit": [ { "path": "/items", "method": "POST", "rate": 5, "per": 1 } ],
      "validate_request": [ { "path": "/items", "method": "POST", "enabled": true } ]
    } } } }
}`

const goodOAS = `{
  "openapi": "3.0.3", "info": { "title": "orders", "version": "1" },
  "security": [ { "jwt": [] } ],
  "components": { "securitySchemes": { "jwt": { "type": "http", "scheme": "bearer" } } },
  "paths": {
    "/items/{id}": { "get": { "operationId": "one" } },
    "/items": { "post": { "operationId": "create" }, "get": { "operationId": "list" } }
  },
  "x-tyk-api-gateway": {
    "info": { "id": "orders", "name": "orders", "state": { "active": true } },
    "upstream": {
      "url": "https://orders.example.com",
      "rateLimit": { "enabled": true, "rate": 300, "per": "1m" },
      "tlsTransport": { "insecureSkipVerify": false, "minVersion": "1.2" }
    },
    "server": {
      "listenPath": { "value": "/orders/", "strip": true },
      "customDomain": { "enabled": true, "name": "api.example.com", "certificates": ["cert-server"] },
      "clientCertificates": { "enabled": true, "allowlist": ["cert-partner"] },
      "authentication": { "enabled": true, "stripAuthorizationData": true, "securitySchemes": { "jwt": {
        "enabled": true, "source": "https://login.example.com/jwks", "signingMethod": "rsa", "defaultPolicies": ["partner"], "expiresAtValidationSkew": 5,
        "header": { "enabled": true, "name": "Authorization" } } } },
      "ipAccessControl": { "enabled": true, "allow": ["10.0.0.0/8"] },
      "detailedActivityLogs": { "enabled": false }
    },
    "middleware": {
      "global": {
        "cors": { "enabled": true, "allowedOrigins": ["https://app.example.com"], "allowedMethods": ["GET"], "allowedHeaders": ["Authorization"], "allowCredentials": true, "maxAge": 24 },
        "responsePlugins": [ { "name": "answer", "path": "answer.js" } ],
        "requestSizeLimit": { "enabled": true, "value": 100000 },
        "transformRequestHeaders": { "enabled": true, "remove": ["X-User"] },
        "transformResponseHeaders": { "enabled": true, "add": [ { "name": "Strict-Transport-Security", "value": "max-age=31536000" } ] }
      },
      "operations": {
        "one": { "allow": { "enabled": true } },
        "create": {
          "allow": { "enabled": true },
          "requestSizeLimit": { "enabled": true, "value": 2000 },
          "enforceTimeout": { "enabled": true, "value": 5 },
          "circuitBreaker": { "enabled": true, "threshold": 0.5, "sampleSize": 10, "coolDownPeriod": 60 },
          "rateLimit": { "enabled": true, "rate": 5, "per": "1s" },
          "validateRequest": { "enabled": true }
        },
        "list": { "ignoreAuthentication": { "enabled": false } }
      }
    }
  }
}`

const goodPolicies = `{ "partner": { "rate": 60, "per": 3600, "quota_max": 1000, "quota_renewal_rate": 86400, "access_rights": { "orders": { "api_id": "orders" } } } }`

func good() drifttest.Files {
	return drifttest.Files{"api.json": goodClassic, "policies.json": goodPolicies}
}

func goodNew() drifttest.Files {
	return drifttest.Files{"api.json": goodOAS, "policies.json": goodPolicies}
}

func weak(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "api.json", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func unsure(m drifttest.Mutation) drifttest.Mutation { m.Direction = drift.NoneWeaker; return m }

func in(file string, m drifttest.Mutation) drifttest.Mutation { m.File = file; return m }

func also(m drifttest.Mutation, old, new string) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func classicMutations() []drifttest.Mutation {
	return []drifttest.Mutation{
		weak("DR-AUT-01", `"use_keyless": false`, `"use_keyless": true`),
		weak("DR-AUT-01", `"white_list": [`, `"ignored": [ { "path": "/items", "method": "POST" } ], "white_list": [`),
		alone(weak("DR-AUT-03", `"use_keyless": false`, `"use_keyless": true`)),
		weak("DR-AUT-05", `"use_mutual_tls_auth": true`, `"use_mutual_tls_auth": false`),
		also(weak("DR-AUT-05", `"enable_jwt": true`, `"use_standard_auth": true`), `"use_mutual_tls_auth": true`, `"use_mutual_tls_auth": false`),
		unsure(weak("DR-AUT-12", `"jwt_signing_method": "rsa"`, `"jwt_signing_method": "hmac"`)),
		unsure(weak("DR-AUT-12", `"jwt_source": "aHR0cHM6Ly9sb2dpbi5leGFtcGxlLmNvbS9qd2tz"`, `"jwt_source": "c3RhdGljIGtleQ=="`)),
		weak("DR-AUT-13", `"jwt_expires_at_validation_skew": 5`, `"jwt_expires_at_validation_skew": 600`),
		weak("DR-AUT-17", `"use_param": false`, `"use_param": true, "param_name": "jwt"`),
		weak("DR-AUT-18", `"strip_auth_data": true`, `"strip_auth_data": false`),
		weak("DR-AUT-19", `"white_list": [`, `"ignored": [ { "path": "/items", "method": "POST" } ], "white_list": [`),
		alone(also(weak("DR-AUT-22", `"jwt_signing_method": "rsa"`, `"jwt_signing_method": "hmac"`), "aHR0cHM6Ly9sb2dpbi5leGFtcGxlLmNvbS9qd2tz", "c3RhdGljIGtleQ==")),
		weak("DR-CRT-01", `"ssl_min_version": 771`, `"ssl_min_version": 769`),
		alone(weak("DR-CRT-01", `"ssl_min_version": 771`, `"ssl_min_version": 770`)),
		weak("DR-CRT-03", `"use_mutual_tls_auth": true`, `"use_mutual_tls_auth": false`),
		weak("DR-CRT-05", `"client_certificates": ["cert-partner"]`, `"client_certificates": []`),
		alone(weak("DR-CRT-05", `"client_certificates": ["cert-partner"]`, `"client_certificates": []`)),
		weak("DR-CRT-06", `"ssl_insecure_skip_verify": false`, `"ssl_insecure_skip_verify": true`),
		alone(weak("DR-CRT-06", `"ssl_insecure_skip_verify": false`, `"ssl_insecure_skip_verify": true`)),
		weak("DR-CRT-06", `https://orders.example.com`, `http://orders.example.com`),
		alone(weak("DR-CRT-09", `"cert-server"`, `"cert-dev-server"`)),
		weak("DR-CRT-12", `max-age=31536000`, `max-age=60`),
		weak("DR-TRF-02", `"per": 60`, `"per": 1`),
		weak("DR-TRF-07", `"rate": 5,`, `"rate": 5000,`),
		in("policies.json", weak("DR-TRF-06", `"quota_max": 1000`, `"quota_max": -1`)),
		in("policies.json", weak("DR-TRF-06", `"quota_max": 1000`, `"quota_max": 900000`)),
		weak("DR-TRF-06", `"strip_auth_data"`, `"disable_quota": true, "strip_auth_data"`),
		weak("DR-TRF-01", `"strip_auth_data"`, `"disable_rate_limit": true, "strip_auth_data"`),
		weak("DR-TRF-08", `"size_limit": 2000`, `"size_limit": 50000`),
		weak("DR-TRF-08", `"timeout": 5`, `"timeout": 60`),
		weak("DR-TRF-09", `"global_headers_remove": ["X-User"]`, `"global_headers_remove": []`),
		weak("DR-EXP-01", `"white_list": [`, `"white_list": [ { "path": "/debug", "method": "GET" },`),
		weak("DR-EXP-03", `["https://app.example.com"]`, `["https://app.example.com", "https://evil.test"]`),
		alone(weak("DR-EXP-03", `["https://app.example.com"]`, `["*"]`)),
		weak("DR-EXP-04", `"enable_ip_whitelisting": true`, `"enable_ip_whitelisting": false`),
		weak("DR-EXP-04", `["10.0.0.0/8"]`, `["0.0.0.0/0"]`),
		alone(weak("DR-EXP-07", `https://orders.example.com`, `https://orders.dev.example.com`)),
		alone(weak("DR-EXP-08", `"white_list": [`, `"mock_response": [ { "path": "/items", "method": "POST" } ], "white_list": [`)),
		weak("DR-EXP-09", `"validate_request"`, `"off"`),
		unsure(weak("DR-EXP-10", `"path": "answer.js"`, `"path": "other.js"`)),
		alone(weak("DR-OBS-03", `"enable_detailed_recording": false`, `"enable_detailed_recording": true, "do_not_track": false`)),
	}
}

func documentMutations() []drifttest.Mutation {
	return []drifttest.Mutation{
		weak("DR-AUT-01", `"authentication": { "enabled": true`, `"authentication": { "enabled": false`),
		weak("DR-AUT-01", `"create": {`, `"create": { "ignoreAuthentication": { "enabled": true },`),
		weak("DR-AUT-19", `"create": {`, `"create": { "ignoreAuthentication": { "enabled": true },`),
		alone(weak("DR-AUT-03", `"authentication": { "enabled": true`, `"authentication": { "enabled": false`)),
		weak("DR-AUT-05", `"clientCertificates": { "enabled": true`, `"clientCertificates": { "enabled": false`),
		unsure(weak("DR-AUT-12", `"signingMethod": "rsa"`, `"signingMethod": "hmac"`)),
		weak("DR-AUT-13", `"expiresAtValidationSkew": 5`, `"expiresAtValidationSkew": 600`),
		weak("DR-AUT-17", `"header": { "enabled": true`, `"query": { "enabled": true, "name": "jwt" }, "header": { "enabled": true`),
		weak("DR-AUT-18", `"stripAuthorizationData": true`, `"stripAuthorizationData": false`),
		weak("DR-CRT-01", `"minVersion": "1.2"`, `"minVersion": "1.0"`),
		weak("DR-CRT-03", `"clientCertificates": { "enabled": true`, `"clientCertificates": { "enabled": false`),
		weak("DR-CRT-06", `"insecureSkipVerify": false`, `"insecureSkipVerify": true`),
		weak("DR-TRF-01", `"global": {`, `"global": { "skipRateLimit": true,`),
		weak("DR-TRF-02", `"per": "1m"`, `"per": "1s"`),
		weak("DR-TRF-06", `"global": {`, `"global": { "skipQuota": true,`),
		weak("DR-TRF-08", `"value": 2000`, `"value": 50000`),
		weak("DR-TRF-09", `"remove": ["X-User"]`, `"remove": []`),
		weak("DR-EXP-03", `["https://app.example.com"]`, `["https://app.example.com", "https://evil.test"]`),
		weak("DR-EXP-04", `"ipAccessControl": { "enabled": true`, `"ipAccessControl": { "enabled": false`),
		alone(weak("DR-EXP-08", `"create": {`, `"create": { "mockResponse": { "enabled": true },`)),
		alone(weak("DR-OBS-03", `"detailedActivityLogs": { "enabled": false`, `"detailedActivityLogs": { "enabled": true`)),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, tyk.Read, good(), classicMutations())
	t.Logf("classic: %d of %d weakenings found", found, all)
	found, all = drifttest.Mutate(t, tyk.Read, goodNew(), documentMutations())
	t.Logf("OAS: %d of %d weakenings found", found, all)
}

// TestFormatsMeanTheSame reads one API in both formats, and each of them written otherwise.
func TestFormatsMeanTheSame(t *testing.T) {
	drifttest.Unmoved(t, tyk.Read, good(), goodNew())
	drifttest.Unmoved(t, tyk.Read, goodNew(), good())
	a, b := read(t, good()), read(t, goodNew())
	if len(a.Operations) != len(b.Operations) || len(a.Operations) != 2 {
		t.Errorf("%d operations in one format and %d in the other, want 2", len(a.Operations), len(b.Operations))
	}
	other := strings.NewReplacer("\n", "", `"use_keyless": false`, `"use_standard_auth": false`, `"domain":`, `"slug": "x", "domain":`, `"allowed_ips"`, `"blacklisted_ips": [], "allowed_ips"`).Replace(goodClassic)
	drifttest.Unmoved(t, tyk.Read, good(), drifttest.Files{"x/wrapped.json": `{"api_definition":` + other + `}`, "p.json": "[" + strings.Replace(strings.Replace(goodPolicies, `{ "partner": {`, `{ "_id": "partner",`, 1), "} } }", "} }", 1) + "]"})
	drifttest.Unmoved(t, tyk.Read, goodNew(), drifttest.Files{"api.yaml": "# a comment\n" + goodOAS, "policies.yaml": goodPolicies})
}
