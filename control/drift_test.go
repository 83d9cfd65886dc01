package control_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/emersion/go-smtp"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/kong"
	"gatehouse/fault"
	"gatehouse/mail"
)

const closedDeck = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\nplugins: [{name: key-auth, config: {key_in_query: false}}]\n"

// watchedWorld watches two gateways, whose files the test changes.
type watchedWorld struct {
	*world
	mu    sync.Mutex
	south string
	fails error
}

func (w *watchedWorld) set(south string, fails error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.south, w.fails = south, fails
}

func deck(name, text string, now time.Time) *drift.Environment {
	e, _ := kong.Read(fstest.MapFS{"kong.yaml": {Data: []byte(text)}}, drift.Options{Name: name, Tier: drift.Prod, Now: now})
	return e
}

func newWatched(t testing.TB, every time.Duration) *watchedWorld {
	w := &watchedWorld{world: newWorld(t).staffed(), south: closedDeck}
	w.Watch = &control.Watch{Names: []string{"north", "south", "west"}, Bundles: []string{"west"}, Every: every, Notify: []string{"watch@platform.example"},
		Review: func(_ context.Context, now time.Time, bundles map[string]*drift.Environment) (*drift.Result, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			envs := []*drift.Environment{deck("north", closedDeck, now), deck("south", w.south, now)}
			if b := bundles["west"]; b != nil {
				envs = append(envs, b)
			}
			return drift.Compare(envs, drift.Settings{Now: now}), w.fails
		},
		Unpack: func(name string, b []byte, now time.Time) (*drift.Environment, error) {
			if len(b) == 0 {
				return nil, fault.Bad("", "nothing is in it")
			}
			return deck(name, string(b), now), nil
		}}
	return w
}

func openDeck() string { return strings.Split(closedDeck, "plugins:")[0] }

// told are the subjects of letters to the watch.
func (w *watchedWorld) told() []mail.Letter {
	w.t.Helper()
	if err := w.Deliver(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(w.box.Letters(), func(l mail.Letter) bool { return l.To != "watch@platform.example" })
}

// TestDriftIsReviewedWhenItIsDue, by the clock, and letters tell of what is new and of nothing else: not of the first run, not of what was
// there before, not of what is waived.
func TestDriftIsReviewedWhenItIsDue(t *testing.T) {
	w := newWatched(t, time.Hour)
	due := func() int {
		t.Helper()
		if err := w.ReviewDue(w.ctx); err != nil {
			t.Fatal(err)
		}
		return len(must(w.DriftRuns(w.ctx, w.auditor))(t))
	}
	if n := due(); n != 1 {
		t.Fatalf("%d runs, want the first", n)
	}
	if n := due(); n != 1 {
		t.Errorf("%d runs, before it is due again", n)
	}
	if l := w.told(); len(l) != 0 {
		t.Errorf("the first run tells of %v", l)
	}
	w.set(openDeck(), nil)
	w.clock.pass(59 * time.Minute)
	if n := due(); n != 1 {
		t.Errorf("%d runs after 59 minutes", n)
	}
	w.clock.pass(time.Minute)
	if n := due(); n != 2 {
		t.Fatalf("%d runs after an hour", n)
	}
	l := w.told()
	if len(l) != 1 || !strings.Contains(l[0].Text, "DR-AUT-01, critical, in south") || !strings.Contains(l[0].Text, portalURL+"/drift") || !strings.Contains(l[0].Subject, "new findings") {
		t.Fatalf("%+v", l)
	}
	w.clock.pass(time.Hour)
	if due(); len(w.told()) != 1 {
		t.Error("what was there before is told again")
	}
	runs := must(w.DriftRuns(w.ctx, w.auditor))(t)
	if runs[0].Fresh != 0 || runs[1].Fresh == 0 || runs[0].By != "" || !strings.Contains(runs[0].Verdict, "without west") {
		t.Errorf("%+v", runs)
	}
	// It goes, is waived before it comes back, and comes back unsaid.
	must(w.WaiveDrift(w.ctx, w.operator, control.NewWaiver{Rule: "DR-AUT-01", Environment: "south", Owner: "Olga", Reason: "moves", Ends: w.clock.Now().AddDate(0, 1, 0)}))(t)
	for _, rule := range []string{"DR-EXP-02", "DR-AUT-21"} {
		must(w.WaiveDrift(w.ctx, w.operator, control.NewWaiver{Rule: rule, Owner: "Olga", Reason: "moves", Ends: w.clock.Now().AddDate(0, 1, 0)}))(t)
	}
	w.set(closedDeck, nil)
	w.clock.pass(time.Hour)
	due()
	w.set(openDeck(), nil)
	w.clock.pass(time.Hour)
	due()
	for _, m := range w.told()[1:] {
		if strings.Contains(m.Text, "DR-AUT-01") {
			t.Errorf("what is waived is told: %s", m.Text)
		}
	}
	if es := w.entries(audit.Filter{Action: "drift.review"}); len(es) != 5 || es[0].Actor != "system" {
		t.Errorf("audit %v", actions(es))
	}
}

// TestAReviewThatFails is told once, is shown, and is forgotten when one succeeds.
func TestAReviewThatFails(t *testing.T) {
	w := newWatched(t, time.Hour)
	w.set(closedDeck, fault.New(fault.Unavailable, "south: the Admin API cannot be reached"))
	for range 3 {
		if err := w.ReviewDue(w.ctx); err == nil {
			t.Fatal("it did not fail")
		}
		w.clock.pass(time.Minute)
	}
	if l := w.told(); len(l) != 1 || !strings.Contains(l[0].Text, "cannot be reached") {
		t.Errorf("%+v", l)
	}
	if d := must(w.Drift(w.ctx, w.auditor))(t); !strings.Contains(d.Failure.Why, "cannot be reached") || d.Failure.At.IsZero() || len(d.Trend) != 0 {
		t.Errorf("%+v", d.Failure)
	}
	w.set(closedDeck, nil)
	if err := w.ReviewDue(w.ctx); err != nil {
		t.Fatal(err)
	}
	if d := must(w.Drift(w.ctx, w.auditor))(t); d.Failure.Why != "" || d.Run == nil {
		t.Errorf("%+v", d)
	}
	w.set(closedDeck, errors.New("a bug"))
	w.clock.pass(time.Hour)
	_ = w.ReviewDue(w.ctx)
	if l := w.told(); len(l) != 2 || strings.Contains(l[1].Text, "a bug") {
		t.Errorf("it fails again: %+v", l)
	}
}

// TestUploadDrift: keepers upload, what was read is kept, counts from the next review on, and is audited; what cannot be read is refused.
func TestUploadDrift(t *testing.T) {
	w := newWatched(t, 0)
	for name, a := range map[string]func() error{
		"an auditor":            func() error { _, err := w.UploadDrift(w.ctx, w.auditor, "west", []byte(closedDeck)); return err },
		"an approver":           func() error { _, err := w.UploadDrift(w.ctx, w.approver, "west", []byte(closedDeck)); return err },
		"another environment":   func() error { _, err := w.UploadDrift(w.ctx, w.operator, "south", []byte(closedDeck)); return err },
		"what is not a bundle":  func() error { _, err := w.UploadDrift(w.ctx, w.operator, "west", nil); return err },
		"an environment of air": func() error { _, err := w.UploadDrift(w.ctx, w.operator, "up\x00", []byte(closedDeck)); return err },
	} {
		if err := a(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if d := must(w.Drift(w.ctx, w.auditor))(t); !slices.Equal(d.Awaited, []string{"west"}) || len(d.Bundles) != 0 {
		t.Errorf("%+v", d)
	}
	must(w.ReviewDrift(w.ctx, w.operator))(t)
	b := must(w.UploadDrift(w.ctx, w.operator, "west", []byte(openDeck())))(t)
	if b.Environment != "west" || b.By != w.operator.Person || b.Bytes != int64(len(openDeck())) || len(b.Digest) != 64 {
		t.Errorf("%+v", b)
	}
	run := must(w.ReviewDrift(w.ctx, w.operator))(t)
	if len(run.Result.Environments) != 3 || run.Fresh == 0 {
		t.Errorf("%d environments, %d new findings", len(run.Result.Environments), run.Fresh)
	}
	must(w.UploadDrift(w.ctx, w.host, "west", []byte(closedDeck)))(t)
	if run = must(w.ReviewDrift(w.ctx, w.operator))(t); slices.ContainsFunc(run.Result.Open(), func(f drift.Finding) bool { return f.Rule == "DR-AUT-01" }) {
		t.Error("the bundle before counts still")
	}
	d := must(w.Drift(w.ctx, w.auditor))(t)
	if len(d.Awaited) != 0 || len(d.Bundles) != 1 || d.Bundles[0].Seen != nil || d.Bundles[0].By != "" {
		t.Errorf("%+v", d.Bundles)
	}
	if es := w.entries(audit.Filter{Action: "drift.upload"}); len(es) != 2 || es[0].Environment != "west" || strings.Contains(string(es[0].After), "key-auth") {
		t.Errorf("audit %v", actions(es))
	}
}

// sink is a real SMTP server that keeps what it takes.
type sink struct {
	mu    sync.Mutex
	taken []string
}

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{s: s}, nil }

type session struct {
	s  *sink
	to string
}

func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Reset()                                    {}
func (s *session) Logout() error                             { return nil }
func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.taken = append(s.s.taken, s.to+"\n"+string(b))
	return err
}

func (s *sink) letters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.taken), func(l string) bool { return !strings.HasPrefix(l, "watch@") })
}

// TestTheLoopReviewsAndWrites: everything as it runs by itself, from the clock over the review to a mail server.
func TestTheLoopReviewsAndWrites(t *testing.T) {
	w := newWatched(t, 10*time.Millisecond) // by the ticker; when it is due is a matter of the test's clock
	server := &sink{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := smtp.NewServer(server)
	srv.Domain = "localhost"
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-served }()
	out, err := mail.NewSMTP(mail.SMTPOptions{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "gatehouse@platform.example", TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	w.Mail = out
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() { stop(); <-ended }()
	wait := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s did not come", what)
			}
			w.clock.pass(time.Second)
		}
	}
	runs := func() int { return len(must(w.DriftRuns(w.ctx, w.auditor))(t)) }
	wait("the first run", func() bool { return runs() > 0 })
	w.set(openDeck(), nil)
	wait("the letter", func() bool { return len(server.letters()) > 0 })
	if got := server.letters()[0]; !strings.Contains(got, "Drift review:") || !strings.Contains(got, "DR-AUT-01") {
		t.Errorf("%s", got)
	}
}
