package snapshot

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/granted"
	"gatehouse/ratelimit"
)

// Reachable is one operation that an application can call right now, and by what right.
type Reachable struct {
	Environment string             `json:"environment"`
	API         string             `json:"api"`
	Operation   string             `json:"operation"`
	Method      string             `json:"method"`
	Path        string             `json:"path"`            // as it is called at the gateway
	Grant       id.ID              `json:"grant,omitempty"` // "" for an operation that needs none
	Product     string             `json:"product,omitempty"`
	Plan        string             `json:"plan,omitempty"`
	Scopes      []string           `json:"scopes,omitempty"` // that the operation needs
	Until       time.Time          `json:"until,omitzero"`
	Windows     []ratelimit.Window `json:"windows,omitempty"`
	Credentials []id.ID            `json:"credentials,omitempty"` // live ones with which it can be called
	Closed      string             `json:"closed,omitempty"`      // why the route answers 503 although the grant holds
}

// Reach is what the application can call at that time: the same look-ups that a request goes through, for every route.
// What it could call if it had a credential is in it too, with no Credentials. Open operations are in it for everybody.
func (v *View) Reach(application id.ID, now time.Time) []Reachable {
	if v.Routes == nil {
		return nil
	}
	callers := v.callers(application, now)
	var out []Reachable
	for _, r := range v.Routes.All {
		if r.authenticate == policy.Anybody {
			out = append(out, r.reachable())
			continue
		}
		out = append(out, v.reachRoute(r, callers, now)...)
	}
	slices.SortStableFunc(out, func(a, b Reachable) int {
		return cmp.Or(strings.Compare(a.API, b.API), strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method), strings.Compare(string(a.Grant), string(b.Grant)))
	})
	return out
}

// caller is what a request with one of the application's credentials would be known as. The first ones have no
// credential: they stand for one of each kind that is bound to nothing.
type caller struct {
	policy.Principal
	credential id.ID
}

func (v *View) callers(app id.ID, now time.Time) []caller {
	b, ok := app.Bits(id.Application)
	if !ok {
		return nil
	}
	slot := v.Access.find(b)
	if slot == 0 {
		return nil
	}
	a := v.Access.application(slot)
	if a.first&liveBit == 0 || a.org == 0 || !v.Access.orgs.get(a.org-1).live.Load() {
		return nil
	}
	var out []caller
	for _, k := range kinds {
		out = append(out, caller{Principal: policy.Principal{Method: k, Application: b, Slot: slot}})
	}
	for _, c := range v.Access.live(slot, now) {
		out = append(out, caller{policy.Principal{Method: c.Kind, Application: b, Organization: c.Organization,
			Credential: c.ID, Slot: slot, Bound: c.Bound}, c.ID.ID(id.Credential)})
	}
	slices.SortFunc(out, func(a, b caller) int { return strings.Compare(string(a.credential), string(b.credential)) })
	return out
}

func (v *View) reachRoute(r *Route, callers []caller, now time.Time) (out []Reachable) {
	for i := range callers {
		p := &callers[i]
		if len(r.methods) > 0 && !slices.Contains(r.methods, p.Method) {
			continue
		}
		entry := r.reachable()
		if r.authorize == "grant" {
			right, err := granted.Find(v, &r.RouteInfo, &p.Principal, now)
			if err != nil {
				continue
			}
			entry.Grant, entry.Product, entry.Plan = right.ID.ID(id.Grant), right.Terms.Product, right.Terms.Plan
			entry.Until, entry.Windows = right.Until, right.Plan.Windows
		}
		at := slices.IndexFunc(out, func(o Reachable) bool { return o.Grant == entry.Grant })
		if at < 0 {
			at = len(out)
			out = append(out, entry)
		}
		if p.credential != "" {
			out[at].Credentials = append(out[at].Credentials, p.credential)
		}
	}
	return out
}

func (r *Route) reachable() Reachable {
	out := Reachable{Environment: r.Environment, API: r.API, Operation: r.Operation, Method: r.Method, Path: r.Path, Scopes: r.Scopes}
	if r.Closed != nil {
		out.Closed = fault.As(r.Closed).Public
	}
	if r.authenticate == policy.Anybody {
		out.Scopes = nil
	}
	return out
}
