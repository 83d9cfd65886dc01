package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatehouse/manifest"
)

const grpcVersion = "v1.85.0"

// interop is the manifest of grpc-go's interop server: its methods are operations as all others are.
func interop(server string) manifest.Bundle {
	paths := map[string]any{}
	for _, method := range []string{"TestService/EmptyCall", "TestService/UnaryCall", "TestService/StreamingOutputCall", "TestService/StreamingInputCall",
		"TestService/FullDuplexCall", "TestService/HalfDuplexCall", "TestService/UnimplementedCall"} {
		_, id, _ := strings.Cut(method, "/")
		paths["/grpc.testing."+method] = map[string]any{"post": map[string]any{"operationId": id, "security": []any{},
			"responses": map[string]any{"200": map[string]any{"description": "ok"}}}}
	}
	document, err := json.Marshal(map[string]any{"openapi": "3.1.0", "info": map[string]any{"title": "interop", "version": "1"}, "paths": paths})
	if err != nil {
		panic(err)
	}
	return manifest.Bundle{"interop.json": document, "gatehouse.yaml": []byte(fmt.Sprintf(`gatehouse: 1
environments: [{name: live}, {name: test}]
upstreams:
  - name: interop
    protocol: h2c
    targets: [%q]
    timeouts: {read: 20s, total: 60s}
apis:
  - name: interop
    openapi: interop.json
    path: /
    upstream: interop
    policies: [anonymous]
`, server))}
}

// The interop client of grpc-go passes all of its cases through the gateway: unary, streaming both ways, deadlines,
// cancellations, metadata, trailers, and statuses.
func TestGRPCInterop(t *testing.T) {
	serve := tool(t, "google.golang.org/grpc/interop/server@"+grpcVersion)
	ask := tool(t, "google.golang.org/grpc/interop/client@"+grpcVersion)
	port := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	var said bytes.Buffer
	up := exec.CommandContext(ctx, serve, "-port", port)
	up.Stderr = &said
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = up.Wait() })
	h := start(t, setup{codec: overH2, bundle: interop("http://127.0.0.1:" + port)})
	h.wait("the interop server listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	_, mine, err := net.SplitHostPort(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
		"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message", "special_status_message",
		"custom_metadata", "unimplemented_method", "unimplemented_service"} {
		t.Run(name, func(t *testing.T) {
			bound, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if out, err := exec.CommandContext(bound, ask, "-server_host", "127.0.0.1", "-server_port", mine, "-test_case", name).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if t.Failed() {
		t.Logf("the server said:\n%s", said.String())
	}
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(nil)
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A refusal is one that clients of gRPC understand; events keep what it is in HTTP.
func TestGRPCRefusals(t *testing.T) {
	h := start(t, setup{codec: overH2})
	key, _ := h.issue()
	h.grant("read")
	for _, c := range []struct {
		path, key, contentType string
		status                 int
		code, message          string
	}{
		{"/eid/v1/upload", "", "application/grpc", 401, "16", "key"},
		{"/eid/v1/nothing", key, "application/grpc+proto", 404, "12", "nothing is offered"},
		{"/eid/v1/whoami", key, "application/grpc", 405, "12", "this path is called by"},
	} {
		a := h.do(call{method: "POST", path: c.path, key: c.key, header: http.Header{"Content-Type": {c.contentType}}, body: strings.NewReader("x")})
		if a.status != 200 || a.header.Get("Grpc-Status") != c.code || !strings.Contains(a.header.Get("Grpc-Message"), c.message) ||
			a.header.Get("Content-Type") != "application/grpc" || a.body != "" || a.header.Get("Content-Length") != "" {
			t.Errorf("%s: %d %v %q", c.path, a.status, a.header, a.body)
		}
		if ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id")); ev["status"] != float64(c.status) || ev["verdict"] != "refused" {
			t.Errorf("%s: the event says %v, %v", c.path, ev["status"], ev["verdict"])
		}
	}
	h.do(call{method: "POST", path: "/eid/v1/upload", header: http.Header{"Content-Type": {"application/grpcx"}}, body: strings.NewReader("x")}).want(t, 401, "key-missing")
}
