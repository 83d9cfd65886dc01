package control

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/audit"
	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/session"
)

// The methods here are the only ones that store an object. Each takes it before and after (a zero Version before: it is
// new), and returns it as stored.

// before is the earlier state for the audit: nothing for what is new.
func before(version int64, o any) json.RawMessage {
	if version == 0 {
		return nil
	}
	return state(o)
}

func (w *write) putOrganization(action, reason string, old, o organization.Organization) (organization.Organization, error) {
	o.Version = old.Version
	o, err := w.tx.PutOrganization(w.ctx, o)
	if err != nil {
		return o, err
	}
	w.changes++
	err = w.audit(change{action: action, object: o.ID, organization: o.ID, reason: reason}, before(old.Version, old), state(o))
	if err != nil {
		return o, err
	}
	return o, w.feed("", feed.KindOrganization, string(o.ID), o.Version, state(feed.Organization{ID: o.ID, Name: o.Name, Live: o.Live()}))
}

func (w *write) putApplication(action, reason string, old, a application.Application) (application.Application, error) {
	a.Version = old.Version
	a, err := w.tx.PutApplication(w.ctx, a)
	if err != nil {
		return a, err
	}
	w.changes++
	err = w.audit(change{action: action, object: a.ID, organization: a.Organization, application: a.ID, reason: reason},
		before(old.Version, old), state(a))
	if err != nil {
		return a, err
	}
	return a, w.feed("", feed.KindApplication, string(a.ID), a.Version, state(feed.Application{
		ID: a.ID, Organization: a.Organization, Name: a.Name, Live: a.State == application.Active}))
}

func (w *write) putCredential(action, reason string, old, cr credential.Credential) (credential.Credential, error) {
	cr.Version = old.Version
	cr, err := w.tx.PutCredential(w.ctx, cr)
	if err != nil {
		return cr, err
	}
	w.changes++
	err = w.audit(change{action: action, object: cr.ID, organization: cr.Organization, application: cr.Application,
		environment: cr.Environment, reason: reason}, before(old.Version, old), state(cr))
	if err != nil {
		return cr, err
	}
	if p := proofs(cr); !slices.Equal(p, proofs(old)) {
		if err := w.tx.PutProofs(w.ctx, cr.ID, p); err != nil {
			return cr, err
		}
	}
	mark := cr.Mark()
	f := feed.Credential{ID: cr.ID, Application: cr.Application, Kind: string(cr.Kind), PublicID: cr.PublicID,
		Hash: mark[:], Grants: cr.Grants, Sources: cr.Sources, Expires: cr.End(),
		Live: cr.State == credential.Active || cr.State == credential.Retiring}
	if !f.Live {
		f.Ended = string(cr.State)
	}
	if cr.Workload != nil {
		for _, c := range cr.Workload.Claims {
			f.Claims = append(f.Claims, feed.Claim{Name: c.Name, Value: c.Value})
		}
	}
	return cr, w.feed(cr.Environment, feed.KindCredential, string(cr.ID), cr.Version, state(f))
}

// putIssuer stores what issues the tokens of an environment, and tells its gateways.
func (w *write) putIssuer(action, reason string, old, i credential.Issuer) (credential.Issuer, error) {
	i.Version = old.Version
	i, err := w.tx.PutIssuer(w.ctx, i)
	if err != nil {
		return i, err
	}
	w.changes++
	if err := w.audit(change{action: action, environment: i.Environment, reason: reason}, before(old.Version, old), state(i)); err != nil {
		return i, err
	}
	keys := []json.RawMessage{}
	for _, k := range i.Keys {
		keys = append(keys, k.Public)
	}
	set := state(map[string]any{"keys": keys})
	return i, w.feed(i.Environment, feed.KindIssuer, i.Environment, i.Version, state(feed.Issuer{URL: i.URL, Audience: i.Audience, Keys: set}))
}

// deny refuses one access token of a client, at every gateway of its environment.
func (w *write) deny(cr credential.Credential, d credential.Denial) error {
	if err := w.tx.Deny(w.ctx, d); err != nil {
		return err
	}
	w.changes++
	mark := hex.EncodeToString(d.Mark[:])
	err := w.audit(change{action: "token.revoke", object: cr.ID, organization: cr.Organization, application: cr.Application, environment: d.Environment}, nil,
		state(struct {
			Mark    string    `json:"mark"`
			Expires time.Time `json:"expires"`
		}{mark, d.Expires}))
	if err != nil {
		return err
	}
	return w.feed(d.Environment, feed.KindDenial, mark, 1, state(feed.Denial{Mark: d.Mark[:], Expires: d.Expires}))
}

func (w *write) putGrant(action, reason string, old, g grant.Grant) (grant.Grant, error) {
	g.Version = old.Version
	g, err := w.tx.PutGrant(w.ctx, g)
	if err != nil {
		return g, err
	}
	w.changes++
	err = w.audit(change{action: action, object: g.ID, organization: g.Organization, application: g.Application,
		environment: g.Environment, reason: reason}, before(old.Version, old), state(g))
	if err != nil {
		return g, err
	}
	return g, w.feed(g.Environment, feed.KindGrant, string(g.ID), g.Version, state(feed.Grant{
		ID: g.ID, Application: g.Application, Product: g.Product, Plan: g.Plan, Scopes: g.Scopes,
		From: g.From, Until: g.Until, State: string(g.State)}))
}

// auditedRequest is a request with its duration, which its JSON leaves out.
type auditedRequest struct {
	grant.Request
	Duration string `json:"duration"`
}

// putRequest tells no gateway: a request opens nothing.
func (w *write) putRequest(action, reason string, old, r grant.Request) (grant.Request, error) {
	r.Version = old.Version
	r, err := w.tx.PutRequest(w.ctx, r)
	if err != nil {
		return r, err
	}
	w.changes++
	return r, w.audit(change{action: action, object: r.ID, organization: r.Organization, application: r.Application,
		environment: r.Environment, reason: reason},
		before(old.Version, auditedRequest{old, old.Duration.String()}), state(auditedRequest{r, r.Duration.String()}))
}

// putAbsence tells no gateway: who decides opens nothing.
func (w *write) putAbsence(action string, old, a grant.Absence) (grant.Absence, error) {
	a.Version = old.Version
	a, err := w.tx.PutAbsence(w.ctx, a)
	if err != nil {
		return a, err
	}
	w.changes++
	return a, w.audit(change{action: action, object: a.ID}, before(old.Version, old), state(a))
}

// auditedPerson is a person without name, address and password.
type auditedPerson struct {
	ID           id.ID           `json:"id"`
	Class        string          `json:"class"`
	Organization id.ID           `json:"organization,omitempty"`
	Roles        []identity.Role `json:"roles"`
	State        identity.State  `json:"state"`
	Password     bool            `json:"has_password"`
	Version      int64           `json:"version"`
}

func audited(p identity.Person) auditedPerson {
	return auditedPerson{p.ID, p.Class.String(), p.Organization, p.Roles, p.State, p.Password != "", p.Version}
}

func (w *write) putPerson(action, reason string, old, p identity.Person) (identity.Person, error) {
	p.Version = old.Version
	p, err := w.tx.PutPerson(w.ctx, p)
	if err != nil {
		return p, err
	}
	w.changes++
	var told []audit.Personal
	if p.Email != old.Email {
		told = append(told, audit.Commit("email", p.Email)...)
	}
	if p.Name != old.Name {
		told = append(told, audit.Commit("name", p.Name)...)
	}
	return p, w.audit(change{action: action, object: p.ID, organization: p.Organization, reason: reason, personal: told},
		before(old.Version, audited(old)), state(audited(p)))
}

func (w *write) putMachine(action string, old, m identity.MachineToken) (identity.MachineToken, error) {
	m.Version = old.Version
	m, err := w.tx.PutMachine(w.ctx, m)
	if err != nil {
		return m, err
	}
	w.changes++
	return m, w.audit(change{action: action, object: m.ID, organization: m.Organization}, before(old.Version, old), state(m))
}

func (w *write) putInitialToken(action string, old, t credential.InitialToken) (credential.InitialToken, error) {
	t.Version = old.Version
	t, err := w.tx.PutInitialToken(w.ctx, t)
	if err != nil {
		return t, err
	}
	w.changes++
	return t, w.audit(change{action: action, object: t.ID, organization: t.Organization, application: t.Application, environment: t.Environment},
		before(old.Version, old), state(t))
}

// putRegistration keeps by which token a client is managed: it belongs to the entry that the client has.
func (w *write) putRegistration(cr credential.Credential, manage secret.Value) error {
	return w.tx.PutRegistration(w.ctx, cr.ID, manage.Hash())
}

// addLink stores a one-time link for the person and returns its token, which is told once. The audit keeps that there is
// one and what it is for.
func (w *write) addLink(p identity.Person, purpose identity.LinkPurpose, lives time.Duration) (secret.Value, error) {
	token := secret.Random("ghl_")
	l := identity.Link{Hash: token.Hash(), Purpose: purpose, Person: p.ID, Created: w.now, Expires: w.after(lives)}
	if err := w.tx.AddLink(w.ctx, l); err != nil {
		return secret.Value{}, err
	}
	w.changes++
	return token, w.audit(change{action: "link.send", object: p.ID, organization: p.Organization, reason: string(purpose)}, nil,
		state(struct {
			Purpose identity.LinkPurpose `json:"purpose"`
			Expires time.Time            `json:"expires"`
		}{purpose, l.Expires}))
}

// addSession signs the person in, and returns the session with its token.
func (w *write) addSession(p identity.Person, how string, proven bool, userAgent string) (session.Session, secret.Value, error) {
	token := secret.Random("ghs_")
	s := session.Session{ID: w.fresh(id.Session), Hash: token.Hash(), Person: p.ID, Created: w.now, LastSeen: w.now,
		Expires: w.after(session.Longest), Address: hostOf(w.a.Address), UserAgent: userAgent,
		How: how, Confirmed: w.now}
	if proven {
		s.Proven = w.now
	}
	if err := w.tx.AddSession(w.ctx, s); err != nil {
		return s, secret.Value{}, err
	}
	w.changes++
	return s, token, w.audit(change{action: "session.start", object: s.ID, organization: p.Organization, reason: how,
		personal: audit.Commit("user_agent", userAgent)}, nil,
		state(struct {
			ID      id.ID     `json:"id"`
			Person  id.ID     `json:"person"`
			Expires time.Time `json:"expires"`
		}{s.ID, s.Person, s.Expires}))
}

// endSession ends one session.
func (w *write) endSession(i id.ID, reason string) error {
	if err := w.tx.EndSession(w.ctx, i); err != nil {
		return err
	}
	w.changes++
	return w.audit(change{action: "session.end", object: i, organization: w.a.Organization, reason: reason}, nil, nil)
}

// endSessionsOf ends every session of the person but the one named keep.
func (w *write) endSessionsOf(p identity.Person, keep id.ID, reason string) error {
	n, err := w.tx.EndSessionsOf(w.ctx, p.ID, keep)
	if err != nil || n == 0 {
		return err
	}
	w.changes++
	return w.audit(change{action: "session.end-all", object: p.ID, organization: p.Organization, reason: reason}, nil,
		state(struct {
			Ended int `json:"ended"`
		}{n}))
}

// setDevice stores what was decided about a sign-in by device code. Its start is not audited: nobody has said anything yet.
func (w *write) setDevice(action string, d identity.Device, p id.ID) error {
	if err := w.tx.SetDevice(w.ctx, d); err != nil {
		return err
	}
	w.changes++
	return w.audit(change{action: action, object: p, organization: w.a.Organization}, nil,
		state(struct {
			Client string `json:"client"`
		}{d.Client}))
}

// addEnvironment adds an environment. The store tells its feed who was there before it.
func (w *write) addEnvironment(name string) (env.Environment, error) {
	e, err := w.tx.AddEnvironment(w.ctx, name, w.now)
	if err != nil {
		return e, err
	}
	w.changes++
	return e, w.audit(change{action: "environment.add", environment: e.Name}, nil, state(e))
}

func (w *write) addRevision(r env.Revision) (env.Revision, error) {
	r, err := w.tx.AddRevision(w.ctx, r)
	if err != nil {
		return r, err
	}
	w.changes++
	err = w.audit(change{action: "revision.publish", environment: r.Environment, reason: r.Note}, nil, state(r))
	if err != nil {
		return r, err
	}
	return r, w.feed(r.Environment, feed.KindRevision, r.Environment, r.Number,
		state(feed.Revision{Number: r.Number, Digest: r.Digest, Bundle: r.Bundle}))
}
