package portal

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
)

// reviewsPage is what waits for the viewer, and for staff the campaigns.
type reviewsPage struct {
	frame
	Rows    []questionRow
	Pager   pager
	Tabs    []tab
	Mine    bool
	Reviews []review.Review // for staff, newest first
	Starts  bool            // the viewer may start one
}

func (*reviewsPage) template() string { return "reviews" }

// questionRow is the question about one grant in a list.
type questionRow struct {
	review.Item
	Application  ref
	Organization ref
	ProductTitle string
	Answerer     string
}

func (v *visit) questionRow(i review.Item) questionRow {
	r := questionRow{i, v.applicationRef(i.Application), v.organizationRef(i.Organization), v.productTitle(i.Product), ""}
	if i.By != "" {
		r.Answerer = v.person(i.By)
	}
	return r
}

// starts decides whether the button to start a review stands on a page.
func (v *visit) starts() bool {
	return v.actor.Class == identity.Staff && (v.keeps() || slices.ContainsFunc(v.actor.Roles, func(r identity.Role) bool { return r.Bare() == identity.APIOwner }))
}

func listReviews(v *visit) error {
	state := v.oneOf("state", []string{"mine", "waiting", "all"})
	if state == "" {
		state = "mine"
	}
	f := control.ItemFilter{Mine: state == "mine"}
	if state == "waiting" {
		f.State = review.Waiting
	}
	list, err := v.Control.ReviewItems(v.r.Context(), v.actor, f, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &reviewsPage{Rows: rows(list.Items, v.questionRow), Pager: v.pager(list.Next), Mine: f.Mine, Starts: v.starts()}
	p.Tabs = []tab{{Text: "For you", Href: "/reviews", Current: f.Mine}, {Text: "Waiting", Href: "/reviews?state=waiting", Current: state == "waiting"},
		{Text: "All", Href: "/reviews?state=all", Current: state == "all"}}
	if v.actor.Class == identity.Staff && v.after() == "" {
		for after, more := "", true; more; {
			l, err := v.Control.Reviews(v.r.Context(), v.actor, "", control.Page{After: after, Limit: 500})
			if err != nil {
				return err
			}
			p.Reviews, after, more = append(p.Reviews, l.Items...), l.Next, l.Next != ""
		}
		slices.Reverse(p.Reviews)
		p.Reviews = p.Reviews[:min(len(p.Reviews), overviewSize)]
	}
	p.Title, p.Lead = "Reviews", "Is this access still needed? What nobody confirms until a review's end, ends."
	return v.ok(p)
}

// reviewPage is one campaign, for staff.
type reviewPage struct {
	frame
	Review  control.ReviewView
	By      string
	Asks    []fact // of the selection, in words
	Counts  []countRow
	Rows    []questionRow
	Pager   pager
	Cancels bool
}

func (*reviewPage) template() string { return "review" }

type countRow struct {
	State review.ItemState
	N     int
}

func showReview(v *visit) error {
	i, err := v.object(id.Review)
	if err != nil {
		return err
	}
	r, err := v.Control.Review(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	list, err := v.Control.ReviewItems(v.r.Context(), v.actor, control.ItemFilter{Review: i}, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &reviewPage{Review: r, By: v.person(r.By), Asks: v.asks(r.Selection), Rows: rows(list.Items, v.questionRow), Pager: v.pager(list.Next),
		Cancels: v.keeps() && r.Standing == "open"}
	for _, s := range review.ItemStates() {
		if n := r.Counts[s]; n > 0 {
			p.Counts = append(p.Counts, countRow{s, n})
		}
	}
	p.Title, p.Trail = r.Name, []crumb{{"Reviews", "/reviews"}}
	return v.ok(p)
}

// asks tells in words which grants a campaign asks about.
func (v *visit) asks(s review.Selection) []fact {
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	span := func(seconds int64) string {
		if seconds == 0 {
			return ""
		}
		return days(time.Duration(seconds) * time.Second)
	}
	add("API", s.API)
	if s.Product != "" {
		add("Product", v.productTitle(s.Product))
	}
	if s.Organization != "" {
		add("Organization", v.organizationRef(s.Organization).Name)
	}
	add("Environment", s.Environment)
	add("Older than", span(s.OlderThan))
	add("Not used for", span(s.Dormant))
	if !s.Expiring.IsZero() {
		add("Ending before", s.Expiring.UTC().Format("2 January 2006"))
	}
	if len(out) == 0 {
		add("Asks about", "every grant that stands")
	}
	return out
}

// spanOptions are spans of days to choose from.
func spanOptions(name, label, word string) field {
	f := field{Name: name, Label: label, Kind: selectField, Options: []option{{Label: "Whatever it is"}}}
	for _, n := range []int{30, 90, 180, 365} {
		f.Options = append(f.Options, option{Value: strconv.Itoa(n), Label: word + " " + strconv.Itoa(n) + " days"})
	}
	return f
}

func (v *visit) reviewForm() (*formPage, error) {
	product := field{Name: "product", Label: "Product", Kind: selectField, Options: []option{{Label: "Every product"}}}
	api := field{Name: "api", Label: "API", Kind: selectField, Options: []option{{Label: "Every API"}}}
	for _, p := range v.catalogue() {
		product.Options = append(product.Options, option{Value: p.Name, Label: p.Title})
		for _, a := range p.APIs {
			if !slices.ContainsFunc(api.Options, func(o option) bool { return o.Value == a.Name }) {
				api.Options = append(api.Options, option{Value: a.Name, Label: a.Title})
			}
		}
	}
	envs, err := v.Control.Environments(v.r.Context(), v.actor)
	if err != nil {
		return nil, err
	}
	environment := field{Name: "environment", Label: "Environment", Kind: selectField, Options: []option{{Label: "Every environment"}}}
	for _, e := range envs {
		environment.Options = append(environment.Options, option{Value: e.Name, Label: e.Name})
	}
	tomorrow := v.now.AddDate(0, 0, 1)
	p := &formPage{Button: "Start the review", Back: "/reviews", Form: newForm("/reviews",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 120, Hint: "It stands in the letters, such as Autumn 2027"},
		field{Name: "ends", Label: "Last day to answer", Kind: dateField, Required: true, From: tomorrow.Format(time.DateOnly), To: v.now.AddDate(1, 0, 0).Format(time.DateOnly), Hint: "What nobody has answered by its end, in UTC, ends"},
		field{Name: "reviewers", Label: "Who is asked", Kind: radioField, Required: true, Value: string(review.Both), Options: []option{
			{Value: string(review.Both), Label: "Both", Text: "whoever answers for the application, or the owner of the API: either can answer"},
			{Value: string(review.Owners), Label: "The application's owner"},
			{Value: string(review.APIOwners), Label: "The API's owner"}}},
		api, product, environment,
		field{Name: "organization", Label: "Organization", Kind: textField, Max: 40, Mono: true, Autocomplete: "off", Hint: "Its identifier, org_…; empty: every organization", Value: v.r.URL.Query().Get("organization")},
		spanOptions("older", "Age", "Begun or confirmed more than"), spanOptions("dormant", "Use", "Not used for"), spanOptions("expiring", "End", "Ends within"),
		field{Name: "try", Label: "Try it out", Kind: checkField, Options: []option{{Value: "yes", Label: "Only count the grants", Text: "nothing is started, nobody is told"}}})}
	for i := range p.Form.Fields {
		p.Form.Fields[i].choose()
	}
	p.Title, p.Lead, p.Trail = "Start a review", "Choose which grants to ask about. Those that another review asks about already are left out.", []crumb{{"Reviews", "/reviews"}}
	return p, nil
}

func askReview(v *visit) error {
	p, err := v.reviewForm()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func startReview(v *visit) error {
	p, err := v.reviewForm()
	if err != nil {
		return err
	}
	f := &p.Form
	if !f.read(v.r.PostForm) {
		return v.show(statusOfForm(*f), p)
	}
	ends, _ := time.Parse(time.DateOnly, f.value("ends")) // read has looked at it
	span := func(name string) int64 {
		n, _ := strconv.ParseInt(f.value(name), 10, 64) // one of the options
		return n * 24 * 3600
	}
	s := review.Selection{API: f.value("api"), Product: f.value("product"), Organization: id.ID(f.value("organization")), Environment: f.value("environment"),
		OlderThan: span("older"), Dormant: span("dormant")}
	if n := span("expiring"); n > 0 {
		s.Expiring = v.now.Add(time.Duration(n) * time.Second)
	}
	try := len(f.Field("try").Values) > 0
	r, err := v.Control.StartReview(v.r.Context(), v.actor, control.NewReview{Name: f.value("name"), Selection: s, Reviewers: review.Who(f.value("reviewers")),
		Ends: ends.AddDate(0, 0, 1), DryRun: try, Once: f.Once})
	if err != nil {
		if f.refuse(err) {
			return v.show(statusOfForm(*f), p)
		}
		return err
	}
	if try {
		p.Lead = "It would ask about " + plural(r.Items, "grant", "grants") + ". Nothing was started."
		f.tick("try", nil)
		return v.ok(p)
	}
	return v.done("review-started", "/reviews/"+string(r.ID))
}

func (v *visit) reviewDeed() (deed, error) {
	i, err := v.object(id.Review)
	if err != nil {
		return deed{}, err
	}
	r, err := v.Control.Review(v.r.Context(), v.actor, i)
	if err != nil {
		return deed{}, err
	}
	return deed{
		title: "Cancel the review “" + r.Name + "”", button: "Cancel the review", danger: true, version: r.Version, notice: "review-cancelled",
		text: "Nobody is asked any more, and what nobody has answered stays as it is. What was answered stands.",
		back: "/reviews/" + string(i), trail: []crumb{{"Reviews", "/reviews"}, {r.Name, "/reviews/" + string(i)}},
		facts: []fact{{"Grants", strconv.Itoa(r.Items)}, {"Not answered", strconv.Itoa(r.Counts[review.Waiting])}, {"Would end", r.Ends.UTC().Format("2 January 2006, 15:04 UTC")}},
		do: func(version int64, reason string) error {
			_, err := v.Control.CancelReview(v.r.Context(), v.actor, i, version, reason)
			return err
		},
	}, nil
}
