// Package envoygateway reads Envoy Gateway: the Gateway API with SecurityPolicy, BackendTrafficPolicy, ClientTrafficPolicy and EnvoyProxy.
package envoygateway

import (
	"io/fs"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/gatewayapi"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// Read reads a folder of Kubernetes objects.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("envoygateway", o), m: gatewayapi.Load(f), used: map[*k8s.Object]bool{}}
	r.m.Describe(r.env)
	r.m.Operations(r.env, r.policy)
	r.leftovers()
	r.env.ProveEdge()
	return r.env, f.Finish(r.env)
}

type reader struct {
	*source.Folder
	env  *drift.Environment
	m    *gatewayapi.Model
	used map[*k8s.Object]bool
}

// level is how close to a rule a policy stands; the lower the closer.
type level int

const (
	ofRule level = iota
	ofRoute
	ofSetListener
	ofSet
	ofListener
	ofGateway
	nowhere
)

// stands is the level at which a policy targets an attachment.
func stands(p *k8s.Object, a *gatewayapi.Attachment) level {
	best := nowhere
	for _, t := range targets(p) {
		best = min(best, target(p, t, a))
	}
	for _, s := range p.Spec().Get("targetSelectors").Items() {
		best = min(best, selected(p, s, a))
	}
	return best
}

func targets(p *k8s.Object) []*source.Node {
	if t := p.Spec().Get("targetRef"); t != nil {
		return append([]*source.Node{t}, p.Spec().Get("targetRefs").Items()...)
	}
	return p.Spec().Get("targetRefs").Items()
}

func target(p *k8s.Object, t *source.Node, a *gatewayapi.Attachment) level {
	kind, name, section := t.Get("kind").Str(), t.Get("name").Str(), t.Get("sectionName").Str()
	l := a.Listener
	same := func(o *k8s.Object) bool {
		ns := t.Get("namespace").Str()
		if ns == "" {
			ns = p.Namespace
		}
		return o.Name == name && (o.Namespace == ns || o.Namespace == "" || p.Namespace == "")
	}
	switch {
	case kind == a.Route.Kind && same(a.Route):
		switch {
		case section == "":
			return ofRoute
		case section == a.RuleName:
			return ofRule
		}
	case kind == "Gateway" && same(l.Gateway.Object):
		switch {
		case section == "":
			return ofGateway
		case section == l.Name && l.Set == nil:
			return ofListener
		}
	case strings.HasSuffix(kind, "ListenerSet") && l.Set != nil && same(l.Set):
		switch section {
		case "":
			return ofSet
		case l.Name:
			return ofSetListener
		}
	}
	return nowhere
}

func selected(p *k8s.Object, s *source.Node, a *gatewayapi.Attachment) level {
	kind := s.Get("kind").Str()
	within := func(o *k8s.Object) bool {
		return o.Kind == kind && (o.Namespace == p.Namespace || s.Get("namespaces", "from").Str() == "All") && k8s.Selects(s, o.Labels)
	}
	switch {
	case within(a.Route):
		return ofRoute
	case within(a.Listener.Gateway.Object):
		return ofGateway
	case a.Listener.Set != nil && within(a.Listener.Set):
		return ofSet
	}
	return nowhere
}

// applied is the policy of a kind that is in force on an attachment: the closest one, which replaces all others unless it says how to
// merge, and then merges into the closest of its parents only.
type applied struct {
	spec   *source.Node // nil: none
	by     *k8s.Object
	parent *k8s.Object // merged into, or cut off
	merged bool
}

func (r *reader) apply(kind string, a *gatewayapi.Attachment) applied {
	var at [nowhere]*k8s.Object
	for _, p := range k8s.Oldest(k8s.Kind(r.m.Objects, kind)) {
		if l := stands(p, a); l < nowhere {
			r.used[p] = true
			if at[l] == nil { // of several at one level the oldest counts
				at[l] = p
			}
		}
	}
	var out applied
	for l, p := range at {
		switch {
		case p == nil:
		case out.by == nil:
			out.by, out.spec = p, p.Spec()
		case out.parent == nil && (level(l) >= ofSetListener || out.byLevel(at) >= ofSetListener):
			out.parent = p
		}
	}
	if out.by == nil || out.parent == nil {
		return out
	}
	if how := out.spec.Get("mergeType").Str(); (how == "StrategicMerge" || how == "JSONMerge") && out.byLevel(at) < ofSetListener {
		out.merged = true
		out.spec = source.Merged(out.parent.Spec(), out.spec)
	}
	return out
}

func (x applied) byLevel(at [nowhere]*k8s.Object) level {
	for l, p := range at {
		if p == x.by {
			return level(l)
		}
	}
	return nowhere
}

// state is how a value of an applied policy came about, by whether it is written at the route itself.
func (x applied) state(n *source.Node) drift.State {
	if x.by.Kind == "ClientTrafficPolicy" || !n.Under(x.by.Node) {
		return drift.Inherited
	}
	for _, t := range targets(x.by) {
		if strings.HasSuffix(t.Get("kind").Str(), "Route") {
			return drift.Set
		}
	}
	return drift.Inherited
}

func (x applied) origin(n *source.Node) drift.Origin {
	o := x.by
	if x.parent != nil && n.Under(x.parent.Node) {
		o = x.parent
	}
	return n.Origin(o.Label())
}

func leaf[T any](x applied, v T, n *source.Node) drift.Leaf[T] {
	return drift.Leaf[T]{Value: v, State: x.state(n), Origin: x.origin(n)}
}

func list(x applied, n *source.Node) drift.Leaf[[]string] {
	if n == nil {
		return drift.ByDefault([]string(nil))
	}
	out := n.Strs()
	for i := range out {
		out[i] = drift.Mask(out[i])
	}
	return leaf(x, out, n)
}

func flag(x applied, n *source.Node, def bool) drift.Leaf[bool] {
	if b, ok := n.Bool(); ok {
		return leaf(x, b, n)
	}
	return drift.ByDefault(def)
}

func number(x applied, n *source.Node, def int64) drift.Leaf[int64] {
	if i, ok := n.Int(); ok {
		return leaf(x, i, n)
	}
	return drift.ByDefault(def)
}

func millis(x applied, n *source.Node, def int64) drift.Leaf[int64] {
	if n == nil {
		return drift.ByDefault(def)
	}
	if ms, ok := gatewayapi.Millis(n.Str()); ok {
		return leaf(x, ms, n)
	}
	return drift.Unknown[int64]("not a duration", x.origin(n))
}

func (r *reader) policy(a *gatewayapi.Attachment) *drift.Policy {
	p := r.m.Policy(r.env, a, "")
	r.defaults(p)
	r.security(p, a)
	r.traffic(p, a)
	r.client(p, a)
	r.proxy(p, a)
	return p
}

// leftovers are policies that authenticate and whose targets are not there.
func (r *reader) leftovers() {
	for _, o := range k8s.Kind(r.m.Objects, "SecurityPolicy") {
		if r.used[o] || len(r.m.Attachments) == 0 {
			continue
		}
		r.env.Detached = append(r.env.Detached, drift.Detached{Kind: "SecurityPolicy", Name: o.Namespace + "/" + o.Name, Auth: authenticates(o.Spec()), Origin: o.Origin()})
	}
}

func authenticates(spec *source.Node) bool {
	for _, k := range []string{"jwt", "oidc", "basicAuth", "apiKeyAuth", "extAuth", "authorization"} {
		if spec.Has(k) {
			return true
		}
	}
	return false
}
