package control

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/store"
)

// CatalogueProduct is a product as the newest revision of an environment offers it. Where environments differ, the first
// that offers it says how it is described; a plan lists the environments where it is offered now.
// It is shared by all who ask: it is for reading.
type CatalogueProduct struct {
	manifest.Product
	Environments []string          // where it is offered now
	Addresses    map[string]string // where partners call each of them; none for one without a gateway's address
	APIs         []CatalogueAPI
}

// CatalogueAPI is an API of a product with those of its operations that the product offers.
type CatalogueAPI struct {
	Name, Title, Version, Description string
	Path                              string // where gateways expose it
	Operations                        []CatalogueOperation
}

// CatalogueOperation is one operation as partners see it.
type CatalogueOperation struct {
	manifest.DocOperation
	FullPath  string   // Path of the API and of the operation
	Needs     []string // scopes
	Anonymous bool     // open to anybody
}

// Catalogue lists the products that are offered anywhere, by name. For anybody.
func (c *Control) Catalogue(ctx context.Context, a identity.Actor) ([]CatalogueProduct, error) {
	var offers []offer
	err := c.view(ctx, a, "Catalogue", func(r read) (err error) {
		offers, err = c.offersNow(ctx, r.tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.offers.catalogue(offers, func() []CatalogueProduct { return c.catalogue(offers) })), nil
}

// catalogue joins what the environments offer.
func (c *Control) catalogue(offers []offer) []CatalogueProduct {
	byName := map[string]*CatalogueProduct{}
	for _, o := range offers {
		for _, p := range o.Products {
			if !slices.Contains(p.Environments, o.Name) {
				continue
			}
			cp := byName[p.Name]
			if cp == nil {
				cp = &CatalogueProduct{Product: p, APIs: o.operations(&p), Addresses: map[string]string{}}
				cp.Plans, cp.Scopes = nil, maps.Clone(p.Scopes)
				byName[p.Name] = cp
			}
			cp.Environments = append(cp.Environments, o.Name)
			if url := c.addressOf(o); url != "" {
				cp.Addresses[o.Name] = url
			}
			for s, text := range p.Scopes {
				if _, ok := cp.Scopes[s]; !ok {
					cp.Scopes[s] = text
				}
			}
			for _, l := range p.Plans {
				if !slices.Contains(l.Environments, o.Name) {
					continue
				}
				i := slices.IndexFunc(cp.Plans, func(have manifest.Plan) bool { return have.Name == l.Name })
				if i < 0 {
					l.Environments = nil
					cp.Plans = append(cp.Plans, l)
					i = len(cp.Plans) - 1
				}
				cp.Plans[i].Environments = append(cp.Plans[i].Environments, o.Name)
			}
		}
	}
	out := []CatalogueProduct{}
	for _, p := range byName {
		p.Product.Environments = p.Environments
		out = append(out, *p)
	}
	slices.SortFunc(out, func(x, y CatalogueProduct) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// Product returns one of the catalogue.
func (c *Control) Product(ctx context.Context, a identity.Actor, name string) (CatalogueProduct, error) {
	all, err := c.Catalogue(ctx, a)
	if err != nil {
		return CatalogueProduct{}, err
	}
	i := slices.IndexFunc(all, func(p CatalogueProduct) bool { return p.Name == name })
	if i < 0 {
		return CatalogueProduct{}, missing("product")
	}
	return all[i], nil
}

// Document returns the OpenAPI document of an API as JSON, as it was published but for two things: its servers are the
// gateways, and operations that no gateway exposes are left out. For anybody, if a product offers the API; for staff any.
func (c *Control) Document(ctx context.Context, a identity.Actor, api string) ([]byte, error) {
	var out []byte
	err := c.view(ctx, a, "Document", func(r read) error {
		offers, err := c.offersNow(ctx, r.tx)
		if err != nil {
			return err
		}
		offers = slices.DeleteFunc(offers, func(o offer) bool {
			_, ok := o.API(api)
			return !ok || !(o.offered(api) || callers(a)&staff != 0)
		})
		if len(offers) == 0 {
			return missing("API")
		}
		var servers []server
		for _, o := range offers {
			if url := c.addressOf(o); url != "" {
				declared, _ := o.API(api)
				servers = append(servers, server{URL: url + declared.FullPath(""), Description: o.title()})
			}
		}
		first := offers[0]
		declared, _ := first.API(api)
		out, err = rewriteDocument(first.Documents[api], servers, func(operation string) bool {
			return declared.Operation(operation).Exposed()
		})
		if err != nil {
			return fault.New(fault.Internal, "something went wrong on our side").Because(err)
		}
		return nil
	})
	return out, err
}

// offered reports whether a product that the environment offers has operations of the API.
func (o offer) offered(api string) bool {
	return slices.ContainsFunc(o.Products, func(p manifest.Product) bool {
		return slices.Contains(p.Environments, o.Name) &&
			slices.ContainsFunc(p.Operations, func(pa manifest.ProductAPI) bool { return pa.API == api })
	})
}

// declared returns what the manifest says of its own environment.
func (o offer) declared() (manifest.Environment, bool) {
	i := slices.IndexFunc(o.Parsed.Environments, func(e manifest.Environment) bool { return e.Name == o.Name })
	if i < 0 {
		return manifest.Environment{}, false
	}
	return o.Parsed.Environments[i], true
}

func (o offer) title() string {
	e, _ := o.declared()
	return cmp.Or(e.Title, o.Name)
}

// addressOf is where partners call the environment: what the manifest says, else the address of our gateway.
func (c *Control) addressOf(o offer) string {
	e, _ := o.declared()
	return cmp.Or(e.URL, c.Gateways[o.Name])
}

// addressIn is the same for an environment by name, whatever is published.
func (c *Control) addressIn(ctx context.Context, tx store.Tx, environment string) (string, error) {
	offers, err := c.offersNow(ctx, tx)
	if err != nil {
		return "", err
	}
	for _, o := range offers {
		if o.Name == environment {
			return c.addressOf(o), nil
		}
	}
	return c.Gateways[environment], nil
}
