package portal

import (
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// invitationRow is an invitation in a list.
type invitationRow struct {
	identity.Invitation
	Inviter  string
	Standing string
	Now      time.Time
	Open     bool // it can be withdrawn
}

// invitations lists those of an organization, or with "" those to the platform's staff: open ones first, accepted ones not
// at all, for they are people now.
func (v *visit) invitations(org id.ID) ([]invitationRow, error) {
	list, err := v.Control.Invitations(v.r.Context(), v.actor, org, control.Page{Limit: 500})
	if err != nil {
		return nil, err
	}
	var out []invitationRow
	for _, i := range list.Items {
		row := invitationRow{Invitation: i, Inviter: "the host's owner", Standing: i.Standing(v.now), Now: v.now}
		if i.By != "" {
			row.Inviter = v.person(i.By)
		}
		row.Open = row.Standing == "open"
		if row.Standing != "accepted" {
			out = append(out, row)
		}
	}
	liveFirst(out, v.now, func(i invitationRow) bool { return i.Open }, func(i invitationRow) time.Time { return i.Expires })
	return out[:min(len(out), overviewSize)], nil
}

// invitation is the form that invites: to one's own organization, to one that staff name, or to the staff.
func (v *visit) invitation() (org id.ID, f form, back crumb, err error) {
	email := field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Max: 254, Autocomplete: "off", Hint: "A link is sent there, which works once, for seven days"}
	path := v.r.URL.Path
	switch {
	case path == "/people/invite":
		return "", staffForm(path, email), crumb{"People", "/people"}, nil
	case path == "/organization/invite":
		org, back = v.actor.Organization, crumb{"Profile and people", "/organization"}
	default:
		if org, err = v.object(id.Organization); err != nil {
			return org, f, back, err
		}
		o, err := v.Control.Organization(v.r.Context(), v.actor, org)
		if err != nil {
			return org, f, back, err
		}
		back = crumb{o.Name, "/organizations/" + string(org)}
	}
	roles := slices.Clone(memberRoles)
	if v.actor.Class == identity.Member && !v.actor.Has(identity.Owner) { // none above one's own
		roles = slices.DeleteFunc(roles, func(o option) bool { return o.Value == string(identity.Owner) })
	}
	f = newForm(path, email, rolesField(roles))
	f.tick("roles", []string{string(identity.Developer)})
	return org, f, back, nil
}

func (v *visit) invitePage(f form, back crumb) error {
	p := &formPage{Form: f, Button: "Send the invitation", Back: back.Href}
	p.Title, p.Lead, p.Trail = "Invite somebody", "They choose their own name and password. Nobody gives a role above their own.", []crumb{back}
	return v.show(statusOfForm(f), p)
}

func askInvitation(v *visit) error {
	_, f, back, err := v.invitation()
	if err != nil {
		return err
	}
	return v.invitePage(f, back)
}

func invite(v *visit) error {
	org, f, back, err := v.invitation()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.invitePage(f, back)
	}
	if _, err := v.Control.Invite(v.r.Context(), v.actor, control.NewInvitation{Organization: org, Email: f.value("email"), Roles: rolesOf(f)}); err != nil {
		if f.refuse(err) {
			return v.invitePage(f, back)
		}
		return err
	}
	return v.done("invited", back.Href)
}

// invitationDeed withdraws an invitation.
func (v *visit) invitationDeed() (deed, error) {
	i, err := v.object(id.Invitation)
	if err != nil {
		return deed{}, err
	}
	back := "/organization"
	if v.actor.Class == identity.Staff {
		back = "/people"
	}
	return deed{title: "Withdraw this invitation", button: "Withdraw the invitation", optional: true, back: back, notice: "invite-withdrawn",
		text: "Its link opens nothing from now on. You can invite them again at any time.", trail: []crumb{{"People", back}},
		do: func(int64, string) error {
			_, err := v.Control.WithdrawInvitation(v.r.Context(), v.actor, i)
			return err
		}}, nil
}

// acceptancePage is behind the link of an invitation.
type acceptancePage struct {
	frame
	control.Invited
	Form  form
	Token string
}

func (*acceptancePage) template() string { return "acceptance" }

func acceptanceForm() form {
	return newForm("/invitation",
		field{Name: "name", Label: "Your name", Kind: textField, Required: true, Autocomplete: "name", Max: 120},
		field{Name: "password", Label: "Password", Kind: secretField, Required: true, Autocomplete: "new-password", Max: 256, Hint: "At least 12 characters: a few words are better than a few signs"})
}

func askAcceptance(v *visit) error {
	return v.acceptance(acceptanceForm(), v.r.URL.Query().Get("token"))
}

func (v *visit) acceptance(f form, token string) error {
	if token == "" {
		return fault.New(fault.Gone, "the link is not whole: open it from the letter again")
	}
	i, err := v.Control.SeeInvitation(v.r.Context(), v.actor, secret.New(token))
	if err != nil {
		return err
	}
	p := &acceptancePage{Invited: i, Form: f, Token: token}
	p.Title, p.Slim = "You are invited", true
	return v.show(statusOfForm(f), p)
}

func acceptInvitation(v *visit) error {
	f, token := acceptanceForm(), v.r.PostForm.Get("token")
	if !f.read(v.r.PostForm) {
		return v.acceptance(f, token)
	}
	_, err := v.Control.AcceptInvitation(v.r.Context(), v.actor, secret.New(token), f.value("name"), secret.New(f.value("password")))
	if err != nil {
		if f.refuse(err) {
			return v.acceptance(f, token)
		}
		return err
	}
	v.forgetSession() // whoever was signed in here before is another one
	return v.done("accepted", "/signin")
}

// successors are the members who can take over what the person answers for.
func (v *visit) successors(p identity.Person) (field, error) {
	f := field{Name: "successor", Label: "Successor", Kind: selectField, Hint: "Who takes over the applications that they answer for", Options: []option{{Value: "", Label: "Nobody"}}}
	list, err := v.Control.Members(v.r.Context(), v.actor, p.Organization, control.Page{Limit: 500})
	for _, m := range list.Items {
		if m.ID != p.ID && m.State == identity.Active {
			f.Options = append(f.Options, option{Value: string(m.ID), Label: m.Name + " (" + m.Email + ")"})
		}
	}
	return f, err
}

// memberChange finds the member and the form that changes them.
func (v *visit) memberChange() (identity.Person, form, crumb, error) {
	var f form
	back := crumb{"Profile and people", "/organization"}
	i, err := v.object(id.Person)
	if err != nil {
		return identity.Person{}, f, back, err
	}
	p, err := v.Control.Person(v.r.Context(), v.actor, i)
	if err != nil {
		return p, f, back, err
	}
	if p.Class != identity.Member {
		return p, f, back, fault.New(fault.NotFound, "this is no member of a partner")
	}
	if v.actor.Class == identity.Staff {
		back = crumb{"Organization", "/organizations/" + string(p.Organization)}
	}
	next, err := v.successors(p)
	if err != nil {
		return p, f, back, err
	}
	f = newForm("/members/"+string(i), rolesField(memberRoles),
		field{Name: "state", Label: "State", Kind: radioField, Required: true, Options: []option{
			{Value: string(identity.Active), Label: "Active", Text: "May sign in"},
			{Value: string(identity.Disabled), Label: "Disabled", Text: "May not sign in; sessions and machine tokens end"},
		}}, next)
	f.Version = p.Version
	f.setRoles(p.Roles)
	state := p.State
	if state == identity.Unconfirmed {
		state = identity.Active
	}
	f.set("state", string(state))
	return p, f, back, nil
}

func (v *visit) memberPage(person identity.Person, f form, back crumb) error {
	p := &formPage{Form: f, Button: "Save", Back: back.Href, Links: v.personalLinks(person, "/members/")}
	p.Title, p.Lead, p.Trail = person.Name, person.Email, []crumb{back}
	return v.show(statusOfForm(f), p)
}

func askMemberChange(v *visit) error {
	person, f, back, err := v.memberChange()
	if err != nil {
		return err
	}
	return v.memberPage(person, f, back)
}

func changeMember(v *visit) error {
	person, f, back, err := v.memberChange()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.memberPage(person, f, back)
	}
	_, err = v.Control.ChangeMember(v.r.Context(), v.actor, person.ID, f.Version, rolesOf(f), identity.State(f.value("state")), id.ID(f.value("successor")))
	if err != nil {
		if f.refuse(err) {
			f.Version = person.Version
			return v.memberPage(person, f, back)
		}
		return err
	}
	return v.done("member-saved", back.Href)
}

func (v *visit) leaveForm() (form, error) {
	p, err := v.Control.Person(v.r.Context(), v.actor, v.actor.Person)
	if err != nil {
		return form{}, err
	}
	next, err := v.successors(p)
	next.Hint = "Who takes over what you answer for. The last owner's successor becomes owner."
	return newForm("/account/leave", next), err
}

func (v *visit) leavePage(f form) error {
	p := &formPage{Form: f, Button: "Leave for good", Back: "/account"}
	p.Title, p.Lead = "Leave "+v.org.Name, "You can no longer sign in afterwards. Your sessions and machine tokens end, and the applications that you answer for go to your successor."
	p.Trail = []crumb{{"Your account", "/account"}}
	return v.show(statusOfForm(f), p)
}

func askLeave(v *visit) error {
	f, err := v.leaveForm()
	if err != nil {
		return err
	}
	return v.leavePage(f)
}

func leave(v *visit) error {
	f, err := v.leaveForm()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.leavePage(f)
	}
	switch err := v.Control.Leave(v.r.Context(), v.actor, id.ID(f.value("successor"))); {
	case err == nil:
		v.forgetSession()
		return v.done("left", "/")
	case errors.Is(err, fault.Conflict) || strings.Contains(err.Error(), "/successor"):
		f.refuse(err)
		return v.leavePage(f)
	default:
		return err
	}
}
