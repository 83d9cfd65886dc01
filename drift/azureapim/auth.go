package azureapim

import (
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// clientSide are the parts of a request that the caller writes. The method is not among them: it is part of the operation.
var clientSide = regexp.MustCompile(`(?i)context\.Request\.(Headers|Url|OriginalUrl|Body|IpAddress|MatchedParameters)|\.Headers\b|GetValueOrDefault\("[A-Za-z]+-`)

// ways is what a sequence of statements demands together. answers says that it never goes on to the backend.
func (r *reader) ways(list []statement, depth int) (w drift.Ways, answers bool, status string) {
	for _, s := range list {
		var more drift.Ways
		switch s.el.Name {
		case "validate-jwt", "validate-azure-ad-token":
			more = drift.Ways{{Needs: []drift.Requirement{r.jwt(s)}}}
		case "validate-client-certificate":
			more = r.clientCert(s)
		case "check-header":
			more = r.checkHeader(s)
		case "include-fragment":
			more = nil
		case "return-response":
			return w, true, r.status(s)
		case "choose":
			var stop bool
			more, stop = r.choose(s, depth)
			if stop {
				return w, true, "choose"
			}
		case "wait", "retry", "limit-concurrency":
			if depth < 16 {
				more, _, _ = r.ways(children(s), depth+1)
			}
		}
		out, ok := w.Times(more)
		if !ok {
			r.Doubt(s.origin(), "too many combinations of ways to authenticate")
		}
		w = out
	}
	return w, false, ""
}

func children(s statement) []statement {
	var out []statement
	for _, el := range s.el.Children {
		out = append(out, statement{el, s.doc, s.scope, s.own})
	}
	return out
}

func (r *reader) body(s statement, el *source.Element) []statement {
	var out []statement
	for _, c := range el.Children {
		out = append(out, r.expand(statement{c, s.doc, s.scope, s.own}, 0)...)
	}
	return out
}

func (r *reader) status(s statement) string {
	code, _ := s.el.Child("set-status").Attr("code")
	return s.doc.restore(code)
}

// choose makes a way of each branch. A branch that refuses is none; its condition is then something that the caller has to meet, in code.
// stop says that every branch answers by itself.
func (r *reader) choose(s statement, depth int) (w drift.Ways, stop bool) {
	if depth >= 16 {
		return nil, false
	}
	var code []drift.Requirement
	demands, otherwise, all := false, false, true
	var texts []string
	for _, b := range s.el.Children {
		if b.Name != "when" && b.Name != "otherwise" {
			continue
		}
		cond, _ := b.Attr("condition")
		text := s.doc.restore(cond)
		if b.Name == "otherwise" {
			otherwise = true
			text = "none of: " + strings.Join(texts, "; ")
		} else {
			texts = append(texts, text)
		}
		c := &drift.Condition{Text: drift.Shown(text), Client: clientSide.MatchString(text), Origin: b.Origin(s.scope)}
		ways, answers, status := r.ways(r.body(s, b), depth+1)
		if answers && (strings.HasPrefix(status, "4") || strings.HasPrefix(status, "3") || strings.HasPrefix(status, "5")) {
			code = append(code, drift.Requirement{Kind: drift.CustomCode, Name: "condition " + drift.Hash(text), Origin: b.Origin(s.scope), Forward: drift.ByDefault(true),
				External: &drift.External{URL: drift.ByDefault(""), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}})
			continue
		}
		all = all && answers
		if len(ways) > 0 {
			demands = true
		} else {
			ways = drift.Ways{{}}
		}
		for _, way := range ways {
			way.When = joined(way.When, c)
			w = append(w, way)
		}
	}
	if !otherwise {
		all = false
		if demands {
			text := "none of: " + strings.Join(texts, "; ")
			w = append(w, drift.Way{When: &drift.Condition{Text: drift.Shown(text), Client: clientSide.MatchString(text), Origin: s.origin()}})
		}
	}
	if !demands {
		w = nil
	}
	if len(code) > 0 && !all {
		w = w.And(code...)
	}
	return w, all && otherwise
}

func joined(a, b *drift.Condition) *drift.Condition {
	if a == nil || a.Text == "" {
		return b
	}
	return &drift.Condition{Text: drift.Shown(string(b.Text) + " and " + string(a.Text)), Client: a.Client || b.Client, Origin: a.Origin}
}

func (r *reader) jwt(s statement) drift.Requirement {
	el := s.el
	j := &drift.JWT{
		Signed: attr(r, s, el, "require-signed-tokens", true, asBool), Expires: attr(r, s, el, "require-expiration-time", true, asBool),
		Skew: attr(r, s, el, "clock-skew", int64(0), asInt), Longest: drift.ByDefault(int64(0)), Audiences: r.texts(s, el, "audiences", "audience"),
		Static: drift.ByDefault(false), Keys: drift.ByDefault([]string(nil)), Claims: r.claims(s, el),
	}
	var sources []string
	for _, a := range []struct{ name, prefix, def string }{{"header-name", "header:", ""}, {"query-parameter-name", "query:", ""}, {"token-value", "value:", ""}} {
		if v, ok := el.Attr(a.name); ok {
			if a.name == "token-value" {
				v = "expression"
			}
			sources = append(sources, a.prefix+strings.ToLower(s.doc.restore(v)))
		}
	}
	if el.Name == "validate-azure-ad-token" {
		r.entra(s, j, sources)
		return drift.Requirement{Kind: drift.JWTProof, Name: el.Name, Origin: s.origin(), Forward: drift.ByDefault(true), JWT: j}
	}
	j.Sources = stated(s, sources, s.origin())
	j.Issuers = r.texts(s, el, "issuers", "issuer")
	algs := map[string]bool{}
	var urls, derived []string
	j.Keys = drift.ByDefault(urls)
	for _, c := range el.All("openid-config") {
		raw, _ := c.Attr("url")
		l := leafOf(r, s, c, raw, asText)
		if !l.Known() {
			j.Keys = drift.Leaf[[]string]{State: l.State, Origin: l.Origin, Cause: l.Cause}
			break
		}
		urls = append(urls, l.Value)
		derived = append(derived, strings.TrimSuffix(l.Value, "/.well-known/openid-configuration"))
		r.env.Refer("issuer", l.Value, l.Origin)
		j.Keys = stated(s, urls, c.Origin(s.scope))
	}
	if len(el.All("openid-config")) > 0 {
		algs["RS256"] = true
		if el.Child("issuers") == nil { // the metadata's issuer is the one that is accepted
			j.Issuers = drift.Leaf[[]string]{Value: derived, State: drift.Default, Origin: j.Keys.Origin}
			if !j.Keys.Known() {
				j.Issuers = drift.Leaf[[]string]{State: j.Keys.State, Origin: j.Keys.Origin, Cause: j.Keys.Cause}
			}
		}
	}
	for _, k := range el.Child("issuer-signing-keys").All("key") {
		j.Static = stated(s, true, k.Origin(s.scope))
		if _, ok := k.Attr("certificate-id"); ok {
			algs["RS256"] = true
			continue
		}
		algs["HS256"] = true
		if t := strings.TrimSpace(s.doc.restore(k.Text)); t != "" && !namedValue.MatchString(t) && !isExpr(t) {
			r.literal("signing key in validate-jwt", k.Origin(s.scope))
		}
	}
	j.Algorithms = drift.ByDefault(keys(algs))
	j.Algorithms.Origin = s.origin()
	return drift.Requirement{Kind: drift.JWTProof, Name: el.Name, Origin: s.origin(), Forward: drift.ByDefault(true), JWT: j}
}

func keys(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return drift.Sorted(out)
}

// entra: the tenant is the issuer, the metadata and the algorithms are Entra's.
func (r *reader) entra(s statement, j *drift.JWT, sources []string) {
	if len(sources) == 0 {
		sources = []string{"header:authorization"}
	}
	j.Sources = stated(s, sources, s.origin())
	tenant := attr(r, s, s.el, "tenant-id", "", asText)
	list := func(suffix string) drift.Leaf[[]string] {
		l := drift.Leaf[[]string]{State: tenant.State, Origin: tenant.Origin, Cause: tenant.Cause}
		if tenant.Known() {
			l.Value = []string{"https://login.microsoftonline.com/" + tenant.Value + suffix}
		}
		return l
	}
	j.Issuers, j.Keys = list("/v2.0"), list("/v2.0/.well-known/openid-configuration")
	j.Algorithms = drift.ByDefault([]string{"RS256"})
	ids := r.texts(s, s.el, "client-application-ids", "application-id")
	switch {
	case ids.Known() && len(ids.Value) > 0 && j.Claims.Definite():
		j.Claims = stated(s, append(j.Claims.Value, drift.Claim{Name: "azp", Values: ids.Value}), ids.Origin)
	case !ids.Definite():
		j.Claims = drift.Leaf[[]drift.Claim]{State: ids.State, Origin: ids.Origin, Cause: ids.Cause}
	}
}

func (r *reader) claims(s statement, el *source.Element) drift.Leaf[[]drift.Claim] {
	rc := el.Child("required-claims")
	if rc == nil {
		l := drift.ByDefault([]drift.Claim(nil))
		l.Origin = el.Origin(s.scope)
		return l
	}
	var out []drift.Claim
	for _, c := range rc.All("claim") {
		name, _ := c.Attr("name")
		match, ok := c.Attr("match")
		claim := drift.Claim{Name: s.doc.restore(name), All: !ok || strings.EqualFold(match, "all")}
		for _, v := range c.All("value") {
			text, cause, expr := r.value(s.doc, v.Text, v.Origin(s.scope))
			if expr {
				return drift.DependsOn[[]drift.Claim](nil, "expression", v.Origin(s.scope))
			}
			if cause != "" {
				return drift.Unknown[[]drift.Claim](cause, v.Origin(s.scope))
			}
			claim.Values = append(claim.Values, drift.Mask(text))
		}
		if len(claim.Values) < 2 {
			claim.All = false // one value: all and any are the same
		}
		out = append(out, claim)
	}
	return stated(s, out, rc.Origin(s.scope))
}

func (r *reader) clientCert(s statement) drift.Ways {
	m := &drift.MTLS{CAs: drift.ByDefault([]string(nil)), Header: drift.ByDefault("")}
	var pins, cas []string
	list := s.el.Child("identities")
	for _, id := range list.All("identity") {
		for _, a := range id.Attrs {
			v := s.doc.restore(a.Value)
			if a.Name.Local == "issuer-certificate-id" {
				cas = append(cas, v)
			}
			pins = append(pins, a.Name.Local+"="+drift.Mask(v))
		}
	}
	m.Pins = stated(s, pins, s.origin())
	if len(cas) > 0 {
		m.CAs = stated(s, cas, s.origin())
	}
	n := drift.Requirement{Kind: drift.MTLSProof, Name: s.el.Name, Origin: s.origin(), Forward: drift.ByDefault(false), MTLS: m}
	if ignore := attr(r, s, s.el, "ignore-error", false, asBool); ignore.Known() && ignore.Value {
		return drift.Ways{{Needs: []drift.Requirement{n}}, {}} // an error is written down and the call goes on
	}
	return drift.Ways{{Needs: []drift.Requirement{n}}}
}

// checkHeader is a shared secret when the header's name or value says so, and the proof of the edge for Front Door's own header.
func (r *reader) checkHeader(s statement) drift.Ways {
	name, _ := s.el.Attr("name")
	name = s.doc.restore(name)
	if strings.EqualFold(name, "X-Azure-FDID") {
		r.edge = stated(s, true, s.origin())
		return nil
	}
	secret := drift.SecretName(name)
	for _, v := range s.el.All("value") {
		_, cause, _ := r.value(s.doc, v.Text, v.Origin(s.scope))
		secret = secret || strings.Contains(cause, "is secret")
	}
	if !secret {
		return nil
	}
	return drift.Ways{{Needs: []drift.Requirement{{Kind: drift.KeyProof, Name: s.el.Name, Origin: s.origin(), Forward: drift.ByDefault(true),
		Key: &drift.APIKey{In: stated(s, []string{"header"}, s.origin()), Names: stated(s, []string{strings.ToLower(name)}, s.origin())}}}}}
}

func (r *reader) literal(what string, o drift.Origin) {
	l := drift.Literal{What: what, Origin: o}
	for _, old := range r.env.Literals {
		if old == l {
			return
		}
	}
	r.env.Literals = append(r.env.Literals, l)
}
