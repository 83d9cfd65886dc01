package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/manifest"
	"gatehouse/secret"
)

// world is a whole Gatehouse on free ports, with what the steps before have kept.
type world struct {
	*testing.T
	started app.Started
	data    string
	kept    map[string]string // ${name} in paths and bodies
	called  map[string]bool   // "GET /path" of the document -> answered with success
	spec    document
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

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, data: t.TempDir(), kept: map[string]string{}, called: map[string]bool{}}
	c := config.Default()
	c.Data, c.Dev, c.Manifest, c.Events = w.data, true, "../examples/eid/manifest", "none"
	c.Control.Listen, c.Gateway.Listen, c.Operations.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Secrets = map[string]secret.Value{"eid-gateway": secret.New("of this test")}
	c.Drift.Environments = watched(t)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Started, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	go func() {
		ended <- app.Serve{Config: c, Version: "v0.0.0-test", Log: log, Events: io.Discard, Ready: func(s app.Started) { ready <- s }}.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("serve:", err)
		}
	})
	select {
	case w.started = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal("serve:", err)
	}
	link, err := url.Parse(w.started.SignIn)
	if err != nil {
		t.Fatal(err)
	}
	w.kept["link"] = link.Query().Get("token")
	host, err := os.ReadFile(w.data + "/host.json")
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Token string }
	if err := json.Unmarshal(host, &h); err != nil {
		t.Fatal(err)
	}
	w.kept["host"] = h.Token
	w.kept["files"] = w.files(nil)
	w.kept["morefiles"] = w.files(map[string]string{"more.txt": "more"})
	w.kept["soon"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if err := json.Unmarshal(w.get("/api/openapi.json"), &w.spec); err != nil {
		t.Fatal(err)
	}
	return w
}

// testLog puts what the process says into the test's output.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Helper()
	fmt.Fprintf(os.Stderr, "%s: %s", l.t.Name(), b)
	return len(b), nil
}

// files is the example's manifest, with some files beside it, as a publish takes it.
func (w *world) files(more map[string]string) string {
	b, diagnostics := manifest.Load("../examples/eid/manifest")
	if manifest.Fatal(diagnostics) {
		w.Fatal(diagnostics)
	}
	for name, content := range more {
		b[name] = []byte(content)
	}
	text, err := json.Marshal(b)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

func (w *world) get(path string) []byte {
	w.Helper()
	res, err := http.Get(w.started.Portal + path)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.Fatal(path, res.Status, err, string(b))
	}
	return b
}

// scenario is one request and what must be answered.
type scenario struct {
	name   string
	as     string // whose kept token; "" is nobody
	do     string // method and path
	body   string
	header http.Header
	status int
	kind   string   // of the problem; "" is none
	has    []string // that must stand in the answer
	keep   string   // "name=path.in.the.answer name=…"
}

var variable = regexp.MustCompile(`\$\{[a-z0-9_]+\}`)

func (w *world) expand(s string) string {
	return variable.ReplaceAllStringFunc(s, func(v string) string {
		k, ok := w.kept[v[2:len(v)-1]]
		if !ok {
			w.Fatalf("nothing is kept as %s", v)
		}
		return k
	})
}

// play asks, checks the answer, and holds it against the document.
func (w *world) play(s scenario) {
	w.Helper()
	method, path, _ := strings.Cut(w.expand(s.do), " ")
	req, err := http.NewRequest(method, w.started.Portal+path, strings.NewReader(w.expand(s.body)))
	if err != nil {
		w.Fatal(s.name, err)
	}
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.as != "" {
		req.Header.Set("Authorization", "Bearer "+w.expand("${"+s.as+"}"))
	}
	for name, values := range s.header {
		req.Header[name] = nil
		for _, v := range values {
			req.Header[name] = append(req.Header[name], w.expand(v))
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.Fatal(s.name, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(s.name, err)
	}
	if res.StatusCode != s.status {
		w.Fatalf("%s: %s answers %d, want %d: %s", s.name, s.do, res.StatusCode, s.status, b)
	}
	w.headers(s, res)
	for _, h := range s.has {
		if !strings.Contains(string(b), w.expand(h)) {
			w.Errorf("%s: no %s in %s", s.name, h, b)
		}
	}
	if s.status >= 400 {
		w.problem(s, path, res, b)
		return
	}
	w.hold(s, method, path, res, b)
	if s.keep == "" {
		return
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		w.Fatal(s.name, err)
	}
	for _, k := range strings.Fields(s.keep) {
		name, at, _ := strings.Cut(k, "=")
		w.kept[name] = find(v, at)
		if w.kept[name] == "" {
			w.Errorf("%s: no %s in %s", s.name, at, b)
		}
	}
	w.kept["etag"] = res.Header.Get("ETag")
}

func (w *world) headers(s scenario, res *http.Response) {
	w.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := res.Header.Get(name); got != want {
			w.Errorf("%s: %s is %q, want %q", s.name, name, got, want)
		}
	}
	if res.Header.Get("X-Request-Id") == "" {
		w.Errorf("%s: the answer has no request id", s.name)
	}
}

// problem checks the form of a refusal.
func (w *world) problem(s scenario, path string, res *http.Response, b []byte) {
	w.Helper()
	var p struct {
		Type, Title, Detail, Instance string
		Status                        int
		RequestID                     string `json:"request_id"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
		w.Errorf("%s: no problem document but %s %s", s.name, res.Header.Get("Content-Type"), b)
		return
	}
	where, _, _ := strings.Cut(path, "?")
	if p.Type != "/problems/"+s.kind || p.Status != s.status || p.Title == "" || p.Detail == "" || p.RequestID != res.Header.Get("X-Request-Id") {
		w.Errorf("%s: the problem should be %s: %s", s.name, s.kind, b)
	}
	if got, err := url.PathUnescape(where); err == nil && p.Instance != got {
		w.Errorf("%s: the instance is %q, not %q", s.name, p.Instance, got)
	}
	if err := w.spec.check(&schema{Ref: "#/components/schemas/Problem"}, json.RawMessage(b), "problem"); err != nil {
		w.Errorf("%s: %v in %s", s.name, err, b)
	}
}

// find reads a.b.0.c.
func find(v any, path string) string {
	for _, part := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			var n int
			if _, err := fmt.Sscan(part, &n); err != nil || n >= len(at) {
				return ""
			}
			v = at[n]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// letter waits for the newest letter to somebody with a link to that page, and keeps the link's token.
func (w *world) letter(to, page, keep string) {
	w.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		req, err := http.NewRequest(http.MethodGet, w.started.Mail, nil)
		if err != nil {
			w.Fatal(err)
		}
		req.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			w.Fatal(err)
		}
		var box struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		err = json.NewDecoder(res.Body).Decode(&box)
		res.Body.Close()
		if err != nil {
			w.Fatal(err)
		}
		for _, l := range box.Items {
			for _, link := range l.Links {
				if u, err := url.Parse(link); err == nil && l.To == to && u.Path == page && w.kept[keep] != u.Query().Get("token") {
					w.kept[keep] = u.Query().Get("token")
					return
				}
			}
		}
		time.Sleep(5 * time.Millisecond) // until the letter is there: no other process tells us
	}
	w.Fatalf("no letter to %s with a link to %s", to, page)
}
