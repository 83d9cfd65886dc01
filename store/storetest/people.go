package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/session"
	"gatehouse/store"
)

func (w *world) person(email string) identity.Person {
	return identity.Person{
		ID: id.New(id.Person, w.now), Class: identity.Member, Organization: "org_1", Email: email, Name: "Ada", Password: "$argon2id$…",
		Roles: []identity.Role{identity.Owner, identity.Developer}, State: identity.Active, Created: w.now,
	}
}

func (w *world) hash() secret.Hash { return secret.Random("x_").Hash() }

func putPerson(w *world, p identity.Person) identity.Person {
	w.Helper()
	return written(w, func(tx store.Tx) (identity.Person, error) { return tx.PutPerson(w.ctx(), p) })
}

func people() []promise {
	return []promise{
		{"PutPersonVersions", func(w *world) {
			p := w.person("a@example.org")
			versions(w, p, func(p *identity.Person) *int64 { return &p.Version },
				func(p *identity.Person) {
					p.Class, p.Organization, p.Email, p.Name, p.Password = identity.Staff, "", "b@example.org", "B", ""
					p.Roles, p.State, p.Created = []identity.Role{identity.Admin}, identity.Disabled, w.now.Add(time.Hour)
				},
				func(tx store.Tx, p identity.Person) (identity.Person, error) { return tx.PutPerson(w.ctx(), p) },
				func(tx store.Tx) (identity.Person, error) { return tx.Person(w.ctx(), p.ID) })
			gone := w.person("c@example.org")
			gone.Version = 3
			w.refused(fault.NotFound, func(tx store.Tx) error { _, err := tx.PutPerson(w.ctx(), gone); return err })
		}},
		{"PersonByEmailWithoutCase", func(w *world) {
			for _, c := range [][2]string{{"Ada@Example.org", "aDA@eXAMPLE.ORG"}, {"ÅSE@example.org", "åse@example.org"}, {"straße@example.org", "STRASSE@example.org"}} {
				p := putPerson(w, w.person(c[0]))
				got := read(w, func(tx store.Tx) (identity.Person, error) { return tx.PersonByEmail(w.ctx(), c[1]) })
				same(w, "the person", got, p)
			}
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Person, error) { return tx.PersonByEmail(w.ctx(), "") })
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Person, error) { return tx.PersonByEmail(w.ctx(), "%") })
		}},
		{"PutPersonSameEmailIsConflict", func(w *world) {
			putPerson(w, w.person("a@example.org"))
			b := putPerson(w, w.person("b@example.org"))
			w.refused(fault.Conflict, func(tx store.Tx) error { _, err := tx.PutPerson(w.ctx(), w.person("A@EXAMPLE.org")); return err })
			b.Email = "A@example.org"
			w.refused(fault.Conflict, func(tx store.Tx) error { _, err := tx.PutPerson(w.ctx(), b); return err })
		}},
		{"PeopleByIDAfter", func(w *world) {
			var want, staff []string
			for n := range 5 {
				p := putPerson(w, w.person(fmt.Sprintf("m%d@example.org", n)))
				want = append(want, string(p.ID))
				s := w.person(fmt.Sprintf("s%d@example.org", n))
				s.Class, s.Organization = identity.Staff, ""
				staff = append(staff, string(putPerson(w, s).ID))
			}
			other := w.person("o@example.org")
			other.Organization = "org_2"
			putPerson(w, other)
			slices.Sort(want)
			slices.Sort(staff)
			list := func(org id.ID) []string {
				return paged(w, func(p identity.Person) string { return string(p.ID) }, func(tx store.Tx, after string, limit int) ([]identity.Person, error) {
					return tx.People(w.ctx(), org, id.ID(after), limit)
				})
			}
			same(w, "members", list("org_1"), want)
			same(w, "staff", list(""), staff)
		}},
		{"ForgetPersonRemovesWhatServedThem", forgets},
		{"CountStaffActiveOfRole", func(w *world) {
			for n, c := range []struct {
				class identity.Class
				state identity.State
				roles []identity.Role
			}{
				{identity.Staff, identity.Active, []identity.Role{identity.Admin, identity.Auditor}},
				{identity.Staff, identity.Active, []identity.Role{identity.Approver}},
				{identity.Staff, identity.Disabled, []identity.Role{identity.Admin}},
				{identity.Staff, identity.Unconfirmed, []identity.Role{identity.Admin}},
				{identity.Member, identity.Active, []identity.Role{identity.Admin}},
			} {
				p := w.person(fmt.Sprint(n, "@example.org"))
				p.Class, p.State, p.Roles, p.Organization = c.class, c.state, c.roles, ""
				putPerson(w, p)
			}
			for r, want := range map[identity.Role]int{identity.Admin: 1, identity.Approver: 1, identity.Auditor: 1, identity.Operator: 0, "adm": 0} {
				same(w, string(r), read(w, func(tx store.Tx) (int, error) { return tx.CountStaff(w.ctx(), r) }), want)
			}
		}},
	}
}

func links() []promise {
	add := func(w *world) identity.Link {
		w.Helper()
		l := identity.Link{Hash: w.hash(), Purpose: identity.SignInLink, Person: "per_1", Created: w.now, Expires: w.now.Add(time.Minute)}
		w.update(func(tx store.Tx) error { return tx.AddLink(w.ctx(), l) })
		return l
	}
	use := func(w *world, h secret.Hash, p identity.LinkPurpose, now time.Time) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.UseLink(w.ctx(), h, p, now); return err })
	}
	return []promise{
		{"UseLinkReturnsIt", func(w *world) {
			l := add(w)
			l.Used = w.now.Add(time.Second)
			got := written(w, func(tx store.Tx) (identity.Link, error) { return tx.UseLink(w.ctx(), l.Hash, l.Purpose, l.Used) })
			same(w, "the link", got, l)
		}},
		{"UseLinkOnce", func(w *world) {
			l := add(w)
			if err := use(w, l.Hash, l.Purpose, w.now); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Gone, use(w, l.Hash, l.Purpose, w.now))
		}},
		{"UseLinkAtMostOnceInParallel", func(w *world) {
			l := add(w)
			var wg sync.WaitGroup
			var won atomic.Int32
			for range 16 {
				wg.Go(func() {
					if err := use(w, l.Hash, l.Purpose, w.now); err == nil {
						won.Add(1)
					} else {
						w.is(fault.Gone, err)
					}
				})
			}
			wg.Wait()
			same(w, "how many used it", won.Load(), 1)
		}},
		{"UseLinkUndoneCanBeUsed", func(w *world) {
			l := add(w)
			err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				if _, err := tx.UseLink(w.ctx(), l.Hash, l.Purpose, w.now); err != nil {
					return err
				}
				return errMine
			})
			if err != errMine {
				w.Fatal(err)
			}
			if err := use(w, l.Hash, l.Purpose, w.now); err != nil {
				w.Fatal(err)
			}
		}},
		{"UseLinkExpiredUnknownOrOtherIsGone", func(w *world) {
			l := add(w)
			w.is(fault.Gone, use(w, l.Hash, l.Purpose, l.Expires))
			w.is(fault.Gone, use(w, l.Hash, identity.PasswordReset, w.now))
			w.is(fault.Gone, use(w, w.hash(), l.Purpose, w.now))
			if err := use(w, l.Hash, l.Purpose, l.Expires.Add(-time.Microsecond)); err != nil {
				w.Errorf("just before its end: %v", err)
			}
		}},
	}
}

func machines() []promise {
	fresh := func(w *world, person id.ID) identity.MachineToken {
		return identity.MachineToken{
			ID: id.New(id.Machine, w.now), Name: "deploy", Hash: w.hash(), Person: person, Organization: "org_1", Class: identity.Staff,
			Roles: []identity.Role{identity.Operator}, Created: w.now, Expires: w.now.Add(time.Hour),
		}
	}
	put := func(w *world, m identity.MachineToken) identity.MachineToken {
		w.Helper()
		return written(w, func(tx store.Tx) (identity.MachineToken, error) { return tx.PutMachine(w.ctx(), m) })
	}
	return []promise{
		{"PutMachineVersions", func(w *world) {
			m := fresh(w, "per_1")
			versions(w, m, func(m *identity.MachineToken) *int64 { return &m.Version },
				func(m *identity.MachineToken) { m.Revoked, m.Name, m.Roles = w.now, "x", nil },
				func(tx store.Tx, m identity.MachineToken) (identity.MachineToken, error) {
					return tx.PutMachine(w.ctx(), m)
				},
				func(tx store.Tx) (identity.MachineToken, error) { return tx.Machine(w.ctx(), m.ID) })
		}},
		{"MachineByHashWhateverItsState", func(w *world) {
			m := fresh(w, "per_1")
			m.Revoked = w.now
			m = put(w, m)
			same(w, "the token", read(w, func(tx store.Tx) (identity.MachineToken, error) { return tx.MachineByHash(w.ctx(), m.Hash) }), m)
			failing(w, fault.NotFound, func(tx store.Tx) (identity.MachineToken, error) { return tx.MachineByHash(w.ctx(), w.hash()) })
		}},
		{"MachinesByIDAfter", func(w *world) {
			var mine, every []string
			for n := range 6 {
				m := put(w, fresh(w, id.ID(fmt.Sprint("per_", n%2))))
				every = append(every, string(m.ID))
				if n%2 == 1 {
					mine = append(mine, string(m.ID))
				}
			}
			slices.Sort(mine)
			slices.Sort(every)
			list := func(person id.ID) []string {
				return paged(w, func(m identity.MachineToken) string { return string(m.ID) }, func(tx store.Tx, after string, limit int) ([]identity.MachineToken, error) {
					return tx.Machines(w.ctx(), person, id.ID(after), limit)
				})
			}
			same(w, "of one person", list("per_1"), mine)
			same(w, "all", list(""), every)
		}},
	}
}

func devices() []promise {
	fresh := func(w *world, code string) identity.Device {
		return identity.Device{Hash: w.hash(), UserCode: code, Client: "gatehouse on build-7", Created: w.now, Expires: w.now.Add(10 * time.Minute)}
	}
	add := func(w *world, d identity.Device) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { return tx.AddDevice(w.ctx(), d) })
	}
	byCode := func(w *world, code string, now time.Time) func(store.Tx) (identity.Device, error) {
		return func(tx store.Tx) (identity.Device, error) { return tx.DeviceByUserCode(w.ctx(), code, now) }
	}
	return []promise{
		{"AddDeviceSameWaitingCodeIsConflict", func(w *world) {
			d := fresh(w, "BCDF-GHJK")
			if err := add(w, d); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, add(w, fresh(w, "BCDF-GHJK")))
			later := fresh(w, "BCDF-GHJK")
			later.Created = d.Expires
			if err := add(w, later); err != nil {
				w.Errorf("when the first one is over: %v", err)
			}
		}},
		{"DeviceByUserCodeUnexpiredUndecided", func(w *world) {
			d := fresh(w, "BCDF-GHJK")
			if err := add(w, d); err != nil {
				w.Fatal(err)
			}
			same(w, "the sign-in", read(w, byCode(w, d.UserCode, w.now)), d)
			failing(w, fault.NotFound, byCode(w, d.UserCode, d.Expires))
			failing(w, fault.NotFound, byCode(w, "XXXX-XXXX", w.now))
			d.Denied = true
			w.update(func(tx store.Tx) error { return tx.SetDevice(w.ctx(), d) })
			failing(w, fault.NotFound, byCode(w, d.UserCode, w.now))
		}},
		{"DeviceByHashWhateverItsState", func(w *world) {
			d := fresh(w, "BCDF-GHJK")
			if err := add(w, d); err != nil {
				w.Fatal(err)
			}
			d.Person, d.Used = "per_1", true
			w.update(func(tx store.Tx) error { return tx.SetDevice(w.ctx(), d) })
			same(w, "the sign-in", read(w, func(tx store.Tx) (identity.Device, error) { return tx.DeviceByHash(w.ctx(), d.Hash) }), d)
			w.refused(fault.NotFound, func(tx store.Tx) error { return tx.SetDevice(w.ctx(), fresh(w, "X")) })
		}},
	}
}

func sessions() []promise {
	add := func(w *world, person id.ID, created time.Time) session.Session {
		w.Helper()
		s := session.Session{
			ID: id.New(id.Session, created), Hash: w.hash(), Person: person, Created: created, LastSeen: created, Expires: created.Add(session.Longest),
			Address: "203.0.113.9", UserAgent: "Mozilla", How: "password", Proven: created, Confirmed: created,
		}
		w.update(func(tx store.Tx) error { return tx.AddSession(w.ctx(), s) })
		return s
	}
	of := func(w *world, person id.ID) []session.Session {
		w.Helper()
		return read(w, func(tx store.Tx) ([]session.Session, error) { return tx.SessionsOf(w.ctx(), person) })
	}
	return []promise{
		{"SessionByHash", func(w *world) {
			s := add(w, "per_1", w.now)
			same(w, "the session", read(w, func(tx store.Tx) (session.Session, error) { return tx.SessionByHash(w.ctx(), s.Hash) }), s)
			failing(w, fault.NotFound, func(tx store.Tx) (session.Session, error) { return tx.SessionByHash(w.ctx(), w.hash()) })
		}},
		{"ConfirmSession", func(w *world) {
			s, other := add(w, "per_1", w.now), add(w, "per_2", w.now)
			later := w.now.Add(time.Hour)
			w.update(func(tx store.Tx) error { return tx.ConfirmSession(w.ctx(), s.ID, later, time.Time{}) })
			s.Confirmed = later
			same(w, "confirmed", of(w, "per_1"), []session.Session{s})
			w.update(func(tx store.Tx) error { return tx.ConfirmSession(w.ctx(), s.ID, later, later) })
			s.Proven = later
			same(w, "proven", of(w, "per_1"), []session.Session{s})
			same(w, "another's", of(w, "per_2"), []session.Session{other})
		}},
		{"TouchSession", func(w *world) {
			s := add(w, "per_1", w.now)
			seen := w.now.Add(time.Minute)
			w.update(func(tx store.Tx) error { return tx.TouchSession(w.ctx(), s.ID, seen) })
			w.update(func(tx store.Tx) error { return tx.TouchSession(w.ctx(), s.ID, w.now) }) // late: it was seen after that
			same(w, "last seen", of(w, "per_1")[0].LastSeen, seen)
			w.update(func(tx store.Tx) error { return tx.TouchSession(w.ctx(), "ses_x", seen) })
		}},
		{"EndSession", func(w *world) {
			a, b := add(w, "per_1", w.now), add(w, "per_1", w.now.Add(time.Second))
			for range 2 { // one that is not there is no error
				w.update(func(tx store.Tx) error { return tx.EndSession(w.ctx(), a.ID) })
			}
			same(w, "what is left", of(w, "per_1"), []session.Session{b})
		}},
		{"EndSessionsOfAllButOne", func(w *world) {
			a := add(w, "per_1", w.now)
			add(w, "per_1", w.now)
			add(w, "per_1", w.now)
			other := add(w, "per_2", w.now)
			n := written(w, func(tx store.Tx) (int, error) { return tx.EndSessionsOf(w.ctx(), "per_1", a.ID) })
			same(w, "how many", n, 2)
			same(w, "what is left", of(w, "per_1"), []session.Session{a})
			n = written(w, func(tx store.Tx) (int, error) { return tx.EndSessionsOf(w.ctx(), "per_1", "") })
			same(w, "how many then", n, 1)
			same(w, "another person's", of(w, "per_2"), []session.Session{other})
		}},
		{"SessionsOfNewestFirst", func(w *world) {
			a, c, b := add(w, "per_1", w.now), add(w, "per_1", w.now.Add(2*time.Second)), add(w, "per_1", w.now.Add(time.Second))
			same(w, "the list", of(w, "per_1"), []session.Session{c, b, a})
		}},
	}
}
