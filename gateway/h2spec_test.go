package gateway_test

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tool builds a program of others at a fixed version. Where it cannot be had the test is skipped, and fails in CI.
func tool(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command("go", "install", path)
	c.Dir = dir // of no module
	c.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: %v\n%s", path, err, out)
		}
		t.Skipf("%s cannot be built here: %v\n%s", path, err, out)
	}
	name, _, _ := strings.Cut(filepath.Base(path), "@")
	return filepath.Join(dir, name)
}

var summary = regexp.MustCompile(`(\d+) tests, (\d+) passed, 0 skipped, 0 failed`)

// All of h2spec passes against the gateway, over TLS and without: 146 cases, the strict ones among them.
func TestH2Spec(t *testing.T) {
	h2spec := tool(t, "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible")
	secure, _ := certificate(t)
	for name, c := range map[string]struct {
		secure *tls.Config
		args   []string
		want   string
	}{
		"TLS": {secure, []string{"-S", "-t", "-k"}, "146"},
		"h2c": {nil, []string{"-S"}, "146"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, setup{codec: overH2, secure: c.secure})
			host, port, err := net.SplitHostPort(h.addr)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(h2spec, append(c.args, "-h", host, "-p", port, "-P", "/eid/v1/health", "-o", "10")...).CombinedOutput()
			if m := summary.FindStringSubmatch(string(out)); err != nil || m == nil || m[1] != c.want || m[2] != c.want {
				t.Errorf("%v: want %s of %[2]s\n%s", err, c.want, tail(string(out)))
			}
		})
	}
}

// tail is the part of h2spec's output that tells of failures.
func tail(s string) string {
	if i := strings.Index(s, "Failures:"); i >= 0 {
		return s[i:]
	}
	return s[max(0, len(s)-2000):]
}
