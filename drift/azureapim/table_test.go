package azureapim_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
)

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	const cert = `<validate-client-certificate><identities><identity thumbprint="AABB" /></identities></validate-client-certificate>`
	const twice = `<set-header name="X-A" exists-action="override"><value>a</value></set-header>`
	const append2 = `<set-header name="X-A" exists-action="append"><value>b</value></set-header>`
	f := good().With(t, apiDoc, cert, strings.Replace(cert, `thumbprint="AABB"`, `thumbprint="AABB" issuer-certificate-id="partners"`, 1)+`<check-header name="X-Azure-FDID"><value>11111111-1111-1111-1111-111111111111</value></check-header>`+twice+append2)
	f = f.With(t, arm, `"keyVaultId": "https://kv.vault.azure.net/secrets/cert"`, `"keyVaultId": "https://kv.vault.azure.net/secrets/cert", "certificate": {"expiry": "2027-11-01T00:00:00Z"}`)
	whole := strings.Replace(cert, `thumbprint="AABB"`, `thumbprint="AABB" issuer-certificate-id="partners"`, 1)
	return f, []drifttest.Mutation{
		alone(in(arm, "DR-AUT-03", `"resources": [{`, `"resources": [{"type": "Microsoft.ApiManagement/service/policyFragments", "name": "apim/auth", "properties": {"format": "rawxml", "value": "<fragment><validate-jwt header-name=\"Authorization\" /></fragment>"}}, {`)),
		in(apiDoc, "DR-AUT-06", whole, `<choose><when condition="@(context.Request.Headers.ContainsKey(&quot;x&quot;))">`+whole+`</when></choose>`),
		as(drift.NoneWeaker, in(apiDoc, "DR-CRT-04", "partners", "everybody")),
		alone(in(arm, "DR-CRT-07", "2027-11-01", "2026-11-05")),
		in(apiDoc, "DR-EXP-06", `<check-header name="X-Azure-FDID"><value>11111111-1111-1111-1111-111111111111</value></check-header>`, ""),
		as(drift.NoneWeaker, in(apiDoc, "DR-TRF-10", twice+append2, append2+twice)),
	}
}

func open(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	g := good()[global]
	jwt := g[strings.Index(g, "    <validate-jwt"):strings.Index(g, "    <ip-filter")]
	f := good().With(t, global, jwt, "").With(t, apiDoc, `<validate-client-certificate><identities><identity thumbprint="AABB" /></identities></validate-client-certificate>`, "")
	return f, []drifttest.Mutation{alone(in(apiInfo, "DR-TRF-05", `"subscriptionRequired": true`, `"subscriptionRequired": false`))}
}

func tokens(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	g := good()[global]
	jwt := g[strings.Index(g, "    <validate-jwt"):strings.Index(g, "    <ip-filter")]
	f := good().With(t, apiInfo, `"subscriptionRequired": true`, `"subscriptionRequired": false`).With(t, apiDoc, `<validate-client-certificate><identities><identity thumbprint="AABB" /></identities></validate-client-certificate>`, "")
	return f, []drifttest.Mutation{
		in(global, "DR-AUT-01", jwt, ""),
		in(global, "DR-AUT-17", `header-name="Authorization"`, `query-parameter-name="token"`),
	}
}

// TestTable seeds every rule that API Management can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	f, list := further(t)
	drifttest.Mutate(t, azureapim.Read, f, list)
	f, short := open(t)
	drifttest.Mutate(t, azureapim.Read, f, short)
	f, third := tokens(t)
	drifttest.Mutate(t, azureapim.Read, f, third)
	drifttest.Whole(t, "azureapim", map[string]string{
		"DR-AUT-14": "what fails ends in on-error; a choice around it is DR-AUT-20",
		"DR-AUT-15": "an authorizer is asked by statements, which are compared as code: DR-EXP-10",
		"DR-AUT-16": "an authorizer is asked by statements, which are compared as code: DR-EXP-10",
		"DR-AUT-19": "an exemption is a base that is missing: DR-AUT-02",
		"DR-CRT-08": drifttest.NotItsFiles,
		"DR-CRT-11": drifttest.NotItsFiles,
		"DR-CRT-13": "a certificate in a header is read by code only: DR-EXP-10",
		"DR-OBS-02": "the fields of its diagnostics are fixed",
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-10": "its loggers are services that are reached over TLS",
		"DR-TRF-04": "its limits are counted in the gateway itself",
	}, mutations(), list, short, third)
}
