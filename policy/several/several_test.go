package several_test

import (
	"encoding/json"
	"testing"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/several"
)

// method is one that takes a field whose value is the application.
func method(name string) policy.Kind {
	return policy.Define(name, policy.Authenticate, "", func(c struct {
		Strict bool `json:"strict"`
	}, _ policy.Site, _ policy.Deps) (policy.Policy, error) {
		return policy.Policy{Methods: []string{name}, Request: func(x *policy.Exchange) error {
			v, ok := x.Request.Fields.Get(name)
			switch {
			case !ok:
				return fault.Of(fault.Unauthenticated, name+"-missing", "none").Because(policy.ErrNothing)
			case len(v) > 1:
				return fault.Of(fault.Unauthenticated, name+"-wrong", "wrong")
			}
			x.Principal = policy.Principal{Method: name, Application: id.Bits{v[0]}, Constrained: name == "b"}
			return nil
		}}, nil
	})
}

func TestAnyAndAll(t *testing.T) {
	kinds := []policy.Kind{method("a"), method("b")}
	for _, c := range []struct {
		kind   policy.Kind
		fields []string
		want   string // the code; "" passes
		method string
	}{
		{several.AnyOf(kinds), nil, "proof-missing", ""},
		{several.AnyOf(kinds), []string{"a", "1"}, "", "a"},
		{several.AnyOf(kinds), []string{"b", "1"}, "", "b"},
		{several.AnyOf(kinds), []string{"a", "1", "b", "1"}, "proof-repeated", ""},
		{several.AnyOf(kinds), []string{"a", "12"}, "a-wrong", ""},
		{several.AnyOf(kinds), []string{"a", "12", "b", "1"}, "proof-repeated", ""}, // a wrong proof is not passed over
		{several.AllOf(kinds), []string{"a", "1"}, "b-missing", ""},
		{several.AllOf(kinds), []string{"a", "1", "b", "1"}, "", "a"},
		{several.AllOf(kinds), []string{"a", "1", "b", "2"}, "proof-different", ""},
		{several.AllOf(kinds), []string{"a", "12", "b", "1"}, "a-wrong", ""},
	} {
		p, err := c.kind.Build(json.RawMessage(`{"methods": [{"a": {}}, {"b": null}]}`), policy.Site{}, policy.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		x := &policy.Exchange{}
		for i := 0; i < len(c.fields); i += 2 {
			x.Request.Fields.AddString(c.fields[i], c.fields[i+1])
		}
		err = p.Request(x)
		if got := fault.As(err); err == nil && c.want != "" || err != nil && got.Code != c.want || x.Principal.Method != c.method {
			t.Errorf("%s %v: %v as %q, want %q as %q", c.kind.Name, c.fields, err, x.Principal.Method, c.want, c.method)
		}
		if c.kind.Name == "all_of" && err == nil && !x.Principal.Constrained {
			t.Error("the binding of one proof is forgotten")
		}
	}
}

func TestSettings(t *testing.T) {
	kinds := []policy.Kind{method("a"), method("b")}
	for config, pointer := range map[string]string{
		`{}`: "/methods", `{"methods": [{"a": {}}]}`: "/methods", `{"methods": [{"a": {}}, {"c": {}}]}`: "/methods/1", `{"methods": [{"a": {}}, {"a": {}}]}`: "/methods/1",
		`{"methods": [{"a": {}, "b": {}}, {"a": {}}]}`: "/methods/0", `{"methods": [{"a": {}}, {"b": {"strict": 1}}]}`: "/methods/1/b/strict", `{"methods": [{"a": {}}, {"b": {"x": 1}}]}`: "/methods/1/b/x",
	} {
		_, err := several.AnyOf(kinds).Build(json.RawMessage(config), policy.Site{}, policy.Deps{})
		if f := fault.As(err); err == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v, want one at %q", config, err, pointer)
		}
	}
}
