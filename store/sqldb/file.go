package sqldb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/fault"
	"gatehouse/lock"
)

// fileLock is the right to write the database file: a file beside it on which the operating system holds a lock for this
// process, and which it lets go of when the process ends, however it ends.
type fileLock struct{ f *os.File }

func (l *fileLock) release() error {
	if l == nil || l.f == nil {
		return nil
	}
	return l.f.Close()
}

// prepare makes the folder and the file, as far as they are missing, for their owner alone, and takes the lock.
func prepare(file string) (*fileLock, error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(dir, err)
	}
	if kind, err := networkFile(dir); err != nil {
		return nil, unwritable(dir, err)
	} else if kind != "" {
		return nil, fault.New(fault.Unavailable, "%s is on a network file system (%s), where a database is damaged sooner or later: use a local disk", dir, kind)
	}
	if i, err := os.Stat(file); err == nil && !i.Mode().IsRegular() {
		return nil, fault.New(fault.Unavailable, "%s is no regular file: name another one", file)
	}
	l, err := take(file + ".lock")
	if err != nil {
		return nil, err
	}
	// Only a file that is not there yet is opened here: closing one that SQLite has open would let go of its locks.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), syncDir(dir))
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err != nil {
		return nil, errors.Join(unwritable(dir, err), l.release())
	}
	return l, nil
}

func take(name string) (*fileLock, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unwritable(filepath.Dir(name), err)
	}
	held, err := lock.Take(f)
	if err != nil {
		_ = f.Close()
		return nil, unwritable(filepath.Dir(name), err)
	}
	if held {
		return &fileLock{f}, nil
	}
	_ = f.Close()
	return nil, fault.Of(fault.Unavailable, "in-use", "%s is in use by another process of Gatehouse: stop that one first, or ask it", strings.TrimSuffix(name, ".lock"))
}

func unwritable(dir string, err error) error {
	return fault.New(fault.Unavailable, "cannot write to %s (%s): give the user that runs Gatehouse write access, or name another folder", dir, reason(err)).Because(err)
}

// reason is an error of a file without the name of the call and of the file.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func exists(file string) error {
	i, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "there is no file %s", file)
	case err != nil:
		return fault.New(fault.Unavailable, "%s cannot be read (%s)", file, reason(err)).Because(err)
	case !i.Mode().IsRegular():
		return fault.New(fault.Unavailable, "%s is no regular file: name another one", file)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
