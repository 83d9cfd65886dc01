package portal

import (
	"strings"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// peoplePage lists the people of the platform.
type peoplePage struct {
	frame
	People      []identity.Person
	Pager       pager
	Invitations []invitationRow
}

func (*peoplePage) template() string { return "people" }

func listPeople(v *visit) error {
	list, err := v.Control.StaffList(v.r.Context(), v.actor, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &peoplePage{People: list.Items, Pager: v.pager(list.Next)}
	if p.Invitations, err = v.invitations(""); err != nil {
		return err
	}
	p.Title, p.Lead = "People", "Who runs the platform, and what each may do."
	return v.ok(p)
}

var staffRoles = []option{
	{Value: string(identity.Admin), Label: "Administrator", Text: "Everything, and who else is staff"},
	{Value: string(identity.Approver), Label: "Approver", Text: "Decides access requests, suspends and ends grants"},
	{Value: string(identity.APIOwner), Label: "API owner", Text: "Answers for APIs: decides where a plan asks for their owner, suspends and ends grants of them"},
	{Value: string(identity.Operator), Label: "Operator", Text: "Publishes, verifies organizations, suspends and ends"},
	{Value: string(identity.Auditor), Label: "Auditor", Text: "Reads everything, changes nothing"},
}

func rolesField(roles []option) field {
	return field{Name: "roles", Label: "Roles", Kind: checkField, Required: true, Options: append([]option(nil), roles...)}
}

// boundField takes roles that count at one API or organization only.
func boundField() field {
	return field{Name: "bound", Label: "Roles for one API or organization only", Kind: areaField, Max: 2000, Mono: true,
		Hint: "One in each line, such as approver@api:payments, api-owner@api:payments or operator@org:org_…"}
}

// staffForm is what both forms about a person of the platform ask.
func staffForm(action string, fields ...field) form {
	roles := rolesField(staffRoles)
	roles.Label, roles.Required = "Roles everywhere", false
	return newForm(action, append(fields, roles, boundField())...)
}

// setRoles fills in what somebody has.
func (f *form) setRoles(roles []identity.Role) {
	var whole, bound []string
	for _, r := range roles {
		if r.Bound() {
			bound = append(bound, string(r))
		} else {
			whole = append(whole, string(r))
		}
	}
	f.tick("roles", whole)
	f.set("bound", strings.Join(bound, "\n"))
}

func rolesOf(f form) []identity.Role {
	var out []identity.Role
	for _, r := range strings.Fields(f.value("bound")) {
		out = append(out, identity.Role(r))
	}
	for _, r := range f.Field("roles").Values {
		out = append(out, identity.Role(r))
	}
	return out
}

func personForm() form {
	return staffForm("/people",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 120, Autocomplete: "off"},
		field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Max: 254, Autocomplete: "off", Hint: "A sign-in link is sent there"},
	)
}

func (v *visit) personPage(f form) error {
	p := &formPage{Form: f, Button: "Add the person", Back: "/people"}
	p.Title, p.Lead = "Add a person", "They get a link by which they sign in and set a password."
	p.Trail = []crumb{{"People", "/people"}}
	return v.show(statusOfForm(f), p)
}

func askPerson(v *visit) error { return v.personPage(personForm()) }

func addPerson(v *visit) error {
	f := personForm()
	if !f.read(v.r.PostForm) {
		return v.personPage(f)
	}
	if _, err := v.Control.AddStaff(v.r.Context(), v.actor, f.value("email"), f.value("name"), rolesOf(f)); err != nil {
		if f.refuse(err) {
			return v.personPage(f)
		}
		return err
	}
	return v.done("staff-added", "/people")
}

// staffChange finds the person and the form that changes them.
func (v *visit) staffChange() (identity.Person, form, error) {
	i, err := v.object(id.Person)
	if err != nil {
		return identity.Person{}, form{}, err
	}
	person, err := v.Control.Person(v.r.Context(), v.actor, i)
	if err != nil {
		return person, form{}, err
	}
	if person.Class != identity.Staff {
		return person, form{}, fault.New(fault.NotFound, "this is nobody of the platform")
	}
	f := staffForm("/people/"+string(i),
		field{Name: "state", Label: "State", Kind: radioField, Required: true, Options: []option{
			{Value: string(identity.Active), Label: "Active", Text: "May sign in"},
			{Value: string(identity.Disabled), Label: "Disabled", Text: "May not sign in; sessions and machine tokens end"},
		}})
	f.Version = person.Version
	f.setRoles(person.Roles)
	state := person.State
	if state == identity.Unconfirmed {
		state = identity.Active // whoever has not been here yet may come
	}
	f.set("state", string(state))
	return person, f, nil
}

func (v *visit) staffPage(person identity.Person, f form) error {
	p := &formPage{Form: f, Button: "Save", Back: "/people", Links: v.personalLinks(person, "/people/")}
	p.Title, p.Lead = person.Name, person.Email
	p.Trail = []crumb{{"People", "/people"}}
	return v.show(statusOfForm(f), p)
}

func askPersonChange(v *visit) error {
	person, f, err := v.staffChange()
	if err != nil {
		return err
	}
	return v.staffPage(person, f)
}

func changePerson(v *visit) error {
	person, f, err := v.staffChange()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.staffPage(person, f)
	}
	_, err = v.Control.ChangeStaff(v.r.Context(), v.actor, person.ID, f.Version, rolesOf(f), identity.State(f.value("state")))
	if err != nil {
		if f.refuse(err) {
			f.Version = person.Version
			return v.staffPage(person, f)
		}
		return err
	}
	return v.done("staff-saved", "/people")
}
