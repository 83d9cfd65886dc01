package control_test

import (
	"encoding/base32"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
)

// app is an authenticator app with the key that an enrolment told.
type app struct {
	w   *world
	key []byte
}

// code is what the app shows, a step further each time, so that it was never used before.
func (a app) code() string {
	a.w.clock.pass(30 * time.Second)
	return identity.OneTimeCode(a.key, identity.CodeStep(a.w.clock.Now()))
}

func (w *world) enrolled(a identity.Actor) (app, []secret.Value) {
	w.t.Helper()
	e := must(w.EnrolAuthenticator(w.ctx, a))(w.t)
	u, err := url.Parse(e.URL.Reveal())
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("secret") != e.Key.Reveal() {
		w.t.Fatalf("the address of the QR code is %s", e.URL.Reveal())
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.Key.Reveal())
	if err != nil || len(key) != 20 {
		w.t.Fatalf("the key: %v", err)
	}
	device := app{w, key}
	return device, must(w.FinishAuthenticator(w.ctx, a, device.code()))(w.t)
}

// first shows the first factor and returns what waits for the second.
func (w *world) first(email, address string) secret.Value {
	w.t.Helper()
	in := must(w.SignIn(w.ctx, at(address), email, secret.New(password), "test"))(w.t)
	if in.Pending.Empty() || !in.Token.Empty() || in.Session.ID != "" || in.Person.ID != "" {
		w.t.Fatalf("signing in without the second factor gave %+v", in)
	}
	return in.Pending
}

func TestSignInWithAnAuthenticatorApp(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	other := must(w.SignIn(w.ctx, at("192.0.2.1"), a.Email, secret.New(password), "other"))(t)
	if _, err := w.FinishAuthenticator(w.ctx, a, "000000"); !errors.Is(err, fault.Conflict) {
		t.Errorf("finishing what was not begun: %v", err)
	}
	device, codes := w.enrolled(a)
	if len(codes) != 10 {
		t.Errorf("%d recovery codes", len(codes))
	}
	_, err := w.BySession(w.ctx, other.Token, "", "")
	wants(t, "a session of before", err, fault.Unauthenticated, "session-over")
	_, err = w.EnrolAuthenticator(w.ctx, a)
	wants(t, "a second app", err, fault.Conflict, "factor-there")

	pending := w.first(a.Email, "192.0.2.1")
	for _, bad := range []string{"", "000000", "1234567", "abc", strings.Repeat("9", 100)} {
		_, err := w.ProveSecondFactor(w.ctx, at("192.0.2.1"), pending, bad, "test")
		wants(t, "the code "+bad, err, fault.Unauthenticated, "wrong-code")
	}
	code := device.code()
	in := must(w.ProveSecondFactor(w.ctx, at("192.0.2.1"), pending, code[:3]+" "+code[3:], "test"))(t)
	if b := w.actor(in); b.Person != a.Person || b.Unproven || in.Session.Proven.IsZero() || in.Session.How != "password and app" {
		t.Errorf("signed in as %+v by %+v", b, in.Session)
	}
	_, err = w.ProveSecondFactor(w.ctx, at("192.0.2.1"), pending, device.code(), "test")
	wants(t, "the same sign-in again", err, fault.Gone, "sign-in-over")
	code = device.code()
	must(w.ProveSecondFactor(w.ctx, at("192.0.2.9"), w.first(a.Email, "192.0.2.9"), code, "test"))(t)
	_, err = w.ProveSecondFactor(w.ctx, at("192.0.2.8"), w.first(a.Email, "192.0.2.8"), code, "test")
	wants(t, "a code within its step again", err, fault.Unauthenticated, "code-used")
	late := w.first(a.Email, "192.0.2.7")
	w.clock.pass(10 * time.Minute)
	_, err = w.ProveSecondFactor(w.ctx, at("192.0.2.7"), late, device.code(), "test")
	wants(t, "a sign-in that waited too long", err, fault.Gone, "sign-in-over")
	for _, e := range w.entries(audit.Filter{}) {
		if text := string(e.Before) + string(e.After) + e.Reason; strings.Contains(text, code) || strings.Contains(text, "sealed:") {
			t.Errorf("%s tells a secret: %s", e.Action, text)
		}
	}
}

// A one-time link is a first factor too: whoever reads somebody's mail does not get past the second.
func TestASignInLinkAsksForTheSecondFactor(t *testing.T) {
	w := newWorld(t).staffed()
	device, _ := w.enrolled(w.admin)
	link := must(w.RecoverAdmin(w.ctx, w.host, w.admin.Email, "Ada"))(t).Reveal()
	_, token, _ := strings.Cut(link, "token=")
	in := must(w.SignInByLink(w.ctx, at("192.0.2.1"), secret.New(token), ""))(t)
	if !in.Token.Empty() || in.Pending.Empty() {
		t.Fatal("the link alone signed in")
	}
	must(w.ProveSecondFactor(w.ctx, at("192.0.2.1"), in.Pending, device.code(), ""))(t)
	// The host's owner lets in who has lost it.
	if err := w.ResetSecondFactors(w.ctx, w.host, w.admin.Person, "lost her phone"); err != nil {
		t.Fatal(err)
	}
	_, token, _ = strings.Cut(must(w.RecoverAdmin(w.ctx, w.host, w.admin.Email, "Ada"))(t).Reveal(), "token=")
	if in := must(w.SignInByLink(w.ctx, at("192.0.2.1"), secret.New(token), ""))(t); in.Token.Empty() {
		t.Error("after the reset the link does not sign in")
	}
}

func TestRecoveryCodesWorkOnce(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	device, codes := w.enrolled(a)
	spelled := strings.ToUpper(strings.ReplaceAll(codes[0].Reveal(), "0", "O"))
	must(w.ProveSecondFactor(w.ctx, at("192.0.2.1"), w.first(a.Email, "192.0.2.1"), spelled, ""))(t)
	_, err := w.ProveSecondFactor(w.ctx, at("192.0.2.1"), w.first(a.Email, "192.0.2.1"), codes[0].Reveal(), "")
	wants(t, "a used one", err, fault.Unauthenticated, "wrong-code")
	if got := w.letters(a.Email); !slices.Contains(got, "A recovery code was used") || !slices.Contains(got, "An authenticator app was set up") {
		t.Errorf("the letters are %v", got)
	}
	if f := must(w.SecondFactors(w.ctx, a, ""))(t); !f.App || f.Codes != 9 {
		t.Errorf("second factors %+v", f)
	}
	fresh := must(w.NewRecoveryCodes(w.ctx, a, device.code()))(t)
	_, err = w.ProveSecondFactor(w.ctx, at("192.0.2.2"), w.first(a.Email, "192.0.2.2"), codes[1].Reveal(), "")
	wants(t, "one of before", err, fault.Unauthenticated, "wrong-code")
	must(w.ProveSecondFactor(w.ctx, at("192.0.2.2"), w.first(a.Email, "192.0.2.2"), fresh[1].Reveal(), ""))(t)
}

func TestGuessingCodesIsSlowAndShutsNobodyOut(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org") // who is signed in from 198.51.100.1
	device, _ := w.enrolled(a)
	try := func(address, code string) error {
		_, err := w.ProveSecondFactor(w.ctx, at(address), w.first(a.Email, address), code, "")
		return err
	}
	for range 6 {
		wants(t, "try", try("192.0.2.1", "000000"), fault.Unauthenticated, "")
	}
	wants(t, "the seventh from one address", try("192.0.2.1", device.code()), fault.Limited, "too-many-tries")
	for i := range 30 {
		_ = try("2001:db8:0:"+string("0123456789abcdef"[i%16])+string("0123456789abcdef"[i/16])+"::1", "000000")
	}
	wants(t, "from a new address", try("192.0.2.77", device.code()), fault.Limited, "")
	if err := try("198.51.100.1", device.code()); err != nil {
		t.Errorf("from the address of a live session: %v", err)
	}
	w.actor(must(w.ProveSecondFactor(w.ctx, at("198.51.100.1"), w.first(a.Email, "198.51.100.1"), device.code(), ""))(t))
}

// Somebody who hammers a known address with wrong passwords, from everywhere, does not shut out who has a second factor.
func TestGuessingPasswordsShutsNobodyWithASecondFactorOut(t *testing.T) {
	w := newWorld(t)
	a, b := w.partner("First", "first@example.org"), w.partner("Second", "second@example.org")
	device, _ := w.enrolled(a)
	for i := range 60 {
		for _, email := range []string{a.Email, b.Email} {
			_, _ = w.SignIn(w.ctx, at("2001:db8:0:"+string("0123456789abcdef"[i%16])+string("0123456789abcdef"[i/16])+"::1"), email, secret.New("a wrong password"), "")
		}
	}
	must(w.ProveSecondFactor(w.ctx, at("192.0.2.77"), w.first(a.Email, "192.0.2.77"), device.code(), ""))(t)
	for _, c := range []struct{ email, pass string }{{a.Email, "a wrong password"}, {b.Email, password}, {b.Email, "a wrong password"}} {
		_, err := w.SignIn(w.ctx, at("192.0.2.78"), c.email, secret.New(c.pass), "")
		wants(t, c.email+" with "+c.pass, err, fault.Limited, "too-many-tries") // word for word the same
	}
}

func TestASecondFactorThatARoleDemands(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("First", "first@example.org")
	w.SecondFactor = must(control.RolesNamed([]string{"staff"}))(t)
	if _, err := control.RolesNamed([]string{"boss"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an unknown role: %v", err)
	}
	again := func(b identity.Actor) identity.Actor { // as the next request of the session is seen
		var in identity.Actor
		for _, s := range must(w.Sessions(w.ctx, b))(t) {
			in = b
			in.Unproven = s.Proven.IsZero()
		}
		return in
	}
	ada := again(w.admin)
	if !ada.Unproven {
		t.Fatal("the session counts as proven")
	}
	_, err := w.StaffList(w.ctx, ada, control.Page{})
	wants(t, "anything", err, fault.Forbidden, "second-factor-demanded")
	_, _, err = w.CreateMachineToken(w.ctx, ada, "x", []identity.Role{identity.Admin}, w.clock.Now().Add(time.Hour))
	wants(t, "a token to get around it", err, fault.Forbidden, "second-factor-demanded")
	must(w.SecondFactors(w.ctx, ada, ""))(t)
	device, _ := w.enrolled(ada)
	must(w.StaffList(w.ctx, w.admin, control.Page{}))(t)
	wants(t, "removing it", w.RemoveAuthenticator(w.ctx, w.admin, device.code()), fault.Conflict, "second-factor-demanded")
	if _, err := w.Applications(w.ctx, a, "", control.Page{}); err != nil {
		t.Errorf("a member, of whom none is demanded: %v", err)
	}
	// And a session sees it from the store.
	in := must(w.SignInByLink(w.ctx, at("203.0.113.7"), w.linkFor(w.operator.Email), "test"))(t)
	if b := w.actor(in); !b.Unproven {
		t.Error("a fresh session without the second factor counts as proven")
	}
}

// linkFor is a fresh sign-in link.
func (w *world) linkFor(email string) secret.Value {
	w.t.Helper()
	link := must(w.RecoverAdmin(w.ctx, w.host, email, "x"))(w.t).Reveal()
	_, token, _ := strings.Cut(link, "token=")
	return secret.New(token)
}

func TestWhatMattersMostAsksToConfirm(t *testing.T) {
	w := newWorld(t).staffed()
	in := must(w.SignInByLink(w.ctx, at("203.0.113.7"), w.linkFor(w.admin.Email), "test"))(t)
	ada := w.actor(in)
	if err := w.ChangePassword(w.ctx, ada, secret.Value{}, secret.New(password)); err != nil {
		t.Fatal(err)
	}
	create := func() error {
		_, _, err := w.CreateMachineToken(w.ctx, w.actor(in), "x", []identity.Role{identity.Auditor}, w.clock.Now().Add(time.Hour))
		return err
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(16 * time.Minute)
	wants(t, "later", create(), fault.Forbidden, "confirm-first")
	must(w.StaffList(w.ctx, w.actor(in), control.Page{}))(t)
	err := w.ConfirmSession(w.ctx, w.actor(in), "", secret.New("a wrong password"))
	if wrong(err) != "/password" {
		t.Errorf("a wrong password: %v", err)
	}
	if err := w.ConfirmSession(w.ctx, w.actor(in), "", secret.New(password)); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("after confirming: %v", err)
	}
	device, _ := w.enrolled(w.actor(in))
	w.clock.pass(16 * time.Minute)
	if err := w.ConfirmSession(w.ctx, w.actor(in), "", secret.New(password)); wrong(err) != "/code" {
		t.Errorf("the password of somebody with a second factor: %v", err)
	}
	if err := w.ConfirmSession(w.ctx, w.actor(in), device.code(), secret.Value{}); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("after confirming by a code: %v", err)
	}
}

func TestResettingASecondFactor(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	dora := w.member(ines, "dora@example.org", identity.Developer)
	rolf := w.partner("Second", "rolf@example.org")
	w.enrolled(dora)
	w.enrolled(w.admin)
	w.enrolled(w.approver)
	for name, c := range map[string]struct {
		a, of identity.Actor
		kind  fault.Kind
	}{
		"by another member":               {with(dora, identity.Developer), ines, fault.Forbidden},
		"by another organization's owner": {rolf, dora, fault.NotFound},
		"by an approver":                  {w.approver, dora, fault.Forbidden},
		"one's own":                       {w.admin, w.admin, fault.Forbidden},
		"staff's by an operator":          {w.operator, w.approver, fault.Forbidden},
		"by a machine":                    {machine(w.admin), dora, fault.Forbidden},
		"of who has none":                 {w.admin, ines, fault.Conflict},
	} {
		if err := w.ResetSecondFactors(w.ctx, c.a, c.of.Person, "lost"); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.ResetSecondFactors(w.ctx, w.admin, dora.Person, " "); wrong(err) != "/reason" {
		t.Errorf("without a reason: %v", err)
	}
	if err := w.ResetSecondFactors(w.ctx, ines, dora.Person, "her phone was stolen"); err != nil {
		t.Fatal(err)
	}
	if got := w.letters(dora.Email); !slices.Contains(got, "Your second factor was reset") {
		t.Errorf("she got %v", got)
	}
	if n := len(must(w.Sessions(w.ctx, dora))(t)); n != 0 {
		t.Errorf("%d of her sessions go on", n)
	}
	if in := must(w.SignIn(w.ctx, at("192.0.2.1"), dora.Email, secret.New(password), ""))(t); in.Token.Empty() {
		t.Error("signing in still asks for what was reset")
	}
	if err := w.ResetSecondFactors(w.ctx, w.admin, w.approver.Person, "lost"); err != nil {
		t.Errorf("staff's by an admin: %v", err)
	}
	last := w.entries(audit.Filter{Object: dora.Person, Action: "factor.reset"})
	if len(last) != 1 || last[0].Reason != "her phone was stolen" || last[0].Actor != "member:"+string(ines.Person) {
		t.Errorf("the audit has %+v", last)
	}
}

func TestWebhookSecretsOfBeforeStillOpen(t *testing.T) {
	if err := control.OpensOldWebhookSecret(newWorld(t).Control); err != nil {
		t.Error(err)
	}
}
