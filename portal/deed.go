package portal

import (
	"cmp"
	"strings"

	"gatehouse/fault"
	"gatehouse/id"
)

// deedPage asks once more before something that stops or ends, and for the reason.
type deedPage struct {
	frame
	Form   form
	Text   string // what will happen
	Facts  []fact
	Button string
	Danger bool
	Back   string
}

func (*deedPage) template() string { return "deed" }

// fact is one line of a list of facts.
type fact struct{ Name, Value string }

// deed is one thing that can be done to an object.
type deed struct {
	title, text, button string
	danger              bool
	optional            bool // the reason is
	version             int64
	facts               []fact
	trail               []crumb
	back                string
	notice              string
	do                  func(version int64, reason string) error
	choice              *field                                           // what is chosen besides
	choose              func(version int64, reason, chosen string) error // instead of do, with a choice
}

func (v *visit) deedPage(d deed) *deedPage {
	reason := field{Name: "reason", Label: "Reason", Kind: areaField, Required: !d.optional, Max: 1000, Hint: "It is kept in the audit, and everybody concerned can read it"}
	if d.optional {
		reason.Label, reason.Hint = "Note", "What you checked; it is kept in the audit"
	}
	fields := []field{reason}
	if d.choice != nil {
		fields = []field{*d.choice, reason}
	}
	p := &deedPage{Form: newForm(v.r.URL.Path, fields...), Text: d.text, Facts: d.facts, Button: d.button, Danger: d.danger, Back: d.back}
	p.Form.Version = d.version
	p.Title, p.Trail = d.title, d.trail
	return p
}

func askDeed(v *visit) error {
	d, err := v.deed()
	if err != nil {
		return err
	}
	return v.ok(v.deedPage(d))
}

func doDeed(v *visit) error {
	d, err := v.deed()
	if err != nil {
		return err
	}
	p := v.deedPage(d)
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	do := d.do
	if d.choice != nil {
		do = func(version int64, reason string) error {
			return d.choose(version, reason, p.Form.value(d.choice.Name))
		}
	}
	if err := do(p.Form.Version, p.Form.value("reason")); err != nil {
		if p.Form.refuse(err) {
			p.Form.Version = d.version
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done(d.notice, d.back)
}

// deed finds what the address asks for.
func (v *visit) deed() (deed, error) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(v.r.URL.Path, "/"), "/")
	_, verb, _ := strings.Cut(rest, "/")
	switch kind {
	case "grants":
		return v.grantDeed(verb)
	case "organizations":
		return v.organizationDeed(verb)
	case "applications":
		return v.closeDeed()
	case "credentials":
		return v.keyDeed(verb)
	case "requests":
		return v.withdrawDeed()
	case "initial-tokens":
		return v.initialDeed()
	case "tokens":
		return v.tokenDeed()
	case "members":
		return v.resetDeed("/members/")
	case "people":
		return v.resetDeed("/people/")
	case "gateways":
		return v.gatewayDeed(verb)
	case "environments":
		return v.regionDeed()
	case "reviews":
		return v.reviewDeed()
	case "invitations":
		return v.invitationDeed()
	}
	return deed{}, fault.New(fault.NotFound, "there is no such page")
}

func (v *visit) grantDeed(verb string) (deed, error) {
	i, err := v.object(id.Grant)
	if err != nil {
		return deed{}, err
	}
	g, err := v.Control.Grant(v.r.Context(), v.actor, i)
	if err != nil {
		return deed{}, err
	}
	row := v.grantRow(g)
	d := deed{version: g.Version, back: "/grants/" + string(i), notice: "grant-" + verb,
		trail: []crumb{{"Grants", "/grants"}, {row.ProductTitle + " for " + row.Application.Name, "/grants/" + string(i)}},
		facts: []fact{{"Application", row.Application.Name}, {"Product", row.ProductTitle}, {"Environment", g.Environment}, {"Ends", g.Until.UTC().Format("2 January 2006, 15:04 UTC")}}}
	ctx := v.r.Context()
	switch verb {
	case "suspend":
		d.title, d.button, d.danger, d.notice = "Suspend this grant", "Suspend the grant", true, "grant-suspended"
		d.text = "Every call by this grant is refused within moments, until somebody resumes it. Its end does not move."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.SuspendGrant(ctx, v.actor, i, version, reason)
			return err
		}
	case "resume":
		d.title, d.button, d.notice = "Resume this grant", "Resume the grant", "grant-resumed"
		d.text = "Calls by this grant pass again within moments. Its end does not move."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.ResumeGrant(ctx, v.actor, i, version, reason)
			return err
		}
	case "end":
		d.title, d.button, d.danger, d.notice = "End this grant", "End the grant for good", true, "grant-ended"
		d.text = "Every call by this grant is refused within moments, for good. To have it back, the application asks for access again."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.EndGrant(ctx, v.actor, i, version, reason)
			return err
		}
	default:
		return d, fault.New(fault.NotFound, "there is no such page")
	}
	return d, nil
}

func (v *visit) organizationDeed(verb string) (deed, error) {
	i, err := v.object(id.Organization)
	if err != nil {
		return deed{}, err
	}
	o, err := v.Control.Organization(v.r.Context(), v.actor, i)
	if err != nil {
		return deed{}, err
	}
	d := deed{version: o.Version, back: "/organizations/" + string(i),
		trail: []crumb{{"Organizations", "/organizations"}, {o.Name, "/organizations/" + string(i)}},
		facts: []fact{{"Organization", o.Name}, {"Website", cmp.Or(o.Website, "not told")}, {"Country", cmp.Or(o.Country, "not told")}, {"Number in a register", cmp.Or(o.Register, "not told")}, {"State", string(o.State)}}}
	ctx := v.r.Context()
	switch verb {
	case "verify":
		d.title, d.button, d.optional, d.notice = "Verify "+o.Name, "Verify the organization", true, "org-verified"
		d.text = "You say that you have checked who this is. From then on its applications can be granted access."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.VerifyOrganization(ctx, v.actor, i, version, reason)
			return err
		}
	case "suspend":
		d.title, d.button, d.danger, d.notice = "Suspend "+o.Name, "Suspend the organization", true, "org-suspended"
		d.text = "Every call of every application of this organization is refused within moments, by one change, until somebody resumes it."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.SuspendOrganization(ctx, v.actor, i, version, reason)
			return err
		}
	case "resume":
		d.title, d.button, d.notice = "Resume "+o.Name, "Resume the organization", "org-resumed"
		d.text = "Its applications' calls pass again, as far as their grants and keys still hold."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.ResumeOrganization(ctx, v.actor, i, version, reason)
			return err
		}
	case "pin":
		d.title, d.button, d.danger, d.notice = "Choose a region for "+o.Name, "Move it there", true, "org-pinned"
		d.text = "Gateways of the region you choose, and no others, know its grants and credentials. Elsewhere its calls are refused within moments."
		regions, err := v.regions()
		if err != nil {
			return d, err
		}
		options := []option{}
		if o.Region != "" {
			options = append(options, option{Value: "everywhere", Label: "Everywhere"})
		}
		for _, r := range regions {
			if r != o.Region {
				options = append(options, option{Value: r, Label: r})
			}
		}
		d.facts = append(d.facts, fact{"Region", cmp.Or(o.Region, "everywhere")})
		d.choice = &field{Name: "region", Label: "Region", Kind: selectField, Required: true, Options: options}
		d.choose = func(version int64, reason, region string) error {
			if region == "everywhere" {
				region = ""
			}
			_, err := v.Control.PinOrganization(ctx, v.actor, i, version, region, reason)
			return err
		}
	case "offboard":
		d.title, d.button, d.danger, d.notice = "Offboard "+o.Name, "Offboard the organization for good", true, "org-offboarded"
		d.text = "Its applications, open requests, grants and credentials end for good, in one change, and its people are signed out. Before that, for three seconds at most, gateways show that they let canaries in. It cannot be taken back: to stop it for a while, suspend it instead."
		d.do = func(version int64, reason string) error {
			_, err := v.Control.OffboardOrganization(ctx, v.actor, i, version, reason)
			return err
		}
	default:
		return d, fault.New(fault.NotFound, "there is no such page")
	}
	return d, nil
}

func (v *visit) closeDeed() (deed, error) {
	i, err := v.object(id.Application)
	if err != nil {
		return deed{}, err
	}
	a, err := v.application(i)
	if err != nil {
		return deed{}, err
	}
	return deed{
		title: "Close " + a.Name, button: "Close the application for good", danger: true, version: a.Version,
		text: "Its open requests, its grants and its keys end with it, at once and for good.",
		back: "/applications/" + string(i), notice: "application-ended",
		trail: []crumb{{"Applications", "/applications"}, {a.Name, "/applications/" + string(i)}},
		do: func(version int64, reason string) error {
			_, err := v.Control.CloseApplication(v.r.Context(), v.actor, i, version, reason)
			return err
		},
	}, nil
}

func (v *visit) withdrawDeed() (deed, error) {
	i, err := v.object(id.Request)
	if err != nil {
		return deed{}, err
	}
	r, err := v.Control.Request(v.r.Context(), v.actor, i)
	if err != nil {
		return deed{}, err
	}
	row := v.requestRow(r)
	return deed{
		title: "Withdraw this request", button: "Withdraw the request", optional: true, version: r.Version,
		text: "Nobody will decide on it any more. You can ask again at any time.",
		back: "/requests/" + string(i), notice: "request-withdrawn",
		trail: []crumb{{"Requests", "/requests"}, {row.ProductTitle + " for " + row.Application.Name, "/requests/" + string(i)}},
		facts: []fact{{"Application", row.Application.Name}, {"Product", row.ProductTitle}, {"Environment", r.Environment}},
		do: func(version int64, _ string) error {
			_, err := v.Control.WithdrawRequest(v.r.Context(), v.actor, i, version)
			return err
		},
	}, nil
}
