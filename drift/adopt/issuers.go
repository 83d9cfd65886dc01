package adopt

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// issuer is one of the manifest's trusted issuers.
type issuer struct {
	name, of string
	is       patch.Map // without its name
}

// signed are the algorithms that a manifest takes of issuers elsewhere.
var signed = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

const wellKnown = "/.well-known/openid-configuration"

// trusts makes the issuers of a demand for tokens trusted issuers of the manifest, and returns their names; none when what is asked of
// tokens is less than a manifest asks, or cannot be written.
func (w *writer) trusts(j *drift.JWT) (names []string) {
	if j == nil || !j.Issuers.Known() || !j.Audiences.Known() || !j.Keys.Known() || !j.Algorithms.Known() || len(j.Issuers.Value) == 0 || len(j.Audiences.Value) == 0 ||
		j.Static.Or(true) || !j.Signed.Or(false) || slices.ContainsFunc(j.Audiences.Value, unfitAudience) || slices.ContainsFunc(j.Algorithms.Value, func(a string) bool { return !slices.Contains(signed, a) }) {
		return nil
	}
	var more []issuer
	for _, s := range j.Issuers.Value {
		is, ok := issuerOf(s, j)
		if !ok {
			return nil
		}
		i := slices.IndexFunc(w.issuers, func(o issuer) bool { return o.of == s })
		switch {
		case i < 0:
			more = append(more, issuer{"", s, is})
		case !same(w.issuers[i].is, is):
			return nil // a manifest trusts an issuer on one set of terms
		default:
			names = append(names, w.issuers[i].name)
		}
	}
	for _, m := range more {
		u, _ := url.Parse(m.of)
		m.name = w.name(u.Hostname(), "issuer")
		w.issuers = append(w.issuers, m)
		names = append(names, m.name)
	}
	return names
}

func same(a, b patch.Map) bool {
	return slices.EqualFunc(a, b, func(x, y patch.Entry) bool {
		l, isList := x.Value.(patch.List)
		m, _ := y.Value.(patch.List)
		return x.Key == y.Key && (isList && slices.Equal(l, m) || !isList && x.Value == y.Value)
	})
}

func unfitAudience(a string) bool {
	return a == "" || len(a) > 256 || drift.Mask(a) != a || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("{}$*", r) })
}

// issuerOf is one issuer with what is asked of its tokens.
func issuerOf(s string, j *drift.JWT) (patch.Map, bool) {
	if !address(s) {
		return nil, false
	}
	m := patch.Map{}
	if tenant, ok := entraTenant(s); ok {
		if !guid(tenant) {
			return nil, false // common and organizations: anybody's
		}
		m = append(m, patch.Entry{Key: "kind", Value: "entra"})
	}
	m = append(m, patch.Entry{Key: "issuer", Value: s}, patch.Entry{Key: "audiences", Value: patch.Strings(j.Audiences.Value)})
	keys := j.Keys.Value
	switch own := len(keys) == 1; {
	case own && discovers(keys[0], s), len(keys) == 0:
	case own && len(j.Issuers.Value) == 1 && address(keys[0]) && !strings.HasSuffix(keys[0], wellKnown):
		m = append(m, patch.Entry{Key: "jwks_uri", Value: keys[0]})
	default:
		return nil, false
	}
	if len(j.Algorithms.Value) > 0 {
		m = append(m, patch.Entry{Key: "algorithms", Value: patch.Strings(j.Algorithms.Value)})
	}
	const least, most = 60, 48 * 3600 // that a manifest takes, in seconds
	if n := j.Longest.Or(0); n >= least && n <= most {
		m = append(m, patch.Entry{Key: "longest", Value: strconv.FormatInt(n, 10) + "s"})
	}
	return m, true
}

// address reports whether a manifest takes an address to fetch from.
func address(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && hostForm.MatchString(u.Hostname()) && u.User == nil && u.RawQuery == "" && !strings.ContainsAny(s, "{}$*?#[ ") && drift.Mask(s) == s && len(s) <= 200
}

// discovers reports whether a document is where the issuer's own is.
func discovers(keys, issuer string) bool {
	if keys == strings.TrimSuffix(issuer, "/")+wellKnown {
		return true
	}
	a, ok := entraTenant(strings.TrimSuffix(keys, wellKnown))
	b, ok2 := entraTenant(issuer)
	return ok && ok2 && a == b && strings.HasSuffix(keys, wellKnown) && strings.Contains(keys, "/v2.0/") == strings.HasSuffix(issuer, "/v2.0")
}

// entraTenant is the tenant of an issuer of Entra ID.
func entraTenant(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() != "login.microsoftonline.com" && u.Hostname() != "sts.windows.net" {
		return "", false
	}
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return tenant, rest == "" || rest == "v2.0"
}

func guid(s string) bool {
	return len(s) == 36 && strings.Count(s, "-") == 4 && strings.Trim(s, "0123456789abcdef-") == ""
}

// declared is the list of the trusted issuers that some operation names.
func (w *writer) declared(apis []*api) (list patch.List) {
	for _, i := range w.issuers {
		if slices.ContainsFunc(apis, func(a *api) bool {
			return slices.ContainsFunc(a.ops, func(o operation) bool { return slices.Contains(o.issuers, i.name) })
		}) {
			list = append(list, append(patch.Map{{Key: "name", Value: i.name}}, i.is...))
		}
	}
	return list
}
