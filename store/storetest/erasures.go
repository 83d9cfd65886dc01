package storetest

import (
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/store"
)

// erasesOf erases what is Ines's, and nothing of anybody else's.
func erasesOf(w *world) {
	add := func(action, actor string, object id.ID, request string, personal ...[]audit.Personal) id.ID {
		e := audit.New(w.now, audit.Entry{Action: action, Actor: actor, Object: object, RequestID: request})
		for _, p := range personal {
			e.Personal = append(e.Personal, p...)
		}
		w.update(func(tx store.Tx) error { return tx.AppendAudit(w.ctx(), e) })
		return e.ID
	}
	left := func(i id.ID) (names []string) {
		for _, p := range read(w, func(tx store.Tx) (audit.Entry, error) { return tx.AuditEntry(w.ctx(), i) }).Personal {
			if len(p.Commitment) == 0 {
				w.Errorf("%s has lost its commitment", p.Name)
			}
			if !p.Erased() {
				names = append(names, p.Name)
			}
		}
		return names
	}
	registered := add("organization.register", "anonymous", "org_1", "rq_1", audit.Commit("actor.address", "1.2.3.4"))
	person := add("person.register", "anonymous", "per_1", "rq_1", audit.Commit("actor.address", "1.2.3.4"), audit.Commit("email", "ines@example.org"), audit.Commit("name", "Ines"))
	stranger := add("organization.register", "anonymous", "org_2", "rq_2", audit.Commit("actor.address", "1.2.3.4"))
	signed := add("session.start", "member:per_1", "ses_1", "rq_3", audit.Commit("actor.name", "Ines"), audit.Commit("user_agent", "Mozilla"))
	machine := add("grant.end", "machine:mt_1", "gr_1", "", audit.Commit("actor.name", "ci of Ines"))
	invited := add("invitation.send", "member:per_1", "inv_1", "", audit.Commit("actor.name", "Ines"), audit.Commit("email", "dora@example.org"))
	changed := add("person.change-member", "staff:per_9", "per_1", "", audit.Commit("actor.name", "Ada"), audit.Commit("name", "Ines"))
	letter := add("letter.give-up", "system", "", "", audit.Commit("email", "ines@example.org"))
	other := add("person.register", "anonymous", "per_2", "rq_4", audit.Commit("actor.address", "1.2.3.4"), audit.Commit("name", "Ines"))
	e := audit.Erasure{Object: "per_1", Actors: []string{"member:per_1", "machine:mt_1"}, Values: []string{"ines@example.org"}}
	n := written(w, func(tx store.Tx) (int, error) { return tx.ErasePersonalOf(w.ctx(), e) })
	same(w, "how many", n, 10)
	for _, c := range []struct {
		what string
		id   id.ID
		want []string
	}{
		{"the organization's registration by her", registered, nil}, {"hers", person, nil}, {"another's registration", stranger, []string{"actor.address"}},
		{"her session", signed, nil}, {"her machine's", machine, nil}, {"her invitation of another", invited, []string{"email"}},
		{"what an admin changed about her", changed, []string{"actor.name"}}, {"a letter to her", letter, nil},
		{"somebody of the same name and address", other, []string{"actor.address", "name"}},
	} {
		same(w, c.what, left(c.id), c.want)
	}
	same(w, "a second time", written(w, func(tx store.Tx) (int, error) { return tx.ErasePersonalOf(w.ctx(), e) }), 0)
}

// forgets is the promise of ForgetPerson.
func forgets(w *world) {
	const email = "ines@example.org"
	link := identity.Link{Hash: w.hash(), Purpose: identity.SignInLink, Person: "per_1", Created: w.now, Expires: w.now.Add(time.Hour)}
	others := link
	others.Hash, others.Person = w.hash(), "per_2"
	ceremony := identity.Ceremony{Hash: w.hash(), Purpose: "x", Person: "per_1", Created: w.now, Expires: w.now.Add(time.Hour)}
	invitation := identity.Invitation{ID: "inv_1", Organization: "org_1", Email: email, Roles: []identity.Role{}, Hash: w.hash(), Created: w.now, Expires: w.now}
	another := invitation
	another.ID, another.Email, another.Hash = "inv_2", "dora@example.org", w.hash()
	w.update(func(tx store.Tx) error {
		for _, l := range []identity.Link{link, others} {
			if err := tx.AddLink(w.ctx(), l); err != nil {
				return err
			}
		}
		for _, i := range []identity.Invitation{invitation, another} {
			if _, err := tx.PutInvitation(w.ctx(), i); err != nil {
				return err
			}
		}
		for _, to := range []string{email, "dora@example.org"} {
			if err := tx.AddLetter(w.ctx(), mail.Letter{To: to, At: w.now}); err != nil {
				return err
			}
		}
		return tx.AddCeremony(w.ctx(), ceremony)
	})
	to := func(email string) []identity.Invitation {
		return read(w, func(tx store.Tx) ([]identity.Invitation, error) { return tx.InvitationsTo(w.ctx(), email, "", 10) })
	}
	same(w, "invitations to her", len(to(email)), 1)
	w.update(func(tx store.Tx) error { return tx.ForgetPerson(w.ctx(), "per_1", email, "gone") })
	same(w, "invitations to her then", len(to(email)), 0)
	same(w, "with what stands there instead", to("gone")[0].ID, "inv_1")
	same(w, "another's", to("dora@example.org")[0].ID, "inv_2")
	use := func(l identity.Link) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.UseLink(w.ctx(), l.Hash, l.Purpose, w.now); return err })
	}
	w.is(fault.Gone, use(link))
	if err := use(others); err != nil {
		w.Error(err)
	}
	failing(w, fault.Gone, func(tx store.Tx) (identity.Ceremony, error) { return tx.Ceremony(w.ctx(), ceremony.Hash, "x", w.now) })
	letters := written(w, func(tx store.Tx) ([]store.Posted, error) { return tx.ClaimLetters(w.ctx(), w.now, time.Minute, 10) })
	if len(letters) != 1 || letters[0].To != "dora@example.org" {
		w.Errorf("letters left: %+v", letters)
	}
}
