package portal

import (
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// tokensPage lists machine tokens.
type tokensPage struct {
	frame
	Rows  []tokenRow
	Pager pager
}

func (*tokensPage) template() string { return "tokens" }

// tokenRow is a machine token in a list.
type tokenRow struct {
	identity.MachineToken
	Maker    string
	Standing string
}

func (v *visit) tokenRow(t identity.MachineToken) tokenRow {
	row := tokenRow{t, v.person(t.Person), "active"}
	switch {
	case !t.Revoked.IsZero():
		row.Standing = "revoked"
	case !v.now.Before(t.Expires):
		row.Standing = "expired"
	}
	return row
}

func listTokens(v *visit) error {
	list, err := v.Control.MachineTokens(v.r.Context(), v.actor, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &tokensPage{Rows: rows(list.Items, v.tokenRow), Pager: v.pager(list.Next)}
	liveFirst(p.Rows, v.now, func(t tokenRow) bool { return t.Standing == "active" }, func(t tokenRow) time.Time { return t.Expires })
	p.Title, p.Lead = "Machine tokens", "What programs call the admin API with. A token acts for whoever made it, with the roles it was given."
	return v.ok(p)
}

var memberRoles = []option{
	{Value: string(identity.Owner), Label: "Owner", Text: "Everything in the organization"},
	{Value: string(identity.Developer), Label: "Developer", Text: "Applications, requests, keys"},
	{Value: string(identity.Viewer), Label: "Viewer", Text: "Look, change nothing"},
}

func (v *visit) tokenForm() form {
	all := staffRoles
	if v.actor.Class == identity.Member {
		all = memberRoles
	}
	own := slices.DeleteFunc(slices.Clone(all), func(o option) bool { return !slices.Contains(v.actor.Roles, identity.Role(o.Value)) })
	f := newForm("/tokens",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 80, Hint: "What will use it, such as “pipeline of the manifest”"},
		rolesField(own),
		field{Name: "lifetime", Label: "Valid for", Kind: selectField, Required: true, Options: []option{
			{Value: "7d", Label: "7 days"}, {Value: "30d", Label: "30 days"}, {Value: "90d", Label: "90 days"}, {Value: "365d", Label: "1 year"}}},
	)
	f.set("lifetime", "90d")
	return f
}

func (v *visit) tokenPage(f form) error {
	p := &formPage{Form: f, Button: "Make the token", Back: "/tokens"}
	p.Title, p.Lead = "Make a machine token", "It is shown once, right after this."
	p.Trail = []crumb{{"Machine tokens", "/tokens"}}
	return v.show(statusOfForm(f), p)
}

func askToken(v *visit) error { return v.tokenPage(v.tokenForm()) }

// newTokenPage shows a machine token, once.
type newTokenPage struct {
	frame
	Token   identity.MachineToken
	Secret  string
	Command string
}

func (*newTokenPage) template() string { return "newtoken" }

func createToken(v *visit) error {
	f := v.tokenForm()
	if !f.read(v.r.PostForm) {
		return v.tokenPage(f)
	}
	t, secret, err := v.Control.CreateMachineToken(v.r.Context(), v.actor, f.value("name"), rolesOf(f), v.now.Add(durationOf(f.value("lifetime"))))
	if err != nil {
		if f.refuse(err) {
			return v.tokenPage(f)
		}
		return err
	}
	p := &newTokenPage{Token: t, Secret: secret.Reveal()} // the one place where it is shown
	p.Command = "curl -H " + quote("Authorization: Bearer "+p.Secret) + " " + quote(v.Control.URL+"/api/me")
	p.Title, p.Lead = "Your machine token", "Copy it now: it is shown this once. We keep only a hash of it."
	return v.ok(p)
}

// tokenDeed revokes a machine token.
func (v *visit) tokenDeed() (deed, error) {
	i, err := v.object(id.Machine)
	if err != nil {
		return deed{}, err
	}
	t, err := v.findToken(i)
	if err != nil {
		return deed{}, err
	}
	return deed{
		title: "Revoke the machine token “" + t.Name + "”", button: "Revoke the token for good", danger: true, optional: true,
		text: "Every call with this token is refused from now on.", back: "/tokens", notice: "token-revoked", version: t.Version,
		trail: []crumb{{"Machine tokens", "/tokens"}},
		facts: []fact{{"Made by", v.person(t.Person)}, {"Would expire", t.Expires.UTC().Format("2 January 2006, 15:04 UTC")}},
		do: func(int64, string) error {
			_, err := v.Control.RevokeMachineToken(v.r.Context(), v.actor, i)
			return err
		},
	}, nil
}

// findToken looks through the tokens that the viewer may see.
func (v *visit) findToken(i id.ID) (identity.MachineToken, error) {
	after := ""
	for {
		list, err := v.Control.MachineTokens(v.r.Context(), v.actor, control.Page{After: after, Limit: 500})
		if err != nil {
			return identity.MachineToken{}, err
		}
		for _, t := range list.Items {
			if t.ID == i {
				return t, nil
			}
		}
		if after = list.Next; after == "" {
			return identity.MachineToken{}, fault.New(fault.NotFound, "there is no such token")
		}
	}
}
