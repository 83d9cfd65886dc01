package aws

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// lambda finds the function in the address that API Gateway calls functions by.
var lambda = regexp.MustCompile(`functions/(.+?)/invocations`)

// function is the name of a function, however it is written: by a reference, by its ARN, or by the address of its invocation.
func (a *api) function(n *source.Node) drift.Leaf[string] {
	if n == nil {
		return drift.Unknown[string]("no function is named", drift.Origin{})
	}
	n, _ = pick(n)
	name, arg := function(n)
	switch name {
	case "Fn::GetAtt":
		return drift.Is("lambda:"+referred(n), n.Origin(""))
	case "Fn::Sub":
		text, with := arg.Str(), (*source.Node)(nil)
		if list := arg.Items(); len(list) == 2 {
			text, with = list[0].Str(), list[1]
		}
		if m := lambda.FindStringSubmatch(text); m != nil {
			if v := variable.FindStringSubmatch(m[1]); v != nil && v[0] == m[1] {
				if w := with.Get(v[1]); w != nil {
					return a.function(w)
				}
				id, _, _ := strings.Cut(v[1], ".")
				return drift.Is("lambda:"+drift.Mask(id), n.Origin(""))
			}
			return drift.Is("lambda:"+drift.Mask(last(m[1])), n.Origin(""))
		}
		if v := variable.FindAllStringSubmatch(text, -1); len(v) == 1 && v[0][0] == text {
			return drift.Is("lambda:"+drift.Mask(strings.TrimSuffix(v[0][1], ".Arn")), n.Origin(""))
		}
	}
	s, cause := a.text(n)
	if cause != "" {
		return drift.Unknown[string](cause, n.Origin(""))
	}
	if m := lambda.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	if s == "" {
		return drift.Unknown[string]("the address is not text", n.Origin(""))
	}
	return drift.Is("lambda:"+drift.Mask(last(s)), n.Origin(""))
}

// last is what names a function in an ARN: its name, with its alias.
func last(s string) string {
	if _, name, ok := strings.Cut(s, ":function:"); ok {
		return name
	}
	return s
}

// upstream reads the integration: what is called, how, and what is changed on the way.
func (r *reader) upstream(a *api, s *stage, o *op, p *drift.Policy) {
	in := o.integration()
	p.Upstream = drift.Upstream{Verify: drift.ByDefault(true), CAs: drift.ByDefault([]string(nil)), ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: drift.ByDefault("")}
	p.Limits.Read = drift.ByDefault(int64(29000))
	if a.kind == http {
		p.Limits.Read = drift.ByDefault(int64(30000))
	}
	if t := first(in, "timeoutInMillis", "TimeoutInMillis"); t != nil {
		p.Limits.Read = a.leafInt(t, 29000)
	}
	uri := first(in, "uri", "Uri")
	switch kind := strings.ToLower(first(in, "type", "Type").Str()); {
	case o.target != "" && in == nil:
		p.Upstream.URLs = drift.Is([]string{"lambda:" + o.target}, o.node.Origin("operation"))
	case in == nil:
		p.Upstream.URLs = drift.Unknown[[]string]("the integration is not among what could be read", o.node.Origin("operation"))
	case kind == "mock":
		p.Upstream.URLs = drift.ByDefault([]string(nil))
		p.Debug = drift.Is([]string{"mock"}, in.Origin("operation"))
	default:
		p.Upstream.URLs = r.address(a, s, uri, kind)
	}
	for _, u := range p.Upstream.URLs.Value {
		if strings.HasPrefix(u, "http") {
			r.env.Refer("upstream", u, uri.Origin("operation"))
		}
	}
	if t := in.Get("tlsConfig", "insecureSkipVerification"); t != nil {
		p.Upstream.Verify = a.leafBool(t, false)
		p.Upstream.Verify.Value = !p.Upstream.Verify.Value
	}
	if t := first(in, "tlsConfig"); t.Get("serverNameToVerify") != nil {
		p.Upstream.ServerName = a.leafText(t.Get("serverNameToVerify"), "")
	}
	if c := a.body.Get("x-amazon-apigateway-client-certificate-id"); c != nil {
		p.Upstream.ClientCert = a.leafText(c, "")
	} else if c := s.props.Get("ClientCertificateId"); c != nil {
		p.Upstream.ClientCert = a.leafText(c, "")
	}
	r.changes(in, p)
}

// stageVariable is a value of the stage within an address.
var stageVariable = regexp.MustCompile(`\$\{stageVariables\.([A-Za-z0-9_]+)\}`)

func (r *reader) address(a *api, s *stage, uri *source.Node, kind string) drift.Leaf[[]string] {
	l := a.function(uri)
	switch {
	case strings.HasPrefix(kind, "aws") && !l.Known():
		return drift.Unknown[[]string](l.Cause, l.Origin)
	case strings.HasPrefix(kind, "aws"):
		return drift.Is([]string{l.Value}, l.Origin)
	}
	text, cause := a.text(uri)
	if cause != "" {
		return drift.Unknown[[]string](cause, uri.Origin("operation"))
	}
	vars := first(s.props, "Variables", "StageVariables")
	text = stageVariable.ReplaceAllStringFunc(text, func(m string) string {
		v := stageVariable.FindStringSubmatch(m)[1]
		n := vars.Get(v)
		if n == nil {
			cause = "stage variable " + v
			return m
		}
		t, c := a.text(n)
		if c != "" {
			cause = c
		}
		return t
	})
	if scheme, _, ok := strings.Cut(text, "://"); cause != "" && ok && scheme == "http" {
		// Whatever the host is, the call is not encrypted.
		l := drift.DependsOn([]string{drift.Mask(text)}, cause, uri.Origin("operation"))
		return l
	}
	if cause != "" {
		return drift.Unknown[[]string](cause, uri.Origin("operation"))
	}
	if strings.Contains(text, "${") {
		return drift.Unknown[[]string]("a variable in "+text, uri.Origin("operation"))
	}
	return drift.Is([]string{drift.Mask(text)}, uri.Origin("operation"))
}

// changes are the headers, parameters and templates that the integration makes.
func (r *reader) changes(in *source.Node, p *drift.Policy) {
	var list []drift.Transform
	in.Get("requestParameters").Each(func(k string, v *source.Node) {
		name := strings.TrimPrefix(k, "integration.request.")
		target, name, _ := strings.Cut(name, ".")
		op := "set"
		if kind, rest, ok := strings.Cut(target, ":"); ok { // HTTP APIs write overwrite:header.x
			op, target = kind, rest
		}
		if target == "path" && name != "" {
			return // only names the parameter
		}
		if t := v.Str(); drift.SecretName(name) && len(t) > 2 && t[0] == '\'' && t[len(t)-1] == '\'' {
			r.env.Literals = append(r.env.Literals, drift.Literal{What: "value of " + drift.Mask(name), Origin: v.Origin("operation")})
		}
		list = append(list, drift.Transform{Phase: "request", Target: target, Op: op, Name: name, Value: drift.ValueOf(name, v.Str()), Origin: v.Origin("operation")})
	})
	slices.SortStableFunc(list, func(x, y drift.Transform) int { return strings.Compare(x.String(), y.String()) }) // a map: its order means nothing
	if len(list) > 0 {
		p.Transforms = drift.Is(list, in.Origin("operation"))
	}
	var code []drift.Opaque
	in.Get("requestTemplates").Each(func(k string, v *source.Node) {
		text := v.Str()
		code = append(code, drift.Opaque{Kind: "vtl", Name: k, Hash: drift.Hash(text), Code: drift.Shown(text), Origin: v.Origin("operation")})
	})
	if len(code) > 0 && len(p.Debug.Value) == 0 {
		p.Opaque = drift.Is(code, in.Origin("operation"))
	}
}

// cors is what browsers are told. A REST API tells it by its OPTIONS method: when that one demands a proof, browsers, which show none
// there, are told nothing.
func (r *reader) cors(a *api, o *op, p *drift.Policy) {
	none := func() drift.Leaf[[]string] { return drift.ByDefault([]string(nil)) }
	p.CORS = drift.CORS{Enabled: drift.ByDefault(false), Origins: none(), Methods: none(), Headers: none(), Expose: none(), Credentials: drift.ByDefault(false), MaxAge: drift.ByDefault(int64(0))}
	if a.kind == http {
		n := first(a.props, "CorsConfiguration")
		if n == nil {
			n = a.body.Get("x-amazon-apigateway-cors")
		}
		r.told(a, n, p, "llowOrigins", "llowMethods", "llowHeaders", "xposeHeaders", "llowCredentials", "axAge")
		return
	}
	ask := a.find("options", o.path)
	if ask == nil {
		return
	}
	if in := ask.integration(); ask.made {
		r.told(a, a.props.Get("Cors"), p, "llowOrigin", "llowMethods", "llowHeaders", "xposeHeaders", "llowCredentials", "axAge")
	} else if ask.preflight() {
		r.answered(a, in, p)
	} else {
		p.CORS.Enabled = drift.Unknown[bool]("the OPTIONS method is answered by the upstream", ask.node.Origin("operation"))
		return
	}
	if p.CORS.Enabled.Or(false) && slices.ContainsFunc(ask.sec.needs, func(n need) bool { sc := a.schemes[n.name]; return sc == nil || sc.kind != "" }) {
		p.CORS.Enabled = drift.Is(false, ask.sec.origin)
		if o.method != "options" {
			r.Doubt(ask.sec.origin, "browsers show no proof when they ask by OPTIONS, so that CORS does not work on %s", o.path)
		}
	}
}

// told reads CORS that is written as settings.
func (r *reader) told(a *api, n *source.Node, p *drift.Policy, origins, methods, headers, expose, credentials, age string) {
	n, cond := pick(n)
	if cond != "" {
		p.CORS.Enabled = drift.Unknown[bool](cond, n.Origin("api"))
		return
	}
	either := func(name string) *source.Node {
		up, low := map[string]string{"l": "A", "x": "E", "a": "M"}[name[:1]], map[string]string{"l": "a", "x": "e", "a": "m"}[name[:1]]
		return first(n, up+name, low+name)
	}
	b, isBool := n.Bool()
	fn, _ := function(n)
	switch {
	case n.Absent() || isBool && !b:
		return
	case isBool:
		p.CORS.Enabled, p.CORS.Origins = drift.Is(true, n.Origin("api")), drift.Is([]string{"*"}, n.Origin("api"))
		return
	case fn != "" || n.Kind != source.Map:
		p.CORS.Enabled, p.CORS.Origins = drift.Is(true, n.Origin("api")), split(a.leafText(n, ""))
		return
	}
	p.CORS.Enabled = drift.Is(true, n.Origin("api"))
	list := func(name string) drift.Leaf[[]string] {
		v := either(name)
		if v == nil {
			return drift.ByDefault([]string(nil))
		}
		if name, _ := function(v); v.Kind != source.List || name != "" {
			return split(a.leafText(v, ""))
		}
		return a.leafList(v, nil)
	}
	p.CORS.Origins, p.CORS.Methods, p.CORS.Headers, p.CORS.Expose = list(origins), list(methods), list(headers), list(expose)
	if a.kind == rest && either(origins) == nil {
		p.CORS.Origins = drift.ByDefault([]string{"*"})
	}
	p.CORS.Credentials = a.leafBool(either(credentials), false)
	p.CORS.MaxAge = number(a.leafText(either(age), ""))
	for _, v := range p.CORS.Origins.Value {
		r.env.Refer("cors_origin", v, n.Origin("api"))
	}
}

// answered reads CORS that is written as the answer of a mock.
func (r *reader) answered(a *api, in *source.Node, p *drift.Policy) {
	const field = "method.response.header.access-control-"
	each := func(_ string, res *source.Node) {
		first(res, "responseParameters", "ResponseParameters").Each(func(k string, v *source.Node) {
			l := a.leafText(v, "")
			switch strings.TrimPrefix(strings.ToLower(k), field) {
			case "allow-origin":
				p.CORS.Enabled, p.CORS.Origins = drift.Is(true, v.Origin("api")), split(l)
				for _, o := range p.CORS.Origins.Value {
					r.env.Refer("cors_origin", o, v.Origin("api"))
				}
			case "allow-methods":
				p.CORS.Methods = split(l)
			case "allow-headers":
				p.CORS.Headers = split(l)
			case "expose-headers":
				p.CORS.Expose = split(l)
			case "allow-credentials":
				p.CORS.Credentials = drift.Is(strings.Trim(l.Value, "' ") == "true", v.Origin("api"))
			case "max-age":
				p.CORS.MaxAge = number(l)
			}
		})
	}
	in.Get("responses").Each(each)
	for _, res := range in.Get("IntegrationResponses").Items() {
		each("", res)
	}
}

// split takes a list apart that is written as one quoted text.
func split(l drift.Leaf[string]) drift.Leaf[[]string] {
	out := drift.Leaf[[]string]{State: l.State, Origin: l.Origin, Cause: l.Cause}
	for _, s := range strings.Split(strings.Trim(l.Value, "' "), ",") {
		if s = strings.Trim(s, "' "); s != "" {
			out.Value = append(out.Value, s)
		}
	}
	return out
}

func number(l drift.Leaf[string]) drift.Leaf[int64] {
	out := drift.Leaf[int64]{State: l.State, Origin: l.Origin, Cause: l.Cause}
	if l.State == drift.Set {
		i, ok := (&source.Node{Kind: source.String, Text: strings.Trim(l.Value, "' ")}).Int()
		if !ok {
			return drift.Unknown[int64]("not a whole number", l.Origin)
		}
		out.Value = i
	}
	return out
}
