package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
	"gatehouse/drift/kong"
	"gatehouse/drift/live"
	"gatehouse/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is a server that answers as a gateway's own interface does, and remembers what it was asked.
type gateway struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	seen  http.Header
}

func serve(t *testing.T, h http.HandlerFunc) *gateway {
	t.Helper()
	g := &gateway{}
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.Method+" "+r.URL.RequestURI())
		g.seen = r.Header.Clone()
		g.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
		for _, a := range g.asked {
			if !strings.HasPrefix(a, "GET ") {
				t.Errorf("something else than a question was sent: %s", a)
			}
		}
	})
	return g
}

func (g *gateway) options() live.Options {
	return live.Options{Token: secret.New("the-token-0123456789"), Transport: g.Client().Transport, Sleep: func(time.Duration) {}}
}

// answers serves fixed documents by path and query.
func answers(t *testing.T, docs map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, k := range []string{r.URL.RequestURI(), r.URL.Path} {
			if d, ok := docs[k]; ok {
				_, _ = w.Write([]byte(d))
				return
			}
		}
		http.Error(w, `{"message":"Not found"}`, http.StatusNotFound)
	}
}

func all(t *testing.T, fsys fs.FS) string {
	t.Helper()
	var b strings.Builder
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		b.WriteString(name + "\n" + string(text) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func hides(t *testing.T, fsys fs.FS, secrets ...string) {
	t.Helper()
	text := all(t, fsys)
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("a secret is kept: %.6s…", s)
		}
	}
}

// same checks that what was fetched means the same as the files.
func same(t *testing.T, read drift.Reader, fetched fs.FS, files drifttest.Files) *drift.Environment {
	t.Helper()
	a, problems := read(fetched, drift.Options{Name: "a", Tier: drift.Prod, Now: drifttest.Now()})
	for _, p := range problems {
		t.Errorf("fetched: %s", p)
	}
	b := drifttest.Read(t, read, files, "b", drift.Prod)
	if len(a.Operations) == 0 || len(a.Operations) != len(b.Operations) {
		t.Fatalf("%d operations fetched, %d in the files", len(a.Operations), len(b.Operations))
	}
	for _, f := range drifttest.Between(drift.Compare([]*drift.Environment{a, b}, drift.Settings{Now: drifttest.Now()})) {
		t.Errorf("what was fetched means something else: %s %s %q %q", f.Rule, f.Field, f.A.Value, f.B.Value)
	}
	return a
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

func TestKong(t *testing.T) {
	g := serve(t, answers(t, map[string]string{
		"/":                          `{"version":"3.9.1","configuration":{"ssl_protocols":"TLSv1.2 TLSv1.3","pg_password":"hunter22secret","admin_gui_auth_conf":{"x":"hunter22secret"},"tracing_instrumentations":["off"],"log_level":"notice"}}`,
		"/services?size=1000":        `{"data":[{"id":"s1","name":"orders","protocol":"https","host":"orders.example.com","port":443}],"next":"/services?offset=x"}`,
		"/services?offset=x":         `{"data":[{"id":"s2","name":"items","protocol":"https","host":"items.example.com","port":443}],"next":null}`,
		"/routes?size=1000":          `{"data":[{"id":"r1","name":"get","methods":["GET"],"paths":["/orders"],"protocols":["https"],"service":{"id":"s1"}},{"id":"r2","name":"all","paths":["/items"],"protocols":["https"],"service":{"id":"s2"}}],"next":null}`,
		"/plugins?size=1000":         `{"data":[{"name":"key-auth","route":{"id":"r1"},"service":null,"consumer":null,"enabled":true,"config":{"key_names":["x-key"],"key_in_query":false,"hide_credentials":true}},{"name":"openid-connect","service":{"id":"s2"},"route":null,"enabled":true,"config":{"issuer":"https://login.example.com","client_secret":["hunter22secret"],"token_endpoint":"https://login.example.com/token"}},{"name":"rate-limiting","route":null,"service":null,"enabled":true,"config":{"minute":5,"policy":"redis","redis":{"password":"hunter22secret"}}}],"next":null}`,
		"/consumers?size=1000":       `{"data":[{"id":"c1","username":"alice"}],"next":null}`,
		"/certificates?size=1000":    `{"data":[{"id":"k1","cert":` + quoted(drifttest.Leafless(t, "a.example.com")) + `,"key":"-----BEGIN PRIVATE KEY-----\nhunter22secret\n-----END PRIVATE KEY-----"}],"next":null}`,
		"/consumer_groups?size=1000": `{"data":[{"id":"g1","name":"gold"},{"id":"g2","name":"late"}],"next":null}`,
		"/consumer_groups/g2":        `{"id":"g2","name":"late"}`, "/consumer_groups/g2/consumers?size=1000": `{"data":[{"id":"c1","username":"alice"}],"next":null}`,
		"/consumer_groups/g1":        `{"consumer_group":{"id":"g1"},"consumers":[{"id":"c1","username":"alice"}]}`,
		"/upstreams?size=1000":       `{"data":[],"next":null}`,
		"/ca_certificates?size=1000": `{"data":[],"next":null}`,
	}))
	fsys, problems, err := live.Fetch(context.Background(), live.Source{Gateway: "kong", Address: g.URL}, g.options())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	hides(t, fsys, "hunter22secret", "the-token")
	e := same(t, kong.Read, fsys, drifttest.Files{"kong.yaml": `_format_version: "3.0"
services:
- {name: orders, url: "https://orders.example.com", routes: [{name: get, methods: [GET], paths: [/orders], protocols: [https], plugins: [{name: key-auth, config: {key_names: [x-key], key_in_query: false, hide_credentials: true}}]}]}
- {name: items, url: "https://items.example.com", routes: [{name: all, paths: [/items], protocols: [https]}], plugins: [{name: openid-connect, config: {issuer: "https://login.example.com", client_secret: ["{vault://a/b}"]}}]}
plugins: [{name: rate-limiting, config: {minute: 5, policy: redis}}]
consumers: [{username: alice}]
consumer_groups: [{name: gold, consumers: [{username: alice}]}, {name: late, consumers: [{username: alice}]}]
`, "kong.conf": "ssl_protocols = TLSv1.2 TLSv1.3\nlog_level = notice\ntracing_instrumentations = off\n"})
	if len(e.Literals) > 0 {
		t.Errorf("what was masked is taken for a secret in a file: %+v", e.Literals)
	}
	if g.seen.Get("Kong-Admin-Token") != "the-token-0123456789" || g.seen.Get("Authorization") != "" {
		t.Errorf("the token goes in %v", g.seen)
	}
}

func kubeconfig(t *testing.T, g *gateway) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}, {name: b, context: {cluster: c, user: program}}, {name: open, context: {cluster: unsafe, user: u}}]\nclusters: [{name: c, cluster: {server: %q}}, {name: unsafe, cluster: {server: %q, insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: the-token-0123456789}}, {name: program, user: {exec: {command: /bin/false}}}]\n", g.URL, g.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const routeSpec = `{"parentRefs":[{"name":"gw"}],"rules":[{"matches":[{"path":{"type":"Exact","value":"/%s"}}],"backendRefs":[{"name":"s","port":80}]}]}`

func TestKubernetes(t *testing.T) {
	policy := `{"targetRefs":[{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"gw"}],"jwt":{"providers":[{"name":"p","issuer":"https://login.example.com","audiences":["a"],"remoteJWKS":{"uri":"https://login.example.com/jwks"}}]}}`
	docs := map[string]string{
		"/apis/gateway.networking.k8s.io": `{"preferredVersion":{"version":"v1"}}`, "/apis/gateway.envoyproxy.io": `{"preferredVersion":{"version":"v1alpha1"}}`,
		"/apis/gateway.networking.k8s.io/v1/gateways":                           `{"kind":"GatewayList","apiVersion":"gateway.networking.k8s.io/v1","metadata":{},"items":[{"metadata":{"name":"gw","namespace":"n","managedFields":[{"x":"hunter22secret"}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter22secret"}},"spec":{"gatewayClassName":"eg","listeners":[{"name":"l","protocol":"HTTPS","port":443}]}}]}`,
		"/apis/gateway.networking.k8s.io/v1/httproutes?limit=500":               `{"kind":"HTTPRouteList","apiVersion":"gateway.networking.k8s.io/v1","metadata":{"continue":"more"},"items":[{"metadata":{"name":"a","namespace":"n"},"spec":` + fmt.Sprintf(routeSpec, "a") + `}]}`,
		"/apis/gateway.networking.k8s.io/v1/httproutes?continue=more&limit=500": `{"kind":"HTTPRouteList","apiVersion":"gateway.networking.k8s.io/v1","metadata":{},"items":[{"metadata":{"name":"b","namespace":"n"},"spec":` + fmt.Sprintf(routeSpec, "b") + `}]}`,
		"/apis/gateway.envoyproxy.io/v1alpha1/securitypolicies":                 `{"kind":"SecurityPolicyList","apiVersion":"gateway.envoyproxy.io/v1alpha1","metadata":{},"items":[{"metadata":{"name":"p","namespace":"n"},"spec":` + policy + `}]}`,
	}
	ok := answers(t, docs)
	g := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/backendtrafficpolicies") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		ok(w, r)
	})
	o := g.options()
	o.Token, o.Kubeconfig = secret.Value{}, kubeconfig(t, g)
	fsys, problems, err := live.Fetch(context.Background(), live.Source{Gateway: "envoygateway", Address: "kubernetes:"}, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 1 || !problems[0].Partial || !strings.Contains(problems[0].Text, "may not read") {
		t.Errorf("what may not be read is not said: %v", problems)
	}
	hides(t, fsys, "hunter22secret", "the-token")
	same(t, envoygateway.Read, fsys, drifttest.Files{"a.yaml": `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: n}
spec: {gatewayClassName: eg, listeners: [{name: l, protocol: HTTPS, port: 443}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: n}
spec: ` + fmt.Sprintf(routeSpec, "a") + `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: b, namespace: n}
spec: ` + fmt.Sprintf(routeSpec, "b") + `
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: p, namespace: n}
spec: ` + policy})
	if g.seen.Get("Authorization") != "Bearer the-token-0123456789" {
		t.Errorf("the token goes in %v", g.seen)
	}
	for address, want := range map[string]string{"kubernetes:b": "which is not run here", "kubernetes:open": "is not verified", "kubernetes:z": "no context"} {
		if _, _, err := live.Fetch(context.Background(), live.Source{Gateway: "traefik", Address: address}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, _, err := live.Fetch(context.Background(), live.Source{Gateway: "traefik", Address: "kubernetes:"}, o); err == nil || !strings.Contains(err.Error(), "knows no ingressroutes") {
		t.Errorf("a cluster without Traefik: %v", err)
	}
}

const apim = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/svc"

func azureDocs(server string) map[string]string {
	q := "?api-version=2024-05-01"
	raw := "?format=rawxml&api-version=2024-05-01"
	one := func(path, properties string) string {
		return `{"id":"` + apim + path + `","name":"` + path[strings.LastIndexByte(path, '/')+1:] + `","properties":` + properties + `}`
	}
	list := func(next string, items ...string) string {
		return `{"value":[` + strings.Join(items, ",") + `],"nextLink":"` + next + `"}`
	}
	policy := func(s string) string { b, _ := json.Marshal(s); return `{"format":"rawxml","value":` + string(b) + `}` }
	return map[string]string{
		apim + q:                                     one("", `{"publisherEmail":"me@example.com","hostnameConfigurations":[{"type":"Proxy","hostName":"api.example.com"}]}`),
		apim + "/policies/policy" + raw:              one("/policies/policy", policy(`<policies><inbound><rate-limit-by-key calls="10" renewal-period="1" counter-key="@(context.Subscription.Id)" /></inbound><backend><forward-request /></backend><outbound /><on-error /></policies>`)),
		apim + "/namedValues" + q:                    list("", one("/namedValues/plain", `{"displayName":"db-password","value":"hunter22secret","secret":false}`), one("/namedValues/aud", `{"displayName":"aud","value":"api://orders","secret":false}`)),
		apim + "/backends" + q:                       list("", one("/backends/b", `{"url":"https://orders.example.com","protocol":"http","credentials":{"header":{"x-key":["hunter22secret"]}}}`)),
		apim + "/loggers" + q:                        list("", one("/loggers/l", `{"loggerType":"applicationInsights","credentials":{"instrumentationKey":"hunter22secret"}}`)),
		apim + "/apis" + q:                           list(server+apim+"/apis?page=2&api-version=2024-05-01", one("/apis/orders", `{"path":"orders","protocols":["https"],"serviceUrl":"https://orders.example.com","subscriptionRequired":true}`)),
		apim + "/apis?page=2&api-version=2024-05-01": list("", one("/apis/items", `{"path":"items","protocols":["https"],"serviceUrl":"https://items.example.com","subscriptionRequired":false}`)),
		apim + "/apis/orders/operations" + q:         list("", one("/apis/orders/operations/get", `{"displayName":"Get","method":"GET","urlTemplate":"/{id}"}`)),
		apim + "/apis/items/operations" + q:          list("", one("/apis/items/operations/all", `{"displayName":"All","method":"GET","urlTemplate":"/"}`)),
		apim + "/apis/orders/policies/policy" + raw:  one("/apis/orders/policies/policy", policy(`<policies><inbound><base /><validate-jwt header-name="Authorization"><openid-config url="https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration" /><audiences><audience>{{aud}}</audience></audiences></validate-jwt></inbound><backend><base /></backend><outbound><base /></outbound><on-error><base /></on-error></policies>`)),
		apim + "/products" + q:                       list("", one("/products/gold", `{"displayName":"Gold","subscriptionRequired":true,"approvalRequired":true,"state":"published"}`)),
		apim + "/products/gold/apis" + q:             list("", one("/apis/orders", `{}`)),
	}
}

func TestAzure(t *testing.T) {
	var docs map[string]string
	busy := map[string]bool{}
	var mu sync.Mutex
	g := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first := !busy[r.URL.RequestURI()]
		busy[r.URL.RequestURI()] = true
		mu.Unlock()
		if first && strings.HasSuffix(r.URL.Path, "/operations") { // asked too often
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		answers(t, docs)(w, r)
	})
	docs = azureDocs(g.URL)
	fsys, problems, err := live.Fetch(context.Background(), live.Source{Gateway: "azureapim", Address: g.URL + apim}, g.options())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	hides(t, fsys, "hunter22secret", "the-token", "me@example.com")
	e := same(t, azureapim.Read, fsys, drifttest.Files{"a.json": `{"$schema":"x","contentVersion":"1","resources":[
{"type":"Microsoft.ApiManagement/service","name":"svc","properties":{"hostnameConfigurations":[{"type":"Proxy","hostName":"api.example.com"}]}},
{"type":"Microsoft.ApiManagement/service/policies","name":"svc/policy","properties":{"format":"rawxml","value":"<policies><inbound><rate-limit-by-key calls=\"10\" renewal-period=\"1\" counter-key=\"@(context.Subscription.Id)\" /></inbound><backend><forward-request /></backend><outbound /><on-error /></policies>"}},
{"type":"Microsoft.ApiManagement/service/namedValues","name":"svc/aud","properties":{"displayName":"aud","value":"api://orders"}},
{"type":"Microsoft.ApiManagement/service/apis","name":"svc/orders","properties":{"path":"orders","protocols":["https"],"serviceUrl":"https://orders.example.com","subscriptionRequired":true}},
{"type":"Microsoft.ApiManagement/service/apis","name":"svc/items","properties":{"path":"items","protocols":["https"],"serviceUrl":"https://items.example.com","subscriptionRequired":false}},
{"type":"Microsoft.ApiManagement/service/apis/operations","name":"svc/orders/get","properties":{"method":"GET","urlTemplate":"/{id}"}},
{"type":"Microsoft.ApiManagement/service/apis/operations","name":"svc/items/all","properties":{"method":"GET","urlTemplate":"/"}},
{"type":"Microsoft.ApiManagement/service/apis/policies","name":"svc/orders/policy","properties":{"format":"rawxml","value":"<policies><inbound><base /><validate-jwt header-name=\"Authorization\"><openid-config url=\"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration\" /><audiences><audience>{{aud}}</audience></audiences></validate-jwt></inbound><backend><base /></backend><outbound><base /></outbound><on-error><base /></on-error></policies>"}},
{"type":"Microsoft.ApiManagement/service/products","name":"svc/gold","properties":{"displayName":"Gold","subscriptionRequired":true,"approvalRequired":true,"state":"published"}},
{"type":"Microsoft.ApiManagement/service/products/apis","name":"svc/gold/orders","properties":{}}]}`})
	if len(e.Operations) != 2 {
		t.Errorf("%d operations", len(e.Operations))
	}
}

// TestWorkloadIdentity: the token of the cluster is exchanged at the authority, and the service is only read.
func TestWorkloadIdentity(t *testing.T) {
	docs := map[string]string{}
	var posted string
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posted = r.Method + " " + r.URL.Path + " " + r.FormValue("client_assertion") + " " + r.FormValue("scope")
		_, _ = w.Write([]byte(`{"access_token":"exchanged-token"}`))
	}))
	defer authority.Close()
	g := serve(t, func(w http.ResponseWriter, r *http.Request) { answers(t, docs)(w, r) })
	docs[apim] = `{"id":"` + apim + `","properties":{}}`
	docs[apim+"/workspaces"] = `{"value":[{"id":"` + apim + `/workspaces/w","name":"w"}]}`
	docs[apim+"/policyFragments"] = `{"value":[{"id":"` + apim + `/policyFragments/f","name":"f"}]}`
	docs[apim+"/policyFragments/f"] = `{"id":"` + apim + `/policyFragments/f","name":"f","properties":{"value":"<fragment><set-header name=\"A\" /></fragment>"}}`
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("assertion\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := g.options()
	o.Token = secret.Value{}
	o.Environ = func(k string) string {
		return map[string]string{"AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_CLIENT_ID": "me", "AZURE_TENANT_ID": "ours", "AZURE_AUTHORITY_HOST": authority.URL}[k]
	}
	pool := g.Client().Transport.(*http.Transport).Clone()
	pool.TLSClientConfig.RootCAs.AddCert(authority.Certificate())
	o.Transport = pool
	defer pool.CloseIdleConnections()
	fsys, problems, err := live.Fetch(context.Background(), live.Source{Gateway: "azureapim", Address: g.URL + apim}, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 1 || problems[0].File != "workspaces/w" || !strings.Contains(all(t, fsys), "policyFragments") {
		t.Errorf("a workspace is passed over: %v", problems)
	}
	if posted != "POST /ours/oauth2/v2.0/token assertion "+g.URL+"/.default" || g.seen.Get("Authorization") != "Bearer exchanged-token" {
		t.Errorf("%s; %s", posted, g.seen.Get("Authorization"))
	}
	o.Environ = nil
	if _, _, err := live.Fetch(context.Background(), live.Source{Gateway: "azureapim", Address: g.URL + apim}, o); err == nil || !strings.Contains(err.Error(), "workload identity") {
		t.Errorf("without any credential: %v", err)
	}
}

// TestHostileGateways: none of these keeps a review from ending, or takes its token elsewhere.
func TestHostileGateways(t *testing.T) {
	stolen := ""
	thief := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen = r.Header.Get("Kong-Admin-Token") + "!" }))
	defer thief.Close()
	for name, c := range map[string]struct {
		h    func(w http.ResponseWriter, r *http.Request)
		want string
	}{
		"pages in a circle": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"data":[{}],"next":"/services?size=1000"}`)
		}, "circle"},
		"an endless answer": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"data":["`)
			b := strings.Repeat("a", 1<<20)
			for range 20 {
				if _, err := fmt.Fprint(w, b); err != nil {
					return
				}
			}
		}, "more than"},
		"a page elsewhere": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"data":[],"next":%q}`, thief.URL+"/services")
		}, "credentials are not taken"},
		"sent elsewhere":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, http.StatusFound) }, "answered 302"},
		"not JSON":           {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not what was asked for"},
		"refused":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "missing, wrong or has ended"},
		"always too busy":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "answered 429"},
		"nested without end": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":`+strings.Repeat("[", 100_000)) }, "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, c.h)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, problems, err := live.Fetch(ctx, live.Source{Gateway: "kong", Address: g.URL}, g.options())
			said := fmt.Sprint(err, problems)
			if !strings.Contains(said, c.want) || strings.Contains(said, "the-token") {
				t.Errorf("%s", said)
			}
			if len(g.asked) > 100 {
				t.Errorf("%d requests", len(g.asked))
			}
		})
	}
	if stolen != "" {
		t.Errorf("the token went elsewhere: %s", stolen)
	}
}

func TestAddresses(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ gateway, address, want string }{
		{"kong", "http://kong.example.com:8001", "plain HTTP"}, {"kong", "https://u:p@kong.example.com", "without user"}, {"kong", "ftp://x", "https://"},
		{"azureapim", "https://management.azure.com/subscriptions/x", "the address is not"}, {"traefik", "https://x", "kubernetes:CONTEXT"}, {"tyk", "https://x", "cannot be read while it runs"}, {"traefik", "kubernetes:", "KUBECONFIG"},
	} {
		if _, _, err := live.Fetch(ctx, live.Source{Gateway: c.gateway, Address: c.address}, live.Options{Token: secret.New("x")}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.gateway, c.address, err)
		}
	}
	// A deadline ends it.
	g := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, _, err := live.Fetch(short, live.Source{Gateway: "kong", Address: g.URL}, g.options()); err == nil {
		t.Error("a gateway that is silent is waited for")
	}
}
