package portal

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/snapshot"
)

// applicationsPage lists applications.
type applicationsPage struct {
	frame
	Rows  []applicationRow
	Pager pager
}

func (*applicationsPage) template() string { return "applications" }

// applicationRow is an application in a list.
type applicationRow struct {
	application.Application
	Organization ref
	OwnerName    string
}

func listApplications(v *visit) error {
	list, err := v.Control.Applications(v.r.Context(), v.actor, v.actor.Organization, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &applicationsPage{Pager: v.pager(list.Next)}
	v.name(ids(list.Items, func(a application.Application) []id.ID { return []id.ID{a.Organization, a.Owner} }))
	for _, a := range list.Items {
		p.Rows = append(p.Rows, applicationRow{a, v.organizationRef(a.Organization), v.person(a.Owner)})
	}
	p.Title, p.Lead = "Applications", "What calls the platform. Each one has an owner who answers for it."
	return v.ok(p)
}

// applicationForm asks for name, purpose and owner.
func (v *visit) applicationForm(action string) (form, error) {
	f := newForm(action,
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 80, Hint: "As your colleagues and our approvers know it, such as “Onboarding web”"},
		field{Name: "purpose", Label: "Purpose", Kind: areaField, Required: true, Max: 2000, Hint: "What it does, in a sentence or two. Approvers read it"},
		field{Name: "owner", Label: "Owner", Kind: selectField, Required: true, Hint: "The person who answers for it"},
	)
	list, err := v.Control.Members(v.r.Context(), v.actor, v.actor.Organization, control.Page{Limit: 500})
	if err != nil {
		return f, err
	}
	owner := f.at("owner")
	for _, m := range list.Items {
		if m.State == identity.Active {
			owner.Options = append(owner.Options, option{Value: string(m.ID), Label: m.Name + " (" + m.Email + ")"})
		}
	}
	f.set("owner", string(v.actor.Person))
	return f, nil
}

func askApplication(v *visit) error {
	f, err := v.applicationForm("/applications")
	if err != nil {
		return err
	}
	return v.applicationPage(f)
}

func (v *visit) applicationPage(f form) error {
	p := &formPage{Form: f, Button: "Create the application", Back: "/applications"}
	p.Title, p.Lead = "Create an application", "It can ask for access as soon as it exists."
	p.Trail = []crumb{{"Applications", "/applications"}}
	return v.show(statusOfForm(f), p)
}

func createApplication(v *visit) error {
	f, err := v.applicationForm("/applications")
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.applicationPage(f)
	}
	a, err := v.Control.CreateApplication(v.r.Context(), v.actor, control.NewApplication{
		Name: f.value("name"), Purpose: f.value("purpose"), Owner: id.ID(f.value("owner")), Once: f.Once,
	})
	if err != nil {
		if f.refuse(err) {
			return v.applicationPage(f)
		}
		return err
	}
	return v.done("application-made", "/applications/"+string(a.ID))
}

func (v *visit) changePage(a application.Application, f form) error {
	p := &formPage{Form: f, Button: "Save", Back: "/applications/" + string(a.ID)}
	p.Title = "Change " + a.Name
	p.Trail = []crumb{{"Applications", "/applications"}, {a.Name, "/applications/" + string(a.ID)}}
	return v.show(statusOfForm(f), p)
}

func (v *visit) applicationChange() (application.Application, form, error) {
	i, err := v.object(id.Application)
	if err != nil {
		return application.Application{}, form{}, err
	}
	a, err := v.application(i)
	if err != nil {
		return a, form{}, err
	}
	f, err := v.applicationForm("/applications/" + string(i) + "/edit")
	f.Version = a.Version
	f.set("name", a.Name)
	f.set("purpose", a.Purpose)
	f.set("owner", string(a.Owner))
	return a, f, err
}

func askApplicationChange(v *visit) error {
	a, f, err := v.applicationChange()
	if err != nil {
		return err
	}
	return v.changePage(a, f)
}

func changeApplication(v *visit) error {
	a, f, err := v.applicationChange()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.changePage(a, f)
	}
	_, err = v.Control.UpdateApplication(v.r.Context(), v.actor, a.ID, f.Version, control.NewApplication{
		Name: f.value("name"), Purpose: f.value("purpose"), Owner: id.ID(f.value("owner")),
	})
	if err != nil {
		if f.refuse(err) {
			f.Version = a.Version
			return v.changePage(a, f)
		}
		return err
	}
	return v.done("application-saved", "/applications/"+string(a.ID))
}

// applicationPage is one application: what it holds, and what it can reach right now.
type applicationPage struct {
	frame
	Application  application.Application
	Partner      ref
	Owner        string
	Reach        []reachSummary
	ReachTrouble string // why it is not known
	Grants       []grantRow
	Keys         []keyRow
	Requests     []requestRow
	CanIssue     bool // there is a live grant
}

func (*applicationPage) template() string { return "application" }

// reachSummary is how much an application reaches in one environment.
type reachSummary struct {
	Environment string
	Operations  int // by its grants
	Callable    int // those of them that a key can call
	Open        int // open to anybody
	Keys        int // live ones with which it can call
}

func showApplication(v *visit) error {
	i, err := v.object(id.Application)
	if err != nil {
		return err
	}
	a, err := v.application(i)
	if err != nil {
		return err
	}
	ctx, page := v.r.Context(), control.Page{Limit: overviewSize}
	grants, err := v.Control.Grants(ctx, v.actor, grant.Filter{Application: i}, page)
	if err != nil {
		return err
	}
	keys, err := v.Control.Credentials(ctx, v.actor, a.Organization, i, page)
	if err != nil {
		return err
	}
	requests, err := v.Control.Requests(ctx, v.actor, grant.Filter{Application: i}, page)
	if err != nil {
		return err
	}
	liveFirst(grants.Items, v.now, func(g grant.Grant) bool { return g.Live(v.now) }, func(g grant.Grant) time.Time { return g.Until })
	liveFirst(keys.Items, v.now, func(c credential.Credential) bool { return c.Live(v.now) }, func(c credential.Credential) time.Time { return c.Expires })
	slices.SortStableFunc(requests.Items, func(x, y grant.Request) int { return y.Created.Compare(x.Created) })
	p := &applicationPage{
		Application: a, Partner: v.organizationRef(a.Organization), Owner: v.person(a.Owner),
		Grants: v.grantRows(grants.Items), Keys: v.keyRows(keys.Items), Requests: v.requestRows(requests.Items),
	}
	for _, g := range grants.Items {
		p.CanIssue = p.CanIssue || g.Live(v.now)
	}
	if a.State == application.Active {
		reach, err := v.Control.Reach(ctx, v.actor, i, "")
		if err != nil {
			p.ReachTrouble = sentence(fault.As(err).Public)
		}
		p.Reach = summarise(reach)
	}
	p.Title = a.Name
	p.Trail = []crumb{{"Applications", "/applications"}}
	return v.ok(p)
}

func summarise(r control.Reach) []reachSummary {
	var out []reachSummary
	at := map[string]int{}
	keys := map[string]map[id.ID]bool{}
	for e := range r.Seq {
		out = append(out, reachSummary{Environment: e})
	}
	slices.SortFunc(out, func(a, b reachSummary) int { return cmp.Compare(a.Environment, b.Environment) })
	for i, s := range out {
		at[s.Environment] = i
		keys[s.Environment] = map[id.ID]bool{}
	}
	for _, o := range r.Operations {
		i, ok := at[o.Environment]
		if !ok {
			i = len(out)
			at[o.Environment], keys[o.Environment] = i, map[id.ID]bool{}
			out = append(out, reachSummary{Environment: o.Environment})
		}
		if o.Grant == "" {
			out[i].Open++
			continue
		}
		out[i].Operations++
		if len(o.Credentials) > 0 {
			out[i].Callable++
		}
		for _, k := range o.Credentials {
			keys[o.Environment][k] = true
		}
	}
	for i := range out {
		out[i].Keys = len(keys[out[i].Environment])
	}
	return out
}

// reachPage is what an application can call right now, operation by operation.
type reachPage struct {
	frame
	Application  application.Application
	At           time.Time
	Environments []reachEnvironment
}

func (*reachPage) template() string { return "reach" }

// reachEnvironment is the part of one environment, grant by grant.
type reachEnvironment struct {
	Name, Gateway string
	Seq           int64
	Grants        []reachGrant
	Open          []snapshot.Reachable // to anybody
	Cut           int                  // how many more there are than the page shows
}

// reachGrant is one grant with the operations that it opens.
type reachGrant struct {
	Grant        id.ID
	ProductTitle string
	PlanTitle    string
	Limits       []string
	Until        time.Time
	Keys         int // with which they can be called
	Operations   []snapshot.Reachable
}

// shownReach is how many operations of an environment are listed.
const shownReach = 500

func showReach(v *visit) error {
	i, err := v.object(id.Application)
	if err != nil {
		return err
	}
	r, err := v.Control.Reach(v.r.Context(), v.actor, i, v.r.URL.Query().Get("environment"))
	if err != nil {
		return err
	}
	p := &reachPage{Application: r.Application, At: r.At}
	for _, s := range summarise(r) {
		p.Environments = append(p.Environments, v.reachIn(r, s.Environment))
	}
	p.Title, p.Lead = "What "+r.Application.Name+" can reach right now", "Computed from the view that the gateways enforce, not from a list of this portal."
	p.Trail = []crumb{{"Applications", "/applications"}, {r.Application.Name, "/applications/" + string(i)}}
	return v.ok(p)
}

// reachIn sorts the operations of one environment to their grants.
func (v *visit) reachIn(r control.Reach, environment string) reachEnvironment {
	e := reachEnvironment{Name: environment, Gateway: v.gateway(environment), Seq: r.Seq[environment]}
	at, shown := map[id.ID]int{}, 0
	for _, o := range r.Operations {
		switch {
		case o.Environment != environment:
			continue
		case shown >= shownReach:
			e.Cut++
			continue
		case o.Grant == "":
			e.Open = append(e.Open, o)
		default:
			i, ok := at[o.Grant]
			if !ok {
				i = len(e.Grants)
				at[o.Grant] = i
				e.Grants = append(e.Grants, reachGrant{Grant: o.Grant, ProductTitle: v.productTitle(o.Product), PlanTitle: v.planOf(o.Product, o.Plan).Title,
					Limits: windowWords(o.Windows), Until: o.Until, Keys: len(o.Credentials)})
			}
			e.Grants[i].Operations = append(e.Grants[i].Operations, o)
		}
		shown++
	}
	return e
}
