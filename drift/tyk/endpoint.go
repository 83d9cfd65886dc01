package tyk

import (
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// endpoint is one method and path with middleware of its own, or the rest of an API.
type endpoint struct {
	*api
	method, path string
	node         *source.Node
	rules        map[string]*source.Node
	rest         bool
}

func (e *endpoint) label() string {
	if e.rest {
		return e.api.scope()
	}
	return "endpoint " + e.method + " " + drift.Mask(e.path)
}

func (e *endpoint) origin() drift.Origin { return e.node.Origin(e.label()) }

// kinds are the names of middleware: ours, in classic definitions, in OAS definitions.
var kinds = []struct{ kind, classic, oas string }{
	{"allow", "white_list", "allow"}, {"block", "black_list", "block"}, {"ignore", "ignored", "ignoreAuthentication"}, {"internal", "internal", "internal"},
	{"size", "size_limits", "requestSizeLimit"}, {"timeout", "hard_timeouts", "enforceTimeout"}, {"breaker", "circuit_breakers", "circuitBreaker"}, {"rate", "rate_limit", "rateLimit"},
	{"mock", "mock_response", "mockResponse"}, {"virtual", "virtual", "virtualEndpoint"}, {"plugin", "go_plugin", "postPlugins"}, {"validate", "validate_json", "validateRequest"}, {"validate", "validate_request", "validateRequest"},
	{"headers", "transform_headers", "transformRequestHeaders"}, {"answers", "transform_response_headers", "transformResponseHeaders"}, {"rewrite", "url_rewrites", "urlRewrite"},
	{"method", "method_transforms", "transformRequestMethod"}, {"body", "transform", "transformRequestBody"}, {"jq", "transform_jq", ""}, {"untracked", "do_not_track_endpoints", "doNotTrackEndpoint"},
}

func (a *api) endpoints() []*endpoint {
	var out []*endpoint
	at := map[string]*endpoint{}
	put := func(method, path, kind string, rule, node *source.Node) {
		if method = strings.ToUpper(method); method == "" {
			method = "*"
		}
		if strings.Trim(path, "/") == "" {
			path = "/"
		} else {
			path = "/" + strings.TrimPrefix(path, "/")
		}
		e := at[method+" "+path]
		if e == nil {
			e = &endpoint{api: a, method: method, path: path, node: node, rules: map[string]*source.Node{}}
			at[method+" "+path] = e
			out = append(out, e)
		}
		e.rules[kind] = rule
	}
	if a.oas {
		a.documented(put)
	} else {
		a.extended(put)
	}
	return out
}

func (a *api) documented(put func(method, path, kind string, rule, node *source.Node)) {
	a.doc.Get("paths").Each(func(path string, item *source.Node) {
		item.Each(func(method string, op *source.Node) {
			rules := a.root.Get("middleware", "operations", op.Get("operationId").Str())
			for _, k := range kinds {
				n := rules.Get(k.oas)
				if on, _ := n.Get("enabled").Bool(); k.oas != "" && (on || k.kind == "plugin" && len(n.Items()) > 0) {
					put(method, path, k.kind, n, op)
				}
			}
		})
	})
}

func (a *api) extended(put func(method, path, kind string, rule, node *source.Node)) {
	for _, k := range kinds {
		for _, n := range a.version.Get("extended_paths", k.classic).Items() {
			if off, _ := n.Get("disabled").Bool(); off || n.Kind != source.Map {
				continue
			}
			methods := []string{n.Get("method").Str()}
			if m := n.Get("method_actions"); m != nil && len(m.Keys) > 0 {
				methods = m.Keys
			}
			for _, m := range methods {
				kind := k.kind
				if action := n.Get("method_actions", m, "action").Str(); action == "reply" {
					put(m, n.Get("path").Str(), "mock", n, n)
				}
				put(m, n.Get("path").Str(), kind, n, n)
			}
		}
	}
	if on, ok := a.version.Get("use_extended_paths").Bool(); ok && !on {
		for _, k := range kinds[:3] {
			for _, n := range a.version.Get("paths", k.classic).Items() {
				if n.Str() != "" {
					put("*", n.Str(), k.kind, n, n)
				}
			}
		}
	}
}

// view reads a value as a leaf, in the state that fits its scope.
type view struct {
	e     *endpoint
	scope string
	wide  bool
}

func (e *endpoint) wide() view { return view{e, e.api.scope(), !e.rest} }
func (e *endpoint) own() view  { return view{e, e.label(), false} }

func leaf[T any](v view, value T, n *source.Node) drift.Leaf[T] {
	if v.wide {
		return drift.From(value, n.Origin(v.scope))
	}
	return drift.Is(value, n.Origin(v.scope))
}

// value reads one scalar: the default where there is none, unresolved where it names a variable or is not what it should be.
func value[T any](v view, n *source.Node, def T, read func(*source.Node) (T, bool)) drift.Leaf[T] {
	if n.Absent() {
		return drift.ByDefault(def)
	}
	if cause, is := elsewhere(n); is {
		return drift.Unknown[T](cause, n.Origin(v.scope))
	}
	x, ok := read(n)
	if !ok {
		return drift.Unknown[T]("cannot be read", n.Origin(v.scope))
	}
	return leaf(v, x, n)
}

// elsewhere reports a value that the gateway takes from its environment or from a store.
func elsewhere(n *source.Node) (cause string, is bool) {
	for _, s := range n.Strs() {
		for _, mark := range []string{"env://", "secrets://", "vault://", "consul://", "$secret_env.", "$secret_vault.", "$secret_consul.", "$secret_conf."} {
			if strings.HasPrefix(s, mark) {
				return "reference to " + strings.Trim(mark, "$:/."), true
			}
		}
	}
	return "", false
}

func (v view) flag(n *source.Node, def bool) drift.Leaf[bool] {
	return value(v, n, def, (*source.Node).Bool)
}

func (v view) num(n *source.Node, def int64) drift.Leaf[int64] {
	return value(v, n, def, (*source.Node).Int)
}

func (v view) list(n *source.Node, def []string) drift.Leaf[[]string] {
	l := value(v, n, def, func(n *source.Node) ([]string, bool) {
		var out []string
		for _, s := range n.Strs() {
			out = append(out, drift.Mask(s))
		}
		return out, n.Kind != source.Map
	})
	if len(l.Value) == 0 && l.State == drift.Set { // an empty list is what leaving it out means
		return drift.ByDefault(def)
	}
	return l
}

func not(l drift.Leaf[bool]) drift.Leaf[bool] { l.Value = !l.Value; return l }
