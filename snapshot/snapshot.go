// Package snapshot compiles a manifest into the routes a gateway serves, keeps the index of who may use them, and
// joins both into a view.
package snapshot

import (
	"strings"
	"sync"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/manifest"
	"gatehouse/policy"
)

// View is one consistent pair. A request loads it once.
type View struct {
	*Routes
	*Access
}

// Routes is one revision, compiled for one environment. It is immutable, owns no goroutine and no file: to drop it is to
// forget it.
type Routes struct {
	Environment string
	Revision    int64
	Digest      string      // of the bundle; "" when it was compiled from elsewhere
	Upstreams   []*Upstream // by name
	All         []*Route    // by API, path and method
	tree        router
	named       sync.Once
	byName      map[string]*Route
	plans       map[policy.Terms]*policy.PlanInfo
}

// Named is the route of that name (policy.RouteInfo.Route), or nil.
func (r *Routes) Named(name string) *Route {
	r.named.Do(func() {
		r.byName = make(map[string]*Route, len(r.All))
		for _, route := range r.All {
			r.byName[route.Route] = route
		}
	})
	return r.byName[name]
}

// Plan is what the revision says of a plan; nil when it does not offer it in this environment.
func (r *Routes) Plan(t *policy.Terms) *policy.PlanInfo { return r.plans[*t] }

// Route is a compiled route: its policies in the order of their phases, split by side.
type Route struct {
	policy.RouteInfo
	Request   []func(*policy.Exchange) error
	Rules     []string // the kind of each of Request
	Response  []func(*policy.Exchange)
	Preflight func(*policy.Exchange) error // nil: the route takes no part in CORS
	Upstream  *Upstream
	Closed    error               // a route that could not be built answers 503; it is never left out
	Retry     bool                // its requests may be sent to the upstream again
	WebSocket *manifest.WebSocket // how its connections may become WebSockets; nil: they may not

	headers      map[string]string // as the API declares them
	conditions   []condition       // the same, to be looked at
	authenticate string            // the kinds that decide who may call
	authorize    string
	methods      []string // kinds of credentials that it takes
	cut          int      // bytes of the path that stand for the API at the gateway
	prefix       string   // what stands there at the upstream
}

// UpstreamPath appends the path at the upstream for a path that this route matched.
func (r *Route) UpstreamPath(dst []byte, path []byte) []byte {
	dst = append(dst, r.prefix...)
	return append(dst, path[r.cut:]...)
}

// Open compiles a revision as the feed carries it.
func Open(r feed.Revision, environment string, kinds []policy.Kind, d policy.Deps) (*Routes, []manifest.Diagnostic) {
	b, err := manifest.Decode(r.Bundle)
	if err != nil {
		return nil, []manifest.Diagnostic{{Text: err.Error()}}
	}
	if got := b.Digest(); got != r.Digest {
		return nil, []manifest.Diagnostic{{Text: "the digest of the bundle is " + got + ", not " + r.Digest + " as the feed says"}}
	}
	p, ds := manifest.Parse(b)
	if manifest.Fatal(ds) {
		return nil, ds
	}
	routes, more := Compile(p, environment, r.Number, kinds, d)
	if routes != nil {
		routes.Digest = r.Digest
	}
	return routes, append(ds, more...)
}

// Summary is the first diagnostics that stop a revision, in one line.
func Summary(ds []manifest.Diagnostic) string {
	var lines []string
	more := 0
	for _, d := range ds {
		switch {
		case d.Warning:
		case len(lines) < 3:
			lines = append(lines, d.String())
		default:
			more++
		}
	}
	if more > 0 {
		lines = append(lines, "and more")
	}
	return strings.Join(lines, "; ")
}

// closed is the fault of a route that could not be built here.
func closed(why string) error {
	return fault.Of(fault.Unavailable, "route-closed", "this operation is closed on this gateway for now").Because(fault.New(fault.Unavailable, "%s", why))
}
