//go:build unix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock unless another open file holds it.
func lockFile(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
