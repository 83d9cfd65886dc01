package traefik_test

import (
	"strings"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weakKey := drifttest.Certificates(t)
	f := good()
	pem := func(s string) string { return `stringData: {tls.crt: "` + strings.ReplaceAll(s, "\n", `\n`) + `"}` }
	f["route.yaml"] = "apiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {name: r, namespace: n}\nspec:\n  tls: {secretName: api}\n  routes: [{match: Host(`api.example.com`) && Path(`/r`), services: [{name: s, port: 443}]}]\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: n}\n" + pem(fine) + "\n"
	f = f.With(t, "dynamic.yaml", "    head:\n", "    first: {headers: {customRequestHeaders: {X-A: a}}}\n    then: {headers: {customRequestHeaders: {X-A: ''}}}\n    head:\n").With(t, "dynamic.yaml", "office, head,", "office, first, then, head,")
	secret := func(rule, to string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "route.yaml", Old: pem(fine), New: pem(to)}
	}
	return f, []drifttest.Mutation{
		alone(secret("DR-CRT-07", ending)), secret("DR-CRT-07", ending), alone(secret("DR-CRT-08", other)), alone(secret("DR-CRT-11", weakKey)),
		unsure(weak("DR-TRF-10", "first, then,", "then, first,")),
	}
}

// behind are routers that only answer to the header of an edge.
func behind(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	const header = " && Header(`X-Azure-FDID`, `0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a`)"
	f := good().With(t, "dynamic.yaml", "Method(`GET`)", "Method(`GET`)"+header).With(t, "dynamic.yaml", "PathPrefix(`/items`)", "PathPrefix(`/items`)"+header)
	return f, []drifttest.Mutation{weak("DR-EXP-06", "PathPrefix(`/items`)"+header, "PathPrefix(`/items`)")}
}

// TestTable seeds every rule that Traefik can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	const asked = "it asks an authorizer or for a password, and knows no tokens; what is sold for it beside is a plugin: DR-EXP-10"
	f, list := further(t)
	drifttest.Mutate(t, traefik.Read, f, list)
	edged, edge := behind(t)
	drifttest.Mutate(t, traefik.Read, edged, edge)
	drifttest.Whole(t, "traefik", map[string]string{
		"DR-AUT-04": drifttest.NoEarly, "DR-AUT-07": asked, "DR-AUT-08": asked, "DR-AUT-09": asked, "DR-AUT-10": asked, "DR-AUT-11": asked, "DR-AUT-12": asked, "DR-AUT-13": asked,
		"DR-AUT-06": "middlewares are all demanded",
		"DR-AUT-14": drifttest.NoFallback,
		"DR-AUT-15": "without the authorizer's answer the call is refused",
		"DR-AUT-16": "its authorizers' answers are not kept",
		"DR-AUT-17": "passwords are taken from the header alone",
		"DR-AUT-19": "there are no exemptions: a narrower router is DR-AUT-02",
		"DR-AUT-20": "middlewares have no conditions; a router with a header in its rule is an operation of its own",
		"DR-AUT-21": drifttest.NoApproval,
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": drifttest.NoDefault,
		"DR-EXP-09": "it has no filter of its own; plugins are DR-EXP-10",
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-11": "its errors tell nothing of the inside",
		"DR-TRF-05": "limits count by address or header",
		"DR-TRF-06": drifttest.NoQuota,
	}, mutations(), list, edge, []drifttest.Mutation{{Rule: "DR-EXP-10"}}) // the last one in TestMutations
}
