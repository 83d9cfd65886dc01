package control

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

const (
	confirmFor    = 15 * time.Minute // what matters most asks for a session that was confirmed within this time
	pendingLives  = 10 * time.Minute // a sign-in that waits for its second factor
	enrolLives    = 30 * time.Minute // an authenticator app that waits for its first code
	appKeySize    = 20               // bytes: the block that SHA-1 wants (RFC 4226 §4, R6)
	recoveryCount = 10
	recoverySize  = 10 // bytes of one recovery code: 80 random bits, so that a hash is enough
)

const pendingSignIn identity.CeremonyPurpose = "second-factor"

// SecondFactors is what a person can prove themselves with besides a password.
type SecondFactors struct {
	App      bool      `json:"app"`            // an authenticator app
	Since    time.Time `json:"since,omitzero"` // when it was set up
	Codes    int       `json:"codes"`          // recovery codes that are left
	Passkeys int       `json:"passkeys"`       // that sign in by themselves
	Demanded bool      `json:"demanded"`       // by one of their roles
}

// RolesNamed expands words such as "staff", "members" and the names of roles into roles; what is none of them is fault.Invalid.
func RolesNamed(words []string) ([]identity.Role, error) {
	var out []identity.Role
	for _, word := range words {
		found := false
		for role, kind := range byRole {
			if word == string(role) || word == "staff" && kind&staff != 0 || word == "members" && kind&members != 0 {
				out, found = append(out, role), true
			}
		}
		if !found {
			return nil, fault.New(fault.Invalid, "%q is neither staff nor members nor a role", clip(word))
		}
	}
	return out, nil
}

// demandsSecond reports whether one of the person's roles demands a second factor.
func (c *Control) demandsSecond(p identity.Person) bool {
	return slices.ContainsFunc(p.Roles, func(r identity.Role) bool { return slices.Contains(c.SecondFactor, r.Bare()) })
}

// hasSecond reports whether the person has an authenticator app that counts.
func hasSecond(ctx context.Context, tx store.Tx, person id.ID) (bool, error) {
	a, err := tx.Authenticator(ctx, person)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return !a.Confirmed.IsZero(), err
}

// enter signs in whoever has shown their first factor, or asks for the second if they have one.
func (w *write) enter(p identity.Person, how, userAgent string) (SignedIn, error) {
	second, err := hasSecond(w.ctx, w.tx, p.ID)
	if err != nil || !second {
		if err != nil {
			return SignedIn{}, err
		}
		return w.signIn(p, how, false, userAgent)
	}
	token := secret.Random("ghp_")
	err = w.tx.AddCeremony(w.ctx, identity.Ceremony{Hash: token.Hash(), Purpose: pendingSignIn, Person: p.ID, Data: how, Created: w.now, Expires: w.after(pendingLives)})
	if err != nil {
		return SignedIn{}, err
	}
	w.a = personActor(p, w.a.Address, w.a.RequestID)
	w.changes++
	return SignedIn{Pending: token}, w.audit(change{action: "session.ask-second", object: p.ID, organization: p.Organization, reason: how}, nil, nil)
}

// ProveSecondFactor finishes a sign-in that waits for its second factor: with a code of the authenticator app, or a recovery
// code. A wrong one is fault.Unauthenticated with the code "wrong-code" and leaves the sign-in waiting; one that is over is
// fault.Gone.
//
// Wrong codes are counted per person from one address, and from anywhere. Whoever gets so far knows the password.
func (c *Control) ProveSecondFactor(ctx context.Context, a identity.Actor, pending secret.Value, code, userAgent string) (SignedIn, error) {
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return SignedIn{}, err
	}
	var waits identity.Ceremony
	var known bool
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		if waits, err = tx.Ceremony(ctx, pending.Hash(), pendingSignIn, c.now()); err != nil {
			return pendingOver(err)
		}
		known, err = signedInFrom(ctx, tx, identity.Person{ID: waits.Person}, a.Address, c.now())
		return err
	})
	if err != nil {
		return SignedIn{}, err
	}
	counts, err := c.countCode(ctx, a, waits.Person, known)
	if err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	err = c.update(ctx, a, "ProveSecondFactor", func(w *write) error {
		waits, err := w.tx.TakeCeremony(ctx, pending.Hash(), pendingSignIn, w.now) // First: it is the single-use gate.
		if err != nil {
			return pendingOver(err)
		}
		p, err := w.tx.Person(ctx, waits.Person)
		if err != nil {
			return err
		}
		if p.State != identity.Active {
			return wrongCode()
		}
		session := w.a.Session
		w.a = personActor(p, a.Address, a.RequestID)
		with, err := c.proveCode(w, p, code)
		if err != nil {
			return err
		}
		w.a.Session = session
		in, err = w.signIn(p, waits.Data+" and "+with, true, userAgent)
		return err
	})
	if err == nil {
		c.giveBack(ctx, counts...)
	}
	return in, err
}

func pendingOver(err error) error {
	if errors.Is(err, fault.Gone) {
		return fault.Of(fault.Gone, "sign-in-over", "this sign-in is over: begin again")
	}
	return err
}

func wrongCode() error {
	return fault.Of(fault.Unauthenticated, "wrong-code", "this code is wrong, or over")
}

// countCode counts one try of a second factor.
func (c *Control) countCode(ctx context.Context, a identity.Actor, person id.ID, known bool) ([]count, error) {
	all := []count{{codesPerPair, network(a.Address) + " " + string(person)}}
	if !known {
		all = append(all, count{codesPerPerson, string(person)})
	}
	return c.countAll(ctx, all...)
}

// proveCode checks a code of the person, uses it up, and says what it was.
func (c *Control) proveCode(w *write, p identity.Person, code string) (string, error) {
	code = readSecondCode(code)
	if len(code) > 6 {
		if err := w.tx.UseRecoveryCode(w.ctx, p.ID, secret.New(code).Hash()); err != nil {
			if errors.Is(err, fault.Gone) {
				return "", wrongCode()
			}
			return "", err
		}
		left, err := w.tx.CountRecoveryCodes(w.ctx, p.ID)
		if err != nil {
			return "", err
		}
		w.changes++
		if err := w.audit(change{action: "factor.use-recovery-code", object: p.ID, organization: p.Organization}, nil, state(struct {
			Left int `json:"left"`
		}{left})); err != nil {
			return "", err
		}
		return "recovery code", c.recoveryUsedLetter(w, p, left)
	}
	a, err := w.tx.Authenticator(w.ctx, p.ID)
	if errors.Is(err, fault.NotFound) || err == nil && a.Confirmed.IsZero() {
		return "", wrongCode()
	}
	if err != nil {
		return "", err
	}
	return "app", c.matchCode(w, a, code)
}

// matchCode checks a code of the app and marks it used.
func (c *Control) matchCode(w *write, a identity.Authenticator, code string) error {
	key, err := c.apps.unseal(a.Secret, []byte(a.Person))
	if err != nil {
		return fault.New(fault.Unavailable, "the authenticator app cannot be checked here: its key is that of another installation").Because(err)
	}
	step, ok, used := a.Match([]byte(key), code, w.now)
	switch {
	case used:
		return fault.Of(fault.Unauthenticated, "code-used", "this code was used already: wait for the next one")
	case !ok:
		return wrongCode()
	}
	a.Step = step
	return w.tx.PutAuthenticator(w.ctx, a) // a mark against replay, as the step of a code is: telemetry
}

// readSecondCode takes a code as people type it: six digits, or a recovery code, in which letters that look like digits are
// those digits.
func readSecondCode(s string) string {
	if len(s) > 64 {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == 'o':
			return '0'
		case r == 'i' || r == 'l':
			return '1'
		case r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(s))
	return s
}

// newRecoveryCodes makes fresh codes and sets them in the place of the person's others.
func (w *write) newRecoveryCodes(p identity.Person) ([]secret.Value, error) {
	var codes []secret.Value
	var hashes []secret.Hash
	for range recoveryCount {
		var b [recoverySize]byte
		rand.Read(b[:])
		code := id.Encode(b[:])
		hashes = append(hashes, secret.New(code).Hash())
		codes = append(codes, secret.New(code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:]))
	}
	return codes, w.tx.PutRecoveryCodes(w.ctx, p.ID, hashes)
}

// SecondFactors says what the person has; without one named, the actor. Others' are for whoever may reset them.
func (c *Control) SecondFactors(ctx context.Context, a identity.Actor, person id.ID) (SecondFactors, error) {
	var out SecondFactors
	if person == "" {
		person = a.Person
	}
	err := c.view(ctx, a, "SecondFactors", func(r read) error {
		p, err := r.person(person)
		if err != nil {
			return err
		}
		if p.ID != a.Person {
			if err := mayReset(a, p); err != nil {
				return err
			}
		}
		out, err = c.factorsOf(r, p)
		return err
	})
	return out, err
}

func (c *Control) factorsOf(r read, p identity.Person) (SecondFactors, error) {
	out := SecondFactors{Demanded: c.demandsSecond(p)}
	a, err := r.tx.Authenticator(r.ctx, p.ID)
	switch {
	case errors.Is(err, fault.NotFound):
	case err != nil:
		return out, err
	case !a.Confirmed.IsZero():
		out.App, out.Since = true, a.Confirmed
	}
	if out.Codes, err = r.tx.CountRecoveryCodes(r.ctx, p.ID); err != nil {
		return out, err
	}
	keys, err := r.tx.PasskeysOf(r.ctx, p.ID)
	out.Passkeys = len(keys)
	return out, err
}

// Enrolment is an authenticator app that is being set up. It is told once.
type Enrolment struct {
	Key secret.Value // in base 32, to be typed
	URL secret.Value // otpauth://…, to be shown as a QR code
}

// EnrolAuthenticator begins to set up an authenticator app: a fresh key, which counts once FinishAuthenticator has seen a code
// of it. One that is set up already is fault.Conflict.
func (c *Control) EnrolAuthenticator(ctx context.Context, a identity.Actor) (Enrolment, error) {
	key := make([]byte, appKeySize)
	rand.Read(key)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	err := c.update(ctx, a, "EnrolAuthenticator", func(w *write) error {
		has, err := hasSecond(ctx, w.tx, a.Person)
		if err != nil {
			return err
		}
		if has {
			return fault.Of(fault.Conflict, "factor-there", "you have an authenticator app already: remove it first")
		}
		w.changes++
		err = w.tx.PutAuthenticator(ctx, identity.Authenticator{Person: a.Person, Secret: c.apps.close(string(key), []byte(a.Person)), Created: w.now})
		if err != nil {
			return err
		}
		return w.audit(change{action: "factor.begin", object: a.Person, organization: a.Organization}, nil, nil)
	})
	label := url.PathEscape("Gatehouse:" + a.Email)
	return Enrolment{Key: secret.New(text), URL: secret.New("otpauth://totp/" + label + "?secret=" + text + "&issuer=Gatehouse")}, err
}

// FinishAuthenticator takes the first code of the app that is being set up. From then on it is asked for at every sign-in. It
// returns the recovery codes, which are told once, and ends the person's other sessions.
func (c *Control) FinishAuthenticator(ctx context.Context, a identity.Actor, code string) ([]secret.Value, error) {
	if err := allow(a, "FinishAuthenticator"); err != nil {
		return nil, err
	}
	counts, err := c.countCode(ctx, a, a.Person, true)
	if err != nil {
		return nil, err
	}
	var codes []secret.Value
	err = c.update(ctx, a, "FinishAuthenticator", func(w *write) error {
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		app, err := w.tx.Authenticator(ctx, p.ID)
		if errors.Is(err, fault.NotFound) || err == nil && (!app.Confirmed.IsZero() || w.now.Sub(app.Created) >= enrolLives) {
			return fault.Of(fault.Conflict, "no-enrolment", "no authenticator app is being set up: begin again")
		}
		if err != nil {
			return err
		}
		app.Confirmed = w.now
		if err := c.matchCode(w, app, readSecondCode(code)); err != nil {
			return fault.Bad("/code", "%s", fault.As(err).Public)
		}
		if codes, err = w.newRecoveryCodes(p); err != nil {
			return err
		}
		w.changes++
		if err := w.tx.ConfirmSession(ctx, a.Session, w.now, w.now); err != nil {
			return err
		}
		if err := w.audit(change{action: "factor.add", object: p.ID, organization: p.Organization, reason: "app"}, nil, nil); err != nil {
			return err
		}
		if err := w.endSessionsOf(p, a.Session, "a second factor was set up"); err != nil {
			return err
		}
		return c.factorLetter(w, p, "An authenticator app was set up", "Every sign-in asks for a code of it from now on, and you were signed out everywhere else.")
	})
	if err == nil {
		c.giveBack(ctx, counts...)
	}
	return codes, err
}

// ConfirmSession shows that the session is still its person's: by a code of the second factor, or by the password of somebody
// who has none. What matters most is then allowed for a quarter of an hour.
func (c *Control) ConfirmSession(ctx context.Context, a identity.Actor, code string, password secret.Value) error {
	var p identity.Person
	var second bool
	err := c.view(ctx, a, "ConfirmSession", func(r read) (err error) {
		if p, err = r.person(a.Person); err == nil {
			second, err = hasSecond(ctx, r.tx, p.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	if second {
		return c.proving(ctx, a, "ConfirmSession", code, func(w *write, p identity.Person) error {
			return w.confirmSession(p, "second factor", w.now)
		})
	}
	if p.Password == "" {
		return fault.Of(fault.Conflict, "sign-in-again", "you have neither a second factor nor a password: sign in again")
	}
	counts, err := c.countAll(ctx, count{passwordChanges, string(p.ID)})
	if err != nil {
		return err
	}
	ok, err := c.hasher.check(ctx, p.Password, password)
	if err != nil {
		return err
	}
	if !ok {
		return fault.Bad("/password", "is not your password")
	}
	c.giveBack(ctx, counts...)
	return c.update(ctx, a, "ConfirmSession", func(w *write) error {
		return w.confirmSession(p, "password", time.Time{})
	})
}

func (w *write) confirmSession(p identity.Person, how string, proven time.Time) error {
	w.changes++
	if err := w.tx.ConfirmSession(w.ctx, w.a.Session, w.now, proven); err != nil {
		return err
	}
	return w.audit(change{action: "session.confirm", object: w.a.Session, organization: p.Organization, reason: how}, nil, nil)
}

// proving checks a code of the actor's own second factor and then does something, in one transaction.
func (c *Control) proving(ctx context.Context, a identity.Actor, method, code string, do func(*write, identity.Person) error) error {
	if err := allow(a, method); err != nil {
		return err
	}
	counts, err := c.countCode(ctx, a, a.Person, true)
	if err != nil {
		return err
	}
	err = c.update(ctx, a, method, func(w *write) error {
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		if _, err := c.proveCode(w, p, code); err != nil {
			if errors.Is(err, fault.Unauthenticated) { // the session is good: it is the code that is not
				return fault.Bad("/code", "%s", fault.As(err).Public)
			}
			return err
		}
		return do(w, p)
	})
	if err == nil {
		c.giveBack(ctx, counts...)
	}
	return err
}

// RemoveAuthenticator removes the actor's own app with its recovery codes, by a code of it. One that a role demands stays.
func (c *Control) RemoveAuthenticator(ctx context.Context, a identity.Actor, code string) error {
	return c.proving(ctx, a, "RemoveAuthenticator", code, func(w *write, p identity.Person) error {
		has, err := c.factorsOf(w.read, p)
		if err != nil {
			return err
		}
		if has.Demanded && has.Passkeys == 0 {
			return fault.Of(fault.Conflict, "second-factor-demanded", "your role demands a second factor")
		}
		if err := w.dropApp(p, "factor.remove", ""); err != nil {
			return err
		}
		return c.factorLetter(w, p, "Your authenticator app was removed", "Signing in asks for no second factor any more.")
	})
}

// NewRecoveryCodes makes fresh recovery codes, by a code of the app; the others are worthless from then on.
func (c *Control) NewRecoveryCodes(ctx context.Context, a identity.Actor, code string) ([]secret.Value, error) {
	var codes []secret.Value
	err := c.proving(ctx, a, "NewRecoveryCodes", code, func(w *write, p identity.Person) (err error) {
		if codes, err = w.newRecoveryCodes(p); err != nil {
			return err
		}
		w.changes++
		return w.audit(change{action: "factor.new-recovery-codes", object: p.ID, organization: p.Organization}, nil, nil)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// dropFactors removes every second factor of the person.
func (w *write) dropFactors(p identity.Person, action, reason string) error {
	if err := w.tx.DropPasskeys(w.ctx, p.ID); err != nil {
		return err
	}
	return w.dropApp(p, action, reason)
}

// dropApp removes the authenticator app with its recovery codes.
func (w *write) dropApp(p identity.Person, action, reason string) error {
	if err := w.tx.DropAuthenticator(w.ctx, p.ID); err != nil {
		return err
	}
	if err := w.tx.PutRecoveryCodes(w.ctx, p.ID, nil); err != nil {
		return err
	}
	w.changes++
	return w.audit(change{action: action, object: p.ID, organization: p.Organization, reason: reason}, nil, nil)
}

// mayReset says whether the actor may take another person's second factors away.
func mayReset(a identity.Actor, p identity.Person) error {
	switch {
	case a.Class == identity.Host:
		return nil
	case p.Class == identity.Staff && callers(a)&admin == 0, p.Class == identity.Member && callers(a)&(owner|keepers) == 0:
		return fault.New(fault.Forbidden, "your role does not allow this")
	}
	return nil
}

// ResetSecondFactors takes the second factors of somebody away who has lost them, and ends their sessions; they are told by a
// letter, and sign in by the first factor until they set up another one. Nobody does it for themselves. A member's: owner of the
// organization, operator or admin; staff's: admin.
func (c *Control) ResetSecondFactors(ctx context.Context, a identity.Actor, person id.ID, reason string) error {
	if err := allow(a, "ResetSecondFactors"); err != nil {
		return err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return err
	}
	return c.update(ctx, a, "ResetSecondFactors", func(w *write) error {
		p, err := w.person(person)
		if err != nil {
			return err
		}
		if p.ID == a.Person {
			return fault.Of(fault.Forbidden, "not-your-own", "nobody resets their own second factor: use a recovery code, or ask somebody else")
		}
		if err := mayReset(a, p); err != nil {
			return err
		}
		return c.resetFactors(w, p, reason)
	})
}

func (c *Control) resetFactors(w *write, p identity.Person, reason string) error {
	has, err := c.factorsOf(w.read, p)
	if err != nil {
		return err
	}
	if !has.App && has.Passkeys == 0 {
		return fault.Of(fault.Conflict, "no-factor", "they have no second factor")
	}
	if err := w.dropFactors(p, "factor.reset", reason); err != nil {
		return err
	}
	if err := w.endSessionsOf(p, "", "the second factor was reset"); err != nil {
		return err
	}
	return c.factorLetter(w, p, "Your second factor was reset", "Somebody who may do so has taken your second factor away: "+reason, "You were signed out everywhere. Sign in and set up another one.")
}

func (c *Control) factorLetter(w *write, p identity.Person, subject string, text ...string) error {
	parts := append([]string{subject + " on " + when(w.now) + "."}, text...)
	return w.letter(p.Email, subject, lines(append(parts, "If this was not you, or you did not ask for it, choose a new password at once and tell us:", c.URL+forgotPage)...))
}

func (c *Control) recoveryUsedLetter(w *write, p identity.Person, left int) error {
	word := "none is"
	if left > 0 {
		word = "some are"
	}
	return c.factorLetter(w, p, "A recovery code was used", "It stood for your authenticator app, and counts no more: "+word+" left. Make new ones in your account, or set up the app anew.")
}
