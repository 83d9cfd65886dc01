package control

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
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
	var key secret.Value
	cr, err := c.issue(ctx, a, n, issuing{
		method: "IssueKey", action: "credential.issue", kind: credential.APIKey, again: keyAgain,
		make: func(_ *write, fresh *credential.Credential) error {
			key, fresh.PublicID, fresh.Hash = credential.NewKey(fresh.Environment)
			return nil
		},
	})
	if err != nil {
		return cr, secret.Value{}, err
	}
	return cr, key, nil
}

// keyAgain is told to a form that is sent twice.
const keyAgain = "this form has made the credential %s already: its key was shown then and cannot be shown again"

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
