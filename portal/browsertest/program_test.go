package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/secret"
)

// program is the whole of Gatehouse, running, with a small service behind its gateways.
type program struct {
	t *testing.T
	app.Started
}

// run starts the program as make run does, on free ports and a fresh folder.
func run(t *testing.T) *program {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hello":"partner"}`)
	}))
	t.Cleanup(upstream.Close)
	c := config.Default()
	c.Data, c.Manifest, c.Dev = t.TempDir(), manifestFor(t, upstream.URL), true
	c.Control.Listen, c.Gateway.Listen, c.Operations.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Secrets = map[string]secret.Value{"eid-gateway": secret.New("shared with the upstream")}
	c.Events = "none"
	c.Drift.Environments = watched(t)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan app.Started, 1), make(chan error, 1)
	s := app.Serve{Config: c, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Events: io.Discard, Ready: func(s app.Started) { ready <- s }}
	go func() { ended <- s.Run(ctx) }()
	p := &program{t: t}
	select {
	case p.Started = <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the program is not ready after a minute")
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// watched are the folders of two gateways, of which one asks for no key, as drift.environments names them.
func watched(t *testing.T) string {
	t.Helper()
	const deck = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\n"
	var all []string
	for name, more := range map[string]string{"north": "plugins: [{name: key-auth, config: {key_in_query: false}}]\n", "south": ""} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "kong.yaml"), []byte(deck+more), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, name+"@prod:kong="+dir)
	}
	return strings.Join(append(all, "west@prod:kong=bundle:"), " ")
}

// manifestFor is the example's manifest with another address behind the gateway.
func manifestFor(t *testing.T, upstream string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("../../examples/eid/manifest/*")
	if err != nil || len(files) == 0 {
		t.Fatal("the example's manifest is not there", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("http://127.0.0.1:8009"), []byte(upstream))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// call calls a gateway with a key, and returns status and body.
func (p *program) call(environment, path, key string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.Gateways[environment]+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return got.StatusCode, string(b)
}

// api posts JSON to the admin API and decodes the answer into out.
func (p *program) api(token, path string, in map[string]any, out any) {
	p.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, p.Portal+"/api/"+path, bytes.NewReader(b))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode >= 300 {
		b, _ := io.ReadAll(got.Body) // says what is wrong
		p.t.Fatalf("%s: %d %s", path, got.StatusCode, b)
	}
	if out != nil {
		if err := json.NewDecoder(got.Body).Decode(out); err != nil {
			p.t.Fatal(err)
		}
	}
}

// link waits for a letter and returns the path of its first link.
func (p *program) link(to string) string {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		r, err := http.NewRequest(http.MethodGet, p.Portal+"/dev/mail", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		var list struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		err = json.NewDecoder(got.Body).Decode(&list)
		got.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, l := range list.Items {
			if l.To == to && len(l.Links) > 0 {
				return strings.TrimPrefix(l.Links[0], p.Portal)
			}
		}
	}
	p.t.Fatal("no letter came")
	return ""
}

// applicant registers a partner with an application that waits for a decision, through the admin API.
func (p *program) applicant(verify func(organization string)) {
	p.t.Helper()
	const email, password = "ines@nordlicht.example", "nine otters beside the quay"
	p.api("", "registrations", map[string]any{"organization": "Nordlicht Bank", "country": "DE", "register": "HRB 4711", "website": "https://nordlicht.example",
		"name": "Ines Ito", "email": email, "password": password}, nil)
	_, token, _ := strings.Cut(p.link(email), "token=")
	p.api("", "confirmations", map[string]any{"token": token}, nil)
	var in struct{ Token string }
	p.api("", "sessions", map[string]any{"email": email, "password": password}, &in)
	verify("Nordlicht Bank")
	var a struct{ ID string }
	p.api(in.Token, "applications", map[string]any{"name": "Onboarding web", "purpose": "Identify new customers who open an account on our website."}, &a)
	p.api(in.Token, "requests", map[string]any{"application": a.ID, "environment": "live", "product": "verification", "plan": "standard",
		"scopes": []string{"verifications:read", "verifications:write", "evidence:write"}, "purpose": "Identify new customers before their first payment, as the law demands.", "duration": "180d"}, nil)
}
