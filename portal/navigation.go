package portal

import (
	"slices"
	"strings"

	"gatehouse/identity"
)

// navGroup is one group of the menu.
type navGroup struct {
	Title string
	Items []navItem
}

// navItem is one entry. Current marks the page that is open; Within the part of the portal that it belongs to.
type navItem struct {
	Text, Href, Icon string
	Current, Within  bool
}

// navigation is the menu for whoever looks.
func navigation(f *frame) []navGroup {
	var groups []navGroup
	switch f.Actor.Class {
	case identity.Member:
		groups = []navGroup{
			{"", []navItem{
				{Text: "Overview", Href: "/dashboard", Icon: "home"},
				{Text: "Catalogue", Href: "/catalogue", Icon: "book"},
			}},
			{"Access", []navItem{
				{Text: "Applications", Href: "/applications", Icon: "apps"},
				{Text: "Requests", Href: "/requests", Icon: "inbox"},
				{Text: "Grants", Href: "/grants", Icon: "grant"},
				{Text: "Keys", Href: "/credentials", Icon: "key"},
				{Text: "Inventory", Href: "/inventory", Icon: "search"},
				{Text: "Reviews", Href: "/reviews", Icon: "check"},
			}},
			{"Organization", []navItem{
				{Text: "Profile and people", Href: "/organization", Icon: "org"},
				{Text: "Webhooks", Href: "/webhooks", Icon: "token"},
				{Text: "Activity", Href: "/audit", Icon: "log"},
			}},
		}
	case identity.Staff:
		groups = []navGroup{
			{"", []navItem{
				{Text: "Queue", Href: "/queue", Icon: "inbox"},
				{Text: "Catalogue", Href: "/catalogue", Icon: "book"},
			}},
			{"Partners", []navItem{
				{Text: "Organizations", Href: "/organizations", Icon: "org"},
				{Text: "Applications", Href: "/applications", Icon: "apps"},
				{Text: "Requests", Href: "/requests", Icon: "mail"},
				{Text: "Grants", Href: "/grants", Icon: "grant"},
				{Text: "Keys", Href: "/credentials", Icon: "key"},
				{Text: "Inventory", Href: "/inventory", Icon: "search"},
				{Text: "Reviews", Href: "/reviews", Icon: "check"},
			}},
			{"Platform", []navItem{
				{Text: "Environments", Href: "/environments", Icon: "server"},
				{Text: "Gateways", Href: "/gateways", Icon: "reach"},
				{Text: "Audit", Href: "/audit", Icon: "log"},
				{Text: "People", Href: "/people", Icon: "people"},
				{Text: "Stand-ins", Href: "/absences", Icon: "clock"},
				{Text: "Machine tokens", Href: "/tokens", Icon: "token"},
				{Text: "Webhooks", Href: "/webhooks", Icon: "token"},
			}},
		}
	}
	if f.Actor.Class == identity.Staff && f.Actor.Has(identity.Operator, identity.Admin, identity.Auditor) {
		last := &groups[len(groups)-1]
		last.Items = slices.Insert(last.Items, 1, navItem{Text: "Drift", Href: "/drift", Icon: "shield"})
	}
	for _, g := range groups {
		for i := range g.Items {
			it := &g.Items[i]
			it.Current = it.Href == f.Path
			it.Within = it.Current || strings.HasPrefix(f.Path, it.Href+"/")
			if strings.HasPrefix(f.Path, "/reviewing/") {
				it.Within = it.Href == "/reviews"
			}
			if strings.HasSuffix(f.Path, "/decide") {
				it.Within = it.Href == "/queue" // where the decider comes from
			}
		}
	}
	return groups
}
