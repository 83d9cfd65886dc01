package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"gatehouse/app"
	"gatehouse/manifest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/manifest.md anew")

func TestThePageIsUpToDate(t *testing.T) {
	const file = "../../docs/manifest.md"
	got, err := reference("../..", app.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("docs/manifest.md is not what the types say (make docs writes it anew):\n%s", d)
	}
	for _, k := range app.Kinds() {
		if k.Doc == "" || !strings.Contains(string(got), "### `"+k.Name+"`") {
			t.Errorf("the policy %s is not described", k.Name)
		}
	}
}

func TestTheShortestManifestIsTaken(t *testing.T) {
	const document = `openapi: 3.1.0
info: {title: Electronic identity, version: "1"}
security: [{key: ["verifications:read"]}]
paths: {/verifications: {get: {operationId: list, responses: {"200": {description: Those there are.}}}}}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-API-Key}}}
`
	if ds := app.Check(manifest.Bundle{"gatehouse.yaml": []byte(shortest), "openapi.yaml": []byte(document)}); len(ds) != 0 {
		t.Error(ds)
	}
}

func TestTheExampleIsTakenWithoutAWarning(t *testing.T) {
	b, ds := manifest.Load("../../examples/eid/manifest")
	if ds = append(ds, app.Check(b)...); len(ds) != 0 {
		t.Error(ds)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{"UpstreamOverride": "upstream override", "ProductAPI": "product API", "API": "API", "Stage": "stage"} {
		if got := words(in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}
