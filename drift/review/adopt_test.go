package review_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/review"
)

const moving = `_format_version: '3.0'
services:
- name: orders
  url: https://orders.example.com/v2
  routes:
  - {name: item, methods: [GET], paths: ['~/items/[^/]+$'], protocols: [https], strip_path: false}
  - {name: family, paths: [/orders], protocols: [https]}
plugins:
- {name: key-auth, config: {key_names: [X-Key], key_in_query: true}}
- {name: ip-restriction, config: {allow: [10.0.0.0/8]}}
`

const below = `openapi: 3.0.3
info: {title: Orders, version: "1"}
servers: [{url: https://api.example.com/orders}]
paths:
  /: {get: {operationId: list, responses: {"200": {description: ok}}}, parameters: []}
  /{id}: {get: {operationId: one, responses: {"200": {description: ok}}}, delete: {operationId: drop, responses: {"204": {description: gone}}}}
`

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMove: the manifest is written and read again, what is below a family of paths comes from the document, and the list says what is
// carried otherwise, where the manifest is weaker first.
func TestMove(t *testing.T) {
	base := t.TempDir()
	put(t, base+"/a", "kong.yaml", moving)
	doc := put(t, base, "orders.yaml", below)
	dir := filepath.Join(base, "new")
	var out bytes.Buffer
	c := review.Command{Sources: []string{"a@prod:kong=" + base + "/a"}, Now: drifttest.Now(), Out: &out}
	exit, err := c.Move(dir, []string{doc})
	if err != nil || exit != 3 {
		t.Fatalf("%d %v %s", exit, err, out.String())
	}
	for _, want := range []string{"2 of 2 operations are carried over, as 4 of the manifest", "issue new ones", "differs from a in", "3 operations of the documents are carried over"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if !strings.HasPrefix(out.String(), "WEAKER on 4 operations: the list of addresses") {
		t.Errorf("what is weaker does not come first:\n%s", out.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "gatehouse.yaml"))
	if err != nil || !strings.Contains(string(text), "header: X-Key") || !strings.Contains(string(text), "path: /orders\n  upstream_path: /v2\n") {
		t.Errorf("%v %s", err, text)
	}
	if _, err := c.Move(dir, nil); err == nil {
		t.Error("a folder that is not empty is written into")
	}
	if _, err := c.Move(dir+"2", []string{base + "/none.yaml"}); err == nil {
		t.Error("a document that is not there is passed over")
	}
	if _, err := c.Move(dir+"2", []string{put(t, base, "odd.yaml", "a: 1\n")}); err == nil {
		t.Error("a document without operations is passed over")
	}
	out.Reset()
	c.Format = "json"
	if exit, err := c.Move(filepath.Join(base, "other"), nil); err != nil || exit != 3 {
		t.Fatalf("%d %v", exit, err)
	}
	var got struct {
		Operations, Of int
		NotCarried     []struct {
			What, Why string
			LeftOut   bool `json:"left_out"`
			Weaker    bool
			Fields    []string
		} `json:"not_carried"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Operations != 1 || got.Of != 2 || len(got.NotCarried) == 0 {
		t.Errorf("%v %s", err, out.String())
	}
}
