package kong_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

func read(t *testing.T, text string) *drift.Environment {
	t.Helper()
	return drifttest.Read(t, kong.Read, drifttest.Files{"kong.yaml": "_format_version: \"3.0\"\n" + text}, "x", drift.Prod)
}

// TestPrecedence walks down Kong's order: the instance that is bound to more stands in the place of the others, whole.
func TestPrecedence(t *testing.T) {
	limit := func(n int, bound string) string {
		return fmt.Sprintf("- {name: rate-limiting, config: {minute: %d}%s}\n", n, bound)
	}
	base := "services:\n- name: s\n  url: https://u\n  routes: [{name: r, paths: [/a]}]\nconsumer_groups: [{name: g}]\nconsumers: [{username: c, groups: [{name: g}]}]\nplugins:\n"
	bounds := []string{
		"", ", service: s", ", route: r", ", consumer_group: g", ", consumer: c", ", service: s, route: r", ", consumer_group: g, service: s",
		", consumer_group: g, route: r", ", consumer: c, service: s", ", consumer: c, route: r", ", consumer_group: g, service: s, route: r", ", consumer: c, service: s, route: r",
	}
	text := base
	for i, b := range bounds {
		text += limit(i+1, b)
		e := read(t, text)
		o := e.Operations[0]
		got := o.General()
		for _, eff := range o.Effective {
			if eff.Class == "consumer c" {
				got = eff.Policy
			} else if eff.Class == "consumer group g" && got == o.General() {
				got = eff.Policy
			}
		}
		want := int64(i + 1)
		if n := got.Rates.Value[0].Count.Value; len(got.Rates.Value) != 1 || n != want {
			t.Errorf("with %q on top: %d per minute, want %d", b, n, want)
		}
	}
}

func TestAuthenticationCombines(t *testing.T) {
	const base = "services:\n- name: s\n  url: https://u\n  routes: [{name: r, paths: [/a]}]\nconsumers: [{username: nobody}]\nplugins:\n"
	for _, c := range []struct {
		name, plugins, want string
		fallback            bool
	}{
		{"none", "", "open", false},
		{"one", "- {name: key-auth}\n", "api_key", false},
		{"both are demanded", "- {name: key-auth}\n- {name: jwt}\n", "api_key and jwt", false},
		{"both only try", "- {name: key-auth, config: {anonymous: nobody}}\n- {name: jwt, config: {anonymous: nobody}}\n", "api_key or jwt", true},
		{"one insists", "- {name: key-auth, config: {anonymous: nobody}}\n- {name: jwt}\n", "jwt", false},
		{"nobody is stopped", "- {name: key-auth, config: {anonymous: nobody}}\n- {name: request-termination, consumer: nobody}\n", "api_key", false},
		{"nobody has no group", "- {name: key-auth, config: {anonymous: nobody}}\n- {name: acl, config: {allow: [x]}}\n", "api_key", false},
		{"switched off", "- {name: key-auth, enabled: false}\n", "open", false},
	} {
		a := read(t, base+c.plugins).Operations[0].General().Auth
		if got := a.Ways.Value.String(); got != c.want || a.Fallback.Value != c.fallback {
			t.Errorf("%s: %s, fallback %v; want %s, %v", c.name, got, a.Fallback.Value, c.want, c.fallback)
		}
	}
}

func TestUnknownIsSaid(t *testing.T) {
	e := read(t, "services:\n- name: s\n  url: https://u\n  routes: [{name: r, paths: [/a]}]\nplugins:\n- {name: rate-limiting, config: {minute: '${{ env \"DECK_N\" }}'}}\n- {name: my-auth}\n- {name: jwt, route: elsewhere}\n")
	p := e.Operations[0].General()
	if s := p.Auth.Ways.State; s != drift.Unresolved {
		t.Errorf("a route with somebody's own plugin: authentication is %s", s)
	}
	if c := p.Rates.Value[0].Count; c.State != drift.Unresolved || !strings.Contains(c.Cause, "DECK_N") {
		t.Errorf("an environment variable: %+v", c)
	}
	if len(e.Gaps) != 1 || e.Gaps[0].Name != "elsewhere" {
		t.Errorf("gaps %+v", e.Gaps)
	}
	if drift.Cover(e).Whole() {
		t.Error("the coverage is said to be whole")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(goodDeck))
	f.Add([]byte("_format_version: '1.1'\nservices: [{plugins: [{config: {a: &a [*a]}}]}]"))
	f.Add([]byte("a: &a [x]\n_format_version: '3.0'\nroutes: *a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _ := kong.Read(drifttest.Files{"kong.yaml": string(b)}.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
