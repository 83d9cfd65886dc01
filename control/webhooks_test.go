package control_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/fetch"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/webhook"
)

// receiver is a partner's server that is told of events.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	heads  []http.Header
	bodies [][]byte
}

func (w *world) receiver() *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		b, _ := io.ReadAll(in.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heads, r.bodies = append(r.heads, in.Header), append(r.bodies, b)
		out.WriteHeader(r.status)
	}))
	c := fetch.New(fetch.Options{Plain: true, Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	w.Control.Fetch = c
	w.t.Cleanup(func() { c.Close(); r.Close() })
	return r
}

// types is what the receiver was told, oldest first, each checked against the secret.
func (w *world) types(r *receiver, secrets ...secret.Value) []string {
	w.t.Helper()
	if err := control.DeliverWebhooks(w.ctx, w.Control); err != nil {
		w.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []string{}
	for i, h := range r.heads {
		var e webhook.Event
		if err := json.Unmarshal(r.bodies[i], &e); err != nil {
			w.t.Fatal(err)
		}
		for _, s := range secrets {
			if err := webhook.Verify(h.Get("webhook-id"), h.Get("webhook-timestamp"), h.Get("webhook-signature"), r.bodies[i], s, w.clock.Now()); err != nil {
				w.t.Errorf("%s: %v", e.Type, err)
			}
		}
		out = append(out, e.Type)
	}
	slices.Sort(out)
	r.heads, r.bodies = nil, nil
	return out
}

func TestWebhooksAreToldOfTheLifecycle(t *testing.T) {
	w := newWorld(t).published()
	r := w.receiver()
	a, b := w.verified("First", "first@example.org"), w.verified("Second", "second@example.org")
	e, s, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: r.URL, Kinds: []string{"grant", "credential"}})
	if err != nil {
		t.Fatal(err)
	}
	app, other := w.application(a, "app"), w.application(b, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	must(w.RequestAccess(w.ctx, b, ask(other, "live", "reading", "free")))(t)
	w.key(a, app, "live")
	must(w.SuspendGrant(w.ctx, w.operator, g.ID, 0, "odd"))(t)
	if got, want := w.types(r, s), []string{"credential.issue", "grant.create", "grant.suspend"}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	for _, l := range w.box.Letters() {
		if strings.Contains(l.Text, s.Reveal()) {
			t.Error("a letter holds the secret")
		}
	}
	_, fresh, err := w.RotateWebhookSecret(w.ctx, a, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	must(w.ResumeGrant(w.ctx, w.operator, g.ID, 0, "fine"))(t)
	if got := w.types(r, s, fresh); len(got) != 1 { // both sign in the overlap
		t.Errorf("told %v", got)
	}
	w.clock.pass(25 * time.Hour)
	must(w.EndGrant(w.ctx, a, g.ID, 0, "done"))(t)
	if err := control.DeliverWebhooks(w.ctx, w.Control); err != nil {
		t.Fatal(err)
	}
	h := r.heads[0]
	if webhook.Verify(h.Get("webhook-id"), h.Get("webhook-timestamp"), h.Get("webhook-signature"), r.bodies[0], s, w.clock.Now()) == nil {
		t.Error("the old secret still signs after its overlap")
	}
	if got := w.types(r, fresh); !slices.Equal(got, []string{"grant.end"}) {
		t.Errorf("told %v", got)
	}
}

func TestAWebhookThatFailsIsTriedAgainGivenUpAndSentAgain(t *testing.T) {
	w := newWorld(t).published()
	r := w.receiver()
	a := w.verified("First", "first@example.org")
	e, s, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: r.URL, Kinds: []string{"application"}})
	if err != nil {
		t.Fatal(err)
	}
	r.status = http.StatusInternalServerError
	w.application(a, "app")
	tries, message := 0, ""
	for range 12 {
		if err := control.DeliverWebhooks(w.ctx, w.Control); err != nil {
			t.Fatal(err)
		}
		if n := len(r.heads); n > 0 {
			if message != "" && r.heads[0].Get("webhook-id") != message {
				t.Error("another try has another webhook-id")
			}
			message = r.heads[0].Get("webhook-id")
		}
		tries += len(r.heads)
		r.heads, r.bodies = nil, nil
		w.clock.pass(24*time.Hour + time.Minute)
	}
	if tries != 10 {
		t.Errorf("%d tries, want 10", tries)
	}
	dead := must(w.DeadDeliveries(w.ctx, a, e.ID, control.Page{}))(t).Items
	if len(dead) != 1 || dead[0].Type != "application.create" || !strings.Contains(dead[0].Problem, "500") {
		t.Fatalf("given up: %+v", dead)
	}
	r.status = http.StatusOK
	if err := w.ResendDelivery(w.ctx, a, e.ID, dead[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := w.types(r, s); !slices.Equal(got, []string{"application.create"}) {
		t.Errorf("sent again: %v", got)
	}
	wants(t, "once more", w.ResendDelivery(w.ctx, a, e.ID, dead[0].ID), fault.NotFound, "")
	r.status = http.StatusGone
	w.application(a, "second")
	w.types(r, s)
	if now := must(w.Webhook(w.ctx, a, e.ID))(t); now.State != webhook.Paused || !strings.Contains(now.Reason, "410") {
		t.Errorf("after 410 it is %s: %s", now.State, now.Reason)
	}
	must(w.ChangeWebhook(w.ctx, a, e.ID, 0, webhook.Ended))(t)
	_, err = w.Webhook(w.ctx, a, e.ID)
	wants(t, "an ended one", err, fault.NotFound, "")
}

func TestAWebhookIsNotLedInside(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	for _, u := range []string{"http://example.org/", "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/latest", "https://[::1]/", "https://10.0.0.1/",
		"https://u:p@example.org/", "file:///etc/passwd", "", "https://example.org/" + strings.Repeat("a", 600)} {
		_, _, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: u})
		wants(t, u, err, fault.Invalid, "")
	}
	_, _, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: "https://example.org/", Kinds: []string{"session"}})
	wants(t, "what is nobody's business", err, fault.Invalid, "")
	for range 10 {
		if _, _, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: "https://example.org/hook"}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = w.AddWebhook(w.ctx, a, control.NewWebhook{URL: "https://example.org/hook"})
	wants(t, "an eleventh", err, fault.Conflict, "too-many-webhooks")
}

// Notices come 30, 7 and 1 days before an end, each once, whatever process writes them.
func TestNoticesOfEnds(t *testing.T) {
	w := newWorld(t).published()
	r := w.receiver()
	a := w.verified("First", "first@example.org")
	dora := w.member(a, "dora@example.org", identity.Developer)
	_, s, err := w.AddWebhook(w.ctx, w.operator, control.NewWebhook{URL: r.URL, Kinds: []string{"grant", "credential"}})
	if err != nil {
		t.Fatal(err)
	}
	notify := func() {
		t.Helper()
		for range 2 { // the second time nothing is left to tell
			if err := control.Notify(w.ctx, w.Control); err != nil {
				t.Fatal(err)
			}
		}
	}
	notify()
	app := w.application(dora, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, dora, ask(app, "live", "reading", "free")))(t)) // 90 days
	w.key(dora, app, "live")                                                              // 30 days
	w.types(r)
	day := func(n int) map[string]int {
		t.Helper()
		w.clock.pass(time.Duration(n) * 24 * time.Hour)
		notify()
		got := map[string]int{}
		for _, k := range w.types(r, s) {
			got[k]++
		}
		return got
	}
	told := func(to string) int {
		n := 0
		for _, l := range w.letters(to) {
			if strings.HasPrefix(l, "Ends on ") {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		pass, grants, keys, dora, owner int // letters so far
	}{
		{1, 0, 0, 0, 0},  // day 1
		{21, 0, 0, 0, 0}, // day 22: the key has 8 days left
		{2, 0, 1, 1, 0},  // day 24: the key's 7 days
		{6, 0, 1, 2, 1},  // day 30 less moments: the key's last day, and the owners hear of it
		{31, 1, 0, 3, 1}, // day 61: the grant's 30 days
		{23, 1, 0, 4, 1}, // day 84: 7
		{1, 0, 0, 4, 1},  // day 85
		{4, 1, 0, 5, 2},  // day 89: 1
		{9, 0, 0, 5, 2},  // over
	} {
		if c.pass == 31 {
			w.clock.pass(time.Hour)
		}
		if c.pass == 6 {
			w.clock.pass(-time.Hour)
		}
		got := day(c.pass)
		if got["grant.ending"] != c.grants || got["credential.ending"] != c.keys || told("dora@example.org") != c.dora || told("first@example.org") != c.owner {
			t.Errorf("%s: told %v, letters %d and %d, want %+v", w.clock.Now(), got, told("dora@example.org"), told("first@example.org"), c)
		}
	}
}

// An organization that is offboarded is told of it, although the first try fails, and of nothing after it; its endpoint has ended.
func TestWebhooksEndWithTheirOrganization(t *testing.T) {
	w := newWorld(t).published()
	r := w.receiver()
	a := w.verified("First", "first@example.org")
	e, s, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: r.URL, Kinds: []string{"organization"}})
	if err != nil {
		t.Fatal(err)
	}
	must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	w.types(r, s)
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.enforce("live")
	w.enforce("test")
	r.status = http.StatusInternalServerError
	if err := w.Tend(w.ctx); err != nil {
		t.Fatal(err)
	}
	if o := must(w.Organization(w.ctx, w.operator, a.Organization))(t); o.State != organization.Offboarded {
		t.Fatalf("the organization is %s", o.State)
	}
	if _, err := w.Webhook(w.ctx, w.operator, e.ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("the endpoint is still one: %v", err)
	}
	w.types(r, s) // which fails
	r.status = http.StatusOK
	w.clock.pass(time.Hour)
	if got := w.types(r, s); !slices.Contains(got, "organization.offboard-complete") {
		t.Errorf("in the end it is told %v", got)
	}
	must(w.Organization(w.ctx, w.operator, a.Organization))(t)
	w.clock.pass(4 * 24 * time.Hour)
	if got := w.types(r, s); len(got) > 0 {
		t.Errorf("after its end it is told %v", got)
	}
}
