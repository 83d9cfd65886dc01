package headers_test

import (
	"encoding/json"
	"testing"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/headers"
	"gatehouse/wire"
)

func TestHeaders(t *testing.T) {
	p, err := headers.Kind().Build(json.RawMessage(`{"request": {"remove": ["cookie"], "set": {"X-Tenant": "a", "Accept": "b"}, "add": {"X-More": "c"}},
		"response": {"remove": ["Server"], "set": {"Cache-Control": "no-store"}}}`), policy.Site{}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	x := &policy.Exchange{}
	for _, f := range [][2]string{{"Cookie", "1"}, {"accept", "2"}, {"Accept", "3"}, {"X-More", "4"}, {"Other", "5"}} {
		x.Request.Fields.AddString(f[0], f[1])
	}
	for _, f := range [][2]string{{"server", "1"}, {"cache-control", "public"}, {"Other", "5"}} {
		x.Response.Fields.AddString(f[0], f[1])
	}
	if err := p.Request(x); err != nil {
		t.Fatal(err)
	}
	p.Response(x)
	if got, want := text(x.Request.Fields), "X-More=4 Other=5 Accept=b X-Tenant=a X-More=c "; got != want {
		t.Errorf("request: %s, want %s", got, want)
	}
	if got, want := text(x.Response.Fields), "Other=5 Cache-Control=no-store "; got != want {
		t.Errorf("response: %s, want %s", got, want)
	}
}

func text(fields wire.Fields) (s string) {
	for _, f := range fields {
		if len(f.Name) > 0 {
			s += f.Name.String() + "=" + f.Value.String() + " "
		}
	}
	return s
}

// What tells who calls, frames a message or belongs to a connection cannot be named, however it is written.
func TestSettings(t *testing.T) {
	for config, pointer := range map[string]string{
		`{"request": {"set": {"Gatehouse-Organization": "x"}}}`:   "/request/set/Gatehouse-Organization",
		`{"request": {"set": {"gatehouse_grant": "x"}}}`:          "/request/set/gatehouse_grant",
		`{"request": {"remove": ["GATEHOUSE-Scopes"]}}`:           "/request/remove/0",
		`{"response": {"set": {"Gatehouse-Request-Id": "x"}}}`:    "/response/set/Gatehouse-Request-Id",
		`{"request": {"set": {"Content-Length": "1"}}}`:           "/request/set/Content-Length",
		`{"request": {"remove": ["Host"]}}`:                       "/request/remove/0",
		`{"response": {"add": {"transfer-encoding": "chunked"}}}`: "/response/add/transfer-encoding",
		`{"response": {"remove": ["Connection"]}}`:                "/response/remove/0",
		`{"request": {"set": {"X-Forwarded-For": "x"}}}`:          "/request/set/X-Forwarded-For",
		`{"request": {"set": {"Forwarded": "x"}}}`:                "/request/set/Forwarded",
		`{"request": {"set": {"Authorization": "Bearer x"}}}`:     "/request/set/Authorization",
		`{"request": {"set": {"traceparent": "x"}}}`:              "/request/set/traceparent",
		`{"response": {"set": {"RateLimit": "x"}}}`:               "/response/set/RateLimit",
		`{"response": {"set": {"WWW-Authenticate": "x"}}}`:        "/response/set/WWW-Authenticate",
		`{"request": {"set": {"a/b~c": "x"}}}`:                    "/request/set/a~1b~0c",
		`{"request": {"set": {"": "x"}}}`:                         "/request/set/",
		`{"request": {"set": {"X": "a\r\nY: b"}}}`:                "/request/set/X",
		`{"request": {"set": {"X": " a"}}}`:                       "/request/set/X",
		`{"request": {"sett": {}}}`:                               "/sett",
		`{}`:                                                      "",
	} {
		_, err := headers.Kind().Build(json.RawMessage(config), policy.Site{}, policy.Deps{})
		if f := fault.As(err); err == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v, want one at %q", config, err, pointer)
		}
	}
	if _, err := headers.Kind().Build(json.RawMessage(`{"request": {"remove": ["Authorization", "Cookie"]}}`), policy.Site{}, policy.Deps{}); err != nil {
		t.Errorf("secrets of callers may be removed: %v", err)
	}
}

func TestAllocatesNothing(t *testing.T) {
	p, err := headers.Kind().Build(json.RawMessage(`{"request": {"set": {"A": "1", "B": "2"}}, "response": {"remove": ["Server"]}}`), policy.Site{}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	x := &policy.Exchange{}
	x.Request.Fields = make(wire.Fields, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		x.Request.Fields = x.Request.Fields[:0]
		_ = p.Request(x)
		p.Response(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
