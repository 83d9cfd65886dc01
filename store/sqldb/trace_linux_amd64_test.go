package sqldb_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// What the tests need of ptrace(2) and wait(2) beside what package syscall names.
const (
	exitKill   = 0x100000   // PTRACE_O_EXITKILL
	waitAll    = 0x40000000 // __WALL
	ownThread  = 0x20000000 // __WNOTHREAD
	inSyscall  = syscall.SIGTRAP | 0x80
	toldWrites = 3
)

// A kill does not test that a write is on disk, as the kernel keeps what was written: here the child's system calls are
// watched. Each answered write has a sync that has returned, after it began and before its answer.
func TestSyncBeforeAnswer(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SQLDB_TEST_CHILD=write-traced", "SQLDB_TEST_FILE="+filepath.Join(t.TempDir(), "gatehouse.db"))
	child.Stderr = os.Stderr
	child.ExtraFiles = []*os.File{w}
	child.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := child.Start(); err != nil {
		t.Fatalf("this system lets no process be traced: %v", err)
	}
	defer func() { _ = child.Process.Release() }()
	w.Close()
	go func() { // the pipe never fills
		b := make([]byte, 1<<10)
		for {
			if _, err := r.Read(b); err != nil {
				return
			}
		}
	}()
	events := trace(t, child.Process.Pid)
	told, synced := 0, 0
	for _, e := range events {
		switch {
		case e == 's':
			synced++
		case told%2 == 0: // a write begins
			told, synced = told+1, 0
		default:
			told++
			if synced == 0 {
				t.Errorf("write %d was answered before a sync", told/2)
			}
		}
	}
	if told != 2*traced {
		t.Errorf("the child told of %d beginnings and answers, want %d", told, 2*traced)
	}
}

// trace runs the process to its end and returns, in their order, its syncs when they have returned (s) and its words on
// descriptor 3 when they begin (w).
func trace(t *testing.T, pid int) (events []byte) {
	t.Helper()
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, waitAll, nil); err != nil {
		t.Fatal(err)
	}
	if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACESYSGOOD|exitKill); err != nil {
		t.Fatal(err)
	}
	within := map[int]bool{} // threads that are in a system call
	next, signal := pid, 0
	for {
		if err := syscall.PtraceSyscall(next, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		tid, err := syscall.Wait4(-1, &ws, waitAll|ownThread, nil)
		for errors.Is(err, syscall.EINTR) {
			tid, err = syscall.Wait4(-1, &ws, waitAll|ownThread, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		next, signal = tid, 0
		switch {
		case ws.Exited() || ws.Signaled():
			if tid == pid {
				if ws.ExitStatus() != 0 {
					t.Errorf("the child ended with %d", ws.ExitStatus())
				}
				return events
			}
		case ws.StopSignal() == inSyscall:
			within[tid] = !within[tid]
			var regs syscall.PtraceRegs
			if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
				continue
			}
			switch regs.Orig_rax {
			case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
				if !within[tid] && regs.Rax == 0 {
					events = append(events, 's')
				}
			case syscall.SYS_WRITE:
				if within[tid] && regs.Rdi == toldWrites {
					events = append(events, 'w')
				}
			}
		case ws.StopSignal() == syscall.SIGTRAP, ws.StopSignal() == syscall.SIGSTOP: // a new thread
		default:
			signal = int(ws.StopSignal())
		}
	}
}
