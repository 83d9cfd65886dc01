package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fault"
	"gatehouse/manifest"
	"gatehouse/policy"
)

// placed is a policy that was built.
type placed struct {
	policy.Policy
	kind policy.Kind
}

// policies builds the route's policies, puts them into the order of their phases and splits them by side.
func (c *compiler) policies(r *Route, api int) {
	list := c.p.Policies(api, r.Operation)
	site := policy.Site{Route: &r.RouteInfo, Trusted: c.trusted, Authorities: c.authorities}
	for _, l := range list {
		site.Kinds = append(site.Kinds, l.Kind)
	}
	var built []placed
	count := map[string]int{} // of each kind so far, in the list in which it is written
	for _, l := range list {
		k, ok := c.kinds[l.Kind]
		if !ok {
			c.report(c.p.At(l.Pointer, "there is no policy %q: this build has %s", l.Kind, strings.Join(c.kindNames(), ", ")))
			continue
		}
		owner := r.API
		if strings.Contains(l.Pointer, "/operations/") {
			owner = r.Route
		}
		site.Scope = owner + " " + l.Kind + " " + strconv.Itoa(count[l.Kind])
		if count[l.Kind]++; count[l.Kind] > 1 && k.Phase != policy.Limit && k.Phase != policy.Rewrite && k.Phase != policy.Respond {
			c.complain(l.Pointer, r.Operation, "the policy %s is there twice", l.Kind)
		}
		b, err := k.Build(l.Config, site, c.d)
		if err != nil {
			c.refuse(r, l, err)
			continue
		}
		built = append(built, placed{b, k})
		r.methods = append(r.methods, b.Methods...)
	}
	c.identity(r, fmt.Sprintf("/apis/%d", api), list)
	slices.SortStableFunc(built, func(a, b placed) int { return int(a.kind.Phase) - int(b.kind.Phase) })
	for _, b := range built {
		if b.Request != nil {
			r.Request, r.Rules = append(r.Request, b.Request), append(r.Rules, b.kind.Name)
		}
		if b.Response != nil {
			r.Response = append(r.Response, b.Response)
		}
		if b.Preflight != nil {
			r.Preflight = b.Preflight
		}
	}
}

func (c *compiler) kindNames() (names []string) {
	for n := range c.kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// refuse reports what is wrong with a policy's settings. A policy that only this gateway cannot build closes the route.
func (c *compiler) refuse(r *Route, l manifest.PlacedPolicy, err error) {
	at := l.Pointer + "/" + l.Kind
	f := fault.As(err)
	switch {
	case errors.Is(err, fault.Unavailable):
		c.report(c.p.Warn(at, "%s: routes with this policy are closed here", f.Public))
		r.Closed = closed(l.Kind + ": " + f.Public)
	case len(f.Fields) > 0:
		for _, field := range f.Fields {
			c.report(c.p.At(at+field.Pointer, "%s", field.Text))
		}
	default:
		c.report(c.p.At(at, "%s", f.Public))
	}
}

// identity asks that a route says who may call it: exactly one policy that authenticates, and, unless that is anonymous,
// exactly one that authorizes.
func (c *compiler) identity(r *Route, at string, list []manifest.PlacedPolicy) {
	for _, l := range list {
		switch k, ok := c.kinds[l.Kind]; {
		case !ok:
			return // reported; what it would have been is not known
		case k.Phase == policy.Authenticate && r.authenticate != "" && r.authenticate != l.Kind:
			c.complain(l.Pointer, r.Operation, "%s and %s both authenticate: give one of them", r.authenticate, l.Kind)
		case k.Phase == policy.Authenticate:
			r.authenticate = l.Kind
		case k.Phase == policy.Authorize && r.authorize != "" && r.authorize != l.Kind:
			c.complain(l.Pointer, r.Operation, "%s and %s both authorize: give one of them", r.authorize, l.Kind)
		case k.Phase == policy.Authorize:
			r.authorize = l.Kind
		}
	}
	switch {
	case r.authenticate == "":
		c.complain(at, r.Operation, "no policy authenticates: add one such as api_key, or anonymous to open it to anybody")
	case r.authenticate == policy.Anybody && r.authorize != "":
		c.complain(at, r.Operation, "anonymous stands beside %s, which would refuse everybody", r.authorize)
	case r.authenticate != policy.Anybody && r.authorize == "":
		c.complain(at, r.Operation, "%s authenticates but nothing authorizes: add grant, or no_grant with a reason", r.authenticate)
	}
}
