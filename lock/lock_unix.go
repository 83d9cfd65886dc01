//go:build unix

package lock

import (
	"errors"
	"os"
	"syscall"
)

// Take takes the lock of the file and reports whether it is held: not when another open file, of this process or another one, holds it. It
// never waits. Closing the file gives it back. An error is the operating system's.
func Take(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
