package portal

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/organization"
)

// accessPage asks for access to a product.
type accessPage struct {
	frame
	Form       form
	Product    string
	Title2     string     // the product's
	Unverified bool       // the organization cannot ask yet
	NoApp      bool       // there is no application to ask for
	Held       []grantRow // what its applications have already
}

func (*accessPage) template() string { return "access" }

// durations are offered where the plan allows them.
var durations = []struct {
	value string
	d     time.Duration
}{
	{"7d", 7 * 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}, {"90d", 90 * 24 * time.Hour},
	{"180d", 180 * 24 * time.Hour}, {"365d", 365 * 24 * time.Hour}, {"730d", 730 * 24 * time.Hour},
}

func durationOptions(longest time.Duration, whole string) []option {
	out := []option{{Value: "longest", Label: whole, On: true}}
	for _, d := range durations {
		if longest == 0 || d.d <= longest {
			out = append(out, option{Value: d.value, Label: days(d.d)})
		}
	}
	return out
}

func durationOf(value string) time.Duration {
	for _, d := range durations {
		if d.value == value {
			return d.d
		}
	}
	return 0
}

func (v *visit) accessForm(x control.CatalogueProduct, apps []application.Application) form {
	var longest time.Duration
	plan := field{Name: "plan", Label: "Plan", Kind: radioField, Required: true}
	for _, m := range x.Plans {
		w := viewPlan(m)
		o := option{Value: w.Name, Label: w.Title, Text: w.Text, Facts: append(slices.Clone(w.Limits), w.Approval, "At most "+days(w.Longest)+"; keys last at most "+days(w.KeyLongest)+".")}
		if w.Automatic {
			o.Badge = "at once"
		}
		if only := onlyIn(w.Environments, x.Environments); len(only) > 0 {
			o.Facts = append(o.Facts, "Only in "+orList(only)+".")
		}
		plan.Options = append(plan.Options, o)
		longest = max(longest, w.Longest)
	}
	environment := field{Name: "environment", Label: "Environment", Kind: radioField, Required: true}
	for _, e := range x.Environments {
		environment.Options = append(environment.Options, option{Value: e, Label: e, Text: v.gateway(e)})
	}
	scopes := field{Name: "scopes", Label: "Scopes", Kind: checkField, Required: len(x.Scopes) > 0, Hint: "Ask for what the application needs and no more: it makes approval quicker"}
	for _, s := range viewScopes(x.Product) {
		scopes.Options = append(scopes.Options, option{Value: s.Name, Label: s.Name, Text: s.Text})
	}
	app := field{Name: "application", Label: "Application", Kind: selectField, Required: true}
	for _, a := range apps {
		app.Options = append(app.Options, option{Value: string(a.ID), Label: a.Name})
	}
	f := newForm("/requests", app, environment, plan, scopes,
		field{Name: "purpose", Label: "Purpose", Kind: areaField, Required: true, Max: 2000, Hint: "What you will do with it and whose data it touches. The approver decides on this, and it stays with the grant"},
		field{Name: "duration", Label: "For how long", Kind: selectField, Required: true, Options: durationOptions(longest, "As long as the plan allows")},
	)
	for _, only := range []field{app, plan, environment} {
		if len(only.Options) == 1 {
			f.set(only.Name, only.Options[0].Value)
		}
	}
	f.set("duration", "longest")
	if slices.ContainsFunc(x.Plans, func(m manifest.Plan) bool { return m.Approval.Emergency != nil }) {
		f.Fields = append(f.Fields, field{Name: "emergency", Label: "Emergency", Kind: checkField, Options: []option{{Value: "yes", Label: "This cannot wait",
			Text: "Short access at once, where the plan knows it. Two people approve it, and everybody concerned is told."}}})
	}
	return f
}

// onlyIn are a plan's environments where they are fewer than the product's; none where they are the same.
func onlyIn(plan, product []string) []string {
	if len(plan) >= len(product) {
		return nil
	}
	return plan
}

func orList(s []string) string {
	switch len(s) {
	case 0:
		return ""
	case 1:
		return s[0]
	}
	out := s[0]
	for _, x := range s[1 : len(s)-1] {
		out += ", " + x
	}
	return out + " or " + s[len(s)-1]
}

// accessOf gathers what the form needs: the product and the organization's active applications.
func (v *visit) accessOf(product string) (*accessPage, form, control.CatalogueProduct, error) {
	x, err := v.Control.Product(v.r.Context(), v.actor, product)
	if err != nil {
		return nil, form{}, x, err
	}
	list, err := v.Control.Applications(v.r.Context(), v.actor, v.actor.Organization, control.Page{Limit: 500})
	if err != nil {
		return nil, form{}, x, err
	}
	apps := slices.DeleteFunc(list.Items, func(a application.Application) bool { return a.State != application.Active })
	p := &accessPage{Product: x.Name, Title2: cmp.Or(x.Title, x.Name), NoApp: len(apps) == 0, Unverified: v.org.State != organization.Verified,
		Held: rows(v.held(x.Name), v.grantRow)}
	p.Title = "Ask for access to " + p.Title2
	p.Trail = []crumb{{"Catalogue", "/catalogue"}, {p.Title2, "/catalogue/" + url.PathEscape(x.Name)}}
	return p, v.accessForm(x, apps), x, nil
}

func askAccess(v *visit) error {
	q := v.r.URL.Query()
	if q.Get("product") == "" {
		return v.redirect("/catalogue")
	}
	p, f, _, err := v.accessOf(q.Get("product"))
	if err != nil {
		return err
	}
	for _, name := range []string{"application", "plan", "environment"} {
		if s := q.Get(name); s != "" {
			f.set(name, s)
		}
	}
	p.Form = f
	return v.ok(p)
}

func requestAccess(v *visit) error {
	p, f, x, err := v.accessOf(v.r.PostForm.Get("product"))
	if err != nil {
		return err
	}
	ok := f.read(v.r.PostForm)
	planFits(&f, x)
	if !ok || f.Bad() {
		p.Form = f
		return v.show(statusOfForm(f), p)
	}
	r, err := v.Control.RequestAccess(v.r.Context(), v.actor, control.AccessRequest{
		Application: id.ID(f.value("application")), Environment: f.value("environment"), Product: x.Name, Plan: f.value("plan"),
		Scopes: f.Field("scopes").Values, Purpose: f.value("purpose"), Duration: durationOf(f.value("duration")), Once: f.Once,
		Emergency: len(f.Field("emergency").Values) > 0,
	})
	if err != nil {
		if f.refuse(err) {
			p.Form = f
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	if r.State == grant.Approved {
		return v.done("request-granted", "/requests/"+string(r.ID))
	}
	return v.done("request-sent", "/requests/"+string(r.ID))
}

// planFits says early what control would refuse: a plan that is not offered there, or not for so long.
func planFits(f *form, x control.CatalogueProduct) {
	for _, m := range x.Plans {
		if m.Name != f.value("plan") {
			continue
		}
		if d := durationOf(f.value("duration")); d > time.Duration(m.Longest) && m.Longest > 0 {
			f.blame(fault.Field{Pointer: "/duration", Text: "this plan allows at most " + days(time.Duration(m.Longest))})
		}
		if e := f.value("environment"); e != "" && len(m.Environments) > 0 && !slices.Contains(m.Environments, e) {
			f.blame(fault.Field{Pointer: "/environment", Text: "this plan is offered only in " + orList(m.Environments)})
		}
	}
}

// requestsPage lists access requests.
type requestsPage struct {
	frame
	State string
	Rows  []requestRow
	Pager pager
	Tabs  []tab
}

func (*requestsPage) template() string { return "requests" }

// tab is one of several lists, as a link.
type tab struct {
	Text, Href string
	Current    bool
}

func tabs(path, current string, words ...string) []tab {
	out := []tab{{"All", path, current == ""}}
	for _, w := range words {
		out = append(out, tab{sentenceCase(w), path + "?state=" + url.QueryEscape(w), current == w})
	}
	return out
}

func sentenceCase(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

func listRequests(v *visit) error {
	states := []string{string(grant.Open), string(grant.Approved), string(grant.Refused), string(grant.Withdrawn), string(grant.Lapsed)}
	p := &requestsPage{State: v.oneOf("state", states)}
	list, err := v.Control.Requests(v.r.Context(), v.actor, grant.Filter{State: p.State}, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p.Rows, p.Pager, p.Tabs = v.requestRows(list.Items), v.pager(list.Next), tabs("/requests", p.State, states...)
	p.Title, p.Lead = "Requests", "Who asked for what, and what came of it."
	return v.ok(p)
}

// oneOf reads a query parameter that must be one of the words; anything else is "".
func (v *visit) oneOf(name string, words []string) string {
	if s := v.r.URL.Query().Get(name); slices.Contains(words, s) {
		return s
	}
	return ""
}

// requestPage is one request and its way.
type requestPage struct {
	frame
	Request requestRow
	Plan    planView
	Scopes  []scopeView
	Steps   []step

	Question string // that waits for an answer
}

func (*requestPage) template() string { return "request" }

func showRequest(v *visit) error {
	i, err := v.object(id.Request)
	if err != nil {
		return err
	}
	r, err := v.Control.Request(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	row := v.requestRow(r)
	p := &requestPage{Request: row, Plan: v.planOf(r.Product, r.Plan), Scopes: v.scopeTexts(r.Product, r.Scopes), Steps: timeline(r, v.decider, row.Asker)}
	if q, waits := r.Waiting(); waits {
		p.Question = q.Text
	}
	p.Title = row.ProductTitle + " for " + row.Application.Name
	p.Trail = []crumb{{"Requests", "/requests"}}
	if v.actor.Class == identity.Staff {
		p.Trail = append(p.Trail, crumb{row.Organization.Name, row.Organization.Href})
	}
	return v.ok(p)
}

// scopeTexts gives each scope its sentence from the catalogue.
func (v *visit) scopeTexts(product string, scopes []string) []scopeView {
	var texts map[string]string
	for _, p := range v.catalogue() {
		if p.Name == product {
			texts = p.Scopes
		}
	}
	return scopeSentences(texts, scopes)
}

func scopeSentences(texts map[string]string, scopes []string) []scopeView {
	out := make([]scopeView, 0, len(scopes))
	for _, s := range scopes {
		out = append(out, scopeView{s, texts[s]})
	}
	return out
}
