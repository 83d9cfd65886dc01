package adopt_test

import (
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/drifttest"
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
    strip_path: false
  - {name: family, paths: [/old], protocols: [https]}
- name: tokens
  url: https://tokens.example.com
  routes:
  - name: token
    methods: [GET]
    paths: ["~/tokens$"]
    protocols: [https]
    strip_path: false
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
	a, err := adopt.Make(e, adopt.Options{})
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
	if a.Operations != 4 || a.Of != 5 {
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
	if left != 1 {
		t.Errorf("%d operations are said to be left out, want the one of a family of paths", left)
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
