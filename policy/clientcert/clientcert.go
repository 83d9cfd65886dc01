// Package clientcert is the policy that knows a caller by the certificate of its TLS connection.
package clientcert

import (
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/secret"
)

// Method is what Principal.Method says of a caller with a certificate.
const Method = string(credential.Certificate)

// Config has no settings.
type Config struct{}

// Kind is the policy "client_certificate".
func Kind() policy.Kind {
	return policy.Define(Method, policy.Authenticate,
		"The caller proves its application with the certificate of its TLS connection, which the application has enrolled. The listener must ask for certificates.",
		func(Config, policy.Site, policy.Deps) (policy.Policy, error) {
			return policy.Policy{Request: request, Methods: []string{Method}}, nil
		})
}

// The refusals.
var (
	missing  = fault.Of(fault.Unauthenticated, "certificate-missing", "connect with the client certificate that your application has enrolled").Because(policy.ErrNothing)
	unknown  = fault.Of(fault.Unauthenticated, "certificate-unknown", "this client certificate is not known here")
	outdated = fault.Of(fault.Unauthenticated, "certificate-dates", "this client certificate is not valid yet, or not any more")
	refusals = policy.NewRefusals("certificate", "client certificate")
)

// request finds the certificate by the hash of all of it: the connection has proven that the caller holds its key.
func request(x *policy.Exchange) error {
	if x.TLS == nil || x.TLS.Certificate == nil {
		return missing
	}
	c, ok := x.Access.Marked(secret.Hash(x.TLS.Thumbprint))
	if !ok || c.Kind != Method {
		return unknown
	}
	if x.Now.Before(x.TLS.Certificate.NotBefore) || !x.Now.Before(x.TLS.Certificate.NotAfter) {
		return outdated
	}
	if err := x.Accept(&c, refusals); err != nil {
		return err
	}
	x.Principal.Constrained = true
	x.Principal.Expires = x.TLS.Certificate.NotAfter.UnixMicro()
	return nil
}
