package trust_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/fetch"
	"gatehouse/policy"
	"gatehouse/token"
	"gatehouse/trust"
)

// issuer is one that answers as it is told to.
type issuer struct {
	*httptest.Server
	mu         sync.Mutex
	discovery  string
	keys       string
	status     int
	redirect   string // where jwks leads; "": nowhere
	looks      atomic.Int64
	discovered atomic.Int64
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{status: 200}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration", "/tenant/.well-known/openid-configuration":
			i.discovered.Add(1)
			w.WriteHeader(i.status)
			fmt.Fprint(w, i.discovery)
		case "/jwks":
			i.looks.Add(1)
			if i.redirect != "" {
				http.Redirect(w, r, i.redirect, http.StatusFound)
				return
			}
			w.WriteHeader(i.status)
			fmt.Fprint(w, i.keys)
		default:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(i.Close)
	i.discovery = fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/jwks")
	i.keys = set(t, "k1")
	return i
}

func (i *issuer) change(fn func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fn()
}

// client trusts the issuer's certificate and reaches loopback, if it is allowed.
func (i *issuer) client(t *testing.T, allowed ...netip.Prefix) *fetch.Client {
	roots := x509.NewCertPool()
	roots.AddCert(i.Certificate())
	transport := &http.Transport{}
	transport.TLSClientConfig = i.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	transport.TLSClientConfig.RootCAs = roots
	c := fetch.New(fetch.Options{Allowed: allowed, Transport: transport})
	t.Cleanup(c.Close)
	return c
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func set(t *testing.T, ids ...string) string {
	var s jose.JSONWebKeySet
	for _, id := range ids {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.Keys = append(s.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: id})
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// keeper runs one until the test ends.
func keeper(t *testing.T, o trust.Options) *trust.Keeper {
	k := trust.New(o)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return k
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within half a minute", what)
		}
	}
}

func of(url string) *policy.TrustedIssuer {
	return &policy.TrustedIssuer{Trusted: token.Trusted{URL: url}}
}

func TestKeysAreFetchedAndRotate(t *testing.T) {
	i := newIssuer(t)
	k := keeper(t, trust.Options{Fetch: i.client(t, loopback), Every: time.Hour, Floor: time.Millisecond, Retry: time.Millisecond})
	keys := k.Keys(of(i.URL))
	if k.Keys(of(i.URL)) != keys {
		t.Error("the same issuer has two sets of keys")
	}
	var first *policy.KeySet
	until(t, "the first keys", func() bool { first = keys.Load(time.Now(), time.Hour); return first != nil })
	if len(first.Keys) != 1 || first.Keys[0].ID != "k1" {
		t.Fatalf("%+v", first)
	}

	// Asked again, nothing has changed: it is the same set, so that what was verified stays so.
	looks := i.looks.Load()
	keys.Ask()
	until(t, "another look", func() bool { return i.looks.Load() > looks })
	if keys.Load(time.Now(), time.Hour) != first {
		t.Error("the same keys are another set")
	}

	// The issuer has a new key: asked for, it is there.
	i.change(func() { i.keys = set(t, "k1", "k2") })
	keys.Ask()
	until(t, "the new key", func() bool { s := keys.Load(time.Now(), time.Hour); return s != first && len(s.Keys) == 2 })

	// What cannot be taken changes nothing.
	good := keys.Load(time.Now(), time.Hour)
	for what, bad := range map[string]string{
		"no JSON": "<html>", "no keys": `{"keys":[]}`, "one kid twice": set(t, "k9", "k9"), "a secret": `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k1"}]}`,
		"too many": set(t, strings.Fields(strings.Repeat("k ", 1)+"a b c d e f g h i j l m n o p q r s t u v w")...), "huge": `{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`,
		"more than a set may have": `{"keys":[], "pad":"` + strings.Repeat("x", 65<<10) + `"}`,
	} {
		i.change(func() { i.keys = bad })
		looks := i.looks.Load()
		keys.Ask()
		until(t, what, func() bool { return i.looks.Load() > looks+1 }) // it tries again by itself
		if keys.Load(time.Now(), time.Hour) != good {
			t.Errorf("%s: the keys that were good are gone", what)
		}
	}
	k.Only(nil, nil)
	if k.Keys(of(i.URL)) == keys {
		t.Error("what nobody names is not forgotten")
	}
}

func TestUnknownKeysAskNoMoreThanTheFloor(t *testing.T) {
	i := newIssuer(t)
	k := keeper(t, trust.Options{Fetch: i.client(t, loopback), Every: time.Hour, Floor: time.Hour})
	keys := k.Keys(of(i.URL))
	until(t, "the first keys", func() bool { return keys.Load(time.Now(), time.Hour) != nil })
	for range 1000 {
		keys.Ask()
	}
	until(t, "the owner has heard", func() bool { return len(keys.Asked()) == 0 })
	if n := i.looks.Load(); n != 1 {
		t.Errorf("%d looks within the floor", n)
	}
}

func TestKeysGoStale(t *testing.T) {
	i := newIssuer(t)
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	k := keeper(t, trust.Options{Fetch: i.client(t, loopback), Every: 5 * time.Millisecond, Floor: time.Millisecond, Retry: time.Millisecond, Now: clock})
	keys := k.Keys(of(i.URL))
	if keys.Load(clock(), time.Hour) != nil && i.looks.Load() == 0 {
		t.Error("keys before anybody was asked")
	}
	until(t, "the first keys", func() bool { return keys.Load(clock(), time.Hour) != nil })
	i.change(func() { i.status = 500 })
	discovered := i.discovered.Load()
	until(t, "the issuer is away", func() bool { return i.discovered.Load() > discovered+1 })
	if keys.Load(clock(), time.Hour) == nil {
		t.Error("an issuer that is away takes its keys along at once")
	}
	ahead.Store(int64(time.Hour + 2*time.Second))
	if keys.Load(clock(), time.Hour) != nil {
		t.Error("keys count for longer than they may")
	}
	i.change(func() { i.status = 200 })
	until(t, "the issuer is back", func() bool { return keys.Load(clock(), time.Hour) != nil })
}

// A discovery document that is not the issuer's own, or leads where nobody may look.
func TestDiscoveryThatIsWrong(t *testing.T) {
	inside := newIssuer(t) // on loopback too, but of an address that is not allowed
	for what, c := range map[string]struct {
		issuer  func(i *issuer) string
		change  func(i *issuer)
		allowed []netip.Prefix
		ok      bool
	}{
		"right": {},
		"the issuer's name has a path": {issuer: func(i *issuer) string { return i.URL + "/tenant" }, change: func(i *issuer) {
			i.discovery = fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, i.URL+"/tenant", i.URL+"/jwks")
		}},
		"a slash that it does not have": {issuer: func(i *issuer) string { return i.URL + "/" }},
		"another issuer": {change: func(i *issuer) {
			i.discovery = fmt.Sprintf(`{"issuer":"https://evil.example","jwks_uri":%q}`, i.URL+"/jwks")
		}},
		"no issuer": {change: func(i *issuer) { i.discovery = fmt.Sprintf(`{"jwks_uri":%q}`, i.URL+"/jwks") }},
		"two issuers": {change: func(i *issuer) {
			i.discovery = fmt.Sprintf(`{"issuer":"https://evil.example","issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/jwks")
		}},
		"no keys":              {change: func(i *issuer) { i.discovery = fmt.Sprintf(`{"issuer":%q}`, i.URL) }},
		"keys in a file":       {change: func(i *issuer) { i.discovery = fmt.Sprintf(`{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, i.URL) }},
		"keys without TLS":     {change: func(i *issuer) { i.discovery = fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://127.0.0.1:1/"}`, i.URL) }},
		"keys inside":          {change: func(i *issuer) { i.discovery = fmt.Sprintf(`{"issuer":%q,"jwks_uri":"https://[::1]:1/jwks"}`, i.URL) }},
		"metadata of clouds":   {change: func(i *issuer) { i.redirect = "https://169.254.169.254/jwks" }},
		"a redirect inside":    {change: func(i *issuer) { i.redirect = strings.Replace(inside.URL, "127.0.0.1", "127.0.0.2", 1) + "/jwks" }},
		"a redirect to http":   {change: func(i *issuer) { i.redirect = "http://127.0.0.1:1/jwks" }},
		"a redirect to itself": {change: func(i *issuer) { i.redirect = "/jwks" }},
		"not found":            {issuer: func(i *issuer) string { return i.URL + "/nowhere" }},
		"huge": {change: func(i *issuer) {
			i.discovery = strings.TrimSuffix(i.discovery, "}") + `,"pad":"` + strings.Repeat("x", 200<<10) + `"}`
		}},
		"no JSON":                 {change: func(i *issuer) { i.discovery = "<html>" }},
		"loopback is not allowed": {allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	} {
		t.Run(what, func(t *testing.T) {
			i := newIssuer(t)
			if c.change != nil {
				c.change(i)
			}
			if c.allowed == nil {
				c.allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			}
			said := make(said, 100)
			k := keeper(t, trust.Options{Fetch: i.client(t, c.allowed...), Every: time.Hour, Floor: time.Millisecond, Retry: time.Hour, Log: said.logger()})
			name := i.URL
			if c.issuer != nil {
				name = c.issuer(i)
			}
			keys := k.Keys(of(name))
			line := said.next(t)
			got := keys.Load(time.Now(), time.Hour) != nil
			want := what == "right" || strings.HasPrefix(what, "the issuer's name")
			if got != want {
				t.Errorf("keys are there: %v, want %v (%s)", got, want, line)
			}
		})
	}
}
