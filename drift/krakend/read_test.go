package krakend_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/krakend"
)

// TestCorpus reads every file of the corpus.
func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "krakend")
	files, ops := 0, 0
	var total []*drift.Environment
	drifttest.EachFile(t, dir, []string{".json", ".yaml", ".yml", ".tmpl"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := krakend.Read(fsys, drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, append(drifttest.Secrets(text), "guest:guest", "pas5w0rd"))
		for _, p := range problems {
			t.Errorf("%s: %s", name, p)
		}
		open := 0
		for _, o := range e.Operations {
			if o.General().Auth.Ways.Value.Open() {
				open++
			}
		}
		if ops += len(e.Operations); open != len(e.Operations)-2 {
			t.Errorf("%s: %d of %d operations are open, want all but two", name, open, len(e.Operations))
		}
		total = append(total, e)
	})
	if files == 0 || ops != 15 {
		t.Errorf("%d files, %d operations, want 15", files, ops)
	}
	t.Logf("%d files, %d operations; %s", files, ops, drift.CoverAll(total))
	whole, _ := krakend.Read(os.DirFS(dir), drift.Options{Name: "all"})
	drifttest.Invariants(t, "all", whole)
}

func read(t *testing.T, text string) *drift.Environment {
	t.Helper()
	return drifttest.Read(t, krakend.Read, drifttest.Files{"krakend.json": text}, "x", drift.Prod)
}

func wrap(endpoint, service string) string {
	if service != "" {
		service = "," + service
	}
	return `{"version":3,"endpoints":[{"endpoint":"/a","backend":[{"host":["https://u"],"url_pattern":"/"}]` + endpoint + `}]` + service + `}`
}

// TestNothingIsInherited holds what is particular about KrakenD's authentication.
func TestNothingIsInherited(t *testing.T) {
	const validator = `"extra_config":{"auth/validator":{"alg":"RS256","jwk_url":"https://i/jwk"}}`
	for _, c := range []struct{ name, endpoint, service, want, state string }{
		{"none", "", "", "open", "default"},
		{"its own", "," + validator, "", "jwt", "set"},
		{"the service's does nothing", "", validator, "open", "default"},
		{"keys and tokens are both demanded", `,"extra_config":{"auth/api-keys":{"roles":["a"]},"auth/validator":{"alg":"RS256","jwk_url":"https://i/jwk"}}`, "", "api_key and jwt", "set"},
		{"mutual TLS is the service's", "", `"tls":{"keys":[],"enable_mtls":true}`, "mtls", "inherited"},
		{"code may refuse", `,"extra_config":{"modifier/lua-endpoint":{"pre":"check()"}}`, "", "open", "unresolved"},
		{"a plugin may refuse", "", `"extra_config":{"plugin/http-server":{"name":["mine"]}}`, "open", "unresolved"},
		{"the vendor's filters do not", "", `"extra_config":{"plugin/http-server":{"name":["ip-filter"],"ip-filter":{"CIDR":["10.0.0.0/8"],"allow":true}}}`, "open", "default"},
	} {
		e := read(t, wrap(c.endpoint, c.service))
		drifttest.Invariants(t, c.name, e)
		a := e.Operations[0].General().Auth.Ways
		if got := a.Value.String(); got != c.want || a.State.String() != c.state {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, a.State, c.want, c.state)
		}
	}
	if d := read(t, wrap("", validator)).Detached; len(d) != 1 || !d[0].Auth {
		t.Errorf("the service's validator is not said to do nothing: %+v", d)
	}
}

func TestUnknownIsSaid(t *testing.T) {
	e := read(t, wrap(`,"extra_config":{"auth/validator":{"issuer":"{{ .issuer }}"},"qos/ratelimit/router":{"max_rate":"{{ .rate }}"}}`, `"extra_config":{"security/cors":"{{ include \"cors.json\" }}"}`))
	p := e.Operations[0].General()
	for name, s := range map[string]drift.State{"issuer": p.Auth.Ways.Value.All()[0].JWT.Issuers.State, "rate": p.Rates.Value[0].Count.State, "cors": p.CORS.Enabled.State} {
		if s != drift.Unresolved {
			t.Errorf("%s of a template is %s", name, s)
		}
	}
	for _, text := range []string{`{"version":3,"endpoints":[ {{ range .e }} {"endpoint":"/a"} {{ end }} ]}`, `{"version":3,"endpoints":[{"endpoint":{{ .x }}}]}`} {
		for _, name := range []string{"krakend.tmpl", "krakend.json"} {
			e, problems := krakend.Read(drifttest.Files{name: text}.FS(), drift.Options{Name: "x"})
			if len(e.Gaps) != 1 || len(problems) != 1 || !problems[0].Partial || drift.Cover(e).Whole() {
				t.Errorf("%s: gaps %v, problems %v", name, e.Gaps, problems)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good()["krakend.json"]))
	f.Add([]byte(wrap(`,"timeout":-1,"extra_config":{"qos/ratelimit/router":{"max_rate":0.0001,"every":"x"}}`, `"timeout":"1h{{","tls":[]`)))
	f.Add([]byte(`{"endpoints":[{"endpoint":"{{","backend":{}}],"extra_config":[]}`))
	f.Add([]byte(strings.Repeat(`{"extra_config":`, 300)))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _ := krakend.Read(drifttest.Files{"krakend.json": string(b)}.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
