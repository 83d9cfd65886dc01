package aws

import (
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// events calls f for every event of a function or state machine that opens a path.
func (t *template) events(f func(fn string, res, ev *source.Node)) {
	t.doc.Get("Resources").Each(func(id string, n *source.Node) {
		switch n.Get("Type").Str() {
		case "AWS::Serverless::Function", "AWS::Serverless::StateMachine":
			n.Get("Properties", "Events").Each(func(_ string, ev *source.Node) {
				if k := ev.Get("Type").Str(); k == "Api" || k == "HttpApi" {
					f(id, n, ev)
				}
			})
		}
	})
}

// implicit adds the APIs that SAM makes when an event names none.
func (t *template) implicit(mine []*api) []*api {
	t.events(func(_ string, _, ev *source.Node) {
		a := &api{id: "ServerlessRestApi", sam: true, tpl: t, node: ev, props: t.doc.Get("Globals", "Api"), schemes: map[string]*scheme{}}
		at := ev.Get("Properties", "RestApiId")
		if ev.Get("Type").Str() == "HttpApi" {
			a.id, a.kind, a.props, at = "ServerlessHttpApi", http, t.doc.Get("Globals", "HttpApi"), ev.Get("Properties", "ApiId")
		}
		if at.Absent() && !slices.ContainsFunc(mine, func(o *api) bool { return o.id == a.id }) {
			mine = append(mine, a)
		}
	})
	return mine
}

// serverless completes a SAM API: its authorizers, the operations that functions add, what it demands by default, its stage and domain.
func (t *template) serverless(a *api) {
	auth := a.props.Get("Auth")
	a.authorizers(auth)
	a.stages = append(a.stages, &stage{node: a.node, props: a.props})
	if a.kind == websocket {
		t.sockets(a, auth)
	} else {
		t.functions(a)
		a.defaults(auth)
	}
	d := a.props.Get("Domain")
	if d != nil {
		a.domains = append(a.domains, t.bases(&domain{node: d, host: d.Get("DomainName"), tls: d.Get("SecurityPolicy"), mtls: d.Get("MutualTlsAuthentication"), cert: d.Get("CertificateArn")},
			first(d, "BasePath", "ApiMappingKey")))
	}
	if plan := auth.Get("UsagePlan"); plan != nil && plan.Get("CreateUsagePlan").Str() != noAuth {
		a.plans = append(a.plans, plan)
	}
}

func (a *api) authorizers(auth *source.Node) {
	list, _ := pick(auth.Get("Authorizers"))
	list.Each(func(name string, n *source.Node) {
		n, _ = pick(n)
		id := n.Get("Identity")
		s := &scheme{name: name, node: n, scopes: a.leafList(n.Get("AuthorizationScopes"), nil)}
		switch {
		case n.Has("UserPoolArn"):
			header := id.Get("Header").Str()
			if header == "" {
				header = "Authorization"
			}
			s.kind, s.jwt = "jwt", token(a.leafList(n.Get("UserPoolArn"), nil), drift.ByDefault([]string(nil)), "header:"+header)
		case n.Has("JwtConfiguration"):
			c := n.Get("JwtConfiguration")
			s.kind, s.jwt = "jwt", token(a.leafList(first(c, "issuer", "Issuer"), nil), a.leafList(first(c, "audience", "Audience"), nil), sources(n.Get("IdentitySource"))...)
		case n.Has("FunctionArn"):
			s.kind = "lambda"
			s.ext = a.external(a.function(n.Get("FunctionArn")), id.Get("ReauthorizeEvery"), a.identity(n, id))
		default:
			s.cause = "the authorizer is of no kind that is known"
		}
		a.schemes[name] = s
	})
	if b, _ := auth.Get("EnableIamAuthorizer").Bool(); a.kind == rest || b {
		a.schemes[iam] = &scheme{name: iam, kind: "iam", node: auth}
	}
}

// identity is what a Lambda authorizer's answers are kept by.
func (a *api) identity(n, id *source.Node) drift.Leaf[[]string] {
	if kind := n.Get("FunctionPayloadType").Str(); a.kind == rest && !strings.EqualFold(kind, "REQUEST") {
		header := id.Get("Header").Str()
		if header == "" {
			header = "Authorization"
		}
		return drift.ByDefault([]string{"header:" + header})
	}
	var out []string
	for _, k := range [][2]string{{"Headers", "header:"}, {"QueryStrings", "query:"}, {"StageVariables", "stageVariables:"}, {"Context", "context:"}} {
		for _, v := range id.Get(k[0]).Strs() {
			out = append(out, k[1]+v)
		}
	}
	if out == nil {
		return drift.ByDefault([]string(nil))
	}
	return drift.Is(drift.Sorted(out), id.Origin(""))
}

// functions adds what events open. A definition that is written by hand is only added to when it says so.
func (t *template) functions(a *api) {
	merge, _ := a.props.Get("MergeDefinitions").Bool()
	byHand := first(a.props, "DefinitionBody", "DefinitionUri") != nil && !merge
	t.events(func(fn string, res, ev *source.Node) {
		p := ev.Get("Properties")
		isHTTP, at := ev.Get("Type").Str() == "HttpApi", p.Get("RestApiId")
		if isHTTP {
			at = p.Get("ApiId")
		}
		if isHTTP != (a.kind == http) {
			return
		}
		if at.Absent() && a.id != "ServerlessRestApi" && a.id != "ServerlessHttpApi" || !at.Absent() && referred(at) != a.id {
			return
		}
		path, method := p.Get("Path").Str(), strings.ToLower(p.Get("Method").Str())
		if isHTTP && path == "" {
			path, method = "$default", "any"
		}
		if method == "*" || method == anyMethod || isHTTP && method == "" {
			method = "any"
		}
		old := a.find(method, path)
		byHand := byHand && !(old != nil && old.oas == nil)
		if old != nil && byHand {
			old.target = fn
		}
		if byHand || path == "" || method == "" {
			return
		}
		o := old
		if o == nil {
			o = &op{method: method, path: path}
			a.put(o)
		}
		o.node, o.target = ev, fn
		if c := res.Get("Condition").Str(); c != "" {
			o.cond = "condition " + c
		}
		a.event(o, p.Get("Auth"), p)
	})
}

// event takes the security that a function's event names.
func (a *api) event(o *op, auth, at *source.Node) {
	o.sec.origin = at.Origin("operation")
	o.policy = auth.Get("ResourcePolicy")
	who, cond := pick(auth.Get("Authorizer"))
	if cond != "" {
		o.sec.cause = cond
	}
	switch name, cause := a.text(who); {
	case cause != "":
		o.sec.cause = cause
	case name == noAuth:
		o.sec.needs, o.sec.named, o.sec.none, o.sec.origin = nil, true, true, who.Origin("operation")
	case name != "":
		o.sec.named = true
		o.sec.needs = []need{{name, a.leafList(auth.Get("AuthorizationScopes"), nil), who.Origin("operation")}}
		if auth.Get("AuthorizationScopes") == nil && a.schemes[name] != nil {
			o.sec.needs[0].scopes = a.schemes[name].scopes
		}
	}
	if k := auth.Get("ApiKeyRequired"); k != nil {
		if b, _ := k.Bool(); b {
			a.schemes["api_key"] = &scheme{name: "api_key", kind: "key", node: k}
			o.sec.needs = append(o.sec.needs, need{"api_key", drift.ByDefault([]string(nil)), k.Origin("operation")})
		} else {
			o.sec.needs = append(o.sec.needs, need{"", drift.ByDefault([]string(nil)), k.Origin("operation")}) // says that it wants no key
		}
	}
}

// defaults applies what the API demands where an operation says nothing, and makes the answers to preflights.
func (a *api) defaults(auth *source.Node) {
	a.preflights()
	who := auth.Get("DefaultAuthorizer")
	name, cause := a.text(who)
	keyed, _ := auth.Get("ApiKeyRequired").Bool()
	asks := func(key string) bool {
		if a.kind == http {
			return false
		}
		b, ok := auth.Get(key).Bool()
		return b || !ok
	}
	for _, o := range a.ops {
		options := o.method == "options"
		authorizer := slices.ContainsFunc(o.sec.needs, func(n need) bool { s := a.schemes[n.name]; return s != nil && s.kind != "key" })
		switch {
		case options && !asks("AddDefaultAuthorizerToCorsPreflight"):
		case o.sec.none:
			o.sec.exempt = name != "" && name != noAuth || cause != ""
		case authorizer:
		case cause != "":
			o.sec.cause = cause
		case name == "" || name == noAuth:
		default:
			l := drift.ByDefault([]string(nil))
			if s := a.schemes[name]; s != nil {
				l = s.scopes
			}
			o.sec.needs, o.sec.wide = append(o.sec.needs, need{name, l, who.Origin("api")}), !o.sec.named
			o.sec.origin = who.Origin("api")
		}
		refuses := slices.ContainsFunc(o.sec.needs, func(n need) bool { return n.name == "" })
		o.sec.needs = slices.DeleteFunc(o.sec.needs, func(n need) bool { return n.name == "" })
		has := slices.ContainsFunc(o.sec.needs, func(n need) bool { s := a.schemes[n.name]; return s != nil && s.kind == "key" })
		if keyed && !has && !refuses && !(options && !asks("AddApiKeyRequiredToCorsPreflight")) {
			k := auth.Get("ApiKeyRequired")
			a.schemes["api_key"] = &scheme{name: "api_key", kind: "key", node: k}
			o.sec.needs = append(o.sec.needs, need{"api_key", drift.ByDefault([]string(nil)), k.Origin("api")})
		}
	}
}

// preflights adds the OPTIONS method that SAM makes for each path of a REST API with CORS.
func (a *api) preflights() {
	cors := a.props.Get("Cors")
	if a.kind != rest || cors.Absent() || noValue(cors) {
		return
	}
	for _, o := range slices.Clone(a.ops) {
		if a.find("options", o.path) == nil {
			a.put(&op{method: "options", path: o.path, made: true, node: cors, sec: security{origin: cors.Origin("api")}, cond: o.cond})
		}
	}
}

// sockets reads the routes of a WebSocket API. Who calls is asked when the connection is opened, and never again.
func (t *template) sockets(a *api, auth *source.Node) {
	a.props.Get("Routes").Each(func(key string, n *source.Node) {
		o := &op{method: "any", path: key, node: n, target: referred(n.Get("FunctionArn")), sec: security{origin: n.Origin("operation")}}
		if key == "$connect" {
			kind, cause := t.text(auth.Get("AuthType"))
			o.sec.cause = cause
			switch strings.ToUpper(kind) {
			case "":
			case noAuth:
				o.sec.none, o.sec.named = true, true
			case iam:
				a.schemes[iam] = &scheme{name: iam, kind: "iam", node: auth}
				o.sec.needs = []need{{iam, drift.ByDefault([]string(nil)), auth.Origin("api")}}
			default:
				l := a.leafList(auth.Get("IdentitySource"), nil)
				l.Value = sources(auth.Get("IdentitySource"))
				a.schemes["$connect"] = &scheme{name: a.id + "ConnectAuthorizer", kind: "lambda", node: auth, ext: a.external(a.function(auth.Get("AuthArn")), nil, l)}
				o.sec.needs = []need{{"$connect", drift.ByDefault([]string(nil)), auth.Origin("api")}}
			}
		}
		a.put(o)
	})
}
