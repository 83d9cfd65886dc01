package portal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"gatehouse/feed/link"
	"gatehouse/identity"
)

// join makes a gateway of live in the region, as one that dials in does.
func (s *seeded) join(region, name string) {
	s.t.Helper()
	ctx := context.Background()
	e, err := s.control.EnrolGateway(ctx, identity.Actor{Class: identity.Host}, "live", region, name, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.control.Join(ctx, link.Joining{Token: e.Token.Reveal(), Request: request, Now: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
}

// region adds one to live through the pages, as a first or a later one.
func (s *seeded) region(name string, first bool) *answer {
	s.t.Helper()
	form := s.admin.get("/environments/live").follow("Add a region").want(200)
	typed := fill{"region": name, "reason": "contracts name it"}
	if first {
		typed["upgraded"] = "yes"
	}
	return form.submit("/environments/live/regions/new", typed)
}

// An operator adds a region through the pages; the first one is asked to be confirmed, and what is wrong stands beside its field.
func TestAddingARegion(t *testing.T) {
	s := seed(t)
	otto := s.staffed("otto@platform.example", "Otto Operator", identity.Operator)
	form := otto.get("/environments/live").follow("Add a region").want(200).says("This is the first region", "cannot use the database from now on")
	form.submit(form.path, fill{"region": "eu", "reason": "the contract"}).want(422).says("Choose at least one")
	form.submit(form.path, fill{"region": "eu", "upgraded": "yes"}).want(422).says("Fill this in")
	form.submit(form.path, fill{"region": "", "upgraded": "yes", "reason": "the contract"}).want(422).says("Fill this in")
	bad := form.submit(form.path, fill{"region": "E U", "upgraded": "yes", "reason": "the contract"}).want(422).says("is not a name of a region")
	if got := attr(bad.one("#f-region"), "value"); got != "E U" || !strings.Contains(bad.text(".summary"), "Region") {
		t.Errorf("the form keeps %q and says %q", got, bad.text(".summary"))
	}
	sound(t, bad)
	done := bad.submit(form.path, fill{"region": "eu", "reason": "contracts name the EU"}).want(200)
	if done.path != "/environments/live" {
		t.Errorf("leads to %s", done.path)
	}
	done.says("Regions", "eu", "in use", "none yet")
	sound(t, done)
	if text := done.text("body"); !strings.Contains(text, "gateways can be enrolled there") {
		t.Errorf("nothing says that it is done: %s", text)
	}
	again := done.follow("Add a region")
	if strings.Contains(again.text("main"), "first region") {
		t.Error("the second region is asked about as the first")
	}
	again.submit(again.path, fill{"region": "eu", "reason": "once more"}).want(409).says("is served in eu already")
	again.submit(again.path, fill{"region": "us", "reason": "contracts name the US"}).want(200).says("us")
	otto.get("/environments").says("in eu, us")
	otto.get("/environments/elsewhere/regions/new").want(404)
	otto.get("/audit").says("added a region to the environment").follow("added a region to the environment").want(200).says("contracts name the US")

	enrol := otto.get("/gateways/enrol").says("Region")
	enrol.submit("/gateways/enrol", fill{"name": "nowhere-1", "environment": "live"}).want(422).says("ive is served in regions: say in which of eu, us")
	enrol.submit("/gateways/enrol", fill{"name": "lost-1", "environment": "test", "region": "eu"}).want(422).says("not served in the region")
	enrol.submit("/gateways/enrol", fill{"name": "fra-1", "environment": "live", "region": "eu"}).want(200).says("fra-1")
}

// A region in which a gateway or an organization is stays, and the page says what is to be done first.
func TestRemovingARegion(t *testing.T) {
	s := seed(t)
	s.region("eu", true).want(200)
	s.region("us", false).want(200)
	remove := func(region string) *answer {
		t.Helper()
		page := s.admin.get("/environments/live/regions/"+region+"/remove").want(200).says("Remove the region "+region, "Active gateways there")
		sound(t, page)
		page.submit(page.path, nil).want(422).says("Fill this in")
		return page.submit(page.path, fill{"reason": "nobody needs it"})
	}
	org := s.admin.get("/organizations").follow("Nordlicht Bank")
	pin := org.follow("Choose a region")
	pin.submit(pin.path, fill{"region": "us", "reason": "its contract says so"}).want(200)
	remove("us").want(409).says("rganizations are pinned to us: move them first")

	s.join("eu", "fra-1")
	if text := s.admin.get("/environments/live/regions/eu/remove").text("dl"); !strings.Contains(text, "Active gateways there 1") {
		t.Errorf("the facts are %q", text)
	}
	remove("eu").want(409).says("he gateway fra-1 is in eu: drain it first")
	drain := s.admin.get("/gateways").says("live, eu").follow("Drain")
	drain.submit(drain.path, fill{"reason": "it moves"}).want(200)
	gone := remove("eu").want(200)
	if strings.Contains(gone.text("table"), "eu") || !strings.Contains(gone.text("body"), "is not served in the region any more") {
		t.Errorf("after it: %s", gone.text("body"))
	}
	s.admin.get("/environments/live/regions/eu/remove").want(404)

	move := s.admin.get(org.path).says("us").follow("Choose a region")
	move.submit(move.path, fill{"region": "everywhere", "reason": "the contract changed"}).want(200)
	remove("us").want(200)
	if text := s.admin.get("/environments/live").text("main"); strings.Contains(text, "Regions") {
		t.Errorf("regions are spoken of where there are none: %s", text)
	}
}

// An organization is pinned and moved through its page, with a reason; it is offered where it is not yet.
func TestPinningAnOrganization(t *testing.T) {
	s := seed(t)
	org := s.admin.get("/organizations").follow("Nordlicht Bank").path
	if strings.Contains(s.admin.get(org).text("main"), "Choose a region") {
		t.Error("a region is offered where there is none")
	}
	s.region("eu", true).want(200)
	s.region("us", false).want(200)
	options := func(a *answer) (out string) {
		for _, o := range a.all("#f-region option") {
			out += words(o) + "|"
		}
		return out
	}
	pin := s.admin.get(org).follow("Choose a region").want(200).says("Region", "everywhere", "no others, know its grants")
	sound(t, pin)
	if got := options(pin); got != "Choose…|eu|us|" {
		t.Errorf("offered are %s", got)
	}
	pin.submit(pin.path, fill{"region": "eu"}).want(422).says("Fill this in")
	pin.submit(pin.path, fill{"reason": "the contract"}).want(422).says("Choose one")
	pin.submit(pin.path, fill{"region": "eu", "reason": "the contract names the EU"}).want(200).says("eu", "gateways of other regions are not told")
	move := s.admin.get(org).follow("Choose a region")
	if got := options(move); got != "Choose…|Everywhere|us|" {
		t.Errorf("offered are %s", got)
	}
	pin.submit(pin.path, fill{"region": "us", "reason": "as it stood before"}).want(412).says("Somebody changed this")
	move.submit(move.path, fill{"region": "us", "reason": "they moved"}).want(200).says("us")
	s.admin.get(s.key).want(200)
	s.admin.get("/audit").says("chose the region of the organization", "moved the grant")
}

// Whoever does not run the platform sees the regions if they are staff, changes none, and is offered none.
func TestRegionsAreForOperators(t *testing.T) {
	s := seed(t)
	s.region("eu", true).want(200)
	org := s.admin.get("/organizations").follow("Nordlicht Bank").path
	posts := map[string]fill{"/environments/live/regions/new": {"region": "us", "reason": "I can"}, "/environments/live/regions/eu/remove": {"reason": "I can"}, org + "/pin": {"region": "eu", "reason": "I can"}}
	olaf := s.staffed("olaf@platform.example", "Olaf Auditor", identity.Auditor)
	for _, v := range []*visitor{olaf, s.approver} {
		page := v.get("/environments/live").want(200).says("Regions", "eu")
		if text := page.text("main"); strings.Contains(text, "Add a region") || strings.Contains(text, "Remove") {
			t.Error("a region's change is offered to who may not")
		}
		for path, typed := range posts {
			v.get(path).submit(path, typed).want(403)
		}
	}
	for path := range posts {
		s.ines.get(path).want(404)
		if a := s.visitor().get(path); !strings.HasPrefix(a.path, "/signin") {
			t.Errorf("%s leads a stranger to %s", path, a.path)
		}
		s.ines.post(path, map[string][]string{"region": {"us"}, "upgraded": {"yes"}, "reason": {"I can"}}).want(404)
	}
	if n := len(s.admin.get("/environments/live").all(`a[href$="/remove"]`)); n != 1 {
		t.Errorf("live has %d regions after all that was refused, want 1", n)
	}
}
