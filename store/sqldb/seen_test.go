package sqldb_test

import (
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

// A release that knows no days runs beside this one: what it makes and uses has no day, and is not taken for dormant.
func TestDormantBesideTheReleaseBefore(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	onBoth(t, func(t *testing.T, s store.Store, do func(q string, args ...any)) {
		var fresh, used, old id.ID
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			for i, age := range map[*id.ID]time.Duration{&fresh: time.Hour, &used: 90 * 24 * time.Hour, &old: 91 * 24 * time.Hour} {
				*i = id.New(id.Credential, now)
				_, public, hash := credential.NewKey("live")
				if _, err := tx.PutCredential(t.Context(), credential.Credential{ID: *i, Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey, Name: "key", PublicID: public,
					Hash: secret.Hash(hash), State: credential.Active, Created: now.Add(-age), Expires: now.Add(time.Hour)}); err != nil {
					return err
				}
			}
			return tx.AddUses(t.Context(), []credential.Use{{Credential: used, Grant: "gr_1", API: "eid", Operation: "read", Count: 1, Last: now, Gateway: "gw-1"}})
		}); err != nil {
			t.Fatal(err)
		}
		do(`UPDATE credentials SET seen = 0`)
		if err := s.View(t.Context(), func(tx store.Tx) error {
			ds, err := tx.Dormant(t.Context(), "", "", now.Add(-24*time.Hour), credential.Place{}, 10)
			if len(ds) != 1 || ds[0].ID != old {
				t.Errorf("%+v are dormant, not %s alone", ds, old)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
