package portal

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// ref names another object on a page and leads to it. Href is "" where the viewer has nothing to see there.
type ref struct{ Name, Href string }

// lookups are the names that one visit has found out.
type lookups struct {
	applications  map[id.ID]application.Application
	organizations map[id.ID]organization.Organization
	people        map[id.ID]identity.Person
	catalogue     []control.CatalogueProduct
	read          bool // the catalogue has been
}

// missing says whether a name may simply be left out: the object is gone, or is not for this viewer.
func missing(err error) bool {
	return errors.Is(err, fault.NotFound) || errors.Is(err, fault.Forbidden)
}

// name looks up what a page of a list names, all at once: each alone costs a look at the store of its own. What cannot be read
// now is asked for again where it is named.
func (v *visit) name(is []id.ID) {
	n, err := v.Control.Named(v.r.Context(), v.actor, is)
	if err != nil {
		v.Log.Error("portal: names cannot be read", "request_id", v.requestID, "error", err)
		return
	}
	k := &v.known
	k.applications, k.organizations, k.people = joined(k.applications, n.Applications), joined(k.organizations, n.Organizations), joined(k.people, n.People)
}

// joined is m with more.
func joined[T any](m, more map[id.ID]T) map[id.ID]T {
	if m == nil {
		return more
	}
	maps.Copy(m, more)
	return m
}

// ids are those that the elements of a list name.
func ids[T any](list []T, of func(T) []id.ID) (out []id.ID) {
	for _, x := range list {
		out = append(out, of(x)...)
	}
	return out
}

func (v *visit) grantRows(list []grant.Grant) []grantRow {
	v.name(ids(list, func(g grant.Grant) []id.ID { return []id.ID{g.Application, g.Organization} }))
	return rows(list, v.grantRow)
}

func (v *visit) requestRows(list []grant.Request) []requestRow {
	v.name(ids(list, func(r grant.Request) []id.ID { return []id.ID{r.Application, r.Organization, r.By} }))
	return rows(list, v.requestRow)
}

func (v *visit) keyRows(list []credential.Credential) []keyRow {
	v.name(ids(list, func(c credential.Credential) []id.ID { return []id.ID{c.Application, c.Organization} }))
	return rows(list, v.keyRow)
}

func (v *visit) application(i id.ID) (application.Application, error) {
	if a, ok := v.known.applications[i]; ok {
		return a, nil
	}
	a, err := v.Control.Application(v.r.Context(), v.actor, i)
	if err != nil {
		return a, err
	}
	if v.known.applications == nil {
		v.known.applications = map[id.ID]application.Application{}
	}
	v.known.applications[i] = a
	return a, nil
}

// applicationRef names an application; its ID stands for it where it cannot be read.
func (v *visit) applicationRef(i id.ID) ref {
	a, err := v.application(i)
	if err != nil {
		return ref{Name: short(i)}
	}
	return ref{a.Name, "/applications/" + string(i)}
}

// organizationRef names a partner, for staff; members know whose everything is.
func (v *visit) organizationRef(i id.ID) ref {
	if v.actor.Class != identity.Staff {
		return ref{Name: v.org.Name}
	}
	o, ok := v.known.organizations[i]
	if !ok {
		var err error
		if o, err = v.Control.Organization(v.r.Context(), v.actor, i); err != nil {
			return ref{Name: short(i)}
		}
		if v.known.organizations == nil {
			v.known.organizations = map[id.ID]organization.Organization{}
		}
		v.known.organizations[i] = o
	}
	return ref{o.Name, "/organizations/" + string(i)}
}

// person names somebody. A member is not told who of the platform it was.
func (v *visit) person(i id.ID) string {
	switch {
	case i == "":
		return "Gatehouse itself"
	case i == v.actor.Person:
		return v.actor.Name
	}
	p, ok := v.known.people[i]
	if !ok {
		var err error
		p, err = v.Control.Person(v.r.Context(), v.actor, i)
		switch {
		case err == nil:
		case missing(err) && v.actor.Class == identity.Member:
			return "the platform"
		default:
			return short(i)
		}
		if v.known.people == nil {
			v.known.people = map[id.ID]identity.Person{}
		}
		v.known.people[i] = p
	}
	return p.Name
}

func (v *visit) decider(d grant.Decision) string { return v.person(d.By) }

func (v *visit) catalogue() []control.CatalogueProduct {
	if !v.known.read {
		v.known.read = true
		all, err := v.Control.Catalogue(v.r.Context(), v.actor)
		if err != nil {
			v.Log.Error("portal: the catalogue cannot be read", "request_id", v.requestID, "error", err)
		}
		v.known.catalogue = all
	}
	return v.known.catalogue
}

// productTitle names a product as the catalogue does, or by its name where it is no longer offered.
func (v *visit) productTitle(name string) string {
	for _, p := range v.catalogue() {
		if p.Name == name {
			return cmp.Or(p.Title, p.Name)
		}
	}
	return name
}

// planOf finds a plan of the catalogue.
func (v *visit) planOf(product, plan string) planView {
	for _, p := range v.catalogue() {
		if p.Name == product {
			for _, x := range p.Plans {
				if x.Name == plan {
					return viewPlan(x)
				}
			}
		}
	}
	return planView{Name: plan, Title: plan}
}

// grantRow is a grant in a list.
type grantRow struct {
	grant.Grant
	Standing     string
	Application  ref
	Organization ref
	ProductTitle string
	Plan         planView
}

func (v *visit) grantRow(g grant.Grant) grantRow {
	return grantRow{
		Grant: g, Standing: g.Standing(v.now), Application: v.applicationRef(g.Application),
		Organization: v.organizationRef(g.Organization), ProductTitle: v.productTitle(g.Product), Plan: v.planOf(g.Product, g.Plan),
	}
}

// requestRow is a request in a list.
type requestRow struct {
	grant.Request
	Application  ref
	Organization ref
	ProductTitle string
	PlanTitle    string
	Asker        string
	Waits        string // for whom
}

func (v *visit) requestRow(r grant.Request) requestRow {
	row := requestRow{
		Request: r, Application: v.applicationRef(r.Application), Organization: v.organizationRef(r.Organization),
		ProductTitle: v.productTitle(r.Product), PlanTitle: v.planOf(r.Product, r.Plan).Title, Asker: v.person(r.By),
	}
	if i := r.Stage(); r.State == grant.Open && i < len(r.Stages) {
		row.Waits = cmp.Or(r.Stages[i].Name, roleWord(r.Stages[i].Role))
	}
	return row
}

// keyRow is a credential in a list.
type keyRow struct {
	credential.Credential
	Standing     string
	Application  ref
	Organization ref
}

func (v *visit) keyRow(c credential.Credential) keyRow {
	return keyRow{c, keyStanding(c, v.now), v.applicationRef(c.Application), v.organizationRef(c.Organization)}
}

func rows[T, R any](list []T, row func(T) R) []R {
	out := make([]R, 0, len(list))
	for _, x := range list {
		out = append(out, row(x))
	}
	return out
}

// liveFirst sorts what still counts before what is over, each by its end.
func liveFirst[T any](list []T, now time.Time, live func(T) bool, end func(T) time.Time) {
	slices.SortStableFunc(list, func(a, b T) int {
		la, lb := live(a), live(b)
		switch {
		case la && !lb:
			return -1
		case lb && !la:
			return 1
		case la:
			return end(a).Compare(end(b))
		}
		return end(b).Compare(end(a))
	})
}

// pager leads to the next page of a list, with the filters kept.
type pager struct {
	First string // address of the first page; "" when this is it
	Next  string // "" on the last
}

func (v *visit) after() string { return v.r.URL.Query().Get("after") }

func (v *visit) pager(next string) pager {
	q := v.r.URL.Query()
	var p pager
	if q.Get("after") != "" {
		q.Del("after")
		p.First = v.r.URL.Path
		if e := q.Encode(); e != "" {
			p.First += "?" + e
		}
	}
	if next != "" {
		q.Set("after", next)
		p.Next = v.r.URL.Path + "?" + q.Encode()
	}
	return p
}
