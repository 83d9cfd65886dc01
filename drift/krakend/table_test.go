package krakend_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/krakend"
)

func further() (drifttest.Files, []drifttest.Mutation) {
	return good(), []drifttest.Mutation{
		unsure(weak("DR-OBS-02", `"format": "logstash"`, `"format": "default"`)),
		alone(with(`"issuer": "https://login.example.com/"`, `"issuer": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/"`, weak("DR-AUT-10", `https://login.example.com/jwks`, `https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/discovery/v2.0/keys`))),
	}
}

// keys are endpoints that take keys, from where the service says.
func keys() (drifttest.Files, []drifttest.Mutation) {
	f := drifttest.Files{"krakend.json": `{"version": 3, "endpoints": [{"endpoint": "/a", "backend": [{"url_pattern": "/a", "host": ["https://a.example.com"]}], "extra_config": {"auth/api-keys": {"roles": ["user"]}}}],
		"extra_config": {"auth/api-keys": {"strategy": "header", "identifier": "X-Key", "keys": [{"key": "{{ .key }}", "roles": ["user"]}]}}}`}
	return f, []drifttest.Mutation{weak("DR-AUT-17", `"strategy": "header"`, `"strategy": "query_string"`), weak("DR-AUT-17", `{"roles": ["user"]}`, `{"roles": ["user"], "strategy": "query_string"}`)}
}

// counted has the limits and quotas of the enterprise edition, which are counted in Redis.
func counted() (drifttest.Files, []drifttest.Mutation) {
	f := drifttest.Files{"krakend.json": `{"version": 3, "endpoints": [{"endpoint": "/a", "backend": [{"url_pattern": "/a", "host": ["https://a.example.com"]}], "extra_config": {
		"qos/ratelimit/router/redis": {"connection_name": "pool", "client_max_rate": 10, "strategy": "ip", "on_failure_allow": false},
		"governance/quota": {"quota_name": "partners", "tier_key": "X-Tier", "tiers": [{"rule_name": "gold", "tier_value": "gold"}, {"rule_name": "silver", "tier_value": "silver"}]}}}],
		"extra_config": {"governance/processors": {"quotas": [{"name": "partners", "connection_name": "pool", "hash_keys": true, "rules": [{"name": "gold", "limits": [{"amount": 1000, "unit": "day"}]}, {"name": "silver", "limits": [{"amount": 100, "unit": "day"}]}]}]}}}`}
	return f, []drifttest.Mutation{
		weak("DR-TRF-04", `"on_failure_allow": false`, `"on_failure_allow": true`),
		weak("DR-TRF-06", `"governance/quota"`, `"@off"`),
		weak("DR-TRF-06", `"amount": 1000`, `"amount": 100000`),
	}
}

// TestTable seeds every rule that KrakenD can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	f, list := further()
	drifttest.Mutate(t, krakend.Read, f, list)
	keyed, key := keys()
	drifttest.Mutate(t, krakend.Read, keyed, key)
	counting, counts := counted()
	drifttest.Mutate(t, krakend.Read, counting, counts)
	drifttest.Whole(t, "krakend", map[string]string{
		"DR-AUT-02": "nothing is inherited: each endpoint states its own",
		"DR-AUT-04": drifttest.NoEarly,
		"DR-AUT-06": "what an endpoint states is demanded together",
		"DR-AUT-14": drifttest.NoFallback,
		"DR-AUT-15": "it asks no authorizer but code: DR-EXP-10",
		"DR-AUT-16": "it keeps no decisions",
		"DR-AUT-19": "nothing is inherited that could be exempted",
		"DR-AUT-20": "endpoints have no conditions but code: DR-EXP-10",
		"DR-AUT-21": drifttest.NoApproval,
		"DR-CRT-05": "client certificates are always checked against authorities",
		"DR-CRT-07": drifttest.NotItsFiles, "DR-CRT-08": drifttest.NotItsFiles, "DR-CRT-11": drifttest.NotItsFiles,
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": drifttest.NoDefault,
		"DR-EXP-06": drifttest.NoProof,
		"DR-EXP-11": "templates that are not rendered are files that cannot be read, and make the coverage partial",
		"DR-OBS-03": "its log holds neither headers nor bodies",
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-TRF-05": "limits count by address or header",
		"DR-TRF-10": drifttest.OrderIsFixed,
	}, mutations(), list, key, counts)
}
