// Package granted is the policy that asks for a grant, and the one place that decides which grant a request is served
// under.
package granted

import (
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
)

// Config has no settings: what is needed stands on the route, its scopes and the products that offer it.
type Config struct{}

// Kind is the policy "grant".
func Kind() policy.Kind {
	return policy.Define("grant", policy.Authorize,
		"The application needs a grant that is live, for a product that offers the operation, with the operation's scopes.",
		func(Config, policy.Site, policy.Deps) (policy.Policy, error) {
			return policy.Policy{Request: request}, nil
		})
}

// Without is the settings of no_grant.
type Without struct {
	Reason string `json:"reason"` // why every known application may call; it must be given
}

// WithoutKind is the policy "no_grant", by which a route that authenticates says aloud that it asks for no grant.
func WithoutKind() policy.Kind {
	return policy.Define("no_grant", policy.Authorize,
		"Every application that has proven itself may call, without any grant. The reason must be given.",
		func(c Without, _ policy.Site, _ policy.Deps) (policy.Policy, error) {
			if strings.TrimSpace(c.Reason) == "" {
				return policy.Policy{}, fault.Bad("/reason", "must say why no grant is needed")
			}
			return policy.Policy{Request: known}, nil
		})
}

var nobody = fault.Of(fault.Unauthenticated, "unauthenticated", "it is not known who calls")

func known(x *policy.Exchange) error {
	if !x.Principal.Known() {
		return nobody
	}
	return nil
}

func request(x *policy.Exchange) error {
	if !x.Principal.Known() {
		return nobody
	}
	r, err := Find(x.Access, x.Route, &x.Principal, x.Now)
	if err != nil {
		return err
	}
	if err := Reached(r.Plan, x.Offline); err != nil {
		return err
	}
	x.Grant = r
	return nil
}

// Reached refuses a plan whose product may not be served by a gateway that has been without its control plane for so long.
func Reached(p *policy.PlanInfo, offline time.Duration) error {
	if p.MaxOffline > 0 && offline > p.MaxOffline {
		return fault.Of(fault.Unavailable, "product-offline", "this gateway has not heard from its control plane for %s, and product %s is served for %s without: it cannot know what was revoked since", offline.Round(time.Second), p.Product, p.MaxOffline)
	}
	return nil
}

// Find resolves the one grant under which the principal may call the route at that time. Grants count that are for a
// product that offers the operation and to which the credential is bound, if it is bound. One of them must be live and
// hold the route's scopes; two that do are refused, for which one counts is never picked in silence.
func Find(a policy.Access, r *policy.RouteInfo, p *policy.Principal, now time.Time) (policy.Right, error) {
	at := now.UnixMicro()
	var found, next *policy.Grant // next: what is most useful to say when nothing is found
	grants := a.Grants(p.Slot)
	for i := range grants {
		g := &grants[i]
		if len(p.Bound) > 0 && !slices.Contains(p.Bound, g.ID) || !slices.Contains(r.Products, a.Terms(g).Product) {
			continue
		}
		if g.Standing(at) == policy.Live && a.Scopes(g).Covers(r.Scopes) {
			if found != nil {
				return policy.Right{}, ambiguous(found, g)
			}
			found = g
			continue
		}
		if next == nil || g.Standing(at) > next.Standing(at) {
			next = g
		}
	}
	if found == nil {
		return policy.Right{}, refusal(a, r, next, at)
	}
	terms := a.Terms(found)
	plan := a.Plan(terms)
	if plan == nil || len(plan.Credentials) > 0 && !slices.Contains(plan.Credentials, p.Method) || plan.Constrained && !p.Constrained || plan.FAPI && !p.FAPI {
		return policy.Right{}, unplanned(r, found, terms, plan, p)
	}
	scopes := a.Scopes(found)
	if p.Scopes != nil {
		if !p.Scopes.Covers(r.Scopes) {
			return policy.Right{}, insufficient(r)
		}
		scopes = p.Scopes.Shared(scopes)
	}
	return policy.Right{ID: found.ID, Terms: terms, Scopes: scopes, Until: time.UnixMicro(found.Until).UTC(), Plan: plan}, nil
}

// What is refused is put into words apart from what is not, so that the many requests that pass need little stack and code.

func ambiguous(a, b *policy.Grant) error {
	return fault.Of(fault.Forbidden, "grant-ambiguous",
		"two grants cover this operation, %s and %s: bind the credential to one of them", a.ID.ID(id.Grant), b.ID.ID(id.Grant))
}

func insufficient(r *policy.RouteInfo) error {
	return fault.Of(fault.Forbidden, "insufficient-scope", "the access token is not for what this operation needs: %s", strings.Join(r.Scopes, " "))
}

// unplanned says why the plan of a live grant lets the principal not through.
func unplanned(r *policy.RouteInfo, g *policy.Grant, terms *policy.Terms, plan *policy.PlanInfo, p *policy.Principal) error {
	switch {
	case plan == nil:
		return fault.Of(fault.Forbidden, "plan-withdrawn",
			"grant %s is on plan %s of product %s, which is not offered in %s any more", g.ID.ID(id.Grant), terms.Plan, terms.Product, r.Environment)
	case len(plan.Credentials) > 0 && !slices.Contains(plan.Credentials, p.Method):
		return fault.Of(fault.Forbidden, "credential-kind",
			"plan %s of product %s asks for another kind of credential: %s", terms.Plan, terms.Product, strings.Join(plan.Credentials, ", "))
	case plan.Constrained && !p.Constrained:
		return fault.Of(fault.Forbidden, "not-constrained",
			"plan %s of product %s takes only what is bound to a key: a certificate, or a token that is bound to one or to DPoP", terms.Plan, terms.Product)
	}
	return fault.Of(fault.Forbidden, "not-fapi",
		"plan %s of product %s takes only access tokens whose client keeps the client profile of FAPI 2.0: a key or certificate of its own at the token endpoint", terms.Plan, terms.Product)
}

// refusal says why the grant that comes nearest does not do.
func refusal(a policy.Access, r *policy.RouteInfo, g *policy.Grant, now int64) error {
	if g == nil {
		return fault.Of(fault.Forbidden, "no-grant", "the application has no grant for this operation in %s", r.Environment)
	}
	i := g.ID.ID(id.Grant)
	switch g.Standing(now) {
	case policy.Ended:
		return fault.Of(fault.Forbidden, "grant-ended", "grant %s has been ended", i)
	case policy.Expired:
		return fault.Of(fault.Forbidden, "grant-expired", "grant %s expired at %s", i, clock(g.Until))
	case policy.Upcoming:
		return fault.Of(fault.Forbidden, "grant-upcoming", "grant %s begins at %s", i, clock(g.From))
	case policy.Paused:
		return fault.Of(fault.Forbidden, "grant-suspended", "grant %s is suspended", i)
	}
	var lacks []string
	have := a.Scopes(g).Names
	for _, s := range r.Scopes {
		if !slices.Contains(have, s) {
			lacks = append(lacks, s)
		}
	}
	return fault.Of(fault.Forbidden, "scope-missing", "this operation needs scopes that grant %s does not hold: %s", i, strings.Join(lacks, ", "))
}

func clock(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }
