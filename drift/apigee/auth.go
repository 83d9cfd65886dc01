package apigee

import (
	"strconv"
	"strings"

	"gatehouse/drift"
)

func verifies(p *policy) bool {
	op := p.node.Child("Operation").Str()
	return p.kind != "OAuthV2" || op == "VerifyAccessToken" || op == "VerifyJWTAccessToken"
}

func authenticates(p *policy) bool {
	switch p.kind {
	case "OAuthV2", "VerifyAPIKey", "VerifyJWT", "VerifyJWS", "VerifyIAM", "HMAC", "ValidateSAMLAssertion", "AccessControl", "OAuthV1":
		return verifies(p)
	}
	return false
}

// auth combines what the steps of the request demand: each of them has to be met. One whose failure lets the call go on is no demand, and
// one under a condition leaves a way in where it does not hold.
func (r *run) auth(p *drift.Policy) {
	no := drift.ByDefault(false)
	p.Auth = drift.Auth{Ways: drift.ByDefault(drift.Ways(nil)), Fallback: no, Optional: no, Exempt: no}
	var must, try drift.Ways
	var from *step
	cause := ""
	for i := range r.steps {
		s := r.steps[i]
		if s.phase != "request" {
			continue
		}
		q, ok := r.requirement(s)
		if !ok {
			r.early(p, s, from)
			continue
		}
		if from == nil {
			from = &r.steps[i]
		}
		switch {
		case s.advisory():
			try = append(try, drift.Way{Needs: []drift.Requirement{q}})
			p.Auth.Fallback = drift.Is(true, s.origin(nil))
		case s.when != nil:
			cause = "condition " + string(s.when.Text)
			other := *s.when
			other.Text = drift.Shown("not " + string(s.when.Text))
			ways := drift.Ways{{Needs: []drift.Requirement{q}, When: s.when}, {When: &other}}
			var bounded bool
			if must, bounded = must.Times(ways); !bounded {
				r.Doubt(s.origin(nil), "too many combinations of ways to authenticate")
			}
		default:
			must = must.And(q)
		}
	}
	switch {
	case len(must) > 0:
		p.Auth.Ways = at(r, *from, must, nil)
		p.Auth.Ways.State, p.Auth.Ways.Cause = max(drift.Set, min(p.Auth.Ways.State, drift.Inherited)), ""
		if len(try) > 0 {
			p.Auth.Fallback = no // something else has to be met anyway
		}
	case len(try) > 0:
		p.Auth.Ways = at(r, *from, try, nil)
	}
	if cause != "" {
		p.Auth.Ways = drift.DependsOn(p.Auth.Ways.Value, cause, p.Auth.Ways.Origin)
	}
	if len(p.Auth.Ways.Value) == 0 {
		r.unsure(p)
		r.cut(p)
	}
}

// early notes what takes effect before anybody has been asked who he is.
func (r *run) early(p *drift.Policy, s step, asked *step) {
	if asked != nil {
		return
	}
	switch s.kind {
	case "ServiceCallout", "PublishMessage", "PopulateCache", "InvalidateCache", "MessageLogging", "IntegrationCallout", "DataCapture":
	case "KeyValueMapOperations":
		if s.node == nil || s.policy.node.Child("Put") == nil && s.policy.node.Child("Delete") == nil {
			return
		}
	default:
		return
	}
	for _, later := range r.steps {
		if q, ok := r.requirement(later); ok && later.phase == "request" && q.Kind != "" {
			p.Early = append(p.Early, drift.Statement{Name: s.kind + " " + drift.Mask(s.name), Origin: s.origin(nil)})
			return
		}
	}
}

// unsure takes back that the operation is open where code may refuse, or a fault that tests a credential.
func (r *run) unsure(p *drift.Policy) {
	for _, s := range r.steps {
		if s.phase != "request" {
			continue
		}
		switch s.kind {
		case "Javascript", "JavaCallout", "Script", "ExternalCallout":
			p.Auth.Ways = drift.Unknown[drift.Ways](s.kind+" "+drift.Mask(s.name)+" may authenticate", s.origin(nil))
		case "RaiseFault":
			c := strings.ToLower(s.node.Child("Condition").Str())
			if s.when != nil && (strings.Contains(c, "private.") || strings.Contains(c, "key") || strings.Contains(c, "token") || strings.Contains(c, "authorization")) {
				p.Auth.Ways = drift.Unknown[drift.Ways]("a fault is raised by a test of a credential: "+c, s.origin(nil))
			}
		}
	}
}

// cut finds authentication of target endpoints that these calls go past, because their route leads to another upstream. Calls that are
// answered by the gateway itself reach nothing that was guarded.
func (r *run) cut(p *drift.Policy) {
	if r.route.target == nil && r.route.url == "" {
		return
	}
	for _, n := range r.proxy.All("RouteRule") {
		t := r.targets[n.Child("TargetEndpoint").Str()]
		if t == nil || t == r.route.target {
			continue
		}
		for _, s := range t.Child("PreFlow", "Request").All("Step") {
			other := r.policies[s.Child("Name").Str()]
			if other != nil && s.Child("Condition").Str() == "" && !other.off() && !other.advisory() && authenticates(other) {
				p.Cuts = append(p.Cuts, drift.Cut{What: other.kind, Auth: true, Lost: s.Origin(r.scope()), Origin: r.route.node.Origin(r.scope())})
				return
			}
		}
	}
}

// requirement is what a step demands of the caller.
func (r *run) requirement(s step) (drift.Requirement, bool) {
	q := drift.Requirement{Name: drift.Mask(s.name), Origin: s.origin(nil), Forward: drift.ByDefault(true)}
	own := &drift.External{URL: drift.ByDefault("apigee"), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}
	switch {
	case s.policy == nil || !verifies(s.policy):
		return q, false
	case s.kind == "VerifyAPIKey":
		ref, _ := s.policy.node.Child("APIKey").Attr("ref")
		in, name := place(ref)
		q.Kind, q.Key = drift.KeyProof, &drift.APIKey{In: at(r, s, []string{in}, s.policy.node.Child("APIKey")), Names: at(r, s, []string{name}, nil)}
		if ref == "" || in == "" {
			q.Key.In = drift.Unknown[[]string]("variable "+drift.Mask(ref), q.Origin)
			q.Key.Names = drift.Unknown[[]string]("variable "+drift.Mask(ref), q.Origin)
		}
		r.forward(&q, in, name)
	case s.kind == "OAuthV2" && s.policy.node.Child("Operation").Str() == "VerifyAccessToken", s.kind == "OAuthV1", s.kind == "VerifyIAM", s.kind == "ValidateSAMLAssertion":
		q.Kind, q.External = drift.ExtAuthz, own
		if s.kind == "OAuthV2" { // what it knows of a token is kept for three minutes, if nothing shorter is set
			own.TTL = value(r, s, "CacheExpiryInSeconds", int64(180), func(v string) (int64, bool) { n, err := strconv.ParseInt(v, 10, 64); return n, err == nil && n > 0 })
		}
		r.forward(&q, "header", "authorization")
	case s.kind == "OAuthV2", s.kind == "VerifyJWT", s.kind == "VerifyJWS":
		q.Kind, q.JWT = drift.JWTProof, r.jwt(s)
		for _, source := range q.JWT.Sources.Value {
			in, name, _ := strings.Cut(source, ":")
			r.forward(&q, in, name)
		}
	case s.kind == "HMAC" && s.policy.node.Child("VerificationValue") != nil:
		q.Kind = drift.HMACProof
	default:
		return q, false
	}
	return q, true
}

// place splits the name of a variable of the request.
func place(ref string) (in, name string) {
	for _, k := range []struct{ prefix, in string }{{"request.header.", "header"}, {"request.queryparam.", "query"}, {"request.formparam.", "body"}, {"message.header.", "header"}, {"message.queryparam.", "query"}} {
		if n, ok := strings.CutPrefix(strings.ToLower(ref), k.prefix); ok {
			return k.in, n
		}
	}
	return "", ""
}

// forward finds the step that takes the credential out of the request.
func (r *run) forward(q *drift.Requirement, in, name string) {
	for _, s := range r.steps {
		if s.kind != "AssignMessage" || s.phase != "request" || s.when != nil {
			continue
		}
		group, item := "Headers", "Header"
		if in == "query" {
			group, item = "QueryParams", "QueryParam"
		}
		list := s.policy.node.Child("Remove", group)
		if list != nil && len(list.Children) == 0 {
			q.Forward = at(r, s, false, list)
		}
		for _, h := range list.All(item) {
			if n, _ := h.Attr("name"); strings.EqualFold(n, name) {
				q.Forward = at(r, s, false, h)
			}
		}
	}
}

func (r *run) jwt(s step) *drift.JWT {
	n := s.policy.node
	one := func(v string) ([]string, bool) { return []string{drift.Mask(v)}, v != "" }
	j := &drift.JWT{Issuers: value(r, s, "Issuer", nil, one), Audiences: value(r, s, "Audience", nil, list), Static: drift.ByDefault(false), Keys: drift.ByDefault([]string(nil)),
		Signed: drift.ByDefault(true), Expires: drift.ByDefault(false), Skew: value(r, s, "TimeAllowance", 0, seconds), Longest: value(r, s, "MaxLifespan", 0, seconds), Claims: drift.ByDefault([]drift.Claim(nil)),
		Algorithms: drift.Unknown[[]string]("the algorithm is not written", s.origin(nil)), Sources: drift.ByDefault([]string{"header:authorization"})}
	if n.Child("Algorithm") != nil {
		j.Algorithms = value(r, s, "Algorithm", nil, list)
	} else if n.Child("Algorithms") != nil {
		j.Algorithms = value(r, s, "Algorithms/Key", nil, list)
	}
	if l := n.Child("MaxLifespan"); l != nil {
		j.Expires = at(r, s, true, l)
	}
	if src := n.Child("Source").Str(); src != "" {
		in, name := place(src)
		if in == "" {
			in, name = "variable", src
		}
		j.Sources = at(r, s, []string{in + ":" + drift.Mask(name)}, n.Child("Source"))
	}
	for _, k := range []string{"PublicKey", "SecretKey", "PrivateKey"} {
		key := n.Child(k)
		if key == nil {
			continue
		}
		jwks := key.Child("JWKS")
		uri := jwks.Child("Uri")
		if uri == nil {
			uri = jwks
			if u, ok := jwks.Attr("uri"); ok {
				j.Keys = at(r, s, []string{drift.Mask(u)}, jwks)
				r.env.Refer("issuer", u, s.origin(jwks))
				continue
			}
		}
		v := key.Child("Value")
		ref, _ := v.Attr("ref")
		switch {
		case uri.Str() != "" && strings.HasPrefix(uri.Str(), "http"):
			j.Keys = at(r, s, []string{drift.Mask(uri.Str())}, uri)
			r.env.Refer("issuer", uri.Str(), s.origin(uri))
		case v.Str() != "":
			j.Static = at(r, s, true, v)
			if k != "PublicKey" {
				r.literal("jwt secret", s.origin(v))
			}
		default:
			j.Keys = drift.Unknown[[]string]("variable "+drift.Mask(ref), s.origin(key))
			j.Static = drift.Unknown[bool]("variable "+drift.Mask(ref), s.origin(key))
		}
	}
	var claims []drift.Claim
	if sub := n.Child("Subject"); sub != nil {
		if sub.Str() == "" {
			j.Claims = drift.Unknown[[]drift.Claim]("the subject is taken from a variable", s.origin(sub))
			return j
		}
		claims = append(claims, drift.Claim{Name: "sub", Values: []string{drift.Mask(sub.Str())}})
	}
	for _, c := range n.Child("AdditionalClaims").All("Claim") {
		name, _ := c.Attr("name")
		claim := drift.Claim{Name: name}
		if c.Str() != "" {
			claim.Values, _ = list(c.Str())
		}
		claims = append(claims, claim)
	}
	if len(claims) > 0 {
		j.Claims = at(r, s, claims, n)
		j.Claims.State, j.Claims.Cause = max(drift.Set, min(j.Claims.State, drift.Inherited)), ""
	}
	return j
}

func (r *reader) literal(what string, o drift.Origin) {
	for _, l := range r.env.Literals {
		if l.Origin == o {
			return
		}
	}
	r.env.Literals = append(r.env.Literals, drift.Literal{What: what, Origin: o})
}

// access reads rules over addresses.
func (r *run) access(p *drift.Policy, s step) {
	rules := s.policy.node.Child("IPRules")
	refuse, _ := rules.Attr("noRuleMatchAction")
	var allow, deny []string
	for _, m := range rules.All("MatchRule") {
		action, _ := m.Attr("action")
		for _, a := range m.All("SourceAddress") {
			mask, _ := a.Attr("mask")
			cidr := drift.Mask(a.Str())
			if mask != "" {
				cidr += "/" + mask
			}
			if strings.EqualFold(action, "ALLOW") {
				allow = append(allow, cidr)
			} else {
				deny = append(deny, cidr)
			}
		}
	}
	if strings.EqualFold(refuse, "DENY") || refuse == "" && len(allow) > 0 {
		p.IP.Allow = at(r, s, allow, rules)
	}
	p.IP.Deny = at(r, s, deny, rules)
	p.IP.Source = drift.ByDefault("xff")
	if on := s.policy.node.Child("ValidateBasedOn"); on.Str() == "X_FORWARDED_FOR_FIRST_IP" {
		p.IP.Source = at(r, s, "header:x-forwarded-for", on)
	}
}

// scopes are demanded of a token: any of those that are written.
func (r *run) scopes(p *drift.Policy, s step) {
	e := s.policy.node.Child("Scope")
	if e.Str() == "" || !verifies(s.policy) || s.kind != "OAuthV2" {
		return
	}
	rule := drift.AccessRule{Effect: "allow"}
	for _, v := range strings.Fields(e.Str()) {
		rule.Subjects = append(rule.Subjects, "scope:"+drift.Mask(v))
	}
	state := at(r, s, append(p.Access.Rules.Value, rule), e)
	p.Access.Rules = state
}
