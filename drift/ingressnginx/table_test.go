package ingressnginx_test

import (
	"strings"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
)

func certificates(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weakKey := drifttest.Certificates(t)
	pem := func(s string) string { return `stringData: {tls.crt: "` + strings.ReplaceAll(s, "\n", `\n`) + `"}` }
	f := good()
	f["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: api-tls, namespace: shop}\n" + pem(fine) + "\n"
	f = f.With(t, "controller.yaml", "data:\n  allow", "data:\n  enable-syslog: \"true\"\n  syslog-host: logs.example.com\n  allow").With(t, "ingress.yaml", line(`limit-rpm: "60"`), line(`global-rate-limit: "60"`)+line("global-rate-limit-window: 1m"))
	secret := func(rule, to string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "secret.yaml", Old: pem(fine), New: pem(to)}
	}
	return f, []drifttest.Mutation{
		alone(secret("DR-CRT-07", ending)), secret("DR-CRT-07", ending), alone(secret("DR-CRT-08", other)), alone(secret("DR-CRT-11", weakKey)),
		weak("DR-TRF-03", line("global-rate-limit-window: 1m"), line("global-rate-limit-window: 1m")+line("global-rate-limit-key: $http_x_client")),
	}
}

func open(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := good().With(t, "ingress.yaml", line(`auth-url: "https://auth.example.com/check"`), line("global-rate-limit: \"60\"")+line("global-rate-limit-window: 1m")+line("global-rate-limit-key: $remote_addr")).With(t, "ingress.yaml", line(`auth-tls-verify-client: "on"`), line(`auth-tls-verify-client: "off"`))
	return f, []drifttest.Mutation{
		alone(weak("DR-TRF-05", "$remote_addr", "$remote_user")),
	}
}

// TestTable seeds every rule that ingress-nginx can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	const asked = "it asks an authorizer or for a password, and knows no tokens"
	f, list := certificates(t)
	drifttest.Mutate(t, ingressnginx.Read, f, list)
	f, short := open(t)
	drifttest.Mutate(t, ingressnginx.Read, f, short)
	drifttest.Whole(t, "ingressnginx", map[string]string{
		"DR-AUT-04": drifttest.NoEarly, "DR-AUT-07": asked, "DR-AUT-08": asked, "DR-AUT-09": asked, "DR-AUT-10": asked, "DR-AUT-11": asked, "DR-AUT-12": asked, "DR-AUT-13": asked,
		"DR-AUT-14": drifttest.NoFallback,
		"DR-AUT-15": "without the authorizer's answer the call is refused",
		"DR-AUT-17": "passwords are taken from the header alone",
		"DR-AUT-20": "annotations have no conditions; snippets are DR-EXP-08",
		"DR-AUT-21": drifttest.NoApproval,
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": drifttest.NoDefault,
		"DR-EXP-06": drifttest.NoProof,
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-10": "its log goes to a file or by syslog, and its traces by plain gRPC, always",
		"DR-TRF-04": "whether a limit fails open cannot be set",
		"DR-TRF-06": drifttest.NoQuota,
		"DR-TRF-10": drifttest.OrderIsFixed,
	}, mutations(), list, short, []drifttest.Mutation{{Rule: "DR-AUT-06"}, {Rule: "DR-TRF-09"}, {Rule: "DR-EXP-08"}, {Rule: "DR-CRT-08"}}) // the last four in TestMutations
}
