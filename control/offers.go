package control

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/manifest"
	"gatehouse/store"
)

// maxOffers is how many parsed manifests are kept: the newest of each environment, and some that were looked at.
const maxOffers = 16

// offers keeps manifests in their parsed form, by digest: what a digest stands for never changes.
type offers struct {
	mu     sync.Mutex
	parsed map[string]*manifest.Parsed
	order  []string // oldest first

	joined []CatalogueProduct // of the manifests in from
	from   []*manifest.Parsed
}

func newOffers() *offers { return &offers{parsed: map[string]*manifest.Parsed{}} }

func (o *offers) get(digest string) (*manifest.Parsed, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.parsed[digest]
	return p, ok
}

func (o *offers) put(digest string, p *manifest.Parsed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.parsed[digest]; ok {
		return
	}
	if len(o.order) == maxOffers {
		delete(o.parsed, o.order[0])
		o.order = o.order[1:]
	}
	o.parsed[digest] = p
	o.order = append(o.order, digest)
}

// catalogue returns what the offers join to: made anew only when one of them is another.
func (o *offers) catalogue(now []offer, join func() []CatalogueProduct) []CatalogueProduct {
	from := make([]*manifest.Parsed, len(now))
	for i := range now {
		from[i] = now[i].Parsed
	}
	o.mu.Lock()
	joined, same := o.joined, o.joined != nil && slices.Equal(o.from, from)
	o.mu.Unlock()
	if same {
		return joined
	}
	joined = join()
	o.mu.Lock()
	o.joined, o.from = joined, from
	o.mu.Unlock()
	return joined
}

// offer is what the newest revision of one environment offers.
type offer struct {
	env.Environment
	*manifest.Parsed
}

// newest returns what the environment offers now. One that does not exist is fault.NotFound, one without a revision
// fault.Conflict.
func (c *Control) newest(ctx context.Context, tx store.Tx, environment string) (offer, error) {
	envs, err := tx.Environments(ctx)
	if err != nil {
		return offer{}, err
	}
	i := slices.IndexFunc(envs, func(e env.Environment) bool { return e.Name == environment })
	if i < 0 {
		return offer{}, missing("environment")
	}
	o, ok, err := c.offerOf(ctx, tx, envs[i])
	if err == nil && !ok {
		err = fault.Of(fault.Conflict, "nothing-published", "nothing has been published to the environment %s yet", environment)
	}
	return o, err
}

// offersNow returns what each environment offers, in their order; those without a revision are left out.
func (c *Control) offersNow(ctx context.Context, tx store.Tx) ([]offer, error) {
	envs, err := tx.Environments(ctx)
	if err != nil {
		return nil, err
	}
	var out []offer
	for _, e := range envs {
		o, ok, err := c.offerOf(ctx, tx, e)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, o)
		}
	}
	return out, nil
}

func (c *Control) offerOf(ctx context.Context, tx store.Tx, e env.Environment) (offer, bool, error) {
	head, err := tx.Revisions(ctx, e.Name, 0, 1)
	if err != nil || len(head) == 0 {
		return offer{}, false, err
	}
	if p, ok := c.offers.get(head[0].Digest); ok {
		return offer{e, p}, true, nil
	}
	r, err := tx.Revision(ctx, e.Name, head[0].Number)
	if err != nil {
		return offer{}, false, err
	}
	p, err := parse(r)
	if err != nil {
		return offer{}, false, err
	}
	c.offers.put(r.Digest, p)
	return offer{e, p}, true, nil
}

// parse reads a stored revision. It was compiled before it was stored, so what is wrong now is a mistake of ours.
func parse(r env.Revision) (*manifest.Parsed, error) {
	b, err := manifest.Decode(r.Bundle)
	if err != nil {
		return nil, fmt.Errorf("revision %d of %s: %w", r.Number, r.Environment, err)
	}
	p, ds := manifest.Parse(b)
	if manifest.Fatal(ds) {
		return nil, fmt.Errorf("revision %d of %s is stored and cannot be read: %v", r.Number, r.Environment, ds)
	}
	return p, nil
}

// plan returns a product and a plan that are offered in the environment.
func (o offer) plan(product, plan string) (*manifest.Product, *manifest.Plan, error) {
	p, ok := o.Product(product)
	if !ok || !slices.Contains(p.Environments, o.Name) {
		return nil, nil, fault.Bad("/product", "the environment %s offers no product %q", o.Name, clip(product))
	}
	l, ok := p.Plan(plan)
	if !ok || !slices.Contains(l.Environments, o.Name) {
		return p, nil, fault.Bad("/plan", "the product %s has no plan %q in the environment %s", p.Name, clip(plan), o.Name)
	}
	return p, l, nil
}

// operations lists what the product offers, in the order of the manifest.
func (o offer) operations(p *manifest.Product) []CatalogueAPI {
	var out []CatalogueAPI
	for _, pa := range p.Operations {
		i := slices.IndexFunc(o.APIs, func(a manifest.API) bool { return a.Name == pa.API })
		doc := o.Documents[pa.API]
		if i < 0 || doc == nil {
			continue // such a manifest is never published
		}
		a := &o.APIs[i]
		api := CatalogueAPI{Name: a.Name, Title: a.Title, Version: doc.Version, Description: doc.Description, Path: a.Path}
		for _, op := range doc.Operations {
			if !slices.Contains(pa.IDs, op.ID) || !a.Operation(op.ID).Exposed() {
				continue
			}
			api.Operations = append(api.Operations, CatalogueOperation{DocOperation: op, FullPath: a.FullPath(op.Path),
				Needs: a.Needs(op), Anonymous: o.anonymous(i, op.ID)})
		}
		out = append(out, api)
	}
	return out
}

// anonymous reports whether the operation is open to anybody.
func (o offer) anonymous(api int, operation string) bool {
	return slices.ContainsFunc(o.Policies(api, operation), func(l manifest.PlacedPolicy) bool { return l.Kind == "anonymous" })
}

// opened lists the operations that a grant of the product with the scopes opens; by API and operation.
func (o offer) opened(product string, scopes []string) map[[2]string]bool {
	out := map[[2]string]bool{}
	p, ok := o.Product(product)
	if !ok {
		return out
	}
	g := grant.Grant{Scopes: scopes}
	for _, a := range o.operations(p) {
		for _, op := range a.Operations {
			if !op.Anonymous && g.Covers(op.Needs) {
				out[[2]string{a.Name, op.ID}] = true
			}
		}
	}
	return out
}

// allows reports whether the plan of the grant takes that kind of credential. A plan that is no longer offered takes none.
func (o offer) allows(g grant.Grant, k credential.Kind) bool {
	l, ok := o.planOf(g)
	return ok && slices.Contains(l.Credentials, string(k))
}

func (o offer) planOf(g grant.Grant) (*manifest.Plan, bool) {
	p, ok := o.Product(g.Product)
	if !ok {
		return nil, false
	}
	return p.Plan(g.Plan)
}

// warm parses what the environments offer outside a writing transaction, so that no other write waits for it.
func (c *Control) warm(ctx context.Context) error {
	return c.Store.View(ctx, func(tx store.Tx) error {
		_, err := c.offersNow(ctx, tx)
		return err
	})
}
