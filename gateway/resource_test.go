package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/policy"
)

// protected is a policy that takes access tokens, and refuses all of them.
func protected() policy.Kind {
	return policy.Define("protected", policy.Authenticate, "Takes access tokens.", func(struct{}, policy.Site, policy.Deps) (policy.Policy, error) {
		return policy.Policy{Request: func(*policy.Exchange) error { return fault.New(fault.Unauthenticated, "no") }, Methods: []string{"oauth_client"}}, nil
	})
}

// A gateway tells of its APIs as protected resources, by their paths, once there is an issuer and some operation takes its tokens.
func TestProtectedResource(t *testing.T) {
	both(t, func(t *testing.T, codec gateway.Codec) {
		h := start(t, setup{codec: codec})
		const at = "/.well-known/oauth-protected-resource/eid/v1"
		h.do(call{path: at}).want(t, 404, "no-route")
		h.inForce(h.line.publish(t, feed.KindIssuer, "live", feed.Issuer{URL: "https://portal.test/oauth/live", Audience: "https://api.test", Keys: json.RawMessage(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)}))
		h.do(call{path: at}).want(t, 404, "no-route") // nothing takes its tokens
		b := files(h.upstream.URL, "")
		b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "    operations:\n", "    operations:\n      - {id: whoami, remove: [api_key], policies: [protected]}\n", 1))
		h.inForce(h.revise(b))
		a := h.do(call{path: at})
		var got struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Resource != "https://api.test/eid/v1" || len(got.Servers) != 1 || len(got.Scopes) != 1 || got.Scopes[0] != "read" {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		h.do(call{path: at + "/"}).want(t, 200, "")
		for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resourceeid/v1", at + "/whoami", "/.well-known/oauth-protected-resource/other"} {
			h.do(call{path: path}).want(t, 404, "no-route")
		}
		h.do(call{method: "POST", path: at}).want(t, 404, "no-route")
	})
}
