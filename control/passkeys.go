package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

const (
	passkeyLives  = 5 * time.Minute // until the authenticator has answered
	passkeysMost  = 20              // of one person
	longestAnswer = 32 << 10        // of an authenticator: keys and signatures, no certificates
	longestCOSE   = 600             // bytes of a public key: RSA of 4096 bits has 526, and a longer one only costs
	shortestRSA   = 256             // bytes of an RSA key
)

const (
	passkeyMade identity.CeremonyPurpose = "passkey-register"
	passkeyUsed identity.CeremonyPurpose = "passkey-sign-in"
)

// newPasskeys makes what checks passkeys for the portal's address; nil where it can have none: browsers want a name there, not a number.
// What the library leaves open by itself stays shut: no frames of other sites, no other origins, no output of extensions that nobody
// asked for. No attestation is asked for, since no make of device is preferred.
func newPasskeys(address string) *webauthn.WebAuthn {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	w, err := webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: "Gatehouse", RPOrigins: []string{address},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired}})
	if err != nil {
		return nil
	}
	return w
}

// holder is a person as passkeys know them: by their identifier, which tells nobody who it is.
type holder struct {
	identity.Person
	keys []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return []byte(h.ID) }
func (h holder) WebAuthnName() string                       { return h.Email }
func (h holder) WebAuthnDisplayName() string                { return h.Name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

func (r read) holder(p identity.Person) (holder, error) {
	h := holder{Person: p}
	ps, err := r.tx.PasskeysOf(r.ctx, p.ID)
	for _, k := range ps {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(k.Record), &c); err != nil {
			return h, fault.New(fault.Internal, "the passkey %s cannot be read", k.ID).Because(err)
		}
		h.keys = append(h.keys, c)
	}
	return h, err
}

// Ask is what an authenticator is asked, and the token that its answer belongs to.
type Ask struct {
	Options json.RawMessage // as navigator.credentials takes it, with bytes in base64url
	Token   secret.Value
}

// ask stores what was begun.
func (w *write) ask(purpose identity.CeremonyPurpose, person id.ID, options, session any) (Ask, error) {
	a := Ask{Options: state(options), Token: secret.Random("ghk_")}
	return a, w.tx.AddCeremony(w.ctx, identity.Ceremony{Hash: a.Token.Hash(), Purpose: purpose, Person: person, Data: string(state(session)), Created: w.now, Expires: w.after(passkeyLives)})
}

// begunPasskey is what is needed to finish: and, of a registration, whose session began it. An answer from another one does not count,
// though it is of the same person.
type begunPasskey struct {
	webauthn.SessionData
	Of id.ID `json:"of,omitempty"`
}

// passkeyAnswered takes what was begun: it counts once, whatever comes of it.
func (c *Control) passkeyAnswered(ctx context.Context, a identity.Actor, method string, token secret.Value, purpose identity.CeremonyPurpose) (identity.Ceremony, begunPasskey, error) {
	var begun identity.Ceremony
	var session begunPasskey
	err := c.update(ctx, a, method, func(w *write) (err error) {
		begun, err = w.tx.TakeCeremony(ctx, token.Hash(), purpose, w.now)
		if errors.Is(err, fault.Gone) {
			return fault.Of(fault.Gone, "passkey-over", "this took too long, or was answered already: begin again")
		}
		return err
	})
	if err == nil {
		err = json.Unmarshal([]byte(begun.Data), &session)
	}
	return begun, session, err
}

// OffersPasskeys reports whether there can be passkeys: the portal's address has a name.
func (c *Control) OffersPasskeys() bool { return c.passkeys != nil }

func (c *Control) passkeysHere() error {
	if c.passkeys == nil {
		return fault.Of(fault.Unavailable, "no-passkeys", "passkeys need a portal with a name as its address, such as https://portal.example or http://localhost:8001")
	}
	return nil
}

// BeginPasskey begins to register a passkey of the actor.
func (c *Control) BeginPasskey(ctx context.Context, a identity.Actor) (Ask, error) {
	var out Ask
	err := c.update(ctx, a, "BeginPasskey", func(w *write) error {
		if err := c.passkeysHere(); err != nil {
			return err
		}
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		h, err := w.holder(p)
		if err != nil {
			return err
		}
		if err := roomForPasskey(len(h.keys)); err != nil {
			return err
		}
		options, session, err := c.passkeys.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()),
			webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3())) // Ed25519, ES256 and RS256: what devices have
		if err != nil {
			return err
		}
		out, err = w.ask(passkeyMade, p.ID, options, begunPasskey{*session, a.Session})
		return err
	})
	return out, err
}

func roomForPasskey(have int) error {
	if have < passkeysMost {
		return nil
	}
	return fault.Of(fault.Conflict, "too-many-passkeys", "you have %d passkeys: remove one first", have)
}

// madePasskey checks what an authenticator answers that has made a passkey. Nothing is read or written: the check may take its time.
func (c *Control) madePasskey(person id.ID, session webauthn.SessionData, answer []byte) (*webauthn.Credential, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, err
	}
	raw := parsed.Response.AttestationObject.AuthData.AttData.CredentialPublicKey
	if len(raw) > longestCOSE {
		return nil, fault.New(fault.Invalid, "its public key has %d bytes", len(raw))
	}
	key, err := webauthncose.ParsePublicKey(raw) // what nobody attests is else looked at when it is used
	if err != nil {
		return nil, err
	}
	if k, ok := key.(webauthncose.RSAPublicKeyData); ok && len(k.Modulus) < shortestRSA {
		return nil, fault.New(fault.Invalid, "its RSA key has %d bytes", len(k.Modulus))
	}
	return c.passkeys.CreateCredential(holder{Person: identity.Person{ID: person}}, session, parsed)
}

func badPasskey(err error) error {
	return fault.Of(fault.Invalid, "bad-passkey", "this passkey does not answer as it must: try again").Because(err)
}

// FinishPasskey registers the passkey that the authenticator has made, under the name. From then on it signs in, as two factors.
func (c *Control) FinishPasskey(ctx context.Context, a identity.Actor, token secret.Value, name string, answer []byte) (identity.Passkey, error) {
	var k identity.Passkey
	if err := allow(a, "FinishPasskey"); err != nil {
		return k, err
	}
	var f form
	name = f.name("/name", name, longestName)
	if err := errors.Join(f.err(), c.passkeysHere()); err != nil {
		return k, err
	}
	begun, session, err := c.passkeyAnswered(ctx, a, "FinishPasskey", token, passkeyMade)
	if err != nil {
		return k, err
	}
	if begun.Person != a.Person || session.Of != a.Session || len(answer) > longestAnswer {
		return k, badPasskey(nil)
	}
	made, err := c.madePasskey(a.Person, session.SessionData, answer)
	if err != nil {
		return k, badPasskey(err)
	}
	err = c.update(ctx, a, "FinishPasskey", func(w *write) error {
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		have, err := w.tx.PasskeysOf(ctx, p.ID) // again: several may have been begun at the same time
		if err != nil {
			return err
		}
		if err := roomForPasskey(len(have)); err != nil {
			return err
		}
		k, err = w.putPasskey("factor.add-passkey", identity.Passkey{}, identity.Passkey{ID: w.fresh(id.Passkey), Person: p.ID, Name: name, Credential: made.ID, Record: string(state(made)), Created: w.now})
		if errors.Is(err, fault.Conflict) {
			return fault.Of(fault.Conflict, "passkey-there", "this passkey is registered already").Because(err)
		}
		if err != nil {
			return err
		}
		if err := w.tx.ConfirmSession(ctx, a.Session, w.now, w.now); err != nil { // its holder has just shown two factors
			return err
		}
		return c.factorLetter(w, p, "A passkey was added", "Its name is “"+name+"”. It signs in without your password.")
	})
	return k, err
}

// BeginPasskeySignIn begins a sign-in by a passkey, of nobody in particular: the passkey says whose it is.
func (c *Control) BeginPasskeySignIn(ctx context.Context, a identity.Actor) (Ask, error) {
	var out Ask
	if err := c.passkeysHere(); err != nil {
		return out, err
	}
	if err := c.limited(ctx, passkeyStarts, network(a.Address)); err != nil {
		return out, err
	}
	options, session, err := c.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return out, err
	}
	err = c.update(ctx, a, "BeginPasskeySignIn", func(w *write) (err error) {
		out, err = w.ask(passkeyUsed, "", options, begunPasskey{SessionData: *session})
		return err
	})
	return out, err
}

// SignInByPasskey signs in whoever the passkey says that it is. It is two factors: what they have, and what they are or know.
// Guessed passwords of theirs are not counted here, so nobody shuts them out. A passkey whose counter runs backwards may have been copied: it
// is refused, and they are told.
func (c *Control) SignInByPasskey(ctx context.Context, a identity.Actor, token secret.Value, answer []byte, userAgent string) (SignedIn, error) {
	if err := errors.Join(c.passkeysHere(), c.limited(ctx, linkTries, network(a.Address))); err != nil {
		return SignedIn{}, err
	}
	_, session, err := c.passkeyAnswered(ctx, a, "SignInByPasskey", token, passkeyUsed)
	if err != nil {
		return SignedIn{}, err
	}
	old, used, err := c.usedPasskey(ctx, a, session.SessionData, answer)
	if err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	var copied bool
	err = c.update(ctx, a, "SignInByPasskey", func(w *write) error {
		p, err := w.tx.Person(ctx, old.Person)
		if err != nil {
			return err
		}
		if p.State != identity.Active {
			return wrongPasskey(nil)
		}
		if copied = used.Authenticator.CloneWarning; copied {
			return c.passkeyCopied(w, p, old)
		}
		k := old
		k.Record, k.Used = string(state(used)), w.now
		if _, err := w.tx.PutPasskey(ctx, k); err != nil { // the counter and the last use: telemetry
			if errors.Is(err, fault.Stale) || errors.Is(err, fault.NotFound) {
				return wrongPasskey(err) // used elsewhere in this moment, or removed
			}
			return err
		}
		in, err = w.signIn(p, "passkey", true, userAgent)
		return err
	})
	if err == nil && copied {
		err = wrongPasskey(nil)
	}
	return in, err
}

func wrongPasskey(err error) error {
	return fault.Of(fault.Unauthenticated, "wrong-passkey", "this passkey opens nothing here").Because(err)
}

// usedPasskey checks what an authenticator answers that is to sign somebody in, and returns the passkey as it is kept and as it is after
// that. Nothing is written, and no transaction is open while signatures are checked.
func (c *Control) usedPasskey(ctx context.Context, a identity.Actor, session webauthn.SessionData, answer []byte) (k identity.Passkey, used *webauthn.Credential, err error) {
	if len(answer) > longestAnswer {
		return k, nil, wrongPasskey(nil)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return k, nil, wrongPasskey(err)
	}
	var h holder
	err = c.view(ctx, a, "SignInByPasskey", func(r read) (err error) {
		if k, err = r.tx.PasskeyByCredential(ctx, parsed.RawID); err != nil {
			return err
		}
		h, err = r.holder(identity.Person{ID: k.Person})
		return err
	})
	if errors.Is(err, fault.NotFound) {
		return k, nil, wrongPasskey(err)
	}
	if err != nil {
		return k, nil, err
	}
	_, used, err = c.passkeys.ValidatePasskeyLogin(func(_, user []byte) (webauthn.User, error) {
		if !bytes.Equal(user, h.WebAuthnID()) {
			return nil, errors.New("the passkey is of somebody else")
		}
		return h, nil
	}, session, parsed)
	if err != nil {
		return k, nil, wrongPasskey(err)
	}
	return k, used, nil
}

// passkeyCopied tells the person that one of theirs was shown with a counter that runs backwards. The passkey stays: removing it is theirs.
func (c *Control) passkeyCopied(w *write, p identity.Person, k identity.Passkey) error {
	w.changes++
	if err := w.audit(change{action: "factor.copied-passkey", object: p.ID, organization: p.Organization}, nil, state(struct {
		Passkey id.ID `json:"passkey"`
	}{k.ID})); err != nil {
		return err
	}
	if may, err := c.mayWriteIn(w, p.Email); !may {
		return err
	}
	return c.factorLetter(w, p, "A passkey of yours may have been copied", "Somebody tried to sign in with “"+k.Name+"”, but its counter ran backwards, as that of a copy does. It opened nothing.",
		"If you used it yourself, restoring a device from a backup can do this as well: remove it in your account and add it anew.")
}

// Passkeys lists the actor's own.
func (c *Control) Passkeys(ctx context.Context, a identity.Actor) ([]identity.Passkey, error) {
	out := []identity.Passkey{}
	err := c.view(ctx, a, "Passkeys", func(r read) error {
		ks, err := r.tx.PasskeysOf(ctx, a.Person)
		out = append(out, ks...)
		return err
	})
	return out, err
}

// passkey returns one of the actor's own.
func (r read) passkey(i id.ID) (identity.Passkey, error) {
	if _, err := id.Parse(id.Passkey, string(i)); err != nil {
		return identity.Passkey{}, missing("passkey")
	}
	k, err := r.tx.Passkey(r.ctx, i)
	if errors.Is(err, fault.NotFound) || err == nil && k.Person != r.a.Person {
		return identity.Passkey{}, missing("passkey")
	}
	return k, err
}

// RenamePasskey gives one of the actor's own another name.
func (c *Control) RenamePasskey(ctx context.Context, a identity.Actor, i id.ID, name string) (identity.Passkey, error) {
	var k identity.Passkey
	if err := allow(a, "RenamePasskey"); err != nil {
		return k, err
	}
	var f form
	name = f.name("/name", name, longestName)
	if err := f.err(); err != nil {
		return k, err
	}
	err := c.update(ctx, a, "RenamePasskey", func(w *write) (err error) {
		old, err := w.passkey(i)
		if err != nil {
			return err
		}
		k = old
		k.Name = name
		k, err = w.putPasskey("factor.rename-passkey", old, k)
		return err
	})
	return k, err
}

// RemovePasskey removes one of the actor's own. The last second factor of somebody whose role demands one stays.
func (c *Control) RemovePasskey(ctx context.Context, a identity.Actor, i id.ID) error {
	return c.update(ctx, a, "RemovePasskey", func(w *write) error {
		k, err := w.passkey(i)
		if err != nil {
			return err
		}
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		has, err := c.factorsOf(w.read, p)
		if err != nil {
			return err
		}
		if has.Demanded && !has.App && has.Passkeys == 1 {
			return fault.Of(fault.Conflict, "second-factor-demanded", "your role demands a second factor: set up another one first")
		}
		w.changes++
		if err := w.tx.DropPasskey(ctx, k.ID); err != nil {
			return err
		}
		if err := w.audit(change{action: "factor.remove-passkey", object: p.ID, organization: p.Organization}, nil, nil); err != nil {
			return err
		}
		return c.factorLetter(w, p, "A passkey was removed", "It was “"+k.Name+"”. It opens nothing any more.")
	})
}

// putPasskey stores a passkey. Its name is the person's own words, and is kept where it can be erased.
func (w *write) putPasskey(action string, old, k identity.Passkey) (identity.Passkey, error) {
	k.Version = old.Version
	k, err := w.tx.PutPasskey(w.ctx, k)
	if err != nil {
		return k, err
	}
	w.changes++
	return k, w.audit(change{action: action, object: k.Person, organization: w.a.Organization, personal: audit.Commit("passkey", k.Name)}, nil, state(struct {
		Passkey id.ID `json:"passkey"`
	}{k.ID}))
}
