package control

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/secret"
)

const (
	keysMost    = 100         // live credentials of one application: enough to rotate, too few to hide one
	shortestKey = time.Minute // the shortest lifetime that can be asked for
	boundMost   = 50          // grants that one credential can be bound to
)

// NewKey is what an API key is made from.
type NewKey struct {
	Application id.ID
	Environment string
	Name        string
	Lifetime    time.Duration // at most what the plans of the application's grants there allow; 0: that
	Grants      []id.ID       // to bind it to; none: all of the application's in the environment
	Sources     []string      // networks it may be used from; none: any
	Pending     bool          // it proves nothing until ActivateCredential
	Once        string
}

// IssueKey makes an API key. The key is returned once and never again: a repeated Once is fault.Conflict with the code
// "already-issued". The application needs a grant in that environment. A key that would leave in doubt which grant a call
// is for, because two of its grants cover the same operation, is fault.Conflict "covered-twice".
func (c *Control) IssueKey(ctx context.Context, a identity.Actor, n NewKey) (credential.Credential, secret.Value, error) {
	var cr credential.Credential
	var key secret.Value
	const method = "IssueKey"
	if err := allow(a, method); err != nil {
		return cr, key, err
	}
	var f form
	n.Name, n.Once = f.name("/name", n.Name, longestName), f.once(n.Once)
	if n.Lifetime < 0 || n.Lifetime > 0 && n.Lifetime < shortestKey {
		f.bad("/lifetime", "must be at least %s", manifest.Duration(shortestKey))
	}
	if len(n.Grants) > boundMost {
		f.bad("/grants", "must be at most %d", boundMost)
	}
	n.Sources = f.sources("/sources", n.Sources)
	if err := f.err(); err != nil {
		return cr, key, err
	}
	if err := c.warm(ctx); err != nil {
		return cr, key, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		made, err := w.once(method, n.Once)
		if err != nil {
			return err
		}
		if made != "" {
			return fault.Of(fault.Conflict, "already-issued", "this form has made the credential %s already: its key was shown then and cannot be shown again", made)
		}
		app, _, err := w.mayAsk(n.Application)
		if err != nil {
			return err
		}
		of, err := c.newest(ctx, w.tx, n.Environment)
		if errors.Is(err, fault.NotFound) {
			return fault.Bad("/environment", "there is no environment %q", clip(n.Environment))
		}
		if err != nil {
			return err
		}
		lifetime, err := w.mayIssue(of, app, credential.APIKey, n.Lifetime, n.Grants)
		if err != nil {
			return err
		}
		var public string
		var hash secret.Hash
		key, public, hash = credential.NewKey(n.Environment)
		fresh := credential.Credential{
			ID: w.fresh(id.Credential), Organization: app.Organization, Application: app.ID, Environment: n.Environment,
			Kind: credential.APIKey, Name: n.Name, PublicID: public, Hash: hash, Grants: n.Grants, Sources: n.Sources,
			State: credential.Active, Created: w.now, CreatedBy: a.Person, Expires: w.after(lifetime),
		}
		if n.Pending {
			fresh.State = credential.Pending
		}
		cr, err = w.putCredential("credential.issue", "", credential.Credential{}, fresh)
		if err != nil {
			return err
		}
		return w.made(method, n.Once, cr.ID)
	})
	if err != nil {
		return credential.Credential{}, secret.Value{}, err
	}
	return cr, key, nil
}

// mayIssue checks the grants that a credential would stand for, and returns how long it may live: as long as was asked for,
// or for 0 the longest that the plans allow.
func (w *write) mayIssue(of offer, app application.Application, kind credential.Kind, lifetime time.Duration, bind []id.ID) (time.Duration, error) {
	have, err := w.credentialsOf(app)
	if err != nil {
		return 0, err
	}
	live := 0
	for _, cr := range have {
		if s := cr.Standing(w.now); s != string(credential.Revoked) && s != credential.Expired {
			live++
		}
	}
	if live >= keysMost {
		return 0, fault.Of(fault.Conflict, "too-many-credentials", "the application has %d live credentials: revoke one first", live)
	}
	grants, err := w.standing(app, of.Name)
	if err != nil {
		return 0, err
	}
	var f form
	if len(bind) > 0 {
		grants = f.grantsFor(grants, bind)
		if err := f.err(); err != nil {
			return 0, err
		}
	}
	usable := func(g grant.Grant) bool { return g.State == grant.Active && of.allows(g, kind) }
	if !slices.ContainsFunc(grants, usable) {
		return 0, fault.Of(fault.Conflict, "no-grant", "the application has no grant in the environment %s that %s could be used for: request access first", of.Name, a(kind.Title()))
	}
	longest := time.Duration(-1)
	for i, g := range grants {
		if !of.allows(g, kind) {
			return 0, fault.Of(fault.Conflict, "credential-kind", "the plan %s of grant %s does not allow %s: bind it to other grants", g.Plan, g.ID, a(kind.Title()))
		}
		l, _ := of.planOf(g)
		if longest < 0 || time.Duration(l.CredentialLongest) < longest {
			longest = time.Duration(l.CredentialLongest)
		}
		for _, h := range grants[:i] {
			if op, twice := of.overlap(g, h); twice {
				return 0, fault.Of(fault.Conflict, "covered-twice", "grants %s and %s both cover %s: bind the key to one of them", h.ID, g.ID, op)
			}
		}
	}
	if lifetime > longest {
		return 0, fault.Bad("/lifetime", "is longer than %s, the longest that the plans allow", manifest.Duration(longest))
	}
	if lifetime > 0 {
		return lifetime, nil
	}
	return longest, nil
}

// a puts the article before a noun.
func a(noun string) string {
	if noun != "" && strings.ContainsRune("AEIOaeio", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func pointerOf(list string, n int) string { return list + "/" + strconv.Itoa(n) }

// Credential returns one of the actor's organization, or for staff any.
func (c *Control) Credential(ctx context.Context, a identity.Actor, i id.ID) (credential.Credential, error) {
	var cr credential.Credential
	err := c.view(ctx, a, "Credential", func(r read) (err error) {
		cr, err = r.credential(i)
		return err
	})
	return cr, err
}

// Credentials lists those of an application; application "" lists the organization's, and for staff org "" all.
func (c *Control) Credentials(ctx context.Context, a identity.Actor, org, app id.ID, p Page) (List[credential.Credential], error) {
	var out List[credential.Credential]
	err := c.view(ctx, a, "Credentials", func(r read) error {
		f, err := r.filter(grant.Filter{Organization: org, Application: app})
		if err != nil {
			return err
		}
		out, err = collect(p, id.Credential, credentialID, nil, func(after id.ID, n int) ([]credential.Credential, error) {
			return r.tx.Credentials(ctx, f.Organization, f.Application, after, n)
		})
		return err
	})
	return out, err
}
