package inventory_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/inventory"
	"gatehouse/organization"
)

const day = 24 * time.Hour

var now = time.Date(2027, 11, 23, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// sound is a credential with which nothing is wrong: a certificate that is used for all that it may.
func sound() inventory.Facts {
	return inventory.Facts{
		Credential: credential.Credential{ID: "crd_1", Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.Certificate, Name: "server",
			PublicID: "ab", State: credential.Active, Created: ago(200 * day), Expires: now.Add(30 * day)},
		Organization: organization.Organization{ID: "org_1", Name: "First", State: organization.Verified},
		Application:  application.Application{ID: "app_1", Organization: "org_1", Name: "shop", Purpose: "to sell", Owner: "per_1", State: application.Active},
		Owner:        identity.Person{ID: "per_1", Name: "Ada", Class: identity.Member, Organization: "org_1", State: identity.Active},
		Rights:       []inventory.Right{right("gr_1")},
		Uses:         []credential.Use{use("gr_1", "read", time.Hour), use("gr_1", "write", 2*day)},
		Reach:        []inventory.Callable{{API: "eid", Operation: "read", Grant: "gr_1"}, {API: "eid", Operation: "write", Grant: "gr_1"}, {API: "eid", Operation: "health"}},
		ReachKnown:   true, Offered: true,
	}
}

func right(i id.ID) inventory.Right {
	return inventory.Right{Grant: grant.Grant{ID: i, Application: "app_1", Environment: "live", Product: "eid", State: grant.Active, From: ago(200 * day), Until: now.Add(90 * day), Scopes: []string{"r", "w"}},
		Needs: map[string][]string{"eid/read": {"r"}, "eid/write": {"w"}}, Called: []string{"eid/read", "eid/write"}, Kinds: []string{"api_key", "client_certificate"}, DataClass: "personal"}
}

func use(g id.ID, op string, before time.Duration) credential.Use {
	return credential.Use{Credential: "crd_1", Grant: g, API: "eid", Operation: op, Count: 3, Last: ago(before), Gateway: "gw-" + op, Address: "203.0.113.9"}
}

// key makes it an API key that is limited to a network and was made lately.
func key(f *inventory.Facts) {
	f.Credential.Kind, f.Credential.Sources, f.Credential.Created = credential.APIKey, []string{"203.0.113.0/24"}, ago(80*day)
	f.Rights[0].Kinds = []string{"api_key"}
}

func client(m credential.AuthMethod, c credential.Constraint) func(*inventory.Facts) {
	return func(f *inventory.Facts) {
		f.Credential.Kind, f.Credential.OAuth = credential.Client, &credential.OAuth{Method: m, Constrain: c}
		f.Credential.SecretSince = ago(10 * day)
		f.Rights[0].Kinds = []string{"oauth_client"}
	}
}

// Each rule finds what it looks for, and only that.
func TestJudge(t *testing.T) {
	both := func(fs ...func(*inventory.Facts)) func(*inventory.Facts) {
		return func(f *inventory.Facts) {
			for _, do := range fs {
				do(f)
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(*inventory.Facts)
		want string // severity, risk and id of each finding
	}{
		"sound":                  {func(*inventory.Facts) {}, ""},
		"sound key":              {key, ""},
		"offboarded":             {func(f *inventory.Facts) { f.Organization.State = organization.Offboarded }, "critical NHI1 organization-gone:crd_1"},
		"no organization":        {func(f *inventory.Facts) { f.Organization = organization.Organization{} }, "critical NHI1 organization-gone:crd_1"},
		"suspended organization": {func(f *inventory.Facts) { f.Organization.State = organization.Suspended }, "low NHI1 organization-held:crd_1"},
		"closed application":     {func(f *inventory.Facts) { f.Application.State = application.Closed }, "critical NHI1 application-gone:crd_1"},
		"no owner":               {func(f *inventory.Facts) { f.Application.Owner = "" }, "high NHI1 no-owner:crd_1"},
		"owner disabled":         {func(f *inventory.Facts) { f.Owner.State = identity.Disabled }, "high NHI1 owner-gone:crd_1"},
		"owner erased":           {func(f *inventory.Facts) { f.Owner = identity.Person{} }, "high NHI1 owner-gone:crd_1"},
		"owner elsewhere":        {func(f *inventory.Facts) { f.Owner.Organization = "org_2" }, "high NHI1 owner-gone:crd_1"},
		"grants over":            {func(f *inventory.Facts) { f.Rights[0].Grant.Until = ago(day) }, "medium NHI1 grant-over:crd_1"},
		"no grants":              {func(f *inventory.Facts) { f.Rights = nil }, "medium NHI1 grant-over:crd_1"},
		"a suspended grant":      {func(f *inventory.Facts) { f.Rights[0].Grant.State = grant.Suspended }, ""},
		"used 89 days ago": {func(f *inventory.Facts) {
			f.Uses = []credential.Use{use("gr_1", "read", 89*day), use("gr_1", "write", 89*day)}
		}, ""},
		"used 90 days ago":         {func(f *inventory.Facts) { f.Uses = []credential.Use{use("gr_1", "read", 90*day)} }, "medium NHI1 dormant:crd_1"},
		"never used":               {func(f *inventory.Facts) { f.Uses = nil }, "medium NHI1 dormant:crd_1"},
		"never used, new":          {func(f *inventory.Facts) { f.Uses, f.Credential.Created = nil, ago(day) }, ""},
		"suspended for long":       {func(f *inventory.Facts) { f.Uses, f.Credential.State = nil, credential.Suspended }, "low NHI1 held:crd_1"},
		"leaked":                   {both(key, func(f *inventory.Facts) { f.Credential.Leaked = ago(day) }), "critical NHI2 leaked:crd_1"},
		"leaked, then replaced":    {both(client("client_secret", "dpop"), func(f *inventory.Facts) { f.Credential.Leaked = ago(11 * day) }), ""},
		"leaked after replacement": {both(client("client_secret", "dpop"), func(f *inventory.Facts) { f.Credential.Leaked = ago(9 * day) }), "critical NHI2 leaked:crd_1"},
		"issuer not trusted": {func(f *inventory.Facts) {
			f.Credential.Kind, f.Credential.Workload, f.Distrusted = credential.Federated, &credential.Workload{Issuer: "https://ci.example"}, true
		}, "medium NHI3 issuer-distrusted:crd_1"},
		"key where a certificate would do": {both(key, func(f *inventory.Facts) { f.Rights[0].Kinds = []string{"api_key", "client_certificate"} }), "medium NHI4 weak-method:crd_1"},
		"of sensitive data": {both(key, func(f *inventory.Facts) {
			f.Rights[0].Kinds, f.Rights[0].DataClass = []string{"api_key", "oauth_client"}, "sensitive"
		}), "high NHI4 weak-method:crd_1"},
		"secret":                       {client("client_secret", ""), "medium NHI4 weak-method:crd_1"},
		"key of its own, tokens free":  {client("private_key_jwt", ""), "low NHI4 weak-method:crd_1"},
		"key of its own, tokens bound": {client("private_key_jwt", "dpop"), ""},
		"certificate of its own":       {client("self_signed_tls_client_auth", ""), ""},
		"from anywhere":                {both(key, func(f *inventory.Facts) { f.Credential.Sources = nil }), "low NHI4 anywhere:crd_1"},
		"a scope that nothing needed":  {func(f *inventory.Facts) { f.Rights[0].Called = []string{"eid/read"} }, "medium NHI5 unused-scopes:crd_1:gr_1"},
		"what was called is gone":      {func(f *inventory.Facts) { f.Rights[0].Called = []string{"eid/read", "eid/old"} }, ""},
		"a young grant":                {func(f *inventory.Facts) { f.Rights[0].Called, f.Rights[0].Grant.From = []string{"eid/read"}, ago(day) }, ""},
		"a scope of yesterday": {func(f *inventory.Facts) {
			f.Rights[0].Called, f.Rights[0].Grant.ScopesSince = []string{"eid/read"}, map[string]time.Time{"w": ago(day)}
		}, ""},
		"a scope that was approved later, long ago": {func(f *inventory.Facts) {
			f.Rights[0].Called, f.Rights[0].Grant.ScopesSince = []string{"eid/read"}, map[string]time.Time{"w": ago(91 * day)}
		}, "medium NHI5 unused-scopes:crd_1:gr_1"},
		"an operation that a scope of yesterday opens": {func(f *inventory.Facts) {
			f.Uses, f.Reach[1].Scopes, f.Rights[0].Grant.ScopesSince = f.Uses[:1], []string{"w"}, map[string]time.Time{"w": ago(day)}
		}, ""},
		"an operation that it does not": {func(f *inventory.Facts) { f.Uses = f.Uses[:1] }, "low NHI5 unused-operations:crd_1"},
		"a grant that it does not use":  {func(f *inventory.Facts) { f.Rights = append(f.Rights, right("gr_2")) }, "medium NHI5 unused-grant:crd_1:gr_2"},
		"no end":                        {func(f *inventory.Facts) { f.Credential.Expires = time.Time{} }, "high NHI7 no-end:crd_1"},
		"a far end":                     {func(f *inventory.Facts) { f.Credential.Expires = now.Add(400 * day) }, "medium NHI7 far-end:crd_1"},
		"an old key":                    {both(key, func(f *inventory.Facts) { f.Credential.Created = ago(91 * day) }), "medium NHI7 old-secret:crd_1"},
		"an old secret":                 {both(client("client_secret", "dpop"), func(f *inventory.Facts) { f.Credential.SecretSince = ago(100 * day) }), "medium NHI7 old-secret:crd_1"},
		"an old key that retires": {both(key, func(f *inventory.Facts) {
			f.Credential.Created, f.Credential.State, f.Credential.RetireAt = ago(91*day), credential.Retiring, now.Add(day)
		}), ""},
		"in test too":              {func(f *inventory.Facts) { f.Shared = []inventory.Shared{{"crd_2", "app_1", "org_1", "test"}} }, "high NHI8 across-environments:crd_1"},
		"for another application":  {func(f *inventory.Facts) { f.Shared = []inventory.Shared{{"crd_2", "app_2", "org_1", "live"}} }, "high NHI9 across-applications:crd_1"},
		"the one that it replaces": {func(f *inventory.Facts) { f.Shared = []inventory.Shared{{"crd_2", "app_1", "org_1", "live"}} }, ""},
		"revoked": {func(f *inventory.Facts) {
			f.Credential.State, f.Organization.State = credential.Revoked, organization.Offboarded
		}, ""},
		"expired":     {func(f *inventory.Facts) { f.Credential.Expires, f.Organization.State = now, organization.Offboarded }, ""},
		"worst first": {both(key, func(f *inventory.Facts) { f.Credential.Sources, f.Credential.Leaked = nil, ago(day) }), "critical NHI2 leaked:crd_1\nlow NHI4 anywhere:crd_1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			c.do(&f)
			e := inventory.Default().Judge(f, now)
			var got []string
			for _, x := range e.Findings {
				got = append(got, strings.Join([]string{string(x.Severity), x.Risk, x.ID}, " "))
				mended(t, x)
			}
			if got := strings.Join(got, "\n"); got != c.want {
				t.Errorf("found\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// mended checks that a finding says what ends it, and that its rule is on the list of its risk.
func mended(t *testing.T, f inventory.Finding) {
	t.Helper()
	if f.Text == "" || f.Mend.Text == "" || f.Mend.Who == "" || f.Mend.Page == "" || len(f.Facts) == 0 {
		t.Errorf("%s does not say all: %+v", f.ID, f)
	}
	if f.Mend.Body != "" && !json.Valid([]byte(f.Mend.Body)) {
		t.Errorf("%s: the body of its mend is no JSON: %s", f.ID, f.Mend.Body)
	}
	n := slices.IndexFunc(inventory.Risks(), func(r inventory.Risk) bool { return r.ID == f.Risk })
	if n < 0 || !slices.Contains(inventory.Risks()[n].Rules, f.Rule) {
		t.Errorf("the rule %s is not on the list of %s", f.Rule, f.Risk)
	}
}

// All ten risks are spoken of, and one of which nothing is seen has no rule.
func TestRisks(t *testing.T) {
	if n := len(inventory.Risks()); n != 10 {
		t.Fatalf("%d risks, want 10", n)
	}
	for _, r := range inventory.Risks() {
		if r.Says == "" || (r.Seen == inventory.Not) != (len(r.Rules) == 0) {
			t.Errorf("%s is seen %q by %v", r.ID, r.Seen, r.Rules)
		}
	}
}

// An entry tells who, what for, how it was used and until when.
func TestEntry(t *testing.T) {
	e := inventory.Default().Judge(sound(), now)
	if e.Owner.Name != "Ada" || e.Purpose != "to sell" || e.Calls != 6 || e.LastGateway != "gw-read" || !e.LastUse.Equal(ago(time.Hour)) || len(e.Reach) != 3 || !e.End.Equal(now.Add(30*day)) ||
		!slices.Equal(e.Grants, []id.ID{"gr_1"}) || e.Worst() != "" || !e.Bound {
		t.Errorf("entry %+v", e)
	}
}
