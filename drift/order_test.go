package drift_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/drift"
)

// lawful checks that an order is one: nothing differs from itself, it mirrors, and it is transitive.
func lawful[T any](t *testing.T, name string, g *rapid.Generator[T], order func(a, b T) drift.Order) {
	t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
		a, b, c := g.Draw(t, "a"), g.Draw(t, "b"), g.Draw(t, "c")
		if o := order(a, a); o != drift.Same {
			t.Fatalf("%v differs from itself: %s", a, o)
		}
		ab, ba := order(a, b), order(b, a)
		if ab != ba.Mirror() {
			t.Fatalf("%v against %v is %s, the other way %s", a, b, ab, ba)
		}
		atMost := func(o drift.Order) bool { return o == drift.Same || o == drift.Weaker }
		if bc := order(b, c); atMost(ab) && atMost(bc) && !atMost(order(a, c)) {
			t.Fatalf("%v %s %v %s %v, but %s", a, ab, b, bc, c, order(a, c))
		}
	}))
}

func words(list ...string) *rapid.Generator[[]string] {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(list), 0, 3, rapid.ID)
}

type two struct{ n, w int64 }

func TestOrdersAreLawful(t *testing.T) {
	lawful(t, "tls", rapid.SampledFrom([]string{"ssl3", "1.0", "1.1", "1.2", "1.3", "?"}), drift.CompareTLS)
	lawful(t, "allowed", words("a", "b", "c", "d"), drift.CompareAllowed)
	lawful(t, "checked", words("a", "b", "c", "d"), drift.CompareChecked)
	lawful(t, "required", words("a", "b", "c", "d"), drift.CompareRequired)
	lawful(t, "demands", words("claim scope=any of [a]", "claim scope=any of [a b]", "claim scp=all of [a b]", "claim roles=any of []", "claim role=any of [x]", "allow [group:g]", "allow [group:g group:h]", "allow [scope:a]", "allow [scope:a scope:b]", "deny [group:g]"), drift.CompareDemands)
	lawful(t, "low", rapid.Int64Range(-2, 5), drift.CompareLow)
	lawful(t, "true", rapid.Bool(), drift.CompareTrue)
	lawful(t, "false", rapid.Bool(), drift.CompareFalse)
	lawful(t, "ratio", rapid.Float64Range(0, 1), drift.CompareRatio)
	lawful(t, "client auth", rapid.SampledFrom([]string{"none", "request", "require_any", "require", "verify", "?"}), drift.CompareClientAuth)
	lawful(t, "cidr", words("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/16", "::/0", "0.0.0.0/0"), drift.CompareCIDR)
	lawful(t, "origins", words("*", "https://a.test", "https://*.a.test", "https://b.a.test", "~^x"), drift.CompareOrigins)
	lawful(t, "rate", rapid.Custom(func(t *rapid.T) two {
		return two{rapid.Int64Range(0, 5).Draw(t, "n"), rapid.Int64Range(1, 5).Draw(t, "w")}
	}), func(a, b two) drift.Order { return drift.ComparePerSecond(a.n, a.w, b.n, b.w) })
	lawful(t, "ways", genWays(), drift.Ways.Compare)
}

func genWays() *rapid.Generator[drift.Ways] {
	kinds := []drift.RequirementKind{drift.JWTProof, drift.KeyProof, drift.MTLSProof, drift.BasicProof, drift.ExtAuthz, drift.FromIP}
	need := rapid.Custom(func(t *rapid.T) drift.Requirement {
		return drift.Requirement{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Metering: rapid.IntRange(0, 5).Draw(t, "metering") == 0}
	})
	way := rapid.Custom(func(t *rapid.T) drift.Way {
		w := drift.Way{Needs: rapid.SliceOfN(need, 0, 3).Draw(t, "needs")}
		if rapid.IntRange(0, 4).Draw(t, "conditional") == 0 {
			w.When = &drift.Condition{Text: "x"}
		}
		return w
	})
	return rapid.Custom(func(t *rapid.T) drift.Ways { return rapid.SliceOfN(way, 0, 3).Draw(t, "ways") })
}

// genPolicy draws a policy that touches every area.
func genPolicy(t *rapid.T, label string) *drift.Policy {
	at := drift.Origin{File: "f", Line: rapid.IntRange(1, 9).Draw(t, label+"line")}
	p := &drift.Policy{}
	draw := func(n int, what string) int { return rapid.IntRange(0, n).Draw(t, label+what) }
	p.Auth.Ways = drift.Is(genWays().Draw(t, label+"ways"), at)
	p.Auth.Fallback = drift.Is(draw(1, "fb") == 1, at)
	p.Auth.Exempt = drift.Is(draw(1, "ex") == 1, at)
	p.TLS.Min = drift.Is([]string{"1.0", "1.2", "1.3"}[draw(2, "tls")], at)
	p.TLS.ClientAuth = drift.Is([]string{"none", "request", "verify"}[draw(2, "ca")], at)
	p.TLS.Plain = drift.Is(draw(1, "plain") == 1, at)
	p.Upstream.URLs = drift.Is([]string{[]string{"http://u", "https://u"}[draw(1, "up")]}, at)
	if n := draw(3, "rates"); n > 0 {
		p.Rates = drift.Is([]drift.Rate{{Count: drift.Is(int64(n*10), at), Window: drift.Is(int64(60), at), Key: drift.Is([]string{"ip", "consumer", "header:x"}[draw(2, "key")], at)}}, at)
	} else {
		p.Rates = drift.ByDefault([]drift.Rate(nil))
	}
	p.CORS.Enabled = drift.Is(draw(1, "cors") == 1, at)
	p.CORS.Origins = drift.Is([]string{[]string{"*", "https://a.test"}[draw(1, "origin")]}, at)
	p.Logging.Enabled = drift.Is(draw(1, "log") == 1, at)
	p.Limits.Body = [...]drift.Leaf[int64]{drift.Is(int64(draw(2, "body")), at), drift.Impossible[int64]("no"), drift.Unknown[int64]("?", at)}[draw(2, "state")]
	p.Opaque = drift.Is([]drift.Opaque{{Kind: "lua", Hash: fmt.Sprint(draw(1, "op"))}}, at)
	p.Transforms = drift.Is([]drift.Transform{{Phase: "request", Target: "header", Op: []string{"set", "remove"}[draw(1, "top")], Name: "X-User"}}, at)
	return p
}

func genEnvironment(t *rapid.T, name string) *drift.Environment {
	e := drift.NewEnvironment("test", drift.Options{Name: name, Tier: rapid.SampledFrom([]drift.Tier{drift.Prod, drift.Dev, ""}).Draw(t, name+"tier")})
	paths := []string{"/a", "/a/{id}", "/a/b", "/c"}
	for i := range rapid.IntRange(0, 4).Draw(t, name+"ops") {
		kind := rapid.SampledFrom([]drift.MatchKind{drift.Exact, drift.Template, drift.Prefix}).Draw(t, name+"kind")
		k, m := drift.NewKey(rapid.SampledFrom([]string{"GET", "POST", "*"}).Draw(t, name+"method"), kind, rapid.SampledFrom(paths).Draw(t, name+"path"))
		op := drift.Operation{Key: k, Match: m, Effective: []drift.Effective{{Policy: genPolicy(t, fmt.Sprint(name, i))}}}
		if rapid.Bool().Draw(t, name+"class") {
			op.Effective = append(op.Effective, drift.Effective{Class: rapid.SampledFrom([]string{"gold", "silver"}).Draw(t, name+"c"), Policy: genPolicy(t, fmt.Sprint(name, i, "c"))})
		}
		e.Operations = append(e.Operations, op)
	}
	return e
}

// TestDemandsHaveADirection: fewer values that are enough, more of which all are demanded, and fewer ways in are stricter, under whatever
// name a gateway knows the claim.
func TestDemandsHaveADirection(t *testing.T) {
	for _, c := range []struct {
		a, b []string
		want drift.Order
	}{
		{[]string{"claim scope=any of [read]"}, nil, drift.Stronger},
		{[]string{"claim scope=any of [read]"}, []string{"claim scope=any of [read write]"}, drift.Stronger},
		{[]string{"claim scope=all of [read write]"}, []string{"claim scope=any of [read]"}, drift.Stronger},
		{[]string{"claim scope=all of [read write]"}, []string{"claim scope=any of [read write]"}, drift.Stronger},
		{[]string{"claim scp=any of [read]"}, []string{"claim scope=all of [read]"}, drift.Same},
		{[]string{"claim scope=any of [read]"}, []string{"allow [scope:read]"}, drift.Same},
		{[]string{"claim roles=any of []"}, []string{"claim role=any of [admin]"}, drift.Weaker},
		{[]string{"allow [group:a group:b]"}, []string{"allow [group:a]"}, drift.Weaker},
		{[]string{"allow [group:a]", "allow [group:b]"}, []string{"allow [group:a]"}, drift.Weaker},
		{[]string{"allow [group:a]", "allow [principal:b]"}, []string{"allow [principal:b]"}, drift.Weaker},
		{[]string{"deny [group:a]"}, nil, drift.Stronger},
		{[]string{"claim scope=any of [read]"}, []string{"claim scope=any of [write]"}, drift.Incomparable},
		{[]string{"claim scope=any of [read]"}, []string{"claim role=any of [read]"}, drift.Incomparable},
	} {
		if got := drift.CompareDemands(c.a, c.b); got != c.want {
			t.Errorf("%v against %v is %s, want %s", c.a, c.b, got, c.want)
		}
	}
}
