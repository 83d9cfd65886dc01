package snapshot_test

import (
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// What a guest presented ends before the credential that it belongs to: by itself, or when it is denied.
func TestStillAsksForWhatWasPresented(t *testing.T) {
	r, ds := snapshot.Compile(&manifest.Parsed{Manifest: manifest.Manifest{Environments: []manifest.Environment{{Name: "live"}}}}, "live", 1, nil, policy.Deps{})
	if r == nil {
		t.Fatal(ds)
	}
	route := &snapshot.Route{RouteInfo: policy.RouteInfo{Environment: "live", API: "chat", Operation: "connect", Route: "chat connect"}}
	r.All = append(r.All, route)
	v, p := &snapshot.View{Routes: r, Access: snapshot.NewAccess("live")}, newPartner()
	apply(t, v.Access, p.org, p.app, p.cred)
	bits, _ := p.cred.ID.Bits(id.Credential)
	key := policy.Principal{Method: "api_key", Credential: bits, Mark: p.hash}
	token := key
	token.Token, token.Expires = secret.Hash{1}, now.Add(time.Minute).UnixMicro()

	check := func(what string, p policy.Principal, at time.Time, until time.Time, code string) {
		t.Helper()
		got, err := v.Still(&snapshot.Guest{Route: "chat connect", Principal: p}, at)
		switch {
		case code == "" && (err != nil || !got.Equal(until)):
			t.Errorf("%s: until %v, %v; want %v", what, got, err, until)
		case code != "" && (err == nil || fault.As(err).Code != code):
			t.Errorf("%s: until %v, %v; want %s", what, got, err, code)
		}
	}
	check("a key", key, now, p.cred.Expires, "")
	check("a key at its end", key, p.cred.Expires, now, "credential-expired")
	check("a token", token, now, now.Add(time.Minute), "")
	check("a token at its end", token, now.Add(time.Minute), now, "credential-expired")
	other := key
	other.Credential[3]++
	check("another credential with the mark", other, now, now, "credential-revoked")
	check("nobody", policy.Principal{Method: policy.Anybody}, now, time.Time{}, "")

	e := entry(feed.KindDenial, feed.Denial{Mark: token.Token[:], Expires: now.Add(time.Hour)})
	e.Committed = now
	if err := v.Apply(e); err != nil {
		t.Fatal(err)
	}
	check("a token that is denied", token, now, now, "credential-revoked")
	check("a key beside it", key, now, p.cred.Expires, "")

	r.All[0].Closed = fault.New(fault.Unavailable, "closed")
	check("a route that is closed", key, now, now, "route-withdrawn")
}
