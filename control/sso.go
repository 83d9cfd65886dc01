package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/sso"
)

const (
	ssoLives = 10 * time.Minute // a sign-in that was begun at a provider
	ssoPage  = "/sso/"
)

// SSO is one OpenID provider that people may sign in with, and whom it may sign in.
type SSO struct {
	Name         string // in addresses and in the audit
	Title        string // on the button
	Provider     *sso.Provider
	Issuer       string
	Organization id.ID    // whose members it signs in; "": the platform's staff
	Domains      []string // of e-mail addresses for which it is authoritative: only there somebody new, or known by address, is let in
	Roles        map[string][]identity.Role
	SecondFactor bool // it asks for two factors itself: ours is not asked for beside them
}

var ssoName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// CheckSSO says what is wrong with a provider's rules.
func CheckSSO(s SSO) error {
	var f form
	if !ssoName.MatchString(s.Name) {
		f.bad("/name", "must be lower case letters, digits and hyphens, at most 32")
	}
	if s.Organization != "" {
		if _, err := id.Parse(id.Organization, string(s.Organization)); err != nil {
			f.bad("/for", `must be "staff" or an organization's identifier, not %q`, clip(string(s.Organization)))
		}
	}
	for group, roles := range s.Roles {
		var g form
		if s.Organization == "" {
			g.staffRoles(roles)
		} else {
			g.memberRoles(roles)
		}
		for _, w := range g.wrong {
			f.bad("/roles/"+group, "%s", w.Text)
		}
	}
	return f.err()
}

// class is what somebody is whom the provider signs in.
func (s SSO) class() identity.Class {
	if s.Organization == "" {
		return identity.Staff
	}
	return identity.Member
}

// authoritative reports whether the provider decides about the address: that of a domain of its own, which it says is verified.
func (s SSO) authoritative(c sso.Claims) bool {
	_, domain, ok := strings.Cut(c.Email, "@")
	return ok && c.Verified && slices.Contains(s.Domains, strings.ToLower(domain))
}

// mapped is the roles that the groups give, each once.
func (s SSO) mapped(groups []string) []identity.Role {
	out := []identity.Role{}
	for _, g := range groups {
		out = append(out, s.Roles[g]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// regrant returns the roles that somebody has now and those of them that a mapping gave, from what they had, what it had given,
// and what it gives now. What people gave stays.
func regrant(have, given, mapped []identity.Role) (roles, gives []identity.Role) {
	roles, gives = []identity.Role{}, []identity.Role{}
	for _, r := range have {
		if !slices.Contains(given, r) {
			roles = append(roles, r)
		}
	}
	for _, r := range mapped {
		if !slices.Contains(roles, r) {
			gives = append(gives, r)
		}
	}
	roles = append(roles, gives...)
	slices.Sort(roles)
	return slices.Compact(roles), gives
}

// SignOn is a provider that can be chosen.
type SignOn struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// SignOns lists the providers, in the order of the configuration.
func (c *Control) SignOns(context.Context, identity.Actor) ([]SignOn, error) {
	out := []SignOn{}
	for _, s := range c.SSO {
		out = append(out, SignOn{s.Name, s.Title})
	}
	return out, nil
}

func (c *Control) provider(name string) (SSO, error) {
	i := slices.IndexFunc(c.SSO, func(s SSO) bool { return s.Name == name })
	if i < 0 {
		return SSO{}, missing("provider")
	}
	return c.SSO[i], nil
}

func (c *Control) ssoReturn(s SSO) string { return c.URL + ssoPage + s.Name + "/callback" }

func ssoPurpose(s SSO) identity.CeremonyPurpose { return identity.CeremonyPurpose("sso:" + s.Name) }

// StartSSO begins a sign-in at a provider: where the browser goes, and the ticket that it keeps and FinishSSO wants back. to is
// where it goes on afterwards.
func (c *Control) StartSSO(ctx context.Context, a identity.Actor, name, to string) (address string, ticket secret.Value, _ error) {
	s, err := c.provider(name)
	if err != nil {
		return "", ticket, err
	}
	if err := c.limited(ctx, ssoStarts, network(a.Address)); err != nil {
		return "", ticket, err
	}
	ticket = secret.Random("ght_")
	flow := sso.NewFlow(ticket)
	if address, err = s.Provider.Start(ctx, c.ssoReturn(s), flow); err != nil {
		return "", secret.Value{}, err
	}
	err = c.update(ctx, a, "StartSSO", func(w *write) error {
		return w.tx.AddCeremony(ctx, identity.Ceremony{Hash: secret.New(flow.State).Hash(), Purpose: ssoPurpose(s), Data: to, Created: w.now, Expires: w.after(ssoLives)})
	})
	return address, ticket, err
}

// Returned is what a provider sent the browser back with.
type Returned struct {
	Ticket secret.Value // what the browser kept
	State  string
	Code   secret.Value
	Issuer string // RFC 9207; "" when it was not sent
	Error  string // of the provider; "" when it let them in
}

// FinishSSO signs in whoever a provider says it is, and returns where they wanted to go. The state counts once, whatever comes of
// it, and only in the browser that began.
//
// Somebody whom the provider has signed in before is known by issuer and subject. Else the address counts, if the provider says that
// it is verified and is authoritative for its domain: then an active person with it is linked, or a new one is made. Nobody gets a
// role that no mapping gives; what a mapping gave goes when the group goes. Whoever has no role is not signed in.
func (c *Control) FinishSSO(ctx context.Context, a identity.Actor, name string, r Returned, userAgent string) (SignedIn, string, error) {
	s, err := c.provider(name)
	if err != nil {
		return SignedIn{}, "", err
	}
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return SignedIn{}, "", err
	}
	flow := sso.NewFlow(r.Ticket)
	if r.Ticket.Empty() || subtle.ConstantTimeCompare([]byte(flow.State), []byte(r.State)) != 1 {
		return SignedIn{}, "", fault.Of(fault.Forbidden, "sso-elsewhere", "this sign-in was begun elsewhere, or long ago: begin again here")
	}
	if r.Issuer != "" && r.Issuer != s.Issuer {
		return SignedIn{}, "", fault.Of(fault.Forbidden, "sso-refused", "another provider answered than was asked")
	}
	var begun identity.Ceremony
	err = c.update(ctx, a, "FinishSSO", func(w *write) (err error) {
		begun, err = w.tx.TakeCeremony(ctx, secret.New(flow.State).Hash(), ssoPurpose(s), w.now) // First: it is the single-use gate.
		return pendingOver(err)
	})
	if err != nil {
		return SignedIn{}, "", err
	}
	if r.Error != "" {
		return SignedIn{}, "", fault.Of(fault.Forbidden, "sso-refused", "%s did not let you in", s.Title)
	}
	claims, err := s.Provider.Finish(ctx, c.ssoReturn(s), r.Code.Reveal(), flow)
	if err != nil {
		return SignedIn{}, "", err
	}
	claims.Email, _ = cleanEmail(claims.Email)
	var in SignedIn
	var after error // what is told although something was written
	err = c.update(ctx, a, "FinishSSO", func(w *write) error {
		p, err := c.subject(w, s, claims)
		if err != nil {
			return err
		}
		if len(p.Roles) == 0 {
			after = fault.Of(fault.Forbidden, "no-role", "we know you now, and you hold no role here yet: whoever gives them has been told, or ask them")
			return w.endSessionsOf(p, "", "no role is left")
		}
		w.a = identity.Actor{Address: a.Address, RequestID: a.RequestID, Session: a.Session}
		if s.SecondFactor {
			in, err = w.signIn(p, "sso:"+s.Name, true, userAgent)
		} else {
			in, err = w.enter(p, "sso:"+s.Name, userAgent)
		}
		return err
	})
	if err == nil {
		err = after
	}
	return in, begun.Data, err
}

// subject finds or makes the person that a provider speaks of, with the roles that they have now.
func (c *Control) subject(w *write, s SSO, claims sso.Claims) (identity.Person, error) {
	known, err := w.tx.Subject(w.ctx, s.Issuer, claims.Subject)
	var p identity.Person
	switch {
	case err == nil:
		if p, err = w.tx.Person(w.ctx, known.Person); err != nil {
			return p, err
		}
	case !errors.Is(err, fault.NotFound):
		return p, err
	default:
		known = identity.Subject{Issuer: s.Issuer, Subject: claims.Subject, Provider: s.Name, Roles: []identity.Role{}, Created: w.now}
		if p, err = c.newSubject(w, s, claims); err != nil {
			return p, err
		}
		known.Person = p.ID
	}
	if p.State != identity.Active || p.Class != s.class() || p.Organization != s.Organization {
		return p, fault.Of(fault.Forbidden, "sso-not-yours", "%s signs nobody in here who is known by that name", s.Title)
	}
	w.a = personActor(p, w.a.Address, w.a.RequestID)
	old := p
	p.Roles, known.Roles = regrant(p.Roles, known.Roles, s.mapped(claims.Groups))
	known.Used = w.now
	if err := w.tx.PutSubject(w.ctx, known); err != nil {
		return p, err
	}
	if slices.Equal(old.Roles, p.Roles) {
		return p, nil
	}
	if p, err = w.putPerson("person.sso-roles", "groups at "+s.Name, old, p); err != nil {
		return p, err
	}
	return p, c.ssoLeft(w, s, old, p)
}

// newSubject finds whom a subject that is not known yet is by its address, or makes them.
func (c *Control) newSubject(w *write, s SSO, claims sso.Claims) (identity.Person, error) {
	if !s.authoritative(claims) {
		return identity.Person{}, fault.Of(fault.Forbidden, "sso-unverified", "%s does not say of an e-mail address of its own domain that it is verified and yours: ask for an invitation", s.Title)
	}
	p, err := w.tx.PersonByEmail(w.ctx, claims.Email)
	if err == nil {
		if p.State != identity.Active || p.Class != s.class() || p.Organization != s.Organization {
			return p, fault.Of(fault.Forbidden, "sso-not-yours", "%s signs nobody in here who is known by that address", s.Title)
		}
		w.a = personActor(p, w.a.Address, w.a.RequestID)
		w.changes++
		if err := w.audit(change{action: "person.link-sso", object: p.ID, organization: p.Organization, reason: s.Name, personal: audit.Commit("subject", claims.Subject)}, nil, nil); err != nil {
			return p, err
		}
		return p, w.letter(p.Email, "You can sign in by "+s.Title, lines("Somebody whom "+s.Title+" knows by your e-mail address signed in here on "+when(w.now)+". From now on you can sign in that way.",
			"If this was not you, tell us."))
	}
	if !errors.Is(err, fault.NotFound) {
		return p, err
	}
	if s.Organization != "" {
		o, err := w.tx.Organization(w.ctx, s.Organization)
		if err != nil || o.State != organization.Registered && o.State != organization.Verified {
			return p, fault.Of(fault.Forbidden, "sso-not-yours", "the organization takes nobody just now")
		}
	}
	name, why := clean(claims.Name, longestName, false)
	if why != "" || name == "" {
		name, _, _ = strings.Cut(claims.Email, "@")
	}
	p = identity.Person{ID: w.fresh(id.Person), Class: s.class(), Organization: s.Organization, Email: claims.Email, Name: name,
		Roles: []identity.Role{}, State: identity.Active, Created: w.now}
	w.a = personActor(p, w.a.Address, w.a.RequestID)
	p, err = w.putPerson("person.join-by-sso", s.Name, identity.Person{}, p)
	if err != nil || len(s.mapped(claims.Groups)) > 0 {
		return p, err
	}
	return p, c.waitingLetter(w, s, p)
}

// waitingLetter tells whoever gives roles that somebody waits for one.
func (c *Control) waitingLetter(w *write, s SSO, p identity.Person) error {
	role, page := identity.Admin, "/people/"
	if s.Organization != "" {
		role, page = identity.Owner, "/members/"
	}
	return w.eachWith(s.Organization, role, func(to identity.Person) error {
		return w.letter(to.Email, "Somebody waits for a role", lines(fmt.Sprintf("%s (%s) has signed in by %s for the first time. No group of theirs gives a role, so they can do nothing.", p.Name, p.Email, s.Title),
			"Give them a role, or disable them, here:", c.URL+page+string(p.ID)))
	})
}

// ssoLeft tells the administrators when a group that is gone has taken the last owner of an organization away. A group that is
// gone counts whatever follows: an operator can invite another owner, the host's owner another administrator.
func (c *Control) ssoLeft(w *write, s SSO, old, p identity.Person) error {
	if s.Organization == "" || !slices.Contains(old.Roles, identity.Owner) || slices.Contains(p.Roles, identity.Owner) || w.ownerLeft(p.Organization) == nil {
		return nil
	}
	return w.eachWith("", identity.Admin, func(to identity.Person) error {
		return w.letter(to.Email, "An organization has no owner", lines("The last owner's group at "+s.Title+" is gone, and with it the role. Invite another owner:", c.URL+"/organizations/"+string(p.Organization)))
	})
}

// eachWith calls fn with each active person of the organization, or with "" of the staff, who has the role.
func (w *write) eachWith(org id.ID, role identity.Role, fn func(identity.Person) error) error {
	ps, err := all(personID, func(after id.ID, n int) ([]identity.Person, error) { return w.tx.People(w.ctx, org, after, n) })
	for _, p := range ps {
		if err == nil && p.State == identity.Active && slices.Contains(p.Roles, role) {
			err = fn(p)
		}
	}
	return err
}

// Subjects lists by which providers the actor can sign in.
func (c *Control) Subjects(ctx context.Context, a identity.Actor) ([]identity.Subject, error) {
	out := []identity.Subject{}
	err := c.view(ctx, a, "Subjects", func(r read) error {
		of, err := r.tx.SubjectsOf(ctx, a.Person)
		out = append(out, of...)
		return err
	})
	return out, err
}
