package storetest

import (
	"time"

	"gatehouse/credential"
	"gatehouse/secret"
	"gatehouse/store"
)

func issuers() []promise {
	denied := func(w *world, environment string, mark secret.Hash) bool {
		return read(w, func(tx store.Tx) (bool, error) { return tx.Denied(w.ctx(), environment, mark) })
	}
	return []promise{
		{"PutIssuerVersions", func(w *world) {
			i := credential.Issuer{Environment: "live", URL: "https://a.example/oauth/live", Audience: "https://api.example",
				Keys: []credential.SigningKey{{ID: "k1", Number: 1, Public: []byte(`{"kty":"EC"}`), From: w.now}}}
			read := func(tx store.Tx) (credential.Issuer, error) { return tx.Issuer(w.ctx(), "live") }
			versions(w, i, func(i *credential.Issuer) *int64 { return &i.Version },
				func(i *credential.Issuer) { i.Audience, i.Keys = "https://b.example", append(i.Keys, i.Keys[0]) },
				func(tx store.Tx, i credential.Issuer) (credential.Issuer, error) { return tx.PutIssuer(w.ctx(), i) }, read)
		}},
		{"DenyUntilItEnds", func(w *world) {
			mark := w.hash()
			d := credential.Denial{Environment: "live", Mark: mark, Expires: w.now.Add(time.Minute)}
			w.update(func(tx store.Tx) error { return tx.Deny(w.ctx(), d) })
			w.update(func(tx store.Tx) error { return tx.Deny(w.ctx(), d) })
			if !denied(w, "live", mark) || denied(w, "test", mark) || denied(w, "live", w.hash()) {
				w.Error("the wrong tokens are denied")
			}
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now) })
			if !denied(w, "live", mark) {
				w.Error("it is forgotten before the token ends")
			}
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now.Add(time.Minute)) })
			if denied(w, "live", mark) {
				w.Error("it is never forgotten")
			}
		}},
	}
}
