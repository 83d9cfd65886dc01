package portal_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestPersonalData downloads what is kept of somebody, and erases them: by herself, and by an administrator.
func TestPersonalData(t *testing.T) {
	w := newWorld(t)
	ines := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	invite := ines.get("/organization/invite")
	invite.submit(invite.path, fill{"email": "dora@nordlicht.example", "roles": "owner"}).want(200)
	dora := w.visitor()
	dora.get(w.letter("dora@nordlicht.example")).submit("/invitation", fill{"name": "Dora Dolittle", "password": password}).want(200)
	dora.get("/signin").submit("/signin", fill{"email": "dora@nordlicht.example", "password": password}).want(200)

	a := dora.get("/account/data").want(200)
	var d struct{ Person struct{ Email string } }
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || d.Person.Email != "dora@nordlicht.example" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("her data: %v %.200s", err, a.body)
	}
	admin := w.staffed2()
	page := admin.get("/organizations").follow("Nordlicht Bank").follow("Dora Dolittle")
	if a := page.follow("Download what is kept of them").want(200); !strings.Contains(a.body, "dora@nordlicht.example") {
		t.Error("the administrator's download is not of her")
	}
	if a := ines.get("/account").follow("Download what is kept of you"); strings.Contains(a.body, "Dolittle") {
		t.Error("what is kept of one holds another's name")
	}
	if a := ines.get(page.path + "/data"); a.status != http.StatusForbidden {
		t.Errorf("an owner downloads a member's: %d", a.status)
	}
	erasure := page.follow("Erase them").want(200)
	erasure.submit(erasure.path, fill{"reason": "asked for it"}).want(200)
	if a := dora.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("her session goes on")
	}
	if a := admin.get("/organizations").follow("Nordlicht Bank"); strings.Contains(a.body, "Dolittle") {
		t.Error("she is still listed")
	}
	own := ines.get("/account").follow("Erase what is kept of you")
	own.submit("/account/erase", nil).want(409).says("last active owner")
	ines.get("/account").want(200)
}
