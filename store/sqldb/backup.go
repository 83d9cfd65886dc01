package sqldb

import "context"

// Backup implements store.Store.
func (s *db) Backup(ctx context.Context, file string) error { panic("to be written") }
