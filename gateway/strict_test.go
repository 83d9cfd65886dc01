package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/http1/rawtest"
	"gatehouse/manifest"
)

// open is a manifest that lets everything through to the upstream: what is refused, the gateway itself refuses.
func open(upstream string) manifest.Bundle {
	paths := map[string]any{}
	described := []any{}
	for i, p := range []string{"/", "/{a}", "/{a}/{b}", "/{a}/{b}/{c}"} {
		if i > 0 {
			described = append(described, map[string]any{"name": "abc"[i-1 : i], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
		methods := map[string]any{"parameters": slices.Clone(described)}
		for _, m := range []string{"get", "post", "put", "delete", "patch", "head", "options"} {
			methods[m] = map[string]any{"operationId": strings.Trim(m+strings.NewReplacer("/", "-", "{", "", "}", "").Replace(p), "-"), "responses": map[string]any{"200": map[string]any{"description": "ok"}}}
		}
		paths[p] = methods
	}
	doc, err := json.Marshal(map[string]any{"openapi": "3.1.0", "info": map[string]any{"title": "open", "version": "1"}, "paths": paths})
	if err != nil {
		panic(err)
	}
	return manifest.Bundle{"doc.json": doc, "gatehouse.yaml": []byte(`gatehouse: 1
environments: [{name: live}]
upstreams: [{name: up, targets: ["http://` + upstream + `"], timeouts: {connect: 1s, read: 5s, total: 10s}}]
apis: [{name: open, openapi: doc.json, path: /, upstream: up, policies: [anonymous]}]
`)}
}

// verdict is what a proxy made of one message.
type verdict struct {
	refused, two, hidden bool
	why                  string
}

// judge looks at all that an upstream got for one message, and how it was answered.
func judge(streams []string, m rawtest.Strange, mark, answer string) verdict {
	v := verdict{refused: true}
	want := strings.ReplaceAll(m.Body, "{mark}", mark)
	for _, s := range streams {
		all, err := rawtest.ReadAll(s)
		switch {
		case len(all) == 0 && err == nil: // connected, and thought better of it
		case err != nil && incomplete(s) && !strings.HasPrefix(answer, "HTTP/1.1 2"): // cut off, and told so
		case err != nil:
			v.two, v.why = true, err.Error()
		case len(all) == 1 && strings.HasPrefix(all[0].Target, "/hidden") && m.Then:
		case len(all) > 1 || !strings.HasPrefix(all[0].Target, "/visible"):
			v.hidden, v.why = true, s
		case all[0].Body != want:
			v.two, v.why = true, fmt.Sprintf("the body of %q is not %q", s, want)
		default:
			v.refused = false
		}
	}
	return v
}

// incomplete reports whether an upstream waits for more of the message.
func incomplete(s string) bool {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s)))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return errors.Is(err, io.ErrUnexpectedEOF)
}

// tell sends each n-th message to addr, several at a time, and returns what became of each.
func tell(t *testing.T, addr string, up *rawtest.Recorder, messages []rawtest.Strange, each int, say func(testing.TB, string, string) string) map[int]verdict {
	t.Helper()
	todo := make(chan int)
	var running sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]string{}
	for range 16 {
		running.Go(func() {
			for i := range todo {
				answer := say(t, addr, messages[i].Marked(rawtest.Mark(i)))
				mu.Lock()
				answers[i] = answer
				mu.Unlock()
			}
		})
	}
	for i := 0; i < len(messages); i += each {
		todo <- i
	}
	close(todo)
	running.Wait()
	of := map[int][]string{}
	for _, s := range up.Streams() {
		n := -1
		if _, mark, ok := strings.Cut(s, "?"); ok && len(mark) >= 7 {
			if _, err := fmt.Sscanf(mark[:7], "%d", &n); err != nil {
				n = -1
			}
		}
		if n >= 0 || s != "" {
			of[n] = append(of[n], s)
		}
	}
	if lost := of[-1]; len(lost) > 0 {
		t.Errorf("the upstream got what is none of the messages: %q", lost)
	}
	verdicts := map[int]verdict{}
	for i := 0; i < len(messages); i += each {
		verdicts[i] = judge(of[i], messages[i], rawtest.Mark(i), answers[i])
	}
	return verdicts
}

// Whatever a message is twisted into, the gateway refuses it, or its upstream gets one message with one reading, byte by
// byte; where net/http and nginx let it through as well, with the same one. How those two do is told, not asked for.
func TestStrangeMessages(t *testing.T) {
	messages := rawtest.Messages()
	up := rawtest.NewRecorder(t)
	h := start(t, setup{codec: gateway.HTTP1, bundle: open(up.Addr)})
	each := 1
	if gateway.Raced {
		each = 8
	}
	ours := tell(t, h.addr, up, messages, each, rawtest.Say)
	refused := 0
	for i, v := range ours {
		if v.two || v.hidden {
			t.Errorf("%q: two readings %t, a hidden request %t: %s", messages[i].Name, v.two, v.hidden, v.why)
		}
		if v.refused {
			refused++
		}
	}
	t.Logf("the gateway refused %d of %d messages; nothing was forwarded with two readings", refused, len(ours))
	if refused < len(ours)/2 || refused > len(ours)*99/100 {
		t.Errorf("%d of %d messages were refused: that is not what was meant", refused, len(ours))
	}

	for name, addr := range others(t, up) {
		told := tell(t, addr, up, messages, 37, rawtest.Ask)
		two, hidden, theirs, differ := 0, 0, 0, 0
		for i, v := range told {
			switch {
			case v.two:
				two++
			case v.hidden:
				hidden++
			case v.refused:
				theirs++
				if o, ok := ours[i]; ok && !o.refused {
					differ++
				}
			}
		}
		t.Logf("%s: of %d messages %d refused, %d forwarded with two readings, %d with a hidden request; it refused %d that the gateway forwards", name, len(told), theirs, two, hidden, differ)
	}
}

// others are net/http's reverse proxy and, where it is installed, nginx, in front of the same upstream.
func others(t *testing.T, up *rawtest.Recorder) map[string]string {
	t.Helper()
	target, err := url.Parse("http://" + up.Addr)
	if err != nil {
		t.Fatal(err)
	}
	std := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{DisableKeepAlives: true},
		ErrorLog: log.New(io.Discard, "", 0)})
	t.Cleanup(std.Close)
	all := map[string]string{"net/http": std.Listener.Addr().String()}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(nginx); err != nil {
		t.Log("nginx is not installed, and not compared with")
		return all
	}
	dir, addr := t.TempDir(), free(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/log; events { worker_connections 1024; }
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s; location / { proxy_pass http://%[3]s; proxy_http_version 1.1; proxy_set_header Connection close; proxy_set_header Host $http_host; } } }
`, dir, addr, up.Addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-c", conf, "-p", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if c, err := http.Get("http://" + addr + "/"); err == nil {
			c.Body.Close()
			up.Streams()
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("nginx does not listen")
		}
	}
	all["nginx"] = addr
	return all
}

// Every message of the corpora is refused by the gateway, or reaches its upstream with one reading.
func TestCorporaThroughTheGateway(t *testing.T) {
	dir := os.Getenv("GATEHOUSE_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	f, err := os.Open(filepath.Join(dir, "smuggling", "corpus.jsonl"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the vectors are missing: %v", err)
		}
		t.Skipf("the vectors are missing: %v (set GATEHOUSE_VECTORS)", err)
	}
	defer f.Close()
	up := rawtest.NewRecorder(t)
	h := start(t, setup{codec: gateway.HTTP1, bundle: open(up.Addr)})
	in := bufio.NewScanner(f)
	in.Buffer(nil, 10<<20)
	n, refused := 0, 0
	for in.Scan() {
		var c struct {
			ID, Klass string
			Raw       []byte
		}
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		answer := rawtest.Say(t, h.addr, string(c.Raw))
		streams := up.Streams()
		bad := strings.Contains(answer, "HTTP/1.1 4") || strings.Contains(answer, "HTTP/1.1 5")
		for _, s := range streams {
			cut := incomplete(s) && !strings.HasPrefix(answer, "HTTP/1.1 2") // and the caller was told so, or has gone
			if _, err := rawtest.ReadAll(s); err != nil && !cut {
				t.Errorf("%s (%s): %v", c.ID, c.Klass, err)
			}
		}
		if len(streams) == 0 {
			refused++
			if !bad {
				t.Errorf("%s (%s) was neither forwarded nor refused, but answered %q", c.ID, c.Klass, answer)
			}
		}
		if (c.Klass == "severe" || c.Klass == "malformed") && len(streams) > 0 && !bad {
			t.Logf("%s (%s) was forwarded: %q", c.ID, c.Klass, streams)
		}
	}
	if n < 276 {
		t.Errorf("%d messages, not 276", n)
	}
	t.Logf("%d of %d refused", refused, n)
}

// free is an address that nobody listened on a moment ago.
func free(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(nil)
	defer s.Close()
	return s.Listener.Addr().String()
}
