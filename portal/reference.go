package portal

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/manifest"
)

// Bounds of one page of the reference, so that an API of 10,000 operations stays readable and quick.
const (
	shownOperations = 25  // with all they have
	listedByTag     = 40  // in the side menu of one group
	shownTags       = 200 // in the side menu
	maxSchemaDepth  = 6
	maxSchemaRows   = 150
)

// referencePage is one part of an API's reference: the operations of a tag, or one operation.
type referencePage struct {
	frame
	Product, API     string
	ProductTitle     string
	APIVersion       string
	Description      string
	Document         string // where the OpenAPI document is
	Total            int
	Tags             []tagView
	Tag              string
	Shown            []operationView
	From, To, InAll  int // of the shown ones
	Previous, Follow string
	Gateway          string // the address of the examples
	Environment      string
}

func (*referencePage) template() string { return "reference" }

// tagView is one group of operations in the menu.
type tagView struct {
	Name, Href string
	Total      int
	Current    bool
	Lines      []operationLine // of the current group
	More       int
}

// operationView is one operation with all that the document says of it.
type operationView struct {
	ID, Anchor, Method, Path, Summary string
	Description                       string
	Deprecated, Anonymous             bool
	Needs                             []string
	Parameters                        []manifest.Parameter
	Request                           *bodyView
	Responses                         []responseView
	Curl                              string
	Environment                       string // that the command calls
}

// bodyView is a body as a table of its schema, and an example.
type bodyView struct {
	MediaType string
	Required  bool
	Rows      []schemaRow
	Cut       bool // there is more than the page shows
	Example   string
}

// responseView is one answer of an operation.
type responseView struct {
	Status, Description string
	Tone                string
	Bodies              []bodyView
}

// schemaRow is one property of a schema, deeper ones under theirs.
type schemaRow struct {
	Depth                   int
	Name, Type, Description string
	Required                bool
	Enum                    []string
}

const untagged = "Operations"

func showReference(v *visit) error {
	product, api, err := v.findAPI(v.r.PathValue("product"), v.r.PathValue("api"))
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	p := &referencePage{
		Product: product.Name, ProductTitle: cmp.Or(product.Title, product.Name), API: api.Name, APIVersion: api.Version,
		Description: api.Description, Total: len(api.Operations),
	}
	p.Title = cmp.Or(api.Title, api.Name)
	p.Trail = []crumb{{"Catalogue", "/catalogue"}, {p.ProductTitle, "/catalogue/" + url.PathEscape(product.Name)}}
	p.Environment, p.Gateway = v.gatewayOf(v.ownFirst(product))
	p.Document = "/openapi/" + url.PathEscape(api.Name) + ".json"
	groups, order := byTag(api.Operations)
	if wanted := q.Get("operation"); wanted != "" {
		err = p.showOne(api, wanted)
	} else {
		err = p.showTag(api, groups, order, q.Get("tag"), q.Get("page"))
	}
	if err != nil {
		return err
	}
	p.menu(groups, order)
	return v.ok(p)
}

func (v *visit) findAPI(product, api string) (control.CatalogueProduct, control.CatalogueAPI, error) {
	x, err := v.Control.Product(v.r.Context(), v.actor, product)
	if err != nil {
		return x, control.CatalogueAPI{}, err
	}
	for _, a := range x.APIs {
		if a.Name == api {
			return x, a, nil
		}
	}
	return x, control.CatalogueAPI{}, fault.New(fault.NotFound, "the product has no such API")
}

// ownFirst are the product's environments, those first in which the viewer's organization has a grant for it: there its
// keys work, and so do the examples.
func (v *visit) ownFirst(p control.CatalogueProduct) []string {
	if v.actor.Organization == "" {
		return p.Environments
	}
	held := v.held(p.Name)
	holds := func(e string) int {
		if slices.ContainsFunc(held, func(g grant.Grant) bool { return g.Environment == e }) {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(p.Environments), func(a, b string) int { return holds(a) - holds(b) })
}

// held are the grants for a product that the viewer's organization has now; none where they cannot be read: what is shown
// of them is a convenience, and the page does without.
func (v *visit) held(product string) []grant.Grant {
	list, err := v.Control.Grants(v.r.Context(), v.actor, grant.Filter{Organization: v.actor.Organization, State: "active"}, control.Page{Limit: overviewSize})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Items, func(g grant.Grant) bool { return g.Product != product })
}

// gatewayOf is the first environment of those with a gateway's address, and that address.
func (v *visit) gatewayOf(environments []string) (name, address string) {
	for _, e := range environments {
		if u := v.gateway(e); u != "" {
			return e, u
		}
	}
	return "", "https://gateway.example"
}

// gateway is where partners call an environment; "" when nothing is offered there.
func (v *visit) gateway(environment string) string {
	for _, p := range v.catalogue() {
		if u := p.Addresses[environment]; u != "" {
			return strings.TrimSuffix(u, "/")
		}
	}
	return ""
}

func byTag(all []control.CatalogueOperation) (map[string][]control.CatalogueOperation, []string) {
	groups := map[string][]control.CatalogueOperation{}
	var order []string
	for _, o := range all {
		tag := untagged
		if len(o.Tags) > 0 && o.Tags[0] != "" {
			tag = o.Tags[0]
		}
		if groups[tag] == nil {
			order = append(order, tag)
		}
		groups[tag] = append(groups[tag], o)
	}
	return groups, order
}

func (p *referencePage) base() string { return referencePath(p.Product, p.API) }

// showOne shows a single operation.
func (p *referencePage) showOne(api control.CatalogueAPI, wanted string) error {
	for _, o := range api.Operations {
		if o.ID == wanted {
			p.Shown = []operationView{p.operation(o)}
			p.Trail = append(p.Trail, crumb{p.Title, p.base()})
			p.Title = cmp.Or(o.Summary, o.ID)
			if len(o.Tags) > 0 {
				p.Tag = o.Tags[0]
			} else {
				p.Tag = untagged
			}
			p.Description = ""
			return nil
		}
	}
	return fault.New(fault.NotFound, "the API has no operation %q", wanted)
}

// showTag shows one page of a group. A small API is shown whole.
func (p *referencePage) showTag(api control.CatalogueAPI, groups map[string][]control.CatalogueOperation, order []string, tag, page string) error {
	list := api.Operations
	switch {
	case tag != "":
		if list = groups[tag]; list == nil {
			return fault.New(fault.NotFound, "the API has no such group")
		}
		p.Tag, p.Description = tag, ""
	case len(list) > shownOperations && len(order) > 0:
		p.Tag, list = order[0], groups[order[0]]
	}
	n, err := strconv.Atoi(page)
	if err != nil || n < 1 {
		n = 1
	}
	from := min((n-1)*shownOperations, len(list))
	to := min(from+shownOperations, len(list))
	for _, o := range list[from:to] {
		p.Shown = append(p.Shown, p.operation(o))
	}
	p.From, p.To, p.InAll = from+1, to, len(list)
	q := url.Values{}
	if p.Tag != "" {
		q.Set("tag", p.Tag)
	}
	if from > 0 {
		q.Set("page", strconv.Itoa(n-1))
		p.Previous = p.base() + "?" + q.Encode()
	}
	if to < len(list) {
		q.Set("page", strconv.Itoa(n+1))
		p.Follow = p.base() + "?" + q.Encode()
	}
	return nil
}

// menu lists the groups, and the operations of the one that is open; of a small API, of all.
func (p *referencePage) menu(groups map[string][]control.CatalogueOperation, order []string) {
	small := p.Total <= shownOperations
	for i, tag := range order {
		if i == shownTags {
			break
		}
		t := tagView{Name: tag, Href: p.base() + "?tag=" + url.QueryEscape(tag), Total: len(groups[tag]), Current: tag == p.Tag}
		if t.Current || small {
			for j, o := range groups[tag] {
				if j == listedByTag {
					t.More = len(groups[tag]) - j
					break
				}
				t.Lines = append(t.Lines, lineOf(p.Product, p.API, o))
			}
		}
		p.Tags = append(p.Tags, t)
	}
}

func (p *referencePage) operation(o control.CatalogueOperation) operationView {
	v := operationView{
		ID: o.ID, Anchor: anchor(o.ID), Method: o.Method, Path: o.FullPath, Summary: cmp.Or(o.Summary, o.ID), Description: o.Description,
		Deprecated: o.Deprecated, Anonymous: o.Anonymous, Needs: o.Needs, Parameters: o.Parameters,
		Curl: curl(p.Gateway, o, ""), Environment: p.Environment,
	}
	if o.Request != nil {
		b := viewBody(*o.Request)
		v.Request = &b
	}
	for _, r := range o.Responses {
		v.Responses = append(v.Responses, responseView{Status: r.Status, Description: r.Description, Tone: statusTone(r.Status), Bodies: rows(r.Bodies, viewBody)})
	}
	return v
}

func statusTone(s string) string {
	switch {
	case strings.HasPrefix(s, "2"):
		return "good"
	case strings.HasPrefix(s, "4"), strings.HasPrefix(s, "5"):
		return "warn"
	}
	return "plain"
}

// anchor makes an identifier that can stand in an address.
func anchor(s string) string {
	return "op-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, s)
}

func viewBody(b manifest.Body) bodyView {
	v := bodyView{MediaType: b.MediaType, Required: b.Required, Example: b.Example}
	v.Rows, v.Cut = flatten(b.Schema)
	return v
}

// flatten writes a schema as rows. What is deeper or longer than a page can show is cut, and the page says so.
func flatten(s *manifest.Schema) (out []schemaRow, cut bool) {
	if s == nil {
		return nil, false
	}
	var walk func(s *manifest.Schema, depth int)
	walk = func(s *manifest.Schema, depth int) {
		for s != nil && s.Items != nil && len(s.Properties) == 0 {
			s = s.Items
		}
		if s == nil {
			return
		}
		for _, p := range s.Properties {
			if depth >= maxSchemaDepth || len(out) >= maxSchemaRows {
				cut = true
				return
			}
			row := schemaRow{Depth: depth, Name: p.Name, Required: p.Required}
			if p.Schema != nil {
				row.Type, row.Description, row.Enum = p.Schema.Type, p.Schema.Description, p.Schema.Enum
				if p.Schema.Recursive != "" {
					row.Type = cmp.Or(row.Type, p.Schema.Recursive)
					row.Description = strings.TrimSpace(row.Description + " (contains itself: " + p.Schema.Recursive + ")")
				}
			}
			out = append(out, row)
			walk(p.Schema, depth+1)
		}
	}
	walk(s, 0)
	if len(out) == 0 && (s.Type != "" || s.Description != "") {
		out = append(out, schemaRow{Name: "", Type: s.Type, Description: s.Description, Enum: s.Enum})
	}
	return out, cut
}
