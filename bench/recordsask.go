package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/id"
)

// promised is DESIGN's bound for a list or a decision.
const promised = 50.0 // milliseconds

// question is one thing that is asked again and again.
type question struct {
	name string
	ask  func(ctx context.Context) (bytes int, err error)
}

// took is a line of the result.
type took struct {
	Bench    string  `json:"bench"`
	Database string  `json:"database"`
	Size     size    `json:"size"`
	Case     string  `json:"case"`
	Times    int     `json:"times"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Worst    float64 `json:"worst_ms"`
	CPU      float64 `json:"cpu_ms"` // of the program's, each time on average; without PostgreSQL's
	Bytes    int     `json:"bytes"`
	Within   bool    `json:"within_50_ms"`
}

// measure asks every question so many times, one after another, and prints what it took.
func (a *archive) measure(ctx context.Context, o options, out io.Writer) error {
	times := 60
	if o.short {
		times = 10
	}
	for _, q := range slices.Concat(a.lists(), a.pages(), a.decisions()) {
		if o.kase != "" && !strings.Contains(q.name, o.kase) {
			continue
		}
		list := make([]float64, 0, times)
		t := took{Bench: "records", Database: a.name, Size: a.size, Case: q.name}
		var before time.Duration
		for n := range times + 1 {
			if n == 1 {
				var err error
				if before, err = a.process.spent(); err != nil {
					return err
				}
			}
			began := time.Now()
			bytes, err := q.ask(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			if t.Bytes = bytes; n > 0 { // the first one is to warm up
				list = append(list, float64(time.Since(began).Microseconds())/1000)
			}
			if n > 5 && list[0] > 500 && list[len(list)-1] > 500 {
				break // it is clear enough
			}
		}
		after, err := a.process.spent()
		if err != nil {
			return err
		}
		t.CPU = float64((after - before).Microseconds()) / 1000 / float64(len(list))
		slices.Sort(list)
		t.Times, t.P50, t.P99, t.Worst = len(list), list[len(list)/2], list[len(list)*99/100], list[len(list)-1]
		t.Within = t.P99 <= promised
		if err := json.NewEncoder(out).Encode(t); err != nil {
			return err
		}
		fmt.Fprintf(a.log, "%-11s %-48s p50 %8.1f ms  p99 %8.1f ms  %6.1f ms of processor\n", a.name, t.Case, t.P50, t.P99, t.CPU)
	}
	return nil
}

// get is a question that reads one path of the admin API or, with a cookie, of the portal.
func (a *archive) get(name, token, path string) question {
	return question{name, func(ctx context.Context) (int, error) {
		r, err := http.NewRequestWithContext(ctx, "GET", a.portal+path, nil)
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(path, "/api/") {
			r.Header.Set("Authorization", "Bearer "+token)
		} else {
			r.AddCookie(&http.Cookie{Name: "gatehouse", Value: token})
		}
		res, err := http.DefaultTransport.RoundTrip(r) // follows nobody to the page for signing in
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s is answered %d: %.300s", path, res.StatusCode, b)
		}
		return len(b), err
	}}
}

// lists is every list of the admin API: its beginning, its middle, and with each filter.
func (a *archive) lists() (out []question) {
	s := a.sample
	in := func(name, value string) string { return name + "=" + url.QueryEscape(value) }
	soon, later := time.Now().Add(30*24*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(180*24*time.Hour).UTC().Format(time.RFC3339)
	org, app := in("organization", string(s.Organization)), in("application", string(s.Application))
	for _, l := range []struct {
		list    string
		filters []string
	}{
		{"organizations", []string{"", in("after", string(s.Organization)), "state=suspended", "state=verified", "search=partner+00042", "search=nobody", "search=0004"}},
		{"applications", []string{"", in("after", string(s.Application)), org}},
		{"credentials", []string{"", in("after", string(s.Credential)), org, app, "dormant=30d", "dormant=250d", org + "&dormant=30d"}},
		{"inventory", []string{"", in("after", string(s.Credential)), org, app, "severity=critical", "risk=NHI1"}},
		{"grants", []string{"", in("after", string(s.Grant)), org, app, "environment=live", "environment=test", "state=suspended", "state=ended", in("ending", soon), in("ending", later), "state=active&" + in("ending", soon)}},
		{"requests", []string{"", in("after", string(s.Request)), org, app, "state=open", "state=refused", "environment=test", "state=open&environment=test"}},
		{"audit", []string{"", "after=" + fmt.Sprint(a.Applications/2), in("object", string(s.Application)), org, app, "action=application.", "action=grant.suspend", "action=nothing.", in("actor", s.Actor), org + "&action=nothing."}},
		{"reviews", []string{"", "state=open"}},
		{"review-items", []string{"", org, "mine=true"}},
		{"staff", []string{""}}, {"invitations", []string{""}}, {"webhooks", []string{""}}, {"machine-tokens", []string{""}}, {"letters/given-up", []string{""}},
		{"organizations/" + string(s.Organization) + "/members", []string{""}},
		{"applications/" + string(s.Application) + "/usage", []string{"environment=live&by=hour"}},
		{"grants/" + string(s.Grant) + "/usage", []string{"by=day"}},
		{"requests/" + string(s.Request) + "/facts", []string{""}},
		{"credentials/" + string(s.Credential) + "/uses", []string{""}},
		{"evidence/" + string(s.Application), []string{""}},
	} {
		for _, f := range l.filters {
			out = append(out, a.get("list "+named(l.list+"?"+f, s), a.admin, "/api/"+l.list+"?"+f))
		}
	}
	return out
}

// named writes a path with words in the place of identifiers.
func named(path string, s sample) string {
	path, err := url.QueryUnescape(path)
	if err != nil {
		return path
	}
	for _, r := range [][2]string{{s.Actor, "ACTOR"}, {time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.DateOnly), "SOON"}, {time.Now().Add(180 * 24 * time.Hour).UTC().Format(time.DateOnly), "LATER"}, {string(s.Organization), "ORG"}, {string(s.Application), "APP"}, {string(s.Credential), "CRD"}, {string(s.Grant), "GRANT"}, {string(s.Request), "REQ"}} {
		path = strings.ReplaceAll(path, r[0], r[1])
	}
	return strings.TrimSuffix(path, "?")
}

// pages is the portal's pages with lists, as staff see them.
func (a *archive) pages() (out []question) {
	for _, p := range []string{"/", "/organizations", "/organizations/" + string(a.sample.Organization), "/applications", "/applications/" + string(a.sample.Application), "/credentials", "/inventory", "/inventory?after=" + string(a.sample.Credential), "/grants", "/requests", "/audit", "/reviews"} {
		out = append(out, a.get("page "+named(p, a.sample), a.admin, p))
	}
	return out
}

// people signs the administrator in, makes an approver, and a partner with an application and a grant.
func (a *archive) people(ctx context.Context, link string) error {
	_, token, _ := strings.Cut(link, "token=")
	var s struct{ Token string }
	if err := a.ask(ctx, "", "POST", "/api/sessions/link", map[string]string{"token": token}, &s); err != nil {
		return err
	}
	a.admin = s.Token
	if err := a.partnerIn(ctx); err != nil {
		return err
	}
	email := fmt.Sprintf("approver-%d@platform.example", time.Now().UnixNano())
	if err := a.ask(ctx, a.admin, "POST", "/api/staff", map[string]any{"email": email, "name": "Asta", "roles": []string{"approver", "operator"}}, nil); err != nil {
		return err
	}
	token, err := a.letter(ctx, email)
	if err != nil {
		return err
	}
	err = a.ask(ctx, "", "POST", "/api/sessions/link", map[string]string{"token": token}, &s)
	a.approver = s.Token
	return err
}

// letter waits for a letter with a link, and returns the link's token.
func (a *archive) letter(ctx context.Context, to string) (string, error) {
	for {
		var box struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		if err := a.ask(ctx, "", "GET", "/dev/mail", nil, &box); err != nil {
			return "", err
		}
		for _, l := range box.Items {
			if l.To == to && len(l.Links) > 0 {
				_, token, _ := strings.Cut(l.Links[0], "token=")
				return token, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// partnerIn registers one more partner, whose member does what members do, with an application and a grant.
func (a *archive) partnerIn(ctx context.Context) error {
	type text = map[string]any
	stamp := fmt.Sprint(time.Now().UnixNano())
	email, password := "ines@partner-"+stamp+".example", "correct horse battery staple 7"
	var s struct {
		Token  string
		Person struct{ Organization id.ID }
	}
	var made struct{ ID, Grant string }
	if err := a.ask(ctx, "", "POST", "/api/registrations", text{"organization": "Measured " + stamp, "name": "Ines", "email": email, "password": password}, nil); err != nil {
		return err
	}
	token, err := a.letter(ctx, email)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		by, path string
		in, out  any
	}{
		{"", "/api/confirmations", text{"token": token}, nil},
		{"", "/api/sessions", text{"email": email, "password": password}, &s},
	} {
		if err := a.ask(ctx, step.by, "POST", step.path, step.in, step.out); err != nil {
			return err
		}
	}
	a.member, a.house.organization = s.Token, s.Person.Organization
	if err := a.ask(ctx, a.admin, "POST", "/api/organizations/"+string(a.house.organization)+"/verify", text{"note": "seen"}, nil); err != nil {
		return err
	}
	if err := a.ask(ctx, a.member, "POST", "/api/applications", text{"name": "first", "purpose": "to be measured"}, &made); err != nil {
		return err
	}
	a.application = made.ID
	err = a.ask(ctx, a.member, "POST", "/api/requests", text{"application": made.ID, "environment": "live", "product": "starter", "plan": "free", "scopes": []string{"verifications:read"}, "purpose": "to be measured", "duration": "30d"}, &made)
	a.grant = made.Grant
	return err
}

// decisions is what people do to records among so many others: each time to a new one.
func (a *archive) decisions() []question {
	type text = map[string]any
	var made struct{ ID string }
	var key struct{ Credential struct{ ID string } }
	var asked, opened []string
	do := func(token, method, path string, in, out any) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { return 0, a.ask(ctx, token, method, path, in, out) }
	}
	n := 0
	return []question{
		{"create an application", func(ctx context.Context) (int, error) {
			n++
			err := a.ask(ctx, a.member, "POST", "/api/applications", text{"name": fmt.Sprintf("bench %d %d", time.Now().UnixNano(), n), "purpose": "to be measured"}, &made)
			opened = append(opened, made.ID)
			return 0, err
		}},
		{"request access", func(ctx context.Context) (int, error) {
			if len(opened) == 0 {
				return 0, fmt.Errorf("measure \"create an application\" too")
			}
			app := opened[len(asked)%len(opened)]
			err := a.ask(ctx, a.member, "POST", "/api/requests", text{"application": app, "environment": "live", "product": "verification", "plan": "standard", "scopes": []string{"verifications:read"}, "purpose": "to be measured", "duration": "30d"}, &made)
			asked = append(asked, made.ID)
			return 0, err
		}},
		{"approve or refuse a request", func(ctx context.Context) (int, error) {
			r := asked[0]
			asked = asked[1:]
			in := text{"approve": true}
			if len(asked)%2 == 0 {
				in = text{"approve": false, "reason": "to be measured"}
			}
			return 0, a.ask(ctx, a.approver, "POST", "/api/requests/"+r+"/decisions", in, nil)
		}},
		{"issue a key", do(a.member, "POST", "/api/credentials", text{"application": a.application, "environment": "live", "name": "bench", "lifetime": "30d"}, &key)},
		{"suspend and resume a credential", func(ctx context.Context) (int, error) {
			for _, what := range []string{"suspend", "resume"} {
				if err := a.ask(ctx, a.member, "POST", "/api/credentials/"+key.Credential.ID+"/"+what, text{"reason": "to be measured"}, nil); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}},
		{"suspend and resume a grant", func(ctx context.Context) (int, error) {
			for _, what := range []string{"suspend", "resume"} {
				if err := a.ask(ctx, a.admin, "POST", "/api/grants/"+a.grant+"/"+what, text{"reason": "to be measured"}, nil); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}},
		{"issue a key and revoke it", func(ctx context.Context) (int, error) {
			if err := a.ask(ctx, a.member, "POST", "/api/credentials", text{"application": a.application, "environment": "live", "name": "bench", "lifetime": "30d"}, &key); err != nil {
				return 0, err
			}
			return 0, a.ask(ctx, a.member, "POST", "/api/credentials/"+key.Credential.ID+"/revoke", text{"reason": "to be measured"}, nil)
		}},
	}
}
