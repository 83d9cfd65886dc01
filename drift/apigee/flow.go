package apigee

import (
	"path"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// step is one policy that runs, or may run, on the calls of an operation.
type step struct {
	*policy
	when   *drift.Condition // nil: always
	phase  string           // request, response, after (the answer has gone), fault
	target bool             // it runs at the target endpoint
	node   *source.Element
}

// route is where the calls of an operation go.
type route struct {
	name   string
	target *source.Element // nil: nowhere
	url    string
	node   *source.Element
	when   *drift.Condition
}

// run is everything that happens to the calls of one operation on one route.
type run struct {
	*bundle
	proxy   *source.Element
	flow    *source.Element // nil: no conditional flow takes them
	call    call
	route   route
	steps   []step
	missing []string // causes of what could not be read
	base    string
}

func (b *bundle) operations() {
	for _, proxy := range b.proxies {
		base := b.base(proxy)
		if base == "" {
			continue
		}
		caught := false
		for _, flow := range proxy.Child("Flows").All("Flow") {
			c, ok := parseCondition(flow.Child("Condition").Str())
			list, bounded := c.reaches()
			if !ok || !bounded {
				b.Doubt(flow.Origin(b.scope()), "the condition of the flow cannot be read, so that it stands for all of the proxy")
				b.operation(proxy, flow, base, reach{call: call{verb: "*"}, rest: []string{drift.Mask(flow.Child("Condition").Str())}})
				continue
			}
			for _, k := range list {
				b.operation(proxy, flow, base, k)
			}
			if c == nil {
				caught = true // what comes after an unconditional flow is never reached
				break
			}
		}
		if !caught {
			b.operation(proxy, nil, base, reach{call: call{verb: "*"}})
		}
		b.exposure(proxy, base)
	}
}

// base is the path under which the proxy answers; "" when it is not known where.
func (b *bundle) base(proxy *source.Element) string {
	c := proxy.Child("HTTPProxyConnection")
	base := c.Child("BasePath").Str()
	if m := variables.FindStringSubmatch(base); m != nil {
		b.gap("template variable", m[1], c.Child("BasePath").Origin(b.scope()))
		base = strings.TrimRight(variables.ReplaceAllString(base, b.title()), "/")
	}
	if base == "" && c == nil {
		b.Doubt(proxy.Origin(b.scope()), "the proxy endpoint has no connection, so that it answers nowhere")
		return ""
	}
	return drift.Join(base, "")
}

func (b *bundle) operation(proxy, flow *source.Element, base string, k reach) {
	at := flow
	if at == nil {
		at = proxy
	}
	var effective []drift.Effective
	for _, to := range b.routes(proxy, k.call) {
		r := &run{bundle: b, proxy: proxy, flow: flow, call: k.call, route: to, base: base}
		r.gather()
		if r.refused() {
			continue
		}
		class := ""
		if len(effective) > 0 {
			class = "route " + drift.Mask(to.name)
		}
		effective = append(effective, r.classes(class)...)
	}
	if len(effective) == 0 {
		return // every call is refused by a fault
	}
	full, kind := drift.Join(base, k.path), drift.Template
	switch {
	case k.path == "":
		full = drift.Join(base, "**")
	case k.kind == "regex":
		kind, full = drift.Regex, "^"+strings.TrimSuffix(base, "/")+strings.TrimSuffix(strings.TrimPrefix(k.path, "^"), "$")+"$"
	case k.kind == "is":
		kind = drift.Exact
	default:
		full = strings.ReplaceAll(full, "/*/", "/{}/")
	}
	key, m := drift.NewKey(k.verb, kind, full)
	for _, s := range k.rest {
		m.Headers = append(m.Headers, drift.Mask(s))
	}
	name, _ := at.Attr("name")
	b.env.Operations = append(b.env.Operations, drift.Operation{Key: key, Match: m, Name: drift.Mask(name), API: b.scope(), Origin: at.Origin(b.scope()), Effective: effective})
}

// routes are where such calls may go: the first rule that holds, and those before it that may.
func (b *bundle) routes(proxy *source.Element, k call) []route {
	var out []route
	for _, n := range proxy.All("RouteRule") {
		c, ok := parseCondition(n.Child("Condition").Str())
		t := maybe
		if ok {
			t = c.holds(k)
		}
		if t == no {
			continue
		}
		name, _ := n.Attr("name")
		r := route{name: name, node: n, url: n.Child("URL").Str()}
		if id := n.Child("TargetEndpoint").Str(); id != "" {
			if r.target = b.targets[id]; r.target == nil {
				b.gap("target endpoint", id, n.Origin(b.scope()))
				r.url = "missing:" + id
			}
		}
		if t == maybe {
			r.when = &drift.Condition{Text: drift.Shown(n.Child("Condition").Str()), Client: c.client(), Origin: n.Origin(b.scope())}
		}
		out = append(out, r)
		if t == yes {
			break
		}
	}
	if len(out) == 0 {
		return []route{{name: "none", node: proxy}}
	}
	// General traffic takes the route that always holds, which is the last one.
	if last := len(out) - 1; out[last].when == nil {
		out = append([]route{out[last]}, out[:last]...)
	}
	return out
}

// gather lists the steps in the order in which they run.
func (r *run) gather() {
	r.hook("PreProxyFlowHook", "request")
	for _, phase := range []string{"Request", "Response"} {
		for _, at := range []*source.Element{r.proxy.Child("PreFlow"), r.flow, r.proxy.Child("PostFlow")} {
			r.add(at.Child(phase), strings.ToLower(phase), false)
		}
		if r.route.target != nil {
			if phase == "Request" {
				r.hook("PreTargetFlowHook", "request")
			}
			r.add(r.route.target.Child("PreFlow", phase), strings.ToLower(phase), true)
			r.add(r.first(phase), strings.ToLower(phase), true)
			r.add(r.route.target.Child("PostFlow", phase), strings.ToLower(phase), true)
		}
	}
	r.hook("PostProxyFlowHook", "response")
	r.add(r.proxy.Child("PostClientFlow", "Response"), "after", false)
	for _, at := range []*source.Element{r.proxy, r.route.target} {
		r.faults(at.Child("FaultRules"))
		if d := at.Child("DefaultFaultRule"); d != nil {
			r.add(d, "fault", at == r.route.target)
		}
	}
}

func (r *run) faults(rules *source.Element) {
	for _, f := range rules.All("FaultRule") {
		r.add(f, "fault", false)
	}
}

// first are the steps of the target's conditional flows: of the first that holds, or of those that may, each under its condition.
func (r *run) first(phase string) *source.Element {
	for _, f := range r.route.target.Child("Flows").All("Flow") {
		c, ok := parseCondition(f.Child("Condition").Str())
		t := maybe
		if ok {
			t = c.holds(r.call)
		}
		if t == yes {
			return f.Child(phase)
		}
		if t == maybe {
			when := &drift.Condition{Text: drift.Shown(f.Child("Condition").Str()), Client: c.client(), Origin: f.Origin(r.scope())}
			r.steps = append(r.steps, r.under(f.Child(phase), strings.ToLower(phase), true, when, r.bundle, 0)...)
		}
	}
	return nil
}

func (r *run) add(at *source.Element, phase string, target bool) {
	r.steps = append(r.steps, r.under(at, phase, target, nil, r.bundle, 0)...)
}

// under lists the steps within an element, shared flows written out in their place.
func (r *run) under(at *source.Element, phase string, target bool, when *drift.Condition, of *bundle, depth int) []step {
	var out []step
	for _, n := range at.All("Step") {
		name := n.Child("Name").Str()
		c, ok := parseCondition(n.Child("Condition").Str())
		t := maybe
		if ok {
			t = c.holds(r.call)
		}
		if t == no {
			continue
		}
		own := when
		if t == maybe {
			own = &drift.Condition{Text: drift.Shown(n.Child("Condition").Str()), Client: c.client(), Origin: n.Origin(r.scope())}
			if when != nil {
				own = &drift.Condition{Text: drift.Shown(string(when.Text) + " and " + string(own.Text)), Client: own.Client || when.Client, Origin: own.Origin}
			}
		}
		p := of.policies[name]
		if p == nil {
			r.gap("policy", name, n.Origin(of.scope()))
			r.missing = append(r.missing, "policy "+drift.Mask(name)+" is missing")
			continue
		}
		p.used = true
		if p.off() {
			continue
		}
		if p.kind == "FlowCallout" {
			id := p.node.Child("SharedFlowBundle").Str()
			b := r.sharedFlow(id)
			if b == nil || depth > 8 {
				r.gap("shared flow", id, p.origin(nil))
				r.missing = append(r.missing, "shared flow "+drift.Mask(id)+" is missing")
				continue
			}
			out = append(out, r.under(b.flow, phase, target, own, b, depth+1)...)
			continue
		}
		out = append(out, step{policy: p, when: own, phase: phase, target: target, node: n})
	}
	return out
}

// hook runs the shared flow that the environment attaches at a point.
func (r *run) hook(point, phase string) {
	n := r.hooks[point]
	name := n.Get("sharedFlow").Str()
	if name == "" {
		return
	}
	b := r.sharedFlow(name)
	if b == nil {
		r.gap("shared flow", name, n.Origin("flow hook "+point))
		r.missing = append(r.missing, "shared flow "+drift.Mask(name)+" is missing")
		return
	}
	r.steps = append(r.steps, r.under(b.flow, phase, false, nil, b, 1)...)
}

// refused reports whether a fault answers every call, so that there is no operation.
func (r *run) refused() bool {
	for _, s := range r.steps {
		if s.phase == "request" && s.kind == "RaiseFault" && s.when == nil && !s.advisory() {
			return true
		}
	}
	return false
}

func (b *bundle) exposure(proxy *source.Element, base string) {
	c := proxy.Child("HTTPProxyConnection")
	x := drift.Exposure{BasePath: base, Proof: drift.Impossible[bool]("a bundle cannot ask for it"), Origin: c.Origin(b.scope())}
	for _, v := range c.All("VirtualHost") {
		x.Scheme = "https"
		if v.Str() == "default" {
			x.Scheme = "http"
		}
	}
	b.env.Exposures = append(b.env.Exposures, x)
}

// resource is the text of a file of the bundle that a policy names, such as jsc://check.js.
func (b *bundle) resource(url string) (string, bool) {
	kind, name, ok := strings.Cut(url, "://")
	if !ok {
		return "", false
	}
	file := path.Join(b.dir, "resources", kind, path.Clean("/"+name))
	if !b.Has(file) {
		return "", false
	}
	if b.resources == nil {
		b.resources = map[string]string{}
	}
	text, seen := b.resources[file]
	if !seen {
		if t, ok := b.Text(file); ok {
			text = string(t)
		}
		b.resources[file] = text
	}
	return text, text != ""
}
