package browsertest

import "testing"

// TestOperator walks the pages of those who run the platform: the drift review with a finding, stand-ins and webhooks.
func TestOperator(t *testing.T) {
	p := run(t)
	b := open(t, p.Portal)
	signIn(b, p)
	b.visit("/drift")
	b.says("Nothing has been reviewed yet")
	b.press("Review now")
	b.says("drift found", "north", "south")
	b.picture("operator-01-drift")
	b.press("Operation requires authentication in one environment and none in the other")
	b.says("weaker", "DR-AUT-01")
	b.picture("operator-02-finding")
	b.visit("/absences")
	b.picture("operator-03-stand-ins")
	b.visit("/webhooks")
	b.picture("operator-04-webhooks")
	b.visit("/people")
	b.picture("operator-05-people")
}
