package apigee_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
)

const goodProxy = `<?xml version="1.0"?>
<ProxyEndpoint name="default">
  <PreFlow name="PreFlow">
    <Request>
      <Step><Name>Key</Name></Step>
      <Step><Name>Token</Name></Step>
      <Step><Name>Spike</Name></Step>
      <Step><Name>Quota</Name></Step>
      <Step><Name>Cors</Name></Step>
      <Step><Name>Office</Name></Step>
      <Step><Name>Threat</Name></Step>
      <Step><Name>Clean</Name></Step>
      <Step><Name>Code</Name></Step>
    </Request>
    <Response><Step><Name>Answer</Name></Step></Response>
  </PreFlow>
  <Flows>
    <Flow name="get"><Condition>(proxy.pathsuffix MatchesPath "/{id}") and (request.verb = "GET")</Condition><Request/><Response/></Flow>
    <Flow name="create"><Condition>(proxy.pathsuffix MatchesPath "/") and (request.verb = "POST")</Condition><Request/><Response/></Flow>
    <Flow name="unknown"><Request><Step><Name>NotFound</Name></Step></Request></Flow>
  </Flows>
  <PostClientFlow><Response><Step><Name>Log</Name></Step></Response></PostClientFlow>
  <DefaultFaultRule name="all"><Step><Name>Fault</Name></Step></DefaultFaultRule>
  <HTTPProxyConnection><BasePath>/orders</BasePath><VirtualHost>secure</VirtualHost></HTTPProxyConnection>
  <RouteRule name="default"><TargetEndpoint>default</TargetEndpoint></RouteRule>
</ProxyEndpoint>`

const goodTarget = `<TargetEndpoint name="default">
  <HTTPTargetConnection>
    <URL>https://orders.example.com</URL>
    <SSLInfo><Enabled>true</Enabled><ClientAuthEnabled>true</ClientAuthEnabled><KeyStore>gateway</KeyStore><KeyAlias>a</KeyAlias><TrustStore>inner</TrustStore><Protocols><Protocol>TLSv1.2</Protocol></Protocols></SSLInfo>
    <Properties><Property name="io.timeout.millis">5000</Property></Properties>
  </HTTPTargetConnection>
</TargetEndpoint>`

func good() drifttest.Files {
	f := drifttest.Files{
		"apiproxy/orders.xml":             `<APIProxy revision="3" name="orders"/>`,
		"apiproxy/proxies/default.xml":    goodProxy,
		"apiproxy/targets/default.xml":    goodTarget,
		"apiproxy/resources/jsc/check.js": "var a = 1;",
		"edge/env/prod/flowhooks.json":    `[{"flowHookPoint": "PreProxyFlowHook"}]`,
		"edge/org/apiProducts.json":       `[{"name": "gold", "approvalType": "manual", "proxies": ["orders"], "quota": "100", "quotaInterval": "1", "quotaTimeUnit": "day"}]`,
	}
	for name, text := range map[string]string{
		"Key":      `<VerifyAPIKey name="Key"><APIKey ref="request.header.x-api-key"/></VerifyAPIKey>`,
		"Token":    `<VerifyJWT name="Token"><Algorithm>RS256</Algorithm><PublicKey><JWKS uri="https://login.example.com/jwks"/></PublicKey><Issuer>https://login.example.com/</Issuer><Audience>orders</Audience><TimeAllowance>5s</TimeAllowance><MaxLifespan>1h</MaxLifespan><AdditionalClaims><Claim name="role">partner</Claim></AdditionalClaims></VerifyJWT>`,
		"Spike":    `<SpikeArrest name="Spike"><Identifier ref="verifyapikey.Key.client_id"/><Rate>60pm</Rate><UseEffectiveCount>true</UseEffectiveCount></SpikeArrest>`,
		"Quota":    `<Quota name="Quota"><Allow count="1000"/><Interval>1</Interval><TimeUnit>day</TimeUnit><Distributed>true</Distributed></Quota>`,
		"Cors":     `<CORS name="Cors"><AllowOrigins>https://app.example.com</AllowOrigins><AllowMethods>GET</AllowMethods><AllowCredentials>true</AllowCredentials></CORS>`,
		"Office":   `<AccessControl name="Office"><IPRules noRuleMatchAction="DENY"><MatchRule action="ALLOW"><SourceAddress mask="8">10.0.0.0</SourceAddress></MatchRule></IPRules></AccessControl>`,
		"Threat":   `<JSONThreatProtection name="Threat"><ArrayElementCount>20</ArrayElementCount></JSONThreatProtection>`,
		"Clean":    `<AssignMessage name="Clean"><Remove><Headers><Header name="X-Admin"/><Header name="x-api-key"/></Headers></Remove><AssignTo type="request"/></AssignMessage>`,
		"Answer":   `<AssignMessage name="Answer"><Set><Headers><Header name="Strict-Transport-Security">max-age=31536000</Header><Header name="X-Edge">a</Header></Headers></Set><AssignTo type="response"/></AssignMessage>`,
		"Code":     `<Javascript name="Code"><ResourceURL>jsc://check.js</ResourceURL></Javascript>`,
		"NotFound": `<RaiseFault name="NotFound"><FaultResponse><Set><StatusCode>404</StatusCode></Set></FaultResponse></RaiseFault>`,
		"Log":      `<MessageLogging name="Log"><Syslog><Message>{"id":"{messageid}","client":"{client_id}","status":"{response.status.code}"}</Message><Host>logs.example.com</Host><Port>6514</Port><Protocol>TCP</Protocol><SSLInfo><Enabled>true</Enabled></SSLInfo></Syslog></MessageLogging>`,
		"Fault":    `<AssignMessage name="Fault"><Set><Payload>{"title":"failed"}</Payload></Set></AssignMessage>`,
	} {
		f["apiproxy/policies/"+strings.ToLower(name)+".xml"] = text
	}
	return f
}

func in(file, rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "apiproxy/" + file + ".xml", Old: old, New: new}
}

func pol(name, rule, old, new string) drifttest.Mutation {
	return in("policies/"+name, rule, old, new)
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func unsure(m drifttest.Mutation) drifttest.Mutation { m.Direction = drift.NoneWeaker; return m }

func with(old, new string, m drifttest.Mutation) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func step(name string) string { return "<Step><Name>" + name + "</Name></Step>" }

func mutations() []drifttest.Mutation {
	const proxy = "proxies/default"
	return []drifttest.Mutation{
		alone(in(proxy, "DR-AUT-03", step("Token"), "")),
		alone(pol("token", "DR-AUT-03", `<VerifyJWT `, `<VerifyJWT enabled="false" `)),
		alone(in(proxy, "DR-AUT-04", step("Key"), step("Log")+step("Key"))),
		in(proxy, "DR-AUT-05", step("Token"), ""),
		in(proxy, "DR-AUT-06", step("Token"), `<Step><Name>Token</Name><Condition>request.header.x-api-key = null</Condition></Step>`),
		pol("token", "DR-AUT-07", "<Issuer>https://login.example.com/</Issuer>", ""),
		alone(pol("token", "DR-AUT-07", "<Issuer>https://login.example.com/</Issuer>", "")),
		unsure(pol("token", "DR-AUT-07", "<Issuer>https://login.example.com/", "<Issuer>https://login.elsewhere.net/")),
		pol("token", "DR-AUT-08", "<Audience>orders</Audience>", ""),
		alone(pol("token", "DR-AUT-08", "<Audience>orders</Audience>", "")),
		pol("token", "DR-AUT-09", `<Claim name="role">partner</Claim>`, ""),
		alone(with("https://login.example.com/jwks", "https://login.microsoftonline.com/0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a/discovery/v2.0/keys",
			pol("token", "DR-AUT-10", "https://login.example.com/</Issuer>", "https://sts.windows.net/0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a/</Issuer>"))),
		alone(pol("token", "DR-AUT-11", "https://login.example.com/jwks", "https://login.microsoftonline.com/common/discovery/v2.0/keys")),
		pol("token", "DR-AUT-12", "RS256", "RS256, HS256"),
		alone(pol("token", "DR-AUT-12", "RS256", "RS256, HS256")),
		pol("token", "DR-AUT-13", "5s", "600s"),
		pol("token", "DR-AUT-13", "<MaxLifespan>1h</MaxLifespan>", ""),
		alone(pol("token", "DR-AUT-13", "<MaxLifespan>1h</MaxLifespan>", "")),
		pol("key", "DR-AUT-17", "request.header.x-api-key", "request.queryparam.key"),
		pol("clean", "DR-AUT-18", `<Header name="x-api-key"/>`, ""),
		unsure(pol("token", "DR-AUT-12", `<JWKS uri="https://login.example.com/jwks"/>`, "<Value>abc</Value>")),
		alone(pol("token", "DR-AUT-22", `<PublicKey><JWKS uri="https://login.example.com/jwks"/></PublicKey>`, "<SecretKey><Value>abcdefghijkl</Value></SecretKey>")),
		unsure(in("targets/default", "DR-CRT-04", "<TrustStore>inner</TrustStore>", "<TrustStore>everybody</TrustStore>")),
		in("targets/default", "DR-CRT-01", "TLSv1.2", "TLSv1.1"),
		in("targets/default", "DR-CRT-06", "<Enabled>true</Enabled>", "<Enabled>true</Enabled><IgnoreValidationErrors>true</IgnoreValidationErrors>"),
		alone(in("targets/default", "DR-CRT-06", "https://orders", "http://orders")),
		alone(in("targets/default", "DR-CRT-09", "<KeyStore>gateway", "<KeyStore>gateway-dev")),
		in(proxy, "DR-CRT-12", "<VirtualHost>secure", "<VirtualHost>default"),
		alone(in(proxy, "DR-CRT-12", "<VirtualHost>secure", "<VirtualHost>default")),
		pol("answer", "DR-CRT-12", "31536000", "60"),
		in(proxy, "DR-OBS-01", "<PostClientFlow><Response>"+step("Log")+"</Response></PostClientFlow>", ""),
		pol("log", "DR-OBS-02", `"client":"{client_id}",`, ""),
		alone(pol("log", "DR-OBS-03", `"client":`, `"auth":"{request.header.authorization}","client":`)),
		pol("log", "DR-OBS-03", `"client":`, `"body":"{request.content}","client":`),
		alone(pol("log", "DR-OBS-07", "logs.example.com", "logs.dev.example.com")),
		alone(pol("log", "DR-OBS-10", "<SSLInfo><Enabled>true</Enabled></SSLInfo>", "")),
		alone(pol("fault", "DR-OBS-11", `"failed"`, `"{error.message}"`)),
		pol("fault", "DR-OBS-11", `"failed"`, `"{error.message}"`),
		in(proxy, "DR-TRF-01", step("Spike"), ""),
		pol("spike", "DR-TRF-01", "<SpikeArrest ", `<SpikeArrest continueOnError="true" `),
		pol("spike", "DR-TRF-02", "60pm", "60ps"),
		pol("spike", "DR-TRF-02", "<UseEffectiveCount>true</UseEffectiveCount>", ""),
		pol("spike", "DR-TRF-03", "verifyapikey.Key.client_id", "request.header.x-client"),
		in(proxy, "DR-TRF-06", step("Quota"), ""),
		pol("quota", "DR-TRF-06", "<TimeUnit>day", "<TimeUnit>hour"),
		pol("spike", "DR-TRF-07", "60pm", "6000pm"),
		in("targets/default", "DR-TRF-08", ">5000<", ">50000<"),
		pol("clean", "DR-TRF-09", `<Header name="X-Admin"/>`, ""),
		unsure(pol("answer", "DR-TRF-09", ">a<", ">b<")),
		in(proxy, "DR-EXP-01", "<Flows>", `<Flows><Flow name="d"><Condition>proxy.pathsuffix MatchesPath "/debug/all"</Condition></Flow>`),
		in(proxy, "DR-EXP-02", ` and (request.verb = "POST")`, ""),
		pol("cors", "DR-EXP-03", "https://app.example.com", "https://app.example.com, https://evil.test"),
		alone(pol("cors", "DR-EXP-03", "https://app.example.com", "{request.header.origin}")),
		pol("office", "DR-EXP-04", `mask="8"`, `mask="4"`),
		in(proxy, "DR-EXP-04", step("Office"), ""),
		alone(in("targets/default", "DR-EXP-07", "https://orders", "https://dev-orders")),
		alone(with("<TargetEndpoint>default</TargetEndpoint>", "", in(proxy, "DR-EXP-08", "<Response>"+step("Answer"), "<Response>"+step("Fault")+step("Answer")))),
		in(proxy, "DR-EXP-09", step("Threat"), ""),
		unsure(drifttest.Mutation{Rule: "DR-EXP-10", File: "apiproxy/resources/jsc/check.js", Old: "1", New: "2"}),
		alone(pol("code", "DR-EXP-11", "jsc://check.js", "jsc://other.js")),
		{Rule: "DR-AUT-21", File: "edge/org/apiProducts.json", Old: "manual", New: "auto"},
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, apigee.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
	// Without code that may authenticate, and without a key beside the token.
	plain := good().With(t, "apiproxy/proxies/default.xml", step("Code"), "").With(t, "apiproxy/proxies/default.xml", step("Key"), "")
	found, all = drifttest.Mutate(t, apigee.Read, plain, []drifttest.Mutation{
		in("proxies/default", "DR-AUT-01", step("Token"), ""),
		in("proxies/default", "DR-AUT-01", step("Token"), `<Step><Name>Token</Name><Condition>request.verb = "PUT"</Condition></Step>`),
		alone(pol("token", "DR-AUT-14", "<VerifyJWT ", `<VerifyJWT continueOnError="true" `)),
		alone(in("proxies/default", "DR-AUT-20", step("Token"), `<Step><Name>Token</Name><Condition>request.header.x-internal != "1"</Condition></Step>`)),
		alone(in("proxies/default", "DR-TRF-05", step("Token"), "")),
	})
	t.Logf("%d of %d weakenings found", found, all)
	// Authentication at the target, which a route may go past.
	behind := plain.With(t, "apiproxy/proxies/default.xml", step("Token"), "").With(t, "apiproxy/targets/default.xml", `<TargetEndpoint name="default">`, `<TargetEndpoint name="default"><PreFlow><Request>`+step("Token")+`</Request></PreFlow>`)
	const past = `<RouteRule name="past"><Condition>request.verb = "GET"</Condition><URL>https://orders.example.com</URL></RouteRule><RouteRule name="default">`
	drifttest.Mutate(t, apigee.Read, behind, []drifttest.Mutation{
		alone(in("proxies/default", "DR-AUT-02", `<RouteRule name="default">`, past)),
		in("proxies/default", "DR-AUT-01", `<RouteRule name="default">`, past),
	})
}

// TestFormatsMeanTheSame: white space, comments, order of files and attributes, files renamed, values written out that are the default.
func TestFormatsMeanTheSame(t *testing.T) {
	other := drifttest.Files{}
	for name, text := range good() {
		if strings.HasSuffix(name, ".xml") {
			text = "<!-- a comment -->\n" + strings.TrimPrefix(strings.NewReplacer("><", ">\n   <", `<?xml version="1.0"?>`, "").Replace(text), "\n")
			text = strings.Replace(text, ` name="Token"`, ` async="false" continueOnError="false" enabled="true" name='Token'`, 1)
		}
		other[strings.Replace("x/y/"+name, "policies/", "policies/Policy.", 1)] = text
	}
	drifttest.Unmoved(t, apigee.Read, good(), other)
}
