package portal

import (
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/problem"
)

// queuePage is what waits for a decision, the oldest first.
type queuePage struct {
	frame
	Rows       []queueRow
	Pager      pager
	Registered []organizationRow // partners that wait to be verified
}

func (*queuePage) template() string { return "queue" }

// queueRow is a request that waits, with its age.
type queueRow struct {
	requestRow
	Old bool // it has waited for longer than it should
	Own bool // the viewer asked for it
}

// patience is how long a request may wait before the queue says so.
const patience = 3 * 24 * time.Hour

func showQueue(v *visit) error {
	list, err := v.Control.Requests(v.r.Context(), v.actor, grant.Filter{State: string(grant.Open)}, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &queuePage{Pager: v.pager(list.Next)}
	slices.SortStableFunc(list.Items, func(a, b grant.Request) int { return a.Created.Compare(b.Created) })
	for i, row := range v.requestRows(list.Items) {
		r := list.Items[i]
		p.Rows = append(p.Rows, queueRow{row, v.now.Sub(r.Created) > patience, r.By == v.actor.Person})
	}
	orgs, err := v.Control.Organizations(v.r.Context(), v.actor, "registered", "", control.Page{Limit: 10})
	if err != nil {
		return err
	}
	p.Registered = rows(orgs.Items, v.organizationRow)
	p.Title, p.Lead = "Queue", "What waits for a decision, the oldest first."
	return v.ok(p)
}

// decisionPage is all the facts, and the decision.
type decisionPage struct {
	frame
	Facts      control.Facts
	Request    requestRow
	Plan       planView
	Scopes     []scopeView
	Operations []operationLine
	MoreOps    int
	Standing   []grantRow
	History    []requestRow
	Steps      []step
	MayNot     string // why this approver may not decide
	Form       form
	LatestDay  time.Time // the last day that may be approved
}

func (*decisionPage) template() string { return "decision" }

// shownFactOperations is how many of the operations that a request would open the page lists.
const shownFactOperations = 60

func (v *visit) decisionPage() (*decisionPage, error) {
	i, err := v.object(id.Request)
	if err != nil {
		return nil, err
	}
	facts, err := v.Control.Facts(v.r.Context(), v.actor, i)
	if err != nil {
		return nil, err
	}
	r := facts.Request
	p := &decisionPage{
		Facts: facts, Request: v.requestRow(r), Plan: viewPlan(facts.Plan), Scopes: scopeSentences(facts.Product.Scopes, r.Scopes),
		Standing: v.grantRows(facts.Standing), History: v.requestRows(facts.History),
		Steps: timeline(r, v.decider, facts.Requester.Name), LatestDay: facts.LatestEnd,
	}
	for n, o := range facts.Operations {
		if n == shownFactOperations {
			p.MoreOps = len(facts.Operations) - n
			break
		}
		p.Operations = append(p.Operations, lineOf(r.Product, "", o))
	}
	if facts.MayDecide != nil {
		p.MayNot = sentence(fault.As(facts.MayDecide).Public)
	}
	p.Form = decisionForm(r, facts, v.now)
	p.Title = "Decide: " + p.Request.ProductTitle + " for " + facts.Application.Name
	p.Trail = []crumb{{"Queue", "/queue"}}
	return p, nil
}

func decisionForm(r grant.Request, facts control.Facts, now time.Time) form {
	allowed, _ := r.Allowed(now)
	scopes := field{Name: "scopes", Label: "Scopes to approve", Kind: checkField, Unmarked: true, Hint: "Take away what the purpose does not need"}
	for _, s := range scopeSentences(facts.Product.Scopes, allowed) {
		scopes.Options = append(scopes.Options, option{Value: s.Name, Label: s.Name, Text: s.Text})
	}
	f := newForm("/requests/"+string(r.ID)+"/decide", scopes,
		lowerPlans(r, facts),
		field{Name: "until", Label: "Last day", Kind: dateField, Hint: "The grant ends with this day, in UTC. Empty: the latest end allowed",
			From: now.Format(time.DateOnly), To: facts.LatestEnd.UTC().Format(time.DateOnly)},
		field{Name: "reason", Label: "Reason", Kind: areaField, Max: 1000, Unmarked: true, Hint: "The partner sees it. Needed to refuse"},
	)
	f.Version = r.Version
	f.tick("scopes", allowed)
	return f
}

// lowerPlans offers the plan that was asked for, and the others of the product: control takes those that allow no more.
func lowerPlans(r grant.Request, facts control.Facts) field {
	f := field{Name: "plan", Label: "Plan", Kind: selectField, Hint: "Another plan must allow no more than the one that was asked for", Unmarked: true}
	for _, l := range facts.Product.Plans {
		if slices.Contains(l.Environments, r.Environment) {
			f.Options = append(f.Options, option{Value: l.Name, Label: l.Title, On: l.Name == r.AllowedPlan()})
		}
	}
	f.Value = r.AllowedPlan()
	return f
}

func askDecision(v *visit) error {
	p, err := v.decisionPage()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func decide(v *visit) error {
	p, err := v.decisionPage()
	if err != nil {
		return err
	}
	if p.MayNot != "" { // it was decided meanwhile, or is not this viewer's to decide: there is no form to mend
		p.Form.set("reason", v.r.PostForm.Get("reason"))
		return v.show(problem.Status(fault.As(p.Facts.MayDecide)), p)
	}
	newest := p.Form.Version
	ok := p.Form.read(v.r.PostForm)
	answer := control.Answer{Approve: v.r.PostForm.Get("decision") == "approve", Reason: p.Form.value("reason")}
	switch {
	case !answer.Approve && v.r.PostForm.Get("decision") != "refuse":
		return fault.New(fault.Invalid, "a decision approves or refuses")
	case answer.Approve:
		answer.Scopes = p.Form.Field("scopes").Values
		answer.Plan = p.Form.value("plan")
		answer.Until = endOfDay(p.Form.value("until"), p.Facts.LatestEnd)
		if len(p.Form.Field("scopes").Options) > 0 && len(answer.Scopes) == 0 {
			p.Form.blame(fault.Field{Pointer: "/scopes", Text: "Approve at least one scope, or refuse"})
		}
	case answer.Reason == "":
		p.Form.blame(fault.Field{Pointer: "/reason", Text: "Say why: the partner sees it"})
	}
	if !ok || p.Form.Bad() {
		return v.show(statusOfForm(p.Form), p)
	}
	r, err := v.Control.Decide(v.r.Context(), v.actor, p.Facts.Request.ID, p.Form.Version, answer)
	if err != nil {
		if p.Form.refuse(err) {
			p.Form.Version = newest // what the page shows now is the newest: the next try is on that
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	switch {
	case r.State == grant.Refused:
		return v.done("refused", "/requests/"+string(r.ID))
	case r.State == grant.Approved:
		return v.done("approved", "/requests/"+string(r.ID))
	}
	return v.done("approved-stage", "/requests/"+string(r.ID))
}

// endOfDay is the end of the named day in UTC, but never after the latest end; "" is zero: the latest.
func endOfDay(s string, latest time.Time) time.Time {
	d, err := time.ParseInLocation(time.DateOnly, s, time.UTC)
	if err != nil {
		return time.Time{}
	}
	end := d.AddDate(0, 0, 1)
	if end.After(latest) && d.Before(latest) {
		return latest
	}
	return end
}
