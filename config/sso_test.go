package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/config"
	"gatehouse/fault"
)

func loadSSO(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, nil)
}

func TestProviders(t *testing.T) {
	c, err := loadSSO(t, `
sso:
  - name: directory
    title: Platform directory
    issuer: https://login.platform.example
    client_id: gatehouse
    client_secret: {value: very secret}
    for: staff
    domains: [Platform.example]
    groups: groups
    roles: {api-team: ["approver@api:payments", operator], auditors: [auditor]}
    second_factor: true
  - {name: fjord, issuer: "https://id.fjord.example/", client_id: x, for: org_01kas0v2m8c4y6n0q3r5t7w9xz, domains: [fjord.example], scopes: [email]}
`)
	if err != nil {
		t.Fatal(err)
	}
	one, two := c.SSO[0], c.SSO[1]
	if one.ClientSecret.Reveal() != "very secret" || !one.SecondFactor || one.Title != "Platform directory" || one.Domains[0] != "platform.example" {
		t.Errorf("the first is %+v", one)
	}
	if d := cmp.Diff(map[string][]string{"api-team": {"approver@api:payments", "operator"}, "auditors": {"auditor"}}, one.Roles); d != "" {
		t.Error(d)
	}
	if two.Title != "fjord" || !two.ClientSecret.Empty() || two.Issuer != "https://id.fjord.example/" || len(two.Scopes) != 1 {
		t.Errorf("the second is %+v", two)
	}
}

func TestProvidersThatAreWrong(t *testing.T) {
	const good = "name: a, issuer: 'https://a.example', client_id: x, for: staff, domains: [a.example]"
	for text, want := range map[string]string{
		"sso: yes":                                                                       "/sso: must be a list",
		"sso: [x]":                                                                       "/sso/0: must be a provider",
		"sso: [{}]":                                                                      "/sso/0/name: is missing",
		"sso: [{" + good + "}, {" + good + "}]":                                          "/sso/1/name: another provider has it already",
		"sso: [{" + good + ", scope: [x]}]":                                              "/sso/0/scope: there is no such setting",
		"sso: [{" + good + ", title: [x]}]":                                              "/sso/0/title: must be a single value",
		"sso: [{" + good + ", roles: {g: [admin]}}]":                                     "/sso/0/groups: is missing",
		"sso: [{" + good + ", roles: [admin]}]":                                          "/sso/0/roles: must map groups",
		"sso: [{" + good + ", roles: {g: admin}}]":                                       "/sso/0/roles: g: must be a list",
		"sso: [{" + good + ", second_factor: perhaps}]":                                  "/sso/0/second_factor: must be true or false",
		"sso: [{" + good + ", client_secret: plain}]":                                    "/sso/0/client_secret: must be one of",
		"sso: [{" + good + ", client_secret: {env: NO}}]":                                "/sso/0/client_secret: is empty",
		strings.Replace("sso: [{"+good+"}]", "a.example]", "a example]", 1):              `/sso/0/domains: "a example" is no domain`,
		strings.Replace("sso: [{"+good+"}]", "https://a.example", "a.example", 1):        "/sso/0/issuer: must be the address",
		strings.Replace("sso: [{"+good+"}]", "https://a.example", "https://a.e/?x=y", 1): "/sso/0/issuer: must be the address",
		strings.Replace("sso: [{"+good+"}]", "name: a", "name: A b", 1):                  "/sso/0/name: must be lower case",
	} {
		_, err := loadSSO(t, text)
		found := false
		for _, f := range fault.As(err).Fields {
			found = found || strings.Contains(f.Text, want) && strings.Contains(f.Pointer, "gatehouse.yaml:")
		}
		if !found {
			t.Errorf("%s: %v %v, want %s", text, err, fault.As(err).Fields, want)
		}
	}
}
