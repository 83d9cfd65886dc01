//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal opens a pseudo-terminal: what is written to slave is read from master.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlocked int32
	for _, c := range []struct {
		call uintptr
		arg  *int32
	}{{syscall.TIOCSPTLCK, &unlocked}, {syscall.TIOCGPTN, &number}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), c.call, uintptr(unsafe.Pointer(c.arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// What is written to a terminal is coloured; what is written to one that cannot, against NO_COLOR or anywhere else is not.
func TestColourIsForTerminals(t *testing.T) {
	dir := t.TempDir()
	for name, plugins := range map[string]string{"strong": "[{name: key-auth}]", "weak": "[]"} {
		deck := "_format_version: \"3.0\"\nservices:\n- {name: orders, url: \"https://orders.example.com\", routes: [{name: get, methods: [GET], paths: [/orders], protocols: [https], plugins: " + plugins + "}]}\n"
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, "kong.yaml"), []byte(deck), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(out io.Writer, env ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(binary, "gatehouse"), "drift", "compare", "prod@prod:kong=strong", "staging@stage:kong=weak")
		cmd.Dir, cmd.Stdout, cmd.Env = dir, out, append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatalf("a finding ends the program with %v", err)
		}
	}
	const red = "\x1b[1;31m"
	for _, c := range []struct {
		env  []string
		want bool
	}{{[]string{"TERM=xterm-256color"}, true}, {[]string{"TERM=dumb"}, false}, {[]string{"TERM=xterm-256color", "NO_COLOR=1"}, false}} {
		master, slave := terminal(t)
		said := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(master) // ends with an error when the last one has closed the other end
			said <- string(b)
		}()
		run(slave, c.env...)
		slave.Close()
		got := <-said
		if !strings.Contains(got, "DR-AUT-01") || strings.Contains(got, red) != c.want {
			t.Errorf("%v: colour is wanted: %v; on the terminal stands %q", c.env, c.want, got)
		}
	}
	var b strings.Builder
	run(&b, "TERM=xterm-256color")
	if got := b.String(); !strings.Contains(got, "DR-AUT-01") || strings.Contains(got, "\x1b") {
		t.Errorf("in a pipe stands %q", got)
	}
}
