package gatehouse_test

import (
	"slices"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
)

// TestTable: every rule that the manifest can express is seeded; of the others it is said why it cannot.
func TestTable(t *testing.T) {
	const listener = "what a listener takes of TLS is fixed"
	const telemetry = "what is logged, measured and traced is fixed"
	not := map[string]string{
		"DR-AUT-02": "a policy is only taken out aloud: DR-AUT-19", "DR-AUT-03": "a policy is part of the API that it stands in", "DR-AUT-04": "the order of kinds is fixed, and who calls comes first",
		"DR-AUT-11": "an issuer of Entra names its tenant, and iss is compared byte by byte", "DR-AUT-15": "no service decides whether a call passes", "DR-AUT-16": "no service decides whether a call passes",
		"DR-CRT-05": "a certificate counts only when an application has enrolled it", "DR-CRT-10": "certificates are files: no vault is named", "DR-CRT-13": "no field of a request is taken for a certificate",
		"DR-AUT-14": drifttest.NoFallback, "DR-AUT-17": "keys are taken from headers alone", "DR-AUT-18": "keys never go on to the upstream", "DR-AUT-20": "policies have no conditions",
		"DR-EXP-02": "an operation is what its OpenAPI document says, and a wider one is another operation: DR-EXP-01", "DR-EXP-04": "addresses are not filtered in the manifest", "DR-EXP-05": drifttest.NoDefault, "DR-EXP-06": drifttest.NoProof,
		"DR-EXP-08": "it makes up no answers", "DR-EXP-09": "it has no filter of the kind", "DR-EXP-10": drifttest.NoCode, "DR-EXP-11": "a manifest that names what is not there cannot be published",
		"DR-TRF-05": "a limit by credential needs a policy that finds one, or the manifest cannot be published", "DR-TRF-10": drifttest.OrderIsFixed,
	}
	_, certificates := shown(t)
	seeded := map[string]bool{}
	for _, m := range slices.Concat(mutations(), toldMutations(), workloadMutations(), certificates) {
		seeded[m.Rule] = true
	}
	for _, r := range drift.Rules() {
		switch {
		case not[r.ID] != "" || seeded[r.ID]:
		case r.Area == drift.AreaCertificates:
			not[r.ID] = listener
		case r.Area == drift.AreaObservability:
			not[r.ID] = telemetry
		}
	}
	drifttest.Whole(t, "gatehouse", not, mutations(), toldMutations(), workloadMutations(), certificates)
}
