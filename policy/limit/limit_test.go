package limit_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/limit"
	"gatehouse/ratelimit"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type deps map[string]*ratelimit.Limiter

func (d deps) limiter(name string) *ratelimit.Limiter {
	if d[name] == nil {
		d[name] = ratelimit.NewLimiter(0)
	}
	return d[name]
}

func build(t *testing.T, d deps, scope, config string, kinds ...string) policy.Policy {
	t.Helper()
	p, err := limit.Kind().Build(json.RawMessage(config), policy.Site{Scope: scope, Kinds: kinds, Route: &policy.RouteInfo{}}, policy.Deps{Limiter: d.limiter})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func exchange() *policy.Exchange {
	return &policy.Exchange{Now: now, Peer: netip.MustParseAddrPort("192.0.2.1:5"), Principal: policy.Principal{Method: "api_key", Application: id.Bits{1}, Credential: id.Bits{2}},
		Grant: policy.Right{ID: id.Bits{3}, Terms: &policy.Terms{}, Plan: &policy.PlanInfo{Windows: []ratelimit.Window{{Name: "w", Requests: 2, Per: time.Minute}}}}}
}

// passes counts how many of n calls pass.
func passes(t *testing.T, p policy.Policy, x *policy.Exchange, n int) (passed int) {
	t.Helper()
	for range n {
		x.Limits = x.Limits[:0]
		switch err := p.Request(x); {
		case err == nil:
			passed++
		case fault.KindOf(err) != fault.Limited || fault.As(err).RetryAfter <= 0:
			t.Fatalf("refused with %+v", fault.As(err))
		}
	}
	return passed
}

func TestLimitOfThePlan(t *testing.T) {
	p := build(t, deps{}, "eid", `{}`, "grant")
	x := exchange()
	if n := passes(t, p, x, 5); n != 2 {
		t.Errorf("%d of 5 passed, the plan allows 2", n)
	}
	if len(x.Limits) != 1 || x.Limits[0].OK || x.Limits[0].Remaining != 0 {
		t.Errorf("the answer would say %+v", x.Limits)
	}
	x.Grant.ID = id.Bits{4} // another grant has its own allowance
	if n := passes(t, p, x, 5); n != 2 {
		t.Errorf("of another grant %d of 5 passed", n)
	}
	x.Grant.Plan = &policy.PlanInfo{}
	if n := passes(t, p, x, 5); n != 5 {
		t.Errorf("of a plan without limits %d of 5 passed", n)
	}
	x.Grant = policy.Right{}
	if err := p.Request(x); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("without a grant: %v", err)
	}
}

func TestOwnWindows(t *testing.T) {
	const two = `"windows": [{"requests": 2, "per": "1m"}]}`
	for _, c := range []struct {
		name, by string
		change   func(*policy.Exchange)
		fresh    bool // the change makes it another key
	}{
		{"same application, another credential", "application", func(x *policy.Exchange) { x.Principal.Credential = id.Bits{9} }, false},
		{"another application", "application", func(x *policy.Exchange) { x.Principal.Application = id.Bits{9} }, true},
		{"another credential", "credential", func(x *policy.Exchange) { x.Principal.Credential = id.Bits{9} }, true},
		{"another port", "address", func(x *policy.Exchange) { x.Peer = netip.MustParseAddrPort("192.0.2.1:6") }, false},
		{"another address", "address", func(x *policy.Exchange) { x.Peer = netip.MustParseAddrPort("192.0.2.2:5") }, true},
		{"the address written as IPv6", "address", func(x *policy.Exchange) { x.Peer = netip.MustParseAddrPort("[::ffff:192.0.2.1]:5") }, false},
	} {
		p, x := build(t, deps{}, "eid", `{"by": "`+c.by+`", `+two), exchange()
		if n := passes(t, p, x, 3); n != 2 {
			t.Errorf("%s: %d of 3 passed", c.name, n)
		}
		c.change(x)
		want := 0
		if c.fresh {
			want = 2
		}
		if n := passes(t, p, x, 3); n != want {
			t.Errorf("%s: then %d of 3 passed, want %d", c.name, n, want)
		}
	}
	p, x := build(t, deps{}, "eid", `{"by": "address", `+two), exchange()
	x.Peer = netip.MustParseAddrPort("[2001:db8::1]:5")
	passes(t, p, x, 2)
	x.Peer = netip.MustParseAddrPort("[2001:db8::ffff:1]:5")
	if n := passes(t, p, x, 1); n != 0 {
		t.Error("addresses of one /64 are counted apart")
	}
}

// Routes of one list count together, those of another list apart; a publish builds the policy anew and forgets nothing.
func TestWhatIsCountedTogether(t *testing.T) {
	const config = `{"by": "application", "windows": [{"requests": 2, "per": "1m"}]}`
	d := deps{}
	passes(t, build(t, d, "eid rate_limit 0", config), exchange(), 2)
	if n := passes(t, build(t, d, "eid rate_limit 0", config), exchange(), 1); n != 0 {
		t.Error("another route of the list counts apart")
	}
	if n := passes(t, build(t, d, "eid rate_limit 1", config), exchange(), 3); n != 2 {
		t.Error("another list counts together")
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		config  string
		kinds   []string
		pointer string
	}{
		{`{}`, nil, ""},
		{`{"from": "moon"}`, []string{"grant"}, "/from"},
		{`{"by": "address"}`, []string{"grant"}, "/by"},
		{`{"from": "plan", "by": "address", "windows": [{"requests": 1, "per": "1s"}]}`, nil, "/from"},
		{`{"windows": [{"requests": 1, "per": "1s"}]}`, nil, "/by"},
		{`{"by": "application", "windows": [{"requests": 1, "per": "1s"}]}`, []string{"anonymous"}, "/by"},
		{`{"by": "address", "windows": [{"requests": 1, "per": "1ms"}]}`, nil, "/windows/0"},
		{`{"by": "address", "windows": [{"requests": 1, "per": "1s", "burst": -1}]}`, nil, "/windows/0"},
		{`{"by": "address", "windows": [{"requests": "1", "per": "1s"}]}`, nil, "/windows/requests"},
	} {
		_, err := limit.Kind().Build(json.RawMessage(c.config), policy.Site{Kinds: c.kinds, Route: &policy.RouteInfo{}}, policy.Deps{Limiter: deps{}.limiter})
		if f := fault.As(err); err == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != c.pointer {
			t.Errorf("%s: %v, want one at %q", c.config, err, c.pointer)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	x := exchange()
	x.Limits = make([]ratelimit.Result, 0, 8)
	x.Grant.Plan.Windows[0].Requests = 1e9
	for _, p := range []policy.Policy{
		build(t, deps{}, "eid", `{}`, "grant"),
		build(t, deps{}, "eid", `{"by": "address", "windows": [{"requests": 1000000000, "per": "1s"}]}`),
	} {
		if n := testing.AllocsPerRun(100, func() {
			x.Limits = x.Limits[:0]
			if err := p.Request(x); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// away is a shared counter that does not answer.
type away struct{}

func (away) Spend(string, []byte, []ratelimit.Window, bool, []ratelimit.Result) ([]ratelimit.Result, bool, error) {
	return nil, false, fault.New(fault.Unavailable, "away")
}

// While the shared counter does not answer, or there is none, what the window declares for that holds.
func TestSharedCounterAway(t *testing.T) {
	for _, shared := range []ratelimit.Shared{nil, away{}} {
		for declared, want := range map[string]int{"": 3, `"away": "local",`: 3, `"away": "open",`: 5, `"away": "closed",`: 0} {
			config := `{"by": "application", "windows": [{"counter": "strict", ` + declared + ` "requests": 3, "per": "1h"}]}`
			p, err := limit.Kind().Build(json.RawMessage(config), policy.Site{Route: &policy.RouteInfo{}}, policy.Deps{Limiter: deps{}.limiter, Shared: shared})
			if err != nil {
				t.Fatal(err)
			}
			passed := 0
			for range 5 {
				x := exchange()
				switch err := p.Request(x); {
				case err == nil:
					passed++
				case want == 0 && fault.As(err).Code != "limit-unknown":
					t.Errorf("%+v", fault.As(err))
				}
			}
			if passed != want {
				t.Errorf("%q: %d passed, want %d", declared, passed, want)
			}
		}
	}
	for _, bad := range []string{`"counter": "global"`, `"counter": "strict", "away": "maybe"`, `"away": "open"`} {
		_, err := limit.Kind().Build(json.RawMessage(`{"by": "application", "windows": [{`+bad+`, "requests": 3, "per": "1h"}]}`), policy.Site{Route: &policy.RouteInfo{}}, policy.Deps{Limiter: deps{}.limiter})
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Quotas of the plan count after its windows: what a window refuses uses nothing of them up. The refusal says until when.
func TestQuotasOfThePlan(t *testing.T) {
	quotas := ratelimit.NewQuotas()
	p, err := limit.Kind().Build(json.RawMessage(`{}`), policy.Site{Kinds: []string{"grant"}, Route: &policy.RouteInfo{}}, policy.Deps{Limiter: deps{}.limiter, Quotas: quotas})
	if err != nil {
		t.Fatal(err)
	}
	q, err := ratelimit.ParseQuota("3/day")
	if err != nil {
		t.Fatal(err)
	}
	x := exchange()
	x.Grant.Plan.Quotas = []ratelimit.Quota{q}
	if n := passes(t, p, x, 5); n != 2 {
		t.Errorf("%d passed the window of two", n)
	}
	x.Now = now.Add(time.Hour) // the window is full again
	if n := passes(t, p, x, 5); n != 1 {
		t.Errorf("%d more passed a quota of three", n)
	}
	x.Limits = x.Limits[:0]
	x.Now = now.Add(2 * time.Hour)
	f := fault.As(p.Request(x))
	if f.Kind != fault.Limited || f.Code != "quota-used-up" || f.RetryAfter != 10*time.Hour {
		t.Errorf("refused with %+v", f)
	}
	if got := string(ratelimit.AppendLimit(nil, x.Limits)); got != `"w";r=1;t=30, "day";r=0;t=36000` {
		t.Errorf("RateLimit: %s", got)
	}
	x.Now = now.Add(12 * time.Hour)
	if n := passes(t, p, x, 1); n != 1 {
		t.Error("the next day does not begin anew")
	}
}

func TestQuotaOfThePlanAllocatesNothing(t *testing.T) {
	p, err := limit.Kind().Build(json.RawMessage(`{}`), policy.Site{Kinds: []string{"grant"}, Route: &policy.RouteInfo{}}, policy.Deps{Limiter: deps{}.limiter, Quotas: ratelimit.NewQuotas()})
	if err != nil {
		t.Fatal(err)
	}
	x := exchange()
	x.Limits = make([]ratelimit.Result, 0, ratelimit.MaxWindows)
	x.Grant.Plan.Windows[0].Requests = 1e6
	for _, text := range []string{"1000000/day", "1000000/month"} {
		q, _ := ratelimit.ParseQuota(text)
		x.Grant.Plan.Quotas = append(x.Grant.Plan.Quotas, q)
	}
	if n := testing.AllocsPerRun(1000, func() {
		x.Limits = x.Limits[:0]
		if err := p.Request(x); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
