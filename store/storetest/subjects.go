package storetest

import (
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

func subjects() []promise {
	of := func(w *world, person id.ID) []identity.Subject {
		w.Helper()
		return read(w, func(tx store.Tx) ([]identity.Subject, error) { return tx.SubjectsOf(w.ctx(), person) })
	}
	put := func(w *world, s identity.Subject) {
		w.Helper()
		w.update(func(tx store.Tx) error { return tx.PutSubject(w.ctx(), s) })
	}
	return []promise{
		{"PutSubjectReplaces", func(w *world) {
			a := identity.Subject{Issuer: "https://a.example", Subject: "s1", Person: "per_1", Provider: "a", Roles: []identity.Role{identity.Admin}, Created: w.now, Used: w.now}
			put(w, a)
			a.Person, a.Provider, a.Roles, a.Used = "per_2", "b", []identity.Role{}, w.now.Add(time.Hour)
			put(w, a)
			same(w, "it", read(w, func(tx store.Tx) (identity.Subject, error) { return tx.Subject(w.ctx(), a.Issuer, a.Subject) }), a)
			same(w, "whose it was", len(of(w, "per_1")), 0)
		}},
		{"SubjectByteByByte", func(w *world) {
			put(w, identity.Subject{Issuer: "https://a.example", Subject: "s1", Person: "per_1", Roles: []identity.Role{}, Created: w.now, Used: w.now})
			for _, c := range [][2]string{{"https://a.example", "S1"}, {"https://a.example/", "s1"}, {"https://A.example", "s1"}, {"https://b.example", "s1"}, {"", ""}} {
				failing(w, fault.NotFound, func(tx store.Tx) (identity.Subject, error) { return tx.Subject(w.ctx(), c[0], c[1]) })
			}
		}},
		{"DropSubjectsOfOnePerson", func(w *world) {
			one := identity.Subject{Issuer: "https://a.example", Subject: "s1", Person: "per_1", Roles: []identity.Role{}, Created: w.now, Used: w.now}
			two, other := one, one
			two.Issuer, other.Subject, other.Person = "https://b.example", "s2", "per_2"
			for _, s := range []identity.Subject{two, one, other} {
				put(w, s)
			}
			same(w, "hers", of(w, "per_1"), []identity.Subject{one, two})
			w.update(func(tx store.Tx) error { return tx.DropSubjects(w.ctx(), "per_1") })
			same(w, "hers then", len(of(w, "per_1")), 0)
			same(w, "another's", of(w, "per_2"), []identity.Subject{other})
		}},
	}
}
