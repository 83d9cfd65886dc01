package kong_test

import (
	"strings"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

// further are weakenings that need another beginning.
func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weak := drifttest.Certificates(t)
	pem := func(s string) string {
		return "  cert: |\n    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n"
	}
	f := good().With(t, "kong.yaml", "plugins:\n- name: openid", "certificates:\n- id: server\n"+pem(fine)+"  key: '{vault://env/key}'\n  snis: [{name: api.example.com}]\nplugins:\n- name: openid").With(t, "kong.conf", "# the node\n", "log_level = notice\n")
	return f, []drifttest.Mutation{
		alone(with("auth_methods: [bearer]", "auth_methods: [bearer]\n    issuers_allowed: ['https://sts.windows.net/11111111-1111-1111-1111-111111111111/']",
			deck("DR-AUT-10", "issuer: https://login.example.com/", "issuer: https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0"))),
		alone(deck("DR-OBS-03", `trace: "return 1"`, `trace: "return kong.request.get_header('x-api-key')"`)),
		alone(deck("DR-OBS-03", `trace: "return 1"`, `trace: "return kong.request.get_header('authorization')"`)),
		deck("DR-OBS-03", `trace: "return 1"`, `trace: "return kong.request.get_raw_body()"`),
		deck("DR-CRT-05", "- name: mtls-auth\n  config:\n", "- name: mtls-auth\n  config:\n    skip_consumer_lookup: true\n"),
		alone(deck("DR-CRT-07", pem(fine), pem(ending))),
		deck("DR-CRT-07", pem(fine), pem(ending)),
		alone(deck("DR-CRT-08", pem(fine), pem(other))),
		alone(deck("DR-CRT-09", "client_certificate: cert-1", "client_certificate: cert-dev")),
		alone(deck("DR-CRT-11", pem(fine), pem(weak))),
		{Rule: "DR-OBS-09", File: "kong.conf", Old: "log_level = notice", New: "log_level = crit"},
	}
}

func introspected(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := drifttest.Files{"kong.yaml": "_format_version: '3.0'\nservices:\n- {name: a, url: 'https://a.example.com', routes: [{name: a, paths: [/a], protocols: [https]}]}\nplugins:\n- name: oauth2-introspection\n  config: {introspection_url: 'https://login.example.com/i', ttl: 30}\n- name: rate-limiting\n  config: {minute: 5, limit_by: consumer}\n"}
	return f, []drifttest.Mutation{
		deck("DR-AUT-16", "ttl: 30", "ttl: 3600"),
		alone(deck("DR-TRF-05", "- name: oauth2-introspection\n", "- name: oauth2-introspection\n  enabled: false\n")),
	}
}

// behind is a route that only answers to the header of an edge, and a plugin whose order is set.
func behind() (drifttest.Files, []drifttest.Mutation) {
	const header = ", headers: {X-Azure-FDID: [0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a]}"
	f := drifttest.Files{"kong.yaml": "_format_version: '3.0'\nservices:\n- {name: a, url: 'https://a.example.com', routes: [{name: a, paths: [/a], protocols: [https]" + header + "}]}\nplugins:\n- name: key-auth\n- name: request-transformer\n  config: {remove: {headers: [x-user]}}\n"}
	return f, []drifttest.Mutation{
		deck("DR-EXP-06", header, ""),
		deck("DR-EXP-06", header, ", headers: {X-Azure-FDID: []}"),
		alone(deck("DR-AUT-04", "- name: request-transformer\n", "- name: request-transformer\n  ordering: {before: {access: [key-auth]}}\n")),
		alone(deck("DR-AUT-04", "- name: key-auth\n", "- name: key-auth\n  ordering: {after: {access: [request-transformer]}}\n")),
	}
}

// registered is a service of the developer portal, whose certificate lies in a vault.
func registered() (drifttest.Files, []drifttest.Mutation) {
	f := drifttest.Files{"kong.yaml": "_format_version: '3.0'\nservices:\n- {name: a, url: 'https://a.example.com', routes: [{name: a, paths: [/a], protocols: [https]}]}\nplugins:\n- name: key-auth\n- name: application-registration\n  config: {display_name: A, auto_approve: false}\ncertificates:\n- {id: server, cert: '{vault://aws/api/cert}', key: '{vault://aws/api/key}', snis: [{name: api.example.com}]}\n"}
	return f, []drifttest.Mutation{
		deck("DR-AUT-21", "auto_approve: false", "auto_approve: true"),
		deck("DR-CRT-10", "{vault://aws/api/cert}", "{vault://aws/api/cert#2}"),
	}
}

// TestTable seeds every rule that Kong can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	more, list := further(t)
	drifttest.Mutate(t, kong.Read, more, list)
	other, short := introspected(t)
	drifttest.Mutate(t, kong.Read, other, short)
	edged, edge := behind()
	drifttest.Mutate(t, kong.Read, edged, edge)
	portal, offered := registered()
	drifttest.Mutate(t, kong.Read, portal, offered)
	drifttest.Whole(t, "kong", map[string]string{
		"DR-AUT-15": "its plugins refuse when what they ask is away",
		"DR-AUT-19": "there are no exemptions: a narrower plugin is DR-AUT-02",
		"DR-EXP-05": drifttest.NoDefault,
		"DR-OBS-04": "its log leaves credentials out by itself, and what custom fields bring back is DR-OBS-03",
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-11": "its errors tell nothing of the inside",
		"DR-TRF-10": "each plugin changes messages in an order of its own; what is put in front of authentication is DR-AUT-04",
	}, mutations(), list, short, edge, offered)
}
