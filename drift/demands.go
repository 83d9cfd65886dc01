package drift

import (
	"slices"
	"strings"
)

// demand is one thing that is demanded of an authenticated caller: one of several values of a claim, a scope or a group.
type demand struct {
	what string
	any  []string // empty: that it is there is enough
}

// implies reports whether who meets d meets o too.
func (d demand) implies(o demand) bool {
	return d.what == o.what && (len(o.any) == 0 || len(d.any) > 0 && subset(d.any, o.any))
}

// claimNames are names under which gateways and issuers know the same claim.
var claimNames = map[string]string{"scp": "scope", "scopes": "scope", "roles": "role", "groups": "group"}

// demanded is what claimsOf has written, read again: rules that allow are apart, for each of them is a way in.
type demanded struct {
	needs  []demand
	allows []string
}

func demandsOf(list []string) demanded {
	var out demanded
	for _, s := range list {
		head, values := subjects(s)
		name, claim := strings.CutPrefix(head, "claim ")
		switch {
		case claim:
			out.needs = append(out.needs, ofClaim(name, values)...)
		case head == "allow":
			out.allows = append(out.allows, s)
		default:
			out.needs = append(out.needs, demand{what: s})
		}
	}
	return out
}

// subjects cuts "allow [a b]" into its parts.
func subjects(s string) (head string, values []string) {
	head, tail, ok := strings.Cut(s, " [")
	if !ok {
		return s, nil
	}
	return head, strings.Fields(strings.TrimSuffix(tail, "]"))
}

// ofClaim is a demand for each value when all are demanded, and otherwise one for any of them.
func ofClaim(text string, values []string) []demand {
	name, how, _ := strings.Cut(strings.ToLower(text), "=")
	if n := claimNames[name]; n != "" {
		name = n
	}
	if how != "all of" || len(values) == 0 {
		return []demand{{name, values}}
	}
	var out []demand
	for _, v := range values {
		out = append(out, demand{name, []string{v}})
	}
	return out
}

// kind is what all rules that allow ask for, when it is one of several values of one kind. How several scopes in one rule are joined
// differs from gateway to gateway.
func (d demanded) kind() (one demand, ok bool) {
	for _, s := range d.allows {
		_, values := subjects(s)
		for _, v := range values {
			kind, rest, has := strings.Cut(v, ":")
			if !has || kind != "group" && kind != "role" && (kind != "scope" || len(values) > 1) || one.what != "" && one.what != kind {
				return demand{}, false
			}
			one.what, one.any = kind, append(one.any, rest)
		}
	}
	return one, one.what != "" || len(d.allows) == 0
}

// CompareDemands orders what is demanded of callers, as it is written in findings: more demands are stricter, and so are fewer values
// that meet one, and fewer rules that let somebody in.
func CompareDemands(a, b []string) Order {
	x, y := demandsOf(a), demandsOf(b)
	kx, xOK := x.kind()
	ky, yOK := y.kind()
	if !xOK || !yOK {
		kx, ky = demand{"allow", x.allows}, demand{"allow", y.allows}
	}
	if len(x.allows) > 0 {
		x.needs = append(x.needs, kx)
	}
	if len(y.allows) > 0 {
		y.needs = append(y.needs, ky)
	}
	meets := func(x, y []demand) bool {
		return !slices.ContainsFunc(y, func(o demand) bool { return !slices.ContainsFunc(x, func(d demand) bool { return d.implies(o) }) })
	}
	return orderOf(meets(x.needs, y.needs), meets(y.needs, x.needs))
}
