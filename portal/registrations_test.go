package portal_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestInitialTokens makes an initial access token on its page, sees it once, and ends it; nobody else does any of it.
func TestInitialTokens(t *testing.T) {
	s := seed(t)
	app := strings.TrimPrefix(s.app, "/applications/")
	s.ines.get("/credentials").follow("Initial access tokens").want(200).says("No initial access tokens", "Make a token")
	page := s.ines.get(s.app).follow("Let a program register").want(200)
	for name, wrong := range map[string]fill{
		"no uses":         {"name": "pipeline", "environment": "live", "uses": "0"},
		"too many uses":   {"name": "pipeline", "environment": "live", "uses": "101"},
		"uses in words":   {"name": "pipeline", "environment": "live", "uses": "two"},
		"nowhere":         {"name": "pipeline", "environment": "moon"},
		"without a name":  {"environment": "live"},
		"for a long time": {"name": "pipeline", "environment": "live", "lifetime": "365d"},
	} {
		if a := page.submit("/initial-tokens", wrong).want(422); a.text(".error") == "" {
			t.Errorf("%s: the page does not say what is wrong", name)
		}
	}
	shown := page.submit("/initial-tokens", fill{"name": "deploy pipeline", "environment": "live", "uses": "5", "lifetime": "7d"}).want(200).
		says("Copy it now", "Onboarding web", "/oauth/live/register", "5 clients")
	value := shown.text("#the-token")
	if !strings.HasPrefix(value, "ghr_") || !strings.Contains(shown.text("#the-command"), value) {
		t.Fatalf("the page shows %q", value)
	}
	list := s.ines.get("/initial-tokens").says("deploy pipeline", "Onboarding web", "0 of 5", "open")
	if strings.Contains(list.body, value) {
		t.Error("the list shows the token again")
	}
	end := list.follow("End").want(200).says("Clients that were registered with it stay")
	s.rival.get("/initial-tokens").says("No initial access tokens")
	s.rival.get(end.path).want(404)
	s.rival.post(end.path, url.Values{"reason": {"x"}}).want(404)
	s.rival.post("/initial-tokens", url.Values{"name": {"x"}, "application": {app}, "environment": {"live"}, "uses": {"1"}, "lifetime": {"1d"}}).want(422)
	s.admin.get("/initial-tokens/new").want(403)
	s.approver.get("/initial-tokens").says("deploy pipeline", "Nordlicht Bank")
	s.approver.post(end.path, url.Values{"reason": {"x"}}).want(403)
	s.ines.get(end.path).submit(end.path, fill{"reason": "not needed"}).want(200).says("Nothing is registered with it any more", "ended")
	s.ines.post(end.path, url.Values{}).want(409)

	// Staff who keep the platform end one of a partner's.
	s.ines.get("/initial-tokens/new").submit("/initial-tokens", fill{"name": "another", "environment": "test", "application": app}).want(200)
	other := s.admin.get("/initial-tokens").follow("End")
	other.submit(other.path, fill{"reason": "found in a log"}).want(200).says("ended")
}

// TestClientsByKeysAtAnAddress registers a client whose keys are elsewhere, and sees where on its page.
func TestClientsByKeysAtAnAddress(t *testing.T) {
	s := seed(t)
	form := s.ines.get(s.app).follow("Register a client").want(200)
	with := func(uri, keys string) *answer {
		return form.submit("/clients", fill{"name": "batch", "environment": "live", "method": "private_key_jwt", "jwks_uri": uri, "jwks": keys})
	}
	for _, bad := range []string{"http://keys.nordlicht.example/jwks.json", "https://127.0.0.1/jwks.json", "https://[::1]/jwks.json", "https://a:b@keys.nordlicht.example/", "nonsense"} {
		if a := with(bad, "").want(422); a.text("#f-jwks_uri-error") == "" {
			t.Errorf("%s: the page does not say what is wrong: %s", bad, a.text(".summary"))
		}
	}
	with("https://keys.nordlicht.example/jwks.json", `{"keys": []}`).want(422)
	with("", "").want(422)
	done := with("https://keys.nordlicht.example/jwks.json", "").want(200).says("Your client", "Token endpoint", "/oauth/live/token")
	if strings.Contains(done.body, "the-secret") {
		t.Error("a client with keys of its own is shown a secret")
	}
	page := done.follow("See it").want(200).says("private_key_jwt", "https://keys.nordlicht.example/jwks.json", "its tokens are bound: dpop")
	if page.text("code") == "" || !strings.Contains(page.body, done.text("#the-client")) {
		t.Error("its page does not show its client_id")
	}
}
