package control_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

// writers is the store's methods that change something, with the files of this package that may call them. Whatever is
// stored elsewhere would have no audit entry and tell no gateway.
var writers = map[string]string{
	"PutOrganization": "record.go", "PutApplication": "record.go", "PutCredential": "record.go", "PutGrant": "record.go",
	"PutRequest": "record.go", "PutPerson": "record.go", "PutMachine": "record.go", "AddLink": "record.go",
	"AddSession": "record.go", "SetDevice": "record.go", "AddEnvironment": "record.go", "AddRevision": "record.go",
	"EndSession": "record.go", "EndSessionsOf": "record.go", "RaiseEpoch": "record.go fleet.go", "ErasePersonal": "record.go",
	"PutAbsence": "record.go", "ClaimRequests": "tend.go",
	"PutAuthenticator": "factors.go", "DropAuthenticator": "factors.go personal.go", "PutRecoveryCodes": "factors.go personal.go", "DropSubjects": "personal.go", "ForgetPerson": "personal.go", "ErasePersonalOf": "personal.go", "UseRecoveryCode": "factors.go",
	"ConfirmSession": "factors.go passkeys.go", "AddCeremony": "factors.go sso.go passkeys.go", "TakeCeremony": "factors.go sso.go passkeys.go", "PutPasskey": "passkeys.go", "DropPasskey": "passkeys.go", "DropPasskeys": "factors.go personal.go", "PutSubject": "sso.go",
	"PutInitialToken": "record.go", "PutRegistration": "record.go",
	"UseLink":     "register.go", // with an entry by whoever uses it: update refuses a change without one
	"AddDevice":   "device.go",   // nobody has said anything yet
	"AppendAudit": "write.go", "AppendChange": "write.go sequencer.go", "AddLetter": "write.go", "Once": "write.go",
	"TouchSession": "signin.go", "Sweep": "control.go", "Take": "marks.go", "TakeTry": "triesshared.go", "GiveTryBack": "triesshared.go", "SweepMarks": "marks.go", "ClaimLetters": "outbox.go", "LetterSent": "outbox.go", "LetterFailed": "outbox.go",
	"Forget": "forget.go", "Number": "sequencer.go", "Seal": "sequencer.go", "PutCheckpoint": "sequencer.go", "PutReceipt": "source.go",
}

// unaudited are files that write telemetry and the process's own bookkeeping, which nobody's right is asked for: replay marks, what
// gateways ship, who is the sequencer, when gateways were heard, counts and entries of the feed that are
// too old, counts that are put together, gateways' oaths, and tries that are limited.
var unaudited = []string{"marks.go", "uplink.go", "duty.go", "presence.go", "usage.go", "fold.go", "probing.go", "triesshared.go", "forget.go"}

// elsewhere finds the calls of writers in files where they do not belong.
func elsewhere(name string, src any) ([]string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		return nil, err
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, isName := sel.X.(*ast.Ident)
		inner, isField := sel.X.(*ast.SelectorExpr)
		onTx := isName && x.Name == "tx" || isField && inner.Sel.Name == "tx"
		if file, is := writers[sel.Sel.Name]; is && onTx && !slices.Contains(strings.Fields(file), name) {
			out = append(out, fmt.Sprintf("%s calls %s, which belongs to %s", fset.Position(call.Pos()), sel.Sel.Name, file))
		}
		if sel.Sel.Name == "Update" && name != "write.go" && name != "control.go" && name != "signin.go" && name != "outbox.go" && name != "sequencer.go" && name != "source.go" && name != "tend.go" && !slices.Contains(unaudited, name) {
			out = append(out, fmt.Sprintf("%s calls Update: use update, which checks the caller", fset.Position(call.Pos())))
		}
		return true
	})
	return out, nil
}

func TestEveryWriteGoesThroughTheHelper(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		n++
		found, err := elsewhere(f.Name(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			t.Error(s)
		}
	}
	if n < 20 {
		t.Errorf("only %d files were read", n)
	}
	bites, err := elsewhere("keys.go", "package control\nfunc f() { w.tx.PutGrant(ctx, g); tx.PutPerson(ctx, p); c.Store.Update(ctx, nil) }")
	if err != nil || len(bites) != 3 {
		t.Errorf("the guard finds %v (%v) in what it must refuse", bites, err)
	}
}

// entries is the audit of the world, oldest first.
func (w *world) entries(f audit.Filter) []audit.Entry {
	w.t.Helper()
	l := must(w.Audit(w.ctx, w.host, f, control.Page{Limit: 500}))(w.t).Items
	out := make([]audit.Entry, 0, len(l))
	for i := len(l) - 1; i >= 0; i-- {
		out = append(out, l[i])
	}
	return out
}

func actions(es []audit.Entry) []string {
	out := []string{}
	for _, e := range es {
		out = append(out, e.Action)
	}
	return out
}

// fed is what the feed of an environment says, oldest first: kind and key.
func (w *world) fed(environment string) []feed.Entry {
	w.t.Helper()
	if err := w.Sequence(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	es, err := w.Source().Tail(w.ctx, environment, feed.Position{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return es
}

// story goes through the whole life of a partner's access, and returns the actor and what was made.
func (w *world) story() (a identity.Actor, o ids) {
	w.t.Helper()
	t := w.t
	a = w.verified("Acme Identity", "dana@acme.example")
	app := w.application(a, "Onboarding")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "big")))(t)
	r = must(w.Decide(w.ctx, w.approver, r.ID, r.Version, control.Answer{Approve: true, Scopes: []string{"checks:read"}, Reason: "fewer scopes"}))(t)
	r = must(w.Decide(w.ctx, w.operator, r.ID, r.Version, control.Answer{Approve: true}))(t)
	g := w.grantOf(r)
	cr := w.key(a, app, "live")
	must(w.SuspendGrant(w.ctx, w.operator, g.ID, 0, "looked into"))(t)
	must(w.ResumeGrant(w.ctx, w.operator, g.ID, 0, "fine"))(t)
	must(w.RevokeCredential(w.ctx, a, cr.ID, 0, "laptop lost"))(t)
	must(w.SuspendOrganization(w.ctx, w.operator, a.Organization, 0, "unpaid"))(t)
	return a, ids{org: a.Organization, person: a.Person, app: app.ID, request: r.ID, grant: g.ID, credential: cr.ID}
}

func TestTheWholeStory(t *testing.T) {
	w := newWorld(t).published()
	a, o := w.story()
	all := w.entries(audit.Filter{Organization: o.org})
	want := []string{"organization.register", "person.register", "link.send", "person.confirm", "session.start",
		"organization.verify", "application.create", "request.create", "request.approve-stage", "request.approve", "grant.create",
		"credential.issue", "grant.suspend", "grant.resume", "credential.revoke", "organization.suspend"}
	if d := cmp.Diff(want, actions(all)); d != "" {
		t.Errorf("audit of the organization: %s", d)
	}
	for _, e := range all {
		text := string(e.Before) + string(e.After) + e.Reason + e.Actor
		for _, personal := range []string{"dana@acme.example", "Person of Acme", "198.51.100.1", "203.0.113.7", "argon2id", "gh_live", "ghs_", "ghl_"} {
			if strings.Contains(text, personal) {
				t.Errorf("%s tells for ever %q: %s", e.Action, personal, text)
			}
		}
		if len(e.After) == 0 || e.RequestID == "" {
			t.Errorf("%s has no state after it or no request id", e.Action)
		}
	}
	byAction := map[string]audit.Entry{}
	for _, e := range all {
		byAction[e.Action] = e
	}
	revoke := byAction["credential.revoke"]
	if revoke.Actor != "member:"+string(a.Person) || revoke.Reason != "laptop lost" || revoke.Object != o.credential || revoke.Application != o.app || revoke.Environment != "live" {
		t.Errorf("revocation %+v", revoke)
	}
	var before, after struct{ State string }
	if json.Unmarshal(revoke.Before, &before) != nil || json.Unmarshal(revoke.After, &after) != nil || before.State != "active" || after.State != "revoked" {
		t.Errorf("from %s to %s", revoke.Before, revoke.After)
	}
	names := map[string]string{}
	for _, p := range revoke.Personal {
		names[p.Name] = p.Value
	}
	if d := cmp.Diff(map[string]string{"actor.name": "Person of Acme Identity", "actor.address": "203.0.113.7:4000"}, names); d != "" {
		t.Errorf("personal values: %s", d)
	}

	type told struct {
		kind feed.Kind
		key  string
	}
	var live []told
	for _, e := range w.fed("live") {
		live = append(live, told{e.Kind, e.Key})
	}
	wantFed := []told{{feed.KindRevision, "live"}, {feed.KindOrganization, string(o.org)}, {feed.KindOrganization, string(o.org)},
		{feed.KindApplication, string(o.app)}, {feed.KindGrant, string(o.grant)}, {feed.KindCredential, string(o.credential)},
		{feed.KindGrant, string(o.grant)}, {feed.KindGrant, string(o.grant)}, {feed.KindCredential, string(o.credential)}, {feed.KindOrganization, string(o.org)}}
	if d := cmp.Diff(wantFed, live, cmp.AllowUnexported(told{})); d != "" {
		t.Errorf("feed of live: %s", d)
	}
	for _, e := range w.fed("test") {
		if e.Kind == feed.KindGrant || e.Kind == feed.KindCredential {
			t.Errorf("test is told of %s %s", e.Kind, e.Key)
		}
	}
	entries := w.fed("live")
	var cred feed.Credential
	if err := json.Unmarshal(entries[8].Payload, &cred); err != nil || cred.Live || cred.Ended != "revoked" || len(cred.Hash) != 32 {
		t.Errorf("the gateway is told %+v (%v)", cred, err)
	}
	var org feed.Organization
	if err := json.Unmarshal(entries[9].Payload, &org); err != nil || org.Live {
		t.Errorf("the gateway is told %+v (%v)", org, err)
	}
	report := must(w.VerifyAudit(w.ctx, w.auditor, ""))(t)
	if !report.OK || report.Entries < int64(len(want)) || report.Unsealed != 0 {
		t.Errorf("the log: %+v", report)
	}
}

// A refused call leaves nothing: no object, no audit entry, no change for gateways, no letter.
func TestRefusedCallsLeaveNothing(t *testing.T) {
	w := newWorld(t).published()
	a, o := w.story()
	b := w.partner("Second", "second@example.org")
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	count := func() (n [3]int) {
		if err := w.Deliver(w.ctx); err != nil {
			t.Fatal(err)
		}
		n[0], n[1], n[2] = len(w.entries(audit.Filter{})), len(w.fed("live")), len(w.box.Letters())
		return n
	}
	before := count()
	for name, call := range calls(w, o) {
		for _, who := range []identity.Actor{b, a, w.admin, {}} {
			if err := call(who); err == nil {
				before = count() // it did what it should: count anew
			}
		}
		if after := count(); after != before {
			t.Errorf("refused calls of %s left entries, changes and letters: %v, before %v", name, after, before)
			before = after
		}
	}
}

// A new environment hears of everybody who was there before it.
func TestNewEnvironmentHearsOfEverybody(t *testing.T) {
	w := newWorld(t).published()
	_, o := w.story()
	w.fed("live") // what is committed has its numbers
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live", "test", "late"}); err != nil {
		t.Fatal(err)
	}
	keys := map[id.ID]int{}
	for _, e := range w.fed("late") {
		keys[id.ID(e.Key)]++
	}
	if d := cmp.Diff(map[id.ID]int{o.org: 1, o.app: 1}, keys); d != "" {
		t.Error(d)
	}
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"late", "Not a name"}); err == nil {
		t.Error("a name that cannot be one was taken")
	}
	envs := must(w.Environments(w.ctx, w.admin))(t)
	if len(envs) != 3 || envs[2].Name != "late" {
		t.Errorf("environments %+v", envs)
	}
}

// A change without an audit entry is undone: the last guard, should somebody get past the others.
func TestChangeWithoutAnEntryIsUndone(t *testing.T) {
	w := newWorld(t)
	if err := w.ForgetEntry(w.ctx); err == nil {
		t.Fatal("it was kept")
	}
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		es, err := tx.Environments(w.ctx)
		if len(es) != 0 {
			t.Errorf("left are %v", es)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
