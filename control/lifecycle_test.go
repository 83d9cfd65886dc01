package control_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// keyed is a partner with an application, a grant in live and a key.
func (w *world) keyed(name, email string) (identity.Actor, credential.Credential, secret.Value) {
	w.t.Helper()
	a := w.verified(name, email)
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(w.t))
	cr, key, err := w.IssueKey(w.ctx, a, control.NewKey{Application: app.ID, Environment: "live", Name: "server", Sources: []string{"203.0.113.0/24"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a, cr, key
}

func TestRotateKey(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	_, _, _, err := w.RotateKey(w.ctx, a, cr.ID, control.Rotation{Overlap: 91 * 24 * time.Hour, Lifetime: time.Second})
	if got := wrong(err); got != "/overlap /lifetime" {
		t.Errorf("wrong are %q: %v", got, err)
	}
	_, _, _, err = w.RotateKey(w.ctx, a, cr.ID, control.Rotation{Version: cr.Version + 1})
	wants(t, "another version", err, fault.Stale, "")
	fresh, old, key, err := w.RotateKey(w.ctx, a, cr.ID, control.Rotation{Overlap: 2*time.Hour + time.Second, Once: "form"})
	if err != nil {
		t.Fatal(err)
	}
	k, ok := credential.ParseKey([]byte(key.Reveal()))
	if !ok || string(k.Public) != fresh.PublicID || fresh.Replaces != cr.ID || fresh.Name != "server" || len(fresh.Sources) != 1 || fresh.State != credential.Active {
		t.Errorf("the new one: %+v", fresh)
	}
	now := w.clock.Now()
	if old.State != credential.Retiring || old.RetireAt.Second() != 0 || old.RetireAt.Sub(now) < 2*time.Hour-time.Minute || old.RetireAt.Sub(now) > 2*time.Hour+time.Minute {
		t.Errorf("the old one retires at %s, now is %s", old.RetireAt, now)
	}
	_, _, _, err = w.RotateKey(w.ctx, a, cr.ID, control.Rotation{Once: "form"})
	wants(t, "the same form", err, fault.Conflict, "already-issued")
	_, _, _, err = w.RotateKey(w.ctx, a, cr.ID, control.Rotation{})
	wants(t, "a second time", err, fault.Conflict, "")
	at, _, _, err := w.RotateKey(w.ctx, a, fresh.ID, control.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	if was := must(w.Credential(w.ctx, a, fresh.ID))(t); was.Live(w.clock.Now()) || at.Replaces != fresh.ID {
		t.Errorf("without an overlap the old one ends at once: %+v", was)
	}
	// The gateways are told when the old one ends.
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range must(w.Source().Tail(w.ctx, "live", feed.Position{Epoch: 1}, 500))(t) {
		if e.Key == string(cr.ID) && strings.Contains(string(e.Payload), old.RetireAt.Format(time.RFC3339)) {
			found = true
		}
	}
	if !found {
		t.Error("no entry of the feed says when the old one retires")
	}
}

func TestSuspendAndBack(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	cr = must(w.SuspendCredential(w.ctx, a, cr.ID, cr.Version, "laptop lost"))(t)
	cr = must(w.ResumeCredential(w.ctx, a, cr.ID, cr.Version, "found"))(t)
	cr = must(w.SuspendCredential(w.ctx, w.operator, cr.ID, cr.Version, "odd calls"))(t)
	_, err := w.ResumeCredential(w.ctx, a, cr.ID, 0, "please")
	wants(t, "what the platform holds", err, fault.Forbidden, "held")
	if cr = must(w.ResumeCredential(w.ctx, w.operator, cr.ID, 0, "explained"))(t); !cr.Live(w.clock.Now()) {
		t.Errorf("%+v", cr)
	}
	_, err = w.SuspendCredential(w.ctx, a, cr.ID, 0, " ")
	if got := wrong(err); got != "/reason" {
		t.Errorf("without a reason: %v", err)
	}
}

func TestPendingKeyIsActivated(t *testing.T) {
	w := newWorld(t).published()
	a, first, _ := w.keyed("First", "first@example.org")
	cr, _, err := w.IssueKey(w.ctx, a, control.NewKey{Application: first.Application, Environment: "live", Name: "for later", Pending: true})
	if err != nil || cr.State != credential.Pending || cr.Live(w.clock.Now()) {
		t.Fatalf("%+v %v", cr, err)
	}
	if cr = must(w.ActivateCredential(w.ctx, a, cr.ID, cr.Version))(t); !cr.Live(w.clock.Now()) {
		t.Errorf("%+v", cr)
	}
	_, err = w.ActivateCredential(w.ctx, a, cr.ID, 0)
	wants(t, "twice", err, fault.Conflict, "")
}

func TestChangeCredential(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	name, sources := "build server", []string{"198.51.100.9", "2001:db8::/32"}
	cr = must(w.ChangeCredential(w.ctx, a, cr.ID, cr.Version, control.CredentialChange{Name: &name, Sources: &sources}))(t)
	if cr.Name != name || len(cr.Sources) != 2 || cr.Sources[0] != "198.51.100.9/32" {
		t.Errorf("%+v", cr)
	}
	none := []string{}
	if cr = must(w.ChangeCredential(w.ctx, a, cr.ID, 0, control.CredentialChange{Sources: &none}))(t); cr.Name != name || len(cr.Sources) != 0 {
		t.Errorf("%+v", cr)
	}
	bad := []string{"10.0.0.0/8", "10.0.0.1/8"}
	_, err := w.ChangeCredential(w.ctx, a, cr.ID, 0, control.CredentialChange{Sources: &bad})
	if got := wrong(err); got != "/sources/1" {
		t.Errorf("%v", err)
	}
	must(w.RevokeCredential(w.ctx, a, cr.ID, 0, "over"))(t)
	_, err = w.ChangeCredential(w.ctx, a, cr.ID, 0, control.CredentialChange{Name: &name})
	wants(t, "what is over", err, fault.Conflict, "")
}

func TestReportLeak(t *testing.T) {
	w := newWorld(t).published()
	a, cr, key := w.keyed("First", "first@example.org")
	before := len(w.letters("first@example.org"))
	report := func(l control.Leak) {
		t.Helper()
		if err := w.ReportLeak(w.ctx, at("192.0.2.1"), l); err != nil {
			t.Fatal(err)
		}
	}
	stranger, _, _ := credential.NewKey("live")
	report(control.Leak{Found: stranger.Reveal(), Revoke: true})
	report(control.Leak{Found: "nothing of ours", Revoke: true})
	// The public part alone, with a secret and checksum of somebody else's making, proves nothing.
	if got := must(w.Credential(w.ctx, a, cr.ID))(t); !got.Live(w.clock.Now()) || !got.Leaked.IsZero() {
		t.Fatalf("%+v", got)
	}
	report(control.Leak{Found: "KEY=" + key.Reveal() + "\n", Where: "a public repository"})
	got := must(w.Credential(w.ctx, a, cr.ID))(t)
	if !got.Live(w.clock.Now()) || got.Leaked.IsZero() {
		t.Errorf("told but not revoked: %+v", got)
	}
	report(control.Leak{Found: key.Reveal()})
	if n := len(w.letters("first@example.org")) - before; n != 1 {
		t.Errorf("%d letters, want one for two reports", n)
	}
	report(control.Leak{Found: key.Reveal(), Revoke: true})
	if got = must(w.Credential(w.ctx, a, cr.ID))(t); got.State != credential.Revoked {
		t.Errorf("%+v", got)
	}
	if n := len(w.letters("first@example.org")) - before; n != 2 {
		t.Errorf("%d letters, want two", n)
	}
	for _, l := range w.box.Letters() {
		if strings.Contains(l.Text, key.Reveal()) || strings.Contains(l.Text, "a public repository") {
			t.Errorf("the letter tells the key, or what a stranger wrote: %s", l.Text)
		}
	}
	var err error
	for range 100 {
		if err = w.ReportLeak(w.ctx, at("192.0.2.1"), control.Leak{Found: "x"}); err != nil {
			break
		}
	}
	wants(t, "a hundred reports", err, fault.Limited, "too-many-tries")
	err = w.ReportLeak(w.ctx, at("192.0.2.2"), control.Leak{Found: strings.Repeat("x", 65<<10)})
	if got := wrong(err); got != "/found" {
		t.Errorf("%v", err)
	}
}

func TestUses(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	b, _, _ := w.keyed("Second", "second@example.org")
	when := w.clock.Now().UTC().Truncate(time.Microsecond)
	batch := func(number int64, us ...feed.Use) feed.Batch {
		return feed.Batch{Gateway: "gw-1", Environment: "live", Life: "a", Number: number, Kind: feed.BatchUses, Body: must(json.Marshal(us))(t)}
	}
	once := batch(1, feed.Use{Credential: cr.ID, API: "ident", Operation: "listChecks", Count: 7, Last: when, Address: "203.0.113.9"})
	for range 3 { // the answer was lost twice
		if err := w.Source().Ship(w.ctx, once); err != nil {
			t.Fatal(err)
		}
	}
	late := once
	late.Number = 3
	wants(t, "a batch after one that never came", w.Source().Ship(w.ctx, late), fault.Conflict, "batch-gap")
	late.Kind = "of another release"
	wants(t, "a kind of a later release", w.Source().Ship(w.ctx, late), fault.Invalid, "batch-unknown")
	if us := must(w.Uses(w.ctx, a, cr.ID))(t); len(us) != 1 || us[0].Count != 7 || us[0].Gateway != "gw-1" || !us[0].Last.Equal(when) {
		t.Errorf("%+v", us)
	}
	if l := must(w.LastUses(w.ctx, a, []id.ID{cr.ID}))(t); l[cr.ID].Address != "203.0.113.9" {
		t.Errorf("%+v", l)
	}
	if l := must(w.LastUses(w.ctx, b, []id.ID{cr.ID}))(t); len(l) != 0 {
		t.Errorf("another organization sees %+v", l)
	}
	names := []id.ID{cr.Application, cr.Application, cr.Organization, cr.CreatedBy, cr.ID, "app_x", ""}
	if n := must(w.Named(w.ctx, a, names))(t); n.Applications[cr.Application].ID != cr.Application || n.Organizations[cr.Organization].ID != cr.Organization || n.People[cr.CreatedBy].ID != cr.CreatedBy || len(n.Applications)+len(n.Organizations)+len(n.People) != 3 {
		t.Errorf("names are %+v", n)
	}
	if n := must(w.Named(w.ctx, b, names))(t); len(n.Applications)+len(n.Organizations)+len(n.People) != 0 {
		t.Errorf("another organization is told %+v", n)
	}
	for _, u := range []feed.Use{{Credential: "x", Count: 1, Last: when}, {Credential: cr.ID, Last: when}, {Credential: cr.ID, Count: 1}, {Credential: cr.ID, Grant: cr.ID, Count: 1, Last: when}} {
		wants(t, "a bad report", w.Source().Ship(w.ctx, batch(2, u)), fault.Invalid, "")
	}
	dormant := func() int { return len(must(w.Dormant(w.ctx, a, "", "", 24*time.Hour, control.Page{}))(t).Items) }
	if n := dormant(); n != 0 {
		t.Errorf("%d dormant at once", n)
	}
	w.clock.pass(25 * time.Hour)
	if n := dormant(); n != 1 {
		t.Errorf("%d dormant after a day", n)
	}
	_, err := w.Dormant(w.ctx, a, "", "", time.Second, control.Page{})
	if got := wrong(err); got != "/dormant" {
		t.Errorf("%v", err)
	}
}

// What a gateway has counted is told to whoever may see the application, by time, and counts once.
func TestUsage(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	b, _, _ := w.keyed("Second", "second@example.org")
	now := w.clock.Now().UTC()
	ship := func(number int64, c feed.Calls) error {
		return w.Source().Ship(w.ctx, feed.Batch{Gateway: "gw-1", Environment: "live", Life: "a", Number: number, Kind: feed.BatchCalls, Body: must(json.Marshal(c))(t)})
	}
	count := func(at time.Time, status int, calls int64) feed.Count {
		return feed.Count{Minute: at.Unix() / 60, Application: cr.Application, API: "ident", Operation: "listChecks", Status: status, Calls: calls}
	}
	for range 2 { // the answer was lost
		if err := ship(1, feed.Calls{Counts: []feed.Count{count(now, 200, 7), count(now, 429, 2), count(now.Add(-48*time.Hour), 200, 5), count(now.Add(365*24*time.Hour), 200, 3)}, Lost: 4}); err != nil {
			t.Fatal(err)
		}
	}
	u := must(w.Usage(w.ctx, a, cr.Application, "live", "", time.Time{}, time.Time{}))(t)
	total := int64(0)
	for _, c := range u.Counts {
		total += c.Calls
	}
	if total != 14 || u.Lost != 7 || u.By != "day" || u.Cut {
		t.Errorf("%+v", u)
	}
	if u := must(w.Usage(w.ctx, a, cr.Application, "", "hour", now.Add(-time.Hour), now.Add(time.Minute)))(t); len(u.Counts) != 2 || u.Counts[0].Calls != 7 || u.Counts[1].Status != 429 {
		t.Errorf("%+v", u)
	}
	_, err := w.Usage(w.ctx, b, cr.Application, "", "", time.Time{}, time.Time{})
	wants(t, "another organization", err, fault.NotFound, "")
	_, err = w.Usage(w.ctx, a, cr.Application, "", "minute", now.Add(-24*time.Hour), now)
	if got := wrong(err); got != "/from" {
		t.Errorf("%v", err)
	}
	for _, c := range []feed.Count{{Application: "x", Calls: 1}, {Application: cr.Application}, {Application: cr.Application, Calls: 1, Status: 1000}} {
		wants(t, "a bad count", ship(2, feed.Calls{Counts: []feed.Count{c}}), fault.Invalid, "")
	}
}
