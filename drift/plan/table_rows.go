package plan

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// krakendRows are KrakenD's: what is of one endpoint stands there, TLS, CORS and the log stand for the whole service.
func krakendRows() []row {
	const (
		validator = "op/extra_config/auth~1validator"
		router    = "op/extra_config/qos~1ratelimit~1router"
		cors      = "top/extra_config/security~1cors"
		http      = "top/extra_config/security~1http"
	)
	spell := func(v string) any { return "TLS" + strings.ReplaceAll(v, ".", "") }
	return []row{
		{"auth.ways", validator, krakendToken},
		{"auth.ways auth.mtls.pins tls.client_auth", "top/tls/enable_mtls", is(true)},
		{"auth.jwt.issuers", validator + "/issuer", tokenWords(issuers, asFirst)},
		{"auth.jwt.audiences", validator + "/audience", tokenWords(audiences, asList)},
		{"auth.jwt.algs", validator + "/alg", tokenWords(algorithms, asFirst)},
		{"auth.jwt.clock_skew_s", validator + "/leeway", tokenAmount(skew, 60, seconds)},
		{"authz", validator + "/roles", claimed(asList, "roles", "role", "groups")},
		{"authz", validator + "/scopes", claimed(asList, "scope", "scp")},
		{"auth.forward transforms", "op/input_headers", keptHeaders},
		{"tls.min", "top/tls/min_version", version(outerMin, spell)},
		{"tls.upstream.min", "top/client_tls/min_version", version(innerMin, spell)},
		{"tls.upstream.verify", "top/client_tls/allow_insecure_connections", is(false)},
		{"tls.upstream.ca_refs", "top/client_tls/ca_certs", words(innerCAs, asList)},
		{"tls.ca_refs auth.mtls.ca_refs", "top/tls/ca_certs", words(anchors, asList)},
		{"tls.ca_refs auth.mtls.ca_refs", "top/tls/disable_system_ca_pool", is(true)},
		{"tls.ciphers", "top/tls/cipher_suites", words(ciphers, numbers)},
		{"tls.plain", "top/tls/disabled", is(false)},
		{"tls.http_redirect_code", http + "/ssl_redirect", is(true)},
		{"tls.hsts_max_age_s", http + "/sts_seconds", amount(hsts, 31536000, whole)},
		{"rate rate.count rate.window_s rate.key", router, firstRate(krakendRate)},
		{"rate.window_s", router + "/every", firstRate(func(r drift.Rate) any { return every(r.Window.Value) })},
		{"rate.key", router + "/strategy", firstRate(func(r drift.Rate) any {
			if r.Key.Or("") == "ip" {
				return "ip"
			}
			return nil
		})},
		{"limits.timeout_read_ms", "op/timeout", amount(readTimeout, 0, millis)},
		{"limits.retries", "op/concurrent_calls", is(int64(1))},
		{"cors.origins", cors + "/allow_origins", words(origins, asList)},
		{"cors.methods", cors + "/allow_methods", words(corsMethods, asList)},
		{"cors.headers", cors + "/allow_headers", words(corsHeaders, asList)},
		{"cors.credentials", cors + "/allow_credentials", is(false)},
		{"logging.enabled", "top/extra_config/router/disable_access_log", is(false)},
		{"logging.enabled", "top/extra_config/router/logger_skip_paths", is(gone{})},
		{"metrics.enabled", "top/extra_config/telemetry~1opencensus/exporters/prometheus", is(patch.Map{{Key: "port", Value: int64(9091)}})},
		{"diag.verbosity", "top/extra_config/telemetry~1logging/level", verbosity("INFO", "ERROR")},
		{"diag.fault_leaks", "top/extra_config/router/return_error_msg", is(false)},
		{"debug", "op/extra_config/proxy/static", is(gone{})},
		{"debug", "top/debug_endpoint", is(gone{})},
	}
}

func numbers(list []string) any {
	out := patch.List{}
	for _, s := range list {
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// tokenMap writes a requirement of a token with a gateway's own names; "" leaves a part out.
func tokenMap(g Group, algs, keys, issuer, audience string) (patch.Map, error) {
	j := token(g.Want)
	if j == nil {
		return nil, refuse("the other side asks for no token", "")
	}
	if !j.Keys.Known() || len(j.Keys.Value) == 0 || !strings.Contains(j.Keys.Value[0], "://") {
		return nil, refuse("where the keys of the tokens are found is not known", "name this environment's own key set")
	}
	s := &Site{Env: g.Env}
	if _, err := s.own(slices.Concat(j.Keys.Value, j.Issuers.Or(nil), j.Audiences.Or(nil))); err != nil {
		return nil, err
	}
	var m patch.Map
	if a := j.Algorithms.Or(nil); algs != "" && len(a) > 0 {
		m = append(m, patch.Entry{Key: algs, Value: a[0]})
	}
	m = append(m, patch.Entry{Key: keys, Value: j.Keys.Value[0]})
	if i := j.Issuers.Or(nil); len(i) > 0 {
		m = append(m, patch.Entry{Key: issuer, Value: i[0]})
	}
	if a := j.Audiences.Or(nil); len(a) > 0 {
		m = append(m, patch.Entry{Key: audience, Value: patch.Strings(a)})
	}
	return m, nil
}

func krakendToken(g Group) (any, error) {
	m, err := tokenMap(g, "alg", "jwk_url", "issuer", "audience")
	if err != nil {
		return nil, err
	}
	j := token(g.Want)
	for _, c := range j.Claims.Or(nil) {
		if len(c.Values) > 0 && !c.All {
			m = append(m, patch.Entry{Key: "roles", Value: patch.Strings(c.Values)}, patch.Entry{Key: "roles_key", Value: c.Name})
			break
		}
	}
	if n := j.Skew.Or(0); n > 0 {
		m = append(m, patch.Entry{Key: "leeway", Value: seconds(n)})
	}
	return m, nil
}

func krakendRate(r drift.Rate) any {
	var m patch.Map
	switch r.Key.Or("ip") {
	case "ip":
		m = patch.Map{{Key: "client_max_rate", Value: r.Count.Value}, {Key: "strategy", Value: "ip"}}
	case "global":
		m = patch.Map{{Key: "max_rate", Value: r.Count.Value}}
	default:
		return nil
	}
	return append(m, patch.Entry{Key: "every", Value: every(r.Window.Value)})
}

// keptHeaders are the headers that the other side lets through.
func keptHeaders(g Group) (any, error) {
	if g.Want == nil || !g.Want.Transforms.Known() {
		return nil, refuse("what the other side lets through is not known", "")
	}
	out := patch.List{}
	for _, t := range g.Want.Transforms.Value {
		if t.Phase == "request" && t.Op == "keep" && t.Target == "header" {
			out = append(out, t.Name)
		}
	}
	return out, nil
}

// tykRows are those of Tyk's classic definitions.
func tykRows() []row {
	spell := func(v string) any { return map[string]int64{"1.2": 771, "1.3": 772}[v] }
	return []row{
		{"auth.ways", "doc/use_keyless", is(false)},
		{"auth.ways", "doc/use_mutual_tls_auth", is(true)},
		{"tls.client_auth", "doc/use_mutual_tls_auth", is(true)},
		{"auth.exempt auth.ways", "doc/version_data/versions/Default/extended_paths/ignored", is(gone{})},
		{"auth.jwt.algs", "doc/jwt_signing_method", tokenWords(algorithms, tykAlgorithm)},
		{"auth.jwt.clock_skew_s", "doc/jwt_expires_at_validation_skew", tokenAmount(skew, 60, whole)},
		{"auth.in_query", "doc/auth_configs/jwt/use_param", is(false)},
		{"auth.in_query", "doc/auth_configs/authToken/use_param", is(false)},
		{"auth.in_query", "doc/auth/use_param", is(false)},
		{"auth.forward", "doc/strip_auth_data", is(true)},
		{"tls.upstream.min", "doc/proxy/transport/ssl_min_version", version(innerMin, spell)},
		{"tls.upstream.verify", "doc/proxy/transport/ssl_insecure_skip_verify", is(false)},
		{"tls.hsts_max_age_s", "doc/version_data/versions/Default/global_response_headers/Strict-Transport-Security", amount(hsts, 31536000, func(n int64) any { return fmt.Sprintf("max-age=%d", n) })},
		{"ip.allow", "doc/enable_ip_whitelisting", is(true)},
		{"ip.allow", "doc/allowed_ips", words(allowed, asList)},
		{"ip.deny", "doc/blacklisted_ips", words(denied, asList)},
		{"cors.origins", "doc/CORS/allowed_origins", words(origins, asList)},
		{"cors.credentials", "doc/CORS/allow_credentials", is(false)},
		{"rate", "doc/disable_rate_limit", is(false)},
		{"quota", "doc/disable_quota", is(false)},
		{"rate rate.window_s rate.count", "doc/global_rate_limit", firstRate(func(r drift.Rate) any {
			return patch.Map{{Key: "rate", Value: r.Count.Value}, {Key: "per", Value: r.Window.Value}}
		})},
		{"limits.body_bytes", "doc/version_data/versions/Default/global_size_limit", amount(bodyBytes, 0, whole)},
		{"transforms", "doc/version_data/versions/Default/global_headers_remove", removals},
		{"debug", "doc/version_data/versions/Default/extended_paths/mock_response", is(gone{})},
		{"logging.body_bytes logging.headers_logged", "doc/enable_detailed_recording", is(false)},
		{"lifecycle.subscription_required", "doc/use_keyless", is(false)},
	}
}

// tykDocumentRows are those of Tyk's OpenAPI documents. They write nothing into a classic definition, nor those of tykRows into a
// document: what has no effect is taken back.
func tykDocumentRows() []row {
	const x, global = "doc/x-tyk-api-gateway/", "doc/x-tyk-api-gateway/middleware/global/"
	return []row{
		{"auth.ways lifecycle.subscription_required", x + "server/authentication/enabled", is(true)},
		{"auth.ways tls.client_auth", x + "server/clientCertificates/enabled", is(true)},
		{"auth.exempt auth.ways", "auth.exempt:up/ignoreAuthentication", is(gone{})},
		{"auth.jwt.algs", "finding:up/signingMethod", tokenWords(algorithms, tykAlgorithm)},
		{"auth.jwt.clock_skew_s", "finding:up/expiresAtValidationSkew", tokenAmount(skew, 60, whole)},
		{"auth.in_query", "finding:op/query/enabled", is(false)},
		{"auth.forward", x + "server/authentication/stripAuthorizationData", is(true)},
		{"tls.upstream.min", x + "upstream/tlsTransport/minVersion", version(innerMin, func(v string) any { return v })},
		{"tls.upstream.verify", x + "upstream/tlsTransport/insecureSkipVerify", is(false)},
		{"ip.allow", x + "server/ipAccessControl/enabled", is(true)},
		{"ip.allow", x + "server/ipAccessControl/allow", words(allowed, asList)},
		{"ip.deny", x + "server/ipAccessControl/block", words(denied, asList)},
		{"cors.origins", global + "cors/allowedOrigins", words(origins, asList)},
		{"cors.credentials", global + "cors/allowCredentials", is(false)},
		{"rate", global + "skipRateLimit", is(false)},
		{"quota", global + "skipQuota", is(false)},
		{"rate rate.window_s rate.count", x + "upstream/rateLimit", firstRate(func(r drift.Rate) any {
			return patch.Map{{Key: "enabled", Value: true}, {Key: "rate", Value: r.Count.Value}, {Key: "per", Value: fmt.Sprintf("%ds", r.Window.Value)}}
		})},
		{"limits.body_bytes", global + "requestSizeLimit/value", amount(bodyBytes, 0, whole)},
		{"transforms", global + "transformRequestHeaders/remove", removals},
		{"logging.body_bytes logging.headers_logged", x + "server/detailedActivityLogs/enabled", is(false)},
	}
}

// tykAlgorithm is the family of an algorithm, as Tyk names it.
func tykAlgorithm(a []string) any {
	switch a[0][:min(2, len(a[0]))] {
	case "RS", "PS":
		return "rsa"
	case "ES":
		return "ecdsa"
	}
	return nil
}

// removals are the headers that the other side takes away from requests.
func removals(g Group) (any, error) {
	if g.Want == nil || !g.Want.Transforms.Known() {
		return nil, refuse("what the other side takes away is not known", "")
	}
	out := patch.List{}
	for _, t := range g.Want.Transforms.Value {
		if t.Phase == "request" && t.Op == "remove" && t.Target == "header" && t.Name != "" {
			out = append(out, t.Name)
		}
	}
	if len(out) == 0 {
		return nil, refuse("the other side sets values, which may belong to it", "write this environment's own value there")
	}
	return out, nil
}

// ingressRows are annotations of the Ingress, and entries of the controller's ConfigMap beside one that is known.
func ingressRows() []row {
	const own = "doc/metadata/annotations/nginx.ingress.kubernetes.io~1"
	tls := func(v string) any {
		if v == "1.3" {
			return "TLSv1.3"
		}
		return "TLSv1.2 TLSv1.3"
	}
	return []row{
		{"auth.ways", own + "auth-url", ingressAsk},
		{"auth.ways tls.client_auth", own + "auth-tls-verify-client", is("on")},
		{"auth.mtls.pins", own + "auth-tls-match-cn", words(func(p *drift.Policy) drift.Leaf[[]string] { return p.TLS.Pins }, asFirst)},
		{"auth.external.cache_ttl_s", own + "auth-cache-duration", cacheFor},
		{"auth.forward", own + "auth-tls-pass-certificate-to-upstream", is("false")},
		{"auth.exempt", "tls.min:doc/data/no-auth-locations", is(gone{})},
		{"tls.min", "tls.min:doc/data/ssl-protocols", version(outerMin, tls)},
		{"tls.upstream.min", own + "proxy-ssl-protocols", version(innerMin, tls)},
		{"tls.ciphers", "tls.ciphers:doc/data/ssl-ciphers", words(ciphers, func(l []string) any { return strings.Join(l, ":") })},
		{"tls.upstream.verify", own + "proxy-ssl-verify", is("on")},
		{"tls.plain tls.http_redirect_code", own + "ssl-redirect", is("true")},
		{"tls.hsts_max_age_s", "tls.hsts_max_age_s:doc/data/hsts", is("true")},
		{"tls.hsts_max_age_s", "tls.min:doc/data/hsts-max-age", amount(hsts, 31536000, digits)},
		{"rate rate.count rate.window_s", own + "limit-rpm", firstRate(perMinute)},
		{"rate rate.count rate.window_s", own + "limit-rps", firstRate(func(r drift.Rate) any {
			if r.Window.Value == 1 && r.Key.Or("ip") == "ip" {
				return digits(r.Count.Value)
			}
			return nil
		})},
		{"limits.body_bytes", own + "proxy-body-size", amount(bodyBytes, 0, size)},
		{"limits.timeout_read_ms", own + "proxy-read-timeout", amount(readTimeout, 0, func(n int64) any { return digits(n / 1000) })},
		{"limits.timeout_connect_ms", own + "proxy-connect-timeout", amount(connectTimeout, 0, func(n int64) any { return digits(n / 1000) })},
		{"cors.origins", own + "cors-allow-origin", words(origins, asText)},
		{"cors.credentials", own + "cors-allow-credentials", is("false")},
		{"ip.allow", own + "allowlist-source-range", words(allowed, asText)},
		{"ip.deny", own + "denylist-source-range", words(denied, asText)},
		{"logging.enabled", own + "enable-access-log", is("true")},
		{"waf", own + "enable-modsecurity", is("true")},
		{"tracing.enabled", "tls.min:doc/data/enable-opentelemetry", is("true")},
		{"tracing.sample_ratio", "tracing.sample_ratio:doc/data/otel-sampler-ratio", ratio},
		{"diag.verbosity", "tls.min:doc/data/error-log-level", verbosity("notice", "error")},
		{"diag.fault_leaks", "diag.fault_leaks:doc/data/server-tokens", is("false")},
		{"ip.client_ip_source", "ip.client_ip_source:doc/data/use-forwarded-headers", func(g Group) (any, error) {
			if g.Want != nil && g.Want.IP.Source.Or("") == "peer" {
				return "false", nil
			}
			return nil, refuse("which proxies stand in front here is not in the files", "name their addresses in proxy-real-ip-cidr")
		}},
	}
}

func ratio(g Group) (any, error) {
	v, err := wanted(g, func(p *drift.Policy) drift.Leaf[float64] { return p.Tracing.Sample }, 1)
	if err != nil {
		return nil, err
	}
	return fmt.Sprint(v), nil
}

func size(n int64) any {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%dm", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%dk", n>>10)
	}
	return fmt.Sprint(n)
}

func perMinute(r drift.Rate) any {
	if r.Window.Value == 60 && r.Key.Or("ip") == "ip" {
		return digits(r.Count.Value)
	}
	return nil
}

func external(p *drift.Policy) *drift.External {
	if p != nil {
		for _, r := range p.Auth.Ways.Value.All() {
			if r.External != nil {
				return r.External
			}
		}
	}
	return nil
}

// ingressAsk asks where the other operations here already ask: whom to ask belongs to the environment.
func ingressAsk(g Group) (any, error) {
	for i := range g.Env.Operations {
		if x := external(g.Env.Operations[i].General()); x != nil && x.URL.Known() && x.URL.Value != "" {
			return x.URL.Value, nil
		}
	}
	return nil, refuse("whom this environment's gateway is to ask is not in its files", "name this environment's own authorizer in auth-url")
}

func cacheFor(g Group) (any, error) {
	x := external(g.Want)
	if x == nil || !x.TTL.Known() {
		return nil, refuse("how long the other side keeps answers is not known", "")
	}
	return fmt.Sprintf("200 %ds", x.TTL.Value), nil
}

// envoyRows are fields of Envoy Gateway's policies that stand beside ones that are known.
func envoyRows() []row {
	return []row{
		{"auth.ways", "cut:doc/spec/mergeType", is("StrategicMerge")},
		{"auth.ways", "finding:doc/spec/mergeType", is("StrategicMerge")},
		{"auth.jwt.issuers", "auth.ways:doc/spec/jwt/providers/0/issuer", tokenWords(issuers, asFirst)},
		{"auth.jwt.audiences", "auth.ways:doc/spec/jwt/providers/0/audiences", tokenWords(audiences, asList)},
		{"auth.optional", "auth.ways:doc/spec/jwt/optional", is(false)},
		{"auth.in_query", "auth.ways:doc/spec/jwt/providers/0/extractFrom", is(patch.Map{{Key: "headers", Value: patch.List{patch.Map{{Key: "name", Value: "Authorization"}, {Key: "valuePrefix", Value: "Bearer "}}}}})},
		{"tls.client_auth", "tls.client_auth:doc/spec/tls/clientValidation/optional", is(false)},
		{"tls.min", "tls.min:doc/spec/tls/minVersion", version(outerMin, func(v string) any { return v })},
		{"logging.enabled", "logging.enabled:doc/spec/telemetry/accessLog/disable", is(false)},
		{"tracing.sample_ratio", "tracing.enabled:doc/spec/telemetry/tracing/samplingRate", func(g Group) (any, error) {
			v, err := wanted(g, func(p *drift.Policy) drift.Leaf[float64] { return p.Tracing.Sample }, 1)
			return int64(v*100 + 0.5), err
		}},
		{"rate.window_s", "rate.0.window_s:", firstRate(func(r drift.Rate) any {
			return map[int64]any{1: "Second", 60: "Minute", 3600: "Hour", 86400: "Day"}[r.Window.Value]
		})},
		{"rate.count", "rate.0.count:", firstRate(func(r drift.Rate) any { return r.Count.Value })},
		{"rate", "limits.retries:doc/spec/rateLimit", firstRate(envoyRate)},
		{"rate", "limits.body_bytes:doc/spec/rateLimit", firstRate(envoyRate)},
		{"rate.key", "rate.0.key:", func(g Group) (any, error) {
			if g.Want == nil || len(g.Want.Rates.Value) == 0 || g.Want.Rates.Value[0].Key.Or("") != "ip" {
				return nil, refuse("the other side counts by something that Envoy Gateway cannot count by", "count in the upstream")
			}
			return perAddress(), nil
		}},
		{"limits.body_bytes", "limits.body_bytes:", amount(bodyBytes, 0, kibi)},
		{"limits.timeout_read_ms", "limits.timeout_read_ms:", amount(readTimeout, 0, millis)},
		{"limits.retries", "limits.retries:", amount(retries, 0, whole)},
		{"debug", "debug:doc/spec/faultInjection", is(gone{})},
		{"debug", "limits.retries:doc/spec/faultInjection", is(gone{})},
	}
}

func kibi(n int64) any {
	if n%(1<<10) == 0 {
		return fmt.Sprintf("%dKi", n>>10)
	}
	return fmt.Sprint(n)
}

func perAddress() patch.Map {
	return patch.Map{{Key: "sourceCIDR", Value: patch.Map{{Key: "type", Value: "Distinct"}, {Key: "value", Value: "0.0.0.0/0"}}}}
}

func envoyRate(r drift.Rate) any {
	unit := map[int64]string{1: "Second", 60: "Minute", 3600: "Hour", 86400: "Day"}[r.Window.Value]
	if unit == "" {
		return nil
	}
	rule := patch.Map{}
	switch r.Key.Or("ip") {
	case "ip":
		rule = append(rule, patch.Entry{Key: "clientSelectors", Value: patch.List{perAddress()}})
	case "global":
	default:
		return nil
	}
	rule = append(rule, patch.Entry{Key: "limit", Value: patch.Map{{Key: "requests", Value: r.Count.Value}, {Key: "unit", Value: unit}}})
	return patch.Map{{Key: "global", Value: patch.Map{{Key: "rules", Value: patch.List{rule}}}}}
}

// traefikRows are Traefik's: routers list middlewares that are defined elsewhere, so that what is missing is listed where it is defined already.
func traefikRows() []row {
	const limit = "rate.0.count:up/"
	rows := []row{
		{"auth.forward", "auth.ways:up/basicAuth/removeHeader", is(true)},
		{"tls.client_auth", "tls.client_auth:", is("RequireAndVerifyClientCert")},
		{"tls.min", "tls.min:", version(outerMin, func(v string) any { return "VersionTLS" + strings.ReplaceAll(v, ".", "") })},
		{"rate.window_s", limit + "period", firstRate(func(r drift.Rate) any { return every(r.Window.Value) })},
		{"rate.key", limit + "sourceCriterion", is(gone{})},
		{"rate.fail_open", limit + "redis/denyOnError", is(true)},
		{"limits.body_bytes", "limits.body_bytes:", amount(bodyBytes, 0, whole)},
		{"diag.verbosity", "diag.verbosity:", verbosity("INFO", "ERROR")},
		{"logging.enabled", "op/observability/accessLogs", is(true)},
		{"logging.enabled", "diag.verbosity:doc/accessLog", is(patch.Map{{Key: "format", Value: "json"}})},
		{"logging.headers_logged", "logging.headers_logged:up/headers/names/Authorization", is("redact")},
		{"metrics.enabled", "diag.verbosity:doc/metrics/prometheus", is(patch.Map{{Key: "addRoutersLabels", Value: true}})},
		{"metrics.labels", "metrics.enabled:doc/metrics/prometheus/addRoutersLabels", is(true)},
		{"ip.client_ip_source ip.trusted_hops", "ip.allow:up/ipStrategy", is(gone{})},
		{"debug", "diag.verbosity:doc/api/insecure", is(false)},
	}
	for i := range 4 {
		rows = append(rows, row{"auth.ways rate", "op/middlewares", traefikChain(i)})
	}
	return rows
}

// awsRows are those of SAM templates and OpenAPI documents.
func awsRows() []row {
	return []row{
		{"auth.ways auth.exempt", "op/Properties/Auth/Authorizer", is(gone{})},
		{"auth.ways auth.exempt", "op/Properties/Auth", is(gone{})},
		{"auth.ways", "detached:up2/DefaultAuthorizer", func(g Group) (any, error) {
			for _, d := range g.Env.Detached {
				if i := strings.LastIndex(d.Origin.Pointer, "/Authorizers/"); i >= 0 {
					return d.Origin.Pointer[i+len("/Authorizers/"):], nil
				}
			}
			return nil, refuse("no authorizer is defined in this environment that is attached nowhere", "define one with this environment's own issuer, and name it in DefaultAuthorizer")
		}},
		{"authz", "auth.jwt.0.issuers:up2/AuthorizationScopes", claimed(asList, "scope", "scp")},
		{"authz", "auth.jwt.0.issuers:up/AuthorizationScopes", claimed(asList, "scope", "scp")},
		{"auth.jwt.audiences", "auth.jwt.0.audiences:", tokenWords(audiences, asList)},
		{"auth.external.cache_ttl_s", "auth.external.cache_ttl_s:", func(g Group) (any, error) {
			if x := external(g.Want); x != nil && x.TTL.Known() {
				return x.TTL.Value, nil
			}
			return nil, refuse("how long the other side keeps answers is not known", "")
		}},
		{"cors.origins", "cors.origins:", words(origins, func(l []string) any { return "'" + strings.Join(l, ",") + "'" })},
		{"logging.body_bytes logging.headers_logged", "metrics.enabled:up/DataTraceEnabled", is(false)},
		{"logging.body_bytes logging.headers_logged", "rate.0.count:up/DataTraceEnabled", is(false)},
		{"tracing.enabled", "cors.enabled:up/TracingEnabled", is(true)},
		{"logging.retention_days", "logging.retention_days:", amount(func(p *drift.Policy) drift.Leaf[int64] { return p.Logging.Retention }, 90, whole)},
		{"diag.verbosity diag.always_log_errors", "metrics.enabled:up/LoggingLevel", verbosity("INFO", "ERROR")},
		{"diag.verbosity diag.always_log_errors", "diag.verbosity:", verbosity("INFO", "ERROR")},
		{"rate rate.count", "metrics.enabled:up/ThrottlingRateLimit", firstRate(func(r drift.Rate) any {
			if r.Window.Value == 1 {
				return r.Count.Value
			}
			return nil
		})},
		{"quota", "quota.0.count:", func(g Group) (any, error) {
			if g.Want == nil || len(g.Want.Quotas.Or(nil)) == 0 {
				return nil, refuse("the other side has no quota that is known", "")
			}
			return g.Want.Quotas.Value[0].Count.Value, nil
		}},
		{"ip.deny", "ip.allow:up/IpRangeBlacklist", words(denied, asList)},
		{"exposure.bypass", "tls.min:up/../../DisableExecuteApiEndpoint", is(true)},
		{"lifecycle.subscription_required", "auth.ways:up/ApiKeyRequired", is(true)},
		{"diag.fault_leaks", "diag.fault_leaks:", is(gone{})},
		{"debug", "debug:", is(gone{})},
	}
}

// traefikChain lists the nth middleware of this environment that does something like it: one that is listed nowhere, or in other routers.
func traefikChain(n int) func(Group) (any, error) {
	return func(g Group) (any, error) {
		var names []string
		see := func(pointer string) {
			if rest, ok := strings.CutPrefix(pointer, "/http/middlewares/"); ok {
				name, _, _ := strings.Cut(rest, "/")
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		for _, d := range g.Env.Detached {
			see(d.Origin.Pointer)
		}
		for i := range g.Env.Operations {
			p := g.Env.Operations[i].General()
			if g.Field == "rate" {
				see(originOf(p, "rate.0.count").Pointer)
				continue
			}
			for _, r := range p.Auth.Ways.Value.All() {
				see(r.Origin.Pointer)
			}
		}
		if n >= len(names) {
			return nil, refuse("no middleware that asks for it is defined in this environment", "define one with this environment's own authorizer, users or numbers, and list it in the router")
		}
		return one{names[n]}, nil
	}
}
