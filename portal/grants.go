package portal

import (
	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// grantsPage lists grants.
type grantsPage struct {
	frame
	Rows  []grantRow
	Pager pager
	Tabs  []tab
}

func (*grantsPage) template() string { return "grants" }

func listGrants(v *visit) error {
	states := []string{"active", "upcoming", "suspended", "expired", "ended"} // the words of Standing
	state := v.oneOf("state", states)
	list, err := v.Control.Grants(v.r.Context(), v.actor, grant.Filter{State: state}, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &grantsPage{Rows: v.grantRows(list.Items), Pager: v.pager(list.Next), Tabs: tabs("/grants", state, states...)}
	p.Title, p.Lead = "Grants", "Who may reach what, where, and until when."
	return v.ok(p)
}

// grantPage is one grant: who, what, where, why, from, until, approved by whom.
type grantPage struct {
	frame
	Grant      grantRow
	Scopes     []scopeView
	ApprovedBy []string
	Keys       []keyRow
	InForce    []forceView
	Quotas     []control.Quota
	CanSuspend bool
	CanResume  bool
	CanEnd     bool
	CanIssue   bool
	CanRenew   bool
}

func (*grantPage) template() string { return "grant" }

func showGrant(v *visit) error {
	i, err := v.object(id.Grant)
	if err != nil {
		return err
	}
	g, err := v.Control.Grant(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	p := &grantPage{Grant: v.grantRow(g), Scopes: v.scopeTexts(g.Product, g.Scopes), ApprovedBy: rows(g.ApprovedBy, v.person)}
	keys, err := v.Control.Credentials(v.r.Context(), v.actor, g.Organization, g.Application, control.Page{Limit: overviewSize})
	if err != nil {
		return err
	}
	for _, c := range keys.Items {
		if c.Environment == g.Environment && c.Live(v.now) && boundTo(c.Grants, g.ID) {
			p.Keys = append(p.Keys, v.keyRow(c))
		}
	}
	if p.Quotas, err = v.Control.GrantQuotas(v.r.Context(), v.actor, g.ID); err != nil {
		return err
	}
	if p.InForce, err = v.inForce(g.ID); err != nil {
		return err
	}
	open := p.Grant.Standing == "active" || p.Grant.Standing == "suspended" || p.Grant.Standing == "upcoming"
	decides := v.actor.Class == identity.Staff && v.actor.Has(identity.Admin, identity.Operator, identity.Approver)
	develops := v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer)
	p.CanSuspend = decides && g.State == grant.Active && open
	p.CanResume = decides && p.Grant.Standing == "suspended"
	p.CanEnd = open && (decides || develops)
	p.CanIssue = develops && g.Live(v.now)
	p.CanRenew = develops && open && !g.Emergency
	p.Title = p.Grant.ProductTitle + " for " + p.Grant.Application.Name
	p.Trail = []crumb{{"Grants", "/grants"}}
	return v.ok(p)
}

// boundTo reports whether a credential with these bindings uses the grant.
func boundTo(bindings []id.ID, g id.ID) bool {
	if len(bindings) == 0 {
		return true
	}
	for _, b := range bindings {
		if b == g {
			return true
		}
	}
	return false
}
