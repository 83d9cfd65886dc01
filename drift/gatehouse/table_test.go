package gatehouse_test

import (
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
)

// TestTable: every rule that the manifest can express is seeded; of the others it is said why it cannot.
func TestTable(t *testing.T) {
	const one = "tokens come from the environment's own issuer, and what is looked at in them is fixed"
	const listener = "what a listener takes of TLS is fixed, and its certificates are not held in the files"
	const telemetry = "what is logged, measured and traced is fixed"
	not := map[string]string{
		"DR-AUT-02": "a policy is only taken out aloud: DR-AUT-19", "DR-AUT-03": "a policy is part of the API that it stands in", "DR-AUT-04": "the order of kinds is fixed, and who calls comes first",
		"DR-AUT-14": drifttest.NoFallback, "DR-AUT-17": "keys are taken from headers alone", "DR-AUT-18": "keys never go on to the upstream", "DR-AUT-20": "policies have no conditions",
		"DR-EXP-02": "an operation is what its OpenAPI document says, and a wider one is another operation: DR-EXP-01", "DR-EXP-04": "addresses are not filtered in the manifest", "DR-EXP-05": drifttest.NoDefault, "DR-EXP-06": drifttest.NoProof,
		"DR-EXP-08": "it makes up no answers", "DR-EXP-09": "it has no filter of the kind", "DR-EXP-10": drifttest.NoCode, "DR-EXP-11": "a manifest that names what is not there cannot be published",
		"DR-TRF-02": "limits are shared by all gateways of an environment, over the windows of the plan: DR-TRF-07", "DR-TRF-04": "whether a limit fails open is start-up configuration", "DR-TRF-05": "a limit by credential needs a policy that finds one, or the manifest cannot be published", "DR-TRF-10": drifttest.OrderIsFixed,
	}
	seeded := map[string]bool{}
	for _, m := range append(mutations(), toldMutations()...) {
		seeded[m.Rule] = true
	}
	for _, r := range drift.Rules() {
		switch {
		case not[r.ID] != "" || seeded[r.ID]:
		case r.Area == drift.AreaCertificates:
			not[r.ID] = listener
		case r.Area == drift.AreaObservability:
			not[r.ID] = telemetry
		case r.ID >= "DR-AUT-05" && r.ID <= "DR-AUT-08" || r.ID >= "DR-AUT-10" && r.ID <= "DR-AUT-16":
			not[r.ID] = one
		}
	}
	drifttest.Whole(t, "gatehouse", not, mutations(), toldMutations())
}
