package sqldb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/store"
)

// A page of what is not revoked, in the midst of INVENTORY credentials (100,000 when it is not set) of which nine in ten are revoked.
func BenchmarkCredentialsAlive(b *testing.B) {
	many := 100_000
	if n, err := strconv.Atoi(os.Getenv("INVENTORY")); err == nil {
		many = n
	}
	ctx := context.Background()
	s := open(b, filepath.Join(b.TempDir(), "gatehouse.db"))
	now := time.Now()
	var middle id.ID
	for at := 0; at < many; at += 5000 {
		err := s.Update(ctx, func(tx store.Tx) error {
			for n := at; n < min(at+5000, many); n++ {
				c := credential.Credential{ID: id.New(id.Credential, now), Organization: id.ID(fmt.Sprint("org_", n%10_000)), Application: id.ID(fmt.Sprint("app_", n%100_000)), Environment: "live",
					Kind: credential.APIKey, Name: "key", PublicID: fmt.Sprint(n), State: credential.Revoked, Created: now, Expires: now.Add(time.Hour)}
				if n%10 == 0 {
					c.State = credential.Active
				}
				if n == many/2 {
					middle = c.ID
				}
				if _, err := tx.PutCredential(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for name, org := range map[string]id.ID{"all": "", "one-organization": "org_10"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := s.View(ctx, func(tx store.Tx) error { _, err := tx.CredentialsAlive(ctx, org, "", middle, 51); return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
