package aws_test

import (
	"testing"

	"gatehouse/drift/aws"
	"gatehouse/drift/drifttest"
)

func further() []drifttest.Mutation {
	return []drifttest.Mutation{
		alone(sam("DR-AUT-11", "issuer: https://login.example.com/", "issuer: https://login.microsoftonline.com/common/v2.0")),
		sam("DR-AUT-17", "IdentitySource: $request.header.Authorization", "IdentitySource: $request.querystring.token"),
		alone(sam("DR-CRT-09", "certificate/orders", "certificate/orders-dev")),
	}
}

// TestTable seeds every rule that API Gateway can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	drifttest.Mutate(t, aws.Read, good(), further())
	drifttest.Whole(t, "aws", map[string]string{
		"DR-AUT-04": drifttest.NoEarly,
		"DR-AUT-06": "a method has one authorizer, so that nothing is an alternative",
		"DR-AUT-10": "an authorizer names one issuer and takes its keys from there",
		"DR-AUT-12": "algorithms follow the issuer's keys",
		"DR-AUT-13": drifttest.NoExpiry,
		"DR-AUT-14": drifttest.NoFallback,
		"DR-AUT-15": "without the authorizer's answer the call is refused",
		"DR-AUT-18": "what an integration is sent of a credential is its mapping: DR-TRF-09",
		"DR-AUT-20": "authorizers have no conditions",
		"DR-CRT-02": "ciphers follow the security policy: DR-CRT-01",
		"DR-CRT-05": "client certificates are always checked against the truststore",
		"DR-CRT-07": drifttest.NotItsFiles, "DR-CRT-08": drifttest.NotItsFiles, "DR-CRT-11": drifttest.NotItsFiles,
		"DR-CRT-10": "certificates are renewed under one name",
		"DR-CRT-12": "it speaks HTTPS alone",
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-06": drifttest.NoProof,
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-10": "its telemetry goes to services that are reached over TLS",
		"DR-TRF-02": "throttling counts by the second, in one place",
		"DR-TRF-03": "what throttling counts by is fixed",
		"DR-TRF-04": "its limits are the service's own",
		"DR-TRF-05": "a limit by key comes with the key that it counts by",
		"DR-TRF-10": "mappings have no order",
	}, mutations(), further())
}
