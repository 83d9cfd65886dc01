package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// keyed sends one request after the other with the key: each must be answered 200.
func keyed(addr, key string, fresh bool, stop <-chan struct{}, asked *atomic.Int64) error {
	request := "GET /echo/things HTTP/1.1\r\nHost: a\r\nX-API-Key: " + key + "\r\n\r\n"
	return inTurn(addr, "GET", request, fresh, 2*time.Millisecond, stop, func(res *http.Response, b []byte) error {
		if res.StatusCode != 200 {
			return fmt.Errorf("%d %q", res.StatusCode, b)
		}
		asked.Add(1)
		return nil
	})
}

// A gateway of its own is replaced by its successor five times under load: no request is lost, what it keeps on disk passes on, and
// what is revoked meanwhile is refused everywhere once its receipt says so. A successor that does not come up changes nothing.
func TestGatewayUpgrades(t *testing.T) {
	s := newSites(t, "127.0.0.1")
	_, key := s.issue()
	r := newRunning(t)
	config := filepath.Join(r.dir, "start.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	right := "operations: {listen: '127.0.0.1:0'}\n"
	write(right)
	r.env = slices.DeleteFunc(r.env, func(v string) bool { return strings.HasPrefix(v, "GATEHOUSE_OPERATIONS_LISTEN=") }) // the file says it
	r.env = append(r.env, "GATEHOUSE_FEED_TOKEN="+s.enrol("live", "a"), "GATEHOUSE_SECRET_UPSTREAM=x")
	r.run(exec.Command(filepath.Join(binary, "gatehouse"), "gateway", "-o", "json", "--config", config, "--control", s.feed, "--data", filepath.Join(r.dir, "data")))
	addr := strings.Replace(strings.TrimPrefix(r.now.Gateway, "http://"), "localhost", "127.0.0.1", 1)
	g := &site{s: s, name: "a", at: "http://" + addr}
	g.comes(key, 200)

	// Whoever uses the same folder is told that it is taken.
	second := exec.Command(filepath.Join(binary, "gatehouse"), "gateway", "--data", filepath.Join(r.dir, "data"))
	second.Dir, second.Env = r.dir, r.env
	if out, err := second.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("each needs a data directory of its own")) {
		t.Errorf("a second gateway from one folder: %v: %s", err, out)
	}

	var asked atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	lost := make(chan error, 4)
	for i := range 4 {
		load.Go(func() {
			if err := keyed(addr, key, i%2 == 0, stop, &asked); err != nil {
				lost <- fmt.Errorf("visitor %d: %w", i, err)
			}
		})
	}
	revoked := map[string]bool{}
	revoke := func(id, k string, when string) {
		s.revoke(id)
		s.inForceOn(id, 1)
		revoked[k] = true
		for range 20 { // by whichever process
			if status := calls(addr, k); status != 401 {
				t.Errorf("%s: a revoked key is answered %d after the receipt", when, status)
			}
		}
	}
	for n := range 5 {
		id, k := s.issue()
		g.comes(k, 200)
		old := r.now.Process
		if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		revoke(id, k, fmt.Sprint("upgrade ", n))
		r.await()
		if r.now.Process == old {
			t.Fatal("the process that serves is the same")
		}
		r.gone(old)
		for k := range revoked {
			if status := calls(addr, k); status != 401 {
				t.Errorf("after upgrade %d a revoked key is answered %d", n, status)
			}
		}
	}
	// One that is refused before the folder is let go, and one that ends after it.
	said := func(what string) {
		t.Helper()
		s.eventually("the process says "+what, func() bool { b, _ := os.ReadFile(r.log); return bytes.Contains(b, []byte(what)) })
	}
	for text, what := range map[string]string{"nonsense: true\n": "the successor is not ready to take over", "operations: {listen: '203.0.113.1:1'}\n": "the successor did not take over"} {
		write(text)
		id, k := s.issue()
		g.comes(k, 200)
		if err := syscall.Kill(r.now.Process, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		said(what)
		revoke(id, k, what)
	}
	write(right)
	r.upgrade()
	s.eventually("the fleet sees it", func() bool { f := s.stands("a"); return f.Connected && f.Behind == 0 && len(f.Trouble) == 0 })
	before := asked.Load()
	s.eventually("it is served in the end", func() bool { return asked.Load() > before+50 || len(lost) > 0 })
	close(stop)
	load.Wait()
	close(lost)
	for err := range lost {
		t.Errorf("lost: %v", err)
	}
	t.Logf("%d requests, 6 upgrades", asked.Load())
}

// calls calls once, over a connection of its own.
func calls(addr, key string) int {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequest("GET", "http://"+addr+"/echo/things", nil)
	if err != nil {
		return 0
	}
	r.Header.Set("X-API-Key", key)
	res, err := c.Do(r)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}
