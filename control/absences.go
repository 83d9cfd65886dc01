package control

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// SetAbsence says that another person of the platform decides in the actor's place for a time: with the actor's roles, in
// their own name. In person.
func (c *Control) SetAbsence(ctx context.Context, a identity.Actor, standIn id.ID, from, until time.Time) (grant.Absence, error) {
	var out grant.Absence
	err := c.update(ctx, a, "SetAbsence", func(w *write) error {
		if from.IsZero() {
			from = w.now
		}
		n := grant.Absence{ID: w.fresh(id.Absence), Person: a.Person, StandIn: standIn,
			From: from.UTC().Truncate(time.Microsecond), Until: until.UTC().Truncate(time.Microsecond)}
		if err := n.Check(w.now); err != nil {
			return err
		}
		p, err := w.person(standIn)
		if err != nil || p.Class != identity.Staff || p.State != identity.Active {
			return fault.Bad("/stand_in", "name somebody of the platform who is active")
		}
		if out, err = w.putAbsence("absence.set", grant.Absence{}, n); err != nil {
			return err
		}
		return w.letter(p.Email, "You stand in for "+a.Name, lines(
			a.Name+" named you to decide on access requests in their place, from "+when(n.From)+" until "+when(n.Until)+".",
			"What waits:", c.URL+"/queue"))
	})
	return out, err
}

// CallOffAbsence ends an absence early: whoever set it, or an admin.
func (c *Control) CallOffAbsence(ctx context.Context, a identity.Actor, i id.ID) (grant.Absence, error) {
	var out grant.Absence
	err := c.update(ctx, a, "CallOffAbsence", func(w *write) error {
		old, err := w.tx.Absence(ctx, i)
		if err != nil || old.Person != a.Person && !a.Has(identity.Admin) {
			return missing("absence")
		}
		if out, err = old.CallOff(w.now); err != nil {
			return err
		}
		out, err = w.putAbsence("absence.call-off", old, out)
		return err
	})
	return out, err
}

// Absences lists those that are not over, of everybody. Staff.
func (c *Control) Absences(ctx context.Context, a identity.Actor, p Page) (List[grant.Absence], error) {
	var out List[grant.Absence]
	err := c.view(ctx, a, "Absences", func(r read) (err error) {
		out, err = collect(p, id.Absence, absenceID, nil, func(after id.ID, n int) ([]grant.Absence, error) {
			return r.tx.Absences(ctx, "", "", r.now, after, n)
		})
		return err
	})
	return out, err
}

func absenceID(a grant.Absence) id.ID { return a.ID }
