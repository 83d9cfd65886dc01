package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

var (
	// The server may have read the first byte before the rest.
	traceAsked    = regexp.MustCompile(`"P?OST /api/applications `)
	traceSynced   = regexp.MustCompile(`(fsync|fdatasync)(\(\d+\)| resumed>\)) += 0`)
	traceAnswered = regexp.MustCompile(`"HTTP/1\.1 201 `)
)

// A kill does not test that an answered write is on the disk, since the kernel keeps what was written. The system calls of the
// control plane show it: between a write's request and its answer a sync has returned.
func TestAnswersAreSyncedBefore(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is needed: sudo apt-get install -y strace, or run scripts/tools")
	}
	k := &killed{T: t, dir: t.TempDir(), keys: map[string]*killedKey{}}
	up := newUpstream()
	t.Cleanup(up.Close)
	manifest := filepath.Join(k.dir, "manifest")
	if err := copyManifest(manifest, up.URL); err != nil {
		t.Fatal(err)
	}
	if err := replaceIn(filepath.Join(manifest, "gatehouse.yaml"), "approval: { stages: [{ name: owner, role: approver }] }", "approval: { automatic: true }"); err != nil {
		t.Fatal(err)
	}
	if k.feed, err = freeAddress("127.0.3.2:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.control.kill() })
	k.startControl()
	k.partner()
	file := filepath.Join(k.dir, "trace")
	tracer := exec.Command(strace, "-f", "-s", "64", "-e", "trace=read,write,fsync,fdatasync", "-o", file, "-p", strconv.Itoa(k.control.cmd.Process.Pid))
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	const writes = 20
	done := 0
	for deadline := time.Now().Add(patience); done < writes+1 && time.Now().Before(deadline); { // the first ones may come before strace is there
		var made struct{ ID string }
		k.must("POST", "/api/applications", k.member, map[string]string{"name": fmt.Sprint("traced ", time.Now().UnixNano()), "purpose": "to be traced"}, &made)
		if b, _ := os.ReadFile(file); traceAnswered.Match(b) {
			done++
		}
	}
	_ = tracer.Process.Signal(syscall.SIGINT)
	_ = tracer.Wait()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	asked, synced, answers := false, 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		switch l := lines.Text(); {
		case traceAsked.MatchString(l):
			asked, synced = true, 0
		case traceSynced.MatchString(l):
			synced++
		case asked && traceAnswered.MatchString(l):
			if synced == 0 {
				t.Errorf("answer %d was written before a sync had returned", answers+1)
			}
			asked, answers = false, answers+1
		}
	}
	if answers < writes {
		t.Fatalf("the trace shows %d answers, want %d: strace may not be let in here", answers, writes)
	}
	t.Logf("%d answers, each after a sync", answers)
}
