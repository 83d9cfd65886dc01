package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/store"
)

// Restore makes the target from a backup, whole or not at all. The epoch of every environment is raised: a gateway that has
// seen what happened after the backup notices that this is another history and refuses it, so that what was revoked since
// stays revoked until people have looked. For the same reason everybody is signed out and links and device codes are void.
// The audit log says that it happened.
//
// A target that is in use, or that holds what the backup does not, is fault.Conflict: it must be moved away first.
func Restore(ctx context.Context, backup, target string, now time.Time) error {
	backup, err := filepath.Abs(backup)
	if err == nil {
		target, err = filepath.Abs(target)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "the path is not to be found").Because(err)
	}
	if sameFile(backup, target) {
		return fault.New(fault.Invalid, "the backup and what it is restored to are the same file")
	}
	if err := exists(backup); err != nil {
		return err
	}
	l, err := prepareTarget(target)
	if err != nil {
		return err
	}
	defer l.release()
	dir := filepath.Dir(target)
	part := target + ".restoring"
	if err := os.RemoveAll(part); err != nil { // of a try that was killed
		return unwritable(dir, err)
	}
	if err := os.Mkdir(part, 0o700); err != nil {
		return unwritable(dir, err)
	}
	defer os.RemoveAll(part)
	fresh := filepath.Join(part, "fresh.db")
	if err := rebuild(ctx, backup, fresh, func() error { return mayReplace(ctx, fresh, target) }, now); err != nil {
		return err
	}
	for _, rest := range []string{"-wal", "-shm"} { // folded into the file that goes
		if err := os.Remove(target + rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unwritable(dir, err)
		}
	}
	if err := errors.Join(os.Rename(fresh, target), syncDir(dir)); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// prepareTarget takes the right to write the target without making it.
func prepareTarget(target string) (*fileLock, error) {
	dir := filepath.Dir(target)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(dir, err)
	}
	if kind, err := networkFile(dir); err != nil {
		return nil, unwritable(dir, err)
	} else if kind != "" {
		return nil, fault.New(fault.Unavailable, "%s is on a network file system (%s): restore to a local disk", dir, kind)
	}
	l, err := take(target + ".lock")
	if errors.Is(err, fault.Unavailable) && fault.As(err).Code == "in-use" {
		return nil, fault.Of(fault.Conflict, "in-use", "%s is in use: stop Gatehouse first", target)
	}
	return l, err
}

// mayReplace refuses a target that holds something that would be lost.
func mayReplace(ctx context.Context, backup, target string) error {
	i, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && i.Mode().IsRegular() && i.Size() == 0 {
		return nil
	}
	keep := func(why string, err error) error {
		return fault.New(fault.Conflict, "%s is there and %s: move it (and the files %s-wal and %s-shm) to another place first", target, why, target, target).Because(err)
	}
	// Its write-ahead log belongs to the old file: it is folded in, so that the new one does not get it.
	d, err := sql.Open("sqlite", dsn(target, "fold"))
	if err != nil {
		return keep("cannot be read", err)
	}
	var mode string
	err = d.QueryRowContext(ctx, `PRAGMA journal_mode(delete)`).Scan(&mode)
	if e := d.Close(); err == nil {
		err = e
	}
	if err != nil || mode != "delete" {
		return keep("cannot be opened alone", err)
	}
	old, err := open(ctx, target, Options{ReadOnly: true})
	if err != nil {
		return keep("this build cannot read it", err)
	}
	defer old.Close()
	bak, err := open(ctx, backup, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer bak.Close()
	newer := errors.New("its audit log is longer or another one")
	err = old.View(ctx, func(o store.Tx) error {
		return bak.View(ctx, func(b store.Tx) error {
			check := func(e audit.Entry) error {
				same, err := b.AuditEntry(ctx, e.ID)
				if errors.Is(err, fault.NotFound) || err == nil && e.Seq >= 0 && same.Seq != e.Seq {
					return newer
				}
				return err
			}
			waiting, err := o.Unsealed(ctx, 1<<30)
			for _, e := range waiting {
				if err == nil {
					err = check(e)
				}
			}
			if err != nil {
				return err
			}
			return o.Sealed(ctx, 0, check)
		})
	})
	if errors.Is(err, newer) {
		return keep("holds changes that the backup does not know", err)
	}
	return err
}

// rebuild copies the backup to the fresh file, brings it to the schema of this build, checks it, and makes it a history of its
// own, if it may be.
func rebuild(ctx context.Context, backup, fresh string, may func() error, now time.Time) error {
	bak, err := open(ctx, backup, Options{ReadOnly: true, older: true})
	if err != nil {
		return err
	}
	err = bak.Backup(ctx, fresh)
	if e := bak.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	migrated, err := open(ctx, fresh, Options{})
	if err == nil {
		err = migrated.Close()
	}
	if err != nil {
		return err
	}
	from, err := Inspect(ctx, fresh)
	if err != nil {
		return err
	}
	if err := may(); err != nil {
		return err
	}
	s, err := open(ctx, fresh, Options{})
	if err != nil {
		return err
	}
	err = s.Update(ctx, func(stx store.Tx) error { return begin(ctx, stx.(*tx), from, now) })
	if e := s.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := syncFile(fresh); err != nil {
		return unwritable(filepath.Dir(fresh), err)
	}
	return nil
}

// begin makes a copy of the backup a history of its own.
func begin(ctx context.Context, t *tx, from Summary, now time.Time) error {
	epochs := map[string]int64{}
	for _, e := range from.Environments {
		n, err := t.RaiseEpoch(ctx, e.Name)
		if err != nil {
			return err
		}
		epochs[e.Name] = n
	}
	for _, q := range []string{`DELETE FROM sessions`, `DELETE FROM links`, `DELETE FROM devices`, `DELETE FROM receipts`} {
		if _, err := t.exec(ctx, q); err != nil {
			return err
		}
	}
	// A token may have been revoked after the backup was made, and nothing here can know: none of them is valid any more.
	if _, err := t.exec(ctx, `UPDATE machines SET revoked = $1, version = version + 1 WHERE revoked = 0`, now.UnixMicro()); err != nil {
		return err
	}
	after, err := json.Marshal(map[string]map[string]int64{"epochs": epochs})
	if err != nil {
		return fault.New(fault.Internal, "the epochs cannot be written").Because(err)
	}
	return t.AppendAudit(ctx, audit.New(now, audit.Entry{
		Actor: "host", Action: "store.restore", After: after,
		Reason: fmt.Sprintf("restored from a backup that ends with %d sealed entries of the audit log", from.Audit),
	}))
}
