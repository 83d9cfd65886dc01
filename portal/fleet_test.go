package portal_test

import (
	"strings"
	"testing"

	"gatehouse/identity"
)

// The fleet's page shows the gateways, what was revoked, and makes enrolment tokens, for those who may.
func TestFleetPage(t *testing.T) {
	s := seed(t)
	page := s.admin.get("/gateways").want(200)
	page.says("The fleet", "revision 1", "revoked", "in force on 1 of 1 gateways", "Nothing was turned away")
	form := page.follow("Enrol a gateway")
	form.submit("/gateways/enrol", fill{"name": "Not a name", "environment": "live", "lifetime": "1h"}).want(422).says("is not a name of a gateway")
	done := form.submit("/gateways/enrol", fill{"name": "fra-1", "environment": "live", "lifetime": "1h"}).want(200)
	if token := done.text("#the-token"); !strings.HasPrefix(token, "ghe_") {
		t.Errorf("the token is %q", token)
	}
	s.admin.get("/gateways/gw_00000000000000000000000000/revoke").want(404)

	auditor := s.staffed("olaf@platform.example", "Olaf Auditor", identity.Auditor)
	seen := auditor.get("/gateways").want(200)
	if strings.Contains(seen.text("main"), "Enrol a gateway") {
		t.Error("an auditor is offered to enrol")
	}
	auditor.get("/gateways/enrol").submit("/gateways/enrol", fill{"name": "fra-2", "environment": "live", "lifetime": "1h"}).want(403)
	s.ines.get("/gateways").want(404)
}
