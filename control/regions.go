package control

import (
	"context"
	"slices"

	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// feedOf checks that there is such a feed: of an environment, or of a region that it is served in.
func (r read) feedOf(name string) error {
	environment, region := env.OfFeed(name)
	e, err := r.environmentOf(environment)
	if _, ok := e.In(region); err == nil && name != environment && !ok {
		return missing("region of the environment")
	}
	return err
}

// regionHeads is where the feed of each region of the environment stands.
func (r read) regionHeads(e env.Environment) (map[string]feed.Position, error) {
	var out map[string]feed.Position
	for _, in := range e.Regions {
		p, err := r.tx.Head(r.ctx, env.FeedOf(e.Name, in.Name))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string]feed.Position{}
		}
		out[in.Name] = p
	}
	return out, nil
}

// environmentOf is the environment of that name.
func (r read) environmentOf(name string) (env.Environment, error) {
	envs, err := r.tx.Environments(r.ctx)
	if err != nil {
		return env.Environment{}, err
	}
	at := slices.IndexFunc(envs, func(e env.Environment) bool { return e.Name == name })
	if at < 0 {
		return env.Environment{}, missing("environment")
	}
	return envs[at], nil
}

// mayStand says whether a gateway of the environment may join in the region. One without a region is told everything, so there is
// none where the environment is served in regions, nor while an organization is pinned to one.
func (r read) mayStand(environment, region, name string) error {
	e, err := r.environmentOf(environment)
	if err != nil {
		return err
	}
	in, ok := e.In(region)
	switch {
	case region == "" && len(e.Regions) > 0:
		return fault.Of(fault.Invalid, "gateway-without-region", "%s is served in regions: say in which of %s the gateway is", environment, listed(e))
	case region == "":
		return unpinned(r.ctx, r.tx, name)
	case !ok:
		return fault.Of(fault.Invalid, "region-unknown", "%s is not served in the region %q: it is in %s", environment, clip(region), listed(e))
	case !in.Ready:
		return fault.Of(fault.Conflict, "region-filling", "the feed of the region %s is being filled: try again when that is done, or add the region once more if that was broken off", region)
	}
	return nil
}

// listed are the regions of an environment in words.
func listed(e env.Environment) string {
	names := ""
	for _, r := range e.Regions {
		if names != "" {
			names += ", "
		}
		names += r.Name
	}
	if names == "" {
		return "none"
	}
	return names
}

// fillPage is how many entries one transaction puts into the feed of a fresh region.
const fillPage = 250

// AddRegion says that the environment is served in a region too: gateways may join there once its feed tells everything that came
// before it. Called again it goes on where it was broken off. Every process of the control plane must be of a release that knows
// regions: an older one refuses the database from now on. The reason stands in the audit. Operator, admin or Host.
func (c *Control) AddRegion(ctx context.Context, a identity.Actor, environment, region, reason string) (env.Environment, error) {
	var out env.Environment
	if err := allow(a, "AddRegion"); err != nil {
		return out, err
	}
	var f form
	if err := env.CheckRegion(region); err != nil {
		f.bad("/region", "%s", fault.As(err).Public)
	}
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	var through int64
	err := c.update(ctx, a, "AddRegion", func(w *write) (err error) {
		if out, err = w.environmentOf(environment); err != nil {
			return err
		}
		head, err := w.tx.Head(ctx, environment)
		through = head.Seq
		if in, there := out.In(region); err != nil || there {
			if in.Ready {
				return fault.Of(fault.Conflict, "region-there", "%s is served in %s already", environment, region)
			}
			return err
		}
		before := out.Regions
		out.Regions = append(slices.Clone(before), env.Region{Name: region, Added: w.now})
		return w.setRegions("environment.add-region", reason, before, out)
	})
	// What is committed from now on is numbered for the region too. Denials come first: what they refuse is never known without them.
	for _, denials := range []bool{true, false} {
		for after := int64(0); err == nil && after < through; {
			after, err = c.fillRegion(ctx, a, env.FeedOf(environment, region), through, after, denials)
		}
	}
	if err != nil {
		return out, err
	}
	err = c.update(ctx, a, "AddRegion", func(w *write) (err error) {
		if out, err = w.environmentOf(environment); err != nil {
			return err
		}
		at := slices.IndexFunc(out.Regions, func(r env.Region) bool { return r.Name == region })
		if at < 0 {
			return missing("region of the environment")
		}
		before := slices.Clone(out.Regions)
		out.Regions[at].Ready = true
		return w.setRegions("environment.open-region", reason, before, out)
	})
	return out, err
}

// fillRegion tells a region's feed some of what its environment's tells, and returns how far it came.
func (c *Control) fillRegion(ctx context.Context, a identity.Actor, name string, through, after int64, denials bool) (int64, error) {
	environment, _ := env.OfFeed(name)
	next := through
	err := c.update(ctx, a, "AddRegion", func(w *write) error {
		next = through
		es, err := w.tx.Newest(ctx, environment, through, after, fillPage)
		if err != nil {
			return err
		}
		if len(es) == fillPage {
			next = es[len(es)-1].Seq
		}
		for _, e := range es {
			if e.Kind == feed.KindEpoch || denials != (e.Kind == feed.KindDenial) {
				continue
			}
			if err := w.feed(name, e.Kind, e.Key, e.Version, e.Payload); err != nil {
				return err
			}
		}
		return nil
	})
	return next, err
}

// RemoveRegion says that the environment is not served in a region any more. Gateways that are there must have been drained or
// revoked, and no organization may be pinned to it. The reason stands in the audit. Operator, admin or Host.
func (c *Control) RemoveRegion(ctx context.Context, a identity.Actor, environment, region, reason string) (env.Environment, error) {
	var out env.Environment
	if err := allow(a, "RemoveRegion"); err != nil {
		return out, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	err := c.update(ctx, a, "RemoveRegion", func(w *write) (err error) {
		if out, err = w.environmentOf(environment); err != nil {
			return err
		}
		at := slices.IndexFunc(out.Regions, func(r env.Region) bool { return r.Name == region })
		if at < 0 {
			return missing("region of the environment")
		}
		pinned, err := w.tx.Pinned(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(pinned, region) {
			return fault.Of(fault.Conflict, "region-pinned", "organizations are pinned to %s: move them first", region)
		}
		gs, err := w.fleetOf(environment)
		if err != nil {
			return err
		}
		for _, g := range gs {
			if g.State == fleet.Active && g.Region == region {
				return fault.Of(fault.Conflict, "region-served", "the gateway %s is in %s: drain it first", g.Name, region)
			}
		}
		before := slices.Clone(out.Regions)
		out.Regions = slices.Delete(out.Regions, at, at+1)
		return w.setRegions("environment.remove-region", reason, before, out)
	})
	return out, err
}

// setRegions stores where the environment is served, and why it is not what it was before.
func (w *write) setRegions(action, reason string, before []env.Region, e env.Environment) error {
	if err := w.tx.SetRegions(w.ctx, e.Name, e.Regions); err != nil {
		return err
	}
	w.changes++
	return w.audit(change{action: action, environment: e.Name, reason: reason}, state(before), state(e.Regions))
}

// PinOrganization says that the organization's grants and credentials are known to the gateways of one region only; "" is everywhere.
// Those of other regions are told in the same moment that all of them are over. Operator or admin.
func (c *Control) PinOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, region, reason string) (organization.Organization, error) {
	var o organization.Organization
	if err := allow(a, "PinOrganization"); err != nil {
		return o, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if region != "" && env.CheckRegion(region) != nil {
		f.bad("/region", "is not a name of a region")
	}
	if err := f.err(); err != nil {
		return o, err
	}
	err := c.update(ctx, a, "PinOrganization", func(w *write) error {
		old, err := w.organization(i)
		if err != nil {
			return err
		}
		if err := w.within("PinOrganization", identity.Place{Organization: i}); err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if err := w.mayPin(region); err != nil {
			return err
		}
		if o, err = old.Pin(region); err != nil {
			return err
		}
		if o, err = w.putOrganization("organization.pin", reason, old, o); err != nil {
			return err
		}
		return w.tellAnew(i, reason)
	})
	return o, err
}

// mayPin refuses a region in which no environment is served, and any while a gateway knows everything.
func (w *write) mayPin(region string) error {
	if region == "" {
		return nil
	}
	envs, err := w.tx.Environments(w.ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(envs, func(e env.Environment) bool { r, ok := e.In(region); return ok && r.Ready }) {
		return fault.Bad("/region", "no environment is served in the region %q", clip(region))
	}
	for _, e := range envs {
		gs, err := w.fleetOf(e.Name)
		if err != nil {
			return err
		}
		for _, g := range gs {
			if g.State == fleet.Active && g.Region == "" {
				return fault.Of(fault.Conflict, "gateway-without-region", "the gateway %s of %s has no region, so it knows everything: enrol it anew in a region, or drain it, before an organization is pinned", g.Name, e.Name)
			}
		}
	}
	return nil
}

// tellAnew gives every grant and credential of the organization another version: the sequencer then tells each where it belongs now,
// and withdraws it elsewhere.
func (w *write) tellAnew(org id.ID, reason string) error {
	grants, err := all(grantID, func(after id.ID, n int) ([]grant.Grant, error) {
		return w.tx.Grants(w.ctx, grant.Filter{Organization: org}, after, n)
	})
	if err != nil {
		return err
	}
	for _, g := range grants {
		if _, err := w.putGrant("grant.move", reason, g, g); err != nil {
			return err
		}
	}
	creds, err := all(credentialID, func(after id.ID, n int) ([]credential.Credential, error) {
		return w.tx.Credentials(w.ctx, org, "", after, n)
	})
	if err != nil {
		return err
	}
	for _, cr := range creds {
		if _, err := w.putCredential("credential.move", reason, cr, cr); err != nil {
			return err
		}
	}
	return nil
}

// servedIn are the feeds of the environment by which gateways know what an organization has that is pinned so.
func servedIn(e env.Environment, region string) (out []string) {
	for _, name := range e.Feeds() {
		if _, at := env.OfFeed(name); at == "" || region == "" || at == region {
			out = append(out, name)
		}
	}
	return out
}
