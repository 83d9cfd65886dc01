package control

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// refusalKey is what refusals are counted by.
type refusalKey struct{ environment, gateway, address, code string }

// waitingRefusals is how many different ones wait to be written. Whoever can reach the listener makes them: beyond that they
// are in the log alone.
const waitingRefusals = 256

// TurnedAway implements link.Plane.
func (s *source) TurnedAway(r fleet.Refusal) {
	k := refusalKey{r.Environment, r.Gateway, r.Address, r.Code}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.refusals[k]; ok {
		r.First, r.Times = old.First, r.Times+old.Times
	} else if len(s.refusals) >= waitingRefusals {
		return
	}
	s.refusals[k] = r
}

// FleetRefusals lists what was turned away that called as a gateway or wanted to become one, the newest first. Staff or Host.
func (c *Control) FleetRefusals(ctx context.Context, a identity.Actor) ([]fleet.Refusal, error) {
	out := []fleet.Refusal{}
	if err := allow(a, "FleetRefusals"); err != nil {
		return out, err
	}
	if err := c.source.flushRefusals(ctx); err != nil { // so that what has just happened is in it
		return out, err
	}
	err := c.view(ctx, a, "FleetRefusals", func(r read) error {
		all, err := r.tx.Refusals(ctx, fleet.KeptRefusals)
		out = append(out, all...)
		return err
	})
	return out, err
}

// FleetChange is a publish or a revocation with where it is in force.
type FleetChange struct {
	InForce
	Publish bool   `json:"publish"`          // else something was revoked, suspended or ended
	Kind    string `json:"kind"`             // of what has changed: revision, credential, grant, application, organization, denial
	Object  id.ID  `json:"object,omitempty"` // its ID, unless it is a revision or a denial
	State   string `json:"state"`            // how it stands since: published, revoked, suspended, ended, stopped, denied
	Number  int64  `json:"number,omitempty"` // of the revision
}

// How far back changes are looked for, and how many are told of one environment.
const (
	changesBack  = 200
	changesShown = 15
)

// FleetChanges tells of the newest publishes and revocations of each environment on how many gateways they are in force, and
// how long after their commit the last of those said so. Staff or Host.
func (c *Control) FleetChanges(ctx context.Context, a identity.Actor) ([]FleetChange, error) {
	out := []FleetChange{}
	err := c.view(ctx, a, "FleetChanges", func(r read) error {
		envs, err := r.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, e := range envs {
			for _, name := range e.Feeds() {
				if name == e.Name && len(e.Regions) > 0 && len(c.source.receipts(name)) == 0 {
					continue // nobody follows it
				}
				of, err := c.changesOf(r, name)
				if err != nil {
					return err
				}
				out = append(out, of...)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b FleetChange) int {
		return cmp.Or(b.Committed.Compare(a.Committed), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Region, b.Region), cmp.Compare(b.Seq, a.Seq))
	})
	return out, err
}

func (c *Control) changesOf(r read, name string) (out []FleetChange, err error) {
	head, err := r.tx.Head(r.ctx, name)
	if err != nil {
		return nil, err
	}
	es, err := r.tx.Entries(r.ctx, name, max(head.Seq-changesBack, 0), changesBack)
	for _, entry := range slices.Backward(es) {
		if f, ok := told(entry); ok && len(out) < changesShown {
			f.InForce = c.source.inForce(name, entry.Seq, entry.Committed)
			out = append(out, f)
		}
	}
	return out, err
}

// told says what an entry of the feed did, if it is a publish or takes something away.
func told(e feed.Entry) (f FleetChange, ok bool) {
	f.Kind, f.Object = string(e.Kind), id.ID(e.Key)
	read := func(v any) bool { return json.Unmarshal(e.Payload, v) == nil }
	switch e.Kind {
	case feed.KindRevision:
		f.Publish, f.State, f.Object, f.Number = true, "published", "", e.Version
		return f, true
	case feed.KindCredential:
		var v feed.Credential
		ok = read(&v) && !v.Live && v.Ended != string(credential.Pending)
		f.State = cmp.Or(v.Ended, "ended")
	case feed.KindGrant:
		var v feed.Grant
		ok = read(&v) && v.State != string(grant.Active)
		f.State = v.State
	case feed.KindOrganization:
		var v feed.Organization
		ok, f.State = read(&v) && !v.Live && e.Version > 1, "stopped" // a new one waits to be verified
	case feed.KindApplication:
		var v feed.Application
		ok, f.State = read(&v) && !v.Live, "stopped"
	case feed.KindDenial:
		ok, f.State, f.Object = true, "denied", ""
	}
	if ok && e.Withdrawn() {
		f.State = "withdrawn" // from a region
	}
	return f, ok
}
