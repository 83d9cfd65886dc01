//go:build unix

package lock_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/lock"
)

// A lock is held by one open file, and free once that is closed.
func TestTake(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	take := func(want bool) *os.File {
		t.Helper()
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		if held, err := lock.Take(f); err != nil || held != want {
			t.Fatalf("held %v, %v", held, err)
		}
		return f
	}
	first := take(true)
	take(false)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := take(true)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := lock.Take(second); err == nil || held {
		t.Errorf("a file that is closed: held %v, %v", held, err)
	}
}
