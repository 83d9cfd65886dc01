package drift

import "slices"

func authRules() []Rule {
	const area = AreaAuth
	return []Rule{
		{ID: "DR-AUT-01", Title: "Operation requires authentication in one environment and none in the other", Area: area, Severity: Critical, Pair: true,
			Why: "direct bypass through the weaker door", Refs: []string{"owasp:API2:2023", "checkov:CKV_AWS_59", "checkov:CKV_AWS_309", "checkov:CKV2_AWS_70", "checkov:CKV_OPENAPI_4", "kics:0a96ce49-4163-4ee6-8169-eb3b0797d694", "kics:7fd0d461-5b8c-4815-898c-f2b4b117eb28", "kics:b16cdb37-ce15-4ab2-8401-d42b05d123fc",
				"kics:15ccec05-5476-4890-ad19-53991eba1db8", "kics:1056dfbb-5802-4762-bf2b-8b9b9684b1b0"}, pair: pairOpen},
		{ID: "DR-AUT-02", Title: "Inherited authentication is cut off by a narrower scope", Area: area, Severity: Critical, Pair: true, Self: true,
			Why: "silent loss", Refs: []string{"owasp:API2:2023", "psrule:Azure.APIM.PolicyBase"}, self: selfCut},
		{ID: "DR-AUT-03", Title: "Authentication is defined but attached to nothing", Area: area, Severity: High, Self: true,
			Why: "false sense of protection", Refs: []string{"owasp:API8:2023"}, env: envDetached},
		{ID: "DR-AUT-04", Title: "Statements with effect run before inherited authentication", Area: area, Severity: Medium, Self: true,
			Why: "side effects before authentication", Refs: []string{"psrule:Azure.APIM.PolicyBase"}, self: selfEarly},
		{ID: "DR-AUT-05", Title: "Kind of authentication differs", Area: area, Severity: High, Pair: true,
			Why: "assurance differs", Refs: []string{"owasp:API2:2023"}, pair: pairKinds},
		{ID: "DR-AUT-06", Title: "Alternatives on one side are demanded together on the other", Area: area, Severity: High, Pair: true,
			Why: "weaker alternative", Refs: []string{"owasp:API2:2023"}, pair: pairChoice},
		{ID: "DR-AUT-07", Title: "Issuer unchecked, or the accepted issuers differ", Area: area, Severity: High, Pair: true, Self: true,
			Why: "tokens of another tenant accepted", Refs: []string{"owasp:API2:2023"}, self: inToken(selfIssuer), pair: pairIssuers},
		{ID: "DR-AUT-08", Title: "Audience unchecked or broader", Area: area, Severity: High, Pair: true, Self: true,
			Why: "token replay between APIs", Refs: []string{"owasp:API2:2023"}, self: inToken(selfAudience), pair: eachToken(pairAudience)},
		{ID: "DR-AUT-09", Title: "Required scopes, roles, claims or groups differ", Area: area, Severity: High, Pair: true,
			Why: "privilege differs", Refs: []string{"owasp:API5:2023"}, pair: pairClaims},
		{ID: "DR-AUT-10", Title: "Entra v1 and v2 metadata mixed", Area: area, Severity: Medium, Pair: true, Self: true,
			Why: "valid clients rejected or the wrong claim read", self: inToken(selfEntra), pair: eachToken(pairEntra)},
		{ID: "DR-AUT-11", Title: "Multi-tenant metadata without a test of tenant or issuer", Area: area, Severity: Critical, Pair: true, Self: true,
			Why: "any tenant", Refs: []string{"owasp:API2:2023"}, self: inToken(selfMultiTenant)},
		{ID: "DR-AUT-12", Title: "Signatures of tokens are checked less strictly", Area: area, Severity: Critical, Pair: true, Self: true,
			Why: "forgery, or failure on rotation", Refs: []string{"owasp:API2:2023"}, self: inToken(selfSignature), pair: eachToken(pairSignature)},
		{ID: "DR-AUT-13", Title: "Expiry not required, or lifetime and clock skew differ", Area: area, Severity: High, Pair: true, Self: true,
			Why: "stale tokens", Refs: []string{"owasp:API2:2023"}, self: inToken(selfExpiry), pair: eachToken(pairExpiry)},
		{ID: "DR-AUT-14", Title: "Anonymous fallback or optional authentication", Area: area, Severity: Critical, Pair: true, Self: true,
			Why: "bypass", Refs: []string{"owasp:API2:2023"}, self: selfFallback, pair: pairFallback},
		{ID: "DR-AUT-15", Title: "External authorizer fails open", Area: area, Severity: High, Pair: true, Self: true,
			Why: "outage means open", Refs: []string{"owasp:API8:2023"}, self: selfFailOpen, pair: eachExternal(pairFailOpen)},
		{ID: "DR-AUT-16", Title: "Authorizer's cache time or cache key differs", Area: area, Severity: Medium, Pair: true,
			Why: "revocation delay, reuse across callers", Refs: []string{"owasp:API2:2023"}, pair: eachExternal(pairCache)},
		{ID: "DR-AUT-17", Title: "Credential accepted in the query string", Area: area, Severity: Medium, Pair: true,
			Why: "leaks in logs", Refs: []string{"owasp:API2:2023", "checkov:CKV_OPENAPI_20"}, pair: pairQuery},
		{ID: "DR-AUT-18", Title: "Credential is forwarded to the upstream", Area: area, Severity: Medium, Pair: true,
			Why: "exposure", Refs: []string{"owasp:API8:2023"}, pair: pairForward},
		{ID: "DR-AUT-19", Title: "Path is exempted from authentication", Area: area, Severity: High, Pair: true,
			Why: "hole", Refs: []string{"owasp:API2:2023"}, pair: pairExempt},
		{ID: "DR-AUT-20", Title: "Authentication depends on something that the caller controls", Area: area, Severity: High, Pair: true, Self: true,
			Why: "bypass by header", Refs: []string{"owasp:API2:2023"}, self: selfConditional},
		{ID: "DR-AUT-21", Title: "Subscription or approval requirement differs", Area: area, Severity: Medium, Pair: true,
			Why: "unmanaged consumers", Refs: []string{"psrule:Azure.APIM.ProductApproval", "psrule:Azure.APIM.ProductSubscription"}, pair: pairLifecycle},
		{ID: "DR-AUT-22", Title: "Secret written into the configuration", Area: area, Severity: High, Self: true,
			Why: "leak", Refs: []string{"owasp:API8:2023", "psrule:Azure.APIM.EncryptValues"}, env: envLiterals},
	}
}

func selfCut(p *probe, q *Policy) {
	for _, c := range q.Cuts {
		if c.Auth {
			p.at("auth.ways", c.What+" of "+place(c.Lost)+" does not run", c.Origin, "a narrower scope stands in the place of a wider one, which does not run here")
		}
	}
}

// place names where something stands by its scope, which stays when lines move.
func place(o Origin) string {
	if o.Scope != "" {
		return o.Scope
	}
	return o.File
}

func envDetached(p *probe) {
	for _, d := range p.env.Detached {
		if d.Auth {
			p.at("detached", d.Kind+" "+d.Name, d.Origin, "it is defined and takes no part in any operation")
		}
	}
}

func selfEarly(p *probe, q *Policy) {
	for _, s := range q.Early {
		p.at("order", s.Name+" before inherited authentication", s.Origin, "the statement takes effect for callers who then fail to authenticate")
	}
}

func selfIssuer(p *probe, j *JWT, _ Requirement) {
	if j.Issuers.Known() && len(j.Issuers.Value) == 0 {
		p.found("auth.jwt.issuers", j.Issuers, "tokens of every issuer whose keys are trusted are accepted")
	}
}

func pairIssuer(v *pairing, a, b *JWT) {
	differ(v, "auth.jwt.issuers", a.Issuers, b.Issuers, nil, v.shaped(CompareChecked), "the accepted issuers differ by more than tenant and tier")
}

// pairIssuers compares token by token, and where one side takes more sorts of tokens than the other, all issuers together: one more
// sort beside the others is one more issuer.
func pairIssuers(v *pairing, a, b *Policy) {
	if x, y := tokens(a), tokens(b); len(x) == len(y) || len(x) == 0 || len(y) == 0 {
		eachToken(pairIssuer)(v, a, b)
	} else {
		differ(v, "auth.jwt.issuers", issuersOf(x), issuersOf(y), nil, v.shaped(CompareChecked), "one side accepts tokens of further issuers")
	}
}

// issuersOf are the issuers of several requirements, one of which a caller must meet: none when one of them checks none.
func issuersOf(list []Requirement) Leaf[[]string] {
	out := ByDefault([]string(nil))
	for _, r := range list {
		switch {
		case r.JWT == nil:
			return Unknown[[]string]("", r.Origin)
		case !r.JWT.Issuers.Definite():
			return Unknown[[]string](r.JWT.Issuers.Cause, r.JWT.Issuers.Origin)
		case len(r.JWT.Issuers.Value) == 0:
			return r.JWT.Issuers
		}
		out.Value, out.State, out.Origin = Sorted(append(out.Value, r.JWT.Issuers.Value...)), r.JWT.Issuers.State, r.JWT.Issuers.Origin
	}
	return out
}

func selfAudience(p *probe, j *JWT, _ Requirement) {
	if j.Audiences.Known() && len(j.Audiences.Value) == 0 {
		p.found("auth.jwt.audiences", j.Audiences, "a token that was issued for another API is accepted")
	}
}

func pairAudience(v *pairing, a, b *JWT) {
	differ(v, "auth.jwt.audiences", a.Audiences, b.Audiences, nil, v.shaped(CompareChecked), "the accepted audiences differ by more than tenant and tier")
}

func pairClaims(v *pairing, a, b *Policy) {
	differ(v, "authz", claimsOf(a), claimsOf(b), nil, v.shaped(CompareDemands), "an authenticated caller needs more on one side than on the other")
}

func selfEntra(p *probe, j *JWT, _ Requirement) {
	if v := entraVersions(j); mixed(v) {
		p.found("auth.jwt.issuers", j.Issuers, "the requirement mixes issuers, metadata or claims of Entra v1 and v2")
	}
}

func pairEntra(v *pairing, a, b *JWT) {
	x, y := entraVersions(a), entraVersions(b)
	if len(x) > 0 && len(y) > 0 && !mixed(x) && !mixed(y) && x[0][:2] != y[0][:2] {
		v.report("auth.jwt.keys", a.Keys, b.Keys, Incomparable, "one side uses Entra v1 metadata, the other v2: their issuers, audiences and claims differ")
	}
}

func selfExpiry(p *probe, j *JWT, _ Requirement) {
	if j.Expires.Known() && !j.Expires.Value {
		p.found("auth.jwt.require_exp", j.Expires, "an expired token, or one without an end, passes")
	}
}

func selfFallback(p *probe, q *Policy) {
	if q.Auth.Fallback.Known() && q.Auth.Fallback.Value {
		p.found("auth.anonymous_fallback", q.Auth.Fallback, "who fails to authenticate passes as an anonymous caller")
	}
	if q.Auth.Optional.Known() && q.Auth.Optional.Value {
		p.found("auth.optional", q.Auth.Optional, "who shows no credential passes")
	}
}

func pairFallback(v *pairing, a, b *Policy) {
	differ(v, "auth.anonymous_fallback", a.Auth.Fallback, b.Auth.Fallback, false, CompareFalse, "who fails to authenticate passes on one side")
	differ(v, "auth.optional", a.Auth.Optional, b.Auth.Optional, false, CompareFalse, "who shows nothing passes on one side")
}

func selfFailOpen(p *probe, q *Policy) {
	for _, r := range q.Auth.Ways.Value.All() {
		if x := r.External; x != nil && x.FailOpen.Known() && x.FailOpen.Value {
			p.found("auth.external.fail_open", x.FailOpen, "while the authorizer is away, everybody passes")
		}
	}
}

func pairFailOpen(v *pairing, a, b *External) {
	differ(v, "auth.external.fail_open", a.FailOpen, b.FailOpen, false, CompareFalse, "one side lets everybody pass while the authorizer is away")
}

func pairCache(v *pairing, a, b *External) {
	differ(v, "auth.external.cache_ttl_s", a.TTL, b.TTL, 0, skew, "a decision that was taken back counts for longer on one side")
	differ(v, "auth.external.cache_key", a.CacheKey, b.CacheKey, nil, lower(CompareRequired), "a decision may be reused for another caller on one side")
}

func queries(p *Policy) Leaf[bool] {
	l := ByDefault(false)
	for r := range p.Auth.Ways.Value.each {
		switch {
		case r.Key != nil && !r.Key.In.Definite():
			return Unknown[bool](r.Key.In.Cause, r.Key.In.Origin)
		case r.Key != nil && contains(r.Key.In.Value, "query"):
			return Leaf[bool]{Value: true, State: r.Key.In.State, Origin: r.Key.In.Origin}
		case r.JWT != nil && r.JWT.Sources.Known():
			for _, s := range r.JWT.Sources.Value {
				if len(s) > 6 && s[:6] == "query:" {
					return Leaf[bool]{Value: true, State: r.JWT.Sources.State, Origin: r.JWT.Sources.Origin}
				}
			}
		}
	}
	return l
}

func pairQuery(v *pairing, a, b *Policy) {
	if v.waysKnown(a, b) && !a.Auth.Ways.Value.Open() && !b.Auth.Ways.Value.Open() {
		differ(v, "auth.in_query", queries(a), queries(b), false, CompareFalse, "one side accepts the credential in the address, which logs and histories keep")
	}
}

// forwards are the kinds of credentials that go on to the upstream.
func forwards(p *Policy) Leaf[[]string] {
	l := ByDefault([]string(nil))
	for r := range p.Auth.Ways.Value.each {
		if !r.Forward.Definite() {
			return Unknown[[]string](r.Forward.Cause, r.Forward.Origin)
		}
		if r.Forward.Value {
			l.Value, l.State, l.Origin = Sorted(append(l.Value, string(r.Kind))), r.Forward.State, r.Forward.Origin
		}
	}
	return l
}

func pairForward(v *pairing, a, b *Policy) {
	if v.waysKnown(a, b) && len(a.Auth.Ways.Value) > 0 && len(b.Auth.Ways.Value) > 0 {
		differ(v, "auth.forward", forwards(a), forwards(b), nil, func(x, y []string) Order {
			// A kind that only one side asks for at all is another rule's matter.
			ka, kb := kinds(a.Auth.Ways.Value), kinds(b.Auth.Ways.Value)
			return CompareAllowed(common(x, kb), common(y, ka))
		}, "one side passes the caller's credential on to the upstream")
	}
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func pairExempt(v *pairing, a, b *Policy) {
	differ(v, "auth.exempt", a.Auth.Exempt, b.Auth.Exempt, false, CompareFalse, "the operation is taken out of a rule that otherwise covers it")
}

func selfConditional(p *probe, q *Policy) {
	for _, w := range q.Auth.Ways.Value {
		c := w.When
		if c == nil || !c.Client || !slices.ContainsFunc(q.Auth.Ways.Value, func(o Way) bool { return o.implies(w) && !w.implies(o) }) {
			continue
		}
		l := DependsOn(q.Auth.Ways.Value, string(c.Text), q.Auth.Ways.Origin)
		if c.Origin.File != "" {
			l.Origin = c.Origin
		}
		p.found("auth.ways", l, "less is asked when "+Mask(string(c.Text))+", which the caller decides")
		return
	}
}

func pairLifecycle(v *pairing, a, b *Policy) {
	differ(v, "lifecycle.subscription_required", a.Lifecycle.Subscription, b.Lifecycle.Subscription, false, subscribed(a, b), "one side serves callers without a subscription")
	differ(v, "lifecycle.approval_required", a.Lifecycle.Approval, b.Lifecycle.Approval, false, subscribed(a, b), "one side gives access without anybody's approval")
}

// subscribed compares only where both gateways know subscriptions: elsewhere grants and keys are somebody else's matter.
func subscribed(a, b *Policy) func(x, y bool) Order {
	return func(x, y bool) Order {
		if a.Lifecycle.Subscription.State == Unsupported || b.Lifecycle.Subscription.State == Unsupported {
			return Same
		}
		return CompareTrue(x, y)
	}
}

func envLiterals(p *probe) {
	for _, l := range p.env.Literals {
		p.at("secret", l.What, l.Origin, "whoever reads the configuration has the secret; keep it in a vault and refer to it")
	}
}
