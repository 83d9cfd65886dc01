package aws_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/aws"
	"gatehouse/drift/drifttest"
)

func read(t *testing.T, text string) *drift.Environment {
	t.Helper()
	return drifttest.Read(t, aws.Read, drifttest.Files{"template.yaml": text}, "x", drift.Prod)
}

func find(t *testing.T, e *drift.Environment, key string) *drift.Policy {
	t.Helper()
	for _, o := range e.Operations {
		if o.Key.String() == key {
			return o.General()
		}
	}
	t.Fatalf("no %s among %v", key, e.Operations)
	return nil
}

// TestDeclaredOrEffectiveAnd holds API Gateway's own reading of OpenAPI's alternatives.
func TestDeclaredOrEffectiveAnd(t *testing.T) {
	const head = `openapi: 3.0.1
info: {title: t, version: "1"}
components:
  securitySchemes:
    key: {type: apiKey, name: x-api-key, in: header}
    other: {type: apiKey, name: X-Other, in: header}
    bearer: {type: http, scheme: bearer}
    check: {type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: custom, x-amazon-apigateway-authorizer: {type: token, authorizerUri: "arn:aws:apigateway:eu:lambda:path/2015-03-31/functions/arn:aws:lambda:eu:1:function:check/invocations"}}
    pool: {type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: cognito_user_pools, x-amazon-apigateway-authorizer: {type: cognito_user_pools, providerARNs: ["arn:pool"]}}
    sig: {type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: awsSigv4}
paths:
  /a:
    get:
      x-amazon-apigateway-integration: {type: http_proxy, uri: "https://u/a"}
`
	for _, c := range []struct {
		name, security, want string
		state                drift.State
		open                 bool
	}{
		{"nothing", "", "open", drift.Default, true},
		{"explicitly nothing", "      security: []\n", "open", drift.Set, true},
		{"a key proves nothing", "      security: [{key: []}]\n", "api_key (counts only)", drift.Set, true},
		{"one authorizer", "      security: [{check: []}]\n", "ext_authz", drift.Set, false},
		{"or means and", "      security: [{check: []}, {key: []}]\n", "api_key (counts only) and ext_authz", drift.Set, false},
		{"and means and", "      security: [{check: [], key: []}]\n", "api_key (counts only) and ext_authz", drift.Set, false},
		{"signed", "      security: [{sig: []}]\n", "iam_sigv4", drift.Set, false},
		{"two authorizers", "      security: [{check: []}, {pool: []}]\n", "ext_authz or jwt", drift.Conditional, false},
		{"declared, not enforced", "      security: [{bearer: []}]\n", "open", drift.Set, true},
		{"a key of another name is not enforced", "      security: [{other: []}]\n", "open", drift.Set, true},
		{"not defined", "      security: [{nobody: []}]\n", "open", drift.Unresolved, true},
		{"for the document", "security: [{check: []}]\n", "open", drift.Unresolved, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := find(t, read(t, head+c.security), "GET /a").Auth.Ways
			if w.Value.String() != c.want || w.State != c.state || w.Value.Open() != c.open {
				t.Errorf("%s, %s, open %v; want %s, %s, open %v", w.Value, w.State, w.Value.Open(), c.want, c.state, c.open)
			}
		})
	}
	p := find(t, read(t, head), "GET /a")
	for name, l := range map[string]drift.Fact{"waf": p.WAF, "rates": p.Rates, "tls": p.TLS.Min, "ip": p.IP.Allow, "log": p.Logging.Enabled} {
		if s, _, cause := l.How(); s != drift.Unresolved || cause == "" {
			t.Errorf("%s is %s: a document alone does not say", name, s)
		}
	}
}

const function = `  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        E: {Type: Api, Properties: {RestApiId: !Ref A, Path: /a, Method: get%s}}
`

func template(properties, event string) string {
	return "Resources:\n  A:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: s\n" + properties + strings.Replace(function, "%s", event, 1)
}

const authorizer = "        Authorizers: {L: {FunctionArn: !GetAtt G.Arn}, P: {UserPoolArn: !GetAtt Pool.Arn, AuthorizationScopes: [s]}}\n"

func TestServerlessAuthorizers(t *testing.T) {
	for _, c := range []struct {
		name, properties, event, want string
		state                         drift.State
		exempt                        bool
	}{
		{"none", "", "", "open", drift.Default, false},
		{"by default", "      Auth:\n        DefaultAuthorizer: L\n" + authorizer, "", "ext_authz", drift.Inherited, false},
		{"opened", "      Auth:\n        DefaultAuthorizer: L\n" + authorizer, ", Auth: {Authorizer: NONE}", "open", drift.Set, true},
		{"another", "      Auth:\n        DefaultAuthorizer: L\n" + authorizer, ", Auth: {Authorizer: P}", "jwt", drift.Set, false},
		{"only defined", "      Auth:\n" + authorizer, "", "open", drift.Default, false},
		{"a key", "      Auth: {ApiKeyRequired: true}\n", "", "api_key (counts only)", drift.Set, false},
		{"no key here", "      Auth: {ApiKeyRequired: true}\n", ", Auth: {ApiKeyRequired: false}", "open", drift.Default, false},
		{"by a parameter", "      Auth:\n        DefaultAuthorizer: !Ref Which\n" + authorizer, "", "open", drift.Unresolved, false},
		{"on a condition", "      Auth:\n" + authorizer, ", Auth: {Authorizer: !If [C, L, !Ref AWS::NoValue]}", "open", drift.Unresolved, false},
		{"one that is not there", "      Auth: {DefaultAuthorizer: X}\n", "", "open", drift.Unresolved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := find(t, read(t, template(c.properties, c.event)), "GET /a").Auth
			if a.Ways.Value.String() != c.want || a.Ways.State != c.state || a.Exempt.Value != c.exempt {
				t.Errorf("%s, %s, exempt %v; want %s, %s, exempt %v", a.Ways.Value, a.Ways.State, a.Exempt.Value, c.want, c.state, c.exempt)
			}
		})
	}
}

// TestPreflight: an authorizer on OPTIONS, which is SAM's default, makes CORS fail.
func TestPreflight(t *testing.T) {
	auth := "      Cors: \"'*'\"\n      Auth:\n        DefaultAuthorizer: L\n" + authorizer
	if p := find(t, read(t, template(auth, "")), "GET /a"); p.CORS.Enabled.Value || !p.CORS.Enabled.Known() {
		t.Error("CORS does not work where the preflight is refused")
	}
	p := find(t, read(t, template(auth+"        AddDefaultAuthorizerToCorsPreflight: false\n", "")), "GET /a")
	if !p.CORS.Enabled.Value || len(p.CORS.Origins.Value) != 1 || p.CORS.Origins.Value[0] != "*" {
		t.Errorf("CORS is %v for %v", p.CORS.Enabled, p.CORS.Origins)
	}
}

// TestIntrinsics: what a deployment decides is neither equal to anything nor absent, until whoever reads gives a value.
func TestIntrinsics(t *testing.T) {
	text := "Parameters: {Level: {Type: String, Default: '1.2'}}\n" + template("      Domain: {DomainName: a.example.com, CertificateArn: c, SecurityPolicy: !Ref Level}\n      DisableExecuteApiEndpoint: true\n      TracingEnabled: !If [Prod, true, false]\n      Auth: {ResourcePolicy: {IpRangeWhitelist: [!Sub '${Net}/8']}}\n", "")
	p := find(t, read(t, text), "GET /a")
	for name, l := range map[string]drift.Fact{"tls": p.TLS.Min, "tracing": p.Tracing.Enabled, "ip": p.IP.Allow} {
		if s, _, cause := l.How(); s != drift.Unresolved || cause == "" {
			t.Errorf("%s is %s", name, s)
		}
	}
	e, _ := aws.Read(drifttest.Files{"t.yaml": text}.FS(), drift.Options{Name: "x", Values: map[string]string{"Level": "TLS_1_0", "Net": "10.0.0.0"}})
	if p := find(t, e, "GET /a"); p.TLS.Min.Value != "1.0" || !p.TLS.Min.Known() || len(p.IP.Allow.Value) != 1 || p.IP.Allow.Value[0] != "10.0.0.0/8" {
		t.Errorf("with values: %v, %v", p.TLS.Min, p.IP.Allow)
	}
}

// TestCloudFormation reads methods that are resources of their own, and an authorizer, a plan and settings beside them.
func TestCloudFormation(t *testing.T) {
	p := find(t, read(t, `Resources:
  A: {Type: AWS::ApiGateway::RestApi, Properties: {Name: a}}
  Up: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref A, ParentId: !GetAtt A.RootResourceId, PathPart: up}}
  Id: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref A, ParentId: !Ref Up, PathPart: "{id}"}}
  Who: {Type: AWS::ApiGateway::Authorizer, Properties: {RestApiId: !Ref A, Type: TOKEN, AuthorizerUri: !Sub "arn:aws:apigateway:eu:lambda:path/2015-03-31/functions/${G.Arn}/invocations", IdentitySource: method.request.header.Authorization}}
  M: {Type: AWS::ApiGateway::Method, Properties: {RestApiId: !Ref A, ResourceId: !Ref Id, HttpMethod: GET, AuthorizationType: CUSTOM, AuthorizerId: !Ref Who, ApiKeyRequired: true, Integration: {Type: HTTP_PROXY, Uri: "https://u/x", TimeoutInMillis: 1000}}}
  S: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref A, StageName: s, MethodSettings: [{ResourcePath: /*, HttpMethod: "*", ThrottlingRateLimit: 5}, {ResourcePath: "/~1up~1{id}", HttpMethod: GET, ThrottlingRateLimit: 2}]}}
  Plan: {Type: AWS::ApiGateway::UsagePlan, Properties: {ApiStages: [{ApiId: !Ref A, Stage: s}], Quota: {Limit: 9, Period: WEEK}, Throttle: {RateLimit: 1}}}
`), "GET /up/{}")
	if w := p.Auth.Ways.Value; w.String() != "api_key (counts only) and ext_authz" || w.All()[0].External.TTL.Value != 300 || w.All()[0].External.URL.Value != "lambda:G" {
		t.Errorf("ways: %+v", w)
	}
	if len(p.Rates.Value) != 2 || p.Rates.Value[0].Count.Value != 2 || p.Rates.Value[1].Key.Value != "credential" {
		t.Errorf("rates: %v", p.Rates.Value)
	}
	if len(p.Quotas.Value) != 1 || p.Quotas.Value[0].Period.Value != 7*86400 {
		t.Errorf("quotas: %v", p.Quotas.Value)
	}
	if p.Limits.Read.Value != 1000 || p.Upstream.URLs.Value[0] != "https://u/x" {
		t.Errorf("upstream: %v %v", p.Limits.Read, p.Upstream.URLs)
	}
}

// TestDefinitionBeside reads the OpenAPI document that a template names, once.
func TestDefinitionBeside(t *testing.T) {
	e := drifttest.Read(t, aws.Read, drifttest.Files{
		"infra/template.yaml": "Resources:\n  A: {Type: AWS::Serverless::Api, Properties: {StageName: s, DefinitionUri: ../api/openapi.yaml, Auth: {DefaultAuthorizer: AWS_IAM}}}\n",
		"api/openapi.yaml":    "openapi: 3.0.1\npaths: {/a: {get: {x-amazon-apigateway-integration: {type: mock}}}}\n",
	}, "x", drift.Prod)
	if len(e.Operations) != 1 || find(t, e, "GET /a").Auth.Ways.Value.String() != "iam_sigv4" || len(e.Gaps) != 0 {
		t.Errorf("%+v", e.Operations)
	}
	if e := read(t, "Resources:\n  A: {Type: AWS::Serverless::Api, Properties: {StageName: s, DefinitionUri: s3://bucket/api.yaml}}\n"); len(e.Gaps) != 1 {
		t.Errorf("gaps: %v", e.Gaps)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	const secret = "S3cr3tS3cr3tS3cr3t42"
	e := read(t, template("      Variables: {password: "+secret+"}\n      Auth: {ApiKeyRequired: true}\n      DefinitionBody: {openapi: 3.0.1, paths: {/a: {get: {x-amazon-apigateway-integration: {type: http_proxy, uri: 'https://user:"+secret+"@u/x?token="+secret+"', requestParameters: {integration.request.header.Authorization: \"'Bearer "+secret+"'\"}}}}}}\n", "")+
		"  K: {Type: AWS::ApiGateway::ApiKey, Properties: {Value: "+secret+"}}\n")
	drifttest.Hidden(t, "template", e, []string{secret})
	if len(e.Literals) != 2 {
		t.Errorf("literals: %v", e.Literals)
	}
}

// FuzzRead holds that whatever stands in a file, reading ends, and what it returns keeps its promises.
func FuzzRead(f *testing.F) {
	f.Add(goodSAM)
	f.Add(template("      Auth:\n"+authorizer, ", Auth: {Authorizer: !If [C, L, P]}"))
	f.Add("openapi: 3.0.1\npaths: {/a: {get: {security: !Ref X, x-amazon-apigateway-integration: {uri: !Sub ['${A}', {A: !Sub '${A}'}]}}}}\n")
	f.Add("Resources:\n  A: {Type: AWS::ApiGateway::RestApi, Properties: {Body: {Fn::If: [C, {paths: {Fn::If: []}}, x]}}}\n  M: {Type: AWS::ApiGateway::Method, Properties: {RestApiId: !Ref A, ResourceId: !Ref M, HttpMethod: !Ref X}}\n")
	f.Add("Resources:\n  A: {Type: AWS::Serverless::WebSocketApi, Properties: {Routes: {$connect: {FunctionArn: !GetAtt F.Arn}, x: 1}, Auth: {AuthType: CUSTOM}}}\n")
	f.Add("Resources: {A: {Type: AWS::ApiGatewayV2::Api, Properties: {Body: []}}, R: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref A, RouteKey: ' '}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		e, _ := aws.Read(drifttest.Files{"t.yaml": text}.FS(), drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, "fuzz", e)
	})
}
