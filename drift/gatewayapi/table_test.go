package gatewayapi_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatewayapi"
)

func in(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "a.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weak := drifttest.Certificates(t)
	pem := func(s string) string { return `stringData: {tls.crt: "` + strings.ReplaceAll(s, "\n", `\n`) + `"}` }
	const tls = "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: t, namespace: apps}\nspec: {targetRefs: [{kind: Service, name: orders}], validation: {hostname: o, caCertificateRefs: [{name: inner}]}}\n"
	f := drifttest.Files{"a.yaml": core}
	f = f.With(t, "a.yaml", `hostname: "*.example.com",`, `hostname: api.example.com, tls: {certificateRefs: [{name: cert}], frontendValidation: {caCertificateRefs: [{name: partners}], mode: AllowValidOnly}},`)
	f = f.With(t, "a.yaml", "    backendRefs:", "    timeouts: {request: 5s}\n    backendRefs:")
	f["b.yaml"] = tls
	f["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: cert, namespace: gw}\n" + pem(fine) + "\n"
	secret := func(rule, to string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "secret.yaml", Old: pem(fine), New: pem(to)}
	}
	return f, []drifttest.Mutation{
		in("DR-CRT-03", "AllowValidOnly", "AllowInsecureFallback"),
		in("DR-CRT-04", "[{name: partners}]", "[{name: partners}, {name: everybody}]"),
		{Rule: "DR-CRT-06", File: "b.yaml", Old: tls, New: "{}"}, alone(drifttest.Mutation{Rule: "DR-CRT-06", File: "b.yaml", Old: tls, New: "{}"}),
		alone(secret("DR-CRT-07", ending)), secret("DR-CRT-07", ending), alone(secret("DR-CRT-08", other)), alone(secret("DR-CRT-11", weak)),
		alone(in("DR-CRT-09", "{name: cert}", "{name: cert-dev}")),
		in("DR-EXP-01", "matches: [", "matches: [{path: {type: Exact, value: /debug}}, "),
		alone(in("DR-EXP-07", "backendRefs: [{name: orders", "backendRefs: [{name: orders-dev")),
		alone(drifttest.Mutation{Rule: "DR-AUT-22", File: "secret.yaml", Old: "stringData: {", New: "stringData: {password: 9f1d0c77aa, "}),
		in("DR-TRF-08", "request: 5s", "request: 50s"),
	}
}

// behind is a route that only answers to the header of an edge.
func behind(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	const header = ", headers: [{name: X-Azure-FDID, value: 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a}]}"
	f := drifttest.Files{"a.yaml": core}.With(t, "a.yaml", "method: GET}", "method: GET"+header).With(t, "a.yaml", `"/items/[0-9]+"}}`, `"/items/[0-9]+"}`+header)
	return f, []drifttest.Mutation{in("DR-EXP-06", "method: GET"+header, "method: GET}")}
}

// TestTable seeds every rule that the core can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	f, list := further(t)
	drifttest.Mutate(t, gatewayapi.Read, f, list)
	not := map[string]string{"DR-CRT-10": drifttest.NoVersions, "DR-CRT-13": drifttest.NoHeaderCert, "DR-EXP-05": drifttest.NoDefault, "DR-EXP-08": "the core makes up no answers", "DR-EXP-10": drifttest.NoCode,
		"DR-EXP-11": "what a route names and is not there serves nothing", "DR-TRF-10": drifttest.OrderIsFixed, "DR-OBS-11": "its errors tell nothing of the inside"}
	for _, r := range drift.Rules() {
		if (r.Area == drift.AreaAuth && r.ID != "DR-AUT-22" || r.Area == drift.AreaObservability || r.ID == "DR-CRT-01" || r.ID == "DR-CRT-02" || r.ID == "DR-CRT-05" || r.ID == "DR-EXP-04" || r.ID == "DR-EXP-09" || strings.HasPrefix(r.ID, "DR-TRF-0") && r.ID < "DR-TRF-08") && not[r.ID] == "" {
			not[r.ID] = "policies of an implementation decide it, not the core, whose one filter for it says nothing where it is not used"
		}
	}
	edged, edge := behind(t)
	drifttest.Mutate(t, gatewayapi.Read, edged, edge)
	drifttest.Whole(t, "gatewayapi", not, list, edge, []drifttest.Mutation{{Rule: "DR-CRT-12"}, {Rule: "DR-TRF-09"}, {Rule: "DR-EXP-02"}, {Rule: "DR-EXP-03"}}) // the last four in TestMutations
}
