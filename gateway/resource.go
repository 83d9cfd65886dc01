package gateway

import (
	"bytes"
	"encoding/json"
	"strings"

	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/token"
	"gatehouse/wire"
)

var (
	typeJSON   = wire.View("application/json")
	briefly    = wire.View("max-age=300")
	methodGet  = "GET"
	longestAPI = 512 // bytes of a path that is looked for
)

// tellsResource answers a request for the metadata of an API as a protected resource (RFC 9728 §3), and reports whether it was one.
// It is asked only about what no route is for.
func (g *Gateway) tellsResource(c *carrier, v *snapshot.View) bool {
	x := &c.x
	path := x.Request.Path
	if len(path) < len(policy.ResourcePath) || len(path) > longestAPI || string(path[:len(policy.ResourcePath)]) != policy.ResourcePath || string(x.Request.Method) != methodGet {
		return false
	}
	base := strings.TrimSuffix(string(path[len(policy.ResourcePath):]), "/")
	by := v.Issuer()
	if by == nil || base != "" && base[0] != '/' {
		return false
	}
	scopes, ok := v.Resource(base)
	if !ok {
		return false
	}
	raw, err := json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
		DPoP     []string `json:"dpop_signing_alg_values_supported"`
		Bound    bool     `json:"tls_client_certificate_bound_access_tokens"`
	}{by.Audience + base, []string{by.URL}, scopes, []string{"header"}, token.Strong(), true})
	if err != nil {
		return false
	}
	x.Answer(200, bytes.NewReader(raw), int64(len(raw)))
	x.Response.Fields.Add(nameContentType, typeJSON)
	x.Response.Fields.Add(nameCacheControl, briefly)
	return true
}
