package sqldb

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/organization"
	"gatehouse/store"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	s, err := OpenSQLite(ctx, filepath.Join(t.TempDir(), "a b", "x?y#.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	o := organization.Organization{ID: id.New(id.Organization, now), Name: "Ö", Created: now}
	if err := s.Update(ctx, func(tx store.Tx) error { o, err = tx.PutOrganization(ctx, o); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.View(ctx, func(tx store.Tx) error {
		os, err := tx.Organizations(ctx, "", "ö", "", 5)
		t.Log(os, err)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
