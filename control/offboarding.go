package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/store"
)

// OffboardOrganization ends the trust in an organization for good: its flag at the gateways, its applications, open requests,
// grants and credentials, and the sessions, machine tokens and invitations of its members, in one transaction. Before that, for a few
// seconds at most, gateways show that they let canaries in. It is not over before every gateway has said that all of it is in
// force, and has sworn that it refuses each credential: see Offboarding. Operator or admin, in person. SuspendOrganization does the
// first step at once, and can be taken back.
func (c *Control) OffboardOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (organization.Organization, error) {
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := allow(a, "OffboardOrganization"); err != nil {
		return organization.Organization{}, err
	}
	if err := f.err(); err != nil {
		return organization.Organization{}, err
	}
	probing, err := c.plantCanaries(ctx, a, i, version)
	if err != nil {
		return organization.Organization{}, err
	}
	c.showCanaries(ctx, &probing)
	o, err := c.turnOrganization(ctx, a, "OffboardOrganization", "offboarded", i, version, reason, &f,
		func(w *write, o organization.Organization) (organization.Organization, error) {
			fresh, err := o.Offboard(reason)
			if err != nil {
				return o, err
			}
			apps, err := w.applicationsOf(o.ID)
			if err != nil {
				return o, err
			}
			for _, old := range apps {
				if app, err := old.Close(reason, w.now); err == nil {
					if old, err = w.putApplication("application.close", reason, old, app); err != nil {
						return o, err
					}
				}
				if err := w.endAllOf(old, reason); err != nil {
					return o, err
				}
			}
			if err := w.endMembers(o.ID, reason); err != nil {
				return o, err
			}
			_, err = w.tx.PutProbing(ctx, probing)
			return fresh, err
		})
	if err == nil {
		select {
		case c.ended <- struct{}{}:
		default: // it is looked at already
		}
	}
	return o, err
}

// endMembers ends the sessions and machine tokens of an organization's people, and its open invitations. They can sign in again, to
// see how it ended.
func (w *write) endMembers(org id.ID, reason string) error {
	err := w.eachMember(org, func(p identity.Person) error {
		if err := w.revokeMachinesOf(p); err != nil {
			return err
		}
		return w.endSessionsOf(p, "", reason)
	})
	if err != nil {
		return err
	}
	open, err := all(func(i identity.Invitation) id.ID { return i.ID }, func(after id.ID, n int) ([]identity.Invitation, error) {
		return w.tx.InvitationsOf(w.ctx, org, after, n)
	})
	if err != nil {
		return err
	}
	for _, old := range open {
		if old.Standing(w.now) != "open" {
			continue
		}
		i := old
		i.Withdrawn = w.now
		if _, err := w.putInvitation("invitation.withdraw", old, i); err != nil {
			return err
		}
	}
	return nil
}

func (r read) applicationsOf(org id.ID) ([]application.Application, error) {
	return all(applicationID, func(after id.ID, n int) ([]application.Application, error) {
		return r.tx.Applications(r.ctx, org, after, n)
	})
}

// Offboarding is how far an organization's end has come.
type Offboarding struct {
	Organization organization.Organization `json:"organization"`
	Applications int                       `json:"applications"`
	Ended        []EndedObject             `json:"ended"` // every grant and credential that it ever had
	Gateways     []OffboardedAt            `json:"gateways"`
	Waits        []string                  `json:"waits,omitempty"` // for what, in words; none once it is complete
	Run          id.ID                     `json:"run,omitempty"`   // what gateways were asked for
	Canaries     []feed.Canary             `json:"canaries,omitempty"`
	Unshown      map[string]string         `json:"unshown,omitempty"` // environment/gateway that did not let the canaries in before the end, and why
	Notes        []string                  `json:"notes,omitempty"`   // what the proof does not show, in words

	probing feed.Probing
}

// EndedObject is a grant or credential and the change by which gateways know that it is over.
type EndedObject struct {
	ID          id.ID  `json:"id"`
	Environment string `json:"environment"`
	Kind        string `json:"kind,omitempty"` // of a credential
	Mark        []byte `json:"mark,omitempty"` // of a credential: by which gateways look it up
	State       string `json:"state"`
	Seq         int64  `json:"seq"` // in the feed of the environment; 0: it has no number yet
	Digest      string `json:"digest,omitempty"`
}

// OffboardedAt is what the gateways of one environment have said, or of a region of it.
type OffboardedAt struct {
	Environment string            `json:"environment"`
	Region      string            `json:"region,omitempty"`
	Seq         int64             `json:"seq"`                // everything about the organization is at or before this change
	Counted     []string          `json:"counted"`            // the gateways that must have it in force
	Unserved    bool              `json:"unserved,omitempty"` // there are none: nobody there can say or swear anything
	Keys        map[string]string `json:"keys,omitempty"`     // of those that enrolled: the SHA-256 of the key that each signs with
	Receipts    []feed.Receipt    `json:"receipts"`
	Before      []feed.Sworn      `json:"before,omitempty"` // gateways let the canaries in, before the end
	Sworn       []feed.Sworn      `json:"sworn,omitempty"`  // gateways refuse each credential that ended, and the canaries
	Waiting     []string          `json:"waiting,omitempty"`
	Reach       int               `json:"reach"` // operations that its applications can still call, by the view that is enforced
}

// Offboarding tells how far the end of an organization has come, and what it waits for. Members see their own.
func (c *Control) Offboarding(ctx context.Context, a identity.Actor, i id.ID) (Offboarding, error) {
	var out Offboarding
	err := c.view(ctx, a, "Offboarding", func(r read) (err error) {
		if out, err = c.offboarding(r, i); err == nil && ofPartner(a) {
			for n := range out.Gateways {
				g := &out.Gateways[n] // the platform's own
				g.Receipts, g.Before, g.Sworn, g.Counted, g.Keys = nil, nil, nil, nil, nil
			}
		}
		return err
	})
	return out, err
}

func (c *Control) offboarding(r read, i id.ID) (Offboarding, error) {
	out := Offboarding{Ended: []EndedObject{}, Gateways: []OffboardedAt{}}
	o, err := r.organization(i)
	if err != nil {
		return out, err
	}
	out.Organization = o
	if o.State != organization.Offboarding && o.State != organization.Offboarded {
		return out, fault.Of(fault.Conflict, "not-offboarding", "the organization is %s: nobody has offboarded it", o.State)
	}
	apps, err := r.applicationsOf(i)
	if err != nil {
		return out, err
	}
	out.Applications = len(apps)
	out.probing, err = r.tx.Probing(r.ctx, i)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return out, err
	}
	out.Run, out.Canaries, out.Unshown = out.probing.ID, out.probing.Canaries, out.probing.Unshown
	out.Notes = notesOf(out.probing)
	envs, err := r.tx.Environments(r.ctx)
	if err != nil {
		return out, err
	}
	if err := r.endedObjects(i, &out); err != nil {
		return out, err
	}
	for _, e := range envs {
		for _, name := range e.Feeds() {
			if name == e.Name && len(e.Regions) > 0 && len(c.source.receipts(name)) == 0 {
				continue // nobody follows it
			}
			at, err := c.offboardedAt(r, name, apps, &out)
			if err != nil {
				return out, err
			}
			out.Gateways = append(out.Gateways, at)
		}
	}
	if o.State == organization.Offboarded { // its last change, that it is over, is waited for by nobody
		out.Waits = nil
	}
	return out, nil
}

// endedObjects lists every grant and credential of the organization with its newest change, and what still holds.
func (r read) endedObjects(i id.ID, out *Offboarding) error {
	grants, err := all(grantID, func(after id.ID, n int) ([]grant.Grant, error) {
		return r.tx.Grants(r.ctx, grant.Filter{Organization: i}, after, n)
	})
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.State != grant.Ended && r.now.Before(g.Until) {
			out.Waits = append(out.Waits, fmt.Sprintf("grant %s is %s", g.ID, g.State))
		}
		if err := r.endedObject(out, feed.KindGrant, EndedObject{ID: g.ID, Environment: g.Environment, State: g.Standing(r.now)}, g.Version); err != nil {
			return err
		}
	}
	creds, err := all(credentialID, func(after id.ID, n int) ([]credential.Credential, error) {
		return r.tx.Credentials(r.ctx, i, "", after, n)
	})
	if err != nil {
		return err
	}
	for _, cr := range creds {
		if cr.State != credential.Revoked && r.now.Before(cr.Expires) {
			out.Waits = append(out.Waits, fmt.Sprintf("credential %s is %s", cr.ID, cr.State))
		}
		if err := r.endedObject(out, feed.KindCredential, EndedObject{ID: cr.ID, Environment: cr.Environment, Kind: string(cr.Kind), Mark: markOf(cr), State: string(cr.State)}, cr.Version); err != nil {
			return err
		}
	}
	return nil
}

// kindOf is what the feed calls an object that ended.
func kindOf(i id.ID) feed.Kind {
	if i.Is(id.Credential) {
		return feed.KindCredential
	}
	return feed.KindGrant
}

func (r read) endedObject(out *Offboarding, k feed.Kind, o EndedObject, version int64) error {
	e, err := r.tx.EntryOf(r.ctx, o.Environment, k, string(o.ID))
	switch {
	case err != nil && !errors.Is(err, fault.NotFound):
		return err
	case err != nil || e.Version < version:
		out.Waits = append(out.Waits, fmt.Sprintf("the newest change of %s has no number yet", o.ID))
	default:
		o.Seq, o.Digest = e.Seq, e.Digest
	}
	out.Ended = append(out.Ended, o)
	return nil
}

// offboardedAt asks what the gateways of one feed have said, and what the view that they enforce still lets through.
func (c *Control) offboardedAt(r read, name string, apps []application.Application, out *Offboarding) (OffboardedAt, error) {
	environment, region := env.OfFeed(name)
	at := OffboardedAt{Environment: environment, Region: region, Receipts: []feed.Receipt{}}
	flag, err := r.tx.EntryOf(r.ctx, name, feed.KindOrganization, string(out.Organization.ID))
	committed := flag.Committed
	if errors.Is(err, fault.NotFound) {
		err, committed = nil, r.now
	}
	if err != nil {
		return at, err
	}
	// Complete puts the organization once more: the flag that stops everything is the version before, or this one.
	if flag.Version < out.Organization.Version && out.Organization.State == organization.Offboarding {
		out.Waits = append(out.Waits, "the organization's end has no number in "+name+" yet")
	}
	at.Seq = flag.Seq
	for _, o := range out.Ended {
		if o.Environment != environment {
			continue
		}
		if region == "" {
			at.Seq = max(at.Seq, o.Seq)
			continue
		}
		e, err := r.tx.EntryOf(r.ctx, name, kindOf(o.ID), string(o.ID))
		if err != nil && !errors.Is(err, fault.NotFound) {
			return at, err
		}
		at.Seq = max(at.Seq, e.Seq) // 0 where it was never known
	}
	f := c.source.inForce(name, at.Seq, committed)
	at.Waiting = f.Waiting
	for _, g := range f.Waiting {
		out.Waits = append(out.Waits, fmt.Sprintf("gateway %s of %s has not said that change %d is in force", g, name, at.Seq))
	}
	at.Receipts = c.source.receipts(name)
	at.Counted = c.source.counted(name, committed)
	enrolled, err := r.fleetOf(environment)
	if err != nil {
		return at, err
	}
	for _, g := range enrolled {
		if slices.Contains(at.Counted, g.Name) {
			if at.Keys == nil {
				at.Keys = map[string]string{}
			}
			at.Keys[g.Name] = g.Key
		}
	}
	at.swear(out)
	if v := c.Views.View(environment); v != nil && v.Routes != nil && v.Access != nil {
		for _, a := range apps {
			for _, op := range v.Reach(a.ID, r.now) {
				if op.Grant != "" {
					at.Reach++
				}
			}
		}
	}
	if at.Reach > 0 {
		out.Waits = append(out.Waits, fmt.Sprintf("%d operations of %s can still be called", at.Reach, environment))
	}
	return at, nil
}

// tendOffboardings completes those that wait for nothing any more. Of several control planes that do it at once, one does:
// the others are told fault.Stale.
func (c *Control) tendOffboardings(ctx context.Context) error {
	var open []organization.Organization
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		open, err = tx.Organizations(ctx, organization.Offboarding, "", "", tendBatch)
		return err
	})
	for _, o := range open {
		if e := c.askGateways(ctx, o.ID); !errors.Is(e, fault.Stale) {
			err = errors.Join(err, e)
		}
		if e := c.completeOffboarding(ctx, o.ID); !errors.Is(e, fault.Stale) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// completeOffboarding seals the evidence, if nothing is waited for: every grant and credential with the change that ended it,
// every gateway's receipt for it, and what the gateways have sworn.
func (c *Control) completeOffboarding(ctx context.Context, i id.ID) error {
	var o Offboarding
	look := identity.Actor{Class: identity.System}
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		o, err = c.offboarding(read{tx: tx, ctx: ctx, a: look, now: c.now()}, i)
		return err
	})
	if err != nil || len(o.Waits) > 0 || o.Organization.State != organization.Offboarding {
		return err
	}
	return c.update(ctx, look, "tend", func(w *write) error {
		old, err := w.organization(i)
		if err != nil {
			return err
		}
		if err := seen(o.Organization.Version, old.Version); err != nil {
			return err
		}
		fresh, err := old.Complete()
		if err != nil {
			return err
		}
		err = w.audit(change{action: "organization.offboard-evidence", object: i, organization: i, reason: old.Reason}, nil,
			state(sealedOffboarding{o, w.now}))
		if err != nil {
			return err
		}
		fresh, err = w.putOrganization("organization.offboard-complete", old.Reason, old, fresh)
		if err != nil {
			return err
		}
		if err := w.endEndpoints(i); err != nil {
			return err
		}
		return w.eachMember(i, func(p identity.Person) error {
			if p.State != identity.Active || !slices.Contains(p.Roles, identity.Owner) {
				return nil
			}
			return c.organizationLetter(w, p, fresh, "offboarded: nothing of it can be called at any gateway")
		})
	})
}

// sealedOffboarding is what the audit keeps of a complete offboarding.
type sealedOffboarding struct {
	Offboarding
	Complete time.Time `json:"complete"`
}
