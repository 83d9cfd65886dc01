package review_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/review"
)

// traced names the folder that a copy of this test reads under strace.
const traced = "DRIFT_TRACED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(traced); dir != "" {
		os.Exit(readTraced(dir))
	}
	os.Exit(m.Run())
}

// readTraced is that copy: between two marks it reads the folder with every reader, good and bad files alike. After them it opens what
// lies outside, which the trace must show: else it would not show it before either.
func readTraced(dir string) (exit int) {
	_, _ = os.Stat("/mark/begins")
	for gateway := range small {
		if _, err := (review.Source{Name: "x", Tier: drift.Prod, Gateway: gateway, Folder: filepath.Join(dir, gateway)}).Read(drifttest.Now()); err != nil {
			fmt.Fprintln(os.Stderr, gateway, err)
			exit = 1
		}
	}
	_, _ = os.Stat("/mark/ends")
	f, err := os.Open(filepath.Join(filepath.Dir(dir), "outside.yaml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = f.Close()
	if c, err := net.Dial("udp", "127.0.0.1:9"); err == nil { // sends nothing
		_ = c.Close()
	}
	return exit
}

var (
	opened = regexp.MustCompile(`\b(?:open|openat|openat2|creat|readlink|readlinkat|rename|renameat2?|unlink|unlinkat|mkdirat?|execve)\((?:(?:AT_FDCWD|\d+)(?:<[^>]*>)?, )?"([^"]*)"`)
	netted = regexp.MustCompile(`\b(socket|connect|bind|sendto|sendmsg)\(`)
)

// TestNothingOutsideIsTouched: as the kernel sees it, reading opens no file but those of the folder, writes none, and opens no connection,
// whatever links, entities and names the files hold.
func TestNothingOutsideIsTouched(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is needed: sudo apt-get install -y strace, or run scripts/tools")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(dir, "outside.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "outside: 1\n")
	inside := filepath.Join(dir, "in")
	for gateway, files := range small {
		for name, text := range files {
			write(filepath.Join(inside, gateway, name), text)
		}
		for name, text := range badXML {
			write(filepath.Join(inside, gateway, name), text)
		}
		write(filepath.Join(inside, gateway, "include.yaml"), "a: !include ../../outside.yaml\nb: {$ref: '"+outside+"'}\nc: {$ref: 'http://127.0.0.1:9/x'}\n")
		for link, to := range map[string]string{"link.yaml": outside, "folder": dir} {
			if err := os.Symlink(to, filepath.Join(inside, gateway, link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := filepath.Join(dir, "trace")
	cmd := exec.Command(strace, "-f", "-y", "-s", "400", "-e", "trace=%file,%network", "-o", log, os.Args[0])
	cmd.Env = append(os.Environ(), traced+"="+inside)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "/mark/begins")
	trace, after, ends := strings.Cut(rest, "/mark/ends")
	if !begins || !ends {
		t.Fatal("the marks are not in the trace")
	}
	seen := 0
	for line := range strings.Lines(trace) {
		wrong, opens := touched(line, inside)
		if opens {
			seen++
		}
		if wrong != "" {
			t.Errorf("%s: %s", wrong, line)
		}
	}
	if what := strings.Join(outsideIn(after, inside), ", "); !strings.Contains(what, "a file outside") || !strings.Contains(what, "a connection") {
		t.Errorf("what is opened outside on purpose is seen as %q", what)
	}
	if seen < 20 {
		t.Errorf("only %d files in the trace", seen)
	}
	t.Logf("%d calls that open something, all within the folder, and no connection", seen)
}

// touched says what is wrong with a call in the trace, "" for nothing, and whether it opens or changes something.
func touched(line, inside string) (wrong string, opens bool) {
	if netted.MatchString(line) {
		return "a connection", false
	}
	m := opened.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	name := m[1]
	if !filepath.IsAbs(name) { // beside what the trace names in front of it
		if i, j := strings.IndexByte(line, '<'), strings.IndexByte(line, '>'); i > 0 && j > i {
			name = filepath.Join(line[i+1:j], name)
		}
	}
	switch {
	case name != inside && !strings.HasPrefix(name, inside+"/") && !strings.HasPrefix(name, "/sys/") && !strings.HasPrefix(name, "/proc/"):
		return "a file outside", true
	case strings.Contains(line, "O_WRONLY"), strings.Contains(line, "O_RDWR"), strings.Contains(line, "O_CREAT"):
		return "a file is written", true
	}
	return "", true
}

// outsideIn is everything that is wrong in a part of the trace.
func outsideIn(trace, inside string) (all []string) {
	for line := range strings.Lines(trace) {
		if wrong, _ := touched(line, inside); wrong != "" {
			all = append(all, wrong)
		}
	}
	return all
}
