package tyk_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/tyk"
)

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := goodNew().With(t, "api.json", `"signingMethod": "rsa",`, `"signingMethod": "rsa", "allowedIssuers": ["https://login.example.com/"], "allowedAudiences": ["orders"],`)
	f = f.With(t, "api.json", `"security": [ { "jwt": [] } ]`, `"security": [ { "jwt": [], "key": [] } ]`).With(t, "api.json", `"securitySchemes": { "jwt": { "type": "http", "scheme": "bearer" } }`, `"securitySchemes": { "jwt": { "type": "http", "scheme": "bearer" }, "key": { "type": "apiKey", "in": "header", "name": "x-key" } }`)
	f = f.With(t, "api.json", `"authentication": { "enabled": true,`, `"authentication": { "enabled": true, "securityProcessingMode": "compliant",`).With(t, "api.json", `"securitySchemes": { "jwt": {
        "enabled": true,`, `"securitySchemes": { "key": { "enabled": true, "header": { "enabled": true, "name": "x-key" } }, "jwt": {
        "enabled": true,`)
	return f, []drifttest.Mutation{
		weak("DR-AUT-06", `{ "jwt": [], "key": [] }`, `{ "jwt": [] }, { "key": [] }`),
		unsure(weak("DR-AUT-07", `["https://login.example.com/"]`, `["https://login.elsewhere.net/"]`)),
		alone(weak("DR-AUT-07", `"allowedIssuers": ["https://login.example.com/"],`, ``)),
		weak("DR-AUT-08", `["orders"]`, `["orders", "other"]`),
		alone(weak("DR-AUT-08", `, "allowedAudiences": ["orders"]`, ``)),
		alone(also(weak("DR-AUT-10", `https://login.example.com/jwks`, `https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/discovery/v2.0/keys`), `["https://login.example.com/"]`, `["https://sts.windows.net/11111111-1111-1111-1111-111111111111/"]`)),
		alone(also(weak("DR-AUT-11", `https://login.example.com/jwks`, `https://login.microsoftonline.com/common/discovery/v2.0/keys`), `["https://login.example.com/"]`, `[]`)),
		weak("DR-EXP-02", `"/items/{id}": { "get"`, `"/items/{id}": { "post": { "operationId": "one" }, "get"`),
	}
}

func scoped(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := goodNew().With(t, "api.json", `"defaultPolicies": ["partner"],`, `"scopes": { "claimName": "scp", "scopeToPolicyMapping": [ { "scope": "orders", "policyId": "partner" } ] },`)
	return f, []drifttest.Mutation{
		weak("DR-AUT-09", `{ "scope": "orders", "policyId": "partner" }`, `{ "scope": "orders", "policyId": "partner" }, { "scope": "anything", "policyId": "partner" }`),
		alone(weak("DR-EXP-11", `"middleware": {`, `"middleware": { "mcpTools": { "search": {} },`)),
		weak("DR-AUT-09", `"scopes": {`, `"defaultPolicies": ["partner"], "scopes": {`),
	}
}

// asking is an API whose tokens an external provider is asked about.
func asking() (drifttest.Files, []drifttest.Mutation) {
	f := drifttest.Files{"api.json": `{"name": "a", "api_id": "a", "active": true, "use_keyless": false, "external_oauth": {"enabled": true, "providers": [{"introspection": {"enabled": true, "url": "https://login.example.com/i", "cache": {"enabled": true, "timeout": 30}}}]},
		"proxy": {"listen_path": "/a/", "target_url": "https://a.example.com"}, "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}}}`}
	return f, []drifttest.Mutation{weak("DR-AUT-16", `"timeout": 30`, `"timeout": 3000`)}
}

// TestTable seeds every rule that Tyk's definitions can express, and says of the others why they cannot.
func TestTable(t *testing.T) {
	const conf = "it is set in the gateway's own tyk.conf, not in definitions"
	f, list := further(t)
	drifttest.Mutate(t, tyk.Read, f, list)
	f, short := scoped(t)
	drifttest.Mutate(t, tyk.Read, f, short)
	asked, answers := asking()
	drifttest.Mutate(t, tyk.Read, asked, answers)
	drifttest.Whole(t, "tyk", map[string]string{
		"DR-AUT-02": "an API's authentication holds for all of it; what is taken out is DR-AUT-19",
		"DR-AUT-04": drifttest.NoEarly,
		"DR-AUT-14": drifttest.NoFallback,
		"DR-AUT-15": "without the answer of what it asks the call is refused",

		"DR-AUT-20": "authentication has no conditions",
		"DR-AUT-21": "approval of requests for keys is the portal's matter, not in definitions",
		"DR-CRT-02": conf,
		"DR-CRT-04": "client certificates are named one by one: DR-CRT-05",
		"DR-CRT-07": drifttest.NotItsFiles, "DR-CRT-08": drifttest.NotItsFiles, "DR-CRT-11": drifttest.NotItsFiles,
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": drifttest.NoDefault,
		"DR-EXP-06": drifttest.NoProof,
		"DR-OBS-01": "whether any records are kept is set in tyk.conf; that an API or a path is left out is read, and compared with gateways whose log is known", "DR-OBS-02": conf, "DR-OBS-05": conf, "DR-OBS-06": conf, "DR-OBS-07": conf, "DR-OBS-09": conf, "DR-OBS-10": conf, "DR-OBS-11": conf,
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-TRF-03": "what its limits count by is fixed",
		"DR-TRF-04": conf,
		"DR-TRF-05": "limits of a key come with the key",
		"DR-TRF-10": drifttest.OrderIsFixed,
	}, classicMutations(), documentMutations(), list, short, answers)
}
