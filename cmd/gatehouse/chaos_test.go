package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Whoever does not belong is turned away with the reason, which stands in the fleet's view, and uses no token up.
func TestFleetTurnsAwayWhoDoesNotBelong(t *testing.T) {
	s := newSites(t, "127.0.3.11")
	token := s.enrol("live", "one")
	one := &site{s: s, name: "one", data: "one-data", cable: newCable(t, "127.0.0.1:0", s.feed)}
	s.all["one"] = one
	one.refuses("is for a gateway of live, and this one is configured for test", "GATEHOUSE_FEED_TOKEN="+token, "GATEHOUSE_FEED_ENVIRONMENT=test")
	s.refused("one", "enrolment-elsewhere")
	one.start("GATEHOUSE_FEED_TOKEN=" + token) // it was not used up
	thief := &site{s: s, name: "thief", data: "thief-data", cable: one.cable}
	thief.refuses("was used already", "GATEHOUSE_FEED_TOKEN="+token)
	s.refused("one", "enrolment-used")
	id, key := s.issue()
	one.comes(key, http.StatusOK)
	s.inForceOn(id, 1)
}

// A gateway whose disk was put back to before a revocation takes no call before it knows better, and is named; an image from before
// it is refused by whoever has said that it had the revocation.
func TestImageFromBeforeARevocation(t *testing.T) {
	s := newSites(t, "127.0.3.12")
	one := s.join("one")
	id, key := s.issue()
	_, other := s.issue()
	one.comes(key, http.StatusOK)
	one.comes(other, http.StatusOK)
	s.inForceOn(id, 1)
	image := filepath.Join(s.dir, "old.image")
	s.keepImage(image)
	copied := filepath.Join(s.dir, "copied")
	one.kill()
	if err := copyTo(copied, one.folder()); err != nil {
		t.Fatal(err)
	}
	one.start()
	s.revoke(id)
	one.comes(key, http.StatusUnauthorized)
	s.inForceOn(id, 1)

	// The old image, on a gateway that has lost its own and the control plane.
	one.kill()
	one.cable.set(cut)
	for _, f := range []string{"image", "log"} {
		if err := os.Remove(filepath.Join(one.folder(), f)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	one.refuses("with it, what was revoked since would count again", "GATEHOUSE_FEED_IMAGE="+image)

	// The whole disk from before it: the feed comes first.
	one.cable.set(whole)
	if err := errOf(os.RemoveAll(one.folder()), copyTo(one.folder(), copied)); err != nil {
		t.Fatal(err)
	}
	one.start()
	if got := one.call(key); got != http.StatusUnauthorized {
		t.Errorf("a gateway with an old disk answers the revoked key %d", got)
	}
	one.comes(other, http.StatusOK)
	if text := s.refused("one", "gateway-restored"); !strings.Contains(text, "put back to an earlier state") {
		t.Error(text)
	}

	// A gateway that never was: it begins from the old image while the control plane is away, and knows better once that is back.
	two := s.join("two")
	two.kill()
	two.cable.set(cut)
	if err := os.RemoveAll(two.folder()); err != nil {
		t.Fatal(err)
	}
	two.start("GATEHOUSE_FEED_IMAGE=" + image)
	if two.from != "image" {
		t.Errorf("it began from %q", two.from)
	}
	two.cable.set(whole)
	two.comes(key, http.StatusUnauthorized)
	for range 50 {
		if got := two.call(key); got != http.StatusUnauthorized {
			t.Fatalf("the revoked key is answered %d again", got)
		}
	}
}

// A control plane that was put back to before a revocation, without its epoch raised, is refused by gateways that know more, and
// that is seen. Nothing that was revoked counts again.
func TestControlPlaneFromBeforeARevocation(t *testing.T) {
	s := newSites(t, "127.0.3.13")
	one := s.join("one")
	id, key := s.issue()
	one.comes(key, http.StatusOK)
	s.inForceOn(id, 1)
	s.control.kill()
	copied := filepath.Join(s.dir, "copied")
	data := filepath.Join(s.dir, "control-data")
	if err := copyTo(copied, data); err != nil {
		t.Fatal(err)
	}
	s.startControl()
	s.revoke(id)
	one.comes(key, http.StatusUnauthorized)
	s.inForceOn(id, 1)
	s.control.kill()

	if err := errOf(os.RemoveAll(data), copyTo(data, copied)); err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if one.call(key) == http.StatusOK {
					accepted.Add(1)
				}
			}
		}
	}()
	s.startControl()
	if text := s.refused("one", "feed-forked"); !strings.Contains(text, "one of them was restored from a backup") {
		t.Error(text)
	}
	s.trouble("one", "restored from a backup")
	for range 5 { // other entries get the numbers that the gateway knows
		_, fresh := s.issue()
		if got := one.call(fresh); got == http.StatusOK {
			t.Error("the gateway follows another history")
		}
	}
	s.trouble("one", "restored from a backup")
	s.revoke(id) // first what was revoked since the copy, then the epoch
	s.must("POST", "/api/environments/live/epoch", s.admin, map[string]string{"reason": "the database was put back"}, nil)
	_, fresh := s.issue()
	one.comes(fresh, http.StatusOK)
	close(stop)
	<-watched
	if n := accepted.Load(); n > 0 {
		t.Errorf("the revoked key was accepted %d times", n)
	}
	if got := one.call(key); got != http.StatusUnauthorized {
		t.Errorf("the revoked key is answered %d", got)
	}
}

// A disk of a gateway on which something was cut off or changed is not used: everything is fetched anew, and without the control
// plane the gateway does not start.
func TestGatewayDiskThatWasHurt(t *testing.T) {
	s := newSites(t, "127.0.3.14")
	one := s.join("one")
	var key string
	for range 20 {
		_, key = s.issue()
	}
	id, revoked := s.issue()
	one.comes(revoked, http.StatusOK)
	s.revoke(id)
	s.inForceOn(id, 1)
	one.comes(key, http.StatusOK)
	for _, c := range []struct {
		name, file string
		hurt       func([]byte) []byte
	}{
		{"a byte of the log", "log", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"the log's end", "log", func(b []byte) []byte { return b[:len(b)*2/3] }},
		{"a byte of the image", "image", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"the image's end", "image", func(b []byte) []byte { return b[:len(b)*2/3] }},
		{"an empty log", "log", func([]byte) []byte { return nil }},
	} {
		one.kill()
		file := filepath.Join(one.folder(), c.file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, c.hurt(bytes.Clone(b)), 0o600); err != nil {
			t.Fatal(err)
		}
		one.cable.set(cut)
		one.refuses("what is on disk cannot be used")
		if err := os.Rename(file+".refused", file); err != nil {
			t.Errorf("%s: what was refused is not there to be looked at: %v", c.name, err)
			continue
		}
		one.cable.set(whole)
		one.start()
		if one.from != "control" {
			t.Errorf("%s: it began from %q", c.name, one.from)
		}
		if got := one.call(key); got != http.StatusOK {
			t.Errorf("%s: a good key is answered %d", c.name, got)
		}
		if got := one.call(revoked); got != http.StatusUnauthorized {
			t.Errorf("%s: a revoked key is answered %d", c.name, got)
		}
		old, _ := filepath.Glob(filepath.Join(one.folder(), "*.refused"))
		for _, f := range old {
			_ = os.Remove(f)
		}
	}
}

// On a gateway whose disk is full, what was revoked is refused all the same; nothing is acknowledged, the fleet's view says why,
// and it goes on by itself once there is room.
func TestGatewayOnAFullDisk(t *testing.T) {
	s := newSites(t, "127.0.3.15")
	small(t, filepath.Join(s.dir, "one-data"), "2m")
	one, two := s.join("one"), s.join("two")
	id, key := s.issue()
	_, other := s.issue()
	one.comes(key, http.StatusOK)
	one.comes(other, http.StatusOK)
	s.inForceOn(id, 2)
	stuff(t, filepath.Join(s.dir, "one-data"))
	s.eventually("the log does not fit", func() bool { // it has the rest of a page
		id, _ := s.issue()
		s.revoke(id)
		return strings.Contains(strings.Join(s.stands("one").Trouble, "; "), "cannot be kept on the gateway's disk (no space left on device)")
	})
	s.revoke(id)
	one.comes(key, http.StatusUnauthorized)
	two.comes(key, http.StatusUnauthorized)
	s.inForceOn(id, 1)
	if gateways, done, waiting := s.waits(id); gateways != 2 || done != 1 || fmt.Sprint(waiting) != "[one]" {
		t.Errorf("in force on %d of %d, waiting for %v", done, gateways, waiting)
	}
	if got := one.call(other); got != http.StatusOK {
		t.Errorf("a good key is answered %d", got)
	}
	empty(t, filepath.Join(s.dir, "one-data"))
	s.inForceOn(id, 2)
	s.eventually("it has no trouble any more", func() bool { g := s.stands("one"); return len(g.Trouble) == 0 && g.Behind == 0 })
	one.kill()
	one.cable.set(cut)
	one.start()
	if got := one.call(key); got != http.StatusUnauthorized {
		t.Errorf("after a restart alone the revoked key is answered %d", got)
	}
}

// On a control plane whose disk is full, writes are refused with the reason and change nothing, gateways serve on, and it goes on by
// itself once there is room.
func TestControlPlaneOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "control-data")
	small(t, data, "24m")
	s := newSitesIn(t, dir, "127.0.3.16")
	one := s.join("one")
	id, key := s.issue()
	one.comes(key, http.StatusOK)
	s.inForceOn(id, 1)
	stuff(t, data)
	said := ""
	s.eventually("a write is refused", func() bool {
		status, err := s.ask("POST", "/api/applications", s.member, map[string]string{"name": fmt.Sprint("a", time.Now().UnixNano()), "purpose": strings.Repeat("long ", 100)}, nil)
		if err != nil {
			said = fmt.Sprint(status, err)
		}
		return err != nil
	})
	if !strings.Contains(said, "503") || !strings.Contains(said, "the disk is full: nothing was changed") {
		t.Error(said)
	}
	if got := one.call(key); got != http.StatusOK {
		t.Errorf("the gateway answers %d", got)
	}
	if g := s.stands("one"); !g.Connected { // and it can be looked at
		t.Errorf("%+v", g)
	}
	status, err := s.ask("POST", "/api/credentials/"+id+"/revoke", s.member, map[string]string{"reason": "found in a log"}, nil)
	revoked := err == nil // a small write may still fit
	if !revoked && status != http.StatusServiceUnavailable {
		t.Errorf("a revocation on a full disk: %d %v", status, err)
	}
	empty(t, data)
	if !revoked {
		s.eventually("writes go on", func() bool {
			_, err := s.ask("POST", "/api/credentials/"+id+"/revoke", s.member, map[string]string{"reason": "found in a log"}, nil)
			return err == nil
		})
	}
	one.comes(key, http.StatusUnauthorized)
	s.inForceOn(id, 1)
	s.control.kill()
	s.startControl() // no repair
	var now struct{ State string }
	s.must("GET", "/api/credentials/"+id, s.member, nil, &now)
	if now.State != "revoked" {
		t.Errorf("after a restart the credential is %s", now.State)
	}
}

// A gateway that hears nothing, or hears slowly, holds up neither the others nor the control plane; it is named, and has everything
// soon after its cable is whole again.
func TestGatewaysOnBadCables(t *testing.T) {
	s := newSites(t, "127.0.3.17")
	good, bad := s.join("good"), s.join("bad")
	id, key := s.issue()
	good.comes(key, http.StatusOK)
	bad.comes(key, http.StatusOK)
	s.inForceOn(id, 2)
	for _, c := range []struct {
		name  string
		hurt  func()
		stale bool // what is revoked meanwhile may count there
	}{
		{"cut", func() { bad.cable.set(cut) }, true},
		{"half open", func() { bad.cable.set(halfOpen) }, true},
		{"slow", func() { bad.cable.slow(300 * time.Millisecond) }, false},
	} {
		id, key := s.issue()
		bad.comes(key, http.StatusOK)
		good.comes(key, http.StatusOK)
		c.hurt()
		for range 20 { // more than a slow one takes at once
			s.issue()
		}
		began := time.Now()
		s.revoke(id)
		wrote := time.Since(began)
		good.comes(key, http.StatusUnauthorized)
		s.inForceOn(id, 1)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: the write took %v, and the good gateway %v", c.name, wrote, took)
		}
		if c.stale {
			if _, done, waiting := s.waits(id); done != 1 || fmt.Sprint(waiting) != "[bad]" {
				t.Errorf("%s: in force on %d, waiting for %v", c.name, done, waiting)
			}
			if got := bad.call(key); got != http.StatusOK { // it cannot know, within its offline bound
				t.Errorf("%s: the gateway that hears nothing answers %d", c.name, got)
			}
			s.eventually(c.name+": it is named as silent", func() bool { return s.stands("bad").Silent || !s.stands("bad").Connected })
		}
		bad.cable.slow(0)
		bad.cable.set(whole)
		s.inForceOn(id, 2)
		if got := bad.call(key); got != http.StatusUnauthorized {
			t.Errorf("%s: after its receipt the revoked key is answered %d", c.name, got)
		}
	}
	if good.cable.bytes() == 0 {
		t.Error("the good gateway was not on its cable")
	}
}

func errOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// keepImage writes what 'gatehouse gateways image' does.
func (s *sites) keepImage(file string) {
	s.Helper()
	r, err := http.NewRequest("GET", s.portal+"/api/environments/live/image", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.admin)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err = errOf(err, os.WriteFile(file, b, 0o600)); err != nil || res.StatusCode != http.StatusOK {
		s.Fatal(res.Status, err)
	}
}

// copyTo copies a folder as it is.
func copyTo(to, from string) error { return exec.Command("cp", "-a", from, to).Run() }

// small puts a file system of that size in the place of the folder, until the test ends.
func small(t *testing.T, dir, size string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	if err := errOf(os.MkdirAll(dir, 0o700), syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)); err != nil {
		t.Fatalf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// stuff fills the file system to its last byte.
func stuff(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "stuff"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for b := make([]byte, size); ; {
			if _, err := f.Write(b); err != nil {
				break
			}
		}
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "stuff")); err != nil {
		t.Fatal(err)
	}
}
