package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// calls is what the gateway lets through, and what not.
func calls() []step {
	return []step{
		{"without a valid key for this environment: 401", noKey},
		{"a call passes; the upstream sees who asks, not the key", pass},
		{"the service does its work through the gateway", work},
		{"outside the scopes: 403", outside},
		{"over the limit: 429 with the current fields", limit},
		{"what the application can reach right now", reach},
	}
}

func noKey(ctx context.Context, v *visit) (string, error) {
	last := v.key[len(v.key)-1]
	other := byte('0')
	if last == other {
		other = '1'
	}
	rules := map[string]bool{}
	for _, c := range []struct{ what, key string }{
		{"no key", ""},
		{"no key's form", "letmein"},
		{"a mistyped key", v.key[:len(v.key)-1] + string(other)},
		{"a key for test", v.batchKey},
	} {
		r, err := v.call(ctx, "live", c.key, http.MethodGet, "/whoami", nil)
		if err != nil {
			return "", err
		}
		p, err := r.refused(http.StatusUnauthorized)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.what, err)
		}
		if r.header.Get("WWW-Authenticate") == "" {
			return "", fmt.Errorf("%s: the 401 has no WWW-Authenticate", c.what)
		}
		rules[p.Rule] = true
	}
	if !rules["any_of"] || len(rules) != 1 {
		return "", fmt.Errorf("the rules that refused are %v, told is any_of", rules)
	}
	return "no key, another form, a wrong letter, a key for test: each 401 by any_of", nil
}

// seen is what the upstream saw of a call.
type seen struct {
	Organization, Application, Grant, Environment string
	RequestID                                     string `json:"request_id"`
	Scopes, Fields                                []string
}

func pass(ctx context.Context, v *visit) (string, error) {
	spoofed := http.Header{"Gatehouse-Organization": {"org_somebody_else"}, "gatehouse-application": {"app_other"}, "Gatehouse-Scopes": {"everything"},
		"Gatehouse-Admin": {"true"}, "Eid-Gateway-Secret": {"guess"}}
	r, err := v.call(ctx, "live", v.key, http.MethodGet, "/whoami", nil, spoofed)
	if err != nil {
		return "", err
	}
	var s seen
	if err := r.into(http.StatusOK, &s); err != nil {
		return "", err
	}
	slices.Sort(s.Scopes)
	switch {
	case s.Organization != v.organization || s.Application != v.portalApp || s.Grant != v.grant || s.Environment != "live":
		return "", fmt.Errorf("the upstream was told %s", clip(r.body))
	case !slices.Equal(s.Scopes, []string{"documents:check", "verifications:read", "verifications:write"}):
		return "", fmt.Errorf("the upstream was told the scopes %v", s.Scopes)
	case s.RequestID == "" || s.RequestID != r.header.Get("Gatehouse-Request-Id"):
		return "", fmt.Errorf("the upstream was told the request id %q, the caller %q", s.RequestID, r.header.Get("Gatehouse-Request-Id"))
	}
	for _, gone := range []string{"X-Api-Key", "Authorization", "Gatehouse-Admin"} {
		if slices.Contains(s.Fields, gone) {
			return "", fmt.Errorf("the upstream received %s", gone)
		}
	}
	return "identity fields are the gateway's, the five invented ones and the key are gone", nil
}

func work(ctx context.Context, v *visit) (string, error) {
	body := []byte(`{"subject":"demo-person","level":"basic","reference":"account 4711"}`)
	r, err := v.call(ctx, "live", v.key, http.MethodPost, "/verifications", body)
	if err != nil {
		return "", err
	}
	var s struct{ ID, State string }
	if err := r.into(http.StatusCreated, &s); err != nil {
		return "", err
	}
	if r, err = v.call(ctx, "live", v.key, http.MethodPost, "/verifications", body); err != nil {
		return "", err
	}
	if err := r.is(http.StatusConflict); err != nil {
		return "", fmt.Errorf("the same subject again: %w", err)
	}
	if r, err = v.call(ctx, "live", v.key, http.MethodGet, "/verifications/"+s.ID, nil); err != nil {
		return "", err
	}
	if err := r.is(http.StatusOK); err != nil {
		return "", err
	}
	if r, err = v.call(ctx, "test", v.batchKey, http.MethodPost, "/documents/check", []byte(`{"kind":"passport","country":"NO","number":"AB123456"}`)); err != nil {
		return "", err
	}
	if err := r.is(http.StatusOK); err != nil {
		return "", err
	}
	if r, err = v.call(ctx, "live", v.key, http.MethodDelete, "/verifications/"+s.ID, nil); err != nil {
		return "", err
	}
	return "started 201, again 409 from the upstream, read 200, document checked 200, cancelled 204", r.is(http.StatusNoContent)
}

func outside(ctx context.Context, v *visit) (string, error) {
	for _, c := range []struct{ env, key, method, path string }{
		{"live", v.key, http.MethodPut, "/verifications/v1/evidence/document"},
		{"live", v.key, http.MethodGet, "/callback"},
		{"test", v.batchKey, http.MethodGet, "/whoami"},
	} {
		r, err := v.call(ctx, c.env, c.key, c.method, c.path, nil)
		if err != nil {
			return "", err
		}
		p, err := r.refused(http.StatusForbidden)
		if err != nil {
			return "", fmt.Errorf("%s %s: %w", c.method, c.path, err)
		}
		if p.Rule != "grant" {
			return "", fmt.Errorf("%s %s: refused by %q, told is grant", c.method, c.path, p.Rule)
		}
	}
	for path, status := range map[string]int{"/nothing": http.StatusNotFound, "/verifications/../whoami": http.StatusBadRequest} {
		r, err := v.call(ctx, "live", v.key, http.MethodGet, path, nil)
		if err != nil {
			return "", err
		}
		if _, err := r.refused(status); err != nil {
			return "", fmt.Errorf("GET %s: %w", path, err)
		}
	}
	return "upload, callback, and whoami with a narrow grant: each 403 by grant; a path that is nothing: 404", nil
}

// The window of verification/standard that is used up first.
const (
	windowBurst     = 20
	windowPerSecond = 10
)

func limit(ctx context.Context, v *visit) (string, error) {
	if err := pause(ctx, 2500*time.Millisecond); err != nil { // the burst is whole again
		return "", err
	}
	began := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	calls, passed, refused := 0, 0, 0
	var over reply
	var wrong error
	for range 6 {
		wg.Go(func() {
			for {
				r, err := v.call(ctx, "live", v.key, http.MethodPost, "/documents/check", []byte(`{"kind":"passport","country":"NO","number":"AB123456"}`))
				mu.Lock()
				calls++
				switch {
				case err == nil && r.status == http.StatusOK:
					passed++
				case err == nil && r.status == http.StatusTooManyRequests:
					refused, over = refused+1, r
				case wrong == nil:
					wrong = cmp.Or(err, r.is(http.StatusOK))
				}
				stop := wrong != nil || refused >= 20 || calls >= 1000
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	if wrong != nil {
		return "", wrong
	}
	took := time.Since(began)
	most := windowBurst + int(took.Seconds()*windowPerSecond) + 1
	if passed < windowBurst || passed > most {
		return "", fmt.Errorf("%d of %d calls passed in %s, told is %d to %d", passed, calls, took, windowBurst, most)
	}
	if over.status == 0 {
		return "", fmt.Errorf("all %d calls passed", passed)
	}
	if p, err := over.refused(http.StatusTooManyRequests); err != nil || p.Rule != "rate_limit" {
		return "", errors.Join(err, fmt.Errorf("refused by %q", p.Rule))
	}
	h := over.header
	for _, name := range []string{"RateLimit", "RateLimit-Policy", "Retry-After"} {
		if h.Get(name) == "" {
			return "", fmt.Errorf("the 429 has no %s", name)
		}
	}
	if !strings.Contains(h.Get("RateLimit"), "r=0") || !strings.Contains(h.Get("RateLimit-Policy"), "q=") {
		return "", fmt.Errorf("the 429 says RateLimit: %s and RateLimit-Policy: %s", h.Get("RateLimit"), h.Get("RateLimit-Policy"))
	}
	wait, err := time.ParseDuration(h.Get("Retry-After") + "s")
	if err != nil || wait < time.Second || wait > 5*time.Second {
		return "", fmt.Errorf("the 429 says Retry-After: %s", h.Get("Retry-After"))
	}
	if err := pause(ctx, wait); err != nil {
		return "", err
	}
	r, err := v.call(ctx, "live", v.key, http.MethodGet, "/whoami", nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d passed in %d ms; then %s; after %s again 200", passed, calls, took.Milliseconds(), h.Get("RateLimit"), wait), r.is(http.StatusOK)
}

// reach compares what the page says with what the gateway does, operation by operation.
func reach(ctx context.Context, v *visit) (string, error) {
	var view struct {
		Operations []struct{ Operation, Method, Path, Grant string }
	}
	if err := v.member.get(ctx, "/api/applications/"+v.portalApp+"/reach?environment=live").into(http.StatusOK, &view); err != nil {
		return "", err
	}
	said := map[string]bool{}
	for _, o := range view.Operations {
		said[o.Operation] = true
		if o.Grant != "" && o.Grant != v.grant {
			return "", fmt.Errorf("%s is said to be reached by %s", o.Operation, o.Grant)
		}
	}
	told := map[string]bool{"listVerifications": true, "startVerification": true, "getVerification": true, "cancelVerification": true, "getResult": true,
		"checkDocument": true, "whoAmI": true, "getHealth": true}
	for o := range said {
		if !told[o] {
			return "", fmt.Errorf("%s is said to be reached", o)
		}
	}
	if len(said) != len(told) {
		return "", fmt.Errorf("%d operations are said to be reached, told are %d", len(said), len(told))
	}
	for _, c := range []struct{ operation, method, path string }{{"getResult", http.MethodGet, "/verifications/none/result"}, {"listVerifications", http.MethodGet, "/verifications?subject=x"},
		{"uploadEvidence", http.MethodPut, "/verifications/none/evidence/document"}, {"removeCallback", http.MethodDelete, "/callback"}} {
		r, err := v.call(ctx, "live", v.key, c.method, c.path, nil)
		if err != nil {
			return "", err
		}
		var p problem
		byGateway := json.Unmarshal(r.body, &p) == nil && r.status == http.StatusForbidden && p.Rule == "grant"
		if byGateway == said[c.operation] {
			return "", fmt.Errorf("reach says %v of %s, and the gateway answers %d", said[c.operation], c.operation, r.status)
		}
	}
	return fmt.Sprintf("%d of 12 operations, and the gateway does as it says", len(said)), nil
}
