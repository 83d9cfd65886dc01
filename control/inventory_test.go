package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/inventory"
	"gatehouse/store"
)

// rulesOf is what was found about a credential.
func rulesOf(e inventory.Entry) string {
	var out []string
	for _, f := range e.Findings {
		out = append(out, f.Rule)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func entryOf(t *testing.T, l control.Inventory, i id.ID) inventory.Entry {
	t.Helper()
	n := slices.IndexFunc(l.Items, func(e inventory.Entry) bool { return e.Credential == i })
	if n < 0 {
		t.Fatalf("%s is not in the inventory", i)
	}
	return l.Items[n]
}

// A key is listed with who answers for it, how it was used and what nothing called; once it has ended, it is not.
func TestInventory(t *testing.T) {
	r := newReviewed(t)
	r.clock.pass(91 * day)
	renewed := r.key
	r.used("listChecks", 7)
	l := must(r.Inventory(r.ctx, r.auditor, control.InventoryFilter{}, control.Page{}))(t)
	if len(l.Items) != 0 || len(l.Risks) != 10 {
		t.Fatalf("after the end of the key: %+v", l)
	}
	l = must(r.Inventory(r.ctx, r.auditor, control.InventoryFilter{Ended: true}, control.Page{}))(t)
	if e := entryOf(t, l, renewed.ID); e.Standing != "expired" || len(e.Findings) != 0 || e.Calls != 7 || e.LastGateway != "gw-live" {
		t.Errorf("the expired key: %+v", e)
	}
	r.key = r.world.key(r.developer, must(r.Application(r.ctx, r.owner, r.grant.Application))(t), "live")
	r.used("listChecks", 2)
	l = must(r.Inventory(r.ctx, r.owner, control.InventoryFilter{Environment: "live", Kind: credential.APIKey}, control.Page{}))(t)
	e := entryOf(t, l, r.key.ID)
	if e.Owner.ID != r.owner.Person || e.Organization.Name != "First" || e.Purpose != "to test" || e.ReachKnown || !slices.Equal(e.Grants, []id.ID{r.grant.ID}) {
		t.Errorf("the key: %+v", e)
	}
	if got := rulesOf(e); got != "anywhere" { // it is too young to be judged by its use
		t.Errorf("found %q", got)
	}
	r.clock.pass(89 * day)
	r.used("listChecks", 1)
	r.clock.pass(2 * day)
	l = must(r.Inventory(r.ctx, r.owner, control.InventoryFilter{Ended: true}, control.Page{}))(t)
	if got := rulesOf(entryOf(t, l, r.key.ID)); got != "" {
		t.Errorf("of the ended one it found %q", got)
	}
}

// The filters select by what was found, pages follow each other, and what is wrong with the question is said.
func TestInventoryFiltersAndPages(t *testing.T) {
	w := newWorld(t).published()
	owner := w.verified("First", "first@example.org")
	app := w.application(owner, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, owner, ask(app, "live", "reading", "free")))(t))
	var all []id.ID
	for range 5 {
		all = append(all, w.key(owner, app, "live").ID)
	}
	_, leaked, err := w.IssueKey(w.ctx, owner, control.NewKey{Application: app.ID, Environment: "live", Name: "found"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ReportLeak(w.ctx, at("203.0.113.8"), control.Leak{Found: leaked.Reveal()}); err != nil {
		t.Fatal(err)
	}
	var got []id.ID
	for p := (control.Page{Limit: 2}); ; {
		l := must(w.Inventory(w.ctx, w.operator, control.InventoryFilter{Organization: owner.Organization}, p))(t)
		for _, e := range l.Items {
			got = append(got, e.Credential)
		}
		if p.After = l.Next; l.Next == "" {
			break
		}
	}
	if len(got) != 6 || !slices.Equal(got[:5], all) {
		t.Errorf("page by page: %v, want %v and one more", got, all)
	}
	critical := must(w.Inventory(w.ctx, w.operator, control.InventoryFilter{Severity: inventory.Critical}, control.Page{}))(t)
	if len(critical.Items) != 1 || critical.Items[0].Name != "found" || critical.Items[0].Worst() != inventory.Critical {
		t.Errorf("critical ones: %+v", critical.Items)
	}
	if l := must(w.Inventory(w.ctx, w.operator, control.InventoryFilter{Risk: "NHI4", Severity: inventory.High}, control.Page{}))(t); len(l.Items) != 0 {
		t.Errorf("high ones of NHI4: %+v", l.Items)
	}
	for pointer, f := range map[string]control.InventoryFilter{"/risk": {Risk: "NHI0"}, "/severity": {Severity: "awful"}, "/kind": {Kind: "password"}} {
		_, err := w.Inventory(w.ctx, w.operator, f, control.Page{})
		wants(t, pointer, err, fault.Invalid, "")
		if wrong(err) != pointer {
			t.Errorf("%s: %q is wrong", pointer, wrong(err))
		}
	}
	_, err = w.Inventory(w.ctx, w.operator, control.InventoryFilter{}, control.Page{After: "app_x"})
	wants(t, "a page of another list", err, fault.Invalid, "")
}

// However many are asked for and whatever is selected, every credential is on one page, and none on two: a page that looked at as
// many as it may ends there.
func TestInventoryPagesWhole(t *testing.T) {
	w := newWorld(t).published()
	owner := w.verified("Many", "many@example.org")
	var all []id.ID
	for n := range 120 {
		app := w.application(owner, fmt.Sprint("Application ", n))
		w.grantOf(must(w.RequestAccess(w.ctx, owner, ask(app, "live", "reading", "free")))(t))
		all = append(all, w.key(owner, app, "live").ID)
	}
	slices.Sort(all)
	for _, limit := range []int{7, 99, 100, 500} {
		for _, f := range []control.InventoryFilter{{}, {Severity: inventory.Low}, {Risk: "NHI4"}, {Kind: credential.Client}} {
			f.Organization = owner.Organization
			var got []id.ID
			pages := 0
			for p := (control.Page{Limit: limit}); ; pages++ {
				l := must(w.Inventory(w.ctx, w.operator, f, p))(t)
				for _, e := range l.Items {
					got = append(got, e.Credential)
				}
				if len(l.Items) > limit || l.Next != "" && l.Next <= p.After {
					t.Fatalf("limit %d, %+v: a page of %d, next %s after %s", limit, f, len(l.Items), l.Next, p.After)
				}
				if p.After = l.Next; l.Next == "" {
					break
				}
			}
			if f.Risk+string(f.Severity)+string(f.Kind) == "" && !slices.Equal(got, all) {
				t.Errorf("limit %d: %d of %d credentials, on %d pages", limit, len(got), len(all), pages+1)
			}
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("limit %d, %+v: one is told twice, or in another order", limit, f)
			}
		}
	}
}

// The same key for two applications and in two environments is found, and nobody learns of it what another organization has.
func TestInventorySharedKey(t *testing.T) {
	w := newWorld(t).published()
	first, second := w.verified("First", "first@example.org"), w.verified("Second", "second@example.org")
	enrol := func(a identity.Actor, name, environment string) credential.Credential {
		app := w.application(a, name)
		w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, environment, "reading", "free")))(t))
		r := must(w.Inventory(w.ctx, a, control.InventoryFilter{Application: app.ID}, control.Page{}))(t)
		if len(r.Items) != 0 {
			t.Fatalf("a fresh application has %+v", r.Items)
		}
		return w.key(a, app, environment)
	}
	one, other, test, theirs := enrol(first, "one", "live"), enrol(first, "other", "live"), enrol(first, "test", "test"), enrol(second, "theirs", "live")
	for _, c := range []credential.Credential{one, other, test, theirs} { // the plans of this manifest take keys alone: their store does not care
		w.asCertificate(c, "same key")
	}
	look := func(a identity.Actor, c credential.Credential) string {
		return rulesOf(must(w.InventoryEntry(w.ctx, a, c.ID))(t))
	}
	if got := look(first, one); got != "across-applications across-environments" {
		t.Errorf("the one: %q", got)
	}
	if got := look(first, test); got != "across-environments" {
		t.Errorf("the one in test: %q", got)
	}
	if got := look(second, theirs); got != "" {
		t.Errorf("the other organization is told of it: %q", got)
	}
	if got := look(w.auditor, theirs); got != "across-applications across-environments" {
		t.Errorf("the auditor: %q", got)
	}
	for _, c := range []credential.Credential{other, test, theirs} {
		must(w.RevokeCredential(w.ctx, w.operator, c.ID, 0, "over"))(t)
	}
	if got := look(first, one); got != "" {
		t.Errorf("once the others are revoked: %q", got)
	}
	_, err := w.InventoryEntry(w.ctx, second, one.ID)
	wants(t, "the entry of another organization", err, fault.NotFound, "")
}

// asCertificate lets a credential be proven by a certificate with that key.
func (w *world) asCertificate(c credential.Credential, key string) {
	w.t.Helper()
	c = must(w.Credential(w.ctx, w.admin, c.ID))(w.t)
	c.Kind, c.KeyPrint = credential.Certificate, key
	w.t.Logf("%s is proven by %s", c.ID, key)
	if err := w.store.Update(w.ctx, func(tx store.Tx) error {
		if _, err := tx.PutCredential(w.ctx, c); err != nil {
			return err
		}
		return tx.PutProofs(w.ctx, c.ID, []string{"certificate " + c.PublicID, "key " + key})
	}); err != nil {
		w.t.Fatal(err)
	}
}
