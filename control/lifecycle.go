package control

import (
	"context"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/secret"
)

// What happens to a credential between its issue and its end.

// longestOverlap is how long an old credential may stay valid beside the one that replaces it.
const longestOverlap = 90 * 24 * time.Hour

// ActivateCredential begins the use of a pending credential. Owner or developer of the organization.
func (c *Control) ActivateCredential(ctx context.Context, a identity.Actor, i id.ID, version int64) (credential.Credential, error) {
	return c.turnCredential(ctx, a, "ActivateCredential", "credential.activate", i, version, "", func(_ *write, old credential.Credential, now time.Time) (credential.Credential, error) {
		return old.Activate(now)
	})
}

// SuspendCredential stops a credential until it is resumed. Owner or developer of the organization, operator or admin; what
// the platform has suspended, only the platform resumes.
func (c *Control) SuspendCredential(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (credential.Credential, error) {
	return c.reasoned(ctx, a, "SuspendCredential", "credential.suspend", i, version, reason, func(old credential.Credential, reason string, now time.Time) (credential.Credential, error) {
		return old.Suspend(reason, !ofPartner(a), now)
	})
}

// ResumeCredential ends a suspension.
func (c *Control) ResumeCredential(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (credential.Credential, error) {
	return c.reasoned(ctx, a, "ResumeCredential", "credential.resume", i, version, reason, func(old credential.Credential, reason string, now time.Time) (credential.Credential, error) {
		return old.Resume(reason, !ofPartner(a), now)
	})
}

// RevokeCredential ends a credential at once and for good. Owner or developer of the organization, operator or admin.
func (c *Control) RevokeCredential(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (credential.Credential, error) {
	return c.reasoned(ctx, a, "RevokeCredential", "credential.revoke", i, version, reason, func(old credential.Credential, reason string, now time.Time) (credential.Credential, error) {
		return old.Revoke(reason, now)
	})
}

// reasoned is turnCredential for what must be explained.
func (c *Control) reasoned(ctx context.Context, a identity.Actor, method, action string, i id.ID, version int64, reason string,
	turn func(credential.Credential, string, time.Time) (credential.Credential, error)) (credential.Credential, error) {
	if err := allow(a, method); err != nil {
		return credential.Credential{}, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return credential.Credential{}, err
	}
	return c.turnCredential(ctx, a, method, action, i, version, reason, func(_ *write, old credential.Credential, now time.Time) (credential.Credential, error) {
		return turn(old, reason, now)
	})
}

// turnCredential brings a credential into another state.
func (c *Control) turnCredential(ctx context.Context, a identity.Actor, method, action string, i id.ID, version int64, reason string,
	turn func(*write, credential.Credential, time.Time) (credential.Credential, error)) (credential.Credential, error) {
	var cr credential.Credential
	err := c.update(ctx, a, method, func(w *write) error {
		old, err := w.credential(i)
		if err != nil {
			return err
		}
		if err := w.within(method, identity.Place{Organization: old.Organization}); err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if cr, err = turn(w, old, w.now); err != nil {
			return err
		}
		cr, err = w.putCredential(action, reason, old, cr)
		return err
	})
	return cr, err
}

// CredentialChange is what can be changed of a credential. What is nil stays.
type CredentialChange struct {
	Name    *string
	Sources *[]string
}

// ChangeCredential changes the name of a credential and from where it may be used. Owner or developer of the organization.
func (c *Control) ChangeCredential(ctx context.Context, a identity.Actor, i id.ID, version int64, ch CredentialChange) (credential.Credential, error) {
	const method = "ChangeCredential"
	if err := allow(a, method); err != nil {
		return credential.Credential{}, err
	}
	var f form
	var name string
	var sources []string
	if ch.Name != nil {
		name = f.name("/name", *ch.Name, longestName)
	}
	if ch.Sources != nil {
		sources = f.sources("/sources", *ch.Sources)
	}
	if err := f.err(); err != nil {
		return credential.Credential{}, err
	}
	return c.turnCredential(ctx, a, method, "credential.change", i, version, "", func(_ *write, old credential.Credential, now time.Time) (credential.Credential, error) {
		if s := old.Standing(now); s == string(credential.Revoked) || s == credential.Expired {
			return old, fault.New(fault.Conflict, "credential %s is over: it cannot be changed", old.ID)
		}
		if ch.Name != nil {
			old.Name = name
		}
		if ch.Sources != nil {
			old.Sources = sources
		}
		return old, nil
	})
}

// sources takes the networks that a credential may be used from.
func (f *form) sources(pointer string, list []string) []string {
	if len(list) > credential.SourcesMost {
		f.bad(pointer, "must be at most %d", credential.SourcesMost)
		return nil
	}
	out, wrong := credential.CleanSources(list)
	for n := range list {
		if why := wrong[n]; why != "" {
			f.bad(pointerOf(pointer, n), "%s", why)
		}
	}
	return out
}

// Rotation is how an API key or a client's secret is replaced.
type Rotation struct {
	Version  int64         // of the credential that the caller saw
	Name     string        // of the new key; "": that of the old one. A client keeps its own.
	Overlap  time.Duration // how long both are valid; 0: the old one ends at once
	Lifetime time.Duration // of the new one; 0: the longest that the plans allow
	Once     string
}

// RotateKey issues an API key in the place of another, with the same grants and sources, and lets the old one retire when
// the overlap is over, at a full minute: both are valid until then. An OAuth client with a secret stays the same credential
// (fresh and old are both it) and gets another secret; its earlier one is valid for as long. The new key or secret is returned
// once and never again. Owner or developer of the organization.
func (c *Control) RotateKey(ctx context.Context, a identity.Actor, i id.ID, n Rotation) (fresh, old credential.Credential, key secret.Value, err error) {
	const method = "RotateKey"
	if err := allow(a, method); err != nil {
		return fresh, old, key, err
	}
	var f form
	n.Once = f.once(n.Once)
	if n.Name != "" {
		n.Name = f.name("/name", n.Name, longestName)
	}
	if n.Overlap < 0 || n.Overlap > longestOverlap {
		f.bad("/overlap", "must be from nothing to %s", manifest.Duration(longestOverlap))
	}
	f.lifetime(n.Lifetime)
	if err := f.err(); err != nil {
		return fresh, old, key, err
	}
	if err := c.warm(ctx); err != nil {
		return fresh, old, key, err
	}
	err = c.update(ctx, a, method, func(w *write) error {
		was, err := w.credential(i)
		if err != nil {
			return err
		}
		if err := w.notAgain(method, n.Once, keyAgain); err != nil {
			return err
		}
		if err := seen(n.Version, was.Version); err != nil {
			return err
		}
		if was.Kind != credential.APIKey && (was.Kind != credential.Client || was.OAuth.Method != credential.ClientSecret) {
			return fault.Of(fault.Conflict, "credential-kind", "only an API key, or an OAuth client with a secret, is rotated like this")
		}
		app, _, err := w.mayAsk(was.Application)
		if err != nil {
			return err
		}
		of, err := c.newest(ctx, w.tx, was.Environment)
		if err != nil {
			return err
		}
		bound, err := w.standingOf(app, was)
		if err != nil {
			return err
		}
		lifetime, err := w.mayIssue(of, app, was.Kind, n.Lifetime, bound)
		if err != nil {
			return err
		}
		if err := w.mayFAPI(of, app, credential.Credential{OAuth: was.OAuth, Grants: bound}); err != nil {
			return err
		}
		retire := w.now
		if n.Overlap > 0 {
			if retire = w.after(n.Overlap).Truncate(time.Minute); retire.Before(w.now) {
				retire = retire.Add(time.Minute)
			}
		}
		if was.Kind == credential.Client {
			if key, fresh, err = w.rotateSecret(was, bound, retire, w.after(lifetime)); err != nil {
				return err
			}
			old = fresh
			return w.made(method, n.Once, fresh.ID)
		}
		next := credential.Credential{ID: w.fresh(id.Credential), Name: n.Name, State: credential.Active, Created: w.now, CreatedBy: a.Person, Expires: w.after(lifetime)}
		if next.Name == "" {
			next.Name = was.Name
		}
		key, next.PublicID, next.Hash = credential.NewKey(was.Environment)
		if old, fresh, err = was.Rotate(next, w.now, retire); err != nil {
			return err
		}
		fresh.Grants = bound
		if old, err = w.putCredential("credential.retire", "", was, old); err != nil {
			return err
		}
		if fresh, err = w.putCredential("credential.rotate", "", credential.Credential{}, fresh); err != nil {
			return err
		}
		return w.made(method, n.Once, fresh.ID)
	})
	if err != nil {
		return credential.Credential{}, credential.Credential{}, secret.Value{}, err
	}
	return fresh, old, key, nil
}

// rotateSecret gives a client another secret, for the grants that it is still bound to.
func (w *write) rotateSecret(was credential.Credential, bound []id.ID, until, expires time.Time) (secret.Value, credential.Credential, error) {
	value, hash := credential.NextSecret(was.Environment, was.PublicID)
	fresh, err := was.RotateSecret(hash, w.now, until, expires)
	if err != nil {
		return secret.Value{}, was, err
	}
	fresh.Grants = bound
	fresh, err = w.putCredential("credential.rotate-secret", "", was, fresh)
	return value, fresh, err
}

// standingOf is the grants that a credential is bound to and that still stand; none for one that is bound to nothing.
func (w *write) standingOf(app application.Application, cr credential.Credential) ([]id.ID, error) {
	if len(cr.Grants) == 0 {
		return nil, nil
	}
	grants, err := w.standing(app, cr.Environment)
	if err != nil {
		return nil, err
	}
	var out []id.ID
	for _, g := range grants {
		if slices.Contains(cr.Grants, g.ID) {
			out = append(out, g.ID)
		}
	}
	if len(out) == 0 { // bound to nothing would mean: to all
		return nil, fault.Of(fault.Conflict, "no-grant", "the grants that credential %s is bound to are over: issue another one", cr.ID)
	}
	return out, nil
}
