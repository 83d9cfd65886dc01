package aws_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/aws"
	"gatehouse/drift/drifttest"
)

// goodSAM is a REST API behind a domain that asks for client certificates, and an HTTP API at its own address.
const goodSAM = `Transform: AWS::Serverless-2016-10-31
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      RetentionInDays: 90
  Orders:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DisableExecuteApiEndpoint: true
      TracingEnabled: true
      EndpointConfiguration: {Type: REGIONAL}
      Domain:
        DomainName: api.example.com
        CertificateArn: arn:aws:acm:eu-central-1:1:certificate/orders
        SecurityPolicy: TLS_1_2
        MutualTlsAuthentication:
          TruststoreUri: s3://trust/orders.pem
          TruststoreVersion: abc
      Cors:
        AllowOrigin: "'https://app.example.com'"
        AllowMethods: "'GET'"
      Auth:
        DefaultAuthorizer: People
        AddDefaultAuthorizerToCorsPreflight: false
        AddApiKeyRequiredToCorsPreflight: false
        ApiKeyRequired: true
        UsagePlan:
          CreateUsagePlan: PER_API
          Quota: {Limit: 10000, Period: DAY}
        Authorizers:
          People:
            UserPoolArn: arn:aws:cognito-idp:eu-central-1:1:userpool/people
          Check:
            FunctionArn: arn:aws:lambda:eu-central-1:1:function:check
            Identity: {Header: Authorization, ReauthorizeEvery: 60}
        ResourcePolicy:
          IpRangeWhitelist: [10.0.0.0/8]
          IpRangeBlacklist: [10.9.0.0/16]
      AccessLogSetting:
        DestinationArn: !GetAtt Logs.Arn
        Format: '{"id":"$context.requestId","status":"$context.status"}'
      MethodSettings:
      - ResourcePath: "/*"
        HttpMethod: "*"
        LoggingLevel: ERROR
        MetricsEnabled: true
        DataTraceEnabled: false
        ThrottlingRateLimit: 50
        ThrottlingBurstLimit: 100
      DefinitionBody:
        openapi: 3.0.1
        info: {title: orders, version: "1"}
        paths:
          /orders/{id}:
            get:
              x-amazon-apigateway-integration:
                type: http
                httpMethod: GET
                uri: https://orders.example.com/orders
                timeoutInMillis: 5000
                requestParameters:
                  integration.request.header.X-User: context.authorizer.claims.sub
                requestTemplates:
                  application/json: "$input.body"
          /checked:
            get:
              security:
              - Check: []
              x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: "https://orders.example.com/checked"}
  Wall:
    Type: AWS::WAFv2::WebACLAssociation
    Properties:
      WebACLArn: !GetAtt Rules.Arn
      ResourceArn: !Sub arn:aws:apigateway:eu-central-1::/restapis/${Orders}/stages/v1
  Key:
    Type: AWS::ApiGateway::ApiKey
    Properties: {Enabled: true}
  Events:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: [https://app.example.com]
        AllowCredentials: true
      Auth:
        DefaultAuthorizer: Partners
        Authorizers:
          Partners:
            AuthorizationScopes: [events.read]
            IdentitySource: $request.header.Authorization
            JwtConfiguration:
              issuer: https://login.example.com/
              audience: [events]
  Handler:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Read:
          Type: HttpApi
          Properties:
            ApiId: !Ref Events
            Method: get
            Path: /events/{id}
        Write:
          Type: HttpApi
          Properties:
            ApiId: !Ref Events
            Method: post
            Path: /events
`

func sam(rule, old, new string) drifttest.Mutation {
	return drifttest.Mutation{Rule: rule, File: "template.yaml", Old: old, New: new}
}

func alone(m drifttest.Mutation) drifttest.Mutation { m.Self = true; return m }

func as(d drift.Direction, m drifttest.Mutation) drifttest.Mutation { m.Direction = d; return m }

func also(m drifttest.Mutation, old, new string) drifttest.Mutation {
	m.Also = [2]string{old, new}
	return m
}

func mutations() []drifttest.Mutation {
	write := "            Method: post\n"
	uri := "uri: https://orders.example.com/orders"
	return []drifttest.Mutation{
		sam("DR-AUT-01", write, write+"            Auth: {Authorizer: NONE}\n"),
		sam("DR-AUT-01", "        DefaultAuthorizer: Partners\n", ""),
		alone(also(sam("DR-AUT-02", "              - Check: []\n", "              - Loose: []\n"), "        info: {title: orders, version: \"1\"}\n", "        info: {title: orders, version: \"1\"}\n        components: {securitySchemes: {Loose: {type: http, scheme: bearer}}}\n")),
		alone(sam("DR-AUT-03", "        DefaultAuthorizer: Partners\n", "")),
		as(drift.NoneWeaker, also(sam("DR-AUT-05", write, write+"            Auth: {Authorizer: AWS_IAM}\n"), "        DefaultAuthorizer: Partners\n", "        DefaultAuthorizer: Partners\n        EnableIamAuthorizer: true\n")),
		sam("DR-AUT-07", "            UserPoolArn: arn:aws:cognito-idp:eu-central-1:1:userpool/people\n", "            UserPoolArn: [arn:aws:cognito-idp:eu-central-1:1:userpool/people, arn:aws:cognito-idp:eu-central-1:1:userpool/everybody]\n"),
		sam("DR-AUT-08", "audience: [events]", "audience: [events, other]"),
		sam("DR-AUT-09", "            AuthorizationScopes: [events.read]\n", ""),
		sam("DR-AUT-16", "ReauthorizeEvery: 60", "ReauthorizeEvery: 3600"),
		sam("DR-AUT-19", write, write+"            Auth: {Authorizer: NONE}\n"),
		sam("DR-AUT-21", "        ApiKeyRequired: true\n", ""),
		alone(sam("DR-AUT-22", "Properties: {Enabled: true}", "Properties: {Enabled: true, Value: abcdefgh12345678abcd}")),
		sam("DR-CRT-01", "SecurityPolicy: TLS_1_2", "SecurityPolicy: TLS_1_0"),
		alone(sam("DR-CRT-01", "SecurityPolicy: TLS_1_2", "SecurityPolicy: TLS_1_0")),
		sam("DR-CRT-03", "        MutualTlsAuthentication:\n          TruststoreUri: s3://trust/orders.pem\n          TruststoreVersion: abc\n", ""),
		sam("DR-CRT-03", "      DisableExecuteApiEndpoint: true\n", ""),
		as(drift.NoneWeaker, sam("DR-CRT-04", "          TruststoreVersion: abc\n", "")),
		sam("DR-CRT-06", uri, "uri: http://orders.example.com/orders"),
		alone(sam("DR-CRT-06", uri, "uri: http://orders.example.com/orders")),
		sam("DR-CRT-06", uri, uri+"\n                tlsConfig: {insecureSkipVerification: true}"),
		sam("DR-OBS-01", "      AccessLogSetting:\n        DestinationArn: !GetAtt Logs.Arn\n        Format: '{\"id\":\"$context.requestId\",\"status\":\"$context.status\"}'\n", ""),
		sam("DR-OBS-02", `"id":"$context.requestId",`, ""),
		sam("DR-OBS-03", "DataTraceEnabled: false", "DataTraceEnabled: true"),
		alone(sam("DR-OBS-03", "DataTraceEnabled: false", "DataTraceEnabled: true")),
		sam("DR-OBS-05", "      TracingEnabled: true\n", ""),
		sam("DR-OBS-06", "MetricsEnabled: true", "MetricsEnabled: false"),
		alone(sam("DR-OBS-07", "!GetAtt Logs.Arn", "arn:aws:logs:eu-central-1:1:log-group:orders-dev")),
		sam("DR-OBS-08", "RetentionInDays: 90", "RetentionInDays: 7"),
		sam("DR-OBS-09", "LoggingLevel: ERROR", "LoggingLevel: OFF"),
		sam("DR-OBS-11", "        info: {title: orders, version: \"1\"}\n", "        info: {title: orders, version: \"1\"}\n        x-amazon-apigateway-gateway-responses: {DEFAULT_5XX: {responseTemplates: {application/json: \"$context.integrationErrorMessage\"}}}\n"),
		sam("DR-TRF-01", "        ThrottlingRateLimit: 50\n", ""),
		sam("DR-TRF-01", "ThrottlingRateLimit: 50", "ThrottlingRateLimit: -1"),
		sam("DR-TRF-06", "          Quota: {Limit: 10000, Period: DAY}\n", ""),
		sam("DR-TRF-06", "Limit: 10000", "Limit: 900000"),
		sam("DR-TRF-07", "ThrottlingRateLimit: 50", "ThrottlingRateLimit: 5000"),
		sam("DR-TRF-08", "timeoutInMillis: 5000", "timeoutInMillis: 29000"),
		as(drift.NoneWeaker, sam("DR-TRF-09", "header.X-User: context.authorizer.claims.sub", "header.X-User: method.request.header.X-User")),
		sam("DR-EXP-01", write, "            Method: post\n            Path: /events\n        Debug:\n          Type: HttpApi\n          Properties:\n            ApiId: !Ref Events\n            Method: get\n            Path: /debug\n        Again:\n          Type: HttpApi\n          Properties:\n            ApiId: !Ref Events\n"+write),
		sam("DR-EXP-02", write, "            Method: any\n"),
		sam("DR-EXP-03", "AllowOrigins: [https://app.example.com]", "AllowOrigins: [https://app.example.com, https://evil.test]"),
		alone(sam("DR-EXP-03", "AllowOrigins: [https://app.example.com]", `AllowOrigins: ["*"]`)),
		sam("DR-EXP-03", `"'https://app.example.com'"`, `"'*'"`),
		sam("DR-EXP-04", "IpRangeWhitelist: [10.0.0.0/8]", "IpRangeWhitelist: [0.0.0.0/0]"),
		sam("DR-EXP-04", "          IpRangeBlacklist: [10.9.0.0/16]\n", ""),
		alone(sam("DR-EXP-05", "      DisableExecuteApiEndpoint: true\n", "")),
		alone(sam("DR-EXP-07", "https://orders.example.com/checked", "https://orders.dev.example.com/checked")),
		alone(sam("DR-EXP-08", "type: http_proxy, httpMethod: GET", "type: mock, httpMethod: GET")),
		sam("DR-EXP-09", "  Wall:\n    Type: AWS::WAFv2::WebACLAssociation", "  Wall:\n    Type: AWS::WAFv2::IPSet"),
		as(drift.NoneWeaker, sam("DR-EXP-10", `"$input.body"`, `"$input.path('$')"`)),
		alone(sam("DR-EXP-11", "        info: {title: orders, version: \"1\"}\n        paths:\n", "        info: {title: orders, version: \"1\"}\n        paths:\n          /elsewhere: {$ref: other.yaml}\n")),
	}
}

func good() drifttest.Files { return drifttest.Files{"template.yaml": goodSAM} }

func TestMutations(t *testing.T) {
	found, all := drifttest.Mutate(t, aws.Read, good(), mutations())
	t.Logf("%d of %d weakenings found", found, all)
}

func TestFormatMeansNothing(t *testing.T) {
	other := strings.NewReplacer(
		"!GetAtt Logs.Arn", "{Fn::GetAtt: [Logs, Arn]}",
		"!Ref Events", "{Ref: Events}",
		"      TracingEnabled: true\n", "",
		"      StageName: v1\n", "      StageName: 'v1'\n",
		"Method: get\n            Path: /events/{id}", "Path: /events/{event}\n            Method: GET",
		"ThrottlingRateLimit: 50", "ThrottlingRateLimit: '50'",
		"AuthorizationScopes: [events.read]", "AuthorizationScopes:\n            - events.read",
		"DataTraceEnabled: false", "CachingEnabled: false",
	).Replace(goodSAM)
	other = "# a comment\n" + strings.Replace(other, "Resources:\n", "Globals:\n  Api: {TracingEnabled: true}\nResources:\n", 1)
	drifttest.Unmoved(t, aws.Read, good(), drifttest.Files{"deploy/infra.yml": other})
}
