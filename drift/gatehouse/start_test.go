package gatehouse_test

import (
	"io/fs"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatehouse"
)

const startYAML = `gateway:
  listen: ":443"
  tls:
    certificate: server.pem
    key: server.key
    clients: require
    client-authorities: partners.pem
events: stdout
secrets:
  orders-key: {env: ORDERS_KEY}
`

// told reads with the start-up configuration beside the manifest.
func told(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	o.Values = map[string]string{"configuration": "start/gatehouse.yaml", "replicas": "2"}
	return gatehouse.Read(fsys, o)
}

func whole() drifttest.Files {
	f := good()
	f["gatehouse.yaml"] = strings.Replace(manifestYAML, "      - api_key\n", "      - all_of: {methods: [{client_certificate: {}}, {oauth: {constrained: true}}]}\n", 1)
	f["gatehouse.yaml"] = strings.Replace(f["gatehouse.yaml"], "longest: 365d", "longest: 365d\n        credentials: [oauth_client, client_certificate]", 1)
	f["gatehouse.yaml"] = strings.Replace(f["gatehouse.yaml"], `, url: "https://api.example.com"`, "", 1)
	f["start/gatehouse.yaml"] = startYAML
	return f
}

// told weakenings stand in the start-up configuration, or in the methods of authentication.
func toldMutations() []drifttest.Mutation {
	at := func(rule, old, new string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: "start/gatehouse.yaml", Old: old, New: new}
	}
	const both = "all_of: {methods: [{client_certificate: {}}, {oauth: {constrained: true}}]}"
	return []drifttest.Mutation{
		at("DR-CRT-03", "    clients: require\n    client-authorities: partners.pem\n", ""),
		at("DR-CRT-03", "clients: require\n", "clients: verify\n"),
		at("DR-CRT-12", "    certificate: server.pem\n    key: server.key\n    clients: require\n    client-authorities: partners.pem\n", "    {}\n"),
		at("DR-OBS-01", "events: stdout", "events: none"),
		alone(at("DR-AUT-22", "{env: ORDERS_KEY}", "{value: 4f1b02c8aa}")),
		{Rule: "DR-CRT-04", File: "start/gatehouse.yaml", Old: "partners.pem", New: "anybody.pem", Direction: drift.NoneWeaker},
		in("DR-AUT-05", both, "api_key"),
		in("DR-AUT-06", both, "any_of: {methods: [{client_certificate: {}}, {oauth: {constrained: true}}]}"),
	}
}

func TestToldMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, told, whole(), toldMutations())
	t.Logf("%d of %d weakenings found", found, all)
}

// shown is an environment whose listener's certificates lie beside its start-up configuration.
func shown(t testing.TB) (drifttest.Files, []drifttest.Mutation) {
	fine, ending, other, weak := drifttest.Certificates(t)
	f := good()
	f["start/gatehouse.yaml"], f["start/server.pem"] = startYAML, fine
	at := func(rule, name, text string) drifttest.Mutation {
		return drifttest.Mutation{Rule: rule, File: name, Old: fine, New: text, Self: true}
	}
	return f, []drifttest.Mutation{
		at("DR-CRT-07", "start/server.pem", ending), at("DR-CRT-08", "start/server.pem", other), at("DR-CRT-11", "start/server.pem", weak),
		{Rule: "DR-CRT-09", File: "start/gatehouse.yaml", Old: "server.pem", New: "dev/server.pem", Self: true},
	}
}

func TestCertificateMutations(t *testing.T) {
	f, list := shown(t)
	found, all := drifttest.Mutate(t, told, f, list)
	t.Logf("%d of %d weakenings found", found, all)
}

// TestFoldersOfCertificates: every certificate that clients can choose is in the inventory, and no key.
func TestFoldersOfCertificates(t *testing.T) {
	f, _ := shown(t)
	fine := f["start/server.pem"]
	f["start/gatehouse.yaml"] = "gateway: {tls: {folder: more}}\n"
	f["start/more/a.pem"], f["start/more/a.key"], f["start/more/b/tls.crt"], f["start/more/b/tls.key"] = fine, "secret", fine, "secret"
	e, problems := told(f.FS(), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
	if len(problems) > 0 || len(e.Certificates) != 2 || len(e.Exposures) != 1 || len(e.Exposures[0].Certs) != 2 || e.Certificates[0].SHA256 == "" {
		t.Errorf("%v: %+v", problems, e.Certificates)
	}
}

// TestWhole: with its start-up configuration nothing of an environment of ours is unknown.
func TestWhole(t *testing.T) {
	e, problems := told(whole().FS(), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
	if c := drift.Cover(e); len(problems) > 0 || !c.Whole() {
		t.Errorf("%v; %s; %v", problems, c, c.Causes)
	}
	drifttest.Invariants(t, "whole", e)
	p := e.Operations[0].General()
	if w := p.Auth.Ways.Value; len(w) != 1 || w.String() != "jwt and mtls" {
		t.Errorf("ways in: %v", w)
	}
	if p.TLS.ClientAuth.Value != "verify" || p.TLS.Plain.Value || len(p.TLS.CAs.Value) != 1 {
		t.Errorf("%+v", p.TLS)
	}
}

// TestTheListenersCertificateIsAWayIn: what the listener asks for is asked for on open operations too.
func TestTheListenersCertificateIsAWayIn(t *testing.T) {
	f := whole().With(t, "gatehouse.yaml", "products:", "    operations:\n      - {id: listOrders, remove: [all_of, grant, rate_limit], policies: [anonymous]}\nproducts:")
	e, problems := told(f.FS(), drift.Options{Name: "live", Tier: drift.Prod, Now: drifttest.Now()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, o := range e.Operations {
		if w := o.General().Auth.Ways.Value; w.Open() {
			t.Errorf("%s is open: %v", o.Key, w)
		}
	}
}

// TestAConfigurationThatIsNotThere is a gap, and leaves what it decides unknown.
func TestAConfigurationThatIsNotThere(t *testing.T) {
	e, _ := told(good().FS(), drift.Options{Name: "live", Now: drifttest.Now()})
	if len(e.Gaps) != 1 || drift.Cover(e).Whole() || e.Operations[0].General().TLS.Plain.Known() {
		t.Errorf("%+v", e.Gaps)
	}
}

// TestUpstreamsGuards: retries, breaker and bound of an upstream are read.
func TestUpstreamsGuards(t *testing.T) {
	f := good().With(t, "gatehouse.yaml", "    timeouts:", "    retries: {attempts: 2, status: [503]}\n    breaker: {errors: 30}\n    concurrency: {most: 50}\n    timeouts:")
	p := drifttest.Read(t, gatehouse.Read, f, "live", drift.Prod).Operations[0].General()
	if p.Limits.Retries.Value != 2 || p.Limits.RetryOn.Value[0] != "503" || p.Limits.Breaker.Value != "30 % of failures, 50 calls at once" {
		t.Errorf("%+v", p.Limits)
	}
	if _, o, _ := p.Limits.Retries.How(); o.Line == 0 {
		t.Error("the place of the retries is not known")
	}
}
