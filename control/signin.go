package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/session"
	"gatehouse/store"
)

// SignedIn is a fresh session and its token, which is told once. Where the person has a second factor there is none yet: then
// Pending is what ProveSecondFactor takes, and all else is empty.
type SignedIn struct {
	Session session.Session
	Token   secret.Value
	Person  identity.Person
	Pending secret.Value
}

// wrongPassword is the answer to everything that is wrong with a sign-in, word for word the same.
func wrongPassword() error {
	return fault.Of(fault.Unauthenticated, "wrong-password", "e-mail address or password is wrong")
}

// SignIn checks e-mail address and password. Wrong ones are fault.Unauthenticated, too many tries fault.Limited, an
// unconfirmed address fault.Forbidden with the code "unconfirmed".
//
// Failures are counted per address, per person from one address, and per person from anywhere. The last count alone never
// locks a person out of an address from which they are signed in already, nor out of anywhere if they have a second factor,
// without which a guessed password opens nothing; and a link by e-mail, a passkey and an OpenID provider always open the door: so
// guessing is slow, and nobody can shut somebody else out.
func (c *Control) SignIn(ctx context.Context, a identity.Actor, email string, password secret.Value, userAgent string) (SignedIn, error) {
	email, why := cleanEmail(email)
	if why != "" {
		email = "" // nobody's; the answer and its time are the same
	}
	var p identity.Person
	var known, second bool
	err := c.Store.View(ctx, func(tx store.Tx) error {
		var err error
		p, err = tx.PersonByEmail(ctx, email)
		if errors.Is(err, fault.NotFound) {
			p, err = identity.Person{}, nil // nobody: every step is taken for them as well
		}
		if err != nil {
			return err
		}
		if second, err = hasSecond(ctx, tx, p.ID); err != nil {
			return err
		}
		known, err = signedInFrom(ctx, tx, p, a.Address, c.now())
		return err
	})
	if err != nil {
		return SignedIn{}, err
	}
	counts, shut, err := c.countSignIn(ctx, network(a.Address), email, known)
	if err != nil {
		return SignedIn{}, err
	}
	ok, err := c.hasher.check(ctx, p.Password, password) // shut or not: the answer takes as long
	if err != nil {
		return SignedIn{}, err
	}
	if shut != nil && !(ok && second) {
		return SignedIn{}, shut
	}
	if !ok || p.Gone() {
		return SignedIn{}, wrongPassword()
	}
	c.giveBack(ctx, counts...)
	if p.State != identity.Active {
		return SignedIn{}, fault.Of(fault.Forbidden, "unconfirmed", "confirm your e-mail address first: the link is in the letter that we sent")
	}
	var in SignedIn
	err = c.update(ctx, a, "SignIn", func(w *write) error {
		now, err := w.tx.Person(ctx, p.ID)
		if err != nil {
			return err
		}
		if now.State != identity.Active || now.Password != p.Password {
			return wrongPassword() // it was changed since it was checked
		}
		in, err = w.enter(now, "password", userAgent)
		return err
	})
	return in, err
}

// signIn makes the session. One that the caller still had is ended: a session does not outlive the next sign-in. proven says
// that two factors were shown.
func (w *write) signIn(p identity.Person, how string, proven bool, userAgent string) (SignedIn, error) {
	old := w.a.Session
	w.a = personActor(p, w.a.Address, w.a.RequestID)
	if old != "" {
		if err := w.endSession(old, "signed in again"); err != nil {
			return SignedIn{}, err
		}
	}
	s, token, err := w.addSession(p, how, proven, cleanAgent(userAgent))
	return SignedIn{Session: s, Token: token, Person: p}, err
}

// signedInFrom reports whether the person has a live session from the address.
func signedInFrom(ctx context.Context, tx store.Tx, p identity.Person, address string, now time.Time) (bool, error) {
	ss, err := tx.SessionsOf(ctx, p.ID)
	for _, s := range ss {
		if s.Live(now) && network(s.Address) == network(address) {
			return true, err
		}
	}
	return false, err
}

type count struct {
	limit limit
	key   string
}

// countSignIn counts one try before the password is looked at, so that many at the same moment are counted as well. shut says
// that there were too many for the person, from anywhere.
func (c *Control) countSignIn(ctx context.Context, network, email string, known bool) (counts []count, shut, _ error) {
	counts, err := c.countAll(ctx, count{triesPerAddress, network}, count{triesPerPair, network + " " + email})
	if err != nil || known {
		return counts, nil, err
	}
	more, err := c.countAll(ctx, count{triesPerPerson, email})
	if errors.Is(err, fault.Limited) {
		return counts, err, nil
	}
	return append(counts, more...), nil, err
}

// SignInByLink uses a one-time sign-in link.
func (c *Control) SignInByLink(ctx context.Context, a identity.Actor, token secret.Value, userAgent string) (SignedIn, error) {
	var in SignedIn
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return in, err
	}
	err := c.update(ctx, a, "SignInByLink", func(w *write) error {
		session := w.a.Session
		p, err := w.useLink(token, identity.SignInLink)
		if err != nil {
			return err
		}
		if p.State == identity.Unconfirmed { // the letter has reached them
			fresh := p
			fresh.State = identity.Active
			if p, err = w.putPerson("person.confirm", "by a sign-in link", p, fresh); err != nil {
				return err
			}
		}
		w.a.Session = session
		in, err = w.enter(p, "link", userAgent)
		return err
	})
	return in, err
}

// SignOut ends the actor's session.
func (c *Control) SignOut(ctx context.Context, a identity.Actor) error {
	return c.update(ctx, a, "SignOut", func(w *write) error {
		if a.Session == "" {
			return nil
		}
		return w.endSession(a.Session, "signed out")
	})
}

// touchEvery is how often at most it is written when a session was last seen.
const touchEvery = time.Minute

// BySession returns the actor of a session token, or fault.Unauthenticated.
func (c *Control) BySession(ctx context.Context, token secret.Value, address, requestID string) (identity.Actor, error) {
	now := c.now()
	over := fault.Of(fault.Unauthenticated, "session-over", "your session is over: sign in again")
	s, p, err := c.sessions.of(c.Store, token, func() (s session.Session, p identity.Person, err error) {
		err = c.Store.View(ctx, func(tx store.Tx) error {
			if s, err = tx.SessionByHash(ctx, token.Hash()); err != nil {
				return err
			}
			p, err = tx.Person(ctx, s.Person)
			return err
		})
		return s, p, err
	})
	switch {
	case errors.Is(err, fault.NotFound) && s.ID == "" || err == nil && (!s.Live(now) || p.State != identity.Active):
		return identity.Actor{}, over
	case err != nil:
		return identity.Actor{}, err
	}
	a := personActor(p, address, requestID)
	a.Session = s.ID
	a.Unproven = s.Proven.IsZero() && c.demandsSecond(p)
	a.Aged = now.Sub(s.Confirmed) >= confirmFor
	if now.Sub(s.LastSeen) >= touchEvery {
		err := c.Store.Update(ctx, func(tx store.Tx) error { return tx.TouchSession(ctx, s.ID, now) })
		if err != nil && ctx.Err() == nil { // telemetry: the request goes on without it
			c.Log.Error("touch session", "session", s.ID, "error", err)
		}
	}
	return a, nil
}

// Sessions lists the actor's own sessions, newest first.
func (c *Control) Sessions(ctx context.Context, a identity.Actor) ([]session.Session, error) {
	live := []session.Session{}
	err := c.view(ctx, a, "Sessions", func(r read) error {
		all, err := r.tx.SessionsOf(ctx, a.Person)
		for _, s := range all {
			if s.Live(r.now) {
				live = append(live, s)
			}
		}
		return err
	})
	return live, err
}

// EndSession ends one of the actor's own sessions.
func (c *Control) EndSession(ctx context.Context, a identity.Actor, i id.ID) error {
	return c.update(ctx, a, "EndSession", func(w *write) error {
		all, err := w.tx.SessionsOf(ctx, a.Person)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.ID == i {
				return w.endSession(i, "ended by its person")
			}
		}
		return missing("session")
	})
}
