package app

import (
	"gatehouse/authority"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
	"gatehouse/policy/apikey"
	"gatehouse/policy/clientcert"
	"gatehouse/policy/cors"
	"gatehouse/policy/granted"
	"gatehouse/policy/headers"
	"gatehouse/policy/limit"
	"gatehouse/policy/oauth"
	"gatehouse/policy/requestsize"
	"gatehouse/policy/several"
	"gatehouse/policy/workload"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/token"
)

// Kinds lists the policies that routes can name. A build of one's own passes append(app.Kinds(), …).
func Kinds() []policy.Kind {
	methods := []policy.Kind{apikey.Kind(), oauth.Kind(), clientcert.Kind(), workload.Kind()}
	return append(methods,
		anonymous.Kind(),
		several.AnyOf(methods),
		several.AllOf(methods),
		granted.Kind(),
		granted.WithoutKind(),
		limit.Kind(),
		requestsize.Kind(),
		cors.Kind(),
		headers.Kind(),
	)
}

// Check says what a publish of the bundle would say, for each environment that it names. It is pure. Secrets are taken to
// be there: which of them a gateway has is not the manifest's matter.
func Check(b manifest.Bundle) []manifest.Diagnostic {
	p, diagnostics := manifest.Parse(b)
	if manifest.Fatal(diagnostics) {
		return diagnostics
	}
	limiter := ratelimit.NewLimiter(1)
	d := policy.Deps{
		Limiter: func(string) *ratelimit.Limiter { return limiter }, Tokens: policy.NewTokens(), Proofs: token.NewProver(),
		Secret:  func(string) (secret.Value, bool) { return secret.New("there"), true },
		Trusted: func(*policy.TrustedIssuer) *policy.TrustedKeys { return policy.NewTrustedKeys() },
		Revoked: func(*authority.Authority) *policy.Revocations { return policy.NewRevocations() },
	}
	seen := map[manifest.Diagnostic]bool{}
	for _, e := range p.Environments {
		_, found := snapshot.Compile(p, e.Name, 0, Kinds(), d)
		for _, f := range found {
			if !seen[f] { // once, not once for each environment
				seen[f] = true
				diagnostics = append(diagnostics, f)
			}
		}
	}
	return diagnostics
}
