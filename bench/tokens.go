package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// token registers an OAuth client and gets an access token for the API that takes them, once the gateway lets it through. It
// is good for some minutes.
func (h *house) token(ctx context.Context) (string, error) {
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Issuer string `json:"issuer"`
	}
	if err := h.ask(bound, h.member, "POST", "/api/oauth-clients", map[string]any{"application": h.application, "environment": "live", "name": "bench tokens",
		"lifetime": "30d", "method": "client_secret"}, &client); err != nil {
		return "", err
	}
	var issuer struct{ Audience string }
	if err := h.ask(bound, h.member, "GET", "/api/environments/live/issuer", nil, &issuer); err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {issuer.Audience + "/token/v1"}}
	r, err := http.NewRequestWithContext(bound, "POST", h.portal+"/oauth/live/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client.ID, client.Secret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var got struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.Token == "" {
		return "", fmt.Errorf("no token: %d %s %w", res.StatusCode, got.Error, err)
	}
	for {
		status, err := h.present(bound, got.Token)
		if err != nil || status == http.StatusOK {
			return got.Token, err
		}
		select {
		case <-bound.Done():
			return "", fmt.Errorf("the first call with a token is answered %d", status)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// present calls the gateway once with a token.
func (h *house) present(ctx context.Context, token string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.addr+tokenPath, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
