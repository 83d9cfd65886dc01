package apigee_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
)

// one is a proxy with steps before all flows, flows and routes.
func one(steps, rest string) drifttest.Files {
	f := drifttest.Files{"apiproxy/p.xml": `<APIProxy name="p"/>`, "flowhooks.json": `[{"flowHookPoint": "PreProxyFlowHook"}]`,
		"apiproxy/proxies/default.xml": `<ProxyEndpoint name="default"><PreFlow><Request>` + steps + `</Request></PreFlow><HTTPProxyConnection><BasePath>/p</BasePath></HTTPProxyConnection>` + rest + `</ProxyEndpoint>`}
	for name, text := range map[string]string{
		"a": `<VerifyAPIKey name="Key"><APIKey ref="request.queryparam.key"/></VerifyAPIKey>`,
		"b": `<OAuthV2 name="OauthV2.Verify"><Operation>VerifyAccessToken</Operation><Scope>read write</Scope></OAuthV2>`,
		"c": `<OAuthV2 name="Generate"><Operation>GenerateAccessToken</Operation></OAuthV2>`,
		"d": `<VerifyAPIKey name="Advice" continueOnError="true"><APIKey ref="request.header.x"/></VerifyAPIKey>`,
		"e": `<FlowCallout name="Shared"><SharedFlowBundle>common</SharedFlowBundle></FlowCallout>`,
		"f": `<FlowCallout name="Lost"><SharedFlowBundle>elsewhere</SharedFlowBundle></FlowCallout>`,
		"g": `<RaiseFault name="Refuse"/>`, "h": `<Javascript name="Code"><Source>x</Source></Javascript>`,
		"i": `<AssignMessage name="Auth"><Set><Headers><Header name="Authorization">Basic c2VjcmV0OnNlY3JldA==</Header></Headers></Set></AssignMessage>`,
	} {
		f["apiproxy/policies/"+name+".xml"] = text
	}
	f["shared/sharedflowbundle/common.xml"] = `<SharedFlowBundle name="common"/>`
	f["shared/sharedflowbundle/sharedflows/default.xml"] = `<SharedFlow name="default"><Step><Name>Inner</Name></Step></SharedFlow>`
	f["shared/sharedflowbundle/policies/Inner.xml"] = `<VerifyAPIKey name="Inner"><APIKey ref="request.header.x-key"/></VerifyAPIKey>`
	return f
}

func when(name, condition string) string {
	return "<Step><Name>" + name + "</Name><Condition>" + condition + "</Condition></Step>"
}

func TestWhoGetsIn(t *testing.T) {
	for _, c := range []struct{ name, steps, rest, want, state string }{
		{"none", "", "", "open", "default"},
		{"a key", step("Key"), "", "api_key", "set"},
		{"a token, found by its root's name", step("OauthV2.Verify"), "", "ext_authz", "set"},
		{"making tokens is no demand", step("Generate"), "", "open", "default"},
		{"both", step("Key") + step("OauthV2.Verify"), "", "api_key and ext_authz", "set"},
		{"advice alone", step("Advice"), "", "api_key", "set"},
		{"a shared flow", step("Shared"), "", "api_key", "inherited"},
		{"a shared flow that is not there", step("Lost"), "", "open", "unresolved"},
		{"a policy that is not there", step("Nothing"), "", "open", "unresolved"},
		{"code", step("Code"), "", "open", "unresolved"},
		{"a fault that tests a credential", when("Refuse", "private.key != request.header.apikey"), "", "open", "unresolved"},
		{"under a condition", when("Key", "request.header.a = \"b\""), "", "api_key or open when not request.header.a = \"b\"", "conditional"},
		{"a condition that never holds here", when("Key", "request.verb = \"GET\""), `<Flows><Flow name="f"><Condition>request.verb = "POST"</Condition></Flow></Flows>`, "open", "default"},
		{"a condition that always holds here", when("Key", "request.verb != \"OPTIONS\""), `<Flows><Flow name="f"><Condition>request.verb = "POST"</Condition></Flow></Flows>`, "api_key", "inherited"},
	} {
		e := drifttest.Read(t, apigee.Read, one(c.steps, c.rest), "x", drift.Prod)
		drifttest.Invariants(t, c.name, e)
		drifttest.Hidden(t, c.name, e, []string{"c2VjcmV0OnNlY3JldA=="})
		if len(e.Operations) == 0 {
			t.Errorf("%s: no operation", c.name)
			continue
		}
		a := e.Operations[0].General().Auth.Ways
		if got := a.Value.String(); got != c.want || a.State.String() != c.state {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, a.State, c.want, c.state)
		}
		if c.name == "advice alone" && !e.Operations[0].General().Auth.Fallback.Value {
			t.Error("advice is taken for a demand")
		}
	}
}

func TestConditionsBecomeOperations(t *testing.T) {
	for _, c := range []struct{ condition, want string }{
		{`proxy.pathsuffix MatchesPath "/a/{id}" and request.verb = "GET"`, "GET /p/a/{}, * /p/**"},
		{`(proxy.pathsuffix ~/ "/a/*/b") and ((request.verb = "GET") or (request.verb = "HEAD"))`, "GET /p/a/{}/b, HEAD /p/a/{}/b, * /p/**"},
		{`proxy.pathsuffix MatchesPath "/a/**"`, "* /p/a/**, * /p/**"},
		{`proxy.pathsuffix JavaRegex "/a/[0-9]+"`, "* /p/a/{}, * /p/**"},
		{`request.verb == "OPTIONS" AND request.header.origin != null`, "OPTIONS /p/**, * /p/**"},
		{`not (request.verb = "GET")`, "* /p/**, * /p/**"},
		{``, "* /p/**"},
		{`((`, "* /p/**, * /p/**"},
	} {
		f := one("", `<Flows><Flow name="f"><Condition>`+c.condition+`</Condition></Flow></Flows>`)
		e := drifttest.Read(t, apigee.Read, f, "x", drift.Prod)
		var got []string
		for _, o := range e.Operations {
			got = append(got, o.Key.String())
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", c.condition, s, c.want)
		}
	}
	e := drifttest.Read(t, apigee.Read, one("", `<Flows><Flow name="f"><Condition>request.verb = "GET"</Condition></Flow><Flow name="rest"><Request>`+step("Refuse")+`</Request></Flow></Flows>`), "x", drift.Prod)
	if len(e.Operations) != 1 {
		t.Errorf("calls that a fault refuses are an operation: %v", e.Operations)
	}
}

// TestUnknownIsSaid: hooks, variables and products are not in a bundle.
func TestUnknownIsSaid(t *testing.T) {
	f := one("", "")
	delete(f, "flowhooks.json")
	e := drifttest.Read(t, apigee.Read, f, "x", drift.Prod)
	if s := e.Operations[0].General().Auth.Ways.State; s != drift.Unresolved || len(e.Gaps) == 0 {
		t.Errorf("hooks of the environment are taken for nothing: %s", s)
	}
	e, _ = apigee.Read(f.FS(), drift.Options{Name: "x", Values: map[string]string{"flowhooks": "none"}})
	if s := e.Operations[0].General().Auth.Ways.State; s != drift.Default {
		t.Errorf("without hooks the state is %s", s)
	}
	f = good().With(t, "apiproxy/policies/quota.xml", `count="1000"`, `count="5" countRef="verifyapikey.Key.apiproduct.developer.quota.limit"`)
	e = drifttest.Read(t, apigee.Read, f, "x", drift.Prod)
	o := e.Operations[0]
	if len(o.Effective) != 2 || o.General().Quotas.Value[0].Count.State != drift.Conditional || o.Effective[1].Class != "product gold" || o.Effective[1].Policy.Quotas.Value[0].Count.Value != 100 {
		t.Errorf("%+v", o.Effective)
	}
	f = good().With(t, "apiproxy/proxies/default.xml", "<BasePath>/orders", "<BasePath>{{ BASE }}")
	e, _ = apigee.Read(f.FS(), drift.Options{Name: "x", Values: map[string]string{"BASE": "/sold"}})
	if k := e.Operations[0].Key.String(); k != "GET /sold/{}" {
		t.Error(k)
	}
	if e, _ = apigee.Read(f.FS(), drift.Options{Name: "x"}); len(e.Gaps) != 1 || len(e.Operations) != 2 {
		t.Errorf("%v", e.Gaps)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(goodProxy, `<Quota name="Token"><Allow countRef=""/><Interval ref="x"/></Quota>`)
	f.Add(`<ProxyEndpoint><HTTPProxyConnection/><Flows><Flow><Condition>not not ! (a</Condition></Flow></Flows></ProxyEndpoint>`, `<VerifyJWT name="Token"><Source/><TimeAllowance>m</TimeAllowance></VerifyJWT>`)
	f.Fuzz(func(t *testing.T, proxy, policy string) {
		g := good()
		g["apiproxy/proxies/default.xml"], g["apiproxy/policies/token.xml"] = proxy, policy
		e, _ := apigee.Read(g.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
