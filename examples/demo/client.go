package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// reply is what was answered to one request, or why nothing was.
type reply struct {
	status     int
	header     http.Header
	body       []byte
	sent, done time.Time
	err        error
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Rule      string `json:"rule"`
	Errors    []struct {
		File    string `json:"file"`
		Line    int    `json:"line"`
		Pointer string `json:"pointer"`
		Text    string `json:"text"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

// newClient makes a client that trusts the authorities of the machine, or those of secure.
func newClient(secure *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one request and reads the whole answer.
func send(ctx context.Context, web *http.Client, method, address string, header http.Header, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return reply{err: err}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	r := reply{sent: time.Now()}
	res, err := web.Do(req)
	if err == nil {
		r.status, r.header = res.StatusCode, res.Header
		r.body, err = io.ReadAll(io.LimitReader(res.Body, 32<<20))
		res.Body.Close()
	}
	r.done, r.err = time.Now(), err
	return r, err
}

// is reports whether the answer has the status.
func (r reply) is(status int) error {
	if r.err != nil {
		return r.err
	}
	if r.status != status {
		return fmt.Errorf("answered %d, told is %d: %s", r.status, status, clip(r.body))
	}
	return nil
}

// refused reports whether the answer is a problem document with that status, a type that ends with one of the words, and
// a request id.
func (r reply) refused(status int, words ...string) (problem, error) {
	var p problem
	if err := r.is(status); err != nil {
		return p, err
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		return p, fmt.Errorf("%d came as %q, told is application/problem+json", status, got)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return p, fmt.Errorf("the problem document: %w", err)
	}
	switch {
	case p.Status != status:
		return p, fmt.Errorf("the problem document says %d inside an answer with %d", p.Status, status)
	case p.RequestID == "":
		return p, fmt.Errorf("the problem document has no request id: %s", clip(r.body))
	case len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.HasSuffix(p.Type, "/"+w) }):
		return p, fmt.Errorf("the problem is %s, told is %s", p.Type, strings.Join(words, " or "))
	}
	return p, nil
}

// into decodes an answer of that status.
func (r reply) into(status int, v any) error {
	if err := r.is(status); err != nil {
		return err
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("%w in %s", err, clip(r.body))
	}
	return nil
}

func clip(b []byte) string {
	if len(b) > 300 {
		return string(b[:300]) + "…"
	}
	return strings.TrimSpace(string(b))
}

// caller is somebody who asks the admin API: "" is nobody.
type caller struct {
	web         *http.Client
	base, token string
}

func (v *visit) nobody() caller { return caller{web: v.web, base: v.at.Portal} }

func (c caller) send(ctx context.Context, method, path string, in any) reply {
	var body []byte
	header := http.Header{"Accept": {"application/json"}}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return reply{err: err}
		}
		body = b
		header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	r, err := send(ctx, c.web, method, c.base+path, header, body)
	if err != nil {
		r.err = fmt.Errorf("%s %s: %w", method, path, err)
	}
	return r
}

func (c caller) get(ctx context.Context, path string) reply {
	return c.send(ctx, http.MethodGet, path, nil)
}

func (c caller) post(ctx context.Context, path string, in any) reply {
	return c.send(ctx, http.MethodPost, path, in)
}

// call asks an operation of the example's API at the gateway of an environment, with a key unless that is "".
func (v *visit) call(ctx context.Context, env, key, method, path string, body []byte, more ...http.Header) (reply, error) {
	header := http.Header{}
	if key != "" {
		header.Set("X-API-Key", key)
	}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	for _, h := range more {
		for name, values := range h {
			header[name] = values
		}
	}
	return send(ctx, v.web, method, v.at.Gateways[env]+"/eid/v1"+path, header, body)
}

type secretLink struct {
	Token string `json:"token"`
}

// tokenOf is the token in a one-time link.
func tokenOf(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", err
	}
	if t := u.Query().Get("token"); t != "" {
		return t, nil
	}
	return "", fmt.Errorf("the link %q holds no token", link)
}

func (v *visit) signInByLink(ctx context.Context, token string) (caller, error) {
	var s struct{ Token string }
	if err := v.nobody().post(ctx, "/api/sessions/link", secretLink{token}).into(http.StatusCreated, &s); err != nil {
		return caller{}, err
	}
	return caller{web: v.web, base: v.at.Portal, token: s.Token}, nil
}

// letter waits for a letter to somebody with a link whose path begins with that, and returns the link's token.
func (v *visit) letter(ctx context.Context, to, path string) (string, error) {
	for {
		var box struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		if err := v.nobody().get(ctx, "/dev/mail").into(http.StatusOK, &box); err != nil {
			return "", err
		}
		for _, l := range box.Items {
			for _, link := range l.Links {
				if u, err := url.Parse(link); err == nil && l.To == to && strings.HasPrefix(u.Path, path) {
					return tokenOf(link)
				}
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("no letter with a link to %s came to %s: %w", path, to, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
