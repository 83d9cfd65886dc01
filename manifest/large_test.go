package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/manifest"
)

// patience is far more than any of the documents below needs (under a second, ten times that under the race detector on a
// busy machine): what grows faster than the document takes many minutes.
const patience = 2 * time.Minute

// timed parses a document with a manifest around it and fails when that takes longer than patience.
func timed(t *testing.T, doc string) (*manifest.Document, []manifest.Diagnostic) {
	t.Helper()
	began := time.Now()
	p, ds := manifest.Parse(manifest.Bundle{"m.yaml": []byte(naming("doc.yaml") + "products: [{name: p, operations: [{api: a}], plans: [{name: p, longest: 1d}]}]\n"), "doc.yaml": []byte(doc)})
	took := time.Since(began)
	t.Logf("%d bytes in %s", len(doc), took.Round(time.Millisecond))
	if took > patience {
		t.Errorf("took %s", took)
	}
	return p.Documents["a"], ds
}

const head = "openapi: 3.1.0\ninfo: {title: Large, version: '1'}\nsecurity: []\n"

// large is a document of n operations with their schemas.
func large(n int) string {
	var s strings.Builder
	s.WriteString(head + "paths:\n")
	for i := range n {
		fmt.Fprintf(&s, `  /things%d/{id}:
    get:
      operationId: op%d
      summary: Reads thing %d
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - $ref: "#/components/parameters/Page"
      responses:
        "200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/S%d"}}}}
        default: {$ref: "#/components/responses/Problem"}
`, i, i, i, i%1000)
	}
	s.WriteString("components:\n  parameters: {Page: {name: page, in: query, schema: {type: integer}}}\n" +
		"  responses: {Problem: {description: No., content: {application/problem+json: {schema: {type: object, properties: {title: {type: string}}}}}}}\n  schemas:\n")
	for i := range 1000 {
		fmt.Fprintf(&s, "    S%d: {type: object, properties: {a: {type: string}, b: {type: array, items: {$ref: '#/components/schemas/S%d'}}}}\n", i, (i*7+1)%1000)
	}
	return s.String()
}

func TestTenThousandOperations(t *testing.T) {
	doc, ds := timed(t, large(10_000))
	if len(ds) != 0 || len(doc.Operations) != 10_000 {
		t.Fatalf("%d operations, %v", len(doc.Operations), ds)
	}
	if op, ok := doc.Operation("op9999"); !ok || op.Path != "/things9999/{id}" || len(op.Parameters) != 2 || op.Responses[0].Bodies[0].Schema.Properties[0].Name != "a" {
		t.Errorf("the last operation is %+v", op)
	}

	// two mistakes in each of 2,000 operations: the first thousand are told
	_, ds = timed(t, strings.NewReplacer("in: path", "in: body", "parameters/Page", "parameters/Pge").Replace(large(2000)))
	if len(ds) < 1000 || len(ds) > 1300 || !strings.Contains(ds[len(ds)-2].Text+ds[len(ds)-1].Text, "errors are not shown") {
		t.Errorf("%d diagnostics, the last are %v", len(ds), ds[len(ds)-2:])
	}
}

func TestSchemasThatContainEachOther(t *testing.T) {
	var s strings.Builder
	s.WriteString(head + "paths:\n")
	for i := range 500 {
		fmt.Fprintf(&s, "  /p%d: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/S%d'}}}}, responses: {'200': {description: x}}}}\n", i, i%100)
	}
	s.WriteString("components:\n  schemas:\n")
	for i := range 100 { // each one contains all others
		fmt.Fprintf(&s, "    S%d: {type: object, properties: {", i)
		for k := range 100 {
			fmt.Fprintf(&s, "p%d: {$ref: '#/components/schemas/S%d'}, ", k, k)
		}
		s.WriteString("}}\n")
	}
	doc, ds := timed(t, s.String())
	if len(ds) != 0 {
		t.Fatal(ds[0])
	}
	for _, op := range doc.Operations {
		if n := parts(op.Request.Schema, 0); n > 10_000 {
			t.Fatalf("%s: its schema has %d parts, written out", op.ID, n)
		}
	}
}

func TestSchemasThatDouble(t *testing.T) {
	var s strings.Builder
	s.WriteString(head + "paths:\n  /p: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/S0'}}}}, responses: {'200': {description: x}}}}\ncomponents:\n  schemas:\n")
	for i := range 60 { // 2^60 parts, written out
		fmt.Fprintf(&s, "    S%d: {type: object, properties: {a: {$ref: '#/components/schemas/S%d'}, b: {$ref: '#/components/schemas/S%d'}}}\n", i, i+1, i+1)
	}
	s.WriteString("    S60: {type: string}\n")
	doc, ds := timed(t, s.String())
	if len(ds) != 0 {
		t.Fatal(ds[0])
	}
	if n := parts(doc.Operations[0].Request.Schema, 0); n > 10_000 {
		t.Errorf("the schema has %d parts, written out", n)
	}
	if len(doc.Operations[0].Request.Example) > 20_000 {
		t.Errorf("the example has %d bytes", len(doc.Operations[0].Request.Example))
	}
}

func TestDeepSchemas(t *testing.T) {
	deep := "{type: string}"
	for range 40 {
		deep = "{type: object, properties: {x: " + deep + "}}"
	}
	doc, ds := timed(t, head+"paths:\n  /p: {post: {requestBody: {content: {application/json: {schema: "+deep+"}}}, responses: {'200': {description: x}}}}\n")
	if len(ds) != 0 || doc.Operations[0].Request.Schema.Properties[0].Name != "x" {
		t.Fatal(ds)
	}
	if _, ds = timed(t, head+"paths: "+strings.Repeat("{a: ", 5000)+"1"+strings.Repeat("}", 5000)); !manifest.Fatal(ds) {
		t.Error("5,000 levels were taken")
	}
}

// TestManySmallValues: a text within the bound of bytes must not make gigabytes of nodes.
func TestManySmallValues(t *testing.T) {
	for name, text := range map[string]string{
		"lists": "[" + strings.Repeat("[],", 5_000_000) + "]", "names": strings.Repeat("a:\n", 5_000_000), "items": strings.Repeat("- ", 5_000_000),
		"json": `{"openapi":` + "[" + strings.Repeat("{},", 5_000_000) + "{}]}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, ds := timed(t, text); !manifest.Fatal(ds) {
				t.Error("it was taken")
			}
		})
	}
}

func parts(s *manifest.Schema, so int) int {
	if s == nil || so > 100_000 {
		return so
	}
	so++
	for _, p := range s.Properties {
		so = parts(p.Schema, so)
	}
	return parts(s.Items, so)
}
