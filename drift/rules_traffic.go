package drift

import (
	"slices"
	"sort"
	"strings"
)

// rateFactor is how far apart two limits may be before DR-TRF-07 speaks.
const rateFactor = 2

func trafficRules() []Rule {
	const area = AreaTraffic
	return []Rule{
		{ID: "DR-TRF-01", Title: "Rate limit is absent", Area: area, Severity: High, Pair: true, Why: "exhaustion and guessing through the unlimited door", Refs: []string{"owasp:API4:2023"}, pair: pairRateAbsent},
		{ID: "DR-TRF-02", Title: "Rate limit's window or scope differs", Area: area, Severity: Medium, Pair: true, Why: "the effective limit differs by the number of replicas", Refs: []string{"owasp:API4:2023"}, pair: eachRate(pairWindow)},
		{ID: "DR-TRF-03", Title: "Rate limit's key differs", Area: area, Severity: High, Pair: true, Why: "evasion", Refs: []string{"owasp:API4:2023"}, pair: eachRate(pairRateKey)},
		{ID: "DR-TRF-04", Title: "Rate limit fails open", Area: area, Severity: Medium, Pair: true, Why: "no limit while the counter is away", Refs: []string{"owasp:API4:2023"}, pair: eachRate(pairRateOpen)},
		{ID: "DR-TRF-05", Title: "Rate limit by identity where nobody is identified", Area: area, Severity: Medium, Pair: true, Self: true, Why: "silently per address", Refs: []string{"owasp:API4:2023"}, self: selfRateIdentity},
		{ID: "DR-TRF-06", Title: "Quota is absent or differs", Area: area, Severity: Medium, Pair: true, Why: "no bound on use", Refs: []string{"owasp:API4:2023"}, pair: pairQuota},
		{ID: "DR-TRF-07", Title: "Rate limit is looser or stricter by more than a factor", Area: area, Severity: Low, Pair: true, Why: "untested behaviour", pair: eachRate(pairFactor)},
		{ID: "DR-TRF-08", Title: "Limits of size or time, or retries differ", Area: area, Severity: Medium, Pair: true, Why: "exhaustion, double writes", Refs: []string{"owasp:API4:2023"}, pair: pairLimits},
		{ID: "DR-TRF-09", Title: "Transformations differ", Area: area, Severity: Medium, Pair: true, Why: "identity headers can be spoofed if they are not removed", Refs: []string{"owasp:API8:2023"}, pair: pairTransforms},
		{ID: "DR-TRF-10", Title: "Order of transformations differs", Area: area, Severity: Low, Pair: true, Why: "the outcome may differ", pair: pairOrder},
	}
}

func pairRateAbsent(v *pairing, a, b *Policy) {
	differ(v, "rate", a.Rates, b.Rates, nil, func(x, y []Rate) Order { return orderOf(len(x) > 0 || len(y) == 0, len(y) > 0 || len(x) == 0) }, "one side does not limit how often the operation is called")
}

// eachRate pairs the limits of both sides: those of the same window, then in the order of their windows.
func eachRate(f func(v *pairing, a, b Rate)) func(*pairing, *Policy, *Policy) {
	return func(v *pairing, a, b *Policy) {
		x, y := byWindow(a.Rates.Or(nil)), byWindow(b.Rates.Or(nil))
		var restX []Rate
		for _, r := range x {
			i := slices.IndexFunc(y, func(o Rate) bool {
				return r.Window.Known() && o.Window.Known() && r.Window.Value == o.Window.Value
			})
			if i < 0 {
				restX = append(restX, r)
				continue
			}
			f(v, r, y[i])
			y = slices.Delete(y, i, i+1)
		}
		for i := range min(len(restX), len(y)) {
			f(v, restX[i], y[i])
		}
	}
}

func byWindow(list []Rate) []Rate {
	out := slices.Clone(list)
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Window.Value != out[j].Window.Value {
			return out[i].Window.Value < out[j].Window.Value
		}
		return out[i].Count.Value < out[j].Count.Value
	})
	return out
}

// effective is how many calls per window get through everywhere together, when that is known.
func (r Rate) effective() (count, window int64, ok bool) {
	if !r.Count.Known() || !r.Window.Known() || r.Window.Value <= 0 {
		return 0, 0, false
	}
	count = r.Count.Value
	if r.Enforcement.Or("") == "per_replica" && r.Replicas.Known() && r.Replicas.Value > 1 {
		count *= r.Replicas.Value
	}
	return count, r.Window.Value, true
}

func pairWindow(v *pairing, a, b Rate) {
	if a.Count.Known() && b.Count.Known() && a.Count.Value == b.Count.Value && a.Window.Known() && b.Window.Known() && a.Window.Value != b.Window.Value {
		v.made++
		v.report("rate.window_s", a.Window, b.Window, ComparePerSecond(a.Count.Value, a.Window.Value, b.Count.Value, b.Window.Value), "the same number counts over another time")
	}
	differ(v, "rate.enforcement", a.Enforcement, b.Enforcement, "per_replica", func(x, y string) Order {
		return CompareTrue(x == "shared", y == "shared")
	}, "one side counts in each replica for itself, so that the limit grows with their number")
}

// rateKeys orders what limits count by: a caller can change his address, and write headers as he likes.
func compareRateKey(a, b string) Order {
	rank := func(k string) int {
		switch {
		case k == "credential" || k == "consumer" || strings.HasPrefix(k, "claim:"):
			return 2
		case k == "ip":
			return 1
		case strings.HasPrefix(k, "header:") || strings.HasPrefix(k, "query:") || strings.HasPrefix(k, "cookie:"):
			return 0
		}
		return -1
	}
	if a == b {
		return Same
	}
	i, j := rank(a), rank(b)
	if i < 0 || j < 0 || i == j {
		return Incomparable
	}
	return orderOf(i > j, j > i)
}

func pairRateKey(v *pairing, a, b Rate) {
	differ(v, "rate.key", a.Key, b.Key, "", func(x, y string) Order {
		if x == y || identity(x) && identity(y) {
			return Same
		}
		return compareRateKey(x, y)
	}, "the limits count by different things, and one can be evaded more easily")
}

func identity(key string) bool {
	return key == "consumer" || key == "credential" || strings.HasPrefix(key, "claim:")
}

func pairRateOpen(v *pairing, a, b Rate) {
	differ(v, "rate.fail_open", a.FailOpen, b.FailOpen, false, CompareFalse, "one side has no limit while its counter is away")
}

func selfRateIdentity(p *probe, q *Policy) {
	w := q.Auth.Ways
	open := w.Known() && w.Value.Open() && !slices.ContainsFunc(w.Value.All(), func(r Requirement) bool { return r.Metering || r.Kind == KeyProof })
	if !open {
		return
	}
	for _, r := range q.Rates.Or(nil) {
		if r.Key.Known() && identity(r.Key.Value) {
			p.found("rate.key", r.Key, "nobody is identified on this operation, so the limit counts by address or all together")
		}
	}
}

func pairQuota(v *pairing, a, b *Policy) {
	differ(v, "quota", a.Quotas, b.Quotas, nil, compareQuotas, "use over a long time is bounded differently")
}

func compareQuotas(a, b []Quota) Order {
	if len(a) == 0 || len(b) == 0 {
		return orderOf(len(a) > 0 || len(b) == 0, len(b) > 0 || len(a) == 0)
	}
	// Those of the same unit are paired: of the same period first, then in the order of their periods.
	o, rest := Same, byPeriod(b)
	var left []Quota
	for _, x := range byPeriod(a) {
		i := slices.IndexFunc(rest, func(y Quota) bool {
			return y.Unit == x.Unit && x.Period.Known() && y.Period.Known() && x.Period.Value == y.Period.Value
		})
		if i < 0 {
			left = append(left, x)
			continue
		}
		o = o.And(compareQuota(x, rest[i]))
		rest = slices.Delete(rest, i, i+1)
	}
	for _, x := range left {
		i := slices.IndexFunc(rest, func(y Quota) bool { return y.Unit == x.Unit })
		if i < 0 {
			o = o.And(Stronger)
			continue
		}
		o = o.And(compareQuota(x, rest[i]))
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		o = o.And(Weaker)
	}
	return o
}

func compareQuota(x, y Quota) Order {
	if x.Count.Known() && y.Count.Known() && x.Period.Known() && y.Period.Known() {
		return ComparePerSecond(x.Count.Value, x.Period.Value, y.Count.Value, y.Period.Value)
	}
	return Same
}

func byPeriod(list []Quota) []Quota {
	out := slices.Clone(list)
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Period.Value != out[j].Period.Value {
			return out[i].Period.Value < out[j].Period.Value
		}
		return out[i].Count.Value < out[j].Count.Value
	})
	return out
}

func pairFactor(v *pairing, a, b Rate) {
	n, w, ok := a.effective()
	m, u, ok2 := b.effective()
	if !ok || !ok2 {
		v.unseen++
		return
	}
	v.made++
	x, y := float64(n)*float64(u), float64(m)*float64(w)
	if a.Count.Value == b.Count.Value && a.Window.Value != b.Window.Value {
		return // DR-TRF-02 says it
	}
	if x > rateFactor*y || y > rateFactor*x {
		v.report("rate.count", a.Count, b.Count, ComparePerSecond(n, w, m, u), "the limits are more than a factor of 2 apart")
	}
}

func pairLimits(v *pairing, a, b *Policy) {
	differ(v, "limits.body_bytes", a.Limits.Body, b.Limits.Body, 0, CompareLow, "one side takes larger bodies")
	differ(v, "limits.header_bytes", a.Limits.Header, b.Limits.Header, 0, CompareLow, "one side takes larger headers")
	differ(v, "limits.timeout_connect_ms", a.Limits.Connect, b.Limits.Connect, 0, far, "one side waits much longer for its upstream")
	differ(v, "limits.timeout_read_ms", a.Limits.Read, b.Limits.Read, 0, far, "one side waits much longer for its upstream")
	differ(v, "limits.retries", a.Limits.Retries, b.Limits.Retries, 0, skew, "one side calls its upstream again more often, which can write twice")
}

// far orders times that are more than a factor of 2 apart.
func far(a, b int64) Order {
	if a > 0 && b > 0 && a <= 2*b && b <= 2*a {
		return Same
	}
	return CompareLow(a, b)
}

// key names a transformation without its value.
func (t Transform) key() string {
	return t.Phase + " " + t.Target + " " + strings.ToLower(t.Name)
}

// full names a transformation with its value as it compares between environments.
func (p *probe) full(t Transform) string {
	op := t.Op
	switch op {
	case "add", "append":
		op = "add"
	case "set", "replace", "rewrite":
		op = "set"
	}
	if t.Target == "host" || t.Target == "path" {
		return t.key() + " " + op
	}
	return t.key() + " " + op + " " + p.shape(string(t.Value))
}

func pairTransforms(v *pairing, a, b *Policy) {
	differ(v, "transforms", a.Transforms, b.Transforms, nil, func(x, y []Transform) Order {
		if len(x) == 0 && len(y) == 0 {
			return Same
		}
		xs, ys := make([]string, len(x)), make([]string, len(y))
		for i, t := range x {
			xs[i] = v.a.full(t)
		}
		for i, t := range y {
			ys[i] = v.b.full(t)
		}
		if listed(xs, ys) == Same {
			return Same
		}
		// Who removes more from requests is the stricter side, if that is all that differs.
		removed := func(s string) bool {
			return strings.HasPrefix(s, "request header ") && strings.HasSuffix(s, " remove ")
		}
		only := func(p, q []string) bool {
			return !slices.ContainsFunc(p, func(s string) bool { return !slices.Contains(q, s) && !removed(s) })
		}
		if only(xs, ys) && only(ys, xs) {
			return CompareRequired(xs, ys)
		}
		return Incomparable
	}, "messages are changed differently")
}

func pairOrder(v *pairing, a, b *Policy) {
	differ(v, "transforms.order", a.Transforms, b.Transforms, nil, func(x, y []Transform) Order {
		return unless(sameOrder(x, y))
	}, "the same changes are made in another order")
}

// sameOrder reports whether what both sides have in common about one target comes in the same order.
func sameOrder(x, y []Transform) bool {
	seq := func(list, other []Transform) map[string][]string {
		out := map[string][]string{}
		for _, t := range list {
			if slices.ContainsFunc(other, func(o Transform) bool { return o.key() == t.key() && o.Op == t.Op }) {
				out[t.key()] = append(out[t.key()], t.Op)
			}
		}
		return out
	}
	a, b := seq(x, y), seq(y, x)
	for k, s := range a {
		if len(s) == len(b[k]) && !equal(s, b[k]) {
			return false
		}
	}
	return true
}
