package portal_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/control"
	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
	"gatehouse/policy/apikey"
	"gatehouse/policy/cors"
	"gatehouse/policy/granted"
	"gatehouse/policy/headers"
	"gatehouse/policy/limit"
	"gatehouse/policy/oauth"
	"gatehouse/policy/requestsize"
	"gatehouse/policy/several"
	"gatehouse/portal"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/store/sqldb"
)

// password is what everybody in these tests signs in with.
const password = "nine otters beside the quay"

// world is a whole control plane with its gateways and the portal on a listener: real SQLite, real feed, real mail box.
type world struct {
	t        *testing.T
	url      string
	control  *control.Control
	box      *mail.Box
	gateways map[string]*gateway.Gateway
	boss     *visitor
}

// View gives control what a gateway serves from.
func (w *world) View(environment string) *snapshot.View {
	if g := w.gateways[environment]; g != nil {
		return g.View()
	}
	return nil
}

// keys signs for a control plane of one test.
type keys struct {
	feed     ed25519.PrivateKey
	signer   note.Signer
	verifier string
}

func (k keys) SignFeed(digest string) []byte { return feed.Sign(k.feed, digest) }
func (k keys) SignCheckpoint(text string) (string, error) {
	b, err := note.Sign(&note.Note{Text: text}, k.signer)
	return string(b), err
}
func (k keys) Verifier() string { return k.verifier }
func (k keys) Derive(purpose string) [32]byte {
	return sha256.Sum256(append(k.feed.Seed(), purpose...))
}

// option changes the portal of a world.
type change func(*portal.Options)

// newWorld starts everything, with the example manifest published in both environments.
func newWorld(t *testing.T, changes ...change) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := sqldb.OpenSQLite(ctx, filepath.Join(t.TempDir(), "gatehouse.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, box: mail.NewBox(), gateways: map[string]*gateway.Gateway{}}
	k := newKeys(t)
	methods := []policy.Kind{apikey.Kind(), oauth.Kind()}
	kinds := []policy.Kind{anonymous.Kind(), apikey.Kind(), oauth.Kind(), several.AnyOf(methods), granted.Kind(), granted.WithoutKind(), limit.Kind(), requestsize.Kind(), cors.Kind(), headers.Kind()}
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String()
	w.control = control.New(control.Options{
		Store: s, Mail: w.box, Kinds: kinds, Views: w, Keys: k, Now: time.Now, URL: w.url, Version: "test", Backups: t.TempDir(), Watch: watched(),
		Gateways: map[string]string{"live": "http://127.0.0.1:8000", "test": "http://127.0.0.1:8010"},
	})
	o := portal.Options{Control: w.control, Box: w.box, Dev: true, Version: "test", Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range changes {
		c(&o)
	}
	h, err := portal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h
	ended := make(chan error, 3)
	running := 1
	go func() { ended <- w.control.Run(ctx) }()
	if err := w.control.EnsureEnvironments(ctx, system(), []string{"live", "test"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"live", "test"} {
		g, err := gateway.New(gateway.Options{Environment: e, Name: "gw-" + e, Source: w.control.Source(), Key: k.feed.Public().(ed25519.PublicKey), Kinds: kinds,
			Secrets: func(string) (secret.Value, bool) { return secret.New("shared with the upstream"), true }})
		if err != nil {
			t.Fatal(err)
		}
		w.gateways[e] = g
		running++
		go func() { ended <- g.Follow(ctx) }()
	}
	server.Start()
	t.Cleanup(func() {
		server.Close()
		cancel()
		for range running {
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.publish(bundle(t))
	return w
}

func system() identity.Actor { return identity.Actor{Class: identity.System} }

func newKeys(t *testing.T) keys {
	t.Helper()
	_, f, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return keys{f, signer, vkey}
}

// bundle is the example's manifest.
func bundle(t *testing.T) manifest.Bundle {
	t.Helper()
	b, diagnostics := manifest.Load("../examples/eid/manifest")
	if manifest.Fatal(diagnostics) {
		t.Fatal(diagnostics)
	}
	return b
}

// publish publishes in both environments and waits until the gateways serve it.
func (w *world) publish(b manifest.Bundle) {
	w.t.Helper()
	for _, e := range []string{"live", "test"} {
		p, err := w.control.Publish(context.Background(), system(), e, b, "for the tests")
		if err != nil {
			w.t.Fatal(err)
		}
		w.until(func() bool { return w.gateways[e].View().Revision == p.Revision.Number })
	}
}

// until waits for a condition, and fails when it does not come.
func (w *world) until(ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("what was waited for did not come within 10 s")
		}
	}
}

// letter waits for the newest letter to an address and returns its first link as a path.
func (w *world) letter(to string) string {
	w.t.Helper()
	var link string
	w.until(func() bool {
		for _, l := range w.box.Letters() {
			if strings.EqualFold(l.To, to) && len(mail.Links(l.Text)) > 0 {
				link = mail.Links(l.Text)[0]
				return true
			}
		}
		return false
	})
	u, err := url.Parse(link)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.RequestURI()
}

// visitor is one browser without scripts.
type visitor struct {
	t   *testing.T
	w   *world
	web *http.Client
}

func (w *world) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &visitor{w.t, w, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

// staffed is a visitor signed in as one of the platform's people with these roles.
func (w *world) staffed(email, name string, roles ...identity.Role) *visitor {
	w.t.Helper()
	host := identity.Actor{Class: identity.Host}
	if email == "admin@platform.example" {
		if _, err := w.control.RecoverAdmin(context.Background(), host, email, name); err != nil {
			w.t.Fatal(err)
		}
		link, err := w.control.RecoverAdmin(context.Background(), host, email, name)
		if err != nil {
			w.t.Fatal(err)
		}
		return w.byLink(link.Reveal())
	}
	if _, err := w.control.AddStaff(context.Background(), host, email, name, roles); err != nil {
		w.t.Fatal(err)
	}
	return w.byLink(w.url + w.letter(email))
}

func (w *world) byLink(link string) *visitor {
	w.t.Helper()
	v := w.visitor()
	p := v.get(strings.TrimPrefix(link, w.url))
	p.want(200)
	p.submit("/signin/link", nil).want(200)
	return v
}

// partner registers an organization through the pages and signs its first member in.
func (w *world) partner(organization, name, email string) *visitor {
	w.t.Helper()
	v := w.visitor()
	v.get("/register").submit("/register", fill{"organization": organization, "name": name, "email": email, "password": password}).want(200)
	v.get(w.letter(email)).submit("/confirm", nil).want(200)
	v.get("/signin").submit("/signin", fill{"email": email, "password": password}).want(200)
	return v
}

func (v *visitor) get(path string) *answer {
	v.t.Helper()
	r, err := v.web.Get(v.w.url + path)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.read(r)
}

func (v *visitor) read(r *http.Response) *answer {
	v.t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return newAnswer(v, r, b)
}
