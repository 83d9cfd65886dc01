package storetest

import (
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

func passkeys() []promise {
	fresh := func(w *world, person id.ID, credential string) identity.Passkey {
		return identity.Passkey{ID: id.New(id.Passkey, w.now), Person: person, Name: "laptop", Credential: []byte(credential), Record: `{"id":"x"}`, Created: w.now}
	}
	put := func(tx store.Tx, w *world, p identity.Passkey) (identity.Passkey, error) {
		return tx.PutPasskey(w.ctx(), p)
	}
	return []promise{
		{"PutPasskeyVersions", func(w *world) {
			p := fresh(w, "per_1", "one")
			versions(w, p, func(p *identity.Passkey) *int64 { return &p.Version },
				func(p *identity.Passkey) { p.Name, p.Record, p.Used = "phone", `{}`, w.now.Add(time.Hour) },
				func(tx store.Tx, p identity.Passkey) (identity.Passkey, error) { return put(tx, w, p) },
				func(tx store.Tx) (identity.Passkey, error) { return tx.Passkey(w.ctx(), p.ID) })
		}},
		{"PasskeyByCredentialOnce", func(w *world) {
			p := written(w, func(tx store.Tx) (identity.Passkey, error) { return put(tx, w, fresh(w, "per_1", "one")) })
			same(w, "it", read(w, func(tx store.Tx) (identity.Passkey, error) { return tx.PasskeyByCredential(w.ctx(), []byte("one")) }), p)
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Passkey, error) { return tx.PasskeyByCredential(w.ctx(), []byte("On")) })
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Passkey, error) { return tx.PasskeyByCredential(w.ctx(), nil) })
			w.refused(fault.Conflict, func(tx store.Tx) error { _, err := put(tx, w, fresh(w, "per_2", "one")); return err })
		}},
		{"DropPasskeysOfOnePerson", func(w *world) {
			var all []identity.Passkey
			for n, c := range []string{"one", "two", "three"} {
				all = append(all, written(w, func(tx store.Tx) (identity.Passkey, error) {
					p := fresh(w, id.ID([]string{"per_1", "per_1", "per_2"}[n]), c)
					p.ID = id.New(id.Passkey, w.now.Add(time.Duration(n)*time.Second))
					return put(tx, w, p)
				}))
			}
			of := func(person id.ID) []identity.Passkey {
				return read(w, func(tx store.Tx) ([]identity.Passkey, error) { return tx.PasskeysOf(w.ctx(), person) })
			}
			same(w, "hers", of("per_1"), all[:2])
			w.update(func(tx store.Tx) error { return tx.DropPasskey(w.ctx(), all[0].ID) })
			same(w, "one less", of("per_1"), all[1:2])
			w.update(func(tx store.Tx) error { return tx.DropPasskeys(w.ctx(), "per_1") })
			same(w, "none", len(of("per_1")), 0)
			same(w, "another's", of("per_2"), all[2:])
		}},
	}
}
