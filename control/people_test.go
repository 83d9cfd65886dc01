package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/store"
)

func TestRegisterConfirmSignIn(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	if err := w.Register(ctx, at("198.51.100.1:999"), registration("Blåbær 検査 AS", "Kari.Nordmann@Example.ORG")); err != nil {
		t.Fatal(err)
	}
	in := func() error {
		_, err := w.SignIn(ctx, at("198.51.100.1"), "kari.nordmann@example.org", secret.New(password), "")
		return err
	}
	wants(t, "sign in before confirming", in(), fault.Forbidden, "unconfirmed")
	token := w.link("kari.nordmann@example.org", "/confirm")
	p := must(w.ConfirmEmail(ctx, at("198.51.100.1"), token))(t)
	if p.State != identity.Active || p.Class != identity.Member {
		t.Errorf("person is %s %s", p.State, p.Class)
	}
	_, err := w.ConfirmEmail(ctx, at("198.51.100.1"), token)
	wants(t, "the same link again", err, fault.Gone, "link-over")
	signed := must(w.SignIn(ctx, at("198.51.100.1"), " KARI.Nordmann@example.org ", secret.New(password), "Firefox\u202e\x00"))(t)
	if !strings.HasPrefix(signed.Token.Reveal(), "ghs_") || len(signed.Token.Reveal()) != 4+32 {
		t.Errorf("the session's token has not the form ghs_ and 160 bits")
	}
	if signed.Session.UserAgent != "Firefox" {
		t.Errorf("user agent %q", signed.Session.UserAgent)
	}
	a := w.actor(signed)
	if a.Class != identity.Member || a.Person != p.ID || a.Organization == "" || !a.Has(identity.Owner) {
		t.Errorf("actor %+v", a)
	}
	o := must(w.Organization(ctx, a, a.Organization))(t)
	if o.Name != "Blåbær 検査 AS" || o.State != organization.Registered || o.Country != "NL" {
		t.Errorf("organization %+v", o)
	}
	wrongPassword := func(email, pass string) error {
		_, err := w.SignIn(ctx, at("198.51.100.1"), email, secret.New(pass), "")
		return err
	}
	one, two := wrongPassword("kari.nordmann@example.org", "another password"), wrongPassword("nobody@example.org", password)
	wants(t, "wrong password", one, fault.Unauthenticated, "wrong-password")
	if one.Error() != two.Error() {
		t.Errorf("a known address answers %q, an unknown one %q", one, two)
	}
	for _, huge := range []string{"", strings.Repeat("x", 1<<20), "\xff", "a@b\x00"} {
		wants(t, "nonsense", wrongPassword(huge, huge), fault.Unauthenticated, "wrong-password")
	}
}

func TestRegisterNeverTellsWhoIsKnown(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	people := func() int { return len(must(w.Members(w.ctx, w.host, a.Organization, control.Page{}))(t).Items) }
	before, orgs := people(), len(must(w.Organizations(w.ctx, w.host, "", "", control.Page{}))(t).Items)
	if err := w.Register(w.ctx, at("198.51.100.9"), registration("Second", "FIRST@example.org")); err != nil {
		t.Fatalf("an address that is known answers %v", err)
	}
	if got := w.letters("first@example.org"); got[len(got)-1] != "You already have an account here" {
		t.Errorf("letters %v", got)
	}
	if people() != before || len(must(w.Organizations(w.ctx, w.host, "", "", control.Page{}))(t).Items) != orgs {
		t.Error("registering a known address changed something")
	}
	// One that waits for its confirmation gets the link again, and keeps its password.
	if err := w.Register(w.ctx, at("198.51.100.9"), registration("Third", "third@example.org")); err != nil {
		t.Fatal(err)
	}
	again := registration("Intruder", "third@example.org")
	again.Password = secret.New("the intruder's words")
	if err := w.Register(w.ctx, at("198.51.100.9"), again); err != nil {
		t.Fatal(err)
	}
	must(w.ConfirmEmail(w.ctx, at("198.51.100.9"), w.link("third@example.org", "/confirm")))(t)
	_, err := w.SignIn(w.ctx, at("198.51.100.9"), "third@example.org", again.Password, "")
	wants(t, "the second registration's password", err, fault.Unauthenticated, "")
	must(w.SignIn(w.ctx, at("198.51.100.9"), "third@example.org", secret.New(password), ""))(t)
	for _, err := range []error{
		w.RequestPasswordReset(w.ctx, at("1.2.3.4"), "nobody@example.org"),
		w.ResendConfirmation(w.ctx, at("1.2.3.4"), "nobody@example.org"),
		w.ResendConfirmation(w.ctx, at("1.2.3.4"), "first@example.org"),
	} {
		if err != nil {
			t.Errorf("answers %v, want nothing", err)
		}
	}
}

func TestLettersSayNothingThatTheFormSaid(t *testing.T) {
	w := newWorld(t)
	r := registration("Free money at evil.example", "victim@example.org")
	r.Name = "Visit evil.example"
	if err := w.Register(w.ctx, at("1.2.3.4"), r); err != nil {
		t.Fatal(err)
	}
	if err := w.Deliver(w.ctx); err != nil {
		t.Fatal(err)
	}
	if l := w.box.Letters()[0]; strings.Contains(l.Subject+l.Text, "evil") {
		t.Errorf("the letter to an unconfirmed address says %q", l.Text)
	}
}

func TestRegisterSaysEverythingThatIsWrong(t *testing.T) {
	w := newWorld(t)
	err := w.Register(w.ctx, at("1.2.3.4"), control.Registration{Organization: "a\u202eb", Website: "javascript:alert(1)", Country: "XX",
		Register: strings.Repeat("9", 65), Name: " ", Email: "Someone <a@example.org>", Password: secret.New("short")})
	if got, want := wrong(err), "/organization /website /country /register /name /email /password"; got != want {
		t.Errorf("wrong are %q, want %q (%v)", got, want, err)
	}
	if err := w.Deliver(w.ctx); err != nil || len(w.box.Letters()) != 0 {
		t.Errorf("%d letters were sent (%v)", len(w.box.Letters()), err)
	}
}

func TestLinksExpireAndArePurposeBound(t *testing.T) {
	w := newWorld(t).staffed()
	w.partner("First", "first@example.org")
	if err := w.Register(w.ctx, at("1.2.3.4"), registration("Second", "second@example.org")); err != nil {
		t.Fatal(err)
	}
	confirm := w.link("second@example.org", "/confirm")
	if err := w.RequestPasswordReset(w.ctx, at("1.2.3.4"), "first@example.org"); err != nil {
		t.Fatal(err)
	}
	reset := w.link("first@example.org", "/password/reset")
	_, err := w.ConfirmEmail(w.ctx, at("1.2.3.4"), reset)
	wants(t, "a reset link to confirm", err, fault.Gone, "")
	_, err = w.SignInByLink(w.ctx, at("1.2.3.4"), reset, "")
	wants(t, "a reset link to sign in", err, fault.Gone, "")
	for _, token := range []string{"", "ghl_", "ghl_" + strings.Repeat("0", 32), strings.Repeat("x", 1<<20)} {
		_, err := w.ConfirmEmail(w.ctx, at("1.2.3.4"), secret.New(token))
		wants(t, "a made-up link", err, fault.Gone, "")
	}
	w.clock.pass(time.Hour)
	wants(t, "a reset link after an hour", w.ResetPassword(w.ctx, at("1.2.3.4"), reset, secret.New("another fine password")), fault.Gone, "")
	w.clock.pass(23 * time.Hour)
	_, err = w.ConfirmEmail(w.ctx, at("1.2.3.4"), confirm)
	wants(t, "a confirm link after a day", err, fault.Gone, "")

	_, err = w.RecoverAdmin(w.ctx, w.host, "rot@platform.example", "")
	if wrong(err) != "/name" {
		t.Errorf("an address that nobody has: %v, want to be asked for a name", err)
	}
	link := must(w.RecoverAdmin(w.ctx, w.host, "root@platform.example", "Root"))(t)
	must(w.RecoverAdmin(w.ctx, w.host, "root@platform.example", ""))(t)
	token := secret.New(strings.TrimPrefix(link.Reveal(), portalURL+"/signin/link?token="))
	w.clock.pass(15 * time.Minute)
	_, err = w.SignInByLink(w.ctx, at("1.2.3.4"), token, "")
	wants(t, "a sign-in link after 15 minutes", err, fault.Gone, "")
}

func TestResetPassword(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	other := must(w.SignIn(w.ctx, at("1.2.3.4"), "first@example.org", secret.New(password), ""))(t)
	if err := w.RequestPasswordReset(w.ctx, at("1.2.3.4"), "FIRST@example.org"); err != nil {
		t.Fatal(err)
	}
	token := w.link("first@example.org", "/password/reset")
	for _, bad := range []string{"short", "first@example.org", "FIRST", strings.Repeat("ab", 129), "password1234", "aaaaaaaaaaaaaaaa", "123456789012"} {
		err := w.ResetPassword(w.ctx, at("1.2.3.4"), token, secret.New(bad))
		if wrong(err) != "/password" {
			t.Errorf("password %q: %v, want it to be wrong", bad, err)
		}
	}
	fresh := secret.New("eight blue whales")
	if err := w.ResetPassword(w.ctx, at("1.2.3.4"), token, fresh); err != nil {
		t.Fatal(err)
	}
	wants(t, "the link again", w.ResetPassword(w.ctx, at("1.2.3.4"), token, fresh), fault.Gone, "")
	_, err := w.BySession(w.ctx, other.Token, "", "")
	wants(t, "a session from before", err, fault.Unauthenticated, "session-over")
	_, err = w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), "")
	wants(t, "the old password", err, fault.Unauthenticated, "")
	must(w.SignIn(w.ctx, at("1.2.3.4"), a.Email, fresh, ""))(t)
	if got := w.letters(a.Email); got[len(got)-1] != "Your password was changed" {
		t.Errorf("letters %v", got)
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("First", "first@example.org")
	other := must(w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), ""))(t)
	fresh := secret.New("eight blue whales")
	if err := w.ChangePassword(w.ctx, a, secret.Value{}, fresh); wrong(err) != "/old" {
		t.Errorf("without the old one: %v", err)
	}
	if err := w.ChangePassword(w.ctx, a, secret.New("wrong old password"), fresh); wrong(err) != "/old" {
		t.Errorf("with a wrong old one: %v", err)
	}
	if err := w.ChangePassword(w.ctx, a, secret.New(password), fresh); err != nil {
		t.Fatal(err)
	}
	_, err := w.BySession(w.ctx, other.Token, "", "")
	wants(t, "the other session", err, fault.Unauthenticated, "")
	if left := must(w.Sessions(w.ctx, a))(t); len(left) != 1 || left[0].ID != a.Session {
		t.Errorf("sessions %v, want the one that was used", left)
	}
	for range 8 {
		err = w.ChangePassword(w.ctx, a, secret.New("wrong old password"), secret.New("nine red foxes run"))
	}
	wants(t, "guessing the old password", err, fault.Limited, "")
	if err := w.ChangePassword(w.ctx, w.admin, secret.Value{}, secret.New("nine red foxes run")); err != nil {
		t.Errorf("the first password of staff: %v", err)
	}
}

// A session that is used all the while is over once its end is answered, as is whatever its person may do no longer.
func TestASessionInUseEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	for round := range 10 {
		in := must(w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), ""))(t)
		stop := make(chan struct{})
		var using sync.WaitGroup
		for range 4 {
			using.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = w.BySession(w.ctx, in.Token, "", "")
					}
				}
			})
		}
		me := must(w.BySession(w.ctx, in.Token, "", ""))(t)
		me.Roles[0] = "spoilt" // what one caller does to its copy is nothing to others
		if again := must(w.BySession(w.ctx, in.Token, "", ""))(t); again.Roles[0] == "spoilt" {
			t.Error("callers share roles")
		}
		if err := w.EndSession(w.ctx, must(w.BySession(w.ctx, in.Token, "", ""))(t), me.Session); err != nil {
			t.Fatal(err)
		}
		_, err := w.BySession(w.ctx, in.Token, "", "")
		wants(t, fmt.Sprint("round ", round), err, fault.Unauthenticated, "session-over")
		close(stop)
		using.Wait()
	}
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	signIn := func() control.SignedIn {
		return must(w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), ""))(t)
	}
	over := func(what string, in control.SignedIn) {
		t.Helper()
		_, err := w.BySession(w.ctx, in.Token, "", "")
		wants(t, what, err, fault.Unauthenticated, "session-over")
	}
	idle := signIn()
	w.clock.pass(8 * time.Hour)
	over("idle for 8 hours", idle)

	used := signIn()
	for range 27 { // 6 h apart: never idle, and yet over after 7 days
		w.clock.pass(6 * time.Hour)
		must(w.BySession(w.ctx, used.Token, "", ""))(t)
	}
	w.clock.pass(6 * time.Hour)
	over("after 7 days", used)

	out := signIn()
	if err := w.SignOut(w.ctx, w.actor(out)); err != nil {
		t.Fatal(err)
	}
	over("signed out", out)

	first := signIn()
	caller := at("1.2.3.4")
	caller.Session = first.Session.ID
	second := must(w.SignIn(w.ctx, caller, a.Email, secret.New(password), ""))(t)
	over("signed in again", first)

	third := signIn()
	if err := w.EndSession(w.ctx, w.actor(third), second.Session.ID); err != nil {
		t.Fatal(err)
	}
	over("ended by its person", second)
	b := w.partner("Second", "second@example.org")
	wants(t, "somebody else's session", w.EndSession(w.ctx, b, third.Session.ID), fault.NotFound, "")
	for _, token := range []string{"", "ghs_", "nonsense", strings.Repeat("x", 1<<20)} {
		_, err := w.ByBearer(w.ctx, secret.New(token), "", "")
		wants(t, "a made-up token", err, fault.Unauthenticated, "")
	}
}

func TestLastSeenIsWrittenOnceAMinute(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	in := must(w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), ""))(t)
	seen := func() time.Time {
		for _, s := range must(w.Sessions(w.ctx, a))(t) {
			if s.ID == in.Session.ID {
				return s.LastSeen
			}
		}
		t.Fatal("the session is gone")
		return time.Time{}
	}
	start := seen()
	w.clock.pass(50 * time.Second)
	w.actor(in)
	if !seen().Equal(start) {
		t.Error("it was written after 50 s")
	}
	w.clock.pass(10 * time.Second)
	w.actor(in)
	if !seen().After(start) {
		t.Error("it was not written after a minute")
	}
}

func TestGuessingIsSlowAndShutsNobodyOut(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org") // who is signed in from 198.51.100.1
	try := func(address, pass string) error {
		_, err := w.SignIn(w.ctx, at(address), a.Email, secret.New(pass), "")
		return err
	}
	for range 6 {
		wants(t, "try", try("192.0.2.1", "a wrong password"), fault.Unauthenticated, "")
	}
	err := try("192.0.2.1", password)
	wants(t, "the seventh from one address", err, fault.Limited, "too-many-tries")
	if fault.As(err).RetryAfter <= 0 {
		t.Error("it does not say when to try again")
	}
	// Somebody who guesses from many addresses locks the person out of new addresses only.
	for i := range 60 {
		_ = try("2001:db8:0:"+string("0123456789abcdef"[i%16])+string("0123456789abcdef"[i/16])+"::1", "a wrong password")
	}
	wants(t, "from a new address", try("192.0.2.77", password), fault.Limited, "")
	if err := try("198.51.100.1", password); err != nil {
		t.Errorf("from the address of a live session: %v", err)
	}
	if err := w.RequestPasswordReset(w.ctx, at("192.0.2.77"), a.Email); err != nil {
		t.Fatal(err)
	}
	if err := w.ResetPassword(w.ctx, at("192.0.2.77"), w.link(a.Email, "/password/reset"), secret.New("eight blue whales")); err != nil {
		t.Errorf("by a link: %v", err)
	}
	w.clock.pass(2 * time.Hour)
	if err := try("192.0.2.77", "eight blue whales"); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

// meanwhile runs a function once, after the first look at the store.
type meanwhile struct {
	store.Store
	once sync.Once
	do   func()
}

func (m *meanwhile) View(ctx context.Context, fn func(store.Tx) error) error {
	defer m.once.Do(m.do)
	return m.Store.View(ctx, fn)
}

func TestAPasswordThatWasChangedMeanwhileOpensNothing(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	if err := w.RequestPasswordReset(w.ctx, at("1.2.3.4"), a.Email); err != nil {
		t.Fatal(err)
	}
	token := w.link(a.Email, "/password/reset")
	w.Store = &meanwhile{Store: w.store, do: func() {
		w.Store = w.store
		if err := w.ResetPassword(w.ctx, at("1.2.3.4"), token, secret.New("eight blue whales")); err != nil {
			t.Error(err)
		}
	}}
	_, err := w.SignIn(w.ctx, at("1.2.3.4"), a.Email, secret.New(password), "")
	wants(t, "the password of a moment ago", err, fault.Unauthenticated, "wrong-password")
}

func TestRightPasswordsAreNotCounted(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	for i := range 100 {
		if _, err := w.SignIn(w.ctx, at("192.0.2.1"), a.Email, secret.New(password), ""); err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
	}
}

func TestAnswersAboutLettersTakeAsLongForNobody(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	w.Evenly(150 * time.Millisecond)
	for _, email := range []string{a.Email, "nobody@example.org"} {
		start := time.Now()
		if err := w.RequestPasswordReset(w.ctx, at("192.0.2.1"), email); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 150*time.Millisecond {
			t.Errorf("%s is answered after %s, want 150ms or more", email, took)
		}
	}
}

func TestLettersOnDemandAreFew(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	before := len(w.letters(a.Email))
	for i := range 20 {
		if err := w.RequestPasswordReset(w.ctx, at("192.0.2."+string(rune('0'+i%10))), a.Email); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.letters(a.Email)) - before; n > 6 || n < 3 {
		t.Errorf("%d letters to one person within a minute", n)
	}
	var err error
	for range 40 {
		err = errors.Join(err, w.RequestPasswordReset(w.ctx, at("192.0.2.200"), "x@example.org"))
	}
	wants(t, "asking for many letters from one address", err, fault.Limited, "")
}
