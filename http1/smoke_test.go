package http1_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %d", r.Method, r.URL, r.Header.Get("X-A"), len(b))
	}))
	defer up.Close()
	p := newProxy(t, strings.TrimPrefix(up.URL, "http://"), nil)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	cl := &http.Client{Transport: tr}
	for i := range 20 {
		for _, n := range []int{0, 10, 5000, 100_000} {
			req, _ := http.NewRequest("POST", fmt.Sprintf("http://%s/x/%d?q=%d", p.addr, i, i), strings.NewReader(strings.Repeat("x", n)))
			req.Header.Set("X-A", "yes")
			if i%2 == 1 && n > 0 {
				req.ContentLength = -1
			}
			resp, err := cl.Do(req)
			if err != nil {
				t.Fatal(i, n, err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("POST /x/%d?q=%d yes %d", i, i, n); string(b) != want || err != nil {
				t.Fatalf("%q, want %q (%v)", b, want, err)
			}
		}
	}
}
