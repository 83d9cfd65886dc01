package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/store/pgtest"
)

// replica is one process of several that share a database.
type replica struct {
	*testing.T
	data, log string
	cmd       *exec.Cmd
	gateway   string // of live
	env       []string
}

func startReplica(t *testing.T, dir, name, manifest, database string) *replica {
	t.Helper()
	r := &replica{T: t, data: filepath.Join(dir, name), log: filepath.Join(dir, name+".log")}
	r.env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GATEHOUSE_DATABASE=" + database, "GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0",
		"GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0", "GATEHOUSE_SECRET_EID_GATEWAY=of this test"}
	r.cmd = exec.Command(filepath.Join(binary, "gatehouse"), "serve", "-o", "json", "--dev", "--manifest", manifest, "--data", r.data)
	log, err := os.Create(r.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r.cmd.Env, r.cmd.Stderr = r.env, log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	var ready struct{ Gateways map[string]string }
	if err = errors.Join(err, json.Unmarshal([]byte(line), &ready)); err != nil {
		said, _ := os.ReadFile(r.log)
		t.Fatalf("%s did not start: %v\n%s", name, err, said)
	}
	r.gateway = ready.Gateways["live"]
	return r
}

// kill ends it as a power cut would.
func (r *replica) kill() {
	if r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}

// leads reports whether it is the one that numbers and seals: what it said last of that.
func (r *replica) leads() bool {
	b, err := os.ReadFile(r.log)
	if err != nil {
		r.Fatal(err)
	}
	return strings.LastIndex(string(b), "this process numbers and seals now") > strings.LastIndex(string(b), "another process numbers and seals now")
}

func (r *replica) run(args ...string) string {
	r.Helper()
	c := exec.Command(filepath.Join(binary, "gatehouse"), append(args, "--data", r.data)...)
	c.Env = r.env
	out, err := c.CombinedOutput()
	if err != nil {
		said, _ := os.ReadFile(r.log)
		r.Fatalf("gatehouse %s: %v\n%s\n%s", strings.Join(args, " "), err, out, said)
	}
	return string(out)
}

// serves waits until its gateway has the path: it answers 401 to nobody, and 404 to a path it does not know.
func (r *replica) serves(path string) {
	r.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(r.gateway + path)
		if err != nil {
			r.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusUnauthorized {
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(r.log)
			r.Fatalf("%s answers %d\n%s", path, res.StatusCode, said)
		}
	}
}

// Of several processes on one PostgreSQL one numbers the feed. When it is killed, another one goes on within moments, and
// what the killed one had acknowledged is there.
func TestReplicaGoesOnWhenTheSequencerIsKilled(t *testing.T) {
	database, err := pgtest.Address()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	manifest := filepath.Join(dir, "manifest")
	if err := copyManifest(manifest, "http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	paths := func(n int) string { // the same manifest with another path
		to := filepath.Join(dir, fmt.Sprint("manifest", n))
		if err := errors.Join(os.CopyFS(to, os.DirFS(manifest)), replaceIn(filepath.Join(to, "gatehouse.yaml"), "path: /echo", fmt.Sprintf("path: /echo%d", n))); err != nil {
			t.Fatal(err)
		}
		return to
	}
	a := startReplica(t, dir, "a", manifest, database.Reveal())
	for _, name := range []string{"b", "c"} { // the same keys
		if err := os.CopyFS(filepath.Join(dir, name, "keys"), os.DirFS(filepath.Join(a.data, "keys"))); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"feed", "checkpoint"} {
			if err := os.Chmod(filepath.Join(dir, name, "keys", key), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := startReplica(t, dir, "b", manifest, database.Reveal())
	if names := a.locals(2); a.instance() == b.instance() || !slices.Contains(names, "local-live-"+a.instance()) || !slices.Contains(names, "local-live-"+b.instance()) {
		t.Errorf("the gateways of %s and %s are known as %v", a.instance(), b.instance(), names)
	}
	for n, pair := range [][2]*replica{{a, b}, {b, nil}} {
		old, next := pair[0], pair[1]
		if next == nil {
			next = startReplica(t, dir, "c", manifest, database.Reveal())
		}
		for deadline := time.Now().Add(patience); !old.leads(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not number and seal")
			}
		}
		old.run("publish", paths(2*n+1), "--env", "live")
		next.serves(fmt.Sprintf("/echo%d/things", 2*n+1)) // although it does not number
		killed := time.Now()
		old.kill()
		next.run("publish", paths(2*n+2), "--env", "live")
		published := time.Since(killed)
		next.serves(fmt.Sprintf("/echo%d/things", 2*n+2))
		took := time.Since(killed)
		t.Logf("killed; published after %s, in force after %s", published.Round(time.Millisecond), took.Round(time.Millisecond))
		if took > patience {
			t.Errorf("the feed stood still for %s", took)
		}
		if n == 1 {
			if out := next.run("audit", "verify"); !strings.Contains(out, "0 waiting") {
				t.Error(out)
			}
		}
	}
}

// instance is what its gateways are told from those of others by.
func (r *replica) instance() string {
	r.Helper()
	b, err := os.ReadFile(filepath.Join(r.data, "instance"))
	if err != nil {
		r.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// locals waits until so many gateways of live beside control planes are in the fleet, each up to date, and returns their names.
func (r *replica) locals(n int) (names []string) {
	r.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		var l struct{ Items []control.FleetGateway }
		out := r.run("gateways", "-o", "json")
		if err := json.Unmarshal([]byte(out), &l); err != nil {
			r.Fatal(err, out)
		}
		names = nil
		for _, g := range l.Items {
			if g.Local && g.Environment == "live" && g.Connected && g.Behind == 0 {
				names = append(names, g.Name)
			}
		}
		if len(names) == n {
			return names
		}
		if time.Now().After(deadline) {
			r.Fatalf("the fleet is %s", out)
		}
	}
}

func replaceIn(file, old, fresh string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), old) {
		return fmt.Errorf("%s holds no %q", file, old)
	}
	return os.WriteFile(file, []byte(strings.ReplaceAll(string(b), old, fresh)), 0o600)
}
