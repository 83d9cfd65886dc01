package portal

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/problem"
)

// What happens to a key between its issue and its end.

// keyDeed is what can be done to a key with a reason.
func (v *visit) keyDeed(verb string) (deed, error) {
	c, err := v.keyOf()
	if err != nil {
		return deed{}, err
	}
	row, i, ctx := v.keyRow(c), c.ID, v.r.Context()
	d := deed{version: c.Version, back: "/credentials/" + string(i),
		trail: []crumb{{row.Application.Name, row.Application.Href}, {c.Name, "/credentials/" + string(i)}},
		facts: []fact{{"Key", c.Hint()}, {"Application", row.Application.Name}, {"Environment", c.Environment}, {"Would expire", c.End().UTC().Format("2 January 2006, 15:04 UTC")}}}
	switch verb {
	case "revoke":
		d.title, d.button, d.danger, d.notice = "Revoke the key “"+c.Name+"”", "Revoke the key for good", true, "key-revoked"
		d.text = "Every call with this key is refused within moments, for good. Other keys of the application go on."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.RevokeCredential(ctx, v.actor, i, version, reason)
			return err
		}
	case "suspend":
		d.title, d.button, d.danger, d.notice = "Suspend the key “"+c.Name+"”", "Suspend the key", true, "key-suspended"
		d.text = "Every call with this key is refused within moments, until somebody resumes it. Its end does not move."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.SuspendCredential(ctx, v.actor, i, version, reason)
			return err
		}
	case "resume":
		d.title, d.button, d.notice = "Resume the key “"+c.Name+"”", "Resume the key", "key-resumed"
		d.text = "Calls with this key pass again within moments, as far as its grants still hold."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.ResumeCredential(ctx, v.actor, i, version, reason)
			return err
		}
	default:
		return d, fault.New(fault.NotFound, "there is no such page")
	}
	return d, nil
}

// keyOf is the credential that the address names.
func (v *visit) keyOf() (credential.Credential, error) {
	i, err := v.object(id.Credential)
	if err != nil {
		return credential.Credential{}, err
	}
	return v.Control.Credential(v.r.Context(), v.actor, i)
}

// keyFormPage makes a form about one key.
func (v *visit) keyFormPage(c credential.Credential, title, lead, button string, f form) *formPage {
	row := v.keyRow(c)
	p := &formPage{Form: f, Button: button, Back: "/credentials/" + string(c.ID)}
	p.Form.Version = c.Version
	p.Title, p.Lead = title, lead
	p.Trail = []crumb{{row.Application.Name, row.Application.Href}, {c.Name, "/credentials/" + string(c.ID)}}
	return p
}

func activateKey(v *visit) error {
	c, err := v.keyOf()
	if err != nil {
		return err
	}
	if _, err := v.Control.ActivateCredential(v.r.Context(), v.actor, c.ID, 0); err != nil {
		return err
	}
	return v.done("key-activated", "/credentials/"+string(c.ID))
}

func sourcesField() field {
	return field{Name: "sources", Label: "May be used from", Kind: areaField, Max: 2000, Mono: true,
		Hint: "Networks or addresses, one a line, such as 203.0.113.0/24. Left empty, from anywhere"}
}

// sourcesOf reads what was typed into a sourcesField.
func sourcesOf(text string) []string { return strings.Fields(strings.ReplaceAll(text, ",", " ")) }

func (v *visit) keyChangePage(c credential.Credential) *formPage {
	f := newForm("/credentials/"+string(c.ID)+"/change", field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 80}, sourcesField())
	f.set("name", c.Name)
	f.set("sources", strings.Join(c.Sources, "\n"))
	return v.keyFormPage(c, "Change the key “"+c.Name+"”", "The key itself stays the same.", "Save", f)
}

func askKeyChange(v *visit) error {
	c, err := v.keyOf()
	if err != nil {
		return err
	}
	return v.ok(v.keyChangePage(c))
}

func changeKey(v *visit) error {
	c, err := v.keyOf()
	if err != nil {
		return err
	}
	p := v.keyChangePage(c)
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	name, sources := p.Form.value("name"), sourcesOf(p.Form.value("sources"))
	_, err = v.Control.ChangeCredential(v.r.Context(), v.actor, c.ID, p.Form.Version, control.CredentialChange{Name: &name, Sources: &sources})
	if p.Form.refuse(err) {
		return v.show(problem.Status(fault.As(err)), p)
	}
	if err != nil {
		return err
	}
	return v.done("key-changed", "/credentials/"+string(c.ID))
}

// overlaps are how long an old key can stay valid beside the new one.
func overlaps() []option {
	return []option{
		{Value: "24h", Label: "1 day", Text: "for a deployment that you watch"},
		{Value: "168h", Label: "7 days", Text: "for a team that has to plan it"},
		{Value: "720h", Label: "30 days"},
		{Value: "1h", Label: "1 hour"},
		{Value: "0s", Label: "None", Text: "the old one ends at once"},
	}
}

// withSecret reports whether it is a client that proves itself by a secret: another one can take its place.
func withSecret(c credential.Credential) bool {
	return c.Kind == credential.Client && c.OAuth != nil && c.OAuth.Method == credential.ClientSecret
}

func (v *visit) rotatePage(c credential.Credential) *formPage {
	if withSecret(c) {
		f := newForm("/credentials/"+string(c.ID)+"/rotate", field{Name: "overlap", Label: "Both secrets are taken for", Kind: radioField, Required: true, Options: overlaps()})
		f.set("overlap", "24h")
		return v.keyFormPage(c, "Replace the secret of “"+c.Name+"”", "The client stays what it is, with its tokens and its grants. The token endpoint takes both secrets until the time is over.", "Make a new secret", f)
	}
	f := newForm("/credentials/"+string(c.ID)+"/rotate",
		field{Name: "overlap", Label: "Both keys are valid for", Kind: radioField, Required: true, Options: overlaps()},
		field{Name: "name", Label: "Name of the new key", Kind: textField, Required: true, Max: 80})
	f.set("overlap", "24h")
	f.set("name", c.Name)
	return v.keyFormPage(c, "Replace the key “"+c.Name+"”", "The new key opens what the old one opens. Gateways refuse the old one when the time is over, by their own clocks.", "Issue the new key", f)
}

func askRotation(v *visit) error {
	c, err := v.keyOf()
	if err != nil {
		return err
	}
	return v.ok(v.rotatePage(c))
}

func rotateKey(v *visit) error {
	c, err := v.keyOf()
	if err != nil {
		return err
	}
	p := v.rotatePage(c)
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	fresh, _, key, err := v.Control.RotateKey(v.r.Context(), v.actor, c.ID, control.Rotation{Version: p.Form.Version, Name: p.Form.value("name"),
		Overlap: overlapOf(p.Form.value("overlap")), Once: p.Form.Once})
	switch e := fault.As(err); {
	case err == nil && withSecret(fresh):
		return v.showClient(fresh, key, "Your new secret", "It is taken from now on. Copy it: it is shown this once.")
	case err == nil:
		return v.showOnce(fresh, key)
	case e.Code == "already-issued":
		a, err := v.application(c.Application)
		if err != nil {
			return err
		}
		return v.alreadyIssued(a)
	case p.Form.refuse(err):
		return v.show(problem.Status(e), p)
	default:
		return err
	}
}

// overlapOf is the time that an option of overlaps stands for.
func overlapOf(value string) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil { // the form takes its own options only
		return 0
	}
	return d
}

// leakPage is where anybody reports a key that they found.
func (v *visit) leakPage() *formPage {
	p := &formPage{Form: newForm("/leaked",
		field{Name: "found", Label: "The key", Kind: areaField, Required: true, Max: 4000, Mono: true, Hint: "The whole of it, or the text that it stands in. It begins with gh_"},
		field{Name: "where", Label: "Where you found it", Kind: textField, Hint: "Its owner reads this"},
		field{Name: "revoke", Label: "What shall happen", Kind: checkField, Options: []option{{Value: "yes", Label: "End the key at once", Text: "Whoever has the whole key can ask for that"}}},
	), Button: "Report the key"}
	p.Title, p.Lead = "Report a key that you found", "Its owner is told at once. Thank you."
	return p
}

func askLeak(v *visit) error { return v.ok(v.leakPage()) }

func reportLeak(v *visit) error {
	p := v.leakPage()
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	err := v.Control.ReportLeak(v.r.Context(), v.actor, control.Leak{Found: p.Form.value("found"), Where: p.Form.value("where"), Revoke: len(p.Form.Field("revoke").Values) > 0})
	if p.Form.refuse(err) {
		return v.show(problem.Status(fault.As(err)), p)
	}
	if err != nil {
		return err
	}
	done := &messagePage{Icon: "key", Text: "Thank you. If this is a key of this platform, its owner has been told."}
	done.Title = "Reported"
	return v.show(http.StatusOK, done)
}
