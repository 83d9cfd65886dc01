package azureapim_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
)

const (
	global  = "svc/policy.xml"
	apiDoc  = "svc/apis/orders/policy.xml"
	opDoc   = "svc/apis/orders/operations/get-order/policy.xml"
	apiInfo = "svc/apis/orders/apiInformation.json"
	arm     = "svc.json"
	diag    = "svc/diagnostics/applicationinsights/diagnosticInformation.json"
	prodDoc = "svc/products/gold/policy.xml"
	prodInf = "svc/products/gold/productInformation.json"
)

func good() drifttest.Files {
	return drifttest.Files{
		global: `<policies>
  <inbound>
    <validate-jwt header-name="Authorization" require-expiration-time="true" require-signed-tokens="true" clock-skew="60">
      <openid-config url="https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration" />
      <audiences><audience>api://orders</audience></audiences>
      <required-claims><claim name="roles" match="any"><value>read</value><value>write</value></claim></required-claims>
    </validate-jwt>
    <ip-filter action="allow"><address-range from="10.0.0.0" to="10.0.0.255" /></ip-filter>
    <rate-limit-by-key calls="100" renewal-period="60" counter-key="@(context.Subscription.Id)" />
    <cors allow-credentials="true">
      <allowed-origins><origin>https://app.example.com</origin></allowed-origins>
      <allowed-methods preflight-result-max-age="300"><method>GET</method></allowed-methods>
      <allowed-headers><header>authorization</header></allowed-headers>
    </cors>
    <set-header name="X-User" exists-action="delete" />
    <set-header name="Ocp-Apim-Subscription-Key" exists-action="delete" />
    <set-variable name="v" value="@{ return 1; }" />
  </inbound>
  <backend><forward-request timeout="20" /></backend>
  <outbound><set-header name="Strict-Transport-Security" exists-action="override"><value>max-age=31536000</value></set-header></outbound>
  <on-error><trace source="x"><message>failed</message></trace></on-error>
</policies>`,
		apiDoc: `<policies>
  <inbound><base /><validate-client-certificate><identities><identity thumbprint="AABB" /></identities></validate-client-certificate>
    <validate-content unspecified-content-type-action="prevent" max-size="102400" size-exceeded-action="prevent" />
    <send-request mode="new" response-variable-name="r" timeout="5"><set-url>https://risk.example.com</set-url></send-request></inbound>
  <backend><base /></backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>`,
		opDoc: `<policies>
  <inbound><base /></inbound>
  <backend><base /></backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>`,
		prodDoc: `<policies><inbound><base /><quota calls="10000" renewal-period="604800" /></inbound><backend><base /></backend><outbound><base /></outbound><on-error><base /></on-error></policies>`,
		prodInf: `{"properties": {"displayName": "gold", "state": "published", "subscriptionRequired": true, "approvalRequired": true}}`,
		"svc/products/gold/apis/orders/productApiInformation.json": `{}`,
		apiInfo: `{"properties": {"path": "orders", "displayName": "Orders", "protocols": ["https"], "serviceUrl": "https://orders.example.com", "subscriptionRequired": true}}`,
		"svc/apis/orders/specification.yaml": `openapi: 3.0.1
paths:
  /{id}:
    get:
      operationId: get-order
  /:
    post:
      operationId: create-order
`,
		diag: `{"properties": {"loggerId": "/loggers/insights", "alwaysLog": "allErrors", "sampling": {"samplingType": "fixed", "percentage": 100}, "verbosity": "information", "httpCorrelationProtocol": "W3C", "metrics": true,
  "frontend": {"request": {"headers": ["X-Request-Id"], "body": {"bytes": 0}, "dataMasking": {"headers": [{"value": "Cookie", "mode": "Hide"}]}}}}}`,
		"svc/loggers/insights/loggerInformation.json":        `{"properties": {"loggerType": "applicationInsights", "resourceId": "/subscriptions/x/providers/microsoft.insights/components/insights"}}`,
		"svc/namedValues/signing/namedValueInformation.json": `{"properties": {"displayName": "signing", "secret": true, "keyVault": {"secretIdentifier": "https://kv.vault.azure.net/secrets/signing"}}}`,
		arm: `{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "resources": [{"type": "Microsoft.ApiManagement/service", "name": "apim", "properties": {
  "customProperties": {"Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Protocols.Tls10": "False", "Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Ciphers.TLS_RSA_WITH_AES_128_CBC_SHA": "False", "Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Ciphers.TripleDes168": "False"},
  "publicNetworkAccess": "Enabled", "virtualNetworkType": "None",
  "hostnameConfigurations": [{"type": "Proxy", "hostName": "apim.azure-api.net", "negotiateClientCertificate": true, "keyVaultId": "https://kv.vault.azure.net/secrets/cert"}]}}]}`,
	}
}

func in(file, rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: file, Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func as(d drift.Direction, m drifttest.Mutation) drifttest.Mutation { m.Direction = d; return m }

func mutations() []drifttest.Mutation {
	jwt := good()[global]
	jwt = jwt[strings.Index(jwt, "    <validate-jwt"):strings.Index(jwt, "    <ip-filter")]
	const otherTenant = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"
	const tenant = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration"
	return []drifttest.Mutation{
		alone(in(opDoc, "DR-AUT-02", "<inbound><base /></inbound>", "<inbound></inbound>")),
		alone(in(apiDoc, "DR-AUT-04", "<inbound><base />", "<inbound><send-request mode=\"new\"><set-url>https://x.example.com</set-url></send-request><base />")),
		in(global, "DR-AUT-05", jwt, ""),
		as(drift.NoneWeaker, in(global, "DR-AUT-07", tenant, "https://login.elsewhere.net/.well-known/openid-configuration")),
		alone(in(global, "DR-AUT-07", `<openid-config url="`+tenant+`" />`, `<issuer-signing-keys><key>{{signing}}</key></issuer-signing-keys>`)),
		in(global, "DR-AUT-08", "<audiences><audience>api://orders</audience></audiences>", ""),
		alone(in(global, "DR-AUT-08", "<audiences><audience>api://orders</audience></audiences>", "")),
		in(global, "DR-AUT-08", "<audience>api://orders</audience>", "<audience>api://orders</audience><audience>api://other</audience>"),
		in(global, "DR-AUT-09", `<value>read</value><value>write</value>`, `<value>read</value><value>write</value><value>guest</value>`),
		in(global, "DR-AUT-09", `<required-claims><claim name="roles" match="any"><value>read</value><value>write</value></claim></required-claims>`, ""),
		alone(in(global, "DR-AUT-10", "<audiences>", "<issuers><issuer>https://sts.windows.net/11111111-1111-1111-1111-111111111111/</issuer></issuers><audiences>")),
		alone(in(global, "DR-AUT-11", tenant, otherTenant)),
		in(global, "DR-AUT-12", `require-signed-tokens="true"`, `require-signed-tokens="false"`),
		alone(in(global, "DR-AUT-12", `require-signed-tokens="true"`, `require-signed-tokens="false"`)),
		in(global, "DR-AUT-13", `require-expiration-time="true"`, `require-expiration-time="false"`),
		alone(in(global, "DR-AUT-13", `require-expiration-time="true"`, `require-expiration-time="false"`)),
		in(global, "DR-AUT-13", `clock-skew="60"`, `clock-skew="6000"`),
		in(global, "DR-AUT-18", `<set-header name="Ocp-Apim-Subscription-Key" exists-action="delete" />`, ""),
		alone(in(global, "DR-AUT-20", jwt, `<choose><when condition="@(context.Request.Headers.GetValueOrDefault("X-Internal","") != "1")">`+jwt+`</when></choose>`)),
		in(prodInf, "DR-AUT-21", `"approvalRequired": true`, `"approvalRequired": false`),
		in(apiInfo, "DR-AUT-21", `"subscriptionRequired": true`, `"subscriptionRequired": false`),
		alone(in(global, "DR-AUT-22", `<set-header name="X-User" exists-action="delete" />`, `<set-header name="X-User" exists-action="delete" /><set-header name="X-Api-Key" exists-action="override"><value>abcdef0123456789</value></set-header>`)),
		in(arm, "DR-CRT-01", `Protocols.Tls10": "False"`, `Protocols.Tls10": "True"`),
		alone(in(arm, "DR-CRT-01", `Protocols.Tls10": "False"`, `Protocols.Tls10": "True"`)),
		alone(in(arm, "DR-CRT-02", `TripleDes168": "False"`, `TripleDes168": "True"`)),
		in(arm, "DR-CRT-03", `"negotiateClientCertificate": true`, `"negotiateClientCertificate": false`),
		in(apiDoc, "DR-CRT-05", `<identities><identity thumbprint="AABB" /></identities>`, ""),
		alone(in(apiDoc, "DR-CRT-05", `<identities><identity thumbprint="AABB" /></identities>`, "")),
		in(apiInfo, "DR-CRT-06", "https://orders.example.com", "http://orders.example.com"),
		alone(in(apiInfo, "DR-CRT-06", "https://orders.example.com", "http://orders.example.com")),
		alone(in("svc/namedValues/signing/namedValueInformation.json", "DR-CRT-09", "https://kv.vault", "https://kv-dev.vault")),
		in(arm, "DR-CRT-10", "secrets/cert", "secrets/cert/0123456789abcdef0123456789abcdef"),
		in(apiInfo, "DR-CRT-12", `["https"]`, `["http", "https"]`),
		alone(in(apiInfo, "DR-CRT-12", `["https"]`, `["http", "https"]`)),
		in(global, "DR-CRT-12", "max-age=31536000", "max-age=3600"),
		in(diag, "DR-OBS-01", `"percentage": 100`, `"percentage": 1`),
		alone(in(diag, "DR-OBS-03", `["X-Request-Id"]`, `["X-Request-Id", "Authorization"]`)),
		in(diag, "DR-OBS-03", `"bytes": 0`, `"bytes": 8192`),
		alone(in(diag, "DR-OBS-03", `"bytes": 0`, `"bytes": 8192`)),
		in(diag, "DR-OBS-04", `, "dataMasking": {"headers": [{"value": "Cookie", "mode": "Hide"}]}`, ""),
		as(drift.NoneWeaker, in(diag, "DR-OBS-05", "W3C", "Legacy")),
		in(diag, "DR-OBS-05", `"percentage": 100`, `"percentage": 1`),
		in(diag, "DR-OBS-06", `"metrics": true`, `"metrics": false`),
		alone(in("svc/loggers/insights/loggerInformation.json", "DR-OBS-07", "components/insights", "components/insights-dev")),
		in(diag, "DR-OBS-09", `"verbosity": "information"`, `"verbosity": "error"`),
		in(diag, "DR-OBS-09", `"alwaysLog": "allErrors", `, ""),
		in(global, "DR-OBS-11", `<trace source="x"><message>failed</message></trace>`, ""),
		alone(in(global, "DR-OBS-11", `<trace source="x"><message>failed</message></trace>`, `<set-body>@(context.LastError.Message)</set-body>`)),
		in(global, "DR-TRF-01", `<rate-limit-by-key calls="100" renewal-period="60" counter-key="@(context.Subscription.Id)" />`, ""),
		in(global, "DR-TRF-02", `renewal-period="60"`, `renewal-period="1"`),
		in(global, "DR-TRF-03", `@(context.Subscription.Id)`, `@(context.Request.Headers.GetValueOrDefault("X-Client",""))`),
		in(prodDoc, "DR-TRF-06", `<quota calls="10000" renewal-period="604800" />`, ""),
		in(global, "DR-TRF-07", `calls="100"`, `calls="10000"`),
		in(global, "DR-TRF-08", `timeout="20"`, `timeout="200"`),
		in(apiDoc, "DR-TRF-08", `max-size="102400"`, `max-size="10240000"`),
		in(global, "DR-TRF-09", `<set-header name="X-User" exists-action="delete" />`, ""),
		in("svc/apis/orders/specification.yaml", "DR-EXP-01", "  /:\n", "  /debug:\n    delete:\n      operationId: debug\n  /:\n"),
		in("svc/apis/orders/specification.yaml", "DR-EXP-02", "  /{id}:\n", "  /*:\n"),
		in(global, "DR-EXP-03", "<origin>https://app.example.com</origin>", "<origin>*</origin>"),
		alone(in(global, "DR-EXP-03", "<origin>https://app.example.com</origin>", "<origin>*</origin>")),
		in(global, "DR-EXP-04", `to="10.0.0.255"`, `to="10.255.255.255"`),
		alone(in(arm, "DR-EXP-05", `"hostName": "apim.azure-api.net"`, `"hostName": "api.example.com"`)),
		alone(in(apiInfo, "DR-EXP-07", "https://orders.example.com", "https://orders-dev.example.com")),
		alone(in(global, "DR-EXP-08", "<set-variable", "<mock-response status-code=\"200\" /><set-variable")),
		in(apiDoc, "DR-EXP-09", `<validate-content unspecified-content-type-action="prevent" max-size="102400" size-exceeded-action="prevent" />`, ""),
		as(drift.NoneWeaker, in(global, "DR-EXP-10", "return 1;", "return 2;")),
		alone(in(apiDoc, "DR-EXP-11", "<inbound><base />", "<inbound><base /><include-fragment fragment-id=\"none\" />")),
	}
}

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, azureapim.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

// TestOpen: without documents and subscription everybody gets in.
func TestOpen(t *testing.T) {
	m := in(opDoc, "DR-AUT-01", "<inbound><base /></inbound>", "<inbound></inbound>")
	m2 := good().With(t, apiInfo, `"subscriptionRequired": true`, `"subscriptionRequired": false`).With(t, m.File, m.Old, m.New)
	r := drift.Compare([]*drift.Environment{drifttest.Read(t, azureapim.Read, good(), "a", drift.Prod), drifttest.Read(t, azureapim.Read, m2, "b", drift.Prod)}, drift.Settings{})
	fs := drifttest.Named(r, "DR-AUT-01")
	if len(fs) != 1 || fs[0].Direction != drift.BWeaker || len(fs[0].Operations) != 1 || fs[0].Operations[0].String() != "GET /orders/{}" {
		t.Errorf("%+v", fs)
	}
}

func TestFormatMeansNothing(t *testing.T) {
	other := drifttest.Files{}
	for k, v := range good() {
		k = strings.Replace(strings.Replace(k, "svc/", "deep/er/", 1), "namedValues", "named values", 1)
		if strings.HasSuffix(k, ".xml") {
			v = "\ufeff<!-- a comment -->\n" + strings.NewReplacer("<base />", "<base></base>", " />", "\n/>", `"`, "'", "  ", "\t").Replace(v)
			v = strings.NewReplacer("'@(", `"@(`, ")'", `)"`, "'@{", `"@{`, "}'", `}"`).Replace(v)
			v = strings.Replace(v, ` require-expiration-time='true'`, "", 1)
		}
		other[k] = v
	}
	drifttest.Unmoved(t, azureapim.Read, good(), other)
}
