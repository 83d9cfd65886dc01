package control

import (
	"slices"

	"gatehouse/application"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// toldMost is how many people one letter goes to.
const toldMost = 50

// staffWho lists active people of the platform whom keep takes.
func (w *write) staffWho(keep func(identity.Person) bool) ([]identity.Person, error) {
	people, err := all(personID, func(after id.ID, n int) ([]identity.Person, error) { return w.tx.People(w.ctx, "", after, n) })
	people = slices.DeleteFunc(people, func(p identity.Person) bool { return p.State != identity.Active || !keep(p) })
	return people[:min(len(people), toldMost)], err
}

// tellDeciders writes to those who can take the next decision: that it waits, that it still does, or that it was escalated.
func (c *Control) tellDeciders(w *write, r grant.Request, app application.Application, o organization.Organization) error {
	at := r.Stage()
	if r.State != grant.Open || at >= len(r.Stages) {
		return nil
	}
	place, err := c.place(w.read, r.Environment, r.Product, r.Organization)
	if err != nil {
		return err
	}
	people, err := w.staffWho(func(p identity.Person) bool {
		return r.MayDecide(grant.Decider{Person: p.ID, Roles: stageRoles(identity.Actor{Class: identity.Staff, Roles: p.Roles}.At(place))}) == nil
	})
	if err != nil {
		return err
	}
	to := make([]id.ID, 0, len(people))
	for _, p := range people {
		to = append(to, p.ID)
		standIns, err := w.tx.Absences(w.ctx, p.ID, "", w.now, "", toldMost)
		if err != nil {
			return err
		}
		for _, a := range standIns {
			if a.Holds(w.now) {
				to = append(to, a.StandIn)
			}
		}
	}
	subject, first := "A decision waits", o.Name+" asks for "+r.Product+" (plan "+r.AllowedPlan()+") in "+r.Environment+" for "+app.Name+"."
	switch {
	case r.Sort == grant.Emergency:
		subject = "EMERGENCY: a decision waits"
	case r.Escalated && !r.Reminded:
		subject = "A decision was escalated to you"
	case r.Reminded:
		subject = "A decision still waits"
	}
	parts := []string{first, "The purpose: " + r.Purpose}
	if d := r.Deadline(); !d.IsZero() {
		parts = append(parts, "It waits until "+when(d)+".")
	}
	return w.tellPeople(to, subject, lines(append(parts, "Decide here:", c.URL+"/requests/"+string(r.ID))...))
}

// tellEmergency tells everybody of the platform, and the organization's owners, that emergency access stands.
func (c *Control) tellEmergency(w *write, r grant.Request, g grant.Grant, app application.Application) error {
	people, err := w.staffWho(func(identity.Person) bool { return true })
	if err != nil {
		return err
	}
	members, err := w.tx.People(w.ctx, r.Organization, "", toldMost)
	if err != nil {
		return err
	}
	to := []id.ID{}
	for _, p := range people {
		to = append(to, p.ID)
	}
	for _, p := range members {
		if covers(p.Roles, identity.Owner) {
			to = append(to, p.ID)
		}
	}
	return w.tellPeople(to, "EMERGENCY access was granted", lines(
		"The application "+app.Name+" has emergency access to "+g.Product+" in "+g.Environment+" until "+when(g.Until)+".",
		"The purpose: "+g.Purpose, "It ends by itself. To end it now:", c.URL+"/grants/"+string(g.ID)))
}
