package storetest

import (
	"slices"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

func registrations() []promise {
	fresh := func(w *world, org id.ID) credential.InitialToken {
		return credential.InitialToken{ID: id.New(id.InitialToken, w.now), Organization: org, Application: "app_1", Environment: "live", Name: "pipeline",
			Hash: w.hash(), Most: 3, Created: w.now, CreatedBy: "per_1", Expires: w.now.Add(time.Hour)}
	}
	return []promise{
		{"PutInitialTokenVersions", func(w *world) {
			i := fresh(w, "org_1")
			versions(w, i, func(i *credential.InitialToken) *int64 { return &i.Version },
				func(i *credential.InitialToken) {
					i.Organization, i.Application, i.Environment, i.Name, i.Hash, i.Uses, i.Most = "org_2", "app_2", "test", "b", w.hash(), 2, 5
					i.Created, i.CreatedBy, i.Expires, i.Ended = w.now.Add(1e6), "per_2", w.now.Add(2e6), w.now.Add(3e6)
				},
				func(tx store.Tx, i credential.InitialToken) (credential.InitialToken, error) {
					return tx.PutInitialToken(w.ctx(), i)
				},
				func(tx store.Tx) (credential.InitialToken, error) { return tx.InitialToken(w.ctx(), i.ID) })
		}},
		{"InitialTokensByHashAndOfTheirOrganization", func(w *world) {
			var of []string
			for n := range 6 {
				org := id.ID([]string{"org_1", "org_2"}[n%2])
				i := written(w, func(tx store.Tx) (credential.InitialToken, error) { return tx.PutInitialToken(w.ctx(), fresh(w, org)) })
				same(w, "by its hash", read(w, func(tx store.Tx) (credential.InitialToken, error) { return tx.InitialTokenByHash(w.ctx(), i.Hash) }), i)
				if org == "org_1" {
					of = append(of, string(i.ID))
				}
			}
			slices.Sort(of)
			failing(w, fault.NotFound, func(tx store.Tx) (credential.InitialToken, error) { return tx.InitialTokenByHash(w.ctx(), w.hash()) })
			got := paged(w, func(i credential.InitialToken) string { return string(i.ID) }, func(tx store.Tx, after string, limit int) ([]credential.InitialToken, error) {
				return tx.InitialTokens(w.ctx(), "org_1", id.ID(after), limit)
			})
			same(w, "those of an organization", got, of)
		}},
		{"RegistrationIsTheLastOne", func(w *world) {
			failing(w, fault.NotFound, func(tx store.Tx) (secret.Hash, error) { return tx.Registration(w.ctx(), "crd_1") })
			for range 2 {
				h := w.hash()
				w.update(func(tx store.Tx) error { return tx.PutRegistration(w.ctx(), "crd_1", h) })
				same(w, "the token's hash", read(w, func(tx store.Tx) (secret.Hash, error) { return tx.Registration(w.ctx(), "crd_1") }), h)
			}
		}},
	}
}
