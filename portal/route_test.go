package portal_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/identity"
)

// TestQuestionRenewalAndStandIn walks what happens around a decision, through the pages and without script.
func TestQuestionRenewalAndStandIn(t *testing.T) {
	s := seed(t)
	ask := s.approver.get(s.open + "/decide").follow("Ask a question")
	ask.submit(ask.path, fill{"text": ""}).want(422).says("Fill this in")
	ask.submit(ask.path, fill{"text": "Whose documents are these?"}).want(200).says("It is decided once it has been answered")
	decide := s.approver.get(s.open + "/decide")
	decide.submit(decide.path, fill{"decision": "approve"}).want(409).says("waits for an answer")
	if a := s.rival.get(s.open + "/answer"); a.status != 404 {
		t.Errorf("another organization sees the question: %d", a.status)
	}
	answer := s.ines.get(s.open).says("Whose documents are these?").follow("Answer")
	answer.submit(answer.path, fill{"text": "Our customers'."}).want(200).says("Our customers'.")

	narrow := s.ines.get(s.grant).follow("Narrow")
	narrow.submit(narrow.path, fill{"scopes": "verifications:read", "reason": "we only read"}).want(200).says("smaller now")
	renew := s.ines.get(s.grant).follow("Renew or grow")
	grown := renew.submit(renew.path, fill{"scopes": "verifications:read\x00verifications:write", "purpose": "and start them"}).want(200).says("growth")
	s.approver.get(grown.path + "/decide").says("a grant that stands")

	otto := s.staffed("otto@platform.example", "Otto Operator", identity.Operator)
	stand := ""
	page := s.approver.get("/absences")
	for _, o := range page.all("#f-stand_in option") {
		if words(o) == "Otto Operator" {
			stand = attr(o, "value")
		}
	}
	page.says("Nobody is away")
	page.submit("/absences", fill{"stand_in": stand}).want(422)
	page.submit("/absences", fill{"stand_in": stand, "until": "2099-01-01"}).want(422).says("at most a year")
	set := page.submit("/absences", fill{"stand_in": stand, "until": time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)}).want(200).says("Otto Operator", "Vera Approver")
	form := set.all(`form[action^="/absences/"]`)
	if len(form) != 1 {
		t.Fatalf("%d forms to call it off", len(form))
	}
	if a := otto.get(grown.path + "/decide"); strings.Contains(a.body, "is decided by people with the role") {
		t.Error("the stand-in may not decide")
	}
	set.submit(attr(form[0], "action"), nil).want(200).says("Nobody is away")

	// In the end.
	org := s.admin.get("/organizations").follow("Nordlicht Bank")
	end := org.follow("Offboard")
	end.submit(end.path, fill{"reason": "the contract ended"}).want(200).says("Everything of the organization has ended", "The end of trust")
	s.admin.get(s.grant).says("ended")
	if e := s.admin.get("/evidence/" + strings.TrimPrefix(org.path, "/organizations/")); e.status != 200 && e.status != 503 {
		t.Errorf("evidence: %d", e.status)
	}
}
