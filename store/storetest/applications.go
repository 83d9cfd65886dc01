package storetest

import (
	"cmp"
	"fmt"
	"slices"

	"gatehouse/application"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/store"
)

func applications() []promise {
	fresh := func(w *world, org id.ID, name string) application.Application {
		return application.Application{ID: id.New(id.Application, w.now), Organization: org, Name: name, Purpose: "checks", Owner: "per_1",
			State: application.Active, Created: w.now, CreatedBy: "per_1"}
	}
	put := func(w *world, a application.Application) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutApplication(w.ctx(), a); return err })
	}
	return []promise{
		{"PutApplicationVersions", func(w *world) {
			a := fresh(w, "org_1", "Checkout")
			versions(w, a, func(a *application.Application) *int64 { return &a.Version },
				func(a *application.Application) {
					a.Name, a.Purpose, a.Owner, a.State, a.Closed, a.Reason = "X", "Y", "per_2", application.Closed, w.now, "over"
				},
				func(tx store.Tx, a application.Application) (application.Application, error) {
					return tx.PutApplication(w.ctx(), a)
				},
				func(tx store.Tx) (application.Application, error) { return tx.Application(w.ctx(), a.ID) })
		}},
		{"PutApplicationSameActiveNameIsConflict", func(w *world) {
			a := fresh(w, "org_1", "Checkout")
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, put(w, fresh(w, "org_1", "Checkout")))
			if err := put(w, fresh(w, "org_2", "Checkout")); err != nil {
				w.Errorf("in another organization: %v", err)
			}
			a.Version, a.State = 1, application.Closed
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			if err := put(w, fresh(w, "org_1", "Checkout")); err != nil {
				w.Errorf("once the first is closed: %v", err)
			}
			a.Version, a.State = 2, application.Active
			w.is(fault.Conflict, put(w, a))
		}},
		{"NamedByIDThoseThatAreThere", func(w *world) {
			o, other := w.put(w.organization("one")), w.put(w.organization("other"))
			p := w.person("one@example.org")
			a := application.Application{ID: id.New(id.Application, w.now), Organization: o.ID, Name: "one", State: application.Active, Created: w.now}
			w.update(func(tx store.Tx) (err error) {
				if p, err = tx.PutPerson(w.ctx(), p); err == nil {
					a, err = tx.PutApplication(w.ctx(), a)
				}
				return err
			})
			orgs := read(w, func(tx store.Tx) ([]organization.Organization, error) {
				return tx.OrganizationsByID(w.ctx(), []id.ID{other.ID, "org_x", o.ID})
			})
			slices.SortFunc(orgs, func(a, b organization.Organization) int { return cmp.Compare(a.Name, b.Name) })
			same(w, "the organizations", orgs, []organization.Organization{o, other})
			same(w, "the people", read(w, func(tx store.Tx) ([]identity.Person, error) {
				return tx.PeopleByID(w.ctx(), []id.ID{p.ID, "per_x", o.ID})
			}), []identity.Person{p})
			same(w, "the applications", read(w, func(tx store.Tx) ([]application.Application, error) {
				return tx.ApplicationsByID(w.ctx(), []id.ID{"", a.ID})
			}), []application.Application{a})
		}},
		{"ApplicationsByIDAfter", func(w *world) {
			var mine, every []string
			for n := range 6 {
				a := fresh(w, id.ID(fmt.Sprint("org_", n%2)), fmt.Sprint("A", n))
				if err := put(w, a); err != nil {
					w.Fatal(err)
				}
				every = append(every, string(a.ID))
				if n%2 == 1 {
					mine = append(mine, string(a.ID))
				}
			}
			slices.Sort(mine)
			slices.Sort(every)
			list := func(org id.ID) []string {
				return paged(w, func(a application.Application) string { return string(a.ID) }, func(tx store.Tx, after string, limit int) ([]application.Application, error) {
					return tx.Applications(w.ctx(), org, id.ID(after), limit)
				})
			}
			same(w, "of one organization", list("org_1"), mine)
			same(w, "all", list(""), every)
		}},
	}
}
