package portal

import (
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/id"
)

// grantForm is a page that changes one grant.
func (v *visit) grantForm(verb, title, button string, fields func(grant.Grant) []field) (grant.Grant, *formPage, error) {
	i, err := v.object(id.Grant)
	if err != nil {
		return grant.Grant{}, nil, err
	}
	g, err := v.Control.Grant(v.r.Context(), v.actor, i)
	if err != nil {
		return g, nil, err
	}
	at := "/grants/" + string(g.ID)
	row := v.grantRow(g)
	p := &formPage{Button: button, Back: at, Form: newForm(at+"/"+verb, fields(g)...)}
	p.Form.Version = g.Version
	p.Title, p.Trail = title, []crumb{{"Grants", "/grants"}, {row.ProductTitle + " for " + row.Application.Name, at}}
	return g, p, nil
}

// scopeField offers scopes with their sentences, some of them ticked.
func (v *visit) scopeField(product string, scopes, ticked []string, hint string) field {
	f := field{Name: "scopes", Label: "Scopes", Kind: checkField, Required: len(scopes) > 0, Hint: hint, Values: ticked}
	for _, s := range v.scopeTexts(product, scopes) {
		f.Options = append(f.Options, option{Value: s.Name, Label: s.Name, Text: s.Text})
	}
	f.choose()
	return f
}

func (v *visit) renewalPage() (grant.Grant, *formPage, error) {
	g, p, err := v.grantForm("renew", "Renew or grow this grant", "Send the request", func(g grant.Grant) []field {
		plan := field{Name: "plan", Label: "Plan", Kind: selectField, Required: true, Value: g.Plan}
		var scopes []string
		for _, x := range v.catalogue() {
			if x.Name != g.Product {
				continue
			}
			for s := range x.Scopes {
				scopes = append(scopes, s)
			}
			for _, l := range x.Plans {
				if slices.Contains(l.Environments, g.Environment) {
					plan.Options = append(plan.Options, option{Value: l.Name, Label: l.Title})
				}
			}
		}
		slices.Sort(scopes)
		plan.choose()
		return []field{plan, v.scopeField(g.Product, scopes, g.Scopes, "More than the grant holds is growth, and is decided like a new request"),
			{Name: "purpose", Label: "Purpose", Kind: areaField, Required: true, Max: 2000, Value: g.Purpose},
			{Name: "duration", Label: "For how long from now", Kind: selectField, Required: true, Value: "longest", Options: durationOptions(0, "As long as the plan allows")},
		}
	})
	if err == nil {
		p.Lead = "The grant keeps its keys. It ends on " + g.Until.UTC().Format("2 January 2006") + " unless it is renewed."
	}
	return g, p, err
}

func askRenewal(v *visit) error {
	_, p, err := v.renewalPage()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func renew(v *visit) error {
	g, p, err := v.renewalPage()
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	r, err := v.Control.RequestAccess(v.r.Context(), v.actor, control.AccessRequest{Of: g.ID, Plan: p.Form.value("plan"),
		Scopes: p.Form.Field("scopes").Values, Purpose: p.Form.value("purpose"), Duration: durationOf(p.Form.value("duration")), Once: p.Form.Once})
	if err != nil {
		if p.Form.refuse(err) {
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	if r.State == grant.Approved {
		return v.done("grant-renewed", "/grants/"+string(g.ID))
	}
	return v.done("request-sent", "/requests/"+string(r.ID))
}

func (v *visit) narrowingPage() (grant.Grant, *formPage, error) {
	g, p, err := v.grantForm("narrow", "Narrow this grant", "Make it smaller", func(g grant.Grant) []field {
		return []field{v.scopeField(g.Product, g.Scopes, g.Scopes, "Take away what is not needed"),
			{Name: "until", Label: "Last day", Kind: dateField, Hint: "The grant ends with this day, in UTC. Empty: the end it has",
				From: v.now.Format(time.DateOnly), To: g.Until.UTC().Format(time.DateOnly)},
			{Name: "reason", Label: "Reason", Kind: areaField, Required: true, Max: 1000, Hint: "It is kept in the audit, and everybody concerned can read it"},
		}
	})
	if err == nil {
		p.Lead = "At once, and asking nobody. To have it back, the application asks for more."
	}
	return g, p, err
}

func askNarrowing(v *visit) error {
	_, p, err := v.narrowingPage()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func narrow(v *visit) error {
	g, p, err := v.narrowingPage()
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	_, err = v.Control.NarrowGrant(v.r.Context(), v.actor, g.ID, p.Form.Version, p.Form.Field("scopes").Values,
		endOfDay(p.Form.value("until"), g.Until), p.Form.value("reason"))
	if err != nil {
		if p.Form.refuse(err) {
			p.Form.Version = g.Version
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done("grant-narrowed", "/grants/"+string(g.ID))
}
