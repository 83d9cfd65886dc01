package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/manifest"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const small = `gatehouse: 1
environments: [{name: live}, {name: test}]
upstreams: [{name: eid, targets: ["http://127.0.0.1:8009"], present: [{header: X-Secret, secret: eid-gateway}]}]
apis:
  - name: eid
    openapi: openapi.yaml
    path: /eid/v1
    upstream: eid
    policies:
      - api_key
      - grant
      - rate_limit:
          burst: 3
    operations:
      - id: health
        policies: [anonymous]
        remove: [api_key, grant]
products:
  - name: verification
    scopes: {"read:it": May read.}
    operations: [{api: eid}]
    plans:
      - name: standard
        longest: 365d
        limits: [{requests: 10, per: 1m}]
`

const smallDocument = `openapi: 3.1.0
info: {title: Electronic identity, version: "1.0"}
security: [{oauth: ["read:it"]}]
paths:
  /verifications/{id}:
    get:
      operationId: readVerification
      parameters: [{name: id, in: path, required: true, schema: {type: string}, example: v1}]
      responses:
        "200":
          description: It.
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Verification"}
  /health:
    get:
      operationId: health
      security: []
      responses: {"200": {description: Well.}}
components:
  securitySchemes: {oauth: {type: oauth2, flows: {}}}
  schemas:
    Verification:
      type: object
      required: [id]
      properties:
        id: {type: string, examples: [v1]}
        at: {type: string, format: date-time}
        parent: {$ref: "#/components/schemas/Verification"}
`

func TestLoadAndParse(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"gatehouse.yaml": small, "openapi.yaml": smallDocument})
	b, ds := manifest.Load(dir)
	if len(ds) != 0 {
		t.Fatal(ds)
	}
	p, ds := manifest.Parse(b)
	if len(ds) != 0 {
		t.Fatal(ds)
	}
	doc := p.Documents["eid"]
	if len(doc.Operations) != 2 || doc.Operations[0].Scopes[0] != "read:it" || !doc.Operations[1].Open {
		t.Fatalf("%+v", doc.Operations)
	}
	if got := doc.Operations[0].Responses[0].Bodies[0].Example; got != "{\n  \"id\": \"v1\",\n  \"at\": \"2026-01-31T12:00:00Z\"\n}" {
		t.Errorf("example: %s", got)
	}
	d := p.At("/apis/0/policies/2/rate_limit/burst", "x")
	if d.Line != 13 || d.File != "gatehouse.yaml" {
		t.Errorf("%+v", d)
	}
	if d := p.At("/apis/0/policies/0/api_key/header", "x"); d.Line != 10 {
		t.Errorf("%+v", d)
	}
	again, err := manifest.Decode(b.Encode())
	if err != nil || again.Digest() != b.Digest() {
		t.Fatal(err)
	}
	if p.Products[0].Plans[0].Approval.Stages[0].Role != "approver" || p.Products[0].Environments[1] != "test" {
		t.Errorf("%+v", p.Products[0])
	}
}

func TestDocumentsInTheSameFolderAreToldFromManifests(t *testing.T) {
	for text, want := range map[string]bool{
		smallDocument: true, "info: {}\nopenapi: 3.1.0\n": true, "\"openapi\" : 3.1.0": true, "'swagger': '2.0'": true, "{\"openapi\": \"3.1.0\"}": true, " {openapi: 3.1.0}": true,
		small: false, "apis:\n  - openapi: x.yaml\n": false, "openapix: 1": false, "# openapi: 3\n": false, "{}": false, "": false, "openapi": false, "\"openapi: 1": false,
	} {
		_, ds := manifest.Parse(manifest.Bundle{"m.yaml": []byte("gatehouse: 1\n"), "x.yaml": []byte(text)})
		got := false
		for _, d := range ds {
			got = got || d.File == "x.yaml" && d.Text == "no API names this file"
		}
		if got != want {
			t.Errorf("%q is taken for a document: %v", text, got)
		}
	}
}

func TestAtFallsBackToWhatIsWritten(t *testing.T) {
	p, _ := manifest.Parse(manifest.Bundle{"a.yaml": []byte(small), "openapi.yaml": []byte(smallDocument), "b.yaml": []byte("apis:\n  - {name: two, policies: [{cors: {origins: [x]}}]}\n")})
	for pointer, want := range map[string]string{
		"/apis/1/policies/0/cors/origins/0":  "b.yaml:2: /apis/0/policies/0/cors/origins/0: x",
		"/apis/1/policies/0/cors/methods/3":  "b.yaml:2: /apis/0/policies/0/cors/methods/3: x",
		"/apis/0/operations/0/policies/0":    "a.yaml:16: /apis/0/operations/0/policies/0: x",
		"/apis/0/operations/0/expose":        "a.yaml:15: /apis/0/operations/0/expose: x",
		"/products/0/plans/0/limits/0/burst": "a.yaml:25: /products/0/plans/0/limits/0/burst: x",
		"/nothing/at/all":                    "/nothing/at/all: x",
	} {
		if got := p.At(pointer, "x").String(); got != want {
			t.Errorf("%s is at %s, want %s", pointer, got, want)
		}
	}
}
