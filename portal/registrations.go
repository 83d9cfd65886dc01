package portal

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// initialTokensPage lists the tokens by which programs register OAuth clients.
type initialTokensPage struct {
	frame
	Rows  []initialRow
	Pager pager
	Makes bool
}

func (*initialTokensPage) template() string { return "initialtokens" }

// initialRow is one of them in a list.
type initialRow struct {
	credential.InitialToken
	For, Of  ref // its application, and for staff whose that is
	Maker    string
	Standing string
	Ends     bool // the viewer may end it
}

func (v *visit) initialRow(t credential.InitialToken) initialRow {
	row := initialRow{InitialToken: t, For: v.applicationRef(t.Application), Maker: v.person(t.CreatedBy), Standing: t.Standing(v.now)}
	row.Ends = row.Standing == credential.TokenOpen && (v.makesInitialTokens() || v.actor.Class == identity.Staff && v.actor.Has(identity.Operator, identity.Admin))
	if v.actor.Class == identity.Staff {
		row.Of = v.organizationRef(t.Organization)
	}
	return row
}

// makesInitialTokens decides which buttons stand on the pages.
func (v *visit) makesInitialTokens() bool {
	return v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer)
}

func listInitialTokens(v *visit) error {
	list, err := v.Control.InitialTokens(v.r.Context(), v.actor, v.actor.Organization, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &initialTokensPage{Rows: rows(list.Items, v.initialRow), Pager: v.pager(list.Next), Makes: v.makesInitialTokens()}
	liveFirst(p.Rows, v.now, func(t initialRow) bool { return t.Standing == credential.TokenOpen }, func(t initialRow) time.Time { return t.Expires })
	p.Title, p.Lead = "Initial access tokens", "With one, a program registers OAuth clients of an application by itself. It gives no access: a client opens what is granted to its application."
	p.Trail = []crumb{{"Keys", "/credentials"}}
	return v.ok(p)
}

// initialForm asks for which application and where; how often and how long.
func (v *visit) initialForm() (form, error) {
	list, err := v.Control.Applications(v.r.Context(), v.actor, v.actor.Organization, control.Page{Limit: 500})
	if err != nil {
		return form{}, err
	}
	app := field{Name: "application", Label: "Application", Kind: selectField, Required: true, Hint: "Whose clients the program registers"}
	for _, a := range list.Items {
		if a.State == application.Active {
			app.Options = append(app.Options, option{Value: string(a.ID), Label: a.Name})
		}
	}
	where := field{Name: "environment", Label: "Environment", Kind: radioField, Required: true}
	offered := map[string]bool{}
	for _, p := range v.catalogue() {
		for e := range p.Addresses {
			offered[e] = true
		}
	}
	for _, e := range slices.Sorted(maps.Keys(offered)) {
		where.Options = append(where.Options, option{Value: e, Label: e, Text: v.gateway(e)})
	}
	f := newForm("/initial-tokens",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 80, Hint: "What will use it, such as “deploy pipeline”"},
		app, where,
		field{Name: "uses", Label: "Registers at most", Kind: textField, Required: true, Max: 3, Hint: "So many clients, from 1 to 100"},
		field{Name: "lifetime", Label: "Valid for", Kind: selectField, Required: true, Options: []option{
			{Value: "1h", Label: "1 hour"}, {Value: "1d", Label: "1 day"}, {Value: "7d", Label: "7 days"}, {Value: "30d", Label: "30 days"}}},
	)
	f.set("uses", "1")
	f.set("lifetime", "1d")
	if len(where.Options) == 1 {
		f.set("environment", where.Options[0].Value)
	}
	if len(app.Options) == 1 {
		f.set("application", app.Options[0].Value)
	}
	return f, nil
}

func (v *visit) initialPage(f form) error {
	p := &formPage{Form: f, Button: "Make the token", Back: "/initial-tokens"}
	p.Title, p.Lead = "Make an initial access token", "It is shown once, right after this. It acts for you: once you may not register clients any more, neither may it."
	p.Trail = []crumb{{"Keys", "/credentials"}, {"Initial access tokens", "/initial-tokens"}}
	return v.show(statusOfForm(f), p)
}

func askInitialToken(v *visit) error {
	f, err := v.initialForm()
	if err != nil {
		return err
	}
	if len(f.Field("application").Options) == 0 {
		return v.redirect("/applications/new") // there is nothing to register clients of
	}
	if a := v.r.URL.Query().Get("application"); a != "" {
		f.set("application", a)
	}
	return v.initialPage(f)
}

// newInitialPage shows an initial access token, once.
type newInitialPage struct {
	frame
	Token    credential.InitialToken
	For      ref
	Secret   string
	Endpoint string
	Command  string
}

func (*newInitialPage) template() string { return "newinitial" }

func makeInitialToken(v *visit) error {
	f, err := v.initialForm()
	if err != nil {
		return err
	}
	ok := f.read(v.r.PostForm)
	uses, err := strconv.Atoi(f.value("uses"))
	if x := f.at("uses"); (err != nil || uses < 1 || uses > 100) && x.Error == "" {
		x.Error, ok = "Write a number from 1 to 100.", false
	}
	if !ok {
		return v.initialPage(f)
	}
	t, secret, err := v.Control.MakeInitialToken(v.r.Context(), v.actor, control.NewInitialToken{Application: id.ID(f.value("application")),
		Environment: f.value("environment"), Name: f.value("name"), Uses: uses, Lives: durationOf(f.value("lifetime"))})
	if err != nil {
		if f.refuse(err) {
			return v.initialPage(f)
		}
		return err
	}
	p := &newInitialPage{Token: t, For: v.applicationRef(t.Application), Secret: secret.Reveal(), Endpoint: v.Control.URL + "/oauth/" + t.Environment + "/register"} // the one place where it is shown
	p.Command = "curl -H " + quote("Authorization: Bearer "+p.Secret) + " \\\n  --json " + quote(`{"client_name": "batch"}`) + " \\\n  " + quote(p.Endpoint)
	p.Title, p.Lead = "Your initial access token", "Copy it now: it is shown this once. We keep only a hash of it."
	return v.ok(p)
}

// initialDeed ends an initial access token.
func (v *visit) initialDeed() (deed, error) {
	i, err := v.object(id.InitialToken)
	if err != nil {
		return deed{}, err
	}
	t, err := v.findInitialToken(i)
	if err != nil {
		return deed{}, err
	}
	return deed{
		title: "End the initial access token “" + t.Name + "”", button: "End the token for good", danger: true, optional: true,
		text: "Nothing is registered with it from now on. Clients that were registered with it stay: revoke them one by one if they should not.",
		back: "/initial-tokens", notice: "initial-ended", version: t.Version,
		trail: []crumb{{"Keys", "/credentials"}, {"Initial access tokens", "/initial-tokens"}},
		facts: []fact{{"Application", v.applicationRef(t.Application).Name}, {"Environment", t.Environment}, {"Made by", v.person(t.CreatedBy)}, {"Clients registered", strconv.Itoa(t.Uses)},
			{"Would expire", t.Expires.UTC().Format("2 January 2006, 15:04 UTC")}},
		do: func(int64, string) error {
			_, err := v.Control.EndInitialToken(v.r.Context(), v.actor, i)
			return err
		},
	}, nil
}

// findInitialToken looks through those that the viewer may see.
func (v *visit) findInitialToken(i id.ID) (credential.InitialToken, error) {
	after := ""
	for {
		list, err := v.Control.InitialTokens(v.r.Context(), v.actor, v.actor.Organization, control.Page{After: after, Limit: 500})
		if err != nil {
			return credential.InitialToken{}, err
		}
		for _, t := range list.Items {
			if t.ID == i {
				return t, nil
			}
		}
		if after = list.Next; after == "" {
			return credential.InitialToken{}, fault.New(fault.NotFound, "there is no such token")
		}
	}
}
