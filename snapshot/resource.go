package snapshot

import (
	"slices"
	"strings"
)

// oauthMethod is the kind of credential whose tokens an API takes as a protected resource.
const oauthMethod = "oauth_client"

// Resource returns the scopes that operations of the API with that base need, and whether any of them takes access tokens of the
// environment's issuer.
func (r *Routes) Resource(base string) (scopes []string, ok bool) {
	for _, route := range r.All {
		if strings.TrimSuffix(route.Base, "/") == base && slices.Contains(route.methods, oauthMethod) {
			ok = true
			scopes = append(scopes, route.Scopes...)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), ok
}
