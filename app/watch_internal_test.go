package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/drift"
	"gatehouse/secret"
)

// recorded answers as Kong's Admin API did when it was asked for a gateway with one operation, behind a key or not.
func recorded(t *testing.T, open *bool, asked *[]string) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	answers := map[string]string{
		"/":          `{"version":"3.9.1","configuration":{"ssl_protocols":"TLSv1.2 TLSv1.3","log_level":"notice","tracing_instrumentations":["off"]}}`,
		"/services":  `{"data":[{"id":"s1","name":"orders","protocol":"https","host":"orders.example.com","port":443}],"next":null}`,
		"/routes":    `{"data":[{"id":"r1","name":"get","methods":["GET"],"paths":["/orders"],"protocols":["https"],"service":{"id":"s1"}}],"next":null}`,
		"/plugins":   `{"data":[{"name":"key-auth","route":{"id":"r1"},"service":null,"consumer":null,"enabled":true,"config":{"key_names":["apikey"],"key_in_query":true,"hide_credentials":false}}],"next":null}`,
		"/consumers": `{"data":[],"next":null}`, "/certificates": `{"data":[],"next":null}`, "/consumer_groups": `{"data":[],"next":null}`,
		"/upstreams": `{"data":[],"next":null}`, "/ca_certificates": `{"data":[],"next":null}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		*asked = append(*asked, r.Method+" "+r.Header.Get("Kong-Admin-Token"))
		a, ok := answers[r.URL.Path]
		if r.URL.Path == "/plugins" && *open {
			a = `{"data":[],"next":null}`
		}
		if !ok {
			http.Error(w, `{"message":"Not found"}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(a))
	}))
	t.Cleanup(s.Close)
	return s
}

// A gateway that runs is one of the environments that the control plane watches: it is asked at each review, with the secret
// that the start-up configuration names, for nothing but what it is; what is weaker there is found, and when it does not answer
// the review fails instead of telling of doors that are gone.
func TestARunningGatewayIsWatched(t *testing.T) {
	var open bool
	var asked []string
	s := recorded(t, &open, &asked)
	folder := t.TempDir()
	deck := "_format_version: \"3.0\"\nservices:\n- {name: orders, url: \"https://orders.example.com\", routes: [{name: get, methods: [GET], paths: [/orders], protocols: [https], plugins: [{name: key-auth, config: {key_names: [apikey], key_in_query: true}}]}]}\n"
	if err := os.WriteFile(filepath.Join(folder, "kong.yaml"), []byte(deck), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Config{Secrets: map[string]secret.Value{"kong-admin": secret.New("the-token-0123456789")}}
	c.Drift.Environments = "prod@prod:kong=" + folder + " live@prod:kong=" + s.URL + ",token=kong-admin"
	w, err := watch(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Names, []string{"prod", "live"}) {
		t.Fatalf("%v is watched", w.Names)
	}
	found := func() []string {
		t.Helper()
		r, err := w.Review(context.Background(), time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range r.Findings {
			if f.Severity >= drift.High {
				out = append(out, f.Rule)
			}
		}
		return out
	}
	if got := found(); slices.Contains(got, "DR-AUT-01") {
		t.Errorf("both want a key, and found is %v", got)
	}
	open = true
	if got := found(); !slices.Contains(got, "DR-AUT-01") {
		t.Errorf("the running one lets anybody in, and found is %v", got)
	}
	for _, a := range asked {
		if a != "GET the-token-0123456789" {
			t.Errorf("it was asked by %q", a)
		}
	}
	s.Close()
	if _, err := w.Review(context.Background(), time.Now(), nil); err == nil || !strings.Contains(err.Error(), "live") || strings.Contains(err.Error(), "the-token") {
		t.Errorf("while it does not answer: %v", err)
	}
	c.Secrets = nil
	if _, err := watch(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "kong-admin") {
		t.Errorf("without the secret: %v", err)
	}
}
