package rule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/rule"
)

func TestHolds(t *testing.T) {
	f := rule.Facts{Scopes: []string{"a:read", "b:read"}, Product: "p", Plan: "gold", Environment: "test", DataClass: "personal",
		Duration: 30 * 24 * time.Hour, Country: "NO", VerifiedFor: 90 * 24 * time.Hour, Standing: 2}
	for text, want := range map[string]bool{
		`scopes.all(s, s.endsWith(":read")) && duration <= duration("720h")`: true,
		`"b:read" in scopes && size(scopes) == 1`:                            false,
		`data_class == "personal" && verified_for < duration("2400h")`:       true,
		`environment == "live" || country in ["SE", "NO"]`:                   true,
		`standing > 2 || sort == "renewal"`:                                  false,
	} {
		r, err := rule.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := r.Holds(f); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, text := range []string{``, `scopes`, `duration > 5`, `nobody == "x"`, `scopes.all(s, s`, `"1" + 1 == "2"`, strings.Repeat("true && ", 300) + "true"} {
		if _, err := rule.Compile(text); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTooMuchWorkIsNoAnswer(t *testing.T) {
	r, err := rule.Compile(`scopes.all(a, scopes.all(b, scopes.all(c, a + b + c != "x")))`)
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := r.Holds(rule.Facts{Scopes: strings.Split(strings.Repeat("s ", 100), " ")}); err == nil || yes {
		t.Errorf("answered %v", yes)
	}
	if yes, err := (rule.Rule{}).Holds(rule.Facts{}); err == nil || yes {
		t.Errorf("the zero rule answers %v", yes)
	}
}
