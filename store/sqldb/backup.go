package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/fault"
	"gatehouse/secret"
)

// Backup implements store.Store. The file stands under its name only when it is whole and on disk.
func (s *db) Backup(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fault.New(fault.Unavailable, "the path of the backup is not to be found").Because(err)
	}
	return s.copy(ctx, file, func(part string) error {
		if err := os.Link(part, file); err == nil || errors.Is(err, fs.ErrExist) { // a link never takes another's place
			return errors.Join(err, os.Remove(part))
		}
		if _, err := os.Lstat(file); err == nil {
			return fs.ErrExist
		}
		return os.Rename(part, file) // a file system without links
	})
}

// copy writes a consistent copy beside the file, on disk and for its owner alone, and lets finish give it its name.
func (s *db) copy(ctx context.Context, file string, finish func(part string) error) error {
	dir := filepath.Dir(file)
	if _, err := os.Lstat(file); err == nil {
		return there(file)
	}
	part := file + "." + secret.Random("part-").Reveal()
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return unwritable(dir, err)
	}
	defer os.Remove(part) // gone already when all went well
	if err := f.Close(); err != nil {
		return unwritable(dir, err)
	}
	d, err := sql.Open("sqlite", dsn(s.file, "copy"))
	if err != nil {
		return s.d.fault(err)
	}
	_, err = d.ExecContext(ctx, `VACUUM INTO $1`, part)
	if e := d.Close(); err == nil {
		err = e
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return givenUp(ctx.Err())
	case err != nil:
		return s.d.fault(err)
	}
	if err := syncFile(part); err != nil {
		return unwritable(dir, err)
	}
	switch err := finish(part); {
	case errors.Is(err, fs.ErrExist):
		return there(file)
	case err != nil:
		return unwritable(dir, err)
	}
	if err := syncDir(dir); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

func there(file string) error {
	return fault.New(fault.Conflict, "%s is there already: name another file", file)
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
