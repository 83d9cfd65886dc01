package drift_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		method string
		kind   drift.MatchKind
		path   string
		want   string
		is     drift.MatchKind
		open   bool
	}{
		{"get", drift.Template, "/items/{itemId}", "GET /items/{}", drift.Template, false},
		{"GET", drift.Template, "/items/", "GET /items", drift.Exact, false},
		{"", drift.Template, "/a/{proxy+}", "* /a/**", drift.Prefix, false},
		{"ANY", drift.Template, "/a/*", "* /a/**", drift.Prefix, false},
		{"GET", drift.Template, "/a/:id/b", "GET /a/{}/b", drift.Template, false},
		{"GET", drift.Template, "/a/{x}.json?y={y}", "GET /a/{}.json", drift.Template, false},
		{"*", drift.Prefix, "/", "* /**", drift.Prefix, false},
		{"*", drift.Prefix, "/user", "* /user/**", drift.Prefix, false},
		{"GET", drift.Regex, `/pets/(?<id>[^#?/]+)$`, "GET /pets/{}", drift.Template, false},
		{"GET", drift.Regex, `/pets/(?<id>[^#?/]+)`, "GET /pets/{}", drift.Template, true},
		{"GET", drift.Regex, `/pets$`, "GET /pets", drift.Exact, false},
		{"GET", drift.Regex, `^/pets/[0-9]+/x$`, "GET /pets/{}/x", drift.Template, false},
		{"GET", drift.Regex, `/pets/.*`, "GET /pets/**", drift.Prefix, true},
		{"GET", drift.Regex, `/(a|b)/c`, "GET ~/(a|b)/c", drift.Regex, false},
		{"GET", drift.Exact, "/a/{literal}", "GET /a/{literal}", drift.Exact, false},
	} {
		k, m := drift.NewKey(c.method, c.kind, c.path)
		if k.String() != c.want || m.Kind != c.is || m.Open != c.open {
			t.Errorf("%s %s: %s %s open %v, want %s %s open %v", c.kind, c.path, k, m.Kind, m.Open, c.want, c.is, c.open)
		}
	}
}

func TestMaskHidesSecretsAndNothingElse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Bearer abc123def456", "Bearer [secret]"},
		{"Basic dXNlcjpwYXNzd29yZA==", "Basic [secret]"},
		{"basic authentication of callers", "basic authentication of callers"},
		{"token validation", "token validation"},
		{"https://u:p4ss@host/x", "https://[secret]@host/x"},
		{"https://h/x?sig=abcdef&y=1", "https://h/x?sig=[secret]&y=1"},
		{"AccountKey=abcdef123456==;EndpointSuffix=x", "AccountKey=[secret];EndpointSuffix=x"},
		{"AKIAIOSFODNN7EXAMPLE", "[secret]"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[secret]"},
		{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----[secret]-----END RSA PRIVATE KEY-----"},
		{"https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0", "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"},
		{"plain text", "plain text"},
	} {
		if got := drift.Mask(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"Bearer abc123def456", "a?key=b", "password: x y", "AccountKey='x", "://a@b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := drift.Mask(s)
		if twice := drift.Mask(once); twice != once {
			t.Errorf("%q is masked to %q and then to %q", s, once, twice)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("GET", "/a/{b}", "template")
	f.Add("*", `/a/(?<id>[^#?/]+)$`, "regex")
	f.Add("", "", "prefix")
	f.Fuzz(func(t *testing.T, method, path, kind string) {
		k, _ := drift.NewKey(method, drift.MatchKind(kind), path)
		b, _ := k.MarshalText()
		var back drift.Key
		if k.Method == "" || strings.Contains(k.Method, " ") {
			return
		}
		if err := back.UnmarshalText(b); err != nil || back != k {
			t.Errorf("%q reads back as %q (%v)", k, back, err)
		}
	})
}

func TestShapes(t *testing.T) {
	dev, prod := &drift.Environment{Name: "dev", Tier: drift.Dev}, &drift.Environment{Name: "prod", Tier: drift.Prod, Region: "westeurope"}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"api://x-dev01", "api://x-prd01", true},
		{"https://red-apim-dev.azure-api.net/calc", "https://red-apim-prd.azure-api.net/calc", true},
		{"https://login.dev.example.com", "https://login.example.com", true},
		{"https://kv-dev.vault.azure.net/secrets/k", "https://kv-weu-prd.vault.azure.net/secrets/k", true},
		{"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0", "https://login.microsoftonline.com/22222222-2222-2222-2222-222222222222/v2.0", true},
		{"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0", "https://login.microsoftonline.com/common/v2.0", false},
		{"api://x", "api://y", false},
		{"https://a.example.com", "https://b.example.com", false},
	} {
		if got := drift.Shape(c.a, dev) == drift.Shape(c.b, prod); got != c.same {
			t.Errorf("%s and %s: same %v, by %q and %q", c.a, c.b, got, drift.Shape(c.a, dev), drift.Shape(c.b, prod))
		}
	}
}
