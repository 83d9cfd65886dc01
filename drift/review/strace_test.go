package review_test

import (
	"bytes"
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

// TestReadUnderTrace is that copy: between two marks it reads the folder with every reader, good and bad files alike.
func TestReadUnderTrace(t *testing.T) {
	dir := os.Getenv(traced)
	if dir == "" {
		t.Skip("runs under TestNothingOutsideIsTouched")
	}
	_, _ = os.Stat("/mark/begins")
	for gateway := range small {
		if _, err := (review.Source{Name: "x", Tier: drift.Prod, Gateway: gateway, Folder: filepath.Join(dir, gateway)}).Read(drifttest.Now()); err != nil {
			t.Error(err)
		}
	}
	_, _ = os.Stat("/mark/ends")
}

var (
	opened = regexp.MustCompile(`\b(?:open|openat|openat2|creat|readlink|readlinkat|rename|renameat2?|unlink|unlinkat|mkdirat?|execve)\((?:AT_FDCWD, |\d+(?:<[^>]*>)?, )?"([^"]*)"`)
	netted = regexp.MustCompile(`\b(socket|connect|bind|sendto|sendmsg)\(`)
)

// TestNothingOutsideIsTouched: as the kernel sees it, reading opens no file but those of the folder, writes none, and opens no connection,
// whatever links, entities and names the files hold.
func TestNothingOutsideIsTouched(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
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
	cmd := exec.Command(strace, "-f", "-y", "-s", "400", "-e", "trace=%file,%network", "-o", log, os.Args[0], "-test.run=^TestReadUnderTrace$")
	cmd.Env = append(os.Environ(), traced+"="+inside)
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("ptrace")) {
			t.Skip("processes may not be traced here")
		}
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "/mark/begins")
	trace, _, ends := strings.Cut(rest, "/mark/ends")
	if !begins || !ends {
		t.Fatal("the marks are not in the trace")
	}
	seen := 0
	for line := range strings.Lines(trace) {
		if m := netted.FindString(line); m != "" {
			t.Errorf("a connection: %s", line)
		}
		m := opened.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		if !filepath.IsAbs(name) { // beside what the trace names in front of it
			if i, j := strings.IndexByte(line, '<'), strings.IndexByte(line, '>'); i > 0 && j > i {
				name = filepath.Join(line[i+1:j], name)
			}
		}
		if seen++; name != inside && !strings.HasPrefix(name, inside+"/") && !strings.HasPrefix(name, "/sys/") && !strings.HasPrefix(name, "/proc/") {
			t.Errorf("a file outside: %s", line)
		}
		if strings.Contains(line, "O_WRONLY") || strings.Contains(line, "O_RDWR") || strings.Contains(line, "O_CREAT") {
			t.Errorf("a file is written: %s", line)
		}
	}
	if seen < 20 {
		t.Errorf("only %d files in the trace", seen)
	}
	t.Logf("%d calls that open something, all within the folder, and no connection", seen)
}
