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

// TestTable seeds every rule that a bundle can express, and says of the others why it cannot.
func TestTable(t *testing.T) {
	const host = "it is set at the virtual host, which is not in a bundle"
	f, list := further(t)
	drifttest.Mutate(t, apigee.Read, f, list)
	drifttest.Whole(t, "apigee", map[string]string{
		"DR-AUT-15": "what asks elsewhere is code or a callout: DR-EXP-10",
		"DR-AUT-16": "its own checks keep no answers",
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
	}, mutations(), list, []drifttest.Mutation{{Rule: "DR-AUT-01"}, {Rule: "DR-AUT-02"}, {Rule: "DR-AUT-14"}, {Rule: "DR-AUT-20"}, {Rule: "DR-TRF-05"}}) // the last five in TestMutations
}
