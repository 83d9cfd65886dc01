package envoygateway_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
)

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weak := drifttest.Certificates(t)
	pem := func(s string) string { return `stringData: {tls.crt: "` + strings.ReplaceAll(s, "\n", `\n`) + `"}` }
	f := good().With(t, "all.yaml", "  extAuth:\n", "  basicAuth: {users: {name: u}}\n  extAuth:\n")
	f["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: cert, namespace: gw}\n" + pem(fine) + "\n"
	secret := func(rule, to string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "secret.yaml", Old: pem(fine), New: pem(to)}
	}
	const csrf, override = "  cors:\n", "  retry: {numRetries: 1}"
	f = f.With(t, "all.yaml", csrf, "  csrf: {shadowEnabled: false}\n  cors:\n").With(t, "all.yaml", override, override+"\n  responseOverride: [{match: {statusCodes: [{type: Value, value: 503}]}, response: {statusCode: 500}}]")
	return f, []drifttest.Mutation{
		alone(with("issuer: https://login.example.com", "issuer: https://sts.windows.net/11111111-1111-1111-1111-111111111111/", in("DR-AUT-10", "https://login.example.com/keys", "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/discovery/v2.0/keys"))),
		alone(secret("DR-CRT-07", ending)), secret("DR-CRT-07", ending),
		alone(secret("DR-CRT-08", other)),
		alone(in("DR-CRT-09", "certificateRefs: [{name: cert}]", "certificateRefs: [{name: cert-dev}]")),
		alone(secret("DR-CRT-11", weak)),
		alone(in("DR-EXP-07", "backendRefs: [{name: orders, port: 8443}]", "backendRefs: [{name: orders-dev, port: 8443}]")),
		in("DR-EXP-09", "  csrf: {shadowEnabled: false}\n", ""),
		as(drift.NoneWeaker, in("DR-EXP-10", "value: 503", "value: 504")),
		alone(in("DR-OBS-03", `trace: "%TRACE_ID%"`, `trace: "%REQ(AUTHORIZATION)%"`)),
		as(drift.NoneWeaker, in("DR-AUT-12", "remoteJWKS: {uri: https://login.example.com/keys}", "localJWKS: {type: Inline, inline: '{}'}")),
		alone(drifttest.Mutation{Rule: "DR-AUT-22", File: "secret.yaml", Old: "stringData: {", New: "stringData: {client-secret: 9f1d0c77aa, "}),
		in("DR-OBS-06", "  telemetry:\n", "  telemetry:\n    metrics: {prometheus: {disable: true}}\n"),
	}
}

func filtered(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := good().With(t, "all.yaml", "    - {name: r, action: Allow, principal: {jwt: {provider: idp, scopes: [read]}}}", "    - {name: r, action: Allow, principal: {clientCIDRs: [10.0.0.0/8]}}")
	f = f.With(t, "all.yaml", "  extAuth:\n", "  apiKeyAuth: {extractFrom: [{headers: [x-key]}], sanitize: true}\n  extAuth:\n")
	return f, []drifttest.Mutation{
		in("DR-AUT-18", "sanitize: true", "sanitize: false"),
		in("DR-EXP-04", "10.0.0.0/8", "0.0.0.0/0"),
		as(drift.NoneWeaker, in("DR-EXP-04", "numTrustedHops: 1", "numTrustedHops: 5")),
	}
}

// behind are routes that only answer to the header of an edge.
func behind(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	const header = ", headers: [{name: X-Azure-FDID, value: 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a}]}]\n"
	return good().With(t, "all.yaml", "method: GET}]\n", "method: GET"+header), []drifttest.Mutation{in("DR-EXP-06", header+"    filters", "}]\n    filters")}
}

// TestTable seeds every rule that Envoy Gateway can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	f, list := further(t)
	drifttest.Mutate(t, envoygateway.Read, f, list)
	f, short := filtered(t)
	drifttest.Mutate(t, envoygateway.Read, f, short)
	edged, edge := behind(t)
	drifttest.Mutate(t, envoygateway.Read, edged, edge)
	drifttest.Whole(t, "envoygateway", map[string]string{
		"DR-AUT-04": drifttest.NoEarly,
		"DR-AUT-06": "what a policy lists is demanded together, and providers of tokens are always alternatives",
		"DR-AUT-13": drifttest.NoExpiry,
		"DR-AUT-16": "its authorizers' answers are not kept",
		"DR-AUT-19": "there are no exemptions: a narrower policy is DR-AUT-02",
		"DR-AUT-20": "policies have no conditions",
		"DR-AUT-21": drifttest.NoApproval,
		"DR-CRT-05": "client certificates are always checked against authorities",
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": drifttest.NoDefault,
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-09": drifttest.NoVerbosity,
		"DR-OBS-10": "telemetry goes to services of the cluster, whose encryption is not in its settings",
		"DR-OBS-11": "its errors tell nothing of the inside",
		"DR-TRF-04": "whether the shared limit fails open is set in the controller's own file",
		"DR-TRF-05": "limits count by address or header",
		"DR-TRF-06": drifttest.NoQuota,
		"DR-TRF-10": drifttest.OrderIsFixed,
	}, mutations(), list, short, edge)
}
