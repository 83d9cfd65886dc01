package adminapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/adminapi"
	"gatehouse/control"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// document is what these tests read of an OpenAPI document.
type document struct {
	Paths map[string]map[string]struct {
		OperationID, Summary, Description string
		Security                          []map[string][]string
		Parameters                        []struct {
			Name, In, Description string
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema *schema }
		}
	}
	Components struct{ Schemas map[string]*schema }
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Description          string
	Enum                 []any
	Properties           map[string]*schema
	Required             []string
	Items                *schema
	AdditionalProperties json.RawMessage
	Examples             []json.RawMessage
}

// check holds a value against a schema: as much of JSON Schema as the document uses.
func (d *document) check(s *schema, raw json.RawMessage, at string) error {
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		if d.Components.Schemas[name] == nil {
			return fmt.Errorf("%s: the document refers to %s, which is not there", at, s.Ref)
		}
		return d.check(d.Components.Schemas[name], raw, at)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	kind := map[string]string{"string": "string", "float64": "number", "bool": "boolean", "<nil>": "null"}[fmt.Sprintf("%T", v)]
	switch v.(type) {
	case map[string]any:
		kind = "object"
	case []any:
		kind = "array"
	}
	var types []string
	switch t := s.Type.(type) {
	case string:
		types = []string{strings.Replace(t, "integer", "number", 1)}
	case []any:
		for _, one := range t {
			types = append(types, strings.Replace(fmt.Sprint(one), "integer", "number", 1))
		}
	}
	if types != nil && !slices.Contains(types, kind) {
		return fmt.Errorf("%s is %s, the document says %v", at, kind, s.Type)
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s is %v, the document says one of %v", at, v, s.Enum)
	}
	switch kind {
	case "object":
		return d.checkObject(s, raw, at)
	case "array":
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		for i, item := range items {
			if s.Items == nil && s.Type == nil {
				break // anything may stand here
			}
			if s.Items == nil {
				return fmt.Errorf("%s: the document does not say what is in it", at)
			}
			if err := d.check(s.Items, item, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *document) checkObject(s *schema, raw json.RawMessage, at string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for _, r := range s.Required {
		if _, ok := members[r]; !ok {
			return fmt.Errorf("%s has no %s, which the document requires", at, r)
		}
	}
	for name, m := range members {
		p := s.Properties[name]
		if p == nil {
			var more schema
			switch {
			case string(s.AdditionalProperties) == "false":
				return fmt.Errorf("%s has %s, which the document does not know", at, name)
			case len(s.AdditionalProperties) > 0 && s.AdditionalProperties[0] == '{':
				if err := json.Unmarshal(s.AdditionalProperties, &more); err != nil {
					return err
				}
			}
			p = &more
		}
		if err := d.check(p, m, at+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// hold finds the operation of the path in the document, holds the answer against it, and notes that it was reached.
func (w *world) hold(s scenario, method, path string, res *http.Response, b []byte) {
	w.Helper()
	path, _, _ = strings.Cut(path, "?")
	best, literal := "", -1
	for p := range w.spec.Paths {
		if n, ok := matches(p, path); ok && n > literal && w.spec.Paths[p][strings.ToLower(method)].OperationID != "" {
			best, literal = p, n
		}
	}
	if best == "" {
		if path != adminapi.DocumentPath {
			w.Errorf("%s: %s %s is not in the document", s.name, method, path)
		}
		return
	}
	op := w.spec.Paths[best][strings.ToLower(method)]
	w.called[op.OperationID] = true
	answer, ok := op.Responses[fmt.Sprint(res.StatusCode)]
	if !ok {
		w.Errorf("%s: the document does not know that %s answers %d", s.name, op.OperationID, res.StatusCode)
		return
	}
	if len(answer.Content) == 0 {
		if len(b) > 0 {
			w.Errorf("%s: the document says nothing of a body: %s", s.name, b)
		}
		return
	}
	content, ok := answer.Content[res.Header.Get("Content-Type")]
	if !ok {
		w.Errorf("%s: the document does not know the media type %s of %s", s.name, res.Header.Get("Content-Type"), op.OperationID)
		return
	}
	if err := w.spec.check(content.Schema, b, op.OperationID); err != nil {
		w.Errorf("%s: %v in %.500s", s.name, err, b)
	}
}

// matches reports whether the path fits the template, and how many of its parts are literal.
func matches(template, path string) (literal int, ok bool) {
	t, p := strings.Split(template, "/"), strings.Split(path, "/")
	if len(t) != len(p) {
		return 0, false
	}
	for i := range t {
		switch {
		case strings.HasPrefix(t[i], "{"):
		case t[i] != p[i]:
			return 0, false
		default:
			literal++
		}
	}
	return literal, true
}

func newDocument(t *testing.T) ([]byte, document) {
	t.Helper()
	h, err := adminapi.New(adminapi.Options{Control: control.New(control.Options{URL: "https://gatehouse.example"}), Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	out := &recorder{header: http.Header{}}
	req, err := http.NewRequest(http.MethodGet, adminapi.DocumentPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(out, req)
	var d document
	if err := json.Unmarshal(out.body, &d); err != nil {
		t.Fatal(err)
	}
	return out.body, d
}

type recorder struct {
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// The document is one that Gatehouse itself would publish: its reader holds every object against the grammar of OpenAPI.
func TestDocumentIsValid(t *testing.T) {
	raw, _ := newDocument(t)
	_, ds := manifest.Parse(manifest.Bundle{"openapi.json": raw, "gatehouse.yaml": []byte(`
gatehouse: 1
environments: [{name: live}]
upstreams: [{name: gatehouse, targets: ["http://127.0.0.1:8001"]}]
apis:
  - name: admin
    openapi: openapi.json
    path: /admin
    upstream: gatehouse
    policies: [anonymous]
`)})
	for _, d := range ds {
		if !d.Warning { // that what needs a token here would be open behind that gateway
			t.Error(d)
		}
	}
}

// Every operation, parameter and property is explained, and says whether it needs a token.
func TestDocumentExplains(t *testing.T) {
	_, d := newDocument(t)
	open := []string{"register", "confirmEmail", "resendConfirmation", "signIn", "signInByLink", "requestPasswordReset", "resetPassword",
		"startDevice", "pollDevice", "catalogue", "product", "document", "reportLeak"}
	open = append(open, "seeInvitation", "acceptInvitation", "proveSecondFactor", "signOns")
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.Summary == "" || op.Description == "" {
				t.Errorf("%s %s is not explained", method, path)
			}
			if slices.Contains(open, op.OperationID) != (len(op.Security) == 0) {
				t.Errorf("%s: security is %v", op.OperationID, op.Security)
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s: the parameter %s is not explained", op.OperationID, p.Name)
				}
			}
			if _, ok := op.Responses["default"].Content["application/problem+json"]; !ok {
				t.Errorf("%s: problems are not in the document", op.OperationID)
			}
		}
	}
	for name, s := range d.Components.Schemas {
		if strings.HasPrefix(name, "Error") {
			t.Errorf("%s is not of ours", name)
		}
		for property, p := range s.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s is not explained", name, property)
			}
			for _, example := range p.Examples {
				if err := d.check(p, example, name+"."+property); err != nil {
					t.Errorf("the example of %v", err)
				}
			}
		}
	}
}

// A mistake of ours is a problem with a request id, and no detail of it leaves.
func TestPanic(t *testing.T) {
	h, err := adminapi.New(adminapi.Options{Control: control.New(control.Options{Now: time.Now})}) // without a store
	if err != nil {
		t.Fatal(err)
	}
	out := &recorder{header: http.Header{}}
	req, err := http.NewRequest(http.MethodGet, "/api/products", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(out, req)
	var p adminapi.Problem
	if err := json.Unmarshal(out.body, &p); err != nil || p.Status != 500 || p.RequestID == "" || strings.Contains(string(out.body), "nil") {
		t.Errorf("answered %s, %v", out.body, err)
	}
}

// Whatever control can be asked for by somebody can be asked for here.
func TestEveryMethodIsReachable(t *testing.T) {
	elsewhere := map[string]string{
		"IssueToken":         "the token endpoint",
		"IntrospectToken":    "the introspection endpoint",
		"RevokeToken":        "the revocation endpoint",
		"RegisterByToken":    "the registration endpoint",
		"Registration":       "the registration endpoint",
		"UpdateRegistration": "the registration endpoint",
		"EndRegistration":    "the registration endpoint",
		"ResourceScopes":     "the metadata of resources",
		"BeginPasskey":       "the portal: a browser's",
		"FinishPasskey":      "the portal: a browser's",
		"BeginPasskeySignIn": "the portal: a browser's",
		"SignInByPasskey":    "the portal: a browser's",
		"StartSSO":           "the portal: a browser's",
		"FinishSSO":          "the portal: a browser's",
		"ReviewChoices":      "is in reviewItem",
		"EndGateway":         "revokeGateway and drainGateway",
		"Dormant":            "credentials, with dormant=…",
		"LastUses":           "is in every credential",
		"Named":              "the portal: names in a page of a list",
		"EnsureEnvironments": "at start, by Gatehouse itself",
		"BySession":          "makes an actor",
		"ByBearer":           "makes an actor",
	}
	_, d := newDocument(t)
	have := map[string]bool{}
	for _, methods := range d.Paths {
		for _, op := range methods {
			have[strings.ToUpper(op.OperationID[:1])+op.OperationID[1:]] = true
		}
	}
	c := reflect.TypeFor[*control.Control]()
	for i := range c.NumMethod() {
		m := c.Method(i)
		if m.Type.NumIn() > 2 && m.Type.In(2) == reflect.TypeFor[identity.Actor]() && !have[m.Name] && elsewhere[m.Name] == "" {
			t.Errorf("control.%s cannot be reached", m.Name)
		}
		delete(have, m.Name)
	}
	delete(have, "Me")
	delete(have, "GrantUsage")    // is Usage
	delete(have, "RevokeGateway") // are EndGateway
	delete(have, "DrainGateway")
	if len(have) > 0 {
		t.Errorf("operations without a method of control: %v", have)
	}
}
