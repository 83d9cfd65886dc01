// Package limit is the policy that counts calls against windows.
package limit

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"strconv"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/ratelimit"
)

// Config is the settings of rate_limit. Without any, the limits of the plan hold.
type Config struct {
	From    string   `json:"from"`    // plan: the windows of the grant's plan, counted for each grant. The default where no windows are given
	By      string   `json:"by"`      // with windows: application, credential or address (of the caller; one count for each IPv6 /64)
	Windows []Window `json:"windows"` // up to 8, all of which must have room
}

// Window is so many requests per time, of which a burst may come at once.
type Window struct {
	Name     string          `json:"name"`     // shown in the RateLimit fields; default: made from the window
	Requests int64           `json:"requests"` // 1 or more
	Per      policy.Duration `json:"per"`      // 1s or more
	Burst    int64           `json:"burst"`    // default: requests
	Counter  string          `json:"counter"`  // local, in each gateway; leased or strict, in all of them together: see limits.md. Default: local
	Away     string          `json:"away"`     // while the shared counter does not answer: local, open or closed. Default: local
}

// Kind is the policy "rate_limit".
func Kind() policy.Kind {
	return policy.Define("rate_limit", policy.Limit,
		"Counts calls against windows, all or none of which take a call, and refuses with 429 when one is used up. "+
			"What a list of policies counts, it counts together for all of its operations.", build)
}

func build(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
	if len(c.Windows) == 0 {
		return fromPlan(c, s, d)
	}
	if c.From != "" {
		return policy.Policy{}, fault.Bad("/from", "stands beside windows: give one of the two")
	}
	o := &own{scope: scopeOf(s.Scope)}
	switch {
	case c.By != "application" && c.By != "credential" && c.By != "address":
		return policy.Policy{}, fault.Bad("/by", "must be application, credential or address, not %q", c.By)
	case c.By != "address" && s.Has(policy.Anybody):
		return policy.Policy{}, fault.Bad("/by", "is %s, but on an anonymous route nobody is known: use address", c.By)
	}
	o.by, o.counter = c.By, counter{c.By, d.Limiter(c.By), d.Shared}
	var wrong []fault.Field
	seen := map[string]bool{}
	for i, w := range c.Windows {
		at := "/windows/" + strconv.Itoa(i)
		per, err := w.Per.Span()
		if err != nil {
			wrong = append(wrong, fault.Field{Pointer: at + "/per", Text: err.Error()})
			continue
		}
		if w.Name == "" {
			w.Name = strconv.FormatInt(w.Requests, 10) + "-per-" + string(w.Per)
		}
		window := ratelimit.Window{Name: w.Name, Requests: w.Requests, Per: per, Burst: w.Burst}
		window, err = window.Share(w.Counter, w.Away)
		if err == nil {
			err = window.Validate()
		}
		if err != nil {
			wrong = append(wrong, fault.Field{Pointer: at, Text: err.Error()})
		}
		if seen[w.Name] {
			wrong = append(wrong, fault.Field{Pointer: at + "/name", Text: "two windows have the name " + strconv.Quote(w.Name)})
		}
		seen[w.Name] = true
		o.windows = append(o.windows, window)
	}
	if len(c.Windows) > ratelimit.MaxWindows {
		wrong = append(wrong, fault.Field{Pointer: "/windows", Text: "has more than " + strconv.Itoa(ratelimit.MaxWindows) + " windows"})
	}
	if len(wrong) > 0 {
		return policy.Policy{}, fault.BadFields(wrong)
	}
	return policy.Policy{Request: o.request}, nil
}

func fromPlan(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
	switch {
	case c.From != "" && c.From != "plan":
		return policy.Policy{}, fault.Bad("/from", "must be plan, not %q", c.From)
	case c.By != "":
		return policy.Policy{}, fault.Bad("/by", "stands without windows: the limits of a plan are counted for each grant")
	case !s.Has("grant"):
		return policy.Policy{}, fault.Bad("", "takes its limits from the plan of the grant, but the route asks for no grant: give it windows")
	}
	p := &plan{counter: counter{"grant", d.Limiter("grant"), d.Shared}, quotas: d.Quotas}
	return policy.Policy{Request: p.request}, nil
}

type plan struct {
	counter counter
	quotas  *ratelimit.Quotas
}

func (p *plan) request(x *policy.Exchange) error {
	if x.Grant.None() || x.Grant.Plan == nil { // the compiler asks for a grant policy; this is the second lock
		return fault.Of(fault.Forbidden, "no-grant", "there is no grant whose limits could hold")
	}
	if err := spend(x, p.counter, x.Grant.ID[:], x.Grant.Plan.Windows); err != nil {
		return err
	}
	// Last: what a window refuses uses nothing of a quota up.
	if quotas := x.Grant.Plan.Quotas; len(quotas) > 0 && p.quotas != nil {
		return p.take(x, quotas)
	}
	return nil
}

// take counts the request against the plan's quotas.
func (p *plan) take(x *policy.Exchange, quotas []ratelimit.Quota) error {
	n := len(x.Limits)
	var ok bool
	if x.Limits, ok = p.quotas.Spend(x.Grant.ID, quotas, x.Now, x.Limits); ok {
		return nil
	}
	name := ""
	for _, r := range x.Limits[n:] {
		if !r.OK {
			name = r.Window.Name
		}
	}
	f := fault.Of(fault.Limited, "quota-used-up", "the quota of the %s is used up: it begins anew with the next %s, in UTC", name, name)
	f.RetryAfter = ratelimit.Retry(x.Limits[n:])
	return f
}

type own struct {
	counter counter
	by      string
	scope   [8]byte
	windows []ratelimit.Window
}

func (o *own) request(x *policy.Exchange) error {
	var key [24]byte
	copy(key[:8], o.scope[:])
	switch o.by {
	case "application":
		copy(key[8:], x.Principal.Application[:])
	case "credential":
		copy(key[8:], x.Principal.Credential[:])
	default:
		a := x.Peer.Addr().Unmap()
		whole := a.As16()
		copy(key[8:], whole[:])
		if a.Is6() { // one subscriber has at least a /64
			clear(key[16:])
		}
	}
	return spend(x, o.counter, key[:], o.windows)
}

// counter is where one use of keys is counted.
type counter struct {
	name   string
	local  *ratelimit.Limiter
	shared ratelimit.Shared // nil: it is away
}

// spend counts the request and keeps what the windows said for the answer. Windows that are counted in the same way and stand
// together take it all or none; those before them have taken it when a later one refuses.
func spend(x *policy.Exchange, c counter, key []byte, windows []ratelimit.Window) error {
	for len(windows) > 0 {
		n := 1
		for n < len(windows) && windows[n].Counter == windows[0].Counter && windows[n].Away == windows[0].Away {
			n++
		}
		if err := c.spend(x, key, windows[:n]); err != nil {
			return err
		}
		windows = windows[n:]
	}
	return nil
}

func (c counter) spend(x *policy.Exchange, key []byte, windows []ratelimit.Window) error {
	n := len(x.Limits)
	var ok bool
	if how := windows[0].Counter; how != ratelimit.Local {
		counted := false
		if c.shared != nil {
			// A copy: whatever goes behind an interface escapes, and keys that are counted here only must not.
			out, passed, err := c.shared.Spend(c.name, bytes.Clone(key), windows, how == ratelimit.Leased, x.Limits)
			if counted = err == nil; counted {
				x.Limits, ok = out, passed
			}
		}
		switch {
		case counted:
		case windows[0].Away == ratelimit.AwayOpen:
			return nil
		case windows[0].Away == ratelimit.AwayClosed:
			return fault.Of(fault.Unavailable, "limit-unknown", "it is not known at the moment whether the limit %q has room: try again", windows[0].Name)
		default:
			x.Limits, ok = c.local.Spend(key, windows, x.Now, x.Limits)
		}
	} else {
		x.Limits, ok = c.local.Spend(key, windows, x.Now, x.Limits)
	}
	if ok {
		return nil
	}
	out := x.Limits
	name := ""
	for _, r := range out[n:] {
		if !r.OK {
			name = r.Window.Name
			break
		}
	}
	f := fault.New(fault.Limited, "the limit %q is used up", name)
	f.RetryAfter = ratelimit.Retry(out[n:])
	return f
}

// scopeOf tells the counts of one list of policies from those of another.
func scopeOf(s string) (b [8]byte) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	binary.BigEndian.PutUint64(b[:], h.Sum64())
	return b
}
