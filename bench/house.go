package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/id"
)

// house is one Gatehouse: the real program with a manifest, and a partner with a grant and keys.
type house struct {
	*process
	portal, operations string
	data, events       string
	organization       id.ID
	application        string
	member, admin      string // tokens of their sessions
	keys               []string
}

// Where things are offered; the upstream has them at the same paths.
const (
	smallPath  = "/api/v1/items/17?page=2"
	largePath  = "/api/v1/large"
	uploadPath = "/api/v1/uploads"
	openPath   = "/open/v1/items/17?page=2"
	tokenPath  = "/token/v1/items/17?page=2"
)

// gatehouse starts one with so many routes besides the usual ones.
func (l *lab) gatehouse(ctx context.Context, name string, routes int, tls bool) (*house, error) {
	if h := l.houses[name]; h != nil {
		return h, nil
	}
	h := &house{data: filepath.Join(l.dir, name, "data"), events: filepath.Join(l.dir, name, "events.jsonl")}
	manifest := filepath.Join(l.dir, name, "manifest")
	if err := writeManifest(manifest, l.upstream, routes); err != nil {
		return nil, err
	}
	if err := l.launch(ctx, h, name, manifest, tls); err != nil {
		return nil, err
	}
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := h.partner(bound)
	if err == nil {
		err = h.served(bound)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, h.errs.String())
	}
	l.houses[name] = h
	return h, nil
}

// launch starts the program on the house's data.
func (l *lab) launch(ctx context.Context, h *house, name, manifest string, tls bool) error {
	binary, err := filepath.Abs(l.options.gatehouse)
	if err != nil {
		return err
	}
	env := []string{"GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0", "GATEHOUSE_EVENTS=" + h.events}
	if l.cores > 0 {
		env = append(env, fmt.Sprintf("GOMAXPROCS=%d", l.cores))
	}
	if tls {
		env = append(env, "GATEHOUSE_GATEWAY_TLS_CERTIFICATE="+l.certificate, "GATEHOUSE_GATEWAY_TLS_KEY="+l.key)
	}
	if name == "gatehouse-h2c" {
		env = append(env, "GATEHOUSE_GATEWAY_H2C=true")
	}
	p, err := l.once(name, func() (*process, error) {
		p, err := start(name, l.dir, env, binary, "serve", "--dev", "-o", "json", "--manifest", manifest, "--data", h.data)
		if err != nil {
			return nil, err
		}
		var at struct {
			Portal     string
			Operations string
			Gateways   map[string]string
			SignIn     string `json:"sign_in"`
		}
		select {
		case line := <-p.lines:
			if err := json.Unmarshal([]byte(line), &at); err != nil {
				return nil, fmt.Errorf("%s: %w in %s", name, err, line)
			}
		case <-p.done:
			return nil, fmt.Errorf("%s ended: %w\n%s", name, p.err, p.errs.String())
		case <-ctx.Done():
			_ = p.stop()
			return nil, ctx.Err()
		}
		h.portal, h.operations = at.Portal, at.Operations
		u, err := url.Parse(at.Gateways["live"])
		if err != nil {
			return nil, err
		}
		p.addr, p.tls = strings.Replace(u.Host, "localhost", "127.0.0.1", 1), tls
		if _, token, ok := strings.Cut(at.SignIn, "token="); ok {
			h.keys = []string{token} // until partner has real ones
		}
		return p, nil
	})
	h.process = p
	return err
}

// partner makes an organization with an application, a grant and a key, as people would: through the admin API.
func (h *house) partner(ctx context.Context) error {
	const email, password = "ines@fjord-bank.example", "correct horse battery staple 7"
	type text map[string]any
	var admin, member struct {
		Token  string
		Person struct{ Organization id.ID }
	}
	var box struct {
		Items []struct {
			To    string
			Links []string
		}
	}
	var made struct{ ID, State, Grant string }
	var key struct{ Key string }
	if err := h.ask(ctx, "", "POST", "/api/sessions/link", text{"token": h.keys[0]}, &admin); err != nil {
		return err
	}
	if err := h.ask(ctx, "", "POST", "/api/registrations", text{"organization": "Fjord Bank", "name": "Ines", "email": email, "password": password}, nil); err != nil {
		return err
	}
	confirm := ""
	for confirm == "" {
		if err := h.ask(ctx, "", "GET", "/dev/mail", nil, &box); err != nil {
			return err
		}
		for _, letter := range box.Items {
			for _, link := range letter.Links {
				if _, token, ok := strings.Cut(link, "/confirm?token="); ok && letter.To == email {
					confirm = token
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := h.ask(ctx, "", "POST", "/api/confirmations", text{"token": confirm}, nil); err != nil {
		return err
	}
	if err := h.ask(ctx, "", "POST", "/api/sessions", text{"email": email, "password": password}, &member); err != nil {
		return err
	}
	h.organization = member.Person.Organization
	if err := h.ask(ctx, admin.Token, "POST", "/api/organizations/"+string(h.organization)+"/verify", text{"note": "seen"}, nil); err != nil {
		return err
	}
	if err := h.ask(ctx, member.Token, "POST", "/api/applications", text{"name": "bench", "purpose": "to be measured"}, &made); err != nil {
		return err
	}
	application := made.ID
	h.application, h.member, h.admin = application, member.Token, admin.Token
	if err := h.ask(ctx, member.Token, "POST", "/api/requests", text{"application": application, "environment": "live", "product": "items", "plan": "bench",
		"scopes": []string{"items:read"}, "purpose": "to be measured", "duration": "30d"}, &made); err != nil {
		return err
	}
	if err := h.ask(ctx, member.Token, "POST", "/api/credentials", text{"application": application, "environment": "live", "name": "bench", "lifetime": "30d"}, &key); err != nil {
		return err
	}
	h.keys = []string{key.Key}
	return nil
}

// served waits until the gateway serves the partner.
func (h *house) served(ctx context.Context) error {
	for { // until the change is in force at the gateway
		status, err := h.call(ctx, smallPath, h.keys[0])
		if err != nil || status == http.StatusOK {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("the first call is answered %d: %w", status, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ask asks the admin API.
func (h *house) ask(ctx context.Context, token, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, h.portal+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode > 299:
		return fmt.Errorf("%s %s is answered %d: %s", method, path, res.StatusCode, answer)
	case out != nil:
		return json.Unmarshal(answer, out)
	}
	return nil
}

// call calls the gateway once.
func (h *house) call(ctx context.Context, path, key string) (int, error) {
	scheme := "http://"
	client := http.DefaultClient
	if h.tls {
		scheme, client = "https://", &http.Client{Transport: &http.Transport{TLSClientConfig: selfSigned(), DisableKeepAlives: true}}
	}
	r, err := http.NewRequestWithContext(ctx, "GET", scheme+h.addr+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", key)
	res, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// settle lets go of the events of the last round: they are written, and the disk is not what is measured.
func (h *house) settle() { _ = os.Truncate(h.events, 0) }

// writeManifest declares what is measured: items behind a key, a grant and two windows, and the same without a question.
func writeManifest(dir, upstream string, routes int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	gatehouse := `gatehouse: 1
environments: [{ name: live }]
upstreams: [{ name: up, targets: ["http://` + upstream + `"] }]
apis:
  - { name: items, openapi: items.yaml, path: /api/v1, upstream: up, upstream_path: /api/v1, policies: [api_key, grant, rate_limit] }
  - { name: tokens, openapi: tokens.yaml, path: /token/v1, upstream: up, upstream_path: /api/v1, policies: [oauth, grant, rate_limit] }
  - { name: open, openapi: open.yaml, path: /open/v1, upstream: up, upstream_path: /api/v1, policies: [anonymous] }
products:
  - name: items
    title: Items
    description: To be measured.
    owner: Platform
    operations: [{ api: items }, { api: tokens }]
    scopes: { "items:read": Read items. }
    plans:
      - name: bench
        title: Bench
        limits: [{ name: second, requests: 1000000, per: 1s }, { name: day, requests: 1000000000, per: 24h }]
        credentials: [api_key, oauth_client]
        approval: { automatic: true }
        longest: 90d
`
	var items strings.Builder
	items.WriteString(`openapi: 3.1.0
info: { title: Items, version: 1.0.0 }
paths:
  /items/{id}: { get: { operationId: readItem, security: [{ key: ["items:read"] }], responses: { "200": { description: It. } } } }
  /large: { get: { operationId: readLarge, security: [{ key: ["items:read"] }], responses: { "200": { description: Much. } } } }
  /uploads: { post: { operationId: upload, security: [{ key: ["items:read"] }], responses: { "200": { description: Kept. } } } }
`)
	for i := range routes {
		fmt.Fprintf(&items, "  %s: { get: { operationId: r%d, security: [{ key: [\"items:read\"] }], responses: { \"200\": { description: It. } } } }\n", strings.TrimPrefix(routePath(i), "/api/v1"), i)
	}
	items.WriteString("components: { securitySchemes: { key: { type: apiKey, in: header, name: X-API-Key } } }\n")
	const tokens = `openapi: 3.1.0
info: { title: Tokens, version: 1.0.0 }
paths:
  /items/{id}: { get: { operationId: readByToken, security: [{ token: ["items:read"] }], responses: { "200": { description: It. } } } }
components: { securitySchemes: { token: { type: http, scheme: bearer } } }
`
	const open = `openapi: 3.1.0
info: { title: Open, version: 1.0.0 }
paths:
  /items/{id}: { get: { operationId: readOpen, responses: { "200": { description: It. } } } }
  /large: { get: { operationId: readOpenLarge, responses: { "200": { description: Much. } } } }
`
	for name, text := range map[string]string{"gatehouse.yaml": gatehouse, "items.yaml": items.String(), "tokens.yaml": tokens, "open.yaml": open} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// routePath is where the i-th of many routes is.
func routePath(i int) string { return fmt.Sprintf("/api/v1/area%d/kind%d/list%d", i%10, i/10%100, i) }
