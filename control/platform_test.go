package control_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/store/sqldb"
)

func TestPublish(t *testing.T) {
	w := newWorld(t).published()
	again := must(w.Publish(w.ctx, w.operator, "live", bundle(), "again"))(t)
	if !again.Unchanged || again.Revision.Number != 1 || again.Revision.Note != "first" {
		t.Errorf("the same again: %+v", again)
	}
	broken := bundle()
	broken["gatehouse.yaml"] = []byte(strings.Replace(gatehouseYAML, "policies: [api_key, grant, rate_limit]", "policies: [grant, nonsense]", 1))
	out, err := w.Publish(w.ctx, w.operator, "live", broken, "")
	wants(t, "a broken one", err, fault.Invalid, "manifest")
	if len(fault.As(err).Fields) == 0 || !manifest.Fatal(out.Diagnostics) || out.Revision.Number != 0 {
		t.Errorf("it says %v and %+v", err, out)
	}
	_, err = w.Publish(w.ctx, w.operator, "staging", bundle(), "")
	if wrong(err) != "/environment" {
		t.Errorf("an environment that the manifest has not: %v", err)
	}
	other := bundle()
	other["gatehouse.yaml"] = []byte(strings.Replace(gatehouseYAML, "{name: live, title: Live}", "{name: elsewhere}", 1))
	_, err = w.Publish(w.ctx, w.operator, "elsewhere", other, "")
	wants(t, "an environment that is not here", err, fault.NotFound, "")

	second := bundle()
	second["gatehouse.yaml"] = []byte(gatehouseYAML + "# another\n")
	p := must(w.Publish(w.ctx, w.system, "live", second, "second\r\nline"))(t)
	if p.Revision.Number != 2 || p.Revision.Note != "second\nline" || p.Revision.By != "" {
		t.Errorf("published %+v", p.Revision)
	}
	rev, b, err := w.Revision(w.ctx, w.auditor, "live", 0)
	if err != nil || rev.Number != 2 {
		t.Fatalf("the newest is %d (%v)", rev.Number, err)
	}
	if d := cmp.Diff(second, b); d != "" {
		t.Error(d)
	}
	_, _, err = w.Revision(w.ctx, w.auditor, "live", 3)
	wants(t, "a revision that is not there", err, fault.NotFound, "")
	_, _, err = w.Revision(w.ctx, w.auditor, "staging", 0)
	wants(t, "of an environment that is not there", err, fault.NotFound, "")
	l := must(w.Revisions(w.ctx, w.auditor, "live", control.Page{Limit: 1}))(t)
	if len(l.Items) != 1 || l.Items[0].Number != 2 || l.Next != "2" {
		t.Errorf("first page %+v", l)
	}
	l = must(w.Revisions(w.ctx, w.auditor, "live", control.Page{Limit: 1, After: l.Next}))(t)
	if len(l.Items) != 1 || l.Items[0].Number != 1 || l.Next != "" {
		t.Errorf("second page %+v", l)
	}
}

func TestCheck(t *testing.T) {
	w := newWorld(t).staffed()
	for _, d := range must(w.Check(w.ctx, w.auditor, bundle()))(t) {
		if !d.Warning {
			t.Errorf("a good manifest: %s", d)
		}
	}
	b := bundle()
	b["gatehouse.yaml"] = []byte(strings.NewReplacer("policies: [api_key, grant, rate_limit]", "policies: [rate_limit]", "longest: 10d", "longest: never").Replace(gatehouseYAML))
	ds := must(w.Check(w.ctx, w.auditor, b))(t)
	if !manifest.Fatal(ds) {
		t.Errorf("a broken manifest: %v", ds)
	}
	for _, b := range []manifest.Bundle{nil, {}, {"x.yaml": []byte("\xff")}, {"../x.yaml": []byte("a: b")}} {
		if ds := must(w.Check(w.ctx, w.auditor, b))(t); !manifest.Fatal(ds) {
			t.Errorf("nonsense: %v", ds)
		}
	}
}

// enforce makes the view that a gateway of the environment would have: the newest revision, and the feed so far.
func (w *world) enforce(environment string) {
	w.t.Helper()
	p, ds := manifest.Parse(bundle())
	routes, more := snapshot.Compile(p, environment, 1, kinds(), policy.Deps{
		Limiter: func(string) *ratelimit.Limiter { return ratelimit.NewLimiter(10) },
		Secret:  func(string) (secret.Value, bool) { return secret.Value{}, false },
	})
	if manifest.Fatal(append(ds, more...)) {
		w.t.Fatal(ds, more)
	}
	access := snapshot.NewAccess(environment)
	var last feed.Entry
	for _, e := range w.fed(environment) {
		if err := access.Apply(e); err != nil {
			w.t.Fatal(err)
		}
		last = e
	}
	w.views[environment] = &snapshot.View{Routes: routes, Access: access}
	w.probers[environment] = &prober{name: "gw-" + environment, environment: environment, at: last.Position(), view: w.views[environment], now: w.clock.Now}
	err := w.Source().Acknowledge(w.ctx, feed.Receipt{Gateway: "gw-" + environment, Environment: environment, Position: last.Position(), Revision: 1, Desired: 1, At: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestReachIsWhatGatewaysEnforce(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	reach := func(environment string) []string {
		t.Helper()
		r := must(w.Reach(w.ctx, a, app.ID, environment))(t)
		out := []string{}
		for _, o := range r.Operations {
			if o.Grant != "" {
				out = append(out, o.Environment+" "+o.Operation)
			}
		}
		return out
	}
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	w.key(a, app, "live")
	if got := reach(""); len(got) != 0 {
		t.Errorf("before a gateway has heard of it: %v", got)
	}
	w.enforce("live")
	if d := cmp.Diff([]string{"live listChecks"}, reach("")); d != "" {
		t.Error(d)
	}
	if got := reach("test"); len(got) != 0 {
		t.Errorf("in test: %v", got)
	}
	r := must(w.Reach(w.ctx, a, app.ID, ""))(t)
	if r.Seq["live"] == 0 || r.At.IsZero() {
		t.Errorf("seq %v at %s", r.Seq, r.At)
	}
	_, err := w.Reach(w.ctx, a, app.ID, "staging")
	wants(t, "an environment that is not there", err, fault.NotFound, "")
	must(w.SuspendGrant(w.ctx, w.operator, g.ID, 0, "r"))(t)
	w.enforce("live")
	if got := reach("live"); len(got) != 0 {
		t.Errorf("while the grant is suspended: %v", got)
	}
	must(w.ResumeGrant(w.ctx, w.operator, g.ID, 0, "r"))(t)
	w.enforce("live")
	w.clock.pass(91 * 24 * time.Hour) // nothing is written: it ends by itself
	if got := reach("live"); len(got) != 0 {
		t.Errorf("after its end: %v", got)
	}
}

// What the decision counts as covered must be what the gateway lets through: both read the same manifest on their own ways.
func TestCoverageAgreesWithTheGateway(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "standard")))(t)
	var facts []string
	for _, o := range must(w.Facts(w.ctx, w.approver, r.ID))(t).Operations {
		facts = append(facts, o.ID)
	}
	must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true}))(t)
	w.key(a, app, "live")
	w.enforce("live")
	var reached []string
	for _, o := range must(w.Reach(w.ctx, a, app.ID, "live"))(t).Operations {
		if o.Grant != "" {
			reached = append(reached, o.Operation)
		}
	}
	if d := cmp.Diff(facts, reached); d != "" || len(facts) != 2 {
		t.Errorf("facts and reach differ: %s", d)
	}
}

func TestInForce(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	cr := w.key(a, app, "live")
	w.enforce("live")
	w.enforce("test")
	one := func() control.InForce {
		t.Helper()
		fs := must(w.InForce(w.ctx, a, cr.ID))(t)
		if len(fs) != 1 || fs[0].Environment != "live" {
			t.Fatalf("in force %+v", fs)
		}
		return fs[0]
	}
	if f := one(); f.Done != 1 || f.Gateways != 1 || f.Seq == 0 {
		t.Errorf("issued: %+v", f)
	}
	must(w.RevokeCredential(w.ctx, a, cr.ID, 0, "lost"))(t)
	if f := one(); f.Done != 0 || f.Gateways != 1 || f.Seq != 0 {
		t.Errorf("revoked and not numbered: %+v", f)
	}
	w.fed("live")
	if f := one(); f.Done != 0 || f.Seq == 0 || len(f.Waiting) != 1 {
		t.Errorf("revoked and not heard of: %+v", f)
	}
	w.clock.pass(40 * time.Millisecond)
	w.enforce("live")
	if f := one(); f.Done != 1 || f.Last < 40*time.Millisecond || f.Last > time.Second {
		t.Errorf("revoked and in force: %+v", f)
	}
	if fs := must(w.InForce(w.ctx, a, a.Organization))(t); len(fs) != 2 {
		t.Errorf("an organization is told in %d environments, want 2", len(fs))
	}
	_, err := w.InForce(w.ctx, a, a.Person)
	wants(t, "a person", err, fault.NotFound, "")
	envs := must(w.Environments(w.ctx, w.admin))(t)
	if len(envs[0].Gateways) != 1 || envs[0].URL != "https://gateway.test" || envs[0].Head.Seq == 0 {
		t.Errorf("status %+v", envs[0])
	}
	if envs := must(w.Environments(w.ctx, a))(t); len(envs[0].Gateways) != 0 {
		t.Error("a member sees the gateways")
	}
}

func TestAuditPages(t *testing.T) {
	w := newWorld(t).staffed()
	for i := range 6 {
		w.partner("Org "+string(rune('a'+i)), string(rune('a'+i))+"@example.org")
	}
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	all := must(w.Audit(w.ctx, w.auditor, audit.Filter{Action: "organization."}, control.Page{}))(t)
	var got []id.ID
	p := control.Page{Limit: 2}
	for {
		l := must(w.Audit(w.ctx, w.auditor, audit.Filter{Action: "organization."}, p))(t)
		for _, e := range l.Items {
			got = append(got, e.ID)
		}
		if p.After = l.Next; p.After == "" {
			break
		}
	}
	var want []id.ID
	for _, e := range all.Items {
		want = append(want, e.ID)
	}
	if d := cmp.Diff(want, got); d != "" || len(got) != 6 {
		t.Errorf("%d entries: %s", len(got), d)
	}
	for _, after := range []string{"x", "-1", "0", "99999999999999999999"} {
		_, err := w.Audit(w.ctx, w.auditor, audit.Filter{}, control.Page{After: after})
		if wrong(err) != "/after" {
			t.Errorf("after %q: %v", after, err)
		}
	}
	signed, verifier, err := w.Checkpoint(w.ctx, w.auditor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenCheckpoint(signed, verifier); err != nil {
		t.Errorf("the checkpoint: %v", err)
	}
	w.partner("Late", "late@example.org")
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	if r := must(w.VerifyAudit(w.ctx, w.auditor, signed))(t); !r.OK {
		t.Errorf("against a kept checkpoint: %+v", r)
	}
	if r, err := w.VerifyAudit(w.ctx, w.auditor, "made up"); err == nil && r.OK {
		t.Error("a checkpoint that nobody signed is fine")
	}
}

func TestBackup(t *testing.T) {
	w := newWorld(t).published()
	w.story()
	path := must(w.Backup(w.ctx, w.admin, "one.db"))(t)
	st, err := sqldb.OpenSQLite(w.ctx, path, sqldb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	_, err = w.Backup(w.ctx, w.admin, "one.db")
	wants(t, "the same name", err, fault.Conflict, "backup-exists")
	for _, bad := range []string{"../x", "a/b", "/etc/x", ".hidden", "..", strings.Repeat("x", 101), "x\x00y", "a\\b", "x\n"} {
		if _, err := w.Backup(w.ctx, w.admin, bad); wrong(err) != "/file" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	path = must(w.Backup(w.ctx, w.host, ""))(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 || filepath.Ext(path) != ".db" {
		t.Errorf("%s: %v %v", path, info.Mode(), err)
	}
	w.CheckBackup = func(context.Context, string) error { return errors.New("a page is torn") }
	if _, err := w.Backup(w.ctx, w.host, "torn.db"); err == nil || !strings.Contains(err.Error(), "a page is torn") {
		t.Errorf("a copy that is not whole: %v", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "torn.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left there: %v", err)
	}
	if es := w.entries(audit.Filter{Action: "backup."}); len(es) != 3 || es[0].Reason != "one.db" {
		t.Errorf("audit %v", actions(es))
	}
}

func TestRunSendsAndSeals(t *testing.T) {
	w := newWorld(t).published()
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	if err := w.Register(w.ctx, at("198.51.100.1"), registration("Acme", "dana@acme.example")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		letters := len(w.box.Letters())
		unsealed := must(w.VerifyAudit(w.ctx, w.host, ""))(t).Unsealed
		es, err := w.Source().Tail(w.ctx, "live", feed.Position{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if letters == 5 && unsealed == 0 && len(es) == 2 { // four of staff
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d letters, %d unsealed, %d feed entries", letters, unsealed, len(es))
		}
		<-time.After(2 * time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not end with its context")
	}
}
