package ingressnginx_test

import (
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
)

// one is an Ingress with annotations, beside a controller's ConfigMap.
func one(annotations, config string) drifttest.Files {
	return drifttest.Files{"i.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i\n  namespace: shop\n  annotations:\n    a: b\n" + indent(annotations) +
		"spec:\n  rules:\n  - host: a.example.com\n    http: {paths: [{path: /a, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}\n",
		"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller}\ndata:\n  x: y\n" + strings.ReplaceAll("\n"+config, "\n", "\n  ")}
}

func indent(annotations string) string {
	var b strings.Builder
	for _, a := range strings.Split(annotations, "\n") {
		if a != "" {
			b.WriteString("    nginx.ingress.kubernetes.io/" + a + "\n")
		}
	}
	return b.String()
}

func TestWhoGetsIn(t *testing.T) {
	for _, c := range []struct{ name, annotations, config, want, state string }{
		{"none", "", "", "open", "default"},
		{"an authorizer", "auth-url: https://a/x", "", "ext_authz", "set"},
		{"of all", "", "global-auth-url: https://a/x", "ext_authz", "inherited"},
		{"of all, taken out", "enable-global-auth: 'false'", "global-auth-url: https://a/x", "open", "set"},
		{"its own in place of that of all", "auth-url: https://b/x", "global-auth-url: https://a/x", "ext_authz", "set"},
		{"a path that is not asked", "", "global-auth-url: https://a/x\nno-auth-locations: /a", "open", "inherited"},
		{"a password and an authorizer", "auth-url: https://a/x\nauth-type: basic\nauth-secret: users", "", "basic and ext_authz", "set"},
		{"any of them", "auth-url: https://a/x\nauth-type: basic\nauth-secret: users\nsatisfy: any", "", "basic or ext_authz", "set"},
		{"or an address, which is no proof", "auth-url: https://a/x\nwhitelist-source-range: 10.0.0.0/8\nsatisfy: any", "", "ext_authz or ip", "set"},
		{"a password without its list", "auth-type: basic", "", "open", "default"},
		{"certificates", "auth-tls-secret: shop/ca", "", "mtls", "set"},
		{"certificates that are not demanded", "auth-tls-secret: shop/ca\nauth-tls-verify-client: optional", "", "open", "default"},
		{"a snippet that is taken", "configuration-snippet: auth_request /x;", "allow-snippet-annotations: 'true'", "open", "unresolved"},
		{"a snippet that is refused", "configuration-snippet: auth_request /x;", "", "open", "default"},
		{"a snippet about something else", "configuration-snippet: gzip on;", "allow-snippet-annotations: 'true'", "open", "default"},
		{"a template", "auth-url: '{{ .url }}'", "", "ext_authz", "set"},
		{"passed through", "ssl-passthrough: 'true'", "", "open", "unresolved"},
	} {
		e := drifttest.Read(t, ingressnginx.Read, one(c.annotations, c.config), "x", drift.Prod)
		drifttest.Invariants(t, c.name, e)
		a := e.Operations[0].General().Auth.Ways
		if got := a.Value.String(); got != c.want || a.State.String() != c.state {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, a.State, c.want, c.state)
		}
	}
}

// TestOneHostIsOneServer: what counts for a server counts for the paths of other Ingresses of its host, and the oldest wins.
func TestOneHostIsOneServer(t *testing.T) {
	f := one("auth-tls-secret: shop/ca\nuse-regex: 'true'", "")
	f["z.yaml"] = strings.NewReplacer("name: i\n", "name: z\n  creationTimestamp: '2020-01-01T00:00:00Z'\n", "path: /a", "path: /z(.*)").Replace(one("", "")["i.yaml"])
	f["y.yaml"] = strings.NewReplacer("name: i\n", "name: y\n").Replace(one("auth-url: https://x", "")["i.yaml"])
	f["o.yaml"] = strings.NewReplacer("name: i\n", "name: o\n", "spec:\n", "spec:\n  ingressClassName: traefik\n").Replace(one("", "")["i.yaml"])
	e := drifttest.Read(t, ingressnginx.Read, f, "x", drift.Prod)
	var got []string
	for _, o := range e.Operations {
		got = append(got, o.Key.String()+" "+o.General().Auth.Ways.Value.String()+" "+o.General().Auth.Ways.State.String())
	}
	if s := strings.Join(got, ", "); s != "* /z/** mtls inherited, * /a/** mtls set" {
		t.Error(s)
	}
	if len(e.Problems) != 2 {
		t.Errorf("the younger Ingress of the same path, and the one of another class, are not said: %v", e.Problems)
	}
}

// TestWithoutTheConfigMap: what it may hold is not known, unless it is said that there is none.
func TestWithoutTheConfigMap(t *testing.T) {
	f := one("", "")
	delete(f, "c.yaml")
	e := drifttest.Read(t, ingressnginx.Read, f, "x", drift.Prod)
	p := e.Operations[0].General()
	if len(e.Gaps) != 1 || p.TLS.Min.State != drift.Unresolved || p.Auth.Ways.State != drift.Unresolved || p.Limits.Body.State != drift.Unresolved {
		t.Errorf("gaps %v, TLS %s, who gets in %s", e.Gaps, p.TLS.Min.State, p.Auth.Ways.State)
	}
	e, _ = ingressnginx.Read(f.FS(), drift.Options{Name: "x", Values: map[string]string{"configmap": "none"}})
	p = e.Operations[0].General()
	if len(e.Gaps) != 0 || p.TLS.Min.State != drift.Default || p.TLS.Min.Value != "1.2" || p.Limits.Body.Value != 1<<20 {
		t.Errorf("gaps %v, TLS %+v", e.Gaps, p.TLS.Min)
	}
	f["values.yaml"] = "controller:\n  replicaCount: 2\n  config: {ssl-protocols: TLSv1.3, proxy-body-size: 8m}\n"
	f["i.yaml"] = one("limit-rps: '5'", "")["i.yaml"]
	e = drifttest.Read(t, ingressnginx.Read, f, "x", drift.Prod)
	p = e.Operations[0].General()
	if p.TLS.Min.Value != "1.3" || p.TLS.Min.State != drift.Inherited || p.Limits.Body.Value != 8<<20 || p.Rates.Value[0].Replicas.Value != 2 || p.Rates.Value[0].Burst.Value != 25 {
		t.Errorf("values of the chart: %+v %+v %+v", p.TLS.Min, p.Limits.Body, p.Rates)
	}
}

func TestSecretsAreNotKept(t *testing.T) {
	f := one("auth-type: basic\nauth-secret: users\nconfiguration-snippet: proxy_set_header X-Api-Key sk_live_0123456789abcdef0123;\nauth-url: https://u:hunter22secret@a/x", "allow-snippet-annotations: 'true'")
	f["s.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: users, namespace: shop}\nstringData: {auth: 'me:{SHA}0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33'}\n"
	e := drifttest.Read(t, ingressnginx.Read, f, "x", drift.Prod)
	drifttest.Hidden(t, "secrets", e, []string{"sk_live_0123456789abcdef0123", "hunter22secret", "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"})
	if len(e.Literals) != 1 {
		t.Errorf("a password list among the files is not said: %v", e.Literals)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(goodIngress + "---\n" + goodController)
	f.Add(one("limit-rpm: 9223372036854775807\nauth-cache-duration: ', ,'\nauth-url: '::'\nauth-cache-key: x", "large-client-header-buffers: '9999999 9g'")["i.yaml"])
	f.Add("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {annotations: [1]}\nspec: {rules: [{http: {paths: [{path: '['}]}}], tls: [x]}")
	f.Fuzz(func(t *testing.T, s string) {
		e, _ := ingressnginx.Read(drifttest.Files{"i.yaml": s}.FS(), drift.Options{Name: "x", Values: map[string]string{"configmap": "none"}})
		drifttest.Invariants(t, "fuzz", e)
	})
}
