package fetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/fault"
	"gatehouse/fetch"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, o fetch.Options) *fetch.Client {
	t.Helper()
	c := fetch.New(o)
	t.Cleanup(c.Close)
	return c
}

// Nothing inside is reached, however it is written, and the server there hears nothing.
func TestNothingInsideIsReached(t *testing.T) {
	heard := 0
	s := serve(t, func(http.ResponseWriter, *http.Request) { heard++ })
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	c := client(t, fetch.Options{Plain: true})
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
		"[::]", "[fe80::1]", "[fd00::1]", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "255.255.255.255"} {
		_, err := c.Get(t.Context(), "http://"+host+port+"/", "*/*")
		if k := fault.KindOf(err); k != fault.Forbidden && k != fault.Invalid && k != fault.Unavailable {
			t.Errorf("%s: %v", host, err)
		}
		if addr, perr := netip.ParseAddr(strings.Trim(host, "[]")); perr == nil && !errors.Is(err, fault.Forbidden) {
			t.Errorf("%s is refused as %v", addr, err)
		}
	}
	if heard != 0 {
		t.Errorf("a server inside heard %d requests", heard)
	}
	if a, err := client(t, fetch.Options{Plain: true, Allowed: loopback}).Get(t.Context(), s.URL, "*/*"); err != nil || a.Status != 200 || heard != 1 {
		t.Errorf("what the operator allowed: %v, %v, heard %d", a.Status, err, heard)
	}
}

func TestARedirectIsCheckedLikeTheFirst(t *testing.T) {
	target := "http://10.0.0.1/"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
	c := client(t, fetch.Options{Plain: true, Allowed: loopback})
	if _, err := c.Get(t.Context(), s.URL, "*/*"); !errors.Is(err, fault.Forbidden) {
		t.Errorf("a redirect inside: %v", err)
	}
	target = s.URL
	if _, err := c.Get(t.Context(), s.URL, "*/*"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a redirect without end: %v", err)
	}
	target = "file:///etc/passwd"
	if _, err := c.Get(t.Context(), s.URL, "*/*"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a redirect to a file: %v", err)
	}
	a, err := c.Post(t.Context(), s.URL, nil, []byte("{}"))
	if err == nil && a.Status != http.StatusFound {
		t.Errorf("what is posted follows a redirect: %d", a.Status)
	}
}

func TestCheck(t *testing.T) {
	c := client(t, fetch.Options{})
	for raw, want := range map[string]bool{
		"https://example.org/hook": true, "https://example.org:8443/": true, "http://example.org/": false, "ftp://example.org/": false,
		"https://": false, "https:example.org": false, "//example.org": false, "": false, "https://a:b@example.org/": false,
		"https://example.org/#x": false, "https://192.168.1.1/": false, "https://[fe80::1%25eth0]/": false, "https://8.8.8.8/": true, "\x00": false,
	} {
		if err := c.Check(raw); (err == nil) != want {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = io.Copy(w, io.LimitReader(zeros{}, fetch.Longest+1))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
		case "/404":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = io.Copy(w, io.LimitReader(zeros{}, fetch.Longest))
		}
	})
	c := client(t, fetch.Options{Plain: true, Allowed: loopback})
	for _, path := range []string{"/long", "/cut", "/404"} {
		if _, err := c.Get(t.Context(), s.URL+path, "*/*"); !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if a, err := c.Get(t.Context(), s.URL+"/just", "*/*"); err != nil || len(a.Body) != fetch.Longest {
		t.Errorf("the longest answer: %d bytes, %v", len(a.Body), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, s.URL, "*/*"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("given up: %v", err)
	}
}

// No proxy of the environment is used: it would see what is fetched, and dial where we may not.
func TestNoProxyIsUsed(t *testing.T) {
	heard := 0
	s := serve(t, func(http.ResponseWriter, *http.Request) { heard++ })
	t.Setenv("HTTP_PROXY", s.URL)
	t.Setenv("HTTPS_PROXY", s.URL)
	c := client(t, fetch.Options{Plain: true, Allowed: loopback})
	_, _ = c.Get(t.Context(), "http://gatehouse.invalid/", "*/*")
	if heard != 0 {
		t.Error("a proxy of the environment is used")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
