// Package ssotest runs a real OpenID provider for tests: that of zitadel/oidc, on a listener of its own, with a hand on what it
// sends.
package ssotest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client that the provider knows, and everybody's password.
const (
	ClientID = "gatehouse"
	Secret   = "the provider knows this"
	password = "verysecure"
)

// User is somebody whom the provider knows.
type User struct {
	Subject, Email, Name string
	Verified             bool
	Groups               []string
}

// Provider is a running provider.
type Provider struct {
	t      testing.TB
	Issuer string
	server *httptest.Server
	store  *grouped

	mu      sync.Mutex
	users   map[string]User
	rewrite func(idToken string, claims map[string]any) string
}

// New starts a provider that knows one client, which comes back to these addresses.
func New(t testing.TB, redirects ...string) *Provider {
	t.Helper()
	p := &Provider{t: t, users: map[string]User{}}
	p.server = httptest.NewUnstartedServer(nil)
	p.Issuer = "http://" + p.server.Listener.Addr().String()
	p.store = &grouped{storage.NewStorageWithClients(p, map[string]*storage.Client{ClientID: storage.WebClient(ClientID, Secret, redirects...)}), p}
	quiet, before := slog.New(slog.DiscardHandler), slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) }) // the example sets the process's
	p.server.Config.Handler = p.watch(exampleop.SetupServer(p.Issuer, p.store, quiet, false, op.WithLogger(quiet)))
	p.server.Start()
	t.Cleanup(p.server.Close)
	return p
}

// Know lets the provider know somebody, in the place of whoever had the subject.
func (p *Provider) Know(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[u.Subject] = u
}

// Stop takes the provider away.
func (p *Provider) Stop() { p.server.Close() }

// Rewrite changes each ID token on its way: change gets it with its claims and returns what is sent. nil leaves them alone.
func (p *Provider) Rewrite(change func(idToken string, claims map[string]any) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rewrite = change
}

// Sign makes an ID token of the claims, signed with the provider's own key.
func (p *Provider) Sign(claims map[string]any) string {
	p.t.Helper()
	key, err := p.store.SigningKey(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: key.SignatureAlgorithm(), Key: jose.JSONWebKey{Key: key.Key(), KeyID: key.ID()}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	j, err := s.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := j.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// SignIn does at the provider what a person does in a browser that was sent to the address, and returns where it is sent back.
func (p *Provider) SignIn(address, subject string) *url.URL {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if "http://"+r.URL.Host != p.Issuer {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	form, err := browser.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	form.Body.Close()
	at := form.Request.URL
	if at.Path != "/login/username" {
		p.t.Fatalf("the provider sent the browser to %s (%s)", at, form.Status)
	}
	back, err := browser.PostForm(p.Issuer+"/login/username", url.Values{"username": {subject}, "password": {password}, "id": {at.Query().Get("authRequestID")}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer back.Body.Close()
	to, err := back.Location()
	if err != nil {
		b, _ := io.ReadAll(back.Body) // says why
		p.t.Fatalf("the provider does not send the browser back: %s %.300s", back.Status, b)
	}
	return to
}

// watch hands ID tokens to whoever rewrites them.
func (p *Provider) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		rewrite := p.rewrite
		p.mu.Unlock()
		if rewrite == nil || !strings.HasSuffix(r.URL.Path, "/token") {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		answer := map[string]any{}
		if text, ok := tokenIn(body, answer); ok {
			answer["id_token"] = rewrite(text, claimsOf(text))
			body, _ = json.Marshal(answer) // of texts and numbers
		}
		for name, v := range rec.Header() {
			w.Header()[name] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rec.Code)
		_, _ = io.Copy(w, bytes.NewReader(body)) // the client may have gone
	})
}

// tokenIn decodes the answer of the token endpoint, and returns its ID token.
func tokenIn(body []byte, answer map[string]any) (string, bool) {
	if json.Unmarshal(body, &answer) != nil {
		return "", false
	}
	text, ok := answer["id_token"].(string)
	return text, ok
}

func claimsOf(idToken string) map[string]any {
	claims := map[string]any{}
	if j, err := jose.ParseSignedCompact(idToken, []jose.SignatureAlgorithm{jose.RS256}); err == nil {
		_ = json.Unmarshal(j.UnsafePayloadWithoutVerification(), &claims) // the provider made it
	}
	return claims
}

// GetUserByID is storage.UserStore's.
func (p *Provider) GetUserByID(subject string) *storage.User {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[subject]
	if !ok {
		return nil
	}
	first, last, _ := strings.Cut(u.Name, " ")
	return &storage.User{ID: u.Subject, Username: u.Subject, Password: password, FirstName: first, LastName: last, Email: u.Email, EmailVerified: u.Verified}
}

// GetUserByUsername is storage.UserStore's.
func (p *Provider) GetUserByUsername(name string) *storage.User { return p.GetUserByID(name) }

// ExampleClientID is storage.UserStore's.
func (p *Provider) ExampleClientID() string { return "service" }

// grouped adds groups to what the example's storage says of somebody.
type grouped struct {
	*storage.Storage
	of *Provider
}

// SetUserinfoFromToken is op.Storage's.
func (g *grouped) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	if err := g.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	if groups := g.of.users[subject].Groups; groups != nil {
		info.AppendClaims("groups", groups)
	}
	return nil
}
