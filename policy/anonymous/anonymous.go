// Package anonymous is the policy by which a route says aloud that anybody may call it.
package anonymous

import (
	"gatehouse/credential"
	"gatehouse/policy"
	"gatehouse/wire"
)

// Config has no settings.
type Config struct{}

// Kind is the policy "anonymous".
func Kind() policy.Kind {
	return policy.Define(policy.Anybody, policy.Authenticate,
		"Anybody may call: nothing is asked for. A key that is sent all the same is not forwarded.",
		func(Config, policy.Site, policy.Deps) (policy.Policy, error) {
			return policy.Policy{Request: request}, nil
		})
}

func request(x *policy.Exchange) error {
	x.Principal.Method = policy.Anybody
	for i := range x.Request.Fields { // clients that send their key with every call must not hand it to an upstream here
		v := x.Request.Fields[i].Value
		if len(v) > len(bearer) && wire.View(v[:len(bearer)]).EqualFold(bearer) {
			v = v[len(bearer):]
		}
		if _, isKey := credential.ParseKey(v); isKey {
			x.Request.Fields[i] = wire.Field{}
		}
	}
	return nil
}

const bearer = "Bearer "
