package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// auth carries over what callers must prove and what they need. It returns why the operation must be left out, or "".
func (w *writer) auth(o *drift.Operation, p *drift.Policy, out *operation) string {
	ways := p.Auth.Ways
	switch {
	case !ways.Known():
		return "what it asks of callers is not known: " + ways.Cause
	case p.Auth.Fallback.Or(true) || p.Auth.Optional.Or(true):
		return "callers may stay unknown, and a manifest has no such half-open door"
	case ways.Value.Open():
		if len(p.Access.Rules.Value) > 0 || !p.Access.Rules.Definite() || p.Access.Default.Or("allow") != "allow" {
			return "nobody is identified, and yet there is a rule of who may call"
		}
		for _, r := range ways.Value.All() {
			if !r.Metering {
				return "it lets callers in by " + r.String() + " alone, which a manifest does not know"
			}
			w.lose(o, "a key that counts its callers and proves nothing", "Gatehouse counts applications that have proven themselves", "auth.ways")
		}
		out.policies = append(out.policies, "anonymous")
		return ""
	}
	method, why := w.ways(o, ways.Value, out)
	if why != "" {
		return why
	}
	out.policies = append(out.policies, method)
	return w.access(o, p, out)
}

// ways writes the ways in as one policy: one method, any of several, or all of several.
func (w *writer) ways(o *drift.Operation, ways drift.Ways, out *operation) (any, string) {
	var choices []patch.Map
	together := 0
	for _, way := range ways {
		if way.When != nil {
			return nil, "what it asks of callers depends on " + drift.Mask(string(way.When.Text))
		}
		var methods []patch.Map
		for i := range way.Needs {
			r := &way.Needs[i]
			if r.Metering {
				continue // no proof, as the vendor says
			}
			m, why := w.method(o, r, out)
			if why != "" {
				return nil, why
			}
			switch i := slices.IndexFunc(methods, func(n patch.Map) bool { return n[0].Key == m[0].Key }); {
			case i < 0:
				methods = append(methods, m)
			case fmt.Sprint(methods[i]) != fmt.Sprint(m):
				return nil, "it asks for two proofs of one kind at once, and a manifest has one of each method"
			}
		}
		if len(methods) == 0 {
			return nil, "one of its ways in asks for no proof"
		}
		if len(methods) > 1 {
			together++
			choices = methods
			continue
		}
		switch i := slices.IndexFunc(choices, func(n patch.Map) bool { return n[0].Key == methods[0][0].Key }); {
		case together > 0:
		case i < 0:
			choices = append(choices, methods[0])
		case methods[0][0].Key == "workload_identity":
			choices[i] = joined(choices[i], methods[0])
		case fmt.Sprint(choices[i]) != fmt.Sprint(methods[0]):
			w.lose(o, "a second "+methods[0][0].Key, "a manifest has one of each method: the first is carried over", "auth.ways", "auth.in_query")
		}
	}
	switch {
	case together > 0 && len(ways) > 1:
		return nil, "it asks for " + ways.String() + ", and a manifest has any of several methods or all of them"
	case len(choices) == 1:
		if len(choices[0][0].Value.(patch.Map)) == 0 {
			return choices[0][0].Key, ""
		}
		return choices[0], ""
	}
	var list patch.List
	for _, m := range choices {
		list = append(list, m)
	}
	name := "any_of"
	if together > 0 {
		name = "all_of"
	}
	return one(name, patch.Map{{Key: "methods", Value: list}}), ""
}

// joined is one method that takes the tokens of the issuers of both.
func joined(a, b patch.Map) patch.Map {
	var names patch.List
	for _, m := range []patch.Map{a, b} {
		settings, _ := m[0].Value.(patch.Map)
		list, _ := settings[0].Value.(patch.List)
		for _, n := range list {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return one("workload_identity", patch.Map{{Key: "issuers", Value: names}})
}

// method writes one demand. Keys, clients and certificates are issued anew: none is copied.
func (w *writer) method(o *drift.Operation, r *drift.Requirement, out *operation) (patch.Map, string) {
	add := func(kind string) {
		if !slices.Contains(out.credentials, kind) {
			out.credentials = append(out.credentials, kind)
		}
	}
	const forwarded = "Gatehouse never passes a credential on: the upstream learns who calls from the fields that the gateway sets"
	if r.Forward.Or(false) {
		w.lose(o, "the credential at the upstream", forwarded, "auth.forward")
	}
	switch r.Kind {
	case drift.KeyProof:
		if r.Key == nil || !r.Key.In.Known() || !r.Key.Names.Known() || len(r.Key.Names.Value) == 0 || !slices.Contains(r.Key.In.Value, "header") {
			return nil, "where the key is sent is not known, or not in a header"
		}
		header := r.Key.Names.Value[0]
		var settings patch.Map
		switch l := strings.ToLower(header); {
		case l == "authorization":
			settings = patch.Map{{Key: "bearer", Value: true}}
		case own(l) != "" || slices.Contains([]string{"cookie", "origin", "accept", "content-type", "content-encoding", "user-agent", "range", "if-match", "if-none-match"}, l) || !token.MatchString(header):
			return nil, "its key is sent in " + drift.Mask(header) + ", which has another meaning"
		default:
			settings = patch.Map{{Key: "header", Value: header}}
		}
		if len(r.Key.In.Value) > 1 || len(r.Key.Names.Value) > 1 {
			w.lose(o, "keys elsewhere than in one header", "Gatehouse reads no key from the address or the body, and from one field alone", "auth.in_query")
		}
		w.lose(o, "the keys themselves", "keys are not copied; issue new ones to each application")
		add("api_key")
		return one("api_key", settings), ""
	case drift.JWTProof:
		if names := w.trusts(r.JWT); len(names) > 0 {
			w.workloads(o, r.JWT)
			out.issuers = append(out.issuers, names...)
			add("workload_identity")
			return one("workload_identity", patch.Map{{Key: "issuers", Value: patch.Strings(names)}}), ""
		}
		w.tokens(o, r.JWT)
		add("oauth_client")
		return one("oauth", patch.Map{}), ""
	case drift.MTLSProof:
		if r.MTLS != nil && r.MTLS.Header.Or("?") != "" {
			return nil, "the caller's certificate is taken from a header field, and Gatehouse takes it from the connection alone"
		}
		w.lose(o, "the callers' certificates", "each application enrols its own; set gateway.tls.clients of the start-up configuration, so that the listener asks for them", "auth.mtls.ca_refs", "auth.mtls.pins", "tls.client_auth", "tls.ca_refs", "tls.pins")
		add("client_certificate")
		return one("client_certificate", patch.Map{}), ""
	}
	return nil, "it asks for " + r.String() + ", which a manifest does not know"
}

var token = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)

// tokens says what becomes of the tokens of another issuer: the gateways of an environment take those of its own issuer alone, which
// are for one API, of five minutes, signed with ES256, and looked up at every call.
func (w *writer) tokens(o *drift.Operation, j *drift.JWT) {
	const why = "the environment issues the tokens of applications itself: register each as an OAuth client; tokens of people are not taken"
	w.lose(o, "tokens of another issuer", why, "auth.jwt.issuers", "auth.jwt.audiences", "auth.jwt.keys", "auth.jwt.static_keys", "auth.jwt.algs", "auth.jwt.require_signed", "auth.jwt.require_exp", "auth.jwt.clock_skew_s", "auth.jwt.max_lifetime_s", "auth.jwt.sources")
	w.elsewhere(o, j)
}

// workloads says what becomes of the tokens of an issuer that the manifest trusts as the environment did: of the same issuer, for the
// same audience, they prove the application that is bound to who they name.
func (w *writer) workloads(o *drift.Operation, j *drift.JWT) {
	w.lose(o, "who may call with a token", "each application is bound to the workload that its tokens name (the client of Entra, the subject of others); tokens of people, and of whom no application is bound to, are refused",
		"auth.jwt.require_exp", "auth.jwt.clock_skew_s", "auth.jwt.max_lifetime_s", "auth.jwt.sources")
	if len(j.Algorithms.Or(nil)) == 0 {
		w.lose(o, "algorithms that are not named", "a manifest takes RS256 and ES256 where none are named", "auth.jwt.algs")
	}
	w.elsewhere(o, j)
}

func (w *writer) elsewhere(o *drift.Operation, j *drift.JWT) {
	if j != nil && j.Sources.Known() && (len(j.Sources.Value) > 1 || len(j.Sources.Value) == 1 && !strings.EqualFold(j.Sources.Value[0], "header:authorization")) {
		w.lose(o, "tokens elsewhere than in Authorization", "Gatehouse reads them there alone", "auth.in_query", "auth.jwt.sources")
	}
}

// access carries over who, once known, may call: by grants. It returns why that cannot be done, or "".
func (w *writer) access(o *drift.Operation, p *drift.Policy, out *operation) string {
	demands := p.Lifecycle.Subscription.Or(false)
	if !p.Access.Rules.Known() {
		return "who may call is not known: " + p.Access.Rules.Cause
	}
	for _, r := range p.Access.Rules.Value {
		switch {
		case r.Effect != "allow":
			return "somebody is kept out by name, and a manifest names who is let in"
		case len(r.Methods) > 0 && !slices.Contains(r.Methods, o.Key.Method):
			continue
		}
		demands = true
		w.lose(o, "groups and names of who may call", "they become grants: each application asks for the product and is approved", "authz")
	}
	if p.Access.Default.Or("allow") == "deny" {
		demands = true
		w.lose(o, "that nobody may call who is not named", "it becomes a grant: each application asks for the product and is approved", "authz")
	}
	for _, r := range p.Auth.Ways.Value.All() {
		if r.JWT == nil {
			continue
		}
		if !r.JWT.Claims.Definite() {
			return "which claims it asks for is not known: " + r.JWT.Claims.Cause
		}
		for _, c := range r.JWT.Claims.Value {
			demands = true
			w.claim(o, c, out)
		}
	}
	if demands {
		out.granted = true
		out.policies = append(out.policies, "grant")
		w.lose(o, "subscriptions and their approval", "they become grants: each application asks for the product, and one approver decides", "lifecycle.subscription_required", "lifecycle.approval_required", "authz")
		return ""
	}
	out.policies = append(out.policies, one("no_grant", patch.Map{{Key: "reason", Value: "Adopted as it was: every known application may call."}}))
	return ""
}

var scope = regexp.MustCompile(`^[A-Za-z0-9!#$&'()*+,./:;<=>?@\[\]^_{|}~-]{1,100}$`)

// claim carries a demanded claim over: as scopes of the grant where it names them, else the grant itself stands for it.
func (w *writer) claim(o *drift.Operation, c drift.Claim, out *operation) {
	switch strings.ToLower(c.Name) {
	case "scope", "scp", "scopes", "roles":
		if (c.All || len(c.Values) == 1) && !slices.ContainsFunc(c.Values, func(s string) bool { return !scope.MatchString(s) || drift.Mask(s) != s }) {
			for _, s := range c.Values {
				if !slices.Contains(out.scopes, s) {
					out.scopes = append(out.scopes, s)
				}
			}
			w.lose(o, "the claim "+drift.Mask(c.Name), "its values become scopes of the grant", "authz")
			return
		}
	}
	w.lose(o, "the claim "+drift.Mask(c.Name), "a grant stands in its place: who approves it looks at what the claim said", "authz")
}
