package portal

import (
	"cmp"
	"net/url"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/inventory"
)

// inventoryPage lists machine credentials with what is wrong with them.
type inventoryPage struct {
	frame
	Rows  []inventoryRow
	Pager pager
	Tabs  []tab
	Risks []inventory.Risk
}

func (*inventoryPage) template() string { return "inventory" }

// inventoryRow is a credential in the list.
type inventoryRow struct {
	inventory.Entry
	Title  string // of its kind
	Counts []severityCount
}

// severityCount is how many findings there are of one severity.
type severityCount struct {
	Severity string
	N        int
}

func (v *visit) inventoryRow(e inventory.Entry) inventoryRow {
	r := inventoryRow{Entry: e, Title: e.Kind.Title()}
	for _, f := range e.Findings { // the worst first
		if n := len(r.Counts); n == 0 || r.Counts[n-1].Severity != string(f.Severity) {
			r.Counts = append(r.Counts, severityCount{string(f.Severity), 0})
		}
		r.Counts[len(r.Counts)-1].N++
	}
	return r
}

func listInventory(v *visit) error {
	severity := v.oneOf("severity", []string{"low", "medium", "high", "critical"})
	q := v.r.URL.Query()
	f := control.InventoryFilter{Severity: inventory.Severity(severity), Risk: q.Get("risk"), Organization: id.ID(q.Get("organization")), Application: id.ID(q.Get("application")),
		Environment: q.Get("environment"), Kind: credential.Kind(q.Get("kind"))}
	l, err := v.Control.Inventory(v.r.Context(), v.actor, f, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &inventoryPage{Rows: rows(l.Items, v.inventoryRow), Pager: v.pager(l.Next), Risks: l.Risks}
	for _, t := range [][2]string{{"", "All"}, {"low", "With findings"}, {"medium", "Medium and worse"}, {"high", "High and critical"}} {
		to := url.Values{}
		for _, name := range []string{"risk", "organization", "application", "environment", "kind"} {
			if value := q.Get(name); value != "" {
				to.Set(name, value)
			}
		}
		if t[0] != "" {
			to.Set("severity", t[0])
		}
		href := "/inventory"
		if len(to) > 0 {
			href += "?" + to.Encode()
		}
		p.Tabs = append(p.Tabs, tab{t[1], href, t[0] == severity})
	}
	p.Title, p.Lead = "Inventory", "Everything that machines prove themselves with: who answers for it, what it can reach, and what is wrong with it."
	return v.ok(p)
}

// inventoryEntryPage is one credential with its findings and what ends each.
type inventoryEntryPage struct {
	frame
	Entry    inventory.Entry
	Kind     string
	Findings []findingView
}

// findingView is a finding. Linked: the viewer gets to the page of its mend.
type findingView struct {
	inventory.Finding
	Linked bool
}

func (*inventoryEntryPage) template() string { return "inventoryentry" }

func showInventoryEntry(v *visit) error {
	i, err := v.object(id.Credential)
	if err != nil {
		return err
	}
	e, err := v.Control.InventoryEntry(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	p := &inventoryEntryPage{Entry: e, Kind: e.Kind.Title()}
	mends := v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer)
	for _, f := range e.Findings {
		p.Findings = append(p.Findings, findingView{f, mends})
	}
	p.Title = cmp.Or(e.Name, string(e.Credential))
	p.Trail = []crumb{{"Inventory", "/inventory"}}
	return v.ok(p)
}
