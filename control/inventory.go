package control

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/inventory"
	"gatehouse/manifest"
	"gatehouse/organization"
	"gatehouse/snapshot"
	"gatehouse/token"
)

const (
	// inventoryRead is how many credentials are read for one page, and inventoryJudged how many are judged: a page may be
	// shorter than asked for, and its Next goes on from where it stopped. To judge 200 took PostgreSQL up to 94 ms (p99).
	inventoryRead   = 5000
	inventoryJudged = 100
	sharedMost      = 50 // credentials with the same proof that a finding looks at
)

// InventoryFilter selects credentials. What is empty selects all.
type InventoryFilter struct {
	Organization, Application id.ID
	Environment               string
	Kind                      credential.Kind
	Risk                      string             // only those with a finding of it: NHI1 to NHI10
	Severity                  inventory.Severity // only those with a finding that is at least so severe
	Ended                     bool               // expired ones too; revoked ones are told by Credentials
}

func (f InventoryFilter) validate() error {
	var w form
	kinds := []credential.Kind{"", credential.APIKey, credential.Client, credential.Certificate, credential.Federated}
	if !slices.Contains(kinds, f.Kind) {
		w.bad("/kind", "must be one of %s, %s, %s, %s", kinds[1], kinds[2], kinds[3], kinds[4])
	}
	if f.Risk != "" && !slices.ContainsFunc(inventory.Risks(), func(r inventory.Risk) bool { return r.ID == f.Risk }) {
		w.bad("/risk", "must be one of NHI1 to NHI10")
	}
	if f.Severity != "" && f.Severity.Rank() == 0 {
		w.bad("/severity", "must be one of low, medium, high, critical")
	}
	return w.err()
}

// wants reports whether the filter selects the credential, before it is judged.
func (f InventoryFilter) wants(c credential.Credential, now time.Time) bool {
	return (f.Environment == "" || c.Environment == f.Environment) && (f.Kind == "" || c.Kind == f.Kind) && (f.Ended || c.Standing(now) != credential.Expired)
}

// keeps reports whether it selects the entry.
func (f InventoryFilter) keeps(e inventory.Entry) bool {
	if f.Risk == "" && f.Severity == "" {
		return true
	}
	return slices.ContainsFunc(e.Findings, func(x inventory.Finding) bool {
		return (f.Risk == "" || x.Risk == f.Risk) && x.Severity.Rank() >= f.Severity.Rank()
	})
}

// Inventory is one page of it.
type Inventory struct {
	At    time.Time         `json:"at"`
	Items []inventory.Entry `json:"items"`
	Next  string            `json:"next,omitempty"` // "" on the last page, and on no other
	Risks []inventory.Risk  `json:"risks"`          // what can be seen of each, and what cannot
}

// Inventory lists machine credentials with who answers for each, what it can reach now, and what is wrong with it: a member
// those of the organization, staff all. What organizations other than a member's share with it is not told.
func (c *Control) Inventory(ctx context.Context, a identity.Actor, f InventoryFilter, p Page) (Inventory, error) {
	out := Inventory{Items: []inventory.Entry{}, Risks: inventory.Risks()}
	err := c.view(ctx, a, "Inventory", func(r read) error {
		if err := f.validate(); err != nil {
			return err
		}
		if _, err := id.Parse(id.Credential, p.After); p.After != "" && err != nil {
			return fault.Bad("/after", "is not where a page of this list ended")
		}
		g, err := r.filter(grant.Filter{Organization: f.Organization, Application: f.Application})
		if err != nil {
			return err
		}
		f.Organization, f.Application, out.At = g.Organization, g.Application, r.now
		return c.stock(r).page(f, p, &out)
	})
	return out, err
}

// stock gathers the facts of credentials, and remembers what several of them share.
type stock struct {
	*gatherer
	rules  inventory.Rules
	since  time.Time
	orgs   map[id.ID]organization.Organization
	owners map[id.ID]identity.Person
	grants map[id.ID][]grant.Grant
	rights map[id.ID]inventory.Right
	reach  map[[2]string][]snapshot.Reachable // by application and environment
	offers map[string]*offer                  // nil: nothing is published there
	lost   map[string]int64
	uses   map[id.ID][]credential.Use // of the batch, by credential
	called map[id.ID][]credential.Use // of it, by grant
}

func (c *Control) stock(r read) *stock {
	rules := inventory.Default()
	return &stock{gatherer: c.gather(r), rules: rules, since: rules.Since(r.now), orgs: map[id.ID]organization.Organization{}, owners: map[id.ID]identity.Person{},
		grants: map[id.ID][]grant.Grant{}, rights: map[id.ID]inventory.Right{}, reach: map[[2]string][]snapshot.Reachable{}, offers: map[string]*offer{}, lost: map[string]int64{}, called: map[id.ID][]credential.Use{}}
}

func (s *stock) page(f InventoryFilter, p Page, out *Inventory) error {
	after, limit := id.ID(p.After), p.limit()
	for read, judged := 0, 0; read < inventoryRead; {
		most := min(limit, inventoryJudged-judged) // there is one more to tell that there is
		batch, err := s.tx.CredentialsAlive(s.ctx, f.Organization, f.Application, after, most+1)
		if err != nil {
			return err
		}
		if err := s.ahead(batch); err != nil {
			return err
		}
		for _, c := range batch {
			if len(out.Items) == limit || judged == inventoryJudged {
				out.Next = string(after)
				return nil
			}
			after = c.ID
			if !f.wants(c, s.now) {
				continue
			}
			facts, err := s.factsOf(c)
			if err != nil {
				return err
			}
			judged++
			if e := s.rules.Judge(facts, s.now); f.keeps(e) {
				out.Items = append(out.Items, e)
			}
		}
		if len(batch) <= most {
			return nil
		}
		read += len(batch)
	}
	out.Next = string(after)
	return nil
}

// ahead looks up at once what each of a batch needs. What is not found now is asked for again.
func (s *stock) ahead(batch []credential.Credential) (err error) {
	var is, of []id.ID
	for _, c := range batch {
		is, of = append(is, c.ID), append(of, c.Organization, c.Application)
	}
	if s.uses, err = s.tx.UsesAmong(s.ctx, is); err != nil {
		return err
	}
	if err := named(s.read, s.orgs, id.Organization, of, func(o organization.Organization) (id.ID, id.ID) { return o.ID, o.ID }, s.tx.OrganizationsByID); err != nil {
		return err
	}
	if err := named(s.read, s.apps, id.Application, of, func(a application.Application) (id.ID, id.ID) { return a.ID, a.Organization }, s.tx.ApplicationsByID); err != nil {
		return err
	}
	var owners []id.ID
	for _, i := range of {
		owners = append(owners, s.apps[i].Owner)
	}
	if err := named(s.read, s.owners, id.Person, owners, func(p identity.Person) (id.ID, id.ID) { return p.ID, p.Organization }, s.tx.PeopleByID); err != nil {
		return err
	}
	return s.grantsAhead(batch)
}

// grantsAhead is what ahead does about grants, and how those were used that hold.
func (s *stock) grantsAhead(batch []credential.Credential) error {
	var apps, live []id.ID
	for _, c := range batch {
		if _, have := s.grants[c.Application]; !have {
			apps, s.grants[c.Application] = append(apps, c.Application), nil
		}
	}
	grants, err := s.tx.GrantsAmong(s.ctx, apps)
	if err != nil {
		return err
	}
	slices.SortFunc(grants, func(a, b grant.Grant) int { return cmp.Compare(a.ID, b.ID) })
	for _, g := range grants {
		if s.grants[g.Application] = append(s.grants[g.Application], g); g.Live(s.now) {
			live = append(live, g.ID)
		}
	}
	called, err := s.tx.UsesOfGrants(s.ctx, live)
	maps.Copy(s.called, called)
	return err
}

// orNone is what was looked up, or a zero one where there is none.
func orNone[T any](v T, err error) (T, error) {
	if errors.Is(err, fault.NotFound) {
		var none T
		return none, nil
	}
	return v, err
}

func (s *stock) factsOf(c credential.Credential) (f inventory.Facts, err error) {
	f.Credential = c
	if f.Organization, err = remembered(s.orgs, c.Organization, func() (organization.Organization, error) {
		return orNone(s.tx.Organization(s.ctx, c.Organization))
	}); err != nil {
		return f, err
	}
	if f.Application, err = remembered(s.apps, c.Application, func() (application.Application, error) {
		return orNone(s.tx.Application(s.ctx, c.Application))
	}); err != nil {
		return f, err
	}
	if owner := f.Application.Owner; owner != "" {
		if f.Owner, err = remembered(s.owners, owner, func() (identity.Person, error) { return orNone(s.tx.Person(s.ctx, owner)) }); err != nil {
			return f, err
		}
	}
	var read bool
	if f.Uses, read = s.uses[c.ID]; !read {
		if f.Uses, err = s.tx.Uses(s.ctx, c.ID); err != nil {
			return f, err
		}
	}
	if f.Rights, err = s.rightsOf(c); err != nil {
		return f, err
	}
	if c.Kind != credential.APIKey {
		if f.Shared, err = s.sharedOf(c); err != nil {
			return f, err
		}
	}
	o, err := s.offerIn(c.Environment)
	if err != nil {
		return f, err
	}
	f.Offered = o != nil
	f.Distrusted = o != nil && c.Workload != nil && !slices.ContainsFunc(o.TrustedIn(c.Environment), func(t manifest.TrustedIssuer) bool { return t.Issuer == c.Workload.Issuer })
	f.Reach, f.ReachKnown = s.reachOf(c)
	f.Lost, err = remembered(s.lost, c.Environment, func() (int64, error) { return s.tx.Lost(s.ctx, c.Environment, s.since, s.now) })
	return f, err
}

func (s *stock) offerIn(environment string) (*offer, error) {
	return remembered(s.offers, environment, func() (*offer, error) {
		o, err := s.c.newest(s.ctx, s.tx, environment)
		if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict) {
			return nil, nil
		}
		return &o, err
	})
}

// rightsOf is the grants that the credential can be used with, ended ones too.
func (s *stock) rightsOf(c credential.Credential) ([]inventory.Right, error) {
	grants, err := remembered(s.grants, c.Application, func() ([]grant.Grant, error) {
		return all(grantID, func(after id.ID, n int) ([]grant.Grant, error) {
			return s.tx.Grants(s.ctx, grant.Filter{Application: c.Application}, after, n)
		})
	})
	if err != nil {
		return nil, err
	}
	var out []inventory.Right
	for _, g := range grants {
		if !inventory.Fits(g, c) {
			continue
		}
		r, err := remembered(s.rights, g.ID, func() (inventory.Right, error) { return s.right(g) })
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// right is a grant with how it was used; of one that does not hold only itself.
func (s *stock) right(g grant.Grant) (inventory.Right, error) {
	r := inventory.Right{Grant: g}
	if !g.Live(s.now) {
		return r, nil
	}
	needs, err := s.needsOf(g)
	if err != nil || needs == nil {
		return r, err
	}
	r.Needs = needs
	o, err := s.offerIn(g.Environment)
	if err != nil || o == nil {
		return r, err
	}
	if p, ok := o.Product(g.Product); ok {
		r.DataClass = p.DataClass
	}
	if l, ok := o.planOf(g); ok {
		r.Kinds = l.Credentials
	}
	uses, read := s.called[g.ID]
	if !read {
		uses, err = s.tx.UsesOfGrant(s.ctx, g.ID)
	}
	for _, u := range uses {
		if name := u.API + "/" + u.Operation; !u.Last.Before(s.since) && !slices.Contains(r.Called, name) {
			r.Called = append(r.Called, name)
		}
	}
	return r, err
}

// sharedOf is the live credentials that are proven by the same as this one, as far as the actor sees them.
func (s *stock) sharedOf(c credential.Credential) (out []inventory.Shared, err error) {
	list, err := s.tx.SharedProofs(s.ctx, c.ID, sharedMost)
	for _, o := range list {
		if s.sees(o.Organization) && o.Standing(s.now) != credential.Expired {
			out = append(out, inventory.Shared{Credential: o.ID, Application: o.Application, Organization: o.Organization, Environment: o.Environment})
		}
	}
	return out, err
}

// reachOf is what the credential can call now, from the view that gateways enforce.
func (s *stock) reachOf(c credential.Credential) ([]inventory.Callable, bool) {
	v := s.c.Views.View(c.Environment)
	if v == nil || v.Routes == nil || v.Access == nil {
		return nil, false
	}
	reach, _ := remembered(s.reach, [2]string{string(c.Application), c.Environment}, func() ([]snapshot.Reachable, error) {
		return v.Reach(c.Application, s.now), nil
	})
	var out []inventory.Callable
	for _, o := range reach {
		if slices.Contains(o.Credentials, c.ID) {
			out = append(out, inventory.Callable{API: o.API, Operation: o.Operation, Method: o.Method, Path: o.Path, Scopes: o.Scopes, Grant: o.Grant, Until: o.Until, Closed: o.Closed})
		}
	}
	return out, true
}

// proofs is by what else than a secret of ours the credential is proven: two that have one in common are proven by the same.
func proofs(c credential.Credential) []string {
	var out []string
	switch {
	case c.Kind == credential.Certificate:
		out = append(out, "certificate "+c.PublicID)
		if c.KeyPrint != "" {
			out = append(out, "key "+c.KeyPrint)
		}
	case c.Workload != nil:
		out = append(out, "subject "+c.Workload.Issuer+" "+c.Workload.Subject)
	case c.OAuth != nil && c.OAuth.Method == credential.SelfSignedTLS:
		out = append(out, "certificate "+hexOf(c.OAuth.Thumbprint))
	case c.OAuth != nil && c.OAuth.KeysURL != "":
		out = append(out, "address "+c.OAuth.KeysURL)
	case c.OAuth != nil && len(c.OAuth.Keys) > 0:
		keys, err := token.ParseSet(c.OAuth.Keys)
		for i := range keys {
			if err == nil && keys[i].Thumbprint() != "" {
				out = append(out, "key "+keys[i].Thumbprint())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hexOf writes what is in base64url in hexadecimal digits, as the other thumbprints of certificates are.
func hexOf(thumbprint string) string {
	b, _ := base64.RawURLEncoding.DecodeString(thumbprint) // it was checked when it was taken
	return hex.EncodeToString(b)
}

// InventoryEntry is the entry of one credential, whether it is over or not.
func (c *Control) InventoryEntry(ctx context.Context, a identity.Actor, i id.ID) (inventory.Entry, error) {
	var out inventory.Entry
	err := c.view(ctx, a, "InventoryEntry", func(r read) error {
		cr, err := r.credential(i)
		if err != nil {
			return err
		}
		s := c.stock(r)
		facts, err := s.factsOf(cr)
		out = s.rules.Judge(facts, r.now)
		return err
	})
	return out, err
}
