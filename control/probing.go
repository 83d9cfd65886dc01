package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

const (
	// canaryPatience is how long the end of an organization waits for gateways to let its canaries in: the end is not put off for
	// a gateway that does not answer.
	canaryPatience = 3 * time.Second
	canaryLives    = 15 * time.Minute // if nothing ends it before
	probeTime      = 5 * time.Second  // for one answer of one gateway
)

// plantCanaries issues a canary of each kind of credential that the organization has, in each environment: a credential like its
// others, whose secret nobody ever has.
func (c *Control) plantCanaries(ctx context.Context, a identity.Actor, i id.ID, version int64) (feed.Probing, error) {
	var p feed.Probing
	err := c.update(ctx, a, "OffboardOrganization", func(w *write) error {
		p = feed.Probing{ID: w.fresh(id.Offboarding), Organization: i, Canaries: []feed.Canary{}, Before: []feed.Sworn{}, After: []feed.Sworn{}}
		o, err := w.organization(i)
		if err != nil {
			return err
		}
		if err := w.within("OffboardOrganization", identity.Place{Organization: i}); err != nil {
			return err
		}
		if err := seen(version, o.Version); err != nil {
			return err
		}
		if _, err := o.Offboard(""); err != nil {
			return err
		}
		apps, err := w.applicationsOf(i)
		if err != nil {
			return err
		}
		planted := map[[2]string]bool{}
		for _, app := range apps {
			list, err := w.credentialsOf(app)
			if err != nil {
				return err
			}
			for _, like := range list {
				at := [2]string{like.Environment, string(like.Kind)}
				if planted[at] || !like.Live(w.now) || app.State != application.Active {
					continue
				}
				planted[at] = true
				k := feed.Canary{Probed: feed.Probed{Kind: at[1]}, Environment: at[0], Why: "nothing of the organization passed any more: it was " + string(o.State)}
				switch {
				case !o.Live():
				default:
					n, err := w.putCredential("credential.issue-canary", "", credential.Credential{}, w.canary(like))
					if err != nil {
						return err
					}
					k.Credential, k.Mark, k.Why = n.ID, markOf(n), ""
				}
				p.Canaries = append(p.Canaries, k)
			}
		}
		return nil
	})
	return p, err
}

// canary is a credential like another one. What it is made from is forgotten here.
func (w *write) canary(like credential.Credential) credential.Credential {
	n := credential.Credential{ID: w.fresh(id.Credential), Organization: like.Organization, Application: like.Application, Environment: like.Environment,
		Kind: like.Kind, Name: "canary of the offboarding", State: credential.Active, Created: w.now, CreatedBy: w.a.Person, Expires: w.after(canaryLives)}
	switch like.Kind {
	case credential.Client:
		n.OAuth = &credential.OAuth{Method: credential.ClientSecret}
		_, n.PublicID, n.Hash = credential.NewSecret(like.Environment)
	case credential.APIKey:
		_, n.PublicID, n.Hash = credential.NewKey(like.Environment)
	case credential.Federated: // a subject of the same issuer that nobody is: its tokens, if there were any, would find this
		of := credential.Workload{}
		if like.Workload != nil {
			of = *like.Workload
		}
		n.Workload = &credential.Workload{Issuer: of.Issuer, Audience: of.Audience, Subject: secret.Random("canary_").Reveal()}
		n.PublicID, n.Hash = string(n.ID), n.Workload.Mark()
	default: // a certificate that nobody was given: it is known by the hash of all of it
		n.Hash = secret.Random("canary_").Hash()
		n.PublicID = fmt.Sprintf("%x", n.Hash[:])
	}
	return n
}

func markOf(cr credential.Credential) []byte {
	mark := cr.Mark()
	return mark[:]
}

// showCanaries has gateways swear that they let the canaries in, and notes where none did in time.
func (c *Control) showCanaries(ctx context.Context, p *feed.Probing) {
	p.Unshown = map[string]string{}
	feeds, err := c.feedsOfCanaries(ctx, p)
	if err != nil {
		c.Log.Warn("gateways cannot be asked about canaries", "error", err)
		return
	}
	asked := map[string]bool{} // environments with a gateway that is
	for name := range feeds {
		environment, _ := env.OfFeed(name)
		for _, g := range c.source.counted(name, c.now()) {
			p.Unshown[name+"/"+g] = "it was not asked in time"
			asked[environment] = true
		}
	}
	for n, k := range p.Canaries {
		if k.Credential != "" && !asked[k.Environment] {
			p.Canaries[n].Why = "no gateway serves " + k.Environment
		}
	}
	for until := time.Now().Add(c.patience); len(p.Unshown) > 0 && ctx.Err() == nil; {
		c.showSome(ctx, p, feeds)
		if !time.Now().Before(until) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// feedsOfCanaries are the feeds whose gateways know canaries, with the places of those.
func (c *Control) feedsOfCanaries(ctx context.Context, p *feed.Probing) (map[string][]int, error) {
	out := map[string][]int{}
	err := c.Store.View(ctx, func(tx store.Tx) error {
		clear(out)
		o, err := tx.Organization(ctx, p.Organization)
		if err != nil {
			return err
		}
		envs, err := tx.Environments(ctx)
		for _, e := range envs {
			for n, k := range p.Canaries {
				if k.Credential == "" || k.Environment != e.Name {
					continue
				}
				for _, name := range servedIn(e, o.Region) {
					out[name] = append(out[name], n)
				}
			}
		}
		return err
	})
	return out, err
}

// showSome asks every gateway once that has not shown it yet.
func (c *Control) showSome(ctx context.Context, p *feed.Probing, feeds map[string][]int) {
	for e, places := range feeds {
		ask := feed.Probe{ID: p.ID}
		ask.Environment, _ = env.OfFeed(e)
		err := c.Store.View(ctx, func(tx store.Tx) error {
			for _, n := range places {
				k := &p.Canaries[n]
				entry, err := tx.EntryOf(ctx, e, feed.KindCredential, string(k.Credential))
				if err != nil {
					return err
				}
				k.Seq = entry.Seq
				ask.Seq, ask.Credentials = max(ask.Seq, k.Seq), append(ask.Credentials, k.Probed)
			}
			return nil
		})
		for at := range p.Unshown {
			g, here := strings.CutPrefix(at, e+"/")
			if !here {
				continue
			}
			if err != nil { // no gateway is asked about less than all of them
				p.Unshown[at] = fault.As(err).Public
				continue
			}
			s, err := c.probe(ctx, g, ask, true)
			if err != nil {
				p.Unshown[at] = fault.As(err).Public
				continue
			}
			p.Before = append(p.Before, s)
			delete(p.Unshown, at)
		}
	}
}

// probe asks one gateway, and checks its answer.
func (c *Control) probe(ctx context.Context, gateway string, p feed.Probe, passes bool) (feed.Sworn, error) {
	var to feed.Prober
	if c.Probers != nil {
		to = c.Probers.Probers(p.Environment)[gateway]
	}
	if to == nil {
		return feed.Sworn{}, fault.Of(fault.Unavailable, "gateway-not-here", "it is not connected here: bring it back, or take it out with 'gatehouse gateways revoke'")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	s, err := to.Probe(ctx, p)
	if err == nil {
		_, err = s.Proves(gateway, p, passes)
	}
	return s, err
}

// probeOf is what the gateways of an environment are asked in the end: about each credential that the organization ever had
// there, the canaries among them.
func (o *Offboarding) probeOf(environment string, seq int64) feed.Probe {
	p := feed.Probe{ID: o.Run, Environment: environment, Seq: seq}
	for _, e := range o.Ended {
		if e.Environment == environment && e.ID.Is(id.Credential) {
			p.Credentials = append(p.Credentials, feed.Probed{Credential: e.ID, Kind: e.Kind, Mark: e.Mark})
		}
	}
	return p
}

// swear gathers what the gateways of the environment have sworn, and says what is missing.
func (at *OffboardedAt) swear(out *Offboarding) {
	ask := out.probeOf(at.Environment, at.Seq)
	of := slices.ContainsFunc(out.Ended, func(e EndedObject) bool { return e.Environment == at.Environment })
	if at.Unserved = len(at.Counted) == 0; at.Unserved && of {
		out.Notes = append(out.Notes, "no gateway serves "+at.Environment+": nobody there had to be told, and nobody there could swear anything")
	}
	if out.Organization.State != "offboarding" {
		ask.Seq = 0 // it was sworn before the organization's last change
	}
	for _, s := range out.probing.Before {
		if a, err := s.Open(); err == nil && a.Environment == at.Environment && (at.Region == "" || slices.Contains(at.Counted, a.Gateway)) {
			at.Before = append(at.Before, s)
		}
	}
	if len(ask.Credentials) == 0 {
		return
	}
	for _, g := range at.Counted {
		i := slices.IndexFunc(out.probing.After, func(s feed.Sworn) bool {
			_, err := s.Proves(g, ask, false)
			return err == nil && s.By(at.Keys[g])
		})
		if i >= 0 {
			at.Sworn = append(at.Sworn, out.probing.After[i])
			continue
		}
		if ask.Seq == 0 { // it came after the end
			continue
		}
		why := ""
		if t := out.probing.Trouble[at.Environment+"/"+g]; t != "" {
			why = ": " + t
		}
		out.Waits = append(out.Waits, fmt.Sprintf("gateway %s of %s has not sworn yet that it refuses %d credentials%s", g, at.Environment, len(ask.Credentials), why))
	}
}

// notesOf says in words what the canaries do not show.
func notesOf(p feed.Probing) (out []string) {
	for _, k := range p.Canaries {
		if k.Why != "" {
			out = append(out, fmt.Sprintf("no canary of the kind %s was let in in %s before the end: %s", k.Kind, k.Environment, k.Why))
		}
	}
	for at, why := range p.Unshown {
		out = append(out, fmt.Sprintf("gateway %s did not show before the end that it let the canaries in: %s", at, why))
	}
	slices.Sort(out)
	return out
}

// askGateways asks every gateway that has everything in force, and has not sworn yet.
func (c *Control) askGateways(ctx context.Context, i id.ID) error {
	var o Offboarding
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		o, err = c.offboarding(read{tx: tx, ctx: ctx, a: identity.Actor{Class: identity.System}, now: c.now()}, i)
		return err
	})
	if err != nil || o.Organization.State != "offboarding" {
		return err
	}
	p := o.probing
	if fresh := p.Version == 0; fresh { // it began before gateways were asked
		p = feed.Probing{ID: id.New(id.Offboarding, c.now()), Organization: i, Canaries: []feed.Canary{}, Before: []feed.Sworn{}}
		o.Run = p.ID
	}
	p.After, p.Trouble = []feed.Sworn{}, map[string]string{}
	asked := false
	for _, at := range o.Gateways {
		p.After = append(p.After, at.Sworn...)
		ask := o.probeOf(at.Environment, at.Seq)
		if len(ask.Credentials) == 0 {
			continue
		}
		for _, g := range at.Counted {
			has := slices.ContainsFunc(at.Sworn, func(s feed.Sworn) bool { _, err := s.Proves(g, ask, false); return err == nil })
			if has || slices.Contains(at.Waiting, g) || ask.Seq == 0 {
				continue
			}
			s, err := c.probe(ctx, g, ask, false)
			if err != nil {
				p.Trouble[at.Environment+"/"+g] = fault.As(err).Public
				asked = asked || o.probing.Trouble[at.Environment+"/"+g] != p.Trouble[at.Environment+"/"+g]
				continue
			}
			p.After, asked = append(p.After, s), true
		}
	}
	if !asked {
		return nil
	}
	return c.Store.Update(ctx, func(tx store.Tx) error {
		_, err := tx.PutProbing(ctx, p)
		return err
	})
}
