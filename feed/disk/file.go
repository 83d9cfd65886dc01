package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// replace puts a file in its place whole or not at all, and durably: written beside it, synced, renamed, and its folder synced.
func replace(file string, write func(io.Writer) error) error {
	t, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	err = write(t)
	if err == nil {
		err = errors.Join(t.Chmod(0o600), t.Sync())
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
