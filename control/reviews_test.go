package control_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
	"gatehouse/store"
)

const day = 24 * time.Hour

// reviewed is a world with a partner whose developer asked for a grant that people approved, and an API owner.
type reviewed struct {
	*world
	owner, developer, api identity.Actor
	grant                 grant.Grant
	key                   credential.Credential
}

func newReviewed(t *testing.T) *reviewed { t.Helper(); return newReviewedIn(newWorld(t)) }

func newReviewedIn(w *world) *reviewed {
	t := w.t
	t.Helper()
	w.published()
	r := &reviewed{world: w, owner: w.verified("First", "first@example.org"), api: w.staff("ann@platform.example", identity.APIOwner.AtAPI("ident"))}
	r.developer = w.member(r.owner, "dora@example.org", identity.Developer)
	app := w.application(r.owner, "app")
	q := must(w.RequestAccess(w.ctx, r.developer, ask(app, "live", "checking", "standard")))(t)
	r.grant = w.grantOf(must(w.Decide(w.ctx, w.approver, q.ID, 0, control.Answer{Approve: true}))(t))
	r.key = w.key(r.developer, app, "live")
	return r
}

func (r *reviewed) start(n control.NewReview) review.Review {
	r.t.Helper()
	if n.Name == "" {
		n.Name = "autumn"
	}
	if n.Ends.IsZero() {
		n.Ends = r.clock.Now().Add(10 * day)
	}
	return must(r.StartReview(r.ctx, r.operator, n))(r.t)
}

func (r *reviewed) item(v review.Review) review.Item {
	r.t.Helper()
	l := must(r.ReviewItems(r.ctx, r.auditor, control.ItemFilter{Review: v.ID}, control.Page{}))(r.t).Items
	if len(l) != 1 {
		r.t.Fatalf("%d items, want 1", len(l))
	}
	return l[0]
}

func (r *reviewed) tend() {
	r.t.Helper()
	if err := r.Tend(r.ctx); err != nil {
		r.t.Fatal(err)
	}
}

// used writes that the key was used.
func (r *reviewed) used(op string, n int64) {
	r.t.Helper()
	err := r.store.Update(r.ctx, func(tx store.Tx) error {
		return tx.AddUses(r.ctx, []credential.Use{{Credential: r.key.ID, Grant: r.grant.ID, API: "ident", Operation: op, Count: n, Last: r.clock.Now().UTC().Truncate(time.Microsecond), Gateway: "gw-live", Address: "198.51.100.9"}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestReviewAsksWithEvidence(t *testing.T) {
	r := newReviewed(t)
	r.used("listChecks", 7)
	dry := must(r.StartReview(r.ctx, r.operator, control.NewReview{Name: "try", Ends: r.clock.Now().Add(day), DryRun: true}))(t)
	if dry.ID != "" || dry.Items != 1 {
		t.Errorf("tried out: %+v", dry)
	}
	v := r.start(control.NewReview{Once: "form"})
	if again := r.start(control.NewReview{Once: "form"}); again.ID != v.ID {
		t.Error("the same form started two")
	}
	i := r.item(v)
	f := i.Facts
	if f.Calls != 7 || f.Last.IsZero() || !f.UsedKnown || f.RequestedBy != r.developer.Person || f.Renewal != "" {
		t.Errorf("facts %+v", f)
	}
	for what, d := range map[string]string{
		"scopes": cmp.Diff([]string{"checks:read", "checks:write"}, f.Scopes), "used": cmp.Diff([]string{"checks:read"}, f.Used),
		"operations": cmp.Diff([]string{"ident/listChecks"}, f.Operations), "credentials": cmp.Diff([]id.ID{r.key.ID}, f.Credentials),
		"approved by": cmp.Diff([]id.ID{r.approver.Person}, f.ApprovedBy), "reviewers": cmp.Diff([]id.ID{r.owner.Person, r.api.Person}, i.Reviewers),
	} {
		if d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	for _, to := range []string{r.owner.Email, "ann@platform.example"} {
		if l := r.letters(to); l[len(l)-1] != "Grants wait for your review" {
			t.Errorf("letters to %s: %v", to, l)
		}
	}
	// Another campaign leaves it out, and so has nothing to ask.
	_, err := r.StartReview(r.ctx, r.operator, control.NewReview{Name: "second", Ends: r.clock.Now().Add(day)})
	wants(t, "a second one", err, fault.Conflict, "nothing-to-review")
}

func TestReviewSelects(t *testing.T) {
	r := newReviewed(t)
	r.used("listChecks", 1)
	r.clock.pass(40 * day)
	now := r.clock.Now()
	for name, c := range map[string]struct {
		s    review.Selection
		want int
	}{
		"everything":             {review.Selection{}, 1},
		"its API":                {review.Selection{API: "ident"}, 1},
		"another API":            {review.Selection{API: "payments"}, 0},
		"its product":            {review.Selection{Product: "checking"}, 1},
		"another product":        {review.Selection{Product: "reading"}, 0},
		"its organization":       {review.Selection{Organization: r.owner.Organization}, 1},
		"its environment":        {review.Selection{Environment: "live"}, 1},
		"another environment":    {review.Selection{Environment: "test"}, 0},
		"older than 30 days":     {review.Selection{OlderThan: 30 * 86400}, 1},
		"older than 50 days":     {review.Selection{OlderThan: 50 * 86400}, 0},
		"dormant for 30 days":    {review.Selection{Dormant: 30 * 86400}, 1},
		"dormant for 50 days":    {review.Selection{Dormant: 50 * 86400}, 0},
		"expiring within a year": {review.Selection{Expiring: now.Add(366 * day)}, 1},
		"expiring within a week": {review.Selection{Expiring: now.Add(7 * day)}, 0},
		"all at once":            {review.Selection{API: "ident", Product: "checking", Environment: "live", OlderThan: 86400, Dormant: 86400}, 1},
	} {
		v := must(r.StartReview(r.ctx, r.operator, control.NewReview{Name: "try", Selection: c.s, Ends: now.Add(day), DryRun: true}))(t)
		if v.Items != c.want {
			t.Errorf("%s: %d grants, want %d", name, v.Items, c.want)
		}
	}
}

func TestReviewBadInput(t *testing.T) {
	r := newReviewed(t)
	good := control.NewReview{Name: "autumn", Ends: r.clock.Now().Add(day)}
	for name, c := range map[string]struct {
		change func(*control.NewReview)
		want   string
	}{
		"no name":             {func(n *control.NewReview) { n.Name = " " }, "/name"},
		"no end":              {func(n *control.NewReview) { n.Ends = time.Time{} }, "/ends"},
		"an end in the past":  {func(n *control.NewReview) { n.Ends = r.clock.Now().Add(-1) }, "/ends"},
		"an end far away":     {func(n *control.NewReview) { n.Ends = r.clock.Now().Add(400 * day) }, "/ends"},
		"unknown reviewers":   {func(n *control.NewReview) { n.Reviewers = "everybody" }, "/reviewers"},
		"a negative age":      {func(n *control.NewReview) { n.Selection.OlderThan = -1 }, "/older_than"},
		"a negative dormancy": {func(n *control.NewReview) { n.Selection.Dormant = -1 }, "/dormant"},
		"no such environment": {func(n *control.NewReview) { n.Selection.Environment = "nowhere" }, "/environment"},
		"no such organization": {func(n *control.NewReview) {
			n.Selection.Organization = "org_00000000000000000000000000"
		}, "/organization"},
		"a key with spaces": {func(n *control.NewReview) { n.Once = "a b" }, "/once"},
	} {
		n := good
		c.change(&n)
		if _, err := r.StartReview(r.ctx, r.operator, n); wrong(err) != c.want {
			t.Errorf("%s: wrong is %q (%v), want %s", name, wrong(err), err, c.want)
		}
	}
	v := r.start(control.NewReview{})
	i := r.item(v)
	for name, c := range map[string]struct {
		n    control.ReviewAnswer
		want string
	}{
		"no answer":                   {control.ReviewAnswer{}, "/answer"},
		"another word":                {control.ReviewAnswer{Answer: "delete", Reason: "r"}, "/answer"},
		"an end without a reason":     {control.ReviewAnswer{Answer: review.End}, "/reason"},
		"less without a reason":       {control.ReviewAnswer{Answer: review.Narrow, Scopes: []string{"checks:read"}}, "/reason"},
		"confirmed and less":          {control.ReviewAnswer{Answer: review.Confirm, Scopes: []string{"checks:read"}}, "/answer"},
		"ended and less":              {control.ReviewAnswer{Answer: review.End, Reason: "r", Until: r.clock.Now().Add(day)}, "/answer"},
		"narrowed to nothing less":    {control.ReviewAnswer{Answer: review.Narrow, Reason: "r"}, "/scopes"},
		"narrowed to more":            {control.ReviewAnswer{Answer: review.Narrow, Reason: "r", Scopes: []string{"checks:read", "checks:all"}}, "/scopes"},
		"narrowed to a later end":     {control.ReviewAnswer{Answer: review.Narrow, Reason: "r", Until: r.clock.Now().Add(400 * day)}, "/until"},
		"narrowed to an end gone by":  {control.ReviewAnswer{Answer: review.Narrow, Reason: "r", Until: r.clock.Now().Add(-day)}, "/until"},
		"a reason of control letters": {control.ReviewAnswer{Answer: review.End, Reason: "a\x00b"}, "/reason"},
	} {
		if _, err := r.AnswerReview(r.ctx, r.api, i.ID, 0, c.n); wrong(err) != c.want {
			t.Errorf("%s: wrong is %q (%v), want %s", name, wrong(err), err, c.want)
		}
	}
	for _, bad := range []id.ID{"", "rvi_1", id.ID(v.ID), i.Grant} {
		_, err := r.AnswerReview(r.ctx, r.api, bad, 0, control.ReviewAnswer{Answer: review.Confirm})
		wants(t, "item "+string(bad), err, fault.NotFound, "")
	}
	_, err := r.AnswerReview(r.ctx, r.api, i.ID, 7, control.ReviewAnswer{Answer: review.Confirm})
	wants(t, "another version", err, fault.Stale, "")
	_, err = r.ReviewItems(r.ctx, r.auditor, control.ItemFilter{State: "lost"}, control.Page{})
	if wrong(err) != "/state" {
		t.Errorf("an unknown state: %v", err)
	}
	_, err = r.Reviews(r.ctx, r.auditor, "lost", control.Page{})
	if wrong(err) != "/state" {
		t.Errorf("an unknown state: %v", err)
	}
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.Version != r.grant.Version {
		t.Error("what was refused changed the grant")
	}
}

// Who may answer: those who were asked, whoever answers for the application, an API owner of the place, an admin; nobody confirms
// what they asked for themselves.
func TestNobodyConfirmsTheirOwnGrant(t *testing.T) {
	r := newReviewed(t)
	i := r.item(r.start(control.NewReview{}))
	yes := control.ReviewAnswer{Answer: review.Confirm}
	less := control.ReviewAnswer{Answer: review.Narrow, Reason: "only reads", Scopes: []string{"checks:read"}}
	_, err := r.AnswerReview(r.ctx, r.developer, i.ID, 0, yes)
	wants(t, "who asked for it, and was not asked", err, fault.Forbidden, "not-a-reviewer")
	// The application is handed over to its requester: they answer for it, and still do not confirm.
	must(r.UpdateApplication(r.ctx, r.owner, i.Application, 0, control.NewApplication{Owner: r.developer.Person}))(t)
	_, err = r.AnswerReview(r.ctx, r.developer, i.ID, 0, yes)
	wants(t, "who asked for it and answers for the application", err, fault.Forbidden, "own-grant")
	c := must(r.ReviewChoices(r.ctx, r.developer, i.ID))(t)
	if c.Confirm == nil || c.Narrow != nil || c.End != nil {
		t.Errorf("choices of the requester: %v, %v, %v", c.Confirm, c.Narrow, c.End)
	}
	for name, who := range map[string]identity.Actor{"an operator": r.operator, "an approver": r.approver} {
		_, err = r.AnswerReview(r.ctx, who, i.ID, 0, yes)
		wants(t, name+" who was not asked", err, fault.Forbidden, "not-a-reviewer")
	}
	_, err = r.AnswerReview(r.ctx, r.auditor, i.ID, 0, yes)
	wants(t, "an auditor", err, fault.Forbidden, "")
	_, err = r.AnswerReview(r.ctx, r.staff("otto@platform.example", identity.APIOwner.AtAPI("payments")), i.ID, 0, yes)
	wants(t, "another API's owner", err, fault.Forbidden, "elsewhere")
	if mine := must(r.ReviewItems(r.ctx, r.operator, control.ItemFilter{Mine: true}, control.Page{}))(t).Items; len(mine) != 0 {
		t.Error("an operator who was not asked has it in their list")
	}
	if mine := must(r.ReviewItems(r.ctx, r.api, control.ItemFilter{Mine: true}, control.Page{}))(t).Items; len(mine) != 1 {
		t.Error("the API owner does not have it in their list")
	}
	done := must(r.AnswerReview(r.ctx, r.developer, i.ID, i.Version, less))(t) // to make it smaller is always right
	if done.State != review.Narrowed || done.By != r.developer.Person || !slices.Equal(done.Scopes, []string{"checks:read"}) {
		t.Errorf("narrowed: %+v", done)
	}
	g := must(r.Grant(r.ctx, r.auditor, i.Grant))(t)
	if !slices.Equal(g.Scopes, []string{"checks:read"}) || g.ReviewedBy != r.developer.Person {
		t.Errorf("the grant %+v", g)
	}
	_, err = r.AnswerReview(r.ctx, r.api, i.ID, 0, yes)
	wants(t, "a second answer", err, fault.Conflict, "review-answered")
}

// Where whoever asked for the grant is the only one to ask, others are asked too, so that somebody can confirm it.
func TestSomebodyCanAlwaysConfirm(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	for _, who := range []review.Who{review.Owners, review.APIOwners, review.Both} {
		v := must(w.StartReview(w.ctx, w.admin, control.NewReview{Name: string(who), Reviewers: who, Ends: w.clock.Now().Add(day)}))(t)
		i := must(w.ReviewItems(w.ctx, w.auditor, control.ItemFilter{Review: v.ID}, control.Page{}))(t).Items[0]
		if !slices.Contains(i.Reviewers, w.operator.Person) {
			t.Errorf("%s: asked are %v, and the operator %s is not", who, i.Reviewers, w.operator.Person)
		}
		_, err := w.AnswerReview(w.ctx, a, i.ID, 0, control.ReviewAnswer{Answer: review.Confirm})
		wants(t, string(who)+": the requester", err, fault.Forbidden, "")
		must(w.AnswerReview(w.ctx, w.operator, i.ID, 0, control.ReviewAnswer{Answer: review.Confirm, Reason: "they use it"}))(t)
	}
}

// A stand-in answers in the place of whoever was asked, and not where either of them asked for the grant.
func TestStandInsReview(t *testing.T) {
	r := newReviewed(t)
	api := r.staff("anton@platform.example", identity.APIOwner)
	i := r.item(r.start(control.NewReview{}))
	must(r.SetAbsence(r.ctx, api, r.approver.Person, time.Time{}, r.clock.Now().Add(day)))(t)
	done := must(r.AnswerReview(r.ctx, r.approver, i.ID, 0, control.ReviewAnswer{Answer: review.Confirm}))(t)
	if done.By != r.approver.Person || done.For != api.Person {
		t.Errorf("by %s for %s", done.By, done.For)
	}
}

func TestSilenceEnds(t *testing.T) {
	r := newReviewed(t)
	v := r.start(control.NewReview{})
	i := r.item(v)
	subjects := func(to string) (n int) {
		for _, s := range r.letters(to) {
			if s == "Grants still wait for your review" {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{4 * day, 0}, {2 * day, 1}, {day, 1}, {2*day + time.Hour, 2}, {time.Hour, 2}} {
		r.clock.pass(step.pass)
		r.tend()
		r.tend()
		if n := subjects(r.owner.Email); n != step.want {
			t.Errorf("%d reminders, want %d", n, step.want)
		}
	}
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Active {
		t.Fatalf("before its end the grant is %s", g.State)
	}
	r.clock.pass(day)
	if got := must(r.Review(r.ctx, r.auditor, v.ID))(t); got.Standing != "closing" {
		t.Errorf("after its end it is %s", got.Standing)
	}
	_, err := r.AnswerReview(r.ctx, r.api, i.ID, 0, control.ReviewAnswer{Answer: review.Confirm})
	wants(t, "an answer after the end", err, fault.Conflict, "review-over")
	_, err = r.CancelReview(r.ctx, r.operator, v.ID, 0, "too late")
	wants(t, "taking it back after the end", err, fault.Conflict, "review-over")
	r.tend()
	g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t)
	if g.State != grant.Ended || !strings.Contains(g.Reason, string(v.ID)) {
		t.Errorf("the grant is %s: %s", g.State, g.Reason)
	}
	got := must(r.Review(r.ctx, r.auditor, v.ID))(t)
	if got.State != review.Closed || got.Counts[review.Silent] != 1 {
		t.Errorf("the review %+v", got)
	}
	if l := r.letters(r.owner.Email); l[len(l)-1] != "A grant has ended: nobody confirmed it" {
		t.Errorf("letters %v", l)
	}
	// The report is evidence that verifies offline.
	if err := r.Sequence(r.ctx); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(must(r.Evidence(r.ctx, r.auditor, v.ID))(t))
	if err != nil {
		t.Fatal(err)
	}
	_, verifier, err := r.Checkpoint(r.ctx, r.auditor)
	if err != nil {
		t.Fatal(err)
	}
	var back audit.Evidence
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if rep := back.Verify(verifier, r.clock.Now()); !rep.OK {
		t.Errorf("the evidence does not hold: %+v", rep.Problems)
	}
	text := back.Tell()
	for _, want := range []string{"review.report", string(r.grant.ID) + " (checking in live): silent", "0 calls"} {
		if !strings.Contains(text, want) {
			t.Errorf("the evidence does not tell %q:\n%s", want, text)
		}
	}
	_, err = r.Evidence(r.ctx, r.owner, v.ID)
	wants(t, "a member", err, fault.NotFound, "")
	r.tend() // nothing more
	if again := must(r.Review(r.ctx, r.auditor, v.ID))(t); again.Version != got.Version {
		t.Error("it was closed twice")
	}
}

// A review that ends while its grant is being renewed: a renewal that waits is no answer, and lapses with the grant; one that
// people approved before is; one that the plan approved by itself is not.
func TestReviewEndsWhileTheGrantIsBeingRenewed(t *testing.T) {
	renewal := func(r *reviewed) grant.Request {
		r.clock.pass(day)
		return must(r.RequestAccess(r.ctx, r.developer, control.AccessRequest{Of: r.grant.ID, Purpose: "go on"}))(r.t)
	}
	t.Run("it waits", func(t *testing.T) {
		r := newReviewed(t)
		v := r.start(control.NewReview{})
		q := renewal(r)
		r.clock.pass(20 * day)
		r.tend()
		if got := r.item(v); got.State != review.Silent || got.Facts.Renewal != q.ID {
			t.Errorf("the item is %s, with the renewal %s", got.State, got.Facts.Renewal)
		}
		if got := must(r.Request(r.ctx, r.auditor, q.ID))(t); got.State != grant.Lapsed {
			t.Errorf("the renewal is %s", got.State)
		}
		_, err := r.Decide(r.ctx, r.approver, q.ID, 0, control.Answer{Approve: true})
		wants(t, "approving it after the end", err, fault.Conflict, "")
		if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Ended {
			t.Errorf("the grant is %s", g.State)
		}
	})
	t.Run("people approved it", func(t *testing.T) {
		r := newReviewed(t)
		v := r.start(control.NewReview{})
		must(r.Decide(r.ctx, r.approver, renewal(r).ID, 0, control.Answer{Approve: true}))(t)
		_, err := r.AnswerReview(r.ctx, r.api, r.item(v).ID, 0, control.ReviewAnswer{Answer: review.End, Reason: "late"})
		wants(t, "an answer after that", err, fault.Conflict, "review-settled")
		r.clock.pass(20 * day)
		r.tend()
		if got := r.item(v); got.State != review.Renewed {
			t.Errorf("the item is %s", got.State)
		}
		if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Active {
			t.Errorf("the grant is %s", g.State)
		}
	})
	t.Run("the plan approved it", func(t *testing.T) {
		w := newWorld(t).published()
		r := &reviewed{world: w, owner: w.verified("First", "first@example.org")}
		r.developer = r.owner
		r.grant = w.grantOf(must(w.RequestAccess(w.ctx, r.owner, ask(w.application(r.owner, "app"), "live", "reading", "free")))(t))
		v := r.start(control.NewReview{})
		if q := renewal(r); q.State != grant.Approved {
			t.Fatalf("the renewal is %s", q.State)
		}
		r.clock.pass(20 * day)
		r.tend()
		if got := r.item(v); got.State != review.Silent {
			t.Errorf("the item is %s", got.State)
		}
	})
	t.Run("both at once", func(t *testing.T) {
		r := newReviewed(t)
		v := r.start(control.NewReview{})
		q := renewal(r)
		r.clock.pass(20 * day)
		decided, tended := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := r.Decide(r.ctx, r.approver, q.ID, 0, control.Answer{Approve: true})
			decided <- err
		}()
		go func() { tended <- r.Tend(r.ctx) }()
		approved := <-decided == nil
		if err := <-tended; err != nil {
			t.Fatal(err)
		}
		r.tend()
		want, stands := review.Silent, grant.Ended
		if approved {
			want, stands = review.Renewed, grant.Active
		}
		if got := r.item(v); got.State != want {
			t.Errorf("approved %v, and the item is %s", approved, got.State)
		}
		if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != stands {
			t.Errorf("approved %v, and the grant is %s", approved, g.State)
		}
	})
}

func TestReviewOfWhatIsOver(t *testing.T) {
	r := newReviewed(t)
	v := r.start(control.NewReview{})
	must(r.EndGrant(r.ctx, r.operator, r.grant.ID, 0, "not needed"))(t)
	_, err := r.AnswerReview(r.ctx, r.api, r.item(v).ID, 0, control.ReviewAnswer{Answer: review.Confirm})
	wants(t, "confirming what has ended", err, fault.Conflict, "review-settled")
	r.clock.pass(20 * day)
	r.tend()
	if got := r.item(v); got.State != review.Moot {
		t.Errorf("the item is %s", got.State)
	}
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.Reason != "not needed" {
		t.Errorf("the grant ended because of %q", g.Reason)
	}
}

func TestReviewEndsAndConfirms(t *testing.T) {
	r := newReviewed(t)
	v := r.start(control.NewReview{})
	must(r.AnswerReview(r.ctx, r.owner, r.item(v).ID, 0, control.ReviewAnswer{Answer: review.Confirm}))(t)
	g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t)
	if g.Reviewed.IsZero() || g.ReviewedBy != r.owner.Person || g.State != grant.Active {
		t.Errorf("confirmed: %+v", g)
	}
	r.clock.pass(20 * day)
	r.tend()
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Active {
		t.Errorf("a confirmed grant is %s after the review", g.State)
	}
	q := must(r.RequestAccess(r.ctx, r.developer, control.AccessRequest{Of: r.grant.ID, Purpose: "go on"}))(t)
	second := r.start(control.NewReview{})
	must(r.AnswerReview(r.ctx, r.api, r.item(second).ID, 0, control.ReviewAnswer{Answer: review.End, Reason: "the project is over"}))(t)
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Ended {
		t.Errorf("ended: %s", g.State)
	}
	if q := must(r.Request(r.ctx, r.auditor, q.ID))(t); q.State != grant.Lapsed {
		t.Errorf("the renewal is %s", q.State)
	}
}

func TestCancelledReviewEndsNothing(t *testing.T) {
	r := newReviewed(t)
	v := r.start(control.NewReview{})
	_, err := r.CancelReview(r.ctx, r.operator, v.ID, 0, "")
	if wrong(err) != "/reason" {
		t.Errorf("without a reason: %v", err)
	}
	must(r.CancelReview(r.ctx, r.operator, v.ID, v.Version, "by mistake"))(t)
	_, err = r.CancelReview(r.ctx, r.operator, v.ID, 0, "again")
	wants(t, "twice", err, fault.Conflict, "review-over")
	r.clock.pass(20 * day)
	r.tend()
	if g := must(r.Grant(r.ctx, r.auditor, r.grant.ID))(t); g.State != grant.Active {
		t.Errorf("the grant is %s", g.State)
	}
	if i := r.item(v); i.State != review.Dropped {
		t.Errorf("the item is %s", i.State)
	}
	r.start(control.NewReview{}) // and it can be asked about again
}
