package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

type config struct {
	Name string          `json:"name"`
	Max  policy.Size     `json:"max"`
	For  policy.Duration `json:"for"`
	List []string        `json:"list"`
	Deep struct {
		On bool `json:"on"`
	} `json:"deep"`
}

func TestSettingsAreStrict(t *testing.T) {
	var got config
	k := policy.Define("x", policy.Admit, "", func(c config, _ policy.Site, _ policy.Deps) (policy.Policy, error) {
		got = c
		return policy.Policy{}, nil
	})
	for raw, pointer := range map[string]string{
		`{"nam": 1}`: "/nam", `{"name": 1}`: "/name", `{"list": "a"}`: "/list", `{"deep": {"on": "yes"}}`: "/deep/on", `{"deep": {"off": true}}`: "/off",
		`[]`: "", `"x"`: "", `{`: "",
	} {
		_, err := k.Build(json.RawMessage(raw), policy.Site{}, policy.Deps{})
		if f := fault.As(err); err == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != pointer || strings.Contains(err.Error(), "config") {
			t.Errorf("%s: %v, want one at %q", raw, err, pointer)
		}
	}
	for _, raw := range []string{``, `null`, `{}`} {
		if _, err := k.Build(json.RawMessage(raw), policy.Site{}, policy.Deps{}); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := k.Build(json.RawMessage(`{"name": "n", "max": 5, "for": "1d"}`), policy.Site{}, policy.Deps{}); err != nil || got.Name != "n" || got.Max != "5" {
		t.Errorf("%v, %+v", err, got)
	}
	if _, ok := k.New().(*config); !ok {
		t.Errorf("New is a %T", k.New())
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[policy.Duration]time.Duration{"30s": 30 * time.Second, "1m30s": 90 * time.Second, "90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour} {
		if got, err := s.Span(); err != nil || got != want {
			t.Errorf("%s is %v, %v", s, got, err)
		}
	}
	for _, s := range []policy.Duration{"", "1", "d", "-1s", "1y", "1h1d", "99999999d", "1d-1s", "9999999h9999999h"} {
		if got, err := s.Span(); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}

// What was kept in the scratch stays valid when it grows, and between two users.
func TestScratch(t *testing.T) {
	var x policy.Exchange
	var kept []string
	var views []wire.View
	for i := range 200 {
		s := strings.Repeat(string(rune('a'+i%26)), i)
		v := x.KeepScratch(append(x.Scratch(), s...))
		kept = append(kept, s)
		views = append(views, v)
		if v.String() != s || cap(v) != len(v) {
			t.Fatalf("%q was kept as %q, capacity %d", s, v, cap(v))
		}
	}
	for i := range kept {
		if kept[i] != views[i].String() {
			t.Errorf("%q became %q", kept[i], views[i])
		}
	}
	x.Reset()
	first := x.KeepScratch(append(x.Scratch(), "one"...))
	x.KeepScratch(append(x.Scratch(), "two"...))
	if string(first) != "one" {
		t.Errorf("the second user overwrote the first: %q", first)
	}
}

func TestCheckField(t *testing.T) {
	for name, ok := range map[string]bool{"X-A": true, "Accept": true, "gatehouse-x": false, "GATEHOUSE_X": false, "Host": false, "te": false,
		"X-Forwarded-Prefix": false, "x_forwarded_for": false, "a b": false, "": false, "é": false, "a:": false, "Via": false} {
		if why := policy.CheckField(name); (why == "") != ok {
			t.Errorf("%q: %q", name, why)
		}
	}
}
