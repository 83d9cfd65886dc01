package portal

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/problem"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// keysPage lists credentials.
type keysPage struct {
	frame
	Rows  []keyRow
	Pager pager
}

func (*keysPage) template() string { return "keys" }

func listKeys(v *visit) error {
	list, err := v.Control.Credentials(v.r.Context(), v.actor, v.actor.Organization, "", control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &keysPage{Rows: v.keyRows(list.Items), Pager: v.pager(list.Next)}
	p.Title, p.Lead = "Keys", "What applications prove themselves with. Of each key only a hash is kept."
	return v.ok(p)
}

// issuePage asks for a key.
type issuePage struct {
	frame
	Form        form
	Application application.Application
	NoGrant     bool // there is no live grant to use a key with
}

func (*issuePage) template() string { return "issue" }

// issueOf gathers what the form needs: the application and its live grants.
func (v *visit) issueOf(app string) (*issuePage, error) {
	i, err := id.Parse(id.Application, app)
	if err != nil {
		return nil, err
	}
	a, err := v.application(i)
	if err != nil {
		return nil, err
	}
	list, err := v.Control.Grants(v.r.Context(), v.actor, grant.Filter{Application: i}, control.Page{Limit: overviewSize})
	if err != nil {
		return nil, err
	}
	live := slices.DeleteFunc(list.Items, func(g grant.Grant) bool { return !g.Live(v.now) })
	p := &issuePage{Application: a, NoGrant: len(live) == 0, Form: v.keyForm(a, live)}
	p.Title, p.Lead = "Issue a key for "+a.Name, "The key is shown once, right after this."
	p.Trail = []crumb{{"Applications", "/applications"}, {a.Name, "/applications/" + string(a.ID)}}
	return p, nil
}

func (v *visit) keyForm(a application.Application, live []grant.Grant) form {
	environment := field{Name: "environment", Label: "Environment", Kind: radioField, Required: true, Hint: "A key works in one environment only, and says so in its name"}
	grants := field{Name: "grants", Label: "Bind the key to particular grants", Kind: checkField, Hint: "Leave all empty, and the key uses every grant of the application in its environment, also later ones"}
	var longest time.Duration
	for _, g := range live {
		if !slices.ContainsFunc(environment.Options, func(o option) bool { return o.Value == g.Environment }) {
			environment.Options = append(environment.Options, option{Value: g.Environment, Label: g.Environment, Text: v.gateway(g.Environment)})
		}
		grants.Options = append(grants.Options, option{Value: string(g.ID), Label: v.productTitle(g.Product) + " in " + g.Environment, Text: "until " + g.Until.UTC().Format("2 January 2006")})
		longest = max(longest, v.planOf(g.Product, g.Plan).KeyLongest)
	}
	f := newForm("/credentials",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 80, Hint: "Where the key will live, such as “production server”"},
		environment,
		field{Name: "lifetime", Label: "Valid for", Kind: selectField, Required: true, Options: durationOptions(longest, "As long as the plan allows"), Hint: "A short life is a small loss when a key gets out"},
		grants,
		sourcesField(),
		field{Name: "pending", Label: "First use", Kind: checkField, Options: []option{{Value: "yes", Label: "Activate it later", Text: "Until you do, on its page, it is refused"}}},
	)
	f.set("lifetime", "longest")
	if len(environment.Options) == 1 {
		f.set("environment", environment.Options[0].Value)
	}
	return f
}

func askKey(v *visit) error {
	q := v.r.URL.Query()
	if q.Get("application") == "" {
		return v.redirect("/applications")
	}
	p, err := v.issueOf(q.Get("application"))
	if err != nil {
		return err
	}
	if e := q.Get("environment"); e != "" {
		p.Form.set("environment", e)
	}
	return v.ok(p)
}

// keyPage shows a key, once. It is the answer to the form itself: no address leads to it.
type keyPage struct {
	frame
	Key         string
	Credential  credential.Credential
	Application ref
	Curl        string
	Operation   string // what the command calls
}

func (*keyPage) template() string { return "newkey" }

func issueKey(v *visit) error {
	p, err := v.issueOf(v.r.PostForm.Get("application"))
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	n := control.NewKey{
		Application: p.Application.ID, Environment: p.Form.value("environment"), Name: p.Form.value("name"),
		Lifetime: durationOf(p.Form.value("lifetime")), Once: p.Form.Once,
		Sources: sourcesOf(p.Form.value("sources")), Pending: len(p.Form.Field("pending").Values) > 0,
	}
	for _, g := range p.Form.Field("grants").Values {
		n.Grants = append(n.Grants, id.ID(g))
	}
	c, key, err := v.Control.IssueKey(v.r.Context(), v.actor, n)
	switch e := fault.As(err); {
	case err == nil:
	case e.Code == "already-issued":
		return v.alreadyIssued(p.Application)
	case p.Form.refuse(err):
		return v.show(problem.Status(e), p)
	default:
		return err
	}
	return v.showOnce(c, key)
}

// alreadyIssued answers a form that was sent twice: there is one key, and it has been shown.
func (v *visit) alreadyIssued(a application.Application) error {
	p := &messagePage{Icon: "key",
		Text: "This form has issued a key already, and a key is shown once only. If you have not kept it, revoke it and issue another: that takes a moment, and nothing else changes.",
		Links: []crumb{{"The keys of " + a.Name, "/applications/" + string(a.ID) + "#keys"},
			{"Issue another key", "/credentials/new?application=" + url.QueryEscape(string(a.ID))}}}
	p.Title = "The key was shown already"
	return v.show(http.StatusConflict, p)
}

func (v *visit) showOnce(c credential.Credential, key secret.Value) error {
	p := &keyPage{Key: key.Reveal(), Credential: c, Application: v.applicationRef(c.Application)} // the one place where a key is shown
	op, found := v.firstCall(c)
	if found {
		p.Curl, p.Operation = curl(v.gateway(c.Environment), op, p.Key), cmp.Or(op.Summary, op.ID)
	}
	p.Title, p.Lead = "Your key", "Copy it now: it is shown this once. We keep only a hash of it."
	return v.show(http.StatusOK, p)
}

// firstCall finds a good operation to try a key with: one that reads and needs nothing filled in, if there is one.
func (v *visit) firstCall(c credential.Credential) (control.CatalogueOperation, bool) {
	r, err := v.Control.Reach(v.r.Context(), v.actor, c.Application, c.Environment)
	if err != nil {
		return control.CatalogueOperation{}, false
	}
	can := slices.DeleteFunc(r.Operations, func(o snapshot.Reachable) bool { return o.Grant == "" || o.Closed != "" || !boundTo(c.Grants, o.Grant) })
	if len(can) == 0 {
		return control.CatalogueOperation{}, false
	}
	best := slices.MinFunc(can, func(a, b snapshot.Reachable) int { return cmp.Compare(effort(a), effort(b)) })
	for _, p := range v.catalogue() {
		for _, a := range p.APIs {
			for _, o := range a.Operations {
				if a.Name == best.API && o.ID == best.Operation {
					return o, true
				}
			}
		}
	}
	var o control.CatalogueOperation
	o.ID, o.Method, o.FullPath = best.Operation, best.Method, best.Path
	return o, true
}

// effort is how much a person has to fill in before a call of the operation makes sense.
func effort(o snapshot.Reachable) int {
	n := strings.Count(o.Path, "{") * 2
	if o.Method != "GET" {
		n++
	}
	return n
}

// credentialPage is one credential.
type credentialPage struct {
	frame
	Key       keyRow
	CreatedBy string
	Grants    []grantRow // that it uses now
	InForce   []forceView
	Replaces  ref
	Uses      []useRow
	Can       map[string]bool // what can be done to it now
}

// useRow is how a key was used for one operation.
type useRow struct {
	credential.Use
	Grant ref
}

func (*credentialPage) template() string { return "credential" }

func showKey(v *visit) error {
	i, err := v.object(id.Credential)
	if err != nil {
		return err
	}
	c, err := v.Control.Credential(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	p := &credentialPage{Key: v.keyRow(c), CreatedBy: v.person(c.CreatedBy)}
	list, err := v.Control.Grants(v.r.Context(), v.actor, grant.Filter{Application: c.Application, Environment: c.Environment}, control.Page{Limit: overviewSize})
	if err != nil {
		return err
	}
	for _, g := range list.Items {
		if c.Live(v.now) && g.Live(v.now) && boundTo(c.Grants, g.ID) {
			p.Grants = append(p.Grants, v.grantRow(g))
		}
	}
	if p.InForce, err = v.inForce(c.ID); err != nil {
		return err
	}
	uses, err := v.Control.Uses(v.r.Context(), v.actor, c.ID)
	if err != nil {
		return err
	}
	slices.SortFunc(uses, func(a, b credential.Use) int { return b.Last.Compare(a.Last) })
	for _, u := range uses {
		r := useRow{Use: u}
		if u.Grant != "" {
			r.Grant = ref{Name: "grant", Href: "/grants/" + string(u.Grant)}
		}
		p.Uses = append(p.Uses, r)
	}
	if c.Replaces != "" {
		p.Replaces = ref{Name: "another key", Href: "/credentials/" + string(c.Replaces)}
	}
	p.Can = v.canDo(c)
	p.Title = c.Name
	p.Trail = []crumb{{p.Key.Application.Name, p.Key.Application.Href}}
	return v.ok(p)
}

// canDo is what the person can do to the key as it stands.
func (v *visit) canDo(c credential.Credential) map[string]bool {
	platform := v.actor.Class == identity.Staff && v.actor.Has(identity.Admin, identity.Operator)
	partner := v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer)
	s := c.Standing(v.now)
	over := s == string(credential.Revoked) || s == credential.Expired
	return map[string]bool{
		"revoke":   (platform || partner) && s != string(credential.Revoked),
		"suspend":  (platform || partner) && (s == string(credential.Active) || s == string(credential.Retiring)),
		"resume":   s == string(credential.Suspended) && (platform || partner && !c.Held),
		"activate": partner && s == string(credential.Pending),
		"rotate":   partner && s == string(credential.Active) && (c.Kind == credential.APIKey || withSecret(c)),
		"change":   partner && !over,
	}
}
