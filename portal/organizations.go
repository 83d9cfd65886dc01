package portal

import (
	"cmp"
	"net/url"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// organizationsPage lists partners, for staff.
type organizationsPage struct {
	frame
	Rows   []organizationRow
	Pager  pager
	Tabs   []tab
	Search string
	State  string
}

func (*organizationsPage) template() string { return "organizations" }

// organizationRow is a partner in a list.
type organizationRow struct{ organization.Organization }

func (v *visit) organizationRow(o organization.Organization) organizationRow {
	return organizationRow{o}
}

func listOrganizations(v *visit) error {
	states := []string{string(organization.Registered), string(organization.Verified), string(organization.Suspended), string(organization.Offboarding), string(organization.Offboarded)}
	p := &organizationsPage{State: v.oneOf("state", states), Search: clean(v.r.URL.Query().Get("search"), textField)}
	list, err := v.Control.Organizations(v.r.Context(), v.actor, organization.State(p.State), p.Search, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p.Rows, p.Pager, p.Tabs = rows(list.Items, v.organizationRow), v.pager(list.Next), tabs("/organizations", p.State, states...)
	p.Title, p.Lead = "Organizations", "The partners: who they are, and whether they are trusted."
	return v.ok(p)
}

// organizationPage is one partner: for staff, and for its own members.
type organizationPage struct {
	frame
	Partner      organization.Organization
	VerifiedBy   string
	Members      []identity.Person
	Invitations  []invitationRow
	Manages      bool // the viewer may change members
	Invite       string
	Applications []application.Application
	Grants       []grantRow
	InForce      []forceView
	Own          bool
	Regions      bool                // there are some to choose from
	Leaving      bool                // it is offboarding or offboarded
	Offboarding  control.Offboarding // then: how far
	Audit        string              // where its entries are
}

func (*organizationPage) template() string { return "organization" }

func showOwnOrganization(v *visit) error { return v.organizationPage(v.actor.Organization) }

func showOrganization(v *visit) error {
	i, err := v.object(id.Organization)
	if err != nil {
		return err
	}
	return v.organizationPage(i)
}

func (v *visit) organizationPage(i id.ID) error {
	ctx := v.r.Context()
	o, err := v.Control.Organization(ctx, v.actor, i)
	if err != nil {
		return err
	}
	people, err := v.Control.Members(ctx, v.actor, i, control.Page{Limit: overviewSize})
	if err != nil {
		return err
	}
	p := &organizationPage{Partner: o, Members: people.Items, Own: v.actor.Class == identity.Member}
	p.Title, p.Invite = o.Name, "/organizations/"+string(i)+"/invite"
	if p.Own {
		p.Invite = "/organization/invite"
	}
	p.Manages = v.actor.Class == identity.Member && v.actor.Has(identity.Owner) || v.actor.Class == identity.Staff && v.actor.Has(identity.Admin, identity.Operator)
	if p.Invitations, err = v.invitations(i); err != nil {
		return err
	}
	if p.Leaving = o.State == organization.Offboarding || o.State == organization.Offboarded; p.Leaving {
		if p.Offboarding, err = v.Control.Offboarding(ctx, v.actor, i); err != nil {
			return err
		}
		p.Offboarding.Notes = p.Offboarding.Notes[:min(len(p.Offboarding.Notes), overviewSize)]
		p.Offboarding.Waits = p.Offboarding.Waits[:min(len(p.Offboarding.Waits), overviewSize)]
	}
	if p.Own {
		p.Audit = "/audit"
		return v.ok(p)
	}
	if o.VerifiedBy != "" {
		p.VerifiedBy = v.person(o.VerifiedBy)
	}
	apps, err := v.Control.Applications(ctx, v.actor, i, control.Page{Limit: overviewSize})
	if err != nil {
		return err
	}
	grants, err := v.Control.Grants(ctx, v.actor, grant.Filter{Organization: i}, control.Page{Limit: overviewSize})
	if err != nil {
		return err
	}
	p.Applications, p.Grants = apps.Items, v.grantRows(grants.Items)
	if p.InForce, err = v.inForce(i); err != nil {
		return err
	}
	regions, err := v.regions()
	if err != nil {
		return err
	}
	p.Regions = len(regions) > 0
	p.Audit = "/audit?organization=" + url.QueryEscape(string(i))
	p.Trail = []crumb{{"Organizations", "/organizations"}}
	p.Lead = cmp.Or(o.Reason, "")
	return v.ok(p)
}
