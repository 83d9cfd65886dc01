package portal

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rsc.io/qr"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// secondPage asks whoever has shown their first factor for the second.
type secondPage struct {
	frame
	Form            form
	Pending, Return string
}

func (*secondPage) template() string { return "second" }

func codeField(label, hint string) field {
	return field{Name: "code", Label: label, Kind: textField, Required: true, Max: 40, Autocomplete: "one-time-code", Mono: true, Hint: hint}
}

const codeHint = "The six digits that your authenticator app shows, or a recovery code"

func secondForm() form { return newForm("/signin/second", codeField("Code", codeHint)) }

func (v *visit) second(f form, pending, to string) error {
	p := &secondPage{Form: f, Pending: pending, Return: to}
	p.Title, p.Lead, p.Slim = "One more step", "Your password is right. Show that it is you.", true
	return v.show(statusOfForm(f), p)
}

func proveSecond(v *visit) error {
	f, pending, to := secondForm(), v.r.PostForm.Get("pending"), local(v.r.PostForm.Get("return"))
	if !f.read(v.r.PostForm) {
		return v.second(f, pending, to)
	}
	in, err := v.Control.ProveSecondFactor(v.r.Context(), v.actor, secret.New(pending), f.value("code"), userAgent(v.r))
	switch {
	case err == nil:
		return v.welcome(in, to)
	case errors.Is(err, fault.Unauthenticated):
		f.blame(fault.Field{Pointer: "/code", Text: fault.As(err).Public})
		f.refused = http.StatusUnauthorized
		return v.second(f, pending, to)
	case errors.Is(err, fault.Limited):
		f.refuse(err)
		return v.second(f, pending, to)
	}
	return err
}

// qrCode is a QR code as a path on a grid of squares.
type qrCode struct {
	Size int // squares on each side, with the quiet border
	Path string
}

// quiet is how many squares must be empty around a QR code (ISO/IEC 18004).
const quiet = 4

func newQR(text string) (qrCode, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return qrCode{}, fmt.Errorf("QR code: %w", err)
	}
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			from := x
			for x < c.Size && c.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return qrCode{c.Size + 2*quiet, b.String()}, nil
}

// enrolPage shows the key of an authenticator app that is being set up, once, and asks for its first code.
type enrolPage struct {
	frame
	Form form
	QR   *qrCode // nil: it was shown already
	Key  string
}

func (*enrolPage) template() string { return "enrol" }

func finishForm() form {
	return newForm("/account/authenticator/finish", codeField("Its first code", "Six digits, which change every half minute"))
}

func (v *visit) enrolPage(p *enrolPage) error {
	p.Title, p.Lead = "Set up an authenticator app", "From then on, signing in asks for a code of it."
	p.Trail = []crumb{{"Your account", "/account"}}
	return v.show(statusOfForm(p.Form), p)
}

func enrolApp(v *visit) error {
	e, err := v.Control.EnrolAuthenticator(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	picture, err := newQR(e.URL.Reveal())
	if err != nil {
		return err
	}
	return v.enrolPage(&enrolPage{Form: finishForm(), QR: &picture, Key: e.Key.Reveal()}) // the one place where it is shown
}

func finishApp(v *visit) error {
	f := finishForm()
	if !f.read(v.r.PostForm) {
		return v.enrolPage(&enrolPage{Form: f})
	}
	codes, err := v.Control.FinishAuthenticator(v.r.Context(), v.actor, f.value("code"))
	if err != nil {
		if confirmFirst(err) || !f.refuse(err) {
			return err
		}
		return v.enrolPage(&enrolPage{Form: f})
	}
	return v.codes(codes, "Your authenticator app is set up")
}

// codesPage shows recovery codes, once.
type codesPage struct {
	frame
	Codes []string
}

func (*codesPage) template() string { return "codes" }

func (v *visit) codes(codes []secret.Value, title string) error {
	p := &codesPage{}
	for _, c := range codes {
		p.Codes = append(p.Codes, c.Reveal()) // the one place where they are shown
	}
	p.Title, p.Lead = title, "Keep these recovery codes where you keep your passwords: each opens the door once if you lose your phone."
	p.Trail = []crumb{{"Your account", "/account"}}
	return v.ok(p)
}

// codeDeed is a page that asks for a code and then does something.
func (v *visit) codeDeed(f form, title, lead, button string) error {
	p := &formPage{Form: f, Button: button, Back: "/account"}
	p.Title, p.Lead, p.Trail = title, lead, []crumb{{"Your account", "/account"}}
	return v.show(statusOfForm(f), p)
}

func recoveryForm() form { return newForm("/account/recovery-codes", codeField("Code", codeHint)) }

func (v *visit) recoveryPage(f form) error {
	return v.codeDeed(f, "Make new recovery codes", "Those that you have are worthless from then on.", "Make new codes")
}

func askRecoveryCodes(v *visit) error { return v.recoveryPage(recoveryForm()) }

func newRecoveryCodes(v *visit) error {
	f := recoveryForm()
	if !f.read(v.r.PostForm) {
		return v.recoveryPage(f)
	}
	codes, err := v.Control.NewRecoveryCodes(v.r.Context(), v.actor, f.value("code"))
	if err != nil {
		if f.refuse(err) {
			return v.recoveryPage(f)
		}
		return err
	}
	return v.codes(codes, "Your new recovery codes")
}

func removeForm() form { return newForm("/account/authenticator/remove", codeField("Code", codeHint)) }

func (v *visit) removePage(f form) error {
	return v.codeDeed(f, "Remove the authenticator app", "Its recovery codes go with it. Signing in then asks for the password alone.", "Remove the app")
}

func askAppRemoval(v *visit) error { return v.removePage(removeForm()) }

func removeApp(v *visit) error {
	f := removeForm()
	if !f.read(v.r.PostForm) {
		return v.removePage(f)
	}
	if err := v.Control.RemoveAuthenticator(v.r.Context(), v.actor, f.value("code")); err != nil {
		if f.refuse(err) {
			return v.removePage(f)
		}
		return err
	}
	return v.done("factor-removed", "/account")
}

// confirmFirst reports whether the session is to be confirmed before this.
func confirmFirst(err error) bool { return fault.As(err).Code == "confirm-first" }

// confirmForm asks whoever is signed in to show that it is still them: by a code if they have a second factor.
func (v *visit) confirmForm() (form, error) {
	has, err := v.Control.SecondFactors(v.r.Context(), v.actor, "")
	to := cmp.Or(local(v.r.FormValue("return")), "/account")
	f := newForm("/account/confirm?return="+url.QueryEscape(to), field{Name: "password", Label: "Password", Kind: secretField, Required: true, Autocomplete: "current-password", Max: 256})
	if has.App {
		f.Fields = []field{codeField("Code", codeHint)}
	}
	return f, err
}

func (v *visit) confirmPage(f form) error {
	p := &formPage{Form: f, Button: "Confirm"}
	p.Title, p.Lead, p.Slim = "Confirm that it is you", "You signed in a while ago, and what you want to do matters. It holds for 15 minutes.", true
	return v.show(statusOfForm(f), p)
}

func askConfirm(v *visit) error {
	f, err := v.confirmForm()
	if err != nil {
		return err
	}
	return v.confirmPage(f)
}

func confirmSession(v *visit) error {
	f, err := v.confirmForm()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.confirmPage(f)
	}
	if err := v.Control.ConfirmSession(v.r.Context(), v.actor, f.value("code"), secret.New(f.value("password"))); err != nil {
		if f.refuse(err) {
			return v.confirmPage(f)
		}
		return err
	}
	return v.done("confirmed-session", cmp.Or(local(v.r.FormValue("return")), "/account"))
}

// resetDeed takes somebody's lost second factor away.
func (v *visit) resetDeed(back string) (deed, error) {
	i, err := v.object(id.Person)
	if err != nil {
		return deed{}, err
	}
	p, err := v.Control.Person(v.r.Context(), v.actor, i)
	if err != nil {
		return deed{}, err
	}
	return deed{title: "Reset the second factor of " + p.Name, button: "Take the second factor away", danger: true, back: back + string(i), notice: "factor-reset",
		text:  "They sign in by the first factor alone until they set up another one, and are told by a letter. Be sure that it is them who asks: call back on a number that you know.",
		trail: []crumb{{p.Name, back + string(i)}}, facts: []fact{{"Person", p.Name}, {"E-mail address", p.Email}},
		do: func(_ int64, reason string) error {
			return v.Control.ResetSecondFactors(v.r.Context(), v.actor, i, reason)
		}}, nil
}

// resettable is a link to the page that resets somebody's second factor, for whoever may.
func (v *visit) resettable(p identity.Person, base string) []crumb {
	if p.ID == v.actor.Person {
		return nil
	}
	has, err := v.Control.SecondFactors(v.r.Context(), v.actor, p.ID)
	if err != nil || !has.App {
		return nil
	}
	return []crumb{{"Reset the second factor", base + string(p.ID) + "/reset"}}
}
