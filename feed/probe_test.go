package feed_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"gatehouse/feed"
)

func TestSwornAnswers(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	probe := feed.Probe{ID: "off_1", Environment: "live", Seq: 7, Credentials: []feed.Probed{{"crd_1", "api_key", []byte{1}}, {"crd_2", "oauth_client", []byte{2}}}}
	good := feed.Answer{Probe: "off_1", Gateway: "gw", Environment: "live", Position: feed.Position{Epoch: 1, Seq: 9}, At: now,
		Seen: []feed.Seen{{probe.Credentials[0], feed.Refused, "key-revoked"}, {probe.Credentials[1], feed.Absent, ""}}}
	for name, k := range map[string]crypto.Signer{"Ed25519": key, "ECDSA": ec} {
		s, err := feed.Swear(good, k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Proves("gw", probe, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Proves("gw", probe, true); err == nil {
			t.Errorf("%s: refusals prove that they pass", name)
		}
		for what, harm := range map[string]func(*feed.Sworn){
			"a changed answer":    func(s *feed.Sworn) { s.Answer = strings.Replace(s.Answer, "off_1", "off_2", 1) },
			"a changed signature": func(s *feed.Sworn) { s.Signature = append([]byte{s.Signature[0] ^ 1}, s.Signature[1:]...) },
			"no signature":        func(s *feed.Sworn) { s.Signature = nil },
			"no key":              func(s *feed.Sworn) { s.Key = nil },
			"white space":         func(s *feed.Sworn) { s.Answer += " " },
		} {
			bad := s
			harm(&bad)
			if _, err := bad.Open(); err == nil {
				t.Errorf("%s: %s is not noticed", name, what)
			}
		}
	}
	for what, change := range map[string]func(*feed.Answer, *string){
		"another probe":        func(a *feed.Answer, _ *string) { a.Probe = "off_2" },
		"another environment":  func(a *feed.Answer, _ *string) { a.Environment = "test" },
		"another gateway":      func(_ *feed.Answer, gw *string) { *gw = "gw2" },
		"too early":            func(a *feed.Answer, _ *string) { a.Position.Seq = 6 },
		"one missing":          func(a *feed.Answer, _ *string) { a.Seen = a.Seen[:1] },
		"one too many":         func(a *feed.Answer, _ *string) { a.Seen = append(a.Seen, a.Seen[0]) },
		"another credential":   func(a *feed.Answer, _ *string) { a.Seen[1].Credential = "crd_3" },
		"another kind":         func(a *feed.Answer, _ *string) { a.Seen[1].Kind = "api_key" },
		"another mark":         func(a *feed.Answer, _ *string) { a.Seen[1].Mark = []byte{3} },
		"the same one twice":   func(a *feed.Answer, _ *string) { a.Seen[1] = a.Seen[0] },
		"one that passes":      func(a *feed.Answer, _ *string) { a.Seen[1].Verdict = feed.Passes },
		"a verdict of nothing": func(a *feed.Answer, _ *string) { a.Seen[1].Verdict = "" },
	} {
		a, gateway := good, "gw"
		a.Seen = append([]feed.Seen(nil), good.Seen...)
		change(&a, &gateway)
		s, err := feed.Swear(a, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Proves(gateway, probe, false); err == nil {
			t.Errorf("%s proves it", what)
		}
	}
}
