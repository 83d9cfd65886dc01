package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/authority"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/token"
)

// Compile is pure: no clock, no network, no files. It reports everything that is wrong at once. A route whose policies
// cannot be built on this gateway (a secret is missing) is closed with a warning; what is wrong with the manifest itself is
// an error, and then there are no Routes.
func Compile(p *manifest.Parsed, environment string, revision int64, kinds []policy.Kind, d policy.Deps) (*Routes, []manifest.Diagnostic) {
	c := &compiler{
		p: p, d: d, kinds: map[string]policy.Kind{}, seen: map[manifest.Diagnostic]bool{},
		out:       &Routes{Environment: environment, Revision: revision, plans: map[policy.Terms]*policy.PlanInfo{}},
		upstreams: map[string]upstream{}, products: map[operation][]string{},
	}
	for _, k := range kinds {
		if _, twice := c.kinds[k.Name]; twice {
			c.report(p.At("", "this build has two policies of the name %s", k.Name))
		}
		c.kinds[k.Name] = k
	}
	if !slices.ContainsFunc(p.Environments, func(e manifest.Environment) bool { return e.Name == environment }) {
		c.report(p.At("/environments", "there is no environment %q", environment))
	}
	c.readTrusted()
	c.readAuthorities()
	c.readUpstreams()
	c.readProducts()
	for i := range p.APIs {
		c.api(i)
	}
	if manifest.Fatal(c.ds) {
		return nil, c.ds
	}
	slices.SortStableFunc(c.out.All, func(a, b *Route) int {
		return cmp.Or(strings.Compare(a.API, b.API), strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	return c.out, c.ds
}

type compiler struct {
	p         *manifest.Parsed
	d         policy.Deps
	kinds     map[string]policy.Kind
	out       *Routes
	upstreams map[string]upstream
	products  map[operation][]string
	trusted   []*policy.TrustedIssuer

	authorities []*authority.Authority
	ds          []manifest.Diagnostic
	seen        map[manifest.Diagnostic]bool // a policy of an API is built for each of its operations
	shared      []complaint                  // of the API at hand
}

// complaint is one thing wrong with several operations of an API.
type complaint struct {
	at, text string
	ids      []string
}

// complain reports something that is likely to be wrong with many operations, once.
func (c *compiler) complain(at, id, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	i := slices.IndexFunc(c.shared, func(o complaint) bool { return o.at == at && o.text == text })
	if i < 0 {
		i = len(c.shared)
		c.shared = append(c.shared, complaint{at: at, text: text})
	}
	c.shared[i].ids = append(c.shared[i].ids, id)
}

func (c *compiler) flush() {
	for _, o := range c.shared {
		c.report(c.p.At(o.at, "%s: %s", few(o.ids), o.text))
	}
	c.shared = nil
}

type operation struct{ api, id string }

func (c *compiler) report(d manifest.Diagnostic) {
	if !c.seen[d] {
		c.seen[d] = true
		c.ds = append(c.ds, d)
	}
}

// readTrusted notes which issuers elsewhere count here. Routes share them, and so what was verified by them.
func (c *compiler) readTrusted() {
	for _, t := range c.p.TrustedIn(c.out.Environment) {
		i := &policy.TrustedIssuer{Name: t.Name, KeysURL: t.Keys, Stale: time.Duration(t.Stale),
			Trusted: token.Trusted{URL: t.Issuer, Form: token.TrustedForm(t.Kind), Subject: t.Subject, Audiences: t.Audiences, Algs: t.Algorithms, Longest: time.Duration(t.Longest)}}
		i.Tenant, i.Version, _ = manifest.EntraIssuer(t.Issuer)
		c.trusted = append(c.trusted, i)
	}
}

// readAuthorities notes who signs certificates of clients here.
func (c *compiler) readAuthorities() {
	for i, a := range c.p.ClientAuthorities {
		one, err := authority.New(AuthoritySettings(a))
		if err != nil {
			at := fmt.Sprintf("/client_authorities/%d", i)
			if w, ok := errors.AsType[authority.Wrong](err); ok {
				at += "/" + w.Setting
			}
			c.report(c.p.At(at, "%v", err))
			continue
		}
		if slices.Contains(a.Environments, c.out.Environment) {
			c.authorities = append(c.authorities, one)
		}
	}
}

// AuthoritySettings is what the manifest says of an authority.
func AuthoritySettings(a manifest.ClientAuthority) authority.Settings {
	return authority.Settings{Name: a.Name, Certificates: a.Certificates, Intermediates: a.Intermediates, Lists: a.Lists, Responder: a.Responder, Lenient: a.Lenient}
}

// readProducts notes which products offer an operation here, and the plans on which they do.
func (c *compiler) readProducts() {
	for i, m := range c.p.Products {
		if len(m.Environments) > 0 && !slices.Contains(m.Environments, c.out.Environment) {
			continue
		}
		for _, o := range m.Operations {
			for _, id := range c.offered(o) {
				key := operation{o.API, id}
				if !slices.Contains(c.products[key], m.Name) {
					c.products[key] = append(c.products[key], m.Name)
				}
			}
		}
		for j, l := range m.Plans {
			if len(l.Environments) > 0 && !slices.Contains(l.Environments, c.out.Environment) {
				continue
			}
			plan := &policy.PlanInfo{Product: m.Name, Plan: l.Name, Credentials: l.Credentials, Constrained: l.Constrained, FAPI: l.FAPI, MaxOffline: time.Duration(m.MaxOffline)}
			at := fmt.Sprintf("/products/%d/plans/%d/limits", i, j)
			if len(l.Limits) > ratelimit.MaxWindows {
				c.report(c.p.At(at, "has more than %d limits", ratelimit.MaxWindows))
			}
			for k, w := range l.Limits {
				window := ratelimit.Window{Name: w.Name, Requests: w.Requests, Per: time.Duration(w.Per), Burst: w.Burst}
				window, err := window.Share(w.Counter, w.Away)
				if err == nil {
					err = window.Validate()
				}
				if err != nil {
					c.report(c.p.At(fmt.Sprintf("%s/%d", at, k), "%v", err))
				}
				if slices.ContainsFunc(plan.Windows, func(o ratelimit.Window) bool { return o.Name == w.Name }) {
					c.report(c.p.At(fmt.Sprintf("%s/%d", at, k), "two limits of the plan have the name %q", w.Name))
				}
				plan.Windows = append(plan.Windows, window)
			}
			c.quotas(plan, l.Quotas, fmt.Sprintf("/products/%d/plans/%d/quotas", i, j))
			c.out.plans[policy.Terms{Product: m.Name, Plan: l.Name}] = plan
		}
	}
}

// quotas reads the quotas of a plan, which stand beside its windows.
func (c *compiler) quotas(plan *policy.PlanInfo, texts []string, at string) {
	for i, text := range texts {
		q, err := ratelimit.ParseQuota(text)
		switch {
		case err != nil:
			c.report(c.p.At(fmt.Sprintf("%s/%d", at, i), "%v", err))
			continue
		case slices.ContainsFunc(plan.Quotas, func(o ratelimit.Quota) bool { return o.Period == q.Period }):
			c.report(c.p.At(fmt.Sprintf("%s/%d", at, i), "is the second quota of a %s", q.Period))
			continue
		case slices.ContainsFunc(plan.Windows, func(w ratelimit.Window) bool { return w.Name == q.Window.Name }):
			c.report(c.p.At(fmt.Sprintf("%s/%d", at, i), "would be shown as %q, and a limit of the plan has that name: name the limit otherwise", q.Window.Name))
		}
		plan.Quotas = append(plan.Quotas, q)
	}
	if len(plan.Windows)+len(plan.Quotas) > ratelimit.MaxWindows {
		c.report(c.p.At(at, "are more than %d together with the limits", ratelimit.MaxWindows))
	}
}

// offered is the operations that a product takes from an API.
func (c *compiler) offered(o manifest.ProductAPI) []string {
	if len(o.IDs) > 0 {
		return o.IDs
	}
	var ids []string
	if api, ok := c.p.API(o.API); ok && c.p.Documents[o.API] != nil {
		for _, op := range c.p.Documents[o.API].Operations {
			if api.Operation(op.ID).Exposed() {
				ids = append(ids, op.ID)
			}
		}
	}
	return ids
}

func (c *compiler) api(i int) {
	a := &c.p.APIs[i]
	at := fmt.Sprintf("/apis/%d", i)
	doc := c.p.Documents[a.Name]
	if doc == nil {
		c.report(c.p.At(at+"/openapi", "the document of API %s could not be read", a.Name))
		return
	}
	u, ok := c.upstreams[a.Upstream]
	if !ok {
		c.report(c.p.At(at+"/upstream", "there is no upstream %q", a.Upstream))
		u.Upstream = &Upstream{Name: a.Upstream}
	}
	var unoffered []string
	for _, op := range doc.Operations {
		if !a.Operation(op.ID).Exposed() {
			if _, err := c.out.tree.add(a.Hosts, a.FullPath(op.Path), nil); err != nil {
				c.report(c.p.At(at, "%v", err))
			}
			continue
		}
		r := c.route(i, a, &op, u)
		if r.authorize == "grant" && len(r.Products) == 0 {
			unoffered = append(unoffered, op.ID)
		}
	}
	c.flush()
	if len(unoffered) > 0 {
		c.report(c.p.Warn(at, "%s: no product offers this in %s, so nobody can be granted it", few(unoffered), c.out.Environment))
	}
}

// few names operations, up to four of them.
func few(ids []string) string {
	switch {
	case len(ids) == 1:
		return "operation " + ids[0]
	case len(ids) <= 4:
		return "operations " + strings.Join(ids, ", ")
	}
	return fmt.Sprintf("operations %s and %d more", strings.Join(ids[:3], ", "), len(ids)-3)
}

func (c *compiler) route(i int, a *manifest.API, op *manifest.DocOperation, u upstream) *Route {
	at := fmt.Sprintf("/apis/%d", i)
	r := &Route{
		RouteInfo: policy.RouteInfo{
			Environment: c.out.Environment, API: a.Name, Operation: op.ID, Route: a.Name + " " + op.ID,
			Method: op.Method, Path: a.FullPath(op.Path), Base: strings.TrimSuffix(a.Path, "/"), Scopes: a.Needs(*op), Products: slices.Sorted(slices.Values(c.products[operation{a.Name, op.ID}])),
		},
		Upstream: u.Upstream, Closed: u.closed, WebSocket: a.Operation(op.ID).WebSocket, Retry: u.Retries != nil && (safe(op.Method) || a.Operation(op.ID).Idempotent), prefix: strings.TrimSuffix(a.UpstreamPath, "/"),
	}
	r.require(a.Headers)
	if a.Path != "/" {
		r.cut = len(normal(a.Path))
	}
	c.policies(r, i)
	other, err := c.out.tree.add(a.Hosts, r.Path, r)
	switch {
	case err != nil:
		c.report(c.p.At(at, "operation %s: %v", op.ID, err))
	case other != nil:
		text := fmt.Sprintf("%s %s of API %s is also %s of API %s", r.Method, r.Path, r.API, other.Operation, other.API)
		if len(r.conditions) > 0 {
			text += ": a request could have the headers of both"
		}
		c.report(c.p.At(at, "%s", text))
	}
	c.out.All = append(c.out.All, r)
	return r
}

// normal is a path in the form in which paths are routed; where it has none, the manifest is refused elsewhere.
func normal(path string) string {
	segments, err := parseTemplate(path)
	if err != nil {
		return path
	}
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + s[0])
	}
	return b.String()
}
