package portal

import (
	"encoding/json"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
)

// downloadData sends what is kept of the viewer, or of whom an administrator names.
func downloadData(v *visit) error {
	person := v.actor.Person
	if v.r.PathValue("id") != "" {
		var err error
		if person, err = v.object(id.Person); err != nil {
			return err
		}
	}
	d, err := v.Control.ExportPerson(v.r.Context(), v.actor, person)
	if err != nil {
		return err
	}
	return v.download("person-"+string(person), d)
}

// download sends something as a file of JSON.
func (v *visit) download(name string, what any) error {
	b, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.json"`)
	h.Set("Cache-Control", "no-store")
	v.written = true
	_, _ = v.w.Write(b) // the visitor may have gone
	return nil
}

// erasure finds whom the address names, and the form that erases them.
func (v *visit) erasure() (identity.Person, form, crumb, error) {
	i, own := v.actor.Person, v.r.PathValue("id") == ""
	back := crumb{"Your account", "/account"}
	var f form
	if !own {
		var err error
		if i, err = v.object(id.Person); err != nil {
			return identity.Person{}, f, back, err
		}
	}
	p, err := v.Control.Person(v.r.Context(), v.actor, i)
	if err != nil {
		return p, f, back, err
	}
	switch {
	case own:
	case p.Class == identity.Staff:
		back = crumb{p.Name, "/people/" + string(i)}
	default:
		back = crumb{p.Name, "/members/" + string(i)}
	}
	f = newForm(v.r.URL.Path, field{Name: "reason", Label: "Reason", Kind: areaField, Max: 1000, Hint: "It stays in the audit for ever: name nobody in it"})
	if p.Class == identity.Member {
		next, err := v.successors(p)
		if err != nil {
			return p, f, back, err
		}
		next.Hint = "Who takes over what they answer for. The last owner's successor becomes owner."
		f.Fields = append([]field{next}, f.Fields...)
	}
	return p, f, back, nil
}

func (v *visit) erasurePage(p identity.Person, f form, back crumb) error {
	page := &deedPage{Form: f, Button: "Erase for good", Danger: true, Back: back.Href,
		Text:  "Name, e-mail address, password, sessions, tokens and second factors are gone for good, and so is every trace of them in the audit that is personal. What was done stays in the audit, by an identifier that nobody can tell whose it was.",
		Facts: []fact{{"Person", p.Name}, {"E-mail address", p.Email}}}
	page.Title, page.Trail = "Erase "+p.Name, []crumb{back}
	return v.show(statusOfForm(f), page)
}

func askErasure(v *visit) error {
	p, f, back, err := v.erasure()
	if err != nil {
		return err
	}
	return v.erasurePage(p, f, back)
}

func erase(v *visit) error {
	p, f, back, err := v.erasure()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.erasurePage(p, f, back)
	}
	_, err = v.Control.ErasePerson(v.r.Context(), v.actor, control.Erasure{Person: p.ID, Successor: id.ID(f.value("successor")), Reason: f.value("reason")})
	if err != nil {
		if f.refuse(err) {
			return v.erasurePage(p, f, back)
		}
		return err
	}
	if p.ID == v.actor.Person {
		v.forgetSession()
		return v.done("erased-you", "/")
	}
	switch {
	case p.Class == identity.Staff:
		return v.done("erased", "/people")
	case v.actor.Class == identity.Staff:
		return v.done("erased", "/organizations/"+string(p.Organization))
	}
	return v.done("erased", "/organization")
}

// personalLinks are to what an administrator, or for the erasure an owner, may do with what is kept of somebody.
func (v *visit) personalLinks(p identity.Person, base string) []crumb {
	if p.ID == v.actor.Person || p.State == identity.Erased {
		return nil
	}
	links := v.resettable(p, base)
	admin := v.actor.Has(identity.Admin)
	if admin {
		links = append(links, crumb{"Download what is kept of them", base + string(p.ID) + "/data"})
	}
	if admin || p.Class == identity.Member && v.actor.Has(identity.Owner) {
		links = append(links, crumb{"Erase them", base + string(p.ID) + "/erase"})
	}
	return links
}
