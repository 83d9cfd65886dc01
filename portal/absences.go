package portal

import (
	"time"

	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// absencesPage is who decides in whose place, and a form to name somebody.
type absencesPage struct {
	frame
	Rows  []absenceRow
	Pager pager
	Form  form
	Sets  bool // the viewer decides, and can name a stand-in
}

func (*absencesPage) template() string { return "absences" }

type absenceRow struct {
	grant.Absence
	Who, StandsIn string
	Own           bool // the viewer may call it off
}

func (v *visit) absencesPage() (*absencesPage, error) {
	list, err := v.Control.Absences(v.r.Context(), v.actor, control.Page{After: v.after()})
	if err != nil {
		return nil, err
	}
	people, err := v.Control.StaffList(v.r.Context(), v.actor, control.Page{Limit: 500})
	if err != nil {
		return nil, err
	}
	who := field{Name: "stand_in", Label: "Stand-in", Kind: selectField, Required: true}
	for _, p := range people.Items {
		if p.ID != v.actor.Person && p.State == identity.Active {
			who.Options = append(who.Options, option{Value: string(p.ID), Label: p.Name})
		}
	}
	today := v.now.Format(time.DateOnly)
	p := &absencesPage{Pager: v.pager(list.Next), Sets: v.actor.Has(identity.Admin, identity.Approver, identity.Operator),
		Form: newForm("/absences", who,
			field{Name: "from", Label: "First day", Kind: dateField, From: today, Hint: "Empty: from now on"},
			field{Name: "until", Label: "Last day", Kind: dateField, Required: true, From: today})}
	for _, a := range list.Items {
		p.Rows = append(p.Rows, absenceRow{a, v.person(a.Person), v.person(a.StandIn), a.Person == v.actor.Person || v.actor.Has(identity.Admin)})
	}
	p.Title, p.Lead = "Stand-ins", "Who decides on access requests in whose place, and until when. A stand-in decides in their own name, and never where the absent person could not have decided."
	return p, nil
}

func listAbsences(v *visit) error {
	p, err := v.absencesPage()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func setAbsence(v *visit) error {
	p, err := v.absencesPage()
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	from, _ := time.Parse(time.DateOnly, p.Form.value("from")) // read has looked at it; empty is zero
	until, _ := time.Parse(time.DateOnly, p.Form.value("until"))
	if from.Before(v.now) {
		from = time.Time{}
	}
	_, err = v.Control.SetAbsence(v.r.Context(), v.actor, id.ID(p.Form.value("stand_in")), from, until.AddDate(0, 0, 1))
	if err != nil {
		if p.Form.refuse(err) {
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done("absence-set", "/absences")
}

func callOffAbsence(v *visit) error {
	i, err := v.object(id.Absence)
	if err != nil {
		return err
	}
	if _, err := v.Control.CallOffAbsence(v.r.Context(), v.actor, i); err != nil {
		return err
	}
	return v.done("absence-ended", "/absences")
}
