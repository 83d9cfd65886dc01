package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/store/pgtest"
)

// binary is the folder of the real binary, built once as a release is built: without cgo.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", filepath.Join(dir, "gatehouse"), ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		binary = dir
		return pgtest.Tests{M: m}.Run()
	}())
}

// TestScripts runs testdata/script/*.txtar on the real binary. Beside testscript's own commands there are those of
// commands below.
func TestScripts(t *testing.T) {
	example, err := filepath.Abs("../../examples/eid/manifest")
	if err != nil {
		t.Fatal(err)
	}
	var scripts atomic.Int32
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true, Cmds: commands(),
		Setup: func(e *testscript.Env) error {
			up := newUpstream()
			e.Defer(up.Close)
			i := &instance{upstream: up, work: e.WorkDir}
			e.Values["instance"] = i
			e.Defer(i.kill)
			e.Defer(i.killGateways)
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("XDG_CONFIG_HOME", "")
			e.Setenv("PATH", binary+string(filepath.ListSeparator)+os.Getenv("PATH"))
			e.Setenv("UPSTREAM", up.URL)
			e.Setenv("EXAMPLE", example)
			e.Setenv("SOON", time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly))
			e.Setenv("GATEHOUSE_CONTROL_LISTEN", "127.0.0.1:0")
			e.Setenv("GATEHOUSE_OPERATIONS_LISTEN", "127.0.0.1:0")
			feed, err := freeAddress(fmt.Sprintf("127.0.2.%d:0", scripts.Load()+1))
			if err != nil {
				return err
			}
			e.Setenv("FEED", feed)
			// An address of its own: when nothing listens there any more, no other script's server takes the port.
			e.Setenv("GATEHOUSE_GATEWAY_LISTEN", fmt.Sprintf("127.0.1.%d:0", scripts.Add(1)))
			e.Setenv("GATEHOUSE_SECRET_EID_GATEWAY", "of this test")
			return errors.Join(os.Mkdir(home, 0o700), copyManifest(filepath.Join(e.WorkDir, "manifest"), up.URL))
		},
	})
}

// copyManifest puts testdata/manifest before a script, with the address of its upstream.
func copyManifest(to, upstream string) error {
	files, err := filepath.Glob("testdata/manifest/*.yaml")
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte("$UPSTREAM"), []byte(upstream))
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// commands are what scripts can say besides testscript's own words.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":  exits,
		"fill":   fill,
		"hurt":   hurt,
		"serve":  func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).serve(ts, args) },
		"stop":   func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).stop(ts, args) },
		"drain":  func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).drain(ts, args) },
		"http":   func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).http(ts, args) },
		"keep":   func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).keep(ts, args) },
		"letter": func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).letter(ts, args) },
		"login":  func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).login(ts, args) },
		"tamper": tamper,
		"occupy": occupy,

		"jwks":      func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).jwks(ts, args) },
		"assertion": func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).assertion(ts, args) },
		"asks":      func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).asks(ts, args) },

		"postgres": postgres,
		"gateway":  func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).gateway(ts, args) },
		"kill":     func(ts *testscript.TestScript, neg bool, args []string) { of(ts, neg).killGateway(ts, args) },
	}
}

func of(ts *testscript.TestScript, neg bool) *instance {
	if neg {
		ts.Fatalf("this command cannot be negated")
	}
	return ts.Value("instance").(*instance)
}

// postgres VARIABLE makes an empty PostgreSQL database and puts its address into the variable.
func postgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: postgres VARIABLE")
	}
	dsn, err := pgtest.Address()
	ts.Check(err)
	ts.Setenv(args[0], dsn.Reveal())
}

// exits CODE COMMAND… runs a command that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	soon := len(args) > 0 && args[0] == "soon"
	if soon {
		args = args[1:]
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits [soon] CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // the condition is the exit code
		got = 0
		err = ts.Exec(args[1], args[2:]...)
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			got = e.ExitCode()
		} else {
			ts.Check(err)
		}
		if !soon || got == want || time.Now().After(deadline) {
			break
		}
	}
	if got != want {
		ts.Fatalf("the exit code is %d, want %d", got, want)
	}
}

// hurt DIR puts files into a folder that are made to hurt whoever reads them.
func hurt(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for name, text := range map[string]string{
		"bomb.yaml": bomb.String(), "deep.yaml": strings.Repeat("[", 100_000), "deep.json": strings.Repeat("[", 100_000), "cut.json": "{\n\"a\": [1,\n", "latin.yaml": "a: \xe9t\xe9\n", "wide.yaml": "\xff\xfea",
		"apiproxy/policies/entity.xml": "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<a>&x;</a>", "apiproxy/policies/laugh.xml": "<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;&x;\">]>\n<a>&z;</a>",
		"apiproxy/policies/deep.xml": strings.Repeat("<a>", 100_000), "apiproxy/policies/cut.xml": "<a>\n<b>",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(os.WriteFile(file, []byte(text), 0o600))
	}
	large, err := os.Create(filepath.Join(dir, "large.yaml"))
	ts.Check(err)
	ts.Check(large.Truncate(100 << 20)) // of holes: it takes no room
	ts.Check(large.Close())
	outside := filepath.Join(dir, "..", "outside.yaml")
	ts.Check(os.WriteFile(outside, []byte("outside: 1\n"), 0o600))
	ts.Check(os.Symlink(outside, filepath.Join(dir, "link.yaml")))
	ts.Check(os.Symlink(filepath.Dir(outside), filepath.Join(dir, "folder")))
}

// fill FILE… puts the values of $VARIABLES into files.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// tamper FILE OLD NEW replaces bytes in a file by as many others.
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 || len(args[1]) != len(args[2]) {
		ts.Fatalf("usage: tamper FILE OLD NEW, both of one length")
	}
	file := ts.MkAbs(args[0])
	b, err := os.ReadFile(file)
	ts.Check(err)
	if !bytes.Contains(b, []byte(args[1])) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(file, bytes.ReplaceAll(b, []byte(args[1]), []byte(args[2])), 0o600))
}

// occupy NAME listens on a free port, and puts its address into the variable.
func occupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// upstream is a service behind the gateways: it answers what it was asked, and /slow only when it is let.
type upstream struct {
	*httptest.Server
	slow    chan struct{} // a request has come to /slow
	release chan struct{} // it may be answered
}

func newUpstream() *upstream {
	u := &upstream{slow: make(chan struct{}, 1), release: make(chan struct{})}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/slow") {
			u.slow <- struct{}{}
			<-u.release
		}
		fmt.Fprintf(w, "%s %s organization=%t key=%t\n", r.Method, r.URL.Path, r.Header.Get("Gatehouse-Organization") != "", r.Header.Get("X-API-Key") != "")
	}))
	return u
}
