package cors_test

import (
	"encoding/json"
	"testing"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/cors"
	"gatehouse/wire"
)

var route = &policy.RouteInfo{Method: "GET"}

func build(t *testing.T, config string) policy.Policy {
	t.Helper()
	p, err := cors.Kind().Build(json.RawMessage(config), policy.Site{Route: route}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func exchange(method string, fields ...string) *policy.Exchange {
	x := &policy.Exchange{Route: route}
	x.Request.Method = wire.View(method)
	for i := 0; i < len(fields); i += 2 {
		x.Request.Fields.AddString(fields[i], fields[i+1])
	}
	return x
}

func get(x *policy.Exchange, name string) string {
	v, _ := x.Response.Fields.Get(name)
	return v.String()
}

func TestAnswers(t *testing.T) {
	const p1, p2 = "https://a.example", "https://b.example"
	for _, c := range []struct {
		name, config, origin string
		allowed, vary        string
		credentials          string
	}{
		{"known", `{"origins": ["` + p1 + `", "` + p2 + `"]}`, p2, p2, "Origin", ""},
		{"unknown", `{"origins": ["` + p1 + `"]}`, p2, "", "Origin", ""},
		{"with a port", `{"origins": ["` + p1 + `"]}`, p1 + ":444", "", "Origin", ""},
		{"another scheme", `{"origins": ["` + p1 + `"]}`, "http://a.example", "", "Origin", ""},
		{"a longer name", `{"origins": ["` + p1 + `"]}`, p1 + ".evil", "", "Origin", ""},
		{"null", `{"origins": ["` + p1 + `"]}`, "null", "", "Origin", ""},
		{"no page", `{"origins": ["` + p1 + `"]}`, "", "", "Origin", ""},
		{"everybody", `{"origins": ["*"]}`, p1, "*", "", ""},
		{"credentials", `{"origins": ["` + p1 + `"], "credentials": true}`, p1, p1, "Origin", "true"},
		{"a method that is not open", `{"origins": ["` + p1 + `"], "methods": ["POST"]}`, p1, "", "Origin", ""},
	} {
		p, x := build(t, c.config), exchange("GET")
		if c.origin != "" {
			x.Request.Fields.AddString("Origin", c.origin)
		}
		x.Response.Fields.AddString("Access-Control-Allow-Origin", "https://upstream.example")
		p.Response(x)
		if get(x, "Access-Control-Allow-Origin") != c.allowed || get(x, "Vary") != c.vary || get(x, "Access-Control-Allow-Credentials") != c.credentials {
			t.Errorf("%s: %v", c.name, x.Response.Fields)
		}
	}
	x := exchange("GET", "Origin", p1, "Origin", p2)
	if build(t, `{"origins": ["`+p1+`"]}`).Response(x); get(x, "Access-Control-Allow-Origin") != "" {
		t.Error("two origins are taken")
	}
}

func TestPreflight(t *testing.T) {
	p := build(t, `{"origins": ["https://a.example"], "headers": ["X-API-Key"], "max_age": "1h"}`)
	x := exchange("OPTIONS", "Origin", "https://a.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", " x-api-key ,")
	if err := p.Preflight(x); err != nil || !x.Answered() || x.Response.Status != 204 {
		t.Fatalf("%v, status %d", err, x.Response.Status)
	}
	p.Response(x)
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Methods": "GET",
		"Access-Control-Allow-Headers": "X-API-Key", "Access-Control-Max-Age": "3600", "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"} {
		if got := get(x, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct {
		fields []string
		code   string
	}{
		"another page":  {[]string{"Origin", "https://b.example"}, "origin-not-allowed"},
		"another field": {[]string{"Origin", "https://a.example", "Access-Control-Request-Headers", "X-API-Key, X-Other"}, "header-not-allowed"},
	} {
		x := exchange("OPTIONS", c.fields...)
		err := p.Preflight(x)
		if f := fault.As(err); err == nil || f.Code != c.code || x.Answered() {
			t.Errorf("%s: %v", name, err)
		}
		x.Refusal = fault.As(err)
		x.Answer(403, nil, 0) // as the gateway does
		p.Response(x)
		if name == "another page" && get(x, "Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: its refusal is open to the page", name)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, config := range []string{`{}`, `{"origins": ["*"], "credentials": true}`, `{"origins": ["*", "https://a.example"]}`, `{"origins": ["a.example"]}`,
		`{"origins": ["https://a.example/x"]}`, `{"origins": ["https://*.example"]}`, `{"origins": ["HTTPS://a.example"]}`, `{"origins": ["null"]}`,
		`{"origins": ["https://u@a.example"]}`, `{"origins": ["https://a.example"], "max_age": "forever"}`, `{"origins": ["https://a.example"], "methods": ["G T"]}`} {
		if _, err := cors.Kind().Build(json.RawMessage(config), policy.Site{Route: route}, policy.Deps{}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	p, x := build(t, `{"origins": ["https://a.example"]}`), exchange("GET", "Origin", "https://a.example")
	x.Response.Fields = make(wire.Fields, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		x.Response.Fields = x.Response.Fields[:0]
		p.Response(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
