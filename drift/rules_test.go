package drift_test

import (
	"testing"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
)

// TestRulesThatFilesSeldomExpress: those that no reader's mutations reach, on the model itself. weak changes the second of two equal
// environments for the worse.
func TestRulesThatFilesSeldomExpress(t *testing.T) {
	at := drift.Origin{File: "f", Line: 1}
	now := drifttest.Now()
	build := func(name string) *drift.Environment {
		e := drift.NewEnvironment("test", drift.Options{Name: name, Tier: drift.Prod})
		e.Exposures = []drift.Exposure{{Host: "api.example.com", Certs: []string{"cert"}, Edge: "frontdoor", Proof: drift.Is(true, at), Origin: at}}
		e.Certificates = []drift.Certificate{{Ref: "cert", Use: "server", Hosts: []string{"*.example.com"}, Ends: drift.Is(now.AddDate(1, 0, 0), at), KeyAlg: drift.Is("ecdsap256", at), Pinned: drift.Is(false, at), Origin: at}}
		k, m := drift.NewKey("GET", drift.Template, "/a/{id}")
		p := &drift.Policy{}
		ext := drift.Requirement{Kind: drift.ExtAuthz, Origin: at, External: &drift.External{TTL: drift.Is(int64(10), at), CacheKey: drift.Is([]string{"token", "path"}, at), FailOpen: drift.Is(false, at)}}
		p.Auth.Ways = drift.Is(drift.Ways{{Needs: []drift.Requirement{ext}}}, at)
		p.Logging.Enabled, p.Logging.Retention = drift.Is(true, at), drift.Is(int64(90), at)
		p.Rates = drift.Is([]drift.Rate{{Count: drift.Is(int64(1), at), Window: drift.Is(int64(1), at), Key: drift.Is("consumer", at)}}, at)
		p.Transforms = drift.Is([]drift.Transform{{Phase: "request", Target: "header", Op: "remove", Name: "X"}, {Phase: "request", Target: "header", Op: "set", Name: "X", Value: "1"}}, at)
		e.Operations = []drift.Operation{{Key: k, Match: m, Effective: []drift.Effective{{Policy: p}}}}
		return e
	}
	for _, c := range []struct {
		rule string
		weak func(*drift.Environment, *drift.Policy)
		want drift.Direction
	}{
		{"DR-AUT-16", func(_ *drift.Environment, p *drift.Policy) {
			p.Auth.Ways.Value[0].Needs[0].External.TTL = drift.Is(int64(3600), at)
		}, drift.BWeaker},
		{"DR-AUT-16", func(_ *drift.Environment, p *drift.Policy) {
			p.Auth.Ways.Value[0].Needs[0].External.CacheKey = drift.Is([]string{"path"}, at)
		}, drift.BWeaker},
		{"DR-CRT-07", func(e *drift.Environment, _ *drift.Policy) {
			e.Certificates[0].Ends = drift.Is(now.AddDate(0, 6, 0), at)
		}, drift.BWeaker},
		{"DR-CRT-07", func(e *drift.Environment, _ *drift.Policy) {
			e.Certificates[0].Ends = drift.Is(now.Add(time.Hour), at)
		}, drift.AWeaker},
		{"DR-CRT-08", func(e *drift.Environment, _ *drift.Policy) { e.Certificates[0].Hosts = []string{"*.example.net"} }, drift.AWeaker},
		{"DR-CRT-11", func(e *drift.Environment, _ *drift.Policy) { e.Certificates[0].KeyAlg = drift.Is("rsa2048", at) }, drift.BWeaker},
		{"DR-CRT-11", func(e *drift.Environment, _ *drift.Policy) { e.Certificates[0].KeyAlg = drift.Is("rsa1024", at) }, drift.AWeaker},
		{"DR-OBS-08", func(_ *drift.Environment, p *drift.Policy) { p.Logging.Retention = drift.Is(int64(7), at) }, drift.BWeaker},
		{"DR-TRF-05", func(_ *drift.Environment, p *drift.Policy) { p.Auth.Ways = drift.Is(drift.Ways(nil), at) }, drift.AWeaker},
		{"DR-TRF-10", func(_ *drift.Environment, p *drift.Policy) {
			t := p.Transforms.Value
			p.Transforms.Value = []drift.Transform{t[1], t[0]}
		}, drift.NoneWeaker},
		{"DR-EXP-06", func(e *drift.Environment, _ *drift.Policy) { e.Exposures[0].Proof = drift.Is(false, at) }, drift.AWeaker},
	} {
		a, b := build("a"), build("b")
		set := drift.Settings{Now: now}
		if fs := drifttest.Named(drift.Compare([]*drift.Environment{a, b}, set), c.rule); len(fs) > 0 {
			t.Errorf("%s is found before it is there: %+v", c.rule, fs[0])
		}
		c.weak(b, b.Operations[0].General())
		found := false
		for _, f := range drifttest.Named(drift.Compare([]*drift.Environment{a, b}, set), c.rule) {
			found = found || f.Direction == c.want && (f.B != nil || f.A.Environment == "b")
		}
		if !found {
			t.Errorf("%s is not found", c.rule)
		}
	}
}

// TestSeverityFollowsTierAndExposure: one step less outside production, one step less where the public cannot reach it, and no less
// for a test environment that leads into production.
func TestSeverityFollowsTierAndExposure(t *testing.T) {
	at := drift.Origin{File: "f", Line: 1}
	for _, c := range []struct {
		tier       drift.Tier
		visibility drift.Visibility
		upstream   string
		want       drift.Severity
	}{
		{drift.Prod, drift.Public, "https://u.example.com", drift.High},
		{"", drift.Public, "https://u.example.com", drift.High},
		{drift.Dev, drift.Public, "https://u.example.com", drift.Medium},
		{drift.Prod, drift.Internal, "https://u.example.com", drift.Medium},
		{drift.Dev, drift.Private, "https://u.example.com", drift.Low},
		{drift.Dev, drift.Public, "https://u-prd.example.com", drift.High},
	} {
		e := drift.NewEnvironment("test", drift.Options{Name: "env", Tier: c.tier})
		e.Exposures = []drift.Exposure{{Host: "h", Visibility: c.visibility}}
		e.Literals = []drift.Literal{{What: "x", Origin: at}}
		e.Refer("upstream", c.upstream, at)
		fs := drifttest.Named(drift.Compare([]*drift.Environment{e}, drift.Settings{}), "DR-AUT-22")
		if len(fs) != 1 || fs[0].Severity != c.want {
			t.Errorf("%+v: %+v", c, fs)
		}
	}
}
