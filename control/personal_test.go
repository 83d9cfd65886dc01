package control_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

// holds lists the tables and columns of the database file in which any text or blob holds one of the words.
func holds(t *testing.T, file string, words ...string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	column := func(q string) (out []string) {
		rows, err := db.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return out
	}
	tables := column(`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if len(tables) < 30 {
		t.Fatalf("only %d tables were found", len(tables))
	}
	var found []string
	for _, table := range tables {
		for _, c := range column(`SELECT name FROM pragma_table_info('` + table + `')`) {
			for _, word := range words {
				var n int
				q := fmt.Sprintf(`SELECT COUNT(*) FROM %q WHERE instr(lower(CAST(%q AS TEXT)), lower(?)) > 0`, table, c)
				if err := db.QueryRow(q, word).Scan(&n); err != nil {
					t.Fatal(err)
				}
				if n > 0 {
					found = append(found, fmt.Sprintf("%s.%s holds %q %d times", table, c, word, n))
				}
			}
		}
	}
	return found
}

// lived is a member with everything that a person can leave.
func (w *world) lived(ines identity.Actor, email string) identity.Actor {
	w.t.Helper()
	dora := w.member(ines, email, identity.Developer)
	w.enrolled(dora)
	if _, _, err := w.CreateMachineToken(w.ctx, dora, "pipeline", []identity.Role{identity.Developer}, w.clock.Now().AddDate(0, 1, 0)); err != nil {
		w.t.Fatal(err)
	}
	w.application(dora, "hers")
	must(w.Invite(w.ctx, dora, control.NewInvitation{Email: "vera@example.org", Roles: []identity.Role{identity.Viewer}}))(w.t)
	must(w.Invite(w.ctx, w.admin, control.NewInvitation{Email: email, Roles: []identity.Role{identity.Auditor}}))(w.t) // known: she is told, and it stays
	if err := w.RequestPasswordReset(w.ctx, at("192.0.2.33"), email); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.SignIn(w.ctx, at("192.0.2.33"), email, secret.New(password), "Mozilla of Dora"); err != nil {
		w.t.Fatal(err)
	}
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		return tx.PutSubject(w.ctx, identity.Subject{Issuer: "https://login.example", Subject: email, Person: dora.Person, Provider: "directory", Roles: []identity.Role{}, Created: w.clock.Now(), Used: w.clock.Now()})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return dora
}

func TestErasureLeavesNothingAndTheAuditVerifies(t *testing.T) {
	w := newWorld(t).published()
	ines := w.verified("First", "ines@example.org")
	const email = "dora.dolittle@example.org"
	dora := w.lived(ines, email)
	name := "Person " + email
	if len(holds(t, w.file, email, name)) < 3 {
		t.Fatal("the search finds nothing of what is there")
	}
	before := must(w.VerifyAudit(w.ctx, w.auditor, ""))(t)
	kept, _, err := w.Checkpoint(w.ctx, w.auditor)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ErasePerson(w.ctx, ines, control.Erasure{Person: dora.Person, Reason: "she asked for it"})
	wants(t, "without a successor for her application", err, fault.Conflict, "successor-needed")
	p := must(w.ErasePerson(w.ctx, ines, control.Erasure{Person: dora.Person, Successor: ines.Person, Reason: "she asked for it"}))(t)
	if p.State != identity.Erased || len(p.Roles) != 0 || p.Name != "Erased person" || p.Password != "" {
		t.Errorf("she is %+v", p)
	}
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	for _, found := range holds(t, w.file, email, name, "dolittle", "192.0.2.33", "Mozilla of Dora") {
		t.Error("the database: " + found)
	}
	copied := must(w.Backup(w.ctx, w.admin, ""))(t)
	for _, found := range holds(t, copied, email, name, "192.0.2.33") {
		t.Error("a backup: " + found)
	}
	raw, err := os.ReadFile(copied)
	if err != nil || bytes.Contains(raw, []byte(email)) {
		t.Errorf("the bytes of a backup hold the address (%v)", err)
	}
	after := must(w.VerifyAudit(w.ctx, w.auditor, kept))(t)
	if !after.OK || after.Entries <= before.Entries {
		t.Errorf("the log: %+v", after)
	}
	// Nothing of hers works, and nothing comes back.
	if n := len(must(w.MachineTokens(w.ctx, with(dora, identity.Developer), control.Page{}))(t).Items); n != 1 {
		t.Errorf("%d machine tokens are listed", n)
	}
	_, err = w.SignIn(w.ctx, at("192.0.2.34"), email, secret.New(password), "")
	wants(t, "signing in", err, fault.Unauthenticated, "wrong-password")
	_, err = w.ChangeMember(w.ctx, ines, dora.Person, 0, []identity.Role{identity.Owner}, identity.Active, "")
	wants(t, "bringing her back", err, fault.Conflict, "erased")
	_, err = w.ErasePerson(w.ctx, ines, control.Erasure{Person: dora.Person})
	wants(t, "again", err, fault.Conflict, "erased")
	for _, a := range must(w.Applications(w.ctx, ines, "", control.Page{}))(t).Items {
		if a.Owner != ines.Person {
			t.Errorf("%s is owned by %s", a.Name, a.Owner)
		}
	}
	for _, m := range must(w.Members(w.ctx, ines, "", control.Page{}))(t).Items {
		if m.ID == dora.Person {
			t.Error("she is listed")
		}
	}
	must(w.AcceptInvitation(w.ctx, at("1.2.3.4"), w.invite(ines, "", email, identity.Viewer), "Another Dora", secret.New(password)))(t) // the address is free
}

func TestWhoErasesWhom(t *testing.T) {
	w := newWorld(t).published()
	ines, rolf := w.verified("First", "ines@example.org"), w.verified("Second", "rolf@example.org")
	dora := w.member(ines, "dora@example.org", identity.Developer)
	olaf := w.member(ines, "olaf@example.org", identity.Owner)
	for name, c := range map[string]struct {
		a, of identity.Actor
		kind  fault.Kind
	}{
		"a developer another":          {dora, ines, fault.Forbidden},
		"another organization's owner": {rolf, dora, fault.NotFound},
		"an operator a member":         {w.operator, dora, fault.Forbidden},
		"an owner staff":               {ines, w.operator, fault.NotFound},
		"a machine":                    {machine(ines), dora, fault.Forbidden},
		"an aged session":              {aged(ines), dora, fault.Forbidden},
		"the last owner herself":       {rolf, rolf, fault.Conflict},
		"the last admin herself":       {w.admin, w.admin, fault.Conflict},
	} {
		if _, err := w.ErasePerson(w.ctx, c.a, control.Erasure{Person: c.of.Person}); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(c.kind, fault.Conflict) {
			continue
		}
		if _, err := w.ExportPerson(w.ctx, c.a, c.of.Person); !errors.Is(err, c.kind) {
			t.Errorf("%s, the export: %v", name, err)
		}
	}
	must(w.ErasePerson(w.ctx, olaf, control.Erasure{}))(t)
	must(w.ErasePerson(w.ctx, w.admin, control.Erasure{Person: dora.Person}))(t)
	must(w.ErasePerson(w.ctx, w.host, control.Erasure{Person: w.auditor.Person}))(t)
	// By herself, naming who becomes owner.
	vera := w.member(ines, "vera@example.org", identity.Developer)
	must(w.ErasePerson(w.ctx, ines, control.Erasure{Successor: vera.Person}))(t)
	if p := must(w.Person(w.ctx, w.admin, vera.Person))(t); !slices.Contains(p.Roles, identity.Owner) {
		t.Errorf("the successor is %v", p.Roles)
	}
	for _, found := range holds(t, w.file, "ines@example.org", "olaf@example.org", "dora@example.org", "udo@platform.example") {
		t.Error(found)
	}
	if r := must(w.VerifyAudit(w.ctx, w.admin, ""))(t); !r.OK {
		t.Errorf("the log: %+v", r)
	}
}

func aged(a identity.Actor) identity.Actor { a.Aged = true; return a }

func TestAnAPIKeepsItsOwner(t *testing.T) {
	w := newWorld(t).published()
	otto := w.staff("otto@platform.example", "api-owner@api:ident", identity.Auditor)
	change := func(s identity.State, roles ...identity.Role) error {
		_, err := w.ChangeStaff(w.ctx, w.admin, otto.Person, 0, roles, s)
		return err
	}
	wants(t, "another role instead", change(identity.Active, identity.Auditor), fault.Conflict, "last-api-owner")
	wants(t, "disabled", change(identity.Disabled, "api-owner@api:ident"), fault.Conflict, "last-api-owner")
	_, err := w.ErasePerson(w.ctx, w.admin, control.Erasure{Person: otto.Person})
	wants(t, "erased", err, fault.Conflict, "last-api-owner")
	if err := change(identity.Active, identity.APIOwner); err != nil {
		t.Errorf("owner of all APIs: %v", err)
	}
	must(w.ChangeStaff(w.ctx, w.admin, w.approver.Person, 0, []identity.Role{"api-owner@api:ident"}, identity.Active))(t)
	if err := change(identity.Active, identity.Auditor); err != nil {
		t.Errorf("with another owner: %v", err)
	}
	if err := change(identity.Active, "api-owner@api:retired", identity.Auditor); err != nil {
		t.Fatal(err)
	}
	if err := change(identity.Active, identity.Auditor); err != nil {
		t.Errorf("of an API that nobody offers: %v", err)
	}
}

func TestExportHoldsWhatIsKept(t *testing.T) {
	w := newWorld(t).published()
	ines := w.verified("First", "ines@example.org")
	dora := w.lived(ines, "dora@example.org")
	must(w.ChangeMember(w.ctx, w.admin, dora.Person, 0, []identity.Role{identity.Viewer}, identity.Active, ""))(t)
	d := must(w.ExportPerson(w.ctx, with(dora, identity.Viewer), ""))(t)
	if d.Person.Email != "dora@example.org" || !d.HasPassword || d.Organization.ID != ines.Organization || !d.SecondFactors.App || len(d.SignOns) != 1 ||
		len(d.Sessions) == 0 || len(d.MachineTokens) != 1 || len(d.Invitations) != 2 || len(d.Applications) != 1 || d.More {
		t.Errorf("the export is %+v", d)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, secretText := range []string{"argon2id", "sealed:", "ghm_", "ghs_"} {
		if strings.Contains(string(b), secretText) {
			t.Errorf("it holds %s", secretText)
		}
	}
	for _, not := range []string{w.admin.Name, "vera@example.org", ines.Name} {
		if strings.Contains(string(b), not) {
			t.Errorf("it holds personal values of others: %s", not)
		}
	}
	got := map[string]bool{}
	for _, e := range d.Audit {
		got[e.Action] = true
	}
	for _, want := range []string{"person.accept-invitation", "session.start", "factor.add", "application.create", "invitation.send", "person.change-member", "link.send"} {
		if !got[want] {
			t.Errorf("it does not hold %s", want)
		}
	}
	all := must(w.ExportPerson(w.ctx, w.admin, dora.Person))(t)
	if len(all.Audit) != len(d.Audit) {
		t.Errorf("an admin's export has %d entries, hers %d", len(all.Audit), len(d.Audit))
	}
}
