package apigee_test

import (
	"testing"

	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
)

func further(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := good()
	f["apiproxy/policies/first.xml"] = `<AssignMessage name="First"><Set><Headers><Header name="X-A">a</Header></Headers></Set><AssignTo type="request"/></AssignMessage>`
	f["apiproxy/policies/then.xml"] = `<AssignMessage name="Then"><Add><Headers><Header name="X-A">b</Header></Headers></Add><AssignTo type="request"/></AssignMessage>`
	f["apiproxy/policies/count.xml"] = `<DataCapture name="Count"><Capture><Collect ref="client_id"/><DataCollector>dc_client</DataCollector></Capture></DataCapture>`
	f = f.With(t, "apiproxy/proxies/default.xml", step("Code"), step("Code")+step("First")+step("Then")+step("Count"))
	return f, []drifttest.Mutation{
		unsure(in("proxies/default", "DR-TRF-10", step("First")+step("Then"), step("Then")+step("First"))),
		unsure(in("proxies/default", "DR-OBS-06", step("Count"), "")),
	}
}

// kept asks for a token of Apigee's own, and keeps what it knows of it.
func kept(t *testing.T) (drifttest.Files, []drifttest.Mutation) {
	f := good().With(t, "apiproxy/proxies/default.xml", step("Code"), step("Token")+step("Code"))
	f["apiproxy/policies/token.xml"] = `<OAuthV2 name="Token"><Operation>VerifyAccessToken</Operation><CacheExpiryInSeconds>30</CacheExpiryInSeconds></OAuthV2>`
	return f, []drifttest.Mutation{in("policies/token", "DR-AUT-16", "<CacheExpiryInSeconds>30</CacheExpiryInSeconds>", ""), in("policies/token", "DR-AUT-16", ">30<", ">120<")}
}

// TestTable seeds every rule that a bundle can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	const host = "it is set at the virtual host, which is not in a bundle"
	f, list := further(t)
	drifttest.Mutate(t, apigee.Read, f, list)
	held, answers := kept(t)
	drifttest.Mutate(t, apigee.Read, held, answers)
	drifttest.Whole(t, "apigee", map[string]string{
		"DR-AUT-15": "what asks elsewhere is code or a callout: DR-EXP-10",
		"DR-AUT-19": "there are no exemptions: a condition is DR-AUT-20, a route past the target is DR-AUT-02",
		"DR-CRT-02": host, "DR-CRT-03": host, "DR-CRT-05": host,
		"DR-CRT-07": drifttest.NotItsFiles, "DR-CRT-08": drifttest.NotItsFiles, "DR-CRT-11": drifttest.NotItsFiles,
		"DR-CRT-10": drifttest.NoVersions,
		"DR-CRT-13": drifttest.NoHeaderCert,
		"DR-EXP-05": "its default hosts are of the environment, not of a bundle",
		"DR-EXP-06": drifttest.NoProof,
		"DR-OBS-04": drifttest.NoRedaction,
		"DR-OBS-05": "tracing is configured for the environment, not in a bundle",
		"DR-OBS-08": drifttest.KeptBySink,
		"DR-OBS-09": drifttest.NoVerbosity,
		"DR-TRF-04": "whether a limit fails open is continueOnError: DR-TRF-01",
	}, mutations(), list, answers, []drifttest.Mutation{{Rule: "DR-AUT-01"}, {Rule: "DR-AUT-02"}, {Rule: "DR-AUT-14"}, {Rule: "DR-AUT-20"}, {Rule: "DR-TRF-05"}}) // those without files in TestMutations
}
