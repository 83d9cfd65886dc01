package portal

import (
	"cmp"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// cataloguePage lists what partners can ask for.
type cataloguePage struct {
	frame
	Products []productCard
}

func (*cataloguePage) template() string { return "catalogue" }

func listProducts(v *visit) error {
	all, err := v.Control.Catalogue(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &cataloguePage{Products: rows(all, v.productCard)}
	p.Title, p.Lead = "Catalogue", "What the platform offers to partners. Read everything before you ask for anything."
	return v.ok(p)
}

// planView is a plan in words.
type planView struct {
	Name, Title, Text string
	Limits            []string
	Approval          string
	Longest           time.Duration
	KeyLongest        time.Duration
	Environments      []string
	Automatic         bool
	Ask               string // where to ask for it; "" for whoever cannot
}

func viewPlan(x manifest.Plan) planView {
	return planView{
		Name: x.Name, Title: cmp.Or(x.Title, x.Name), Text: x.Description, Limits: planLimits(x),
		Approval: approvalRoute(x.Approval), Automatic: x.Approval.Automatic,
		Longest: time.Duration(x.Longest), KeyLongest: time.Duration(x.CredentialLongest), Environments: x.Environments,
	}
}

// scopeView is a scope with what it allows, and how many operations need it.
type scopeView struct{ Name, Text string }

// productPage is one product: what it is, on which terms, and what it opens.
type productPage struct {
	frame
	Name, Owner  string
	Description  string
	Environments []string
	Plans        []planView
	Scopes       []scopeView
	APIs         []apiView
	Request      string // where to ask for access; "" for whoever cannot
	Operations   int
}

func (*productPage) template() string { return "product" }

// apiView is an API of a product, with the first of its operations.
type apiView struct {
	Name, Title, Version, Path string
	Href                       string
	Total                      int
	Operations                 []operationLine
}

// operationLine is one operation in a list.
type operationLine struct {
	Method, Path, Summary string
	Href                  string
	Needs                 []string
	Deprecated, Anonymous bool
}

// listedOperations is how many operations of an API the product page lists: the reference has them all.
const listedOperations = 12

func showProduct(v *visit) error {
	x, err := v.Control.Product(v.r.Context(), v.actor, v.r.PathValue("product"))
	if err != nil {
		return err
	}
	p := &productPage{
		Name: x.Name, Owner: x.Owner, Description: x.Description, Environments: x.Environments,
		Plans: rows(x.Plans, viewPlan), Scopes: viewScopes(x.Product),
	}
	for _, a := range x.APIs {
		view := apiView{Name: a.Name, Title: cmp.Or(a.Title, a.Name), Version: a.Version, Path: a.Path, Total: len(a.Operations), Href: referencePath(x.Name, a.Name)}
		for i, o := range a.Operations {
			if i < listedOperations {
				view.Operations = append(view.Operations, lineOf(x.Name, a.Name, o))
			}
		}
		p.APIs = append(p.APIs, view)
		p.Operations += view.Total
	}
	if v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer) {
		p.Request = "/requests/new?product=" + url.QueryEscape(x.Name)
		if app := v.r.URL.Query().Get("application"); app != "" {
			p.Request += "&application=" + url.QueryEscape(app)
		}
	}
	for i := range p.Plans {
		p.Plans[i].Environments = onlyIn(p.Plans[i].Environments, x.Environments)
		if p.Request != "" {
			p.Plans[i].Ask = p.Request + "&plan=" + url.QueryEscape(p.Plans[i].Name)
		}
	}
	p.Title = cmp.Or(x.Title, x.Name)
	p.Trail = []crumb{{"Catalogue", "/catalogue"}}
	return v.ok(p)
}

func viewScopes(x manifest.Product) []scopeView {
	var out []scopeView
	for name, text := range x.Scopes {
		out = append(out, scopeView{name, text})
	}
	slices.SortFunc(out, func(a, b scopeView) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func referencePath(product, api string) string {
	return "/catalogue/" + url.PathEscape(product) + "/" + url.PathEscape(api)
}

func lineOf(product, api string, o control.CatalogueOperation) operationLine {
	return operationLine{
		Method: o.Method, Path: o.FullPath, Summary: o.Summary, Needs: o.Needs, Deprecated: o.Deprecated, Anonymous: o.Anonymous,
		Href: referencePath(product, api) + "?operation=" + url.QueryEscape(o.ID),
	}
}

// downloadDocument is GET /openapi/{api}: an API's OpenAPI document, as name.json.
func downloadDocument(v *visit) error {
	name, ok := strings.CutSuffix(v.r.PathValue("api"), ".json")
	if !ok {
		return fault.New(fault.NotFound, "there is no such document")
	}
	doc, err := v.Control.Document(v.r.Context(), v.actor, name)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".openapi.json"}))
	h.Set("Cache-Control", "no-cache")
	v.written = true
	_, _ = v.w.Write(doc) // the visitor may have gone
	return nil
}
