package drift

import (
	"slices"
	"strings"
)

// pairs matches the requirements of one kind on both sides: by name, then in order. One that has no partner is left to the rules
// about ways.
func pairs(a, b Ways, kind RequirementKind) [][2]Requirement {
	if !a.has(kind) || !b.has(kind) {
		return nil
	}
	as, bs := ofKind(a, kind), ofKind(b, kind)
	var out [][2]Requirement
	used := make([]bool, len(bs))
	var rest []Requirement
	for _, r := range as {
		i := slices.IndexFunc(bs, func(o Requirement) bool { return o.Name != "" && o.Name == r.Name })
		if i >= 0 && !used[i] && len(as) > 1 && len(bs) > 1 {
			used[i] = true
			out = append(out, [2]Requirement{r, bs[i]})
			continue
		}
		rest = append(rest, r)
	}
	j := 0
	for _, r := range rest {
		for j < len(bs) && used[j] {
			j++
		}
		if j == len(bs) {
			break
		}
		out = append(out, [2]Requirement{r, bs[j]})
		j++
	}
	return out
}

// ofKind are the distinct requirements of a kind. The same one in several ways, from one place, counts once.
func ofKind(w Ways, kind RequirementKind) []Requirement {
	var out []Requirement
	for i := range w {
		for j := range w[i].Needs {
			r := &w[i].Needs[j]
			if r.Kind == kind && !slices.ContainsFunc(out, func(o Requirement) bool { return o.Name == r.Name && o.Origin == r.Origin }) {
				out = append(out, *r)
			}
		}
	}
	return out
}

// has reports whether a requirement of the kind is among the ways.
func (w Ways) has(kind RequirementKind) bool {
	for i := range w {
		for j := range w[i].Needs {
			if w[i].Needs[j].Kind == kind {
				return true
			}
		}
	}
	return false
}

func tokens(p *Policy) []Requirement { return ofKind(p.Auth.Ways.Value, JWTProof) }

func eachToken(f func(v *pairing, a, b *JWT)) func(*pairing, *Policy, *Policy) {
	return func(v *pairing, a, b *Policy) {
		for _, p := range pairs(a.Auth.Ways.Value, b.Auth.Ways.Value, JWTProof) {
			if p[0].JWT != nil && p[1].JWT != nil {
				f(v, p[0].JWT, p[1].JWT)
			}
		}
	}
}

func eachExternal(f func(v *pairing, a, b *External)) func(*pairing, *Policy, *Policy) {
	return func(v *pairing, a, b *Policy) {
		for _, k := range []RequirementKind{ExtAuthz, CustomCode, OIDCSession, SigV4} {
			for _, p := range pairs(a.Auth.Ways.Value, b.Auth.Ways.Value, k) {
				if p[0].External != nil && p[1].External != nil {
					f(v, p[0].External, p[1].External)
				}
			}
		}
	}
}

func inToken(f func(p *probe, j *JWT, r Requirement)) func(*probe, *Policy) {
	return func(p *probe, q *Policy) {
		for _, r := range tokens(q) {
			if r.JWT != nil {
				f(p, r.JWT, r)
			}
		}
	}
}

// waysKnown reports whether both sides' ways can be compared: conditional ways can, for they are all ways there may be.
func (v *pairing) waysKnown(a, b *Policy) bool {
	ok := func(l Leaf[Ways]) bool { return l.Definite() || l.State == Conditional }
	if ok(a.Auth.Ways) && ok(b.Auth.Ways) {
		v.made++
		return true
	}
	v.unseen++
	return false
}

// AUT-01: one side lets everybody in.
func pairOpen(v *pairing, a, b *Policy) {
	if !v.waysKnown(a, b) {
		return
	}
	x, y := a.Auth.Ways.Value.Open(), b.Auth.Ways.Value.Open()
	if x == y {
		return
	}
	note := "calls that prove nothing pass on the weaker side"
	if s := a.Auth.Ways; s.State == Unsupported || b.Auth.Ways.State == Unsupported {
		note += "; its gateway's files cannot express authentication, so look at what stands in front of it"
	}
	v.report("auth.ways", a.Auth.Ways, b.Auth.Ways, orderOf(!x, !y), note)
}

func kinds(w Ways) []string {
	var out []string
	for i := range w {
		for j := range w[i].Needs {
			if r := &w[i].Needs[j]; !r.Metering {
				out = append(out, string(r.Kind))
			}
		}
	}
	return Sorted(out)
}

// AUT-05 and AUT-06 divide what is demanded differently: other kinds, or the same kinds combined otherwise.
func pairKinds(v *pairing, a, b *Policy) {
	if x, y := a.Auth.Ways.Value, b.Auth.Ways.Value; v.waysKnown(a, b) && !x.Open() && !y.Open() && !equal(kinds(x), kinds(y)) {
		if o := x.Compare(y); o != Same {
			v.report("auth.ways", a.Auth.Ways, b.Auth.Ways, o, "the two sides ask for different kinds of proof")
		}
	}
}

func pairChoice(v *pairing, a, b *Policy) {
	if x, y := a.Auth.Ways.Value, b.Auth.Ways.Value; v.waysKnown(a, b) && !x.Open() && !y.Open() && equal(kinds(x), kinds(y)) {
		if o := x.Compare(y); o != Same {
			v.report("auth.ways", a.Auth.Ways, b.Auth.Ways, o, "the same proofs are alternatives on the weaker side and demanded together on the other")
		}
	}
}

// claimsOf are everything that is demanded of an authenticated caller: claims and rules of access.
func claimsOf(p *Policy) Leaf[[]string] {
	l := Leaf[[]string]{State: Default, Origin: p.Access.Rules.Origin}
	for _, r := range tokens(p) {
		if r.JWT == nil {
			continue
		}
		if !r.JWT.Claims.Definite() {
			return Unknown[[]string](r.JWT.Claims.Cause, r.JWT.Claims.Origin)
		}
		for _, c := range r.JWT.Claims.Value {
			l.Value, l.State, l.Origin = append(l.Value, "claim "+c.String()), r.JWT.Claims.State, r.JWT.Claims.Origin
		}
	}
	if !p.Access.Rules.Definite() {
		return Unknown[[]string](p.Access.Rules.Cause, p.Access.Rules.Origin)
	}
	for _, r := range p.Access.Rules.Value {
		s := AccessRule{Effect: r.Effect, Subjects: Sorted(r.Subjects), Methods: Sorted(r.Methods)}
		l.Value, l.State, l.Origin = append(l.Value, s.String()), p.Access.Rules.State, p.Access.Rules.Origin
	}
	l.Value = Sorted(l.Value)
	return l
}

// entra is the version of Entra's metadata that an address or issuer belongs to: "v1", "v2" or "".
func entra(s string) string {
	h := hostOf(s)
	switch {
	case h == "sts.windows.net":
		return "v1"
	case strings.HasPrefix(h, "login.microsoftonline.") || h == "login.windows.net" || strings.HasPrefix(h, "login.partner.microsoftonline"):
		if strings.Contains(s, "/v2.0") {
			return "v2"
		}
		return "v1"
	}
	return ""
}

func entraVersions(j *JWT) []string {
	var out []string
	for _, s := range append(slices.Clone(j.Issuers.Or(nil)), j.Keys.Or(nil)...) {
		if v := entra(s); v != "" {
			out = append(out, v)
		}
	}
	for _, c := range j.Claims.Or(nil) {
		switch c.Name {
		case "appid", "appidacr":
			out = append(out, "v1 claims")
		case "azp", "azpacr":
			out = append(out, "v2 claims")
		}
	}
	return Sorted(out)
}

func mixed(v []string) bool {
	one := slices.ContainsFunc(v, func(s string) bool { return strings.HasPrefix(s, "v1") })
	two := slices.ContainsFunc(v, func(s string) bool { return strings.HasPrefix(s, "v2") })
	return one && two
}

// AUT-11: everybody's tokens, and nobody asks whose.
func selfMultiTenant(p *probe, j *JWT, _ Requirement) {
	for _, s := range append(slices.Clone(j.Keys.Or(nil)), j.Issuers.Or(nil)...) {
		if entra(s) == "" {
			continue
		}
		open := strings.Contains(s, "/common") || strings.Contains(s, "/organizations") || strings.Contains(s, "/consumers")
		checked := slices.ContainsFunc(j.Claims.Or(nil), func(c Claim) bool { return c.Name == "tid" && len(c.Values) > 0 }) ||
			slices.ContainsFunc(j.Issuers.Or(nil), func(i string) bool { return guid.MatchString(i) })
		if open && !checked && j.Claims.Definite() && j.Issuers.Definite() {
			p.found("auth.jwt.keys", j.Keys, "the metadata is for any tenant, and neither tid nor issuer is tested")
			return
		}
	}
}

func symmetric(algs []string) (hs, pk, none bool) {
	for _, a := range algs {
		switch u := strings.ToUpper(a); {
		case u == "NONE":
			none = true
		case strings.HasPrefix(u, "HS"):
			hs = true
		default:
			pk = true
		}
	}
	return
}

// AUT-12
func selfSignature(p *probe, j *JWT, _ Requirement) {
	if j.Signed.Known() && !j.Signed.Value {
		p.found("auth.jwt.require_signed", j.Signed, "tokens without a signature are accepted")
	}
	if j.Algorithms.Known() {
		if hs, pk, none := symmetric(j.Algorithms.Value); none || hs && pk {
			p.found("auth.jwt.algs", j.Algorithms, "the list allows forged tokens: none, or a shared secret beside public keys")
		}
	}
}

func pairSignature(v *pairing, a, b *JWT) {
	differ(v, "auth.jwt.require_signed", a.Signed, b.Signed, false, CompareTrue, "one side accepts unsigned tokens")
	differ(v, "auth.jwt.algs", a.Algorithms, b.Algorithms, nil, lower(CompareChecked), "one side accepts more algorithms")
	differ(v, "auth.jwt.static_keys", a.Static, b.Static, false, unordered[bool], "one side trusts keys written into its configuration, which do not rotate with the issuer's")
}

func pairExpiry(v *pairing, a, b *JWT) {
	differ(v, "auth.jwt.require_exp", a.Expires, b.Expires, false, CompareTrue, "one side accepts tokens that never expire")
	differ(v, "auth.jwt.max_lifetime_s", a.Longest, b.Longest, 0, CompareLow, "one side accepts tokens that live longer")
	differ(v, "auth.jwt.clock_skew_s", a.Skew, b.Skew, 0, skew, "one side accepts tokens for longer after their end")
}

// skew orders clock tolerances; here 0 is the strictest.
func skew(a, b int64) Order { return orderOf(a <= b, b <= a) }
