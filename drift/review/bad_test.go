package review_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/review"
)

// small is one good file for each gateway, with one operation at least.
var small = map[string]map[string]string{
	"apigee":       {"apiproxy/proxies/p.xml": `<ProxyEndpoint name="p"><HTTPProxyConnection><BasePath>/a</BasePath></HTTPProxyConnection></ProxyEndpoint>`},
	"aws":          {"t.yaml": "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: HttpApi, Properties: {Path: /a, Method: get}}}}}}\n"},
	"azureapim":    {"policy/policy.xml": "<policies><inbound/></policies>"},
	"envoygateway": {"a.yaml": route}, "gatewayapi": {"a.yaml": route},
	"gatehouse":    {"gatehouse.yaml": "gatehouse: 1\nupstreams: [{name: o, targets: ['https://o.example.com']}]\napis: [{name: a, openapi: o.yaml, path: /a, upstream: o, policies: [anonymous]}]\n", "o.yaml": "openapi: 3.1.0\ninfo: {title: O, version: '1'}\npaths: {/b: {get: {operationId: b, responses: {'200': {description: ok}}}}}\n"},
	"ingressnginx": {"a.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {rules: [{http: {paths: [{path: /a, pathType: Exact, backend: {service: {name: s}}}]}}]}\n"},
	"kong":         {"k.yaml": "_format_version: '3.0'\nservices: [{name: a, url: 'https://a', routes: [{paths: [/a]}]}]\n"},
	"krakend":      {"k.json": `{"version": 3, "endpoints": [{"endpoint": "/a", "backend": [{"url_pattern": "/a", "host": ["https://a"]}]}]}`},
	"traefik":      {"t.yaml": "http: {routers: {r: {rule: 'Path(`/a`)', service: s}}}\n"},
	"tyk":          {"a.json": `{"name": "a", "api_id": "a", "use_keyless": true, "proxy": {"listen_path": "/a/", "target_url": "https://a"}, "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}}}`},
}

const route = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {listeners: [{name: l, protocol: HTTPS, port: 443}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: g}], rules: [{matches: [{path: {type: Exact, value: /a}}]}]}
`

// bad are files that hurt. Each is under a name that the readers look at.
func bad() map[string]string {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 10; i++ {
		p := string(rune('0' + i - 1))
		bomb.WriteString("a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.TrimSuffix(strings.Repeat("*a"+p+",", 10), ",") + "]\n")
	}
	deep := strings.Repeat("[", 100_000)
	return map[string]string{
		"bomb.yaml": bomb.String(), "deep.yaml": deep, "deep.json": deep, "cut.json": "{\n\"a\": [1,\n", "bad.yaml": "a: 1\n b: 2\n", "latin.yaml": "a: \xe9t\xe9\n", "latin.json": "{\"a\": \"\xe9\"}", "selfref.yaml": "a: &a {b: *a}\n",
		"odd.yaml": "\xff\xfea", "zero.json": "{\"a\": \"\x00\"}",
	}
}

var badXML = map[string]string{
	"apiproxy/policies/entity.xml": "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<a>&x;</a>",
	"apiproxy/policies/laugh.xml":  "<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;&x;\">]>\n<a>&z;</a>",
	"apiproxy/policies/deep.xml":   strings.Repeat("<a>", 100_000),
	"apiproxy/policies/cut.xml":    "<a>\n<b>",
	"apiproxy/policies/latin.xml":  "<a>\xe9</a>",
}

// TestBadInput: whatever lies beside it, the good file is read, each bad one is said with its name, and the coverage is not whole.
func TestBadInput(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	if err := os.WriteFile(outside, []byte("outside: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for gateway, files := range small {
		t.Run(gateway, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				p := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range files {
				write(name, text)
			}
			want := map[string]bool{"large.yaml": true, "link.yaml": true, "folder": true}
			others := bad()
			if gateway != "kong" && gateway != "traefik" {
				delete(others, "bomb.yaml") // all of them parse it in the same way, and it takes its time
			}
			if gateway == "apigee" { // which reads XML, and settings in JSON
				for name := range others {
					if strings.HasSuffix(name, ".yaml") {
						delete(others, name)
					}
				}
				for name, text := range badXML {
					others[name] = text
				}
				delete(want, "large.yaml")
			}
			if gateway == "azureapim" { // whose documents need not be well-formed, and whose YAML is a specification beside an API
				for name := range others {
					if strings.HasSuffix(name, ".yaml") {
						delete(others, name)
					}
				}
				delete(want, "large.yaml")
			}
			if gateway == "gatehouse" {
				for name := range others {
					if strings.HasSuffix(name, ".json") {
						delete(others, name)
					}
				}
			}
			for name, text := range others {
				write(name, text)
				want[name] = true
			}
			large, err := os.Create(filepath.Join(dir, "large.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := large.Truncate(100 << 20); err != nil { // holes: it takes no room
				t.Fatal(err)
			}
			if err := large.Close(); err != nil {
				t.Fatal(err)
			}
			for link, to := range map[string]string{"link.yaml": outside, "folder": filepath.Dir(outside)} {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			e, err := review.Source{Name: "x", Tier: drift.Prod, Gateway: gateway, Folder: dir}.Read(drifttest.Now())
			if err != nil {
				t.Fatal(err)
			}
			drifttest.Invariants(t, gateway, e)
			if len(e.Operations) == 0 && gateway != "gatehouse" { // a manifest with a mistake anywhere is published nowhere
				t.Error("the good file was not read")
			}
			if drift.Cover(e).Whole() || e.Files.Failed == 0 {
				t.Errorf("the coverage is said to be whole: %+v", e.Files)
			}
			said := map[string]string{}
			for _, p := range e.Problems {
				if p.Partial {
					said[p.File] += p.Text
				}
				if strings.Contains(p.Text, "outside: 1") || strings.Contains(p.Text, "root:") {
					t.Errorf("something outside was read: %s", p)
				}
			}
			for name := range want {
				if said[name] == "" {
					t.Errorf("nothing is said of %s", name)
				}
			}
		})
	}
}

// TestHalfARepository: what is named and not there is a gap, and what is there is read.
func TestHalfARepository(t *testing.T) {
	for gateway, files := range map[string]drifttest.Files{
		"apigee":       {"apiproxy/proxies/p.xml": `<ProxyEndpoint name="p"><PreFlow><Request><Step><Name>Gone</Name></Step></Request></PreFlow><HTTPProxyConnection><BasePath>/a</BasePath></HTTPProxyConnection></ProxyEndpoint>`},
		"azureapim":    {"policy/policy.xml": `<policies><inbound><include-fragment fragment-id="gone"/></inbound></policies>`},
		"envoygateway": {"a.yaml": strings.Replace(route, "spec: {listeners", "spec: {infrastructure: {parametersRef: {kind: EnvoyProxy, name: gone}}, listeners", 1)},
		"kong":         {"k.yaml": "_format_version: '3.0'\nservices: [{name: a, url: 'https://a', routes: [{paths: [/a]}]}]\nplugins: [{name: jwt, service: gone}]\n"},
		"traefik":      {"t.yaml": "http: {routers: {r: {rule: 'Path(`/a`)', middlewares: [gone], service: s}}}\n"},
		"ingressnginx": {"a.yaml": small["ingressnginx"]["a.yaml"]},
	} {
		e, _ := reader(t, gateway)(files.FS(), drift.Options{Name: "x", Now: drifttest.Now()})
		if len(e.Operations) == 0 || len(e.Gaps) == 0 || drift.Cover(e).Whole() {
			t.Errorf("%s: %d operations, gaps %v", gateway, len(e.Operations), e.Gaps)
		}
	}
}

// TestReadersReachNothing: no reader imports what could open a connection, run a program, or open a file by itself.
func TestReadersReachNothing(t *testing.T) {
	dirs, err := filepath.Glob("../*")
	if err != nil || len(dirs) == 0 {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, "..") {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			base := filepath.Base(dir)
			if strings.HasSuffix(file, "_test.go") || base == "live" || base == "handshake" || base == "drifttest" {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				switch path := strings.Trim(i.Path.Value, `"`); path {
				case "net", "net/http", "os/exec", "plugin", "syscall", "unsafe", "crypto/tls":
					t.Errorf("%s imports %s", file, path)
				case "os":
					if base != "source" && base != "review" && base != "plan" {
						t.Errorf("%s imports %s: files are read through drift/source", file, path)
					}
				}
			}
		}
	}
}
