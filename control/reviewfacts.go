package control

import (
	"errors"
	"slices"

	"gatehouse/application"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
)

// gatherer gathers the facts of grants, and remembers what several of them share.
type gatherer struct {
	read
	c      *Control
	places map[[2]string]identity.Place
	needs  map[[2]string]map[string][]string // by environment and product: what each API/operation needs
	apps   map[id.ID]application.Application
	people map[id.ID][]identity.Person
	bound  map[id.ID][]boundTo
}

func (c *Control) gather(r read) *gatherer {
	return &gatherer{read: r, c: c, places: map[[2]string]identity.Place{}, needs: map[[2]string]map[string][]string{},
		apps: map[id.ID]application.Application{}, people: map[id.ID][]identity.Person{}, bound: map[id.ID][]boundTo{}}
}

// remembered is a value that is looked up once.
func remembered[K comparable, V any](m map[K]V, k K, look func() (V, error)) (V, error) {
	if v, ok := m[k]; ok {
		return v, nil
	}
	v, err := look()
	if err == nil {
		m[k] = v
	}
	return v, err
}

func (g *gatherer) placeOf(of grant.Grant) (identity.Place, error) {
	p, err := remembered(g.places, [2]string{of.Environment, of.Product}, func() (identity.Place, error) {
		return g.c.place(g.read, of.Environment, of.Product, "")
	})
	p.Organization = of.Organization
	return p, err
}

func (g *gatherer) applicationOf(i id.ID) (application.Application, error) {
	return remembered(g.apps, i, func() (application.Application, error) { return g.tx.Application(g.ctx, i) })
}

func (g *gatherer) peopleOf(org id.ID) ([]identity.Person, error) {
	return remembered(g.people, org, func() ([]identity.Person, error) {
		return all(personID, func(after id.ID, n int) ([]identity.Person, error) { return g.tx.People(g.ctx, org, after, n) })
	})
}

// needsOf is what the operations of the grant's product need; nil when the product is not offered any more.
func (g *gatherer) needsOf(of grant.Grant) (map[string][]string, error) {
	return remembered(g.needs, [2]string{of.Environment, of.Product}, func() (map[string][]string, error) {
		o, err := g.c.newest(g.ctx, g.tx, of.Environment)
		if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		p, ok := o.Product(of.Product)
		if !ok {
			return nil, nil
		}
		out := map[string][]string{}
		for _, a := range o.operations(p) {
			for _, op := range a.Operations {
				out[a.Name+"/"+op.ID] = op.Needs
			}
		}
		return out, nil
	})
}

// boundTo is a credential that counts, and the grants that it is bound to.
type boundTo struct {
	id, application id.ID
	environment     string
	grants          []id.ID
}

// facts is the evidence about a grant as of now.
func (g *gatherer) facts(of grant.Grant) (review.Facts, error) {
	f := review.Facts{At: g.now, From: of.From, Until: of.Until, Plan: of.Plan, Scopes: slices.Clone(of.Scopes), Used: []string{}, Operations: []string{},
		Credentials: []id.ID{}, ApprovedBy: slices.Clone(of.ApprovedBy)}
	uses, err := g.tx.UsesOfGrant(g.ctx, of.ID)
	if err != nil {
		return f, err
	}
	needs, err := g.needsOf(of)
	if err != nil {
		return f, err
	}
	f.UsedKnown = needs != nil
	for _, u := range uses {
		f.Calls += u.Count
		if u.Last.After(f.Last) {
			f.Last = u.Last
		}
		name := u.API + "/" + u.Operation
		f.Operations = append(f.Operations, name)
		scopes, known := needs[name]
		f.UsedKnown = f.UsedKnown && known
		for _, s := range scopes {
			if slices.Contains(of.Scopes, s) {
				f.Used = append(f.Used, s)
			}
		}
	}
	f.Operations = slices.Compact(slices.Sorted(slices.Values(f.Operations)))
	f.Used = slices.Compact(slices.Sorted(slices.Values(f.Used)))
	creds, err := g.credentialsFor(of.Organization, of.Application)
	if err != nil {
		return f, err
	}
	for _, c := range creds {
		if c.environment == of.Environment && (len(c.grants) == 0 || slices.Contains(c.grants, of.ID)) {
			f.Credentials = append(f.Credentials, c.id)
		}
	}
	if q, err := g.tx.Request(g.ctx, of.Request); err == nil {
		f.RequestedBy = q.By
	} else if !errors.Is(err, fault.NotFound) {
		return f, err
	}
	open, err := g.tx.Requests(g.ctx, grant.Filter{Application: of.Application, Environment: of.Environment, State: string(grant.Open)}, "", pageMost)
	for _, q := range open {
		if q.Of == of.ID {
			f.Renewal = q.ID
		}
	}
	return f, err
}

// credentialsFor lists the credentials of an application that count now.
func (g *gatherer) credentialsFor(org, app id.ID) ([]boundTo, error) {
	return remembered(g.bound, app, func() ([]boundTo, error) {
		list, err := g.credentialsOf(application.Application{ID: app, Organization: org})
		var out []boundTo
		for _, c := range list {
			if c.Live(g.now) {
				out = append(out, boundTo{c.ID, c.Application, c.Environment, c.Grants})
			}
		}
		return out, err
	})
}
