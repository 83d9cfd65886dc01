package aws

import (
	"path"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// template collects the APIs of a template, and what the template puts around them.
func (r *reader) template(doc *source.Node) {
	t := &template{r: r, doc: doc, logs: map[string]*source.Node{}}
	var mine []*api
	doc.Get("Resources").Each(func(id string, n *source.Node) {
		a := &api{id: id, node: n, props: n.Get("Properties"), tpl: t, schemes: map[string]*scheme{}}
		switch n.Get("Type").Str() {
		case "AWS::Serverless::Api":
			a.sam, a.props = true, source.Merged(doc.Get("Globals", "Api"), a.props)
		case "AWS::Serverless::HttpApi":
			a.sam, a.kind, a.props = true, http, source.Merged(doc.Get("Globals", "HttpApi"), a.props)
		case "AWS::Serverless::WebSocketApi":
			a.sam, a.kind, a.props = true, websocket, source.Merged(doc.Get("Globals", "WebSocketApi"), a.props)
		case "AWS::ApiGateway::RestApi":
		case "AWS::ApiGatewayV2::Api":
			a.kind = http
			if strings.EqualFold(a.props.Get("ProtocolType").Str(), "WEBSOCKET") {
				a.kind = websocket
			}
		case "AWS::Logs::LogGroup":
			t.logs[id] = n
			return
		default:
			return
		}
		mine = append(mine, a)
	})
	mine = t.implicit(mine)
	for _, a := range mine {
		r.open(a)
	}
	doc.Get("Resources").Each(func(id string, n *source.Node) { t.around(id, n, mine) })
	for _, a := range mine {
		if a.sam {
			t.serverless(a)
		}
	}
	r.apis = append(r.apis, mine...)
}

// open finds the API's document: in the template, or in the folder.
func (r *reader) open(a *api) {
	body := first(a.props, "DefinitionBody", "Body")
	at := first(a.props, "DefinitionUri", "BodyS3Location")
	if name, arg := function(body); name == "Fn::Transform" {
		at, body = arg.Get("Parameters", "Location"), nil
	}
	body, _ = pick(body)
	if body == nil && at != nil {
		name := strings.TrimPrefix(path.Clean(path.Join(path.Dir(a.node.File), at.Str())), "/")
		if found := r.bodies[name]; found != nil && at.Str() != "" {
			body, r.used[name] = found, true
		} else {
			what := at.Str()
			if what == "" {
				what = at.Canonical()
			}
			r.gap("definition", what, at)
		}
	}
	if a.body = body; body != nil {
		r.paths(a)
	}
}

func called(mine []*api, n *source.Node) *api {
	id := referred(n)
	for _, a := range mine {
		if id != "" && a.id == id {
			return a
		}
	}
	return nil
}

// around takes a resource that belongs to an API: a stage, a domain, a plan, a route.
func (t *template) around(id string, n *source.Node, mine []*api) {
	p := n.Get("Properties")
	a := called(mine, first(p, "RestApiId", "ApiId"))
	switch n.Get("Type").Str() {
	case "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage":
		if a != nil {
			name, _ := t.text(p.Get("StageName"))
			a.stages = append(a.stages, &stage{node: n, props: p, name: name})
		}
	case "AWS::ApiGateway::BasePathMapping", "AWS::ApiGateway::BasePathMappingV2", "AWS::ApiGatewayV2::ApiMapping":
		if a != nil {
			t.mapping(a, p)
		}
	case "AWS::ApiGateway::UsagePlan":
		for _, s := range p.Get("ApiStages").Items() {
			if a := called(mine, s.Get("ApiId")); a != nil {
				a.plans = append(a.plans, p)
			}
		}
	case "AWS::ApiGateway::ApiKey":
		if v := p.Get("Value"); v != nil {
			if s, cause := t.text(v); cause == "" && s != "" {
				t.r.env.Literals = append(t.r.env.Literals, drift.Literal{What: "api key", Origin: v.Origin("")})
			}
		}
	case "AWS::WAFv2::WebACLAssociation", "AWS::WAFRegional::WebACLAssociation":
		arn := p.Get("ResourceArn").Canonical()
		for _, a := range mine {
			if strings.Contains(arn, "/"+a.id) || strings.Contains(arn, `"`+a.id) || strings.Contains(arn, "${"+a.id) {
				acl := referred(first(p, "WebACLArn", "WebACLId"))
				a.waf = append(a.waf, drift.Mask(acl))
			}
		}
	case "AWS::ApiGateway::Method":
		if a != nil {
			t.method(a, n, p)
		}
	case "AWS::ApiGatewayV2::Route":
		if a != nil {
			t.route(a, n, p)
		}
	}
}

func (t *template) resource(n *source.Node) *source.Node { return t.doc.Get("Resources", referred(n)) }

func (t *template) mapping(a *api, p *source.Node) {
	d := t.resource(first(p, "DomainName", "DomainNameArn"))
	if d == nil {
		a.domains = append(a.domains, t.bases(&domain{node: p, host: first(p, "DomainName", "DomainNameArn")}, first(p, "BasePath", "ApiMappingKey")))
		return
	}
	dp := d.Get("Properties")
	conf := dp
	if list := dp.Get("DomainNameConfigurations").Items(); len(list) > 0 {
		conf = list[0]
	}
	a.domains = append(a.domains, t.bases(&domain{node: d, host: dp.Get("DomainName"), tls: conf.Get("SecurityPolicy"), mtls: dp.Get("MutualTlsAuthentication"),
		cert: first(conf, "CertificateArn", "RegionalCertificateArn")}, first(p, "BasePath", "ApiMappingKey")))
}

func (t *template) bases(d *domain, n *source.Node) *domain {
	if n.Absent() {
		d.base = []string{""}
	}
	for _, i := range items(n) {
		if s, cause := t.text(i); cause == "" {
			if s = strings.Trim(s, "/"); s == "(none)" {
				s = ""
			}
			d.base = append(d.base, s)
		}
	}
	return d
}

// method reads a method that is a resource of its own.
func (t *template) method(a *api, n, p *source.Node) {
	where, cause := t.where(p.Get("ResourceId"), 0)
	if cause != "" {
		t.r.Doubt(n.Origin(""), "the path of the method is not known: %s", cause)
		where = "/" + drift.Mask(cause)
	}
	m, _ := t.text(p.Get("HttpMethod"))
	o := &op{method: strings.ToLower(m), path: where, node: n, sec: a.own(t, p, n)}
	if c := n.Get("Condition").Str(); c != "" {
		o.cond = "condition " + c
	}
	if b, _ := p.Get("ApiKeyRequired").Bool(); b {
		o.sec.needs = append(o.sec.needs, need{"api_key", drift.ByDefault([]string(nil)), p.Get("ApiKeyRequired").Origin("operation")})
		a.schemes["api_key"] = &scheme{name: "api_key", kind: "key", node: p.Get("ApiKeyRequired")}
	}
	a.put(o)
}

// where follows the resources of a path up to its root.
func (t *template) where(n *source.Node, depth int) (string, string) {
	if name, arg := function(n); name == "Fn::GetAtt" && strings.HasSuffix(strings.Join(append(arg.Strs(), arg.Str()), "."), "RootResourceId") || strings.Contains(strings.Join(arg.Strs(), "."), "RootResourceId") {
		return "/", ""
	}
	p := t.resource(n).Get("Properties")
	if p == nil || depth > 40 {
		_, cause := t.text(n)
		if cause == "" {
			cause = "resource " + n.Str()
		}
		return "", cause
	}
	up, cause := t.where(p.Get("ParentId"), depth+1)
	if cause != "" {
		return "", cause
	}
	part, cause := t.text(p.Get("PathPart"))
	return drift.Join(up, part), cause
}

// route reads a route of an HTTP or WebSocket API.
func (t *template) route(a *api, n, p *source.Node) {
	key, cause := t.text(p.Get("RouteKey"))
	if cause != "" {
		t.r.Doubt(n.Origin(""), "the key of the route is not known: %s", cause)
		return
	}
	o := &op{method: "any", path: key, node: n, sec: a.own(t, p, n)}
	if m, rest, ok := strings.Cut(key, " "); ok && a.kind == http {
		o.method, o.path = strings.ToLower(m), rest
	}
	a.put(o)
}

// own is the security that a method or route names by its type.
func (a *api) own(t *template, p, n *source.Node) security {
	s := security{origin: n.Origin("operation")}
	kind, cause := t.text(p.Get("AuthorizationType"))
	s.cause, s.named = cause, !p.Get("AuthorizationType").Absent()
	scopes := a.leafList(p.Get("AuthorizationScopes"), nil)
	switch strings.ToUpper(kind) {
	case "", "NONE":
		s.none = s.named
	case iam:
		a.schemes[iam] = &scheme{name: iam, kind: "iam", node: n}
		s.needs = []need{{iam, scopes, s.origin}}
	default:
		name := referred(p.Get("AuthorizerId"))
		if name == "" {
			name = strings.ToLower(kind)
		}
		a.schemes[name] = a.standing(name, kind, t.resource(p.Get("AuthorizerId")), n)
		s.needs = []need{{name, scopes, s.origin}}
	}
	return s
}

// standing is an authorizer that is a resource of its own.
func (a *api) standing(name, kind string, res, at *source.Node) *scheme {
	s := &scheme{name: name, node: res, scopes: drift.ByDefault([]string(nil))}
	p := res.Get("Properties")
	if p == nil {
		s.node, s.cause = at, "the authorizer is not among the files"
		return s
	}
	src := a.leafList(p.Get("IdentitySource"), nil)
	src.Value = sources(p.Get("IdentitySource"))
	switch strings.ToUpper(kind) {
	case "COGNITO_USER_POOLS":
		s.kind, s.jwt = "jwt", token(a.leafList(p.Get("ProviderARNs"), nil), drift.ByDefault([]string(nil)), src.Value...)
	case "JWT":
		c := p.Get("JwtConfiguration")
		s.kind, s.jwt = "jwt", token(a.leafList(c.Get("Issuer"), nil), a.leafList(c.Get("Audience"), nil), src.Value...)
	default:
		s.kind, s.ext = "lambda", a.external(a.function(p.Get("AuthorizerUri")), p.Get("AuthorizerResultTtlInSeconds"), src)
	}
	return s
}
