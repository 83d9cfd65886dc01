package portal_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestInvitations lives an invitation through the pages: sent, seen, accepted once, and what strangers see of it.
func TestInvitations(t *testing.T) {
	w := newWorld(t)
	ines := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	rolf := w.partner("Südlicht", "Rolf Rival", "rolf@suedlicht.example")
	page := ines.get("/organization").want(200).follow("Invite somebody")
	page.submit("/organization/invite", fill{"email": "nonsense", "roles": "developer"}).want(422)
	page.submit("/organization/invite", fill{"email": "dora@nordlicht.example", "roles": "developer"}).want(200).says("The invitation is on its way", "dora@nordlicht.example", "open")
	link := w.letter("dora@nordlicht.example")
	dora := w.visitor()
	form := dora.get(link).want(200).says("Nordlicht Bank", "dora@nordlicht.example", "developer")
	twice := w.visitor().get(link) // the same link in another browser
	form.submit("/invitation", fill{"name": "Dora", "password": "short"}).want(422)
	form.submit("/invitation", fill{"name": "Dora", "password": password}).want(200).says("Welcome")
	twice.submit("/invitation", fill{"name": "Other", "password": password}).want(410)
	dora.get(link).want(410)
	dora.get("/signin").submit("/signin", fill{"email": "dora@nordlicht.example", "password": password}).want(200)
	if a := dora.get("/organization/invite"); strings.Contains(a.body, `value="owner"`) {
		t.Error("a developer is offered to invite an owner")
	}
	member := ines.get("/organization").follow("Dora").want(200)
	rolf.get(member.path).want(404)
	rolf.post(member.path, url.Values{"roles": {"owner"}, "state": {"disabled"}}).want(404)
	dora.post(member.path, url.Values{"roles": {"owner"}, "state": {"active"}}).want(403)
	stale := ines.get(member.path)
	member.submit(member.path, fill{"roles": "viewer", "state": "active"}).want(200).says("are saved")
	stale.submit(member.path, fill{"roles": "owner", "state": "active"}).want(412)

	ines.get("/account").follow("Leave the organization").submit("/account/leave", nil).want(409).says("last active owner")
	leave := ines.get("/account/leave")
	options := leave.all("option[value^=per_]")
	if len(options) != 1 {
		t.Fatalf("%d successors are offered, want Dora alone", len(options))
	}
	leave.submit("/account/leave", fill{"successor": attr(options[0], "value")}).want(200).says("You have left")
	if a := ines.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Errorf("who has left sees %s", a.path)
	}
	dora.get("/organization").want(200).says("owner", "disabled")
}
