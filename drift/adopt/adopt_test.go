package adopt_test

import (
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
	"gatehouse/drift/gatehouse"
	"gatehouse/drift/kong"
	"gatehouse/manifest"
)

const deck = `_format_version: "3.0"
services:
- name: orders
  url: https://orders.example.com/v2
  read_timeout: 10000
  routes:
  - {name: item, methods: [GET], paths: ["~/orders/(?<id>[^/]+)$"], protocols: [https], strip_path: false}
  - {name: create, methods: [POST], paths: ["~/orders$"], protocols: [https], strip_path: false}
  - name: health
    methods: [GET]
    paths: ["~/orders/status/health$"]
    protocols: [https]
  - {name: family, paths: [/old], protocols: [https]}
- name: tokens
  url: https://tokens.example.com
  routes:
  - name: token
    methods: [GET]
    paths: ["~/tokens$"]
    protocols: [https]
    plugins: [{name: jwt, config: {claims_to_verify: [exp]}}]
plugins:
- {name: key-auth, service: orders, config: {key_names: [X-Key], key_in_query: false, hide_credentials: true}}
- {name: rate-limiting, config: {minute: 60, day: 5000, policy: redis, limit_by: consumer, fault_tolerant: false}}
- {name: request-size-limiting, config: {allowed_payload_size: 64, size_unit: kilobytes}}
- {name: cors, config: {origins: ["https://app.example.com"], methods: [GET], headers: [x-key], max_age: 60}}
- {name: request-transformer, config: {remove: {headers: [X-User]}}}
- {name: response-transformer, config: {add: {headers: ["Strict-Transport-Security:max-age=31536000"]}}}
`

func folder(files map[string][]byte) fs.FS {
	m := fstest.MapFS{}
	for k, v := range files {
		m[k] = &fstest.MapFile{Data: v}
	}
	return m
}

// TestKong: the manifest is one that can be published, and where it carries something over it is no weaker.
func TestKong(t *testing.T) {
	e := drifttest.Read(t, kong.Read, drifttest.Files{"kong.yaml": deck}, "old", drift.Prod)
	a, err := adopt.Make(e)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range a.Files {
		t.Logf("%s:\n%s", name, text)
	}
	b := manifest.Bundle{}
	maps.Copy(b, a.Files)
	if _, ds := manifest.Parse(b); manifest.Fatal(ds) {
		t.Fatalf("%+v", ds)
	}
	if a.Operations != 3 || a.Of != 5 {
		t.Errorf("%d of %d operations", a.Operations, a.Of)
	}
	left := 0
	for _, l := range a.Lost {
		if l.Left {
			left++
		}
		if l.What == "" || l.Why == "" {
			t.Errorf("%+v", l)
		}
	}
	if left != 2 {
		t.Errorf("%d operations are said to be left out, want the one with tokens and the one of a family of paths", left)
	}
	fresh, problems := gatehouse.Read(folder(a.Files), drift.Options{Name: "new", Tier: drift.Prod, Now: drifttest.Now()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := drift.Compare([]*drift.Environment{e, fresh}, drift.Settings{Now: drifttest.Now()})
	carried := []string{"auth.ways", "rate", "rate.count", "rate.key", "quota", "limits.body_bytes", "limits.timeout_read_ms", "cors.origins", "cors.methods", "cors.enabled", "transforms", "tls.hsts_max_age_s", "auth.in_query", "auth.forward"}
	for _, f := range drifttest.Between(r) {
		if f.Rule == "DR-EXP-01" {
			continue // left out, as said
		}
		if slices.Contains(carried, f.Field) && f.Direction != drift.AWeaker {
			t.Errorf("%s %s on %v: %s became %s", f.Rule, f.Field, f.Operations, f.A.Value, f.B.Value)
		}
	}
}

// TestCorpus: what is written of real configurations can always be published, and nothing that was closed is open.
func TestCorpus(t *testing.T) {
	made, none := 0, 0
	for _, g := range []struct {
		name string
		read drift.Reader
	}{{"kong", kong.Read}, {"azure-apim", azureapim.Read}, {"envoy-gateway", envoygateway.Read}, {"gateway-api", envoygateway.Read}} {
		drifttest.EachFile(t, drifttest.Corpus(t, g.name), []string{".yaml", ".yml", ".json"}, func(name string, fsys fs.FS, _ []byte) {
			e, _ := g.read(fsys, drift.Options{Name: "old", Now: drifttest.Now()})
			if len(e.Operations) == 0 {
				return
			}
			a, err := adopt.Make(e)
			if err != nil {
				none++
				return
			}
			made++
			b := manifest.Bundle{}
			maps.Copy(b, a.Files)
			if _, ds := manifest.Parse(b); manifest.Fatal(ds) {
				t.Errorf("%s: cannot be published: %+v\n%s", name, ds[0], a.Files["gatehouse.yaml"])
				return
			}
			fresh, _ := gatehouse.Read(folder(a.Files), drift.Options{Name: "new", Now: drifttest.Now()})
			for _, f := range drifttest.Named(drift.Compare([]*drift.Environment{e, fresh}, drift.Settings{}), "DR-AUT-01") {
				if f.Direction == drift.BWeaker {
					t.Errorf("%s: %v was closed and is open", name, f.Operations)
				}
			}
		})
	}
	t.Logf("%d manifests are written, of %d files nothing could be carried over", made, none)
	if made == 0 {
		t.Error("nothing was adopted")
	}
}
