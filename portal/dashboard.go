package portal

import (
	"net/url"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// overviewSize is how many of each kind the overview reads: enough for nearly every partner, and the lists have the rest.
const overviewSize = 100

// dashboardPage is everything of an organization on one screen.
type dashboardPage struct {
	frame
	Steps        []step
	Next         nextStep
	Applications []applicationCard
	Requests     []requestRow
	Ending       []grantRow // the next ends, soonest first
	More         bool       // there is more than the page shows
}

func (*dashboardPage) template() string { return "dashboard" }

// nextStep is what to do now.
type nextStep struct{ Title, Text, Button, Href string }

// applicationCard is one application with what it holds.
type applicationCard struct {
	application.Application
	Grants []grantRow
	Keys   []keyRow
}

func dashboard(v *visit) error {
	if v.actor.Class == identity.Staff {
		return v.redirect("/queue")
	}
	ctx, page := v.r.Context(), control.Page{Limit: overviewSize}
	apps, err := v.Control.Applications(ctx, v.actor, v.actor.Organization, page)
	if err != nil {
		return err
	}
	grants, err := v.Control.Grants(ctx, v.actor, grant.Filter{}, page)
	if err != nil {
		return err
	}
	keys, err := v.Control.Credentials(ctx, v.actor, v.actor.Organization, "", page)
	if err != nil {
		return err
	}
	open, err := v.Control.Requests(ctx, v.actor, grant.Filter{State: string(grant.Open)}, page)
	if err != nil {
		return err
	}
	v.known.applications = map[id.ID]application.Application{}
	for _, a := range apps.Items {
		v.known.applications[a.ID] = a
	}
	p := &dashboardPage{More: apps.Next != "" || grants.Next != "" || keys.Next != ""}
	p.Requests = v.requestRows(open.Items)
	p.fill(v, apps.Items, grants.Items, keys.Items)
	p.Next, p.Steps = p.next(v)
	p.Title = "Overview"
	return v.ok(p)
}

// fill sorts grants and keys to their applications; what is over is left to the lists.
func (p *dashboardPage) fill(v *visit, apps []application.Application, grants []grant.Grant, keys []credential.Credential) {
	place := map[id.ID]int{}
	for _, a := range apps {
		if a.State == application.Active {
			place[a.ID] = len(p.Applications)
			p.Applications = append(p.Applications, applicationCard{Application: a})
		}
	}
	liveFirst(grants, v.now, func(g grant.Grant) bool { return g.Live(v.now) }, func(g grant.Grant) time.Time { return g.Until })
	for _, g := range grants {
		i, ok := place[g.Application]
		if !ok || g.State == grant.Ended || !v.now.Before(g.Until) {
			continue
		}
		row := v.grantRow(g)
		p.Applications[i].Grants = append(p.Applications[i].Grants, row)
		if g.Live(v.now) {
			p.Ending = append(p.Ending, row)
		}
	}
	if len(p.Ending) > 5 {
		p.Ending = p.Ending[:5]
	}
	for _, c := range keys {
		if i, ok := place[c.Application]; ok && c.Live(v.now) {
			p.Applications[i].Keys = append(p.Applications[i].Keys, v.keyRow(c))
		}
	}
}

// soon is how long before its end a grant is worth a word.
const soon = 30 * 24 * time.Hour

// next finds where the organization stands on the way to its first call, and what to do now.
func (p *dashboardPage) next(v *visit) (nextStep, []step) {
	verified := v.org.State == organization.Verified
	hasApp := len(p.Applications) > 0
	var granted, keyless *applicationCard
	keyed := false
	for i := range p.Applications {
		a := &p.Applications[i]
		for _, g := range a.Grants {
			if !g.Live(v.now) {
				continue
			}
			granted = a
			if hasKeyFor(a.Keys, g.Environment) {
				keyed = true
			} else if keyless == nil {
				keyless = a
			}
		}
	}
	asked := len(p.Requests) > 0 || granted != nil
	steps := []step{
		{Title: "Registered", State: "done"},
		{Title: "Verified", State: doneIf(verified)},
		{Title: "Application", State: doneIf(hasApp)},
		{Title: "Access requested", State: doneIf(asked)},
		{Title: "Granted", State: doneIf(granted != nil)},
		{Title: "Key issued", State: doneIf(keyed)},
	}
	markNow(steps)
	switch {
	case v.org.State == organization.Suspended:
		return nextStep{Title: "Your organization is suspended", Text: "Nothing of it passes a gateway until the platform ends the suspension. " + sentence(v.org.Reason)}, steps
	case !hasApp:
		return nextStep{"Create your first application", "An application is what calls the platform: it holds grants and keys, and one of you answers for it.", "Create an application", "/applications/new"}, steps
	case !verified:
		return nextStep{"We are verifying your organization", "A person of the platform looks at what you told us. Until then you can read everything and prepare your applications.", "Read the catalogue", "/catalogue"}, steps
	case !asked:
		return nextStep{"Ask for access", "Choose a product, a plan and how long you need it. An approver decides with what you write.", "Choose a product", "/catalogue"}, steps
	case granted == nil:
		return nextStep{"Your request waits for its decision", "You need to do nothing now. We write to you as soon as it is decided.", "See the request", "/requests/" + string(p.Requests[0].ID)}, steps
	case keyless != nil:
		return nextStep{"Issue a key", "A grant of " + keyless.Name + " stands, and there is no key for it yet. With one, the first call is one command away.", "Issue a key", "/credentials/new?application=" + url.QueryEscape(string(keyless.ID))}, steps
	case len(p.Ending) > 0 && p.Ending[0].Until.Sub(v.now) < soon:
		g := p.Ending[0]
		return nextStep{"A grant ends " + relative(v.now, g.Until), g.Application.Name + " reaches " + g.ProductTitle + " in " + g.Environment + " until " + g.Until.Format("2 January 2006") + ". Ask in time for what comes after.", "See the grant", "/grants/" + string(g.ID)}, steps
	}
	return nextStep{"Everything stands", "Your applications can call what they were granted.", "See what they reach", "/applications/" + string(granted.ID) + "/reach"}, steps
}

func hasKeyFor(keys []keyRow, environment string) bool {
	for _, k := range keys {
		if k.Environment == environment {
			return true
		}
	}
	return false
}

func doneIf(is bool) string {
	if is {
		return "done"
	}
	return "next"
}

// markNow marks the first step that is not done.
func markNow(steps []step) {
	for i := range steps {
		if steps[i].State != "done" {
			steps[i].State = "now"
			return
		}
	}
}
