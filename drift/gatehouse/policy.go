package gatehouse

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/manifest"
)

// builder makes the policies of one operation.
type builder struct {
	*reader
	api     int
	op      manifest.DocOperation
	granted bool // a grant is asked for

	unplanned drift.Leaf[drift.Ways] // the ways in, whatever the plan
}

// plan leaves the ways in that one of the plans admits, and asks for the client profile where all of them do.
func (b *builder) plan(p *drift.Policy, plans []place) {
	if len(plans) == 0 || !b.unplanned.Known() {
		return
	}
	p.Auth.Ways = b.unplanned
	if left := admitted(b.unplanned.Value, plans); len(left) > 0 { // else the plans are for nobody, and who has no grant stays out
		p.Auth.Ways.Value = left
	}
	if slices.ContainsFunc(plans, func(at place) bool { return !at.plan.FAPI }) || len(p.Access.Rules.Value) == 0 {
		return
	}
	rule := p.Access.Rules.Value[0]
	if !slices.Contains(rule.Subjects, fapi) {
		rule.Subjects = append(slices.Clone(rule.Subjects), fapi)
	}
	p.Access.Rules.Value = []drift.AccessRule{rule}
}

// fapi stands for clients that keep the client profile of FAPI 2.0.
const fapi = "client:fapi"

// policy is what is in force on the operation: for callers of a plan, or in general.
func (b *builder) policy(at *place, general *drift.Policy) *drift.Policy {
	if at != nil { // a plan differs from general traffic in its limits and its approval alone
		p := *general
		b.limits(&p, at)
		b.plan(&p, []place{*at})
		return &p
	}
	p := &drift.Policy{}
	b.defaults(p)
	a := &b.APIs[b.api]
	authenticated := slices.ContainsFunc(a.Policies, func(q manifest.Policy) bool { return q.Kind != "anonymous" && isAuth(q.Kind) })
	fromPlan := false
	for _, q := range b.Policies(b.api, b.op.ID) {
		o := b.origin(q.Pointer, b.scope(q))
		switch q.Kind {
		case "anonymous":
			p.Auth.Ways = leaf(b, q, drift.Ways(nil), o)
			p.Auth.Exempt = leaf(b, q, authenticated, o)
		case "api_key", "oauth", "client_certificate", "workload_identity", "any_of", "all_of":
			b.auth(p, q, o)
		case "grant":
			b.granted = true
			rule := drift.AccessRule{Effect: "allow", Subjects: prefixed("scope:", a.Needs(b.op))}
			if len(rule.Subjects) == 0 {
				rule.Subjects = []string{"grant"}
			}
			p.Access.Rules = leaf(b, q, []drift.AccessRule{rule}, o)
			p.Lifecycle.Subscription = leaf(b, q, true, o)
		case "no_grant":
			p.Lifecycle.Subscription = leaf(b, q, false, o)
		case "rate_limit":
			fromPlan = b.rate(p, q, o)
		case "request_size":
			b.size(p, q, o)
		case "cors":
			b.cors(p, q, o)
		case "headers":
			b.headers(p, q, o)
		default: // a kind of a build of somebody's own
			p.Opaque = leaf(b, q, append(p.Opaque.Value, drift.Opaque{Kind: "policy", Name: q.Kind, Hash: drift.Hash(string(q.Config)), Code: drift.Shown(string(q.Config)), Origin: o}), o)
			if p.Auth.Ways.State == drift.Default {
				p.Auth.Ways = drift.Unknown[drift.Ways]("a policy of another build may authenticate: "+q.Kind, o)
			}
		}
	}
	b.upstream(p)
	if fromPlan {
		b.loosest(p)
	}
	b.approval(p)
	p.TLS.HSTS = drift.HSTSOf(p.Transforms)
	b.demanded(p)
	if !b.granted {
		return p
	}
	b.unplanned = p.Auth.Ways
	b.plan(p, b.plans())
	return p
}

func (b *builder) scope(q manifest.PlacedPolicy) string {
	if strings.Contains(q.Pointer, "/operations/") {
		return "operation " + b.op.ID
	}
	return "api " + b.APIs[b.api].Name
}

func leaf[T any](b *builder, q manifest.PlacedPolicy, v T, o drift.Origin) drift.Leaf[T] {
	if strings.Contains(q.Pointer, "/operations/") {
		return drift.Is(v, o)
	}
	return drift.From(v, o)
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = prefix + s
	}
	return out
}

func (b *builder) defaults(p *drift.Policy) {
	none, no := drift.ByDefault([]string(nil)), drift.ByDefault(false)
	p.Auth = drift.Auth{Ways: drift.ByDefault(drift.Ways(nil)), Fallback: no, Optional: no, Exempt: no}
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	p.Limits = drift.Limits{Body: drift.ByDefault(int64(0)), Header: drift.ByDefault(int64(maxHead)), Retries: drift.ByDefault(int64(0)), RetryOn: none, Breaker: drift.ByDefault("")}
	p.CORS = drift.CORS{Enabled: no, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: no, MaxAge: drift.ByDefault(int64(0))}
	p.IP = drift.IPFilter{Allow: none, Deny: none, Source: drift.ByDefault("peer"), Hops: drift.ByDefault(int64(0))}
	p.WAF, p.Debug = none, none
	p.Transforms, p.Opaque = drift.ByDefault([]drift.Transform(nil)), drift.ByDefault([]drift.Opaque(nil))
	// One event for each exchange: where it goes is the start-up configuration's matter.
	p.Logging = drift.Logging{Format: drift.ByDefault("json"), Fields: none, Sample: drift.ByDefault(1.0), Body: drift.ByDefault(int64(0)), Headers: none, Redactions: none,
		Retention: drift.Impossible[int64]("kept by the sink")}
	b.face(p)
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(true), Labels: none, Sink: drift.ByDefault("prometheus")}
	p.Tracing = drift.Tracing{Enabled: no}
	p.Diag = drift.Diagnostics{Verbosity: drift.Impossible[string]("there is one event, always"), Errors: drift.ByDefault(true), Correlation: drift.ByDefault("gatehouse-request-id"), FaultLogged: drift.ByDefault(true), FaultLeaks: no}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("revisions number manifests"), Version: drift.ByDefault(""), Deprecated: drift.Is(b.op.Deprecated, drift.Origin{File: b.APIs[b.api].OpenAPI, Line: b.op.Line, Scope: "operation " + b.op.ID}),
		Subscription: drift.ByDefault(false), Approval: drift.ByDefault(false)}
}

// rate reads a limit with windows of its own; without any it is that of the plan.
func (b *builder) rate(p *drift.Policy, q manifest.PlacedPolicy, o drift.Origin) (fromPlan bool) {
	s, ok := decode[limitSettings](q)
	switch {
	case !ok:
		p.Rates = drift.Unknown[[]drift.Rate]("the settings cannot be read", o)
		return false
	case len(s.Windows) == 0:
		return true
	}
	by := map[string]string{"application": "consumer", "credential": "credential", "address": "ip"}[s.By]
	b.windows(p, s.Windows, by, func(int) drift.Origin { return o })
	return false
}

// windows divides windows into rates, and quotas from a day on.
func (b *builder) windows(p *drift.Policy, list []manifest.Limit, by string, at func(int) drift.Origin) {
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	for i, w := range list {
		o := at(i)
		count, window, key := drift.Is(w.Requests, o), drift.Is(seconds(w.Per), o), drift.Is(by, o)
		if time.Duration(w.Per) >= 24*time.Hour {
			p.Quotas = drift.Is(append(p.Quotas.Value, drift.Quota{Count: count, Period: window, Unit: "calls", Key: key}), o)
			continue
		}
		burst := w.Burst
		if burst == 0 {
			burst = w.Requests
		}
		where, open := counted(w, o)
		p.Rates = drift.Is(append(p.Rates.Value, drift.Rate{Count: count, Window: window, Burst: drift.Is(burst, o), Algorithm: drift.ByDefault("gcra"), Key: key, Enforcement: where,
			Replicas: b.start.replicas, FailOpen: open, Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}), o)
	}
}

// counted says where a window is counted, and whether it lets everybody through while its counter is away.
func counted(w manifest.Limit, o drift.Origin) (where drift.Leaf[string], open drift.Leaf[bool]) {
	if w.Counter != "leased" && w.Counter != "strict" {
		return drift.ByDefault("per_replica"), drift.ByDefault(false)
	}
	if open = drift.ByDefault(false); w.Away == "open" || w.Away == "closed" {
		open = drift.Is(w.Away == "open", o)
	}
	return drift.Is("shared", o), open
}

func (b *builder) limits(p *drift.Policy, at *place) {
	base := "/products/" + strconv.Itoa(at.i) + "/plans/" + strconv.Itoa(at.j)
	scope := "plan " + at.product.Name + "/" + at.plan.Name
	planned := false
	for _, q := range b.Policies(b.api, b.op.ID) {
		if s, ok := decode[limitSettings](q); q.Kind == "rate_limit" && ok && len(s.Windows) == 0 {
			planned = true
		}
	}
	if planned {
		b.windows(p, at.plan.Limits, "consumer", func(i int) drift.Origin { return b.origin(base+"/limits/"+strconv.Itoa(i), scope) })
	}
	if len(at.plan.Quotas) > 0 {
		p.Quotas = drift.Unknown[[]drift.Quota]("quotas of plans are not read yet", b.origin(base+"/quotas", scope))
	}
	p.Lifecycle.Approval = approvalOf(at.plan, b.origin(base+"/approval", scope))
}

// approvalOf says whether somebody decides. A rule that approves depends on what is asked for.
func approvalOf(l *manifest.Plan, o drift.Origin) drift.Leaf[bool] {
	i := slices.IndexFunc(l.Approval.Rules, func(r manifest.Rule) bool { return r.Then == "approve" })
	if i < 0 || l.Approval.Automatic {
		return drift.Is(!l.Approval.Automatic, o)
	}
	return drift.DependsOn(true, "the rule "+l.Approval.Rules[i].Name+" approves by itself when "+l.Approval.Rules[i].When, o)
}

// plans are those under which the operation can be called here.
func (b *builder) plans() []place {
	var out []place
	for i := range b.Products {
		p := &b.Products[i]
		if !offers(p, b.APIs[b.api].Name, b.op.ID, b.at.Name) {
			continue
		}
		for j := range p.Plans {
			if l := &p.Plans[j]; len(l.Environments) == 0 || slices.Contains(l.Environments, b.at.Name) {
				out = append(out, place{p, l, i, j})
			}
		}
	}
	return out
}

// loosest gives general traffic the limits of the plan that admits most: nobody who may call at all has more.
func (b *builder) loosest(p *drift.Policy) {
	var best *place
	for _, at := range b.plans() {
		if best == nil || looser(at.plan.Limits, best.plan.Limits) {
			best = &at
		}
	}
	if best != nil {
		b.limits(p, best)
	}
}

func looser(a, b []manifest.Limit) bool {
	rate := func(list []manifest.Limit) float64 {
		least := 0.0
		for i, l := range list {
			if r := float64(l.Requests) / max(1, float64(l.Per)); i == 0 || r < least {
				least = r
			}
		}
		return least
	}
	return len(a) == 0 || len(b) > 0 && rate(a) > rate(b)
}

// approval: access can be had without anybody's word if one plan is automatic.
func (b *builder) approval(p *drift.Policy) {
	if !b.granted {
		return
	}
	for _, at := range b.plans() {
		o := b.origin("/products/"+strconv.Itoa(at.i)+"/plans/"+strconv.Itoa(at.j)+"/approval", "plan "+at.product.Name+"/"+at.plan.Name)
		l := approvalOf(at.plan, o)
		if p.Lifecycle.Approval.State == drift.Default || l.Known() && !l.Value || l.State == drift.Conditional {
			p.Lifecycle.Approval = l
		}
		if l.Known() && !l.Value {
			return
		}
	}
}

func (b *builder) size(p *drift.Policy, q manifest.PlacedPolicy, o drift.Origin) {
	s, ok := decode[sizeSettings](q)
	n, ok2 := bytesOf(strings.Trim(string(s.Max), `"`))
	if !ok || !ok2 {
		p.Limits.Body = drift.Unknown[int64]("the settings cannot be read", o)
		return
	}
	p.Limits.Body = leaf(b, q, n, o)
}

// bytesOf reads a size as the manifest writes it: 64KB, 10MB, 1MiB, or a bare number.
func bytesOf(s string) (int64, bool) {
	digits := strings.TrimRight(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	unit := map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[s[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 32)
	return n * unit, err == nil && unit > 0 && n >= 0
}

func (b *builder) cors(p *drift.Policy, q manifest.PlacedPolicy, o drift.Origin) {
	s, ok := decode[corsSettings](q)
	if !ok {
		p.CORS.Enabled = drift.Unknown[bool]("the settings cannot be read", o)
		return
	}
	p.CORS.Enabled, p.CORS.Origins, p.CORS.Credentials = leaf(b, q, true, o), leaf(b, q, s.Origins, o), leaf(b, q, s.Credentials, o)
	p.CORS.Methods, p.CORS.Headers, p.CORS.Expose = drift.ByDefault([]string{b.op.Method}), drift.ByDefault([]string{"Content-Type", "X-API-Key", "Authorization"}), leaf(b, q, s.Expose, o)
	if len(s.Methods) > 0 {
		p.CORS.Methods = leaf(b, q, s.Methods, o)
	}
	if len(s.Headers) > 0 {
		p.CORS.Headers = leaf(b, q, s.Headers, o)
	}
	p.CORS.MaxAge = drift.ByDefault(int64(600))
	if s.MaxAge > 0 {
		p.CORS.MaxAge = leaf(b, q, seconds(s.MaxAge), o)
	}
	for _, origin := range s.Origins {
		b.env.Refer("cors_origin", origin, o)
	}
}

func (b *builder) headers(p *drift.Policy, q manifest.PlacedPolicy, o drift.Origin) {
	s, ok := decode[headerSettings](q)
	if !ok {
		p.Transforms = drift.Unknown[[]drift.Transform]("the settings cannot be read", o)
		return
	}
	var out []drift.Transform
	for _, side := range []struct {
		phase string
		c     changes
	}{{"request", s.Request}, {"response", s.Response}} {
		for _, n := range side.c.Remove {
			out = append(out, drift.Transform{Phase: side.phase, Target: "header", Op: "remove", Name: n, Origin: o})
		}
		for _, op := range []struct {
			name   string
			values map[string]string
		}{{"set", side.c.Set}, {"add", side.c.Add}} {
			for _, n := range slices.Sorted(maps.Keys(op.values)) {
				out = append(out, drift.Transform{Phase: side.phase, Target: "header", Op: op.name, Name: n, Value: drift.ValueOf(n, op.values[n]), Origin: o})
			}
		}
	}
	p.Transforms = leaf(b, q, append(p.Transforms.Value, out...), o)
}

func (b *builder) upstream(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	// A gateway always verifies an upstream that it calls over TLS; there is no switch.
	p.Upstream = drift.Upstream{URLs: none, Verify: drift.ByDefault(true), CAs: none, ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: drift.ByDefault("1.2")}
	p.Limits.Connect, p.Limits.Read = drift.ByDefault(int64(2000)), drift.ByDefault(int64(10_000))
	i := slices.IndexFunc(b.Upstreams, func(u manifest.Upstream) bool { return u.Name == b.APIs[b.api].Upstream })
	if i < 0 {
		return
	}
	u, base, scope := &b.Upstreams[i], "/upstreams/"+strconv.Itoa(i), "upstream "+b.APIs[b.api].Upstream
	targets, o := u.Targets, b.origin(base+"/targets", scope)
	if over, ok := u.Environments[b.at.Name]; ok && len(over.Targets) > 0 {
		targets, o = over.Targets, b.origin(base+"/environments/"+b.at.Name+"/targets", scope)
	}
	masked := make([]string, len(targets))
	for i, t := range targets {
		masked[i] = drift.Mask(t)
		b.env.Refer("upstream", t, o)
	}
	p.Upstream.URLs = drift.From(masked, o)
	if s := u.TLS; s != nil {
		if s.CA != "" {
			p.Upstream.CAs = drift.From([]string{s.CA}, b.origin(base+"/tls/ca", scope))
		}
		if s.Certificate != "" {
			p.Upstream.ClientCert = drift.From(s.Certificate, b.origin(base+"/tls/certificate", scope))
		}
		if s.Name != "" {
			p.Upstream.ServerName = drift.From(s.Name, b.origin(base+"/tls/name", scope))
		}
	}
	if d := time.Duration(u.Timeouts.Connect); d > 0 {
		p.Limits.Connect = drift.From(d.Milliseconds(), b.origin(base+"/timeouts/connect", scope))
	}
	if d := time.Duration(u.Timeouts.Read); d > 0 {
		p.Limits.Read = drift.From(d.Milliseconds(), b.origin(base+"/timeouts/read", scope))
	}
	if t := u.Retries; t != nil && b.again() {
		o := b.origin(base+"/retries", scope)
		p.Limits.Retries, p.Limits.RetryOn = drift.From(int64(max(1, t.Attempts)), o), drift.ByDefault([]string{"502", "503", "504"})
		if len(t.Status) > 0 {
			var on []string
			for _, n := range t.Status {
				on = append(on, strconv.Itoa(n))
			}
			p.Limits.RetryOn = drift.From(on, b.origin(base+"/retries/status", scope))
		}
	}
	var guards []string
	if k := u.Breaker; k != nil {
		guards = append(guards, strconv.Itoa(cmp.Or(k.Errors, 50))+" % of failures")
		p.Limits.Breaker = drift.From(strings.Join(guards, ", "), b.origin(base+"/breaker", scope))
	}
	if k := u.Concurrency; k != nil {
		guards = append(guards, strconv.Itoa(k.Most)+" calls at once")
		p.Limits.Breaker = drift.From(strings.Join(guards, ", "), b.origin(base+"/concurrency", scope))
	}
	if n := setting(&b.start, 0, func(v string) (int, bool) { n, err := strconv.Atoi(v); return n, err == nil }, "gateway", "connections-per-address"); n.Known() && n.Value > 0 {
		p.Limits.Breaker = drift.From(strings.Join(append(guards, strconv.Itoa(n.Value)+" connections of one address"), ", "), n.Origin)
	}
	for j, h := range u.Present {
		at := b.origin(base+"/present/"+strconv.Itoa(j), scope)
		t := drift.Transform{Phase: "request", Target: "header", Op: "set", Name: h.Header, Value: drift.ValueOf("secret", h.Secret), Origin: at}
		p.Transforms = drift.From(append(p.Transforms.Value, t), at)
	}
}

// again reports whether the operation may be tried again: by its method, or because the manifest says that it does no harm.
func (b *builder) again() bool {
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, strings.ToUpper(b.op.Method)) || b.APIs[b.api].Operation(b.op.ID).Idempotent
}
