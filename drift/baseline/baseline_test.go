package baseline_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/baseline"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

const deck = `_format_version: "3.0"
services:
- name: s
  url: https://u.example.com
  tls_verify: true
  routes: [{name: r, paths: ["~/a$"], methods: [GET], protocols: [https]}]
plugins:
- {name: openid-connect, config: {issuer: "https://login.example.com", auth_methods: [bearer], audience_required: [a], bearer_token_param_type: [header]}}
- {name: rate-limiting, config: {minute: 60, policy: redis}}
- {name: http-log, config: {http_endpoint: "https://logs.example.com"}}
`

func env(t *testing.T, text string) *drift.Environment {
	return drifttest.Read(t, kong.Read, drifttest.Files{"kong.yaml": text}, "prod", drift.Prod)
}

// TestAnEnvironmentMeetsItsOwnStandard: written, read back and compared, nothing is found; a weakening is.
func TestAnEnvironmentMeetsItsOwnStandard(t *testing.T) {
	text, err := baseline.Write(drift.Adopt("house", env(t, deck)))
	if err != nil {
		t.Fatal(err)
	}
	b, problems := baseline.Read("house.yaml", text)
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, text)
	}
	compare := func(e *drift.Environment) []drift.Finding {
		return drifttest.Between(drift.Compare([]*drift.Environment{e}, drift.Settings{Now: drifttest.Now(), Baseline: b}))
	}
	for _, f := range compare(env(t, deck)) {
		t.Errorf("%s %s: %s, %s", f.Rule, f.Field, f.A.Value, f.B.Value)
	}
	for _, c := range []struct{ rule, old, new string }{{"DR-TRF-07", "minute: 60", "minute: 6000"}, {"DR-AUT-08", "audience_required: [a], ", ""}} {
		found := false
		for _, f := range compare(env(t, strings.Replace(deck, c.old, c.new, 1))) {
			found = found || f.Rule == c.rule && f.Weaker() == "prod"
		}
		if !found {
			t.Errorf("%s is not found", c.rule)
		}
	}
	if fs := compare(env(t, strings.Replace(deck, "minute: 60", "minute: 6", 1))); len(fs) > 0 {
		t.Errorf("stricter than the standard is reported: %+v", fs[0])
	}
}

func TestBaselinesAreWrittenByPeople(t *testing.T) {
	const text = `baseline: eid
policies:
  - operations: ["* /a/**", "GET /a"]
    policy:
      tls: {min: "1.2"}
      logging: {enabled: true}
      auth: {ways: [{needs: [{kind: jwt}]}]}
      rate:
rules_off:
  - {rule: DR-TRF-10, reason: order is tested elsewhere}
waivers:
  - {rule: DR-AUT-22, environments: [prod], owner: Kim, reason: moves to the vault in spring, ends: 2027-03-31}
`
	good := strings.Replace(text, "      rate:\n", "", 1)
	b, problems := baseline.Read("b.yaml", []byte(good))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if m := b.Policies[0].Policy.TLS.Min; m.Value != "1.2" || m.State != drift.Set {
		t.Errorf("%+v", m)
	}
	if e := b.Waivers[0].Ends; !e.Equal(time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC)) {
		t.Errorf("ends %s", e)
	}
	for old, new := range map[string]string{
		"baseline: eid":                         "baseline: ''",
		"{min: \"1.2\"}":                        "{minimum: \"1.2\"}",
		"rule: DR-TRF-10":                       "rule: DR-TRF-99",
		"owner: Kim":                            "owner: ''",
		"ends: 2027-03-31":                      "ends: null",
		"reason: order is tested elsewhere":     "reason: ''",
		"operations: [\"* /a/**\", \"GET /a\"]": "operations: []",
		"{kind: jwt}":                           "{kind: jwt, never: 1}",
	} {
		if _, problems := baseline.Read("b.yaml", []byte(strings.Replace(good, old, new, 1))); len(problems) == 0 {
			t.Errorf("%s is taken", new)
		}
	}
}

// TestWaiversEnd: they cover what they name, until their end.
func TestWaiversEnd(t *testing.T) {
	e := env(t, strings.Replace(deck, "plugins:", "consumers: [{username: c, keyauth_credentials: [{key: abcdef123456}]}]\nplugins:", 1))
	for _, c := range []struct {
		ends   string
		rule   string
		env    string
		waived bool
	}{
		{"2027-01-01", "DR-AUT-22", "prod", true}, {"2026-10-31", "DR-AUT-22", "prod", false}, {"2027-01-01", "DR-AUT-21", "prod", false}, {"2027-01-01", "DR-AUT-22", "test", false},
	} {
		b, problems := baseline.Read("b.yaml", []byte("baseline: x\npolicies: []\nwaivers: [{rule: "+c.rule+", environments: ["+c.env+"], owner: o, reason: r, ends: "+c.ends+"}]\n"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		fs := drifttest.Named(drift.Compare([]*drift.Environment{e}, drift.Settings{Now: drifttest.Now(), Baseline: b}), "DR-AUT-22")
		if len(fs) != 1 || (fs[0].Waiver != nil) != c.waived {
			t.Errorf("%+v: %+v", c, fs)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("baseline: x\npolicies: [{operations: ['**'], policy: {tls: {min: '1.2'}}}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, _ := baseline.Read("b.yaml", b); out == nil {
			t.Error("nil")
		}
	})
}

// TestWaiversAlone: a file without standards leaves the environments to each other, and its waivers and rules count.
func TestWaiversAlone(t *testing.T) {
	other := env(t, strings.Replace(deck, "minute: 60", "minute: 6000", 1))
	other.Name = "stage"
	compare := func(text string) *drift.Result {
		b, problems := baseline.Read("w.yaml", []byte("baseline: w\n"+text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return drift.Compare([]*drift.Environment{env(t, deck), other}, drift.Settings{Now: drifttest.Now(), Baseline: b})
	}
	if fs := drifttest.Named(compare(""), "DR-TRF-07"); len(fs) != 1 || fs[0].Waiver != nil {
		t.Fatalf("%+v", fs)
	}
	r := compare("waivers:\n  - {rule: DR-TRF-07, environments: [stage], owner: Kim, reason: load tests, ends: 2027-03-31}\n  - {rule: DR-AUT-22, owner: Kim, reason: none, ends: 2027-03-31}\n  - {rule: DR-CRT-01, owner: Kim, reason: none, ends: 2026-01-31}\n")
	if fs := drifttest.Named(r, "DR-TRF-07"); len(fs) != 1 || fs[0].Waiver == nil {
		t.Errorf("%+v", fs)
	}
	if len(r.Idle) != 1 || r.Idle[0].Rule != "DR-AUT-22" || len(r.Ended) != 1 || r.Ended[0].Rule != "DR-CRT-01" {
		t.Errorf("idle %+v, ended %+v", r.Idle, r.Ended)
	}
	if fs := drifttest.Named(compare("waivers: [{rule: DR-TRF-07, environments: [stage], owner: Kim, reason: x, ends: 2026-01-31}]\n"), "DR-TRF-07"); len(fs) != 1 || fs[0].Waiver != nil {
		t.Errorf("a waiver that has ended accepts: %+v", fs)
	}
	if fs := drifttest.Named(compare("rules_off: [{rule: DR-TRF-07, reason: x}]\n"), "DR-TRF-07"); len(fs) != 0 {
		t.Errorf("a rule that is off is asked: %+v", fs)
	}
}

// TestOperationsWithoutAStandardAreSaid: what the baseline does not speak of is not said to be without drift.
func TestOperationsWithoutAStandardAreSaid(t *testing.T) {
	b, problems := baseline.Read("b.yaml", []byte("baseline: b\npolicies: [{operations: [\"GET /other\"], policy: {tls: {min: \"1.2\"}}}]\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := drift.Compare([]*drift.Environment{env(t, deck)}, drift.Settings{Now: drifttest.Now(), Baseline: b})
	if r.Unjudged != 1 || r.Verdict() == "no drift" {
		t.Errorf("%d, %s", r.Unjudged, r.Verdict())
	}
}
