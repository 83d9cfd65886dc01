package azureapim_test

import (
	"os"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
)

// TestProductsMakeClasses: who comes with a subscription to a product meets that product's documents too.
func TestProductsMakeClasses(t *testing.T) {
	e := drifttest.Read(t, azureapim.Read, good(), "x", drift.Prod)
	o := e.Operations[0]
	if len(o.Effective) != 2 || o.Effective[1].Class != "product gold" {
		t.Fatalf("%+v", o.Effective)
	}
	if n := len(o.General().Quotas.Value); n != 0 {
		t.Errorf("general traffic has %d quotas", n)
	}
	if q := o.Effective[1].Policy.Quotas; len(q.Value) != 1 || q.Value[0].Count.Value != 10000 {
		t.Errorf("%+v", q)
	}
}

func TestWaysOfChoose(t *testing.T) {
	const jwt = `<validate-jwt header-name="Authorization"><openid-config url="https://i.example.com/.well-known/openid-configuration"/></validate-jwt>`
	for _, c := range []struct{ inbound, want string }{
		{jwt, "api_key and jwt"},
		{`<choose><when condition="@(context.Product == null)">` + jwt + `</when></choose>`, "api_key or api_key and jwt"},
		{`<choose><when condition="@(true)">` + jwt + `</when><otherwise>` + jwt + `</otherwise></choose>`, "api_key and jwt"},
		{`<choose><when condition="@(context.Request.Headers.GetValueOrDefault("k","") != "x")"><return-response><set-status code="401"/></return-response></when></choose>`, "api_key and custom_code"},
		{`<choose><when condition="@(a)"><set-variable name="x" value="1"/></when></choose>`, "api_key"},
		{`<validate-client-certificate ignore-error="true"/>`, "api_key or api_key and mtls"},
		{`<return-response><set-status code="200"/></return-response>` + jwt, "api_key"},
	} {
		e := drifttest.Read(t, azureapim.Read, good().With(t, global, good()[global], "<policies><inbound>"+c.inbound+"</inbound></policies>").With(t, apiDoc, good()[apiDoc], "<policies><inbound><base/></inbound></policies>"), "x", drift.Prod)
		if got := e.Operations[0].General().Auth.Ways.Value.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.inbound, got, c.want)
		}
	}
}

func TestNamedValues(t *testing.T) {
	files := good().With(t, global, `calls="100"`, `calls="{{limit}}"`)
	for _, c := range []struct {
		value string
		state drift.State
		want  int64
	}{
		{`{"properties": {"displayName": "limit", "value": "7"}}`, drift.Inherited, 7},
		{`{"properties": {"displayName": "limit", "secret": true, "value": "7"}}`, drift.Unresolved, 0},
		{`{"properties": {"displayName": "limit", "value": "{#n#}"}}`, drift.Unresolved, 0},
		{`{"properties": {"displayName": "other", "value": "7"}}`, drift.Unresolved, 0},
		{`{"properties": {"displayName": "limit", "value": "@(7)"}}`, drift.Conditional, 0},
	} {
		files["svc/namedValues/n/namedValueInformation.json"] = c.value
		e := drifttest.Read(t, azureapim.Read, files, "x", drift.Prod)
		if l := e.Operations[0].General().Rates.Value[0].Count; l.State != c.state || l.Value != c.want {
			t.Errorf("%s: %+v", c.value, l)
		}
	}
}

// TestOverrides reads one folder of artifacts as development and, with its configuration, as production.
func TestOverrides(t *testing.T) {
	dir := drifttest.Corpus(t, "azure-apim") + "/multienv-apiops-demo"
	dev, _ := azureapim.Read(os.DirFS(dir), drift.Options{Name: "dev", Tier: drift.Dev})
	prod, _ := azureapim.Read(os.DirFS(dir), drift.Options{Name: "prod", Tier: drift.Prod})
	r := drift.Compare([]*drift.Environment{dev, prod}, drift.Settings{})
	var rules []string
	for _, f := range r.Findings {
		rules = append(rules, f.Rule+" "+string(f.Direction)+" "+f.A.Environment+" "+f.A.Value)
	}
	got := strings.Join(rules, "\n")
	// The repository's production still has hosts and sinks of development in it.
	for _, want := range []string{"DR-OBS-07 A weaker prod red-scus-apim-ai-dev", "DR-EXP-07 A weaker prod https://red-apim-dev.developer.azure-api.net"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not among\n%s", want, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good()[global]), []byte(good()[apiInfo]), []byte(good()[arm]))
	f.Fuzz(func(t *testing.T, policy, info, template []byte) {
		files := good()
		files[global], files[apiInfo], files[arm] = string(policy), string(info), string(template)
		e, _ := azureapim.Read(files.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
