// Package gatewayapi reads the Kubernetes Gateway API: gateways, listeners, routes, and what its core can express. Policies of
// implementations are theirs: drift/envoygateway stands on this package.
package gatewayapi

import (
	"fmt"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// Gateway is one Gateway with its own listeners and those of its listener sets.
type Gateway struct {
	*k8s.Object
	Listeners []*Listener
}

// Listener is one listener of a gateway, or of a listener set of it.
type Listener struct {
	Gateway  *Gateway
	Set      *k8s.Object // nil: the gateway's own
	Node     *source.Node
	Name     string
	Hostname string
	Protocol string
	Port     int64
}

// Scope names the listener.
func (l *Listener) Scope() string {
	of := l.Gateway.Label()
	if l.Set != nil {
		of = l.Set.Label()
	}
	return of + ", listener " + l.Name
}

// Attachment is one match of one rule of a route on one listener: what becomes an operation.
type Attachment struct {
	Route    *k8s.Object
	Rule     *source.Node
	RuleName string
	Index    int // of the rule
	Match    int // of the match
	Node     *source.Node
	Listener *Listener
	Hosts    []string
	Keys     []drift.Key
	Matches  []drift.Match
}

// Name is "httproute/namespace/name/rule/0/match/0".
func (a *Attachment) Name() string {
	return fmt.Sprintf("%s/%s/%s/rule/%d/match/%d", strings.ToLower(a.Route.Kind), a.Route.Namespace, a.Route.Name, a.Index, a.Match)
}

// Model is what the core objects say.
type Model struct {
	Folder      *source.Folder
	Objects     []*k8s.Object
	Gateways    []*Gateway
	Attachments []*Attachment
}

// Load reads a folder's objects and attaches routes to listeners.
func Load(f *source.Folder) *Model {
	m := &Model{Folder: f, Objects: k8s.Load(f)}
	for _, o := range k8s.Kind(m.Objects, "Gateway") {
		if o.Group != "gateway.networking.k8s.io" && o.Group != "" {
			continue
		}
		g := &Gateway{Object: o}
		for _, l := range o.Spec().Get("listeners").Items() {
			g.Listeners = append(g.Listeners, listener(g, nil, l))
		}
		m.Gateways = append(m.Gateways, g)
	}
	for _, kind := range []string{"ListenerSet", "XListenerSet"} {
		for _, o := range k8s.Oldest(k8s.Kind(m.Objects, kind)) {
			ref := o.Spec().Get("parentRef")
			g := m.gateway(or(ref.Get("namespace").Str(), o.Namespace), ref.Get("name").Str())
			if g == nil || !setAllowed(g, o) {
				continue
			}
			for _, l := range o.Spec().Get("listeners").Items() {
				g.Listeners = append(g.Listeners, listener(g, o, l))
			}
		}
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute"} {
		for _, o := range k8s.Kind(m.Objects, kind) {
			m.attach(o)
		}
	}
	return m
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// setAllowed: a gateway takes listener sets only from the namespaces that it allows, and by default none.
func setAllowed(g *Gateway, set *k8s.Object) bool {
	ns := g.Spec().Get("allowedListeners", "namespaces")
	switch ns.Get("from").Str() {
	case "All", "Selector":
		return true
	case "Same":
		return set.Namespace == g.Namespace
	}
	return false
}

func listener(g *Gateway, set *k8s.Object, n *source.Node) *Listener {
	port, _ := n.Get("port").Int()
	return &Listener{Gateway: g, Set: set, Node: n, Name: n.Get("name").Str(), Hostname: n.Get("hostname").Str(), Protocol: n.Get("protocol").Str(), Port: port}
}

func (m *Model) gateway(ns, name string) *Gateway {
	for _, g := range m.Gateways {
		if g.Name == name && (g.Namespace == ns || g.Namespace == "") {
			return g
		}
	}
	return nil
}

// parents are the listeners that a parentRef names and that take the route.
func (m *Model) parents(route *k8s.Object, ref *source.Node) []*Listener {
	kind := or(ref.Get("kind").Str(), "Gateway")
	ns, name := or(ref.Get("namespace").Str(), route.Namespace), ref.Get("name").Str()
	section := ref.Get("sectionName").Str()
	port, hasPort := ref.Get("port").Int()
	var out []*Listener
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			mine := kind == "Gateway" && l.Set == nil && g.Name == name && (g.Namespace == ns || g.Namespace == "") ||
				strings.HasSuffix(kind, "ListenerSet") && l.Set != nil && l.Set.Name == name && (l.Set.Namespace == ns || l.Set.Namespace == "")
			if !mine || section != "" && l.Name != section || hasPort && l.Port != port || !takes(l, route) {
				continue
			}
			out = append(out, l)
		}
	}
	return out
}

// takes reports whether the listener allows the route's kind and namespace.
func takes(l *Listener, route *k8s.Object) bool {
	if l.Protocol != "HTTP" && l.Protocol != "HTTPS" && l.Protocol != "" {
		return false
	}
	allowed := l.Node.Get("allowedRoutes")
	if kinds := allowed.Get("kinds").Items(); len(kinds) > 0 {
		ok := false
		for _, k := range kinds {
			ok = ok || k.Get("kind").Str() == route.Kind
		}
		if !ok {
			return false
		}
	}
	home := l.Gateway.Namespace
	if l.Set != nil {
		home = l.Set.Namespace
	}
	switch allowed.Get("namespaces", "from").Str() {
	case "All", "Selector":
		return true
	case "None":
		return false
	}
	return route.Namespace == home
}

// hosts are the names under which the route answers on the listener; ok is false when there is none.
func hosts(l *Listener, route *k8s.Object) (names []string, ok bool) {
	want := route.Spec().Get("hostnames").Strs()
	if len(want) == 0 {
		if l.Hostname == "" {
			return nil, true
		}
		return []string{l.Hostname}, true
	}
	for _, h := range want {
		if x, ok := intersect(l.Hostname, h); ok {
			names = append(names, x)
		}
	}
	return names, len(names) > 0
}

func intersect(listener, route string) (string, bool) {
	switch {
	case listener == "" || listener == route:
		return route, true
	case strings.HasPrefix(listener, "*.") && strings.HasSuffix(route, listener[1:]):
		return route, true
	case strings.HasPrefix(route, "*.") && strings.HasSuffix(listener, route[1:]):
		return listener, true
	}
	return "", false
}

func (m *Model) attach(route *k8s.Object) {
	seen := map[*Listener]bool{}
	for _, ref := range route.Spec().Get("parentRefs").Items() {
		for _, l := range m.parents(route, ref) {
			names, ok := hosts(l, route)
			if seen[l] || !ok {
				continue
			}
			seen[l] = true
			m.rules(route, l, names)
		}
	}
}

func (m *Model) rules(route *k8s.Object, l *Listener, names []string) {
	for i, rule := range route.Spec().Get("rules").Items() {
		matches := rule.Get("matches").Items()
		if len(matches) == 0 {
			matches = []*source.Node{nil}
		}
		for j, n := range matches {
			a := &Attachment{Route: route, Rule: rule, RuleName: rule.Get("name").Str(), Index: i, Match: j, Node: n, Listener: l, Hosts: names}
			if route.Kind == "GRPCRoute" {
				a.grpc()
			} else {
				a.http()
			}
			m.Attachments = append(m.Attachments, a)
		}
	}
}

func (a *Attachment) http() {
	method := or(a.Node.Get("method").Str(), "*")
	kind, value := drift.Prefix, or(a.Node.Get("path", "value").Str(), "/")
	switch a.Node.Get("path", "type").Str() {
	case "Exact":
		kind = drift.Exact
	case "RegularExpression":
		kind = drift.Regex
		if !strings.HasSuffix(value, "$") && !strings.HasSuffix(value, ".*") {
			value += "$" // the whole path has to match
		}
	}
	k, match := drift.NewKey(method, kind, value)
	match.Path = value
	a.add(k, match)
}

func (a *Attachment) grpc() {
	service, method := a.Node.Get("method", "service").Str(), a.Node.Get("method", "method").Str()
	kind, path := drift.Prefix, "/"
	switch {
	case a.Node.Get("method", "type").Str() == "RegularExpression":
		kind, path = drift.Regex, "/"+or(service, "[^/]+")+"/"+or(method, "[^/]+")+"$"
	case service != "" && method != "":
		kind, path = drift.Exact, "/"+service+"/"+method
	case service != "":
		path = "/" + service
	case method != "":
		kind, path = drift.Template, "/{service}/"+method
	}
	k, match := drift.NewKey("POST", kind, path)
	a.add(k, match)
}

func (a *Attachment) add(k drift.Key, m drift.Match) {
	m.Hosts = a.Hosts
	for _, h := range a.Node.Get("headers").Items() {
		m.Headers = append(m.Headers, strings.ToLower(h.Get("name").Str())+"="+drift.Mask(h.Get("value").Str()))
	}
	for _, q := range a.Node.Get("queryParams").Items() {
		m.Query = append(m.Query, q.Get("name").Str()+"="+drift.Mask(q.Get("value").Str()))
	}
	a.Keys, a.Matches = append(a.Keys, k), append(a.Matches, m)
}
