package portal_test

import (
	"encoding/base32"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/identity"
)

// TestSecondFactor sets an authenticator app up, signs in with it and with a recovery code, and has it reset.
func TestSecondFactor(t *testing.T) {
	w := newWorld(t)
	v := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	page := v.get("/account").submit("/account/authenticator", nil).want(200).says("Scan this with the app")
	if page.one("svg.qr path") == nil || strings.Contains(page.body, "otpauth") {
		t.Error("the QR code is not a picture alone")
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(page.text("#the-app-key"))
	if err != nil {
		t.Fatal(err)
	}
	page = page.submit("/account/authenticator/finish", fill{"code": "12"}).want(422).says("wrong, or over")
	if strings.Contains(page.body, "the-app-key") {
		t.Error("the key is shown again")
	}
	page = page.submit("/account/authenticator/finish", fill{"code": identity.OneTimeCode(key, identity.CodeStep(time.Now()))}).want(200).says("shown this once")
	codes := strings.Fields(page.text("#the-codes"))
	if len(codes) != 10 {
		t.Fatalf("recovery codes %q", codes)
	}
	v.get("/account").says("An authenticator app", "10 recovery codes")

	late := w.visitor()
	second := late.get("/signin?return=/account").submit("/signin", fill{"email": "ines@nordlicht.example", "password": password}).want(200).says("One more step")
	if a := late.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Fatal("the password alone opened the door")
	}
	second = second.submit("/signin/second", fill{"code": "000000"}).want(401).says("wrong, or over")
	if a := second.submit("/signin/second", fill{"code": codes[0]}).want(200); a.path != "/account" {
		t.Errorf("after signing in the page is %s", a.path)
	}
	second.submit("/signin/second", fill{"code": codes[1]}).want(410)
	late.get("/account/recovery-codes").submit("/account/recovery-codes", fill{"code": "000000"}).want(422)
	late.get("/account/recovery-codes").submit("/account/recovery-codes", fill{"code": codes[2]}).want(200).says("Your new recovery codes")
	late.get("/account/confirm?return=/tokens").submit("/account/confirm?return=%2Ftokens", fill{"code": "000000"}).want(422)

	admin := w.staffed2()
	person := admin.get("/organizations").follow("Nordlicht Bank").follow("Ines Ito")
	reset := person.follow("Reset the second factor")
	reset.submit(reset.path, nil).want(422)
	reset.submit(reset.path, fill{"reason": "she called from the number we know"}).want(200).says("The second factor is reset")
	if a := late.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("her session goes on")
	}
	v = w.visitor()
	v.get("/signin").submit("/signin", fill{"email": "ines@nordlicht.example", "password": password}).want(200).says("Create your first application")
	if a := v.get(reset.path); a.status != http.StatusNotFound && a.status != http.StatusOK {
		t.Errorf("her own reset page: %d", a.status)
	}
	v.post(reset.path, url.Values{"reason": {"mine"}}).want(403)
}

// TestADemandedSecondFactor lets nobody do anything before they have one.
func TestADemandedSecondFactor(t *testing.T) {
	w := newWorld(t)
	w.control.SecondFactor = []identity.Role{identity.Owner}
	v := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	for _, path := range []string{"/applications", "/tokens", "/organization"} {
		if a := v.get(path).want(200).says("Your role demands a second factor"); a.path != "/account" {
			t.Errorf("%s led to %s", path, a.path)
		}
	}
	page := v.get("/account").submit("/account/authenticator", nil).want(200)
	key, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(page.text("#the-app-key"))
	page.submit("/account/authenticator/finish", fill{"code": identity.OneTimeCode(key, identity.CodeStep(time.Now()))}).want(200)
	v.get("/applications").want(200).says("Applications")
}
