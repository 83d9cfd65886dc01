package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/identity"
)

// TestReview walks a review through the pages and without script: started by an operator, answered by an API owner.
func TestReview(t *testing.T) {
	s := seed(t)
	olga := s.staffed("olga@platform.example", "Olga Operator", identity.Operator)
	ann := s.staffed("ann@platform.example", "Ann Owner", identity.APIOwner)
	if strings.Contains(s.approver.get("/reviews").body, "Start a review") {
		t.Error("an approver sees the button to start a review")
	}
	s.rival.get("/reviews").want(200).says("Nothing waits for you")
	s.ines.get("/reviews/new").want(404)
	start := olga.get("/reviews").follow("Start a review").want(200)
	start.submit("/reviews", fill{"name": "", "ends": ""}).want(422).says("Fill this in")
	start.submit("/reviews", fill{"name": "Autumn", "ends": "2000-01-01"}).want(422)
	start.submit("/reviews", fill{"name": "Autumn", "ends": "2099-01-01"}).want(422).says("within a year")
	start.submit("/reviews", fill{"name": "Autumn", "ends": "soon"}).want(422).says("year-month-day")
	ends := time.Now().UTC().AddDate(0, 0, 10).Format(time.DateOnly)
	start.submit("/reviews", fill{"name": "Autumn", "ends": ends, "organization": "org_1"}).want(422).says("no such organization")
	start.submit("/reviews", fill{"name": "Autumn", "ends": ends, "environment": "live", "try": "yes"}).want(200).says("It would ask about 1 grant", "Nothing was started")
	review := start.submit("/reviews", fill{"name": "Autumn", "ends": ends, "environment": "live"}).want(200).says("The review has begun", "Autumn", "open", "1 grant", "Environment", "live")
	s.ines.get(review.path).want(404)

	// The partner's owner asked for the grant, and so may narrow or end it and not confirm it.
	own := s.ines.get("/reviews").want(200).follow("Verification").want(200).says("Is it still needed?", "Nobody confirms a grant that they asked for themselves", "never", "not used")
	if len(own.all("button[value=confirm]")) != 0 || len(own.all("button[value=end]")) != 1 {
		t.Error("who asked for the grant can confirm it, or cannot end it")
	}
	form := own.form(own.path, fill{})
	form.Set("answer", "confirm")
	s.ines.post(own.path, form).want(403).says("Nobody confirms a grant")
	s.rival.get(own.path).want(404)
	s.rival.post(own.path, url.Values{"answer": {"end"}, "reason": {"I can"}}).want(404)

	ask := ann.get("/reviews").follow("Verification").want(200)
	ask.submit(ask.path, fill{"answer": "end"}).want(422).says("Must be given")
	ask.submit(ask.path, fill{"answer": "perhaps"}).want(422)
	ask.submit(ask.path, fill{"answer": "narrow", "scopes": "", "reason": "less"}).want(422).says("Keep at least one scope")
	ask.submit(ask.path, fill{"answer": "narrow", "scopes": "verifications:read", "reason": "they only read"}).want(200).says("smaller now", "narrowed", "Ann Owner", "they only read")
	ask.submit(ask.path, fill{"answer": "confirm"}).want(409).says("answered already")
	s.ines.get(s.grant).says("verifications:read")
	olga.get(review.path).says("narrowed")
	cancel := olga.get(review.path).follow("Cancel the review")
	cancel.submit(cancel.path, fill{"reason": ""}).want(422)
	cancel.submit(cancel.path, fill{"reason": "enough"}).want(200).says("Nothing ends by it", "cancelled")
	crawl(t, olga, review.path)
}
