package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/manifest"
)

// BenchmarkParse reads the manifest of the example, and one whose document has 10,000 operations.
func BenchmarkParse(b *testing.B) {
	example, ds := manifest.Load("../examples/eid/manifest")
	if manifest.Fatal(ds) {
		b.Fatal(ds)
	}
	var s strings.Builder
	s.WriteString(head + "paths:\n")
	for i := range 10_000 {
		fmt.Fprintf(&s, "  /things%d/{id}:\n    get:\n      operationId: op%d\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n"+
			"      responses: {'200': {description: It., content: {application/json: {schema: {type: object, properties: {a: {type: string}}}}}}}\n", i, i)
	}
	for name, bundle := range map[string]manifest.Bundle{"example": example, "10000": {"m.yaml": []byte(naming("doc.yaml")), "doc.yaml": []byte(s.String())}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ds := manifest.Parse(bundle); manifest.Fatal(ds) {
					b.Fatal(ds)
				}
			}
		})
	}
}
