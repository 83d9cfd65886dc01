// Package apikey is the policy that knows a caller by an API key.
package apikey

import (
	"strconv"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

// Method is what Principal.Method says of a caller with an API key.
const Method = "api_key"

// Config is the settings of api_key.
type Config struct {
	Header string `json:"header"` // the field in which the key is sent; default: X-API-Key. A query parameter is never read
	Bearer bool   `json:"bearer"` // take the key from "Authorization: Bearer …" as well; default: false
}

// Kind is the policy "api_key".
func Kind() policy.Kind {
	return policy.Define(Method, policy.Authenticate,
		"The caller proves its application with an API key of this environment. The key is not forwarded.", build)
}

func build(c Config, s policy.Site, _ policy.Deps) (policy.Policy, error) {
	if c.Header == "" {
		c.Header = "X-API-Key"
	}
	if why := policy.CheckOwnField(c.Header); why != "" {
		return policy.Policy{}, fault.Bad("/header", "%s", why)
	}
	k := &keys{header: c.Header, bearer: c.Bearer, environment: s.Route.Environment}
	realm := strconv.Quote(s.Route.Environment) // an environment's name is letters, digits and hyphens
	challenge := "ApiKey realm=" + realm + ", header=" + strconv.Quote(c.Header)
	if c.Bearer {
		challenge += ", Bearer realm=" + realm
	}
	k.challenge = wire.View(challenge)
	return policy.Policy{Request: k.request, Response: k.response, Methods: []string{Method}}, nil
}

type keys struct {
	header      string
	bearer      bool
	environment string
	challenge   wire.View
}

// The refusals. Each is told to callers and counted by its code; an unknown key and a known one with a wrong secret are
// the same.
var (
	missing   = fault.Of(fault.Unauthenticated, "key-missing", "no API key was sent").Because(policy.ErrNothing)
	repeated  = fault.Of(fault.Unauthenticated, "key-repeated", "more than one API key was sent: send exactly one")
	malformed = fault.Of(fault.Unauthenticated, "key-malformed", "this is not an API key of this platform: look for a character that is missing or mistyped")
	unknown   = fault.Of(fault.Unauthenticated, "key-unknown", "this API key is not known here")
	refusals  = policy.NewRefusals("key", "API key")
)

func (k *keys) request(x *policy.Exchange) error {
	key, err := k.take(x.Request.Fields)
	if err != nil {
		return err
	}
	parsed, ok := credential.ParseKey(key)
	if !ok {
		return malformed
	}
	if string(parsed.Environment) != k.environment {
		return fault.Of(fault.Unauthenticated, "wrong-environment", "this API key is for the environment %s; this is %s", parsed.Environment, k.environment)
	}
	c, ok := x.Access.Credential(parsed.Public, parsed.Hash())
	if !ok || c.Kind != Method {
		return unknown
	}
	return x.Accept(&c, refusals)
}

// take finds the one key among the fields and deletes every field that could carry one.
func (k *keys) take(fields wire.Fields) (key wire.View, err error) {
	found := 0
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Name.EqualFold(k.header):
			key = f.Value
		case k.bearer && f.Name.EqualFold("Authorization") && len(f.Value) > 7 && f.Value[:7].EqualFold("Bearer "):
			key = f.Value[7:]
		default:
			continue
		}
		found++
		*f = wire.Field{}
	}
	switch {
	case found > 1:
		return nil, repeated
	case found == 0 || len(key) == 0:
		return nil, missing
	}
	return key, nil
}

// response tells whoever is refused for want of a key how to send one (RFC 9110 §11.6.1).
func (k *keys) response(x *policy.Exchange) {
	if x.Refusal != nil && x.Refusal.Kind == fault.Unauthenticated {
		x.Response.Fields.Add(nameChallenge, k.challenge)
	}
}

var nameChallenge = wire.View("WWW-Authenticate")
