package aws

import (
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

const (
	anyMethod   = "x-amazon-apigateway-any-method"
	integration = "x-amazon-apigateway-integration"
	noAuth      = "NONE" // SAM's word for an open method
	iam         = "AWS_IAM"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", anyMethod}

// security is what an operation declares.
type security struct {
	needs  []need
	named  bool // an authorizer, or the word NONE, is written at the operation
	none   bool // opened by name
	exempt bool // opened although the API has a default
	wide   bool // written for the whole API
	origin drift.Origin
	cause  string // why it is not known
}

type need struct {
	name   string
	scopes drift.Leaf[[]string]
	origin drift.Origin
}

// paths reads the operations of the API's OpenAPI document.
func (r *reader) paths(a *api) {
	a.schemes = map[string]*scheme{}
	schemes := a.body.Get("components", "securitySchemes")
	if schemes == nil {
		schemes = a.body.Get("securityDefinitions")
	}
	schemes.Each(func(name string, n *source.Node) {
		n, _ = pick(n)
		a.schemes[name] = a.schemeOf(name, n)
	})
	paths, outer := pick(a.body.Get("paths"))
	paths.Each(func(p string, item *source.Node) {
		item, cond := pick(item)
		if cond == "" {
			cond = outer
		}
		if ref := item.Get("$ref").Str(); ref != "" {
			r.gap("path item", ref, item)
		}
		item.Each(func(m string, n *source.Node) {
			low := strings.ToLower(m)
			if !slices.Contains(methods, low) {
				return
			}
			n, c := pick(n)
			if c == "" {
				c = cond
			}
			if n == nil || n.Kind != source.Map && !(a.sam && n.Kind == source.Null) {
				return
			}
			if low == anyMethod {
				low = "any"
			}
			o := &op{method: low, path: p, node: n, oas: n, sec: a.declared(n), cond: c}
			if n.Kind == source.Null {
				o.oas = nil // SAM fills it in from an event
			}
			a.put(o)
		})
	})
}

// declared reads the security of an operation. Where it has none, the document's own is not applied by every way of import, so that
// what comes of it is not known.
func (a *api) declared(n *source.Node) security {
	list := n.Get("security")
	s := security{origin: n.Origin("operation")}
	if list == nil {
		if root := a.body.Get("security"); len(root.Items()) > 0 {
			s.cause, s.wide, s.origin = "security is written for the whole document, which API Gateway does not apply for certain", true, root.Origin("api")
		}
		return s
	}
	s.origin, s.named = list.Origin("operation"), true
	if name, arg := function(list); name != "" {
		s.cause = name + " " + arg.Str()
		return s
	}
	if list.Kind != source.List && list.Kind != source.Map {
		s.cause = "security is not a list"
		return s
	}
	for _, alt := range items(list) {
		alt.Each(func(name string, scopes *source.Node) {
			if name == noAuth {
				s.none = true
				return
			}
			s.needs = append(s.needs, need{name, a.leafList(scopes, nil), alt.Origin("operation")})
		})
	}
	s.none = s.none && len(s.needs) == 0
	return s
}

// preflight reports whether the operation only answers browsers that ask whether another may be called; it is shown as CORS.
func (o *op) preflight() bool {
	if o.method != "options" {
		return false
	}
	return o.made || strings.EqualFold(first(o.integration(), "type", "Type").Str(), "mock")
}

// integration is what the operation calls, where it is written out.
func (o *op) integration() *source.Node {
	n := o.oas.Get(integration)
	if n == nil {
		n = o.node.Get("Properties", "Integration")
	}
	n, _ = pick(n)
	return n
}

// scheme is one authorizer, or one key.
type scheme struct {
	name   string
	kind   string // jwt, lambda, iam, key, "" for what API Gateway does not apply
	node   *source.Node
	jwt    drift.JWT
	ext    drift.External
	scopes drift.Leaf[[]string] // demanded where an operation names none
	cause  string
	used   bool
}

func (a *api) schemeOf(name string, n *source.Node) *scheme {
	s := &scheme{name: name, node: n, scopes: drift.ByDefault([]string(nil))}
	x, _ := pick(n.Get("x-amazon-apigateway-authorizer"))
	authtype := strings.ToLower(n.Get("x-amazon-apigateway-authtype").Str())
	if fn, arg := function(n); fn != "" {
		s.cause = fn + " " + arg.Str()
		return s
	}
	switch kind := strings.ToLower(x.Get("type").Str()); {
	case authtype == "awssigv4":
		s.kind = "iam"
	case kind == "cognito_user_pools":
		s.kind = "jwt"
		s.jwt = token(a.leafList(first(x, "providerARNs", "providerArns"), nil), drift.ByDefault([]string(nil)), "header:"+n.Get("name").Str())
	case kind == "jwt":
		s.kind = "jwt"
		c := x.Get("jwtConfiguration")
		s.jwt = token(a.leafList(c.Get("issuer"), nil), a.leafList(c.Get("audience"), nil), sources(x.Get("identitySource"))...)
	case kind == "token" || kind == "request" || x != nil:
		s.kind = "lambda"
		src := first(x, "identitySource")
		key := drift.Leaf[[]string]{}
		if src == nil && kind == "token" {
			key = drift.ByDefault([]string{"header:" + n.Get("name").Str()})
		} else if key = a.leafList(src, nil); key.State == drift.Set {
			key.Value = sources(src)
		}
		s.ext = a.external(a.function(x.Get("authorizerUri")), x.Get("authorizerResultTtlInSeconds"), key)
	case strings.EqualFold(n.Get("type").Str(), "apiKey") && strings.EqualFold(n.Get("name").Str(), "x-api-key") && a.kind == rest:
		s.kind = "key"
	}
	return s
}

// token is what API Gateway checks of a token: its signature by the issuer's keys, its issuer and its expiry, always.
func token(issuers, audiences drift.Leaf[[]string], from ...string) drift.JWT {
	return drift.JWT{Issuers: issuers, Audiences: audiences, Keys: drift.ByDefault([]string(nil)), Static: drift.ByDefault(false), Algorithms: drift.ByDefault([]string{"RS256"}),
		Signed: drift.ByDefault(true), Expires: drift.ByDefault(true), Skew: drift.ByDefault(int64(0)), Longest: drift.ByDefault(int64(0)),
		Claims: drift.ByDefault([]drift.Claim(nil)), Sources: drift.Leaf[[]string]{Value: from, State: drift.Set}}
}

// external is a Lambda authorizer. One that fails lets nobody in.
func (a *api) external(url drift.Leaf[string], ttl *source.Node, key drift.Leaf[[]string]) drift.External {
	e := drift.External{URL: url, FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(29000)), TTL: a.leafInt(ttl, 300), CacheKey: key}
	if a.kind != rest && ttl.Absent() {
		e.TTL = drift.ByDefault(int64(0))
	}
	return e
}

// sources writes where a credential is taken from in one way, whichever way the source writes it.
func sources(n *source.Node) []string {
	var out []string
	for _, i := range items(n) {
		for _, s := range strings.Split(i.Str(), ",") {
			s = strings.TrimSpace(s)
			s = strings.TrimPrefix(strings.TrimPrefix(s, "$request."), "method.request.")
			s = strings.TrimPrefix(strings.TrimPrefix(s, "route.request."), "$")
			if k, v, ok := strings.Cut(s, "."); ok {
				if k == "querystring" {
					k = "query"
				}
				s = k + ":" + v
			}
			if s != "" {
				out = append(out, drift.Mask(s))
			}
		}
	}
	return drift.Sorted(out)
}
