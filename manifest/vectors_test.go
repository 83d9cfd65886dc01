package manifest_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/manifest"

	"go.yaml.in/yaml/v4"
)

// vectors is a folder of test data written by others. Missing data fails in CI and skips elsewhere.
func vectors(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("GATEHOUSE_VECTORS")
	if root == "" {
		root = "../../shared/vectors"
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the vectors are missing, and CI is set: %v", err)
		}
		t.Skipf("the vectors are missing (set GATEHOUSE_VECTORS): %v", err)
	}
	return dir
}

// everywhere parses a text in each place where a text can stand: nothing may crash, and what is not a manifest is refused.
func everywhere(t *testing.T, text []byte) {
	t.Helper()
	if _, ds := manifest.Parse(manifest.Bundle{"m.yaml": text}); !manifest.Fatal(ds) {
		t.Errorf("taken for a manifest: %q", text)
	}
	for _, name := range []string{"doc.yaml", "doc.json"} {
		if _, ds := manifest.Parse(manifest.Bundle{"m.yaml": []byte(naming(name)), name: text}); !manifest.Fatal(ds) {
			t.Errorf("taken for an OpenAPI document: %q", text)
		}
	}
}

// naming is a manifest that names one document and is right in everything else.
func naming(document string) string {
	return "gatehouse: 1\nenvironments: [{name: live}]\nupstreams: [{name: u, targets: ['http://127.0.0.1:1']}]\n" +
		"apis: [{name: a, openapi: " + document + ", path: /a, upstream: u, policies: [anonymous]}]\n"
}

func TestYAMLSuiteNeverCrashesParse(t *testing.T) {
	signs := strings.NewReplacer("␣", " ", "————»", "\t", "———»", "\t", "——»", "\t", "—»", "\t", "»", "\t", "↵", "", "∎\n", "", "←", "\r", "⇔", "\ufeff")
	files, err := filepath.Glob(filepath.Join(vectors(t, "yaml-test-suite"), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []struct{ YAML string }
		if err := yaml.Unmarshal(data, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range list {
			if c.YAML == "" {
				continue
			}
			cases++
			text := signs.Replace(c.YAML)
			everywhere(t, []byte(text))
			// as the settings of a policy, which are kept as they are
			indented := "        " + strings.ReplaceAll(text, "\n", "\n        ")
			manifest.Parse(manifest.Bundle{"m.yaml": []byte(naming("d.yaml") + "x: 1\n"), "n.yaml": []byte("apis:\n  - policies:\n    - some:\n" + indented)})
		}
	}
	if cases < 300 {
		t.Errorf("only %d cases were read", cases)
	}
}

func TestJSONSuiteNeverCrashesParse(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors(t, "JSONTestSuite"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 300 {
		t.Errorf("only %d cases were read", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		everywhere(t, data)
		// as an example in a document: the value itself is data
		doc := `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/p":{"post":{"operationId":"o","security":[],"responses":{"200":{"description":"","content":{"application/json":{"example":` +
			string(data) + "}}}}}}}}"
		_, ds := manifest.Parse(manifest.Bundle{"m.yaml": []byte(naming("doc.json")), "doc.json": []byte(doc)})
		switch base := filepath.Base(file); {
		case strings.HasPrefix(base, "y_") && manifest.Fatal(ds) && !strings.Contains(base, "duplicated") && !strings.Contains(string(data), "\x7f"):
			t.Errorf("%s is JSON and was refused: %v", base, ds)
		case strings.HasPrefix(base, "n_") && !manifest.Fatal(ds):
			t.Errorf("%s is not JSON and was taken", base)
		}
	}
}

// refusedAloud is documents of the right form that cannot be offered, and why.
var refusedAloud = map[string]string{
	"operation-object-example.yaml":        "there is no security scheme", // a fragment: the specification wants the scheme to be there
	"security-scheme-object-examples.yaml": "leaves the document",         // nothing is fetched
}

func TestOpenAPISpecTests(t *testing.T) {
	for _, kind := range []string{"pass", "fail"} {
		files, err := filepath.Glob(filepath.Join(vectors(t, "openapi-spec-tests"), "v3.*", "tests", "schema", kind, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) < 40 {
			t.Errorf("only %d cases were read", len(files))
		}
		found := 0
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, ds := manifest.Parse(manifest.Bundle{"m.yaml": []byte(naming("doc.yaml")), "doc.yaml": data})
			wrong := ""
			for _, d := range ds {
				if d.File == "doc.yaml" && !strings.Contains(d.Text, "there is nothing to offer") && !strings.Contains(d.Text, "there is no operation to offer") &&
					!strings.Contains(d.Text, "of the path is not described") && !strings.Contains(d.Text, "the path has no parameter") && !strings.Contains(d.Text, "describes no responses") {
					wrong = d.String()
				}
			}
			if wrong != "" {
				found++
			}
			if kind == "pass" && wrong != "" && !strings.Contains(wrong, cmp.Or(refusedAloud[filepath.Base(file)], "nothing")) {
				t.Errorf("%s is right and was refused: %s", file, wrong)
			}
			if kind == "fail" && wrong == "" {
				t.Logf("not found: %s", file)
			}
		}
		if kind == "fail" && found != len(files) {
			t.Errorf("%d of %d mistakes are found", found, len(files))
		}
	}
}
