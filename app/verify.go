package app

import (
	"context"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// AuditFiles is what an audit log is verified from, without a server.
type AuditFiles struct {
	Data       string // data directory, for the verifier key when Verifier is ""
	Database   string // database file: a backup, or the one in use
	Verifier   string // verifier key of checkpoints
	Checkpoint string // an older checkpoint that was kept, or ""
}

// VerifyAudit verifies the log in a database file, which it opens for reading only.
func VerifyAudit(ctx context.Context, f AuditFiles) (audit.Report, error) {
	verifier := f.Verifier
	if verifier == "" {
		v, err := readVerifier(f.Data)
		if err != nil {
			return audit.Report{}, err
		}
		verifier = v
	}
	s, err := sqldb.OpenSQLite(ctx, f.Database, sqldb.Options{ReadOnly: true})
	if err != nil {
		return audit.Report{}, err
	}
	defer s.Close()
	var report audit.Report
	err = s.View(ctx, func(tx store.Tx) error {
		report, err = audit.Verify(ctx, tx, verifier, f.Checkpoint, time.Now().UTC())
		return err
	})
	return report, err
}

// checkBackup reads a copy of the database page by page, and verifies the audit log in it.
func (s *serving) checkBackup(ctx context.Context, file string) error {
	if _, err := sqldb.Inspect(ctx, file); err != nil {
		return err
	}
	report, err := VerifyAudit(ctx, AuditFiles{Database: file, Verifier: s.keys.verifier})
	if err != nil {
		return err
	}
	if !report.OK {
		return fault.New(fault.Unavailable, "the audit log in the copy does not verify: %s", report.Problems[0].Text)
	}
	return nil
}
