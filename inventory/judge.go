package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// judging is one credential being judged.
type judging struct {
	Facts
	rules Rules
	now   time.Time
	e     *Entry
}

func (j *judging) all() {
	j.offboarding()
	j.grants()
	j.dormancy()
	j.leakage()
	j.authentication()
	j.privileges()
	j.ages()
	j.reuse()
}

// found adds a finding; facts are names and values.
func (j *judging) found(rule, risk string, s Severity, text string, m Mend, facts ...string) {
	f := Finding{ID: rule + ":" + string(j.Credential.ID), Rule: rule, Risk: risk, Severity: s, Credential: j.Credential.ID, Text: text, Mend: m, Facts: []Fact{}}
	for n := 0; n+1 < len(facts); n += 2 {
		if facts[n] == "grant" { // one finding for each
			f.ID += ":" + facts[n+1]
		}
		if facts[n+1] != "" {
			f.Facts = append(f.Facts, Fact{facts[n], facts[n+1]})
		}
	}
	j.e.Findings = append(j.e.Findings, f)
}

// offboarding looks for credentials whose people and parties are gone.
func (j *judging) offboarding() {
	o, a, p := j.Organization, j.Application, j.Owner
	org := []string{"organization", string(j.Credential.Organization), "state", string(o.State), "reason", o.Reason}
	switch o.State {
	case organization.Verified, organization.Registered:
	case organization.Suspended:
		j.found("organization-held", "NHI1", Low, "Its organization is suspended: gateways refuse it, and it comes back with the organization. Revoke it if the trust is over.",
			j.revoke("the organization is suspended"), org...)
	default:
		j.found("organization-gone", "NHI1", Critical, "Its organization is "+or(string(o.State), "not known any more")+", and it has not been revoked.",
			j.revoke("the organization is gone"), org...)
	}
	switch {
	case a.ID == "" || a.State == application.Closed:
		j.found("application-gone", "NHI1", Critical, "Its application is "+or(string(a.State), "not known any more")+", and it has not been revoked.",
			j.revoke("the application is gone"), "application", string(j.Credential.Application), "closed", day(a.Closed))
	case a.Owner == "":
		j.found("no-owner", "NHI1", High, "Nobody answers for its application.", j.handOver(), "application", string(a.ID))
	case p.ID == "" || p.Gone():
		j.found("owner-gone", "NHI1", High, "Who answers for its application is "+or(string(p.State), "not known any more")+".", j.handOver(),
			"application", string(a.ID), "owner", string(a.Owner), "state", string(p.State))
	case p.Class == identity.Member && p.Organization != a.Organization:
		j.found("owner-gone", "NHI1", High, "Who answers for its application has left the organization.", j.handOver(), "application", string(a.ID), "owner", string(a.Owner))
	}
}

// grants looks for a credential that outlives what it was made for.
func (j *judging) grants() {
	var last time.Time
	for _, r := range j.Rights {
		if s := r.Grant.Standing(j.now); s == "active" || s == "suspended" || s == "upcoming" {
			return
		}
		end := r.Grant.Until
		if !r.Grant.Ended.IsZero() && r.Grant.Ended.Before(end) {
			end = r.Grant.Ended
		}
		if end.After(last) {
			last = end
		}
	}
	text := "Every grant that it could be used with is over."
	if len(j.Rights) == 0 {
		text = "There is no grant that it could be used with."
	}
	j.found("grant-over", "NHI1", Medium, text+" It would count again with the next grant.", j.revoke("its grants are over"),
		"environment", j.Credential.Environment, "last grant ended", day(last), "grants", strconv.Itoa(len(j.Rights)))
}

// dormancy looks for what nobody uses, and what stands suspended.
func (j *judging) dormancy() {
	c := j.Credential
	since := j.e.LastUse
	if since.IsZero() {
		since = c.Created
	}
	if c.State == credential.Suspended {
		if quiet := j.now.Sub(since); quiet >= j.rules.Held && j.Organization.State != organization.Suspended {
			j.found("held", "NHI1", Low, "It is suspended and was not used for "+days(quiet)+": resume it, or end it.", j.revoke("it is not needed any more"), "state", string(c.State), "last call", day(j.e.LastUse), "reason", c.Reason)
		}
		return
	}
	if quiet := j.now.Sub(since); quiet >= j.rules.Dormant {
		text := "It was not used for " + days(quiet) + "."
		if j.e.LastUse.IsZero() {
			text = "It was made " + days(quiet) + " ago and never used."
		}
		j.found("dormant", "NHI1", Medium, text, j.revoke("nobody uses it"), "last call", day(j.e.LastUse), "calls", strconv.FormatInt(j.e.Calls, 10),
			"created", day(c.Created), "calls that could not be counted", some(j.Lost))
	}
}

func (j *judging) leakage() {
	c := j.Credential
	if c.Leaked.IsZero() || hasSecret(c) && secretSince(c).After(c.Leaked) {
		return
	}
	j.found("leaked", "NHI2", Critical, "Somebody reported to have found it, and it has not been revoked or replaced since.", j.revoke("it was found"),
		"reported", day(c.Leaked), "secret since", day(secretSince(c)))
}

// strength orders how credentials are proven: a key that is sent, a secret for tokens that whoever holds them can use, no
// secret at all, and what is of use only to who holds a key.
func strength(c credential.Credential) int {
	switch {
	case Constrained(c):
		return 3
	case c.Kind == credential.Federated, c.Kind == credential.Client && c.OAuth != nil && c.OAuth.Method.Strong():
		return 2
	case c.Kind == credential.Client:
		return 1
	}
	return 0
}

// best is the strongest that a plan takes, and how to get it.
func best(kinds []string) (int, string, string) {
	switch {
	case slices.Contains(kinds, string(credential.Certificate)):
		return 3, "a client certificate", "gatehouse credential enrol-certificate --application %s --env %s"
	case slices.Contains(kinds, string(credential.Client)):
		return 3, "an OAuth client with a key of its own and bound tokens", "gatehouse credential register-client --application %s --env %s --method private_key_jwt --constrain dpop"
	case slices.Contains(kinds, string(credential.Federated)):
		return 2, "a workload identity", "gatehouse credential bind-workload --application %s --env %s"
	}
	return 0, "", ""
}

// authentication looks for what is proven by less than every plan of its live grants takes.
func (j *judging) authentication() {
	c := j.Credential
	if !j.Offered || j.Distrusted {
		if j.Distrusted {
			j.found("issuer-distrusted", "NHI3", Medium, "The issuer of its workload's tokens is not trusted in this environment any more: gateways refuse it.",
				j.revoke("its issuer is not trusted any more"), "issuer", c.Workload.Issuer)
		}
		return
	}
	var kinds []string
	var class string
	some := false
	for _, r := range j.Rights {
		if !r.Grant.Live(j.now) || r.Needs == nil {
			continue
		}
		if r.DataClass == "sensitive" || r.DataClass == "personal" && class == "" {
			class = r.DataClass
		}
		if !some {
			kinds, some = slices.Clone(r.Kinds), true
			continue
		}
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return !slices.Contains(r.Kinds, k) })
	}
	have := strength(c)
	if most, what, command := best(kinds); most > have && c.Kind != credential.Federated {
		s := Medium
		switch {
		case have == 2:
			s = Low
		case class == "sensitive":
			s = High
		}
		j.found("weak-method", "NHI4", s, plain(c)+": whoever gets hold of what is sent can use it. Its plans take "+what+", too.",
			Mend{Text: "Make " + what + " and revoke this one once nothing uses it.", Who: byPartner, Command: fmt.Sprintf(command, c.Application, c.Environment), Page: "/applications/" + string(c.Application)},
			"method", j.e.Method, "plans take", strings.Join(kinds, ", "), "data class", class)
	}
	if c.Kind == credential.APIKey && len(c.Sources) == 0 {
		j.found("anywhere", "NHI4", Low, "It can be used from any network.",
			Mend{Text: "Limit it to the networks that call.", Who: byPartner, Command: "gatehouse credential change " + string(c.ID) + " --source NETWORK",
				Call: "PATCH /api/credentials/" + string(c.ID), Body: `{"sources":["NETWORK"]}`, Page: "/credentials/" + string(c.ID) + "/change"},
			"last address", j.lastAddress())
	}
}

func plain(c credential.Credential) string {
	switch {
	case c.Kind == credential.APIKey:
		return "It is a key that is sent with every call"
	case hasSecret(c):
		return "It is proven by a secret, and its tokens are bound to nothing"
	}
	return "Its tokens are bound to nothing"
}

func (j *judging) lastAddress() string {
	var last credential.Use
	for _, u := range j.Uses {
		if u.Last.After(last.Last) {
			last = u
		}
	}
	return last.Address
}

// privileges looks for rights that nothing calls. A grant that is younger than the time is not judged.
func (j *judging) privileges() {
	since := j.rules.Since(j.now)
	if !j.e.LastUse.After(since) || j.Credential.Created.After(since) {
		return // it is dormant, or too young to tell
	}
	mine := map[string]bool{}
	grants := map[id.ID]bool{}
	for _, u := range j.Uses {
		if !u.Last.Before(since) {
			mine[u.API+"/"+u.Operation] = true
			grants[u.Grant] = true
		}
	}
	for _, r := range j.Rights {
		g := r.Grant
		if !g.Live(j.now) || g.From.After(since) || r.Needs == nil {
			continue
		}
		if !grants[g.ID] && len(j.e.Grants) > 1 {
			j.found("unused-grant", "NHI5", Medium, "It can be used with a grant that it did not call anything with for "+days(j.rules.Unused)+".", j.bind(grants),
				"grant", string(g.ID), "product", g.Product, "calls that could not be counted", some(j.Lost))
		}
		j.scopes(r, since)
	}
	j.operations(mine, since)
}

// scopes looks for scopes of a grant that no call needed, whichever credential made it.
// One that was approved since then is too young to tell.
func (j *judging) scopes(r Right, since time.Time) {
	needed, known := map[string]bool{}, len(r.Called) > 0
	for _, op := range r.Called {
		scopes, ok := r.Needs[op]
		known = known && ok
		for _, s := range scopes {
			needed[s] = true
		}
	}
	if !known { // what was called is not offered any more: nobody knows what it needed
		return
	}
	var keep, unused []string
	for _, s := range r.Grant.Scopes {
		if needed[s] || r.Grant.Since(s).After(since) {
			keep = append(keep, s)
		} else {
			unused = append(unused, s)
		}
	}
	if len(unused) == 0 || len(keep) == 0 {
		return
	}
	g := string(r.Grant.ID)
	j.found("unused-scopes", "NHI5", Medium, "Nothing that was called in "+days(j.rules.Unused)+" needed "+strings.Join(unused, ", ")+".",
		Mend{Text: "Narrow the grant to what is called.", Who: "the partner's owner or developer, an approver, the API's owner, an operator",
			Command: "gatehouse grant narrow " + g + " --scope " + strings.Join(keep, " --scope ") + ` --reason "not used"`,
			Call:    "POST /api/grants/" + g + "/narrow", Body: body("scopes", keep, "reason", "not used"), Page: "/grants/" + g + "/narrow"},
		"grant", g, "unused", strings.Join(unused, " "), "needed", strings.Join(keep, " "), "calls that could not be counted", some(j.Lost))
}

// operations looks for operations that it can call and does not.
func (j *judging) operations(called map[string]bool, since time.Time) {
	grants := map[id.ID]grant.Grant{}
	for _, r := range j.Rights {
		grants[r.Grant.ID] = r.Grant
	}
	var unused []string
	all := 0
	for _, o := range j.Reach {
		g := grants[o.Grant]
		young := g.From.After(since) || slices.ContainsFunc(o.Scopes, func(s string) bool { return g.Since(s).After(since) })
		if o.Grant == "" || young {
			continue
		}
		all++
		if !called[o.name()] {
			unused = append(unused, o.name())
		}
	}
	if len(unused) == 0 {
		return
	}
	slices.Sort(unused)
	unused = slices.Compact(unused)
	j.found("unused-operations", "NHI5", Low, fmt.Sprintf("It did not call %d of the %d operations that it can call, in %s.", len(unused), all, days(j.rules.Unused)),
		Mend{Text: "Ask for a product or plan with less, or narrow its grants.", Who: byPartner, Page: "/applications/" + string(j.Credential.Application) + "/reach"},
		"unused", strings.Join(first(unused, 20), " "), "calls that could not be counted", some(j.Lost))
}

// bind is how a credential is kept to the grants that it uses: by another one in its place.
func (j *judging) bind(used map[id.ID]bool) Mend {
	var names []string
	for g := range used {
		if g != "" {
			names = append(names, string(g))
		}
	}
	slices.Sort(names)
	c := j.Credential
	return Mend{Text: "Issue another one that is bound to the grants that it uses, and revoke this one; or end the grant if nothing else uses it.", Who: byPartner,
		Command: "gatehouse credential issue --application " + string(c.Application) + " --env " + c.Environment + " --grant " + strings.Join(names, " --grant "),
		Call:    "POST /api/credentials", Body: body("application", c.Application, "environment", c.Environment, "name", c.Name, "grants", names),
		Page: "/credentials/new?application=" + string(c.Application)}
}

// ages looks for what lasts too long.
func (j *judging) ages() {
	c := j.Credential
	switch end := c.End(); {
	case c.Expires.IsZero():
		j.found("no-end", "NHI7", High, "It has no end.", j.replace(), "created", day(c.Created))
	case end.Sub(j.now) > j.rules.Life:
		j.found("far-end", "NHI7", Medium, "It ends in "+days(end.Sub(j.now))+".", j.replace(), "end", day(end))
	}
	if age := j.now.Sub(secretSince(c)); hasSecret(c) && c.State != credential.Retiring && age > j.rules.Secret {
		j.found("old-secret", "NHI7", Medium, "Its secret was not replaced for "+days(age)+".", j.replace(), "secret since", day(secretSince(c)))
	}
}

// reuse looks for the same proof in another environment or for another application.
func (j *judging) reuse() {
	var environments, applications []string
	c := j.Credential
	for _, s := range j.Shared {
		switch {
		case s.Environment != c.Environment:
			environments = append(environments, string(s.Credential)+" in "+s.Environment)
		case s.Application != c.Application:
			applications = append(applications, string(s.Credential)+" of "+string(s.Application))
		}
	}
	what := map[credential.Kind]string{credential.Client: "key, certificate or address of keys", credential.Certificate: "key or certificate", credential.Federated: "subject"}[c.Kind]
	if len(environments) > 0 {
		j.found("across-environments", "NHI8", High, "The same "+what+" proves a credential in another environment: who has the one has the other.", j.replace(), "also", strings.Join(environments, ", "))
	}
	if len(applications) > 0 {
		j.found("across-applications", "NHI9", High, "The same "+what+" proves another application.", j.replace(), "also", strings.Join(applications, ", "))
	}
}

const byPartner = "the partner's owner or developer"

func (j *judging) revoke(reason string) Mend {
	c := string(j.Credential.ID)
	return Mend{Text: "Revoke it.", Who: "the partner's owner or developer, an operator", Command: "gatehouse credential revoke " + c + ` --reason "` + reason + `"`,
		Call: "POST /api/credentials/" + c + "/revoke", Body: body("reason", reason), Page: "/credentials/" + c + "/revoke"}
}

func (j *judging) handOver() Mend {
	a := string(j.Credential.Application)
	return Mend{Text: "Name a member who answers for the application.", Who: "the partner's owner or developer, an operator", Command: "gatehouse application change " + a + " --owner PERSON",
		Call: "PATCH /api/applications/" + a, Body: `{"owner":"PERSON"}`, Page: "/applications/" + a + "/edit"}
}

// replace is how a credential gets a fresh proof.
func (j *judging) replace() Mend {
	c := j.Credential
	i := string(c.ID)
	if hasSecret(c) {
		return Mend{Text: "Replace it, with an overlap in which both count.", Who: byPartner, Command: "gatehouse credential rotate " + i + " --overlap 24h",
			Call: "POST /api/credentials/" + i + "/rotate", Body: `{"overlap":"24h"}`, Page: "/credentials/" + i + "/rotate"}
	}
	m := Mend{Text: "Make another one with a key of its own, and revoke this one.", Who: byPartner, Page: "/applications/" + string(c.Application)}
	at := " --application " + string(c.Application) + " --env " + c.Environment
	switch c.Kind {
	case credential.Certificate:
		m.Command, m.Call = "gatehouse credential enrol-certificate"+at, "POST /api/client-certificates"
	case credential.Federated:
		m.Command, m.Call = "gatehouse credential bind-workload"+at, "POST /api/workload-identities"
	default:
		m.Command, m.Call = "gatehouse credential register-client"+at, "POST /api/oauth-clients"
	}
	return m
}

// body writes names and values as a JSON object.
func body(kv ...any) string {
	m := map[string]any{}
	for n := 0; n+1 < len(kv); n += 2 {
		m[kv[n].(string)] = kv[n+1]
	}
	b, _ := json.Marshal(m) // of texts and lists of texts
	return string(b)
}

// Since is since when the rules look at use.
func (r Rules) Since(now time.Time) time.Time { return now.Add(-r.Unused) }

// Fits reports whether the credential can be used with the grant, as far as that is a question of where and of what it is bound
// to. Both are of one application.
func Fits(g grant.Grant, c credential.Credential) bool {
	return g.Environment == c.Environment && (len(c.Grants) == 0 || slices.Contains(c.Grants, g.ID))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func days(d time.Duration) string {
	n := int(d / (24 * time.Hour))
	if n == 1 {
		return "1 day"
	}
	return strconv.Itoa(n) + " days"
}

func some(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func first(list []string, n int) []string {
	if len(list) > n {
		return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
	}
	return list
}
