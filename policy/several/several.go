// Package several is the policies by which a route takes callers by more than one method of authentication: by any of several,
// or by all of them at once.
package several

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gatehouse/fault"
	"gatehouse/policy"
)

// Config is the settings of any_of and all_of.
type Config struct {
	Methods []map[string]json.RawMessage `json:"methods"` // each the name of a policy that authenticates, with its settings: {oauth: {}}
}

// AnyOf is the policy "any_of". The methods are those that it may name.
func AnyOf(methods []policy.Kind) policy.Kind {
	return policy.Define("any_of", policy.Authenticate,
		"The caller proves its application by exactly one of several methods. Who sends more than one proof is refused.",
		func(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
			return build(c, s, d, methods, false)
		})
}

// AllOf is the policy "all_of".
func AllOf(methods []policy.Kind) policy.Kind {
	return policy.Define("all_of", policy.Authenticate,
		"The caller proves its application by every one of several methods, and all of them must be of the same application. Grants and plans are looked at by the first.",
		func(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
			return build(c, s, d, methods, true)
		})
}

func build(c Config, s policy.Site, d policy.Deps, kinds []policy.Kind, all bool) (policy.Policy, error) {
	var out policy.Policy
	v := &several{}
	var names []string
	if len(c.Methods) < 2 {
		return out, fault.Bad("/methods", "must name at least two methods")
	}
	s.Beside = nil
	if !all {
		s.Beside = c.names()
	} else if n := c.names(); slices.Contains(n, "oauth") && slices.Contains(n, "workload_identity") {
		return out, fault.Bad("/methods", "oauth and workload_identity look for a token in the same field, so nobody can send both: use any_of")
	}
	for n, one := range c.Methods {
		at := fmt.Sprintf("/methods/%d", n)
		if len(one) != 1 {
			return out, fault.Bad(at, "must be one method, such as {oauth: {}}")
		}
		for name, raw := range one {
			i := slices.IndexFunc(kinds, func(k policy.Kind) bool { return k.Name == name })
			switch {
			case i < 0:
				return out, fault.Bad(at, "there is no method %q: this build has %s", name, listed(kinds))
			case slices.Contains(names, name):
				return out, fault.Bad(at, "%s stands twice", name)
			}
			if len(raw) == 0 || string(raw) == "null" {
				raw = json.RawMessage("{}")
			}
			p, err := kinds[i].Build(raw, s, d)
			if err != nil {
				return out, below(at+"/"+name, err)
			}
			names = append(names, name)
			v.methods = append(v.methods, p)
			if !all || n == 0 {
				out.Methods = append(out.Methods, p.Methods...)
			}
		}
	}
	out.Request, out.Response = v.any, v.response
	if all {
		out.Request = v.all
	}
	return out, nil
}

// names are the methods, as far as they can be read.
func (c Config) names() (names []string) {
	for _, one := range c.Methods {
		for name := range one {
			names = append(names, name)
		}
	}
	return names
}

// below puts the pointers of a fault under the place where the method stands.
func below(at string, err error) error {
	f := fault.As(err)
	if len(f.Fields) == 0 {
		return err
	}
	var wrong []fault.Field
	for _, w := range f.Fields {
		wrong = append(wrong, fault.Field{Pointer: at + w.Pointer, Text: w.Text})
	}
	return fault.BadFields(wrong)
}

func listed(kinds []policy.Kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

type several struct{ methods []policy.Policy }

var (
	nothing   = fault.Of(fault.Unauthenticated, "proof-missing", "nothing was sent that proves who calls: send one of what the answer's WWW-Authenticate fields name")
	ambiguous = fault.Of(fault.Unauthenticated, "proof-repeated", "more than one proof of who calls was sent: send exactly one")
	different = fault.Of(fault.Unauthenticated, "proof-different", "the proofs are of different applications")
)

// any takes the one proof that was sent. Every method looks, so that none leaves its proof in what is forwarded.
func (s *several) any(x *policy.Exchange) error {
	var who policy.Principal
	var first error
	sent := 0
	for i := range s.methods {
		x.Principal = policy.Principal{}
		err := s.methods[i].Request(x)
		if f, ok := err.(*fault.Error); ok && f.Err == policy.ErrNothing { // errors.Is would allocate, for every method that is not used
			continue
		}
		if sent++; err != nil && first == nil {
			first = err
		}
		if err == nil {
			who = x.Principal
		}
	}
	x.Principal = policy.Principal{}
	switch {
	case sent == 0:
		return nothing
	case sent > 1:
		return ambiguous
	case first != nil:
		return first
	}
	x.Principal = who
	return nil
}

// all takes every proof, and refuses at the first that is wrong.
func (s *several) all(x *policy.Exchange) error {
	var who policy.Principal
	var refused error
	for i := range s.methods {
		x.Principal = policy.Principal{}
		err := s.methods[i].Request(x)
		switch {
		case err != nil && refused == nil:
			refused = err
		case err != nil || refused != nil:
		case i == 0:
			who = x.Principal
		case x.Principal.Application != who.Application || !x.Principal.Known():
			refused = different
		default:
			who.Constrained = who.Constrained || x.Principal.Constrained
			who.FAPI = who.FAPI || x.Principal.FAPI
		}
	}
	x.Principal = policy.Principal{}
	if refused != nil {
		return refused
	}
	x.Principal = who
	return nil
}

func (s *several) response(x *policy.Exchange) {
	for i := range s.methods {
		if s.methods[i].Response != nil {
			s.methods[i].Response(x)
		}
	}
}
