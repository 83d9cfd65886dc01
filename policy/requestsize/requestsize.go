// Package requestsize is the policy that bounds the body of a request.
package requestsize

import (
	"gatehouse/fault"
	"gatehouse/policy"
)

// Config is the settings of request_size.
type Config struct {
	Max policy.Size `json:"max"` // the most bytes of body, such as 64KB or 10MB; it must be given
}

// Kind is the policy "request_size".
func Kind() policy.Kind {
	return policy.Define("request_size", policy.Admit,
		"Refuses a larger request body with 413: at once when its length is declared, else as soon as it is too long.",
		func(c Config, _ policy.Site, _ policy.Deps) (policy.Policy, error) {
			if c.Max == "" {
				return policy.Policy{}, fault.Bad("/max", "must be given, such as 64KB")
			}
			most, err := c.Max.Bytes()
			if err != nil {
				return policy.Policy{}, fault.Bad("/max", "%v", err)
			}
			if most < 1 {
				return policy.Policy{}, fault.Bad("/max", "must be at least 1 byte")
			}
			return policy.Policy{Request: func(x *policy.Exchange) error {
				x.BodyLimit = most
				if x.Request.Length > most {
					return policy.TooLarge(most)
				}
				return nil
			}}, nil
		})
}
