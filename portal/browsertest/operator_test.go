package browsertest

import "testing"

// TestOperator walks the pages of those who run the platform: the drift review with a finding and an upload, stand-ins and webhooks.
func TestOperator(t *testing.T) {
	p := run(t)
	b := open(t, p.Portal)
	signIn(b, p)
	b.visit("/drift")
	b.says("Nothing has been reviewed yet")
	b.press("Review now")
	b.says("drift found", "north", "south")
	b.says("Uploaded files", "west")
	b.picture("operator-01-drift")
	b.visit("/drift/bundles/west")
	b.says("Files of west")
	b.picture("operator-06-files")
	b.visit("/drift")
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
