package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

func credentials() []promise {
	fresh := func(w *world, org, app id.ID) credential.Credential {
		return credential.Credential{ID: id.New(id.Credential, w.now), Organization: org, Application: app, Environment: "live",
			Kind: credential.APIKey, Name: "key", PublicID: string(id.New(id.Credential, w.now)), Hash: w.hash(), Grants: []id.ID{"gr_1", "gr_2"},
			State: credential.Active, Created: w.now, CreatedBy: "per_1", Expires: w.now.Add(time.Hour)}
	}
	put := func(w *world, c credential.Credential) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutCredential(w.ctx(), c); return err })
	}
	return []promise{
		{"PutCredentialVersions", func(w *world) {
			c := fresh(w, "org_1", "app_1")
			versions(w, c, func(c *credential.Credential) *int64 { return &c.Version },
				func(c *credential.Credential) {
					c.State, c.Revoked, c.Reason, c.RetireAt, c.Grants = credential.Revoked, w.now, "leaked", w.now, nil
					c.Sources, c.Replaces, c.Held, c.Leaked = []string{"203.0.113.0/24"}, "cr_1", true, w.now
					c.Earlier, c.EarlierUntil = w.hash(), w.now
					c.CertName = &credential.CertName{Authority: "ca", Kind: "dns", Value: "client.example"}
					c.SecretSince, c.KeyPrint = w.now, "print"
					c.Workload = &credential.Workload{Issuer: "https://issuer.example", Subject: "job", Audience: "https://api.example", Claims: []credential.Claim{{Name: "ref", Value: "main"}}}
					c.OAuth = &credential.OAuth{Method: credential.PrivateKeyJWT, Keys: []byte(`{"keys":[]}`), Constrain: credential.ByDPoP}
				},
				func(tx store.Tx, c credential.Credential) (credential.Credential, error) {
					return tx.PutCredential(w.ctx(), c)
				},
				func(tx store.Tx) (credential.Credential, error) { return tx.Credential(w.ctx(), c.ID) })
		}},
		{"PutCredentialElsewhere", func(w *world) { // what places it may change too, and it is found there
			c := written(w, func(tx store.Tx) (credential.Credential, error) {
				return tx.PutCredential(w.ctx(), fresh(w, "org_1", "app_1"))
			})
			was := c.PublicID
			c.Organization, c.Application, c.PublicID, c.Name = "org_2", "app_2", string(id.New(id.Credential, w.now)), "moved"
			moved := written(w, func(tx store.Tx) (credential.Credential, error) { return tx.PutCredential(w.ctx(), c) })
			same(w, "its version", moved.Version, c.Version+1)
			same(w, "by ID", read(w, func(tx store.Tx) (credential.Credential, error) { return tx.Credential(w.ctx(), c.ID) }), moved)
			same(w, "by the public ID", read(w, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), c.PublicID) }), moved)
			failing(w, fault.NotFound, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), was) })
			for org, want := range map[id.ID]int{"org_1": 0, "org_2": 1} {
				cs := read(w, func(tx store.Tx) ([]credential.Credential, error) { return tx.Credentials(w.ctx(), org, "", "", 10) })
				same(w, "of "+string(org), len(cs), want)
			}
			w.is(fault.Stale, put(w, c))
		}},
		{"PutCredentialPublicIDInUseIsConflict", func(w *world) {
			a, b := fresh(w, "org_1", "app_1"), fresh(w, "org_1", "app_1")
			b.PublicID = a.PublicID
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, put(w, b))
			got := read(w, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), a.PublicID) })
			same(w, "the credential", got.ID, a.ID)
			failing(w, fault.NotFound, func(tx store.Tx) (credential.Credential, error) {
				return tx.CredentialByPublicID(w.ctx(), strings.ToUpper(a.PublicID))
			})
		}},
		{"CredentialsAliveByIDAfter", func(w *world) {
			of := map[string][]string{}
			for n := range 12 {
				org, app := fmt.Sprint("org_", n%2), fmt.Sprint("app_", n%4)
				c := fresh(w, id.ID(org), id.ID(app))
				if n%3 == 0 {
					c.State = credential.Revoked
				}
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				for _, k := range []string{"", org, app} {
					if c.State != credential.Revoked {
						of[k] = append(of[k], string(c.ID))
					}
				}
			}
			for _, c := range []struct{ org, app, want string }{{"", "", ""}, {"org_1", "", "org_1"}, {"org_1", "app_3", "app_3"}, {"", "app_2", "app_2"}, {"org_0", "app_3", "none"}} {
				slices.Sort(of[c.want])
				got := paged(w, func(c credential.Credential) string { return string(c.ID) }, func(tx store.Tx, after string, limit int) ([]credential.Credential, error) {
					return tx.CredentialsAlive(w.ctx(), id.ID(c.org), id.ID(c.app), id.ID(after), limit)
				})
				same(w, c.org+" "+c.app, got, of[c.want])
			}
		}},
		{"SharedProofsAreThoseOfOthersThatAreNotRevoked", func(w *world) {
			var is []id.ID
			for n, proofs := range [][]string{{"key a", "key b"}, {"key b", "key b"}, {"key a"}, {"key c"}, {"key a"}, nil} {
				c := fresh(w, "org_1", "app_1")
				if n == 4 {
					c.State = credential.Revoked
				}
				is = append(is, c.ID)
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				w.update(func(tx store.Tx) error { return tx.PutProofs(w.ctx(), c.ID, proofs) })
			}
			shared := func(of id.ID, limit int) (out []id.ID) {
				for _, c := range read(w, func(tx store.Tx) ([]credential.Credential, error) { return tx.SharedProofs(w.ctx(), of, limit) }) {
					out = append(out, c.ID)
				}
				return out
			}
			want := []id.ID{is[1], is[2]}
			slices.Sort(want)
			same(w, "of two proofs", shared(is[0], 10), want)
			same(w, "the first", shared(is[0], 1), want[:1])
			same(w, "of one", shared(is[1], 10), []id.ID{is[0]})
			same(w, "of none", shared(is[5], 10), nil)
			w.update(func(tx store.Tx) error { return tx.PutProofs(w.ctx(), is[0], []string{"key c"}) })
			same(w, "of another one", shared(is[0], 10), []id.ID{is[3]})
			same(w, "of what it was before", shared(is[1], 10), nil)
		}},
		{"CredentialsByIDAfter", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				org, app := fmt.Sprint("org_", n%2), fmt.Sprint("app_", n%4)
				c := fresh(w, id.ID(org), id.ID(app))
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				for _, k := range []string{"", org, app} {
					of[k] = append(of[k], string(c.ID))
				}
			}
			for _, c := range []struct{ org, app, want string }{{"", "", ""}, {"org_1", "", "org_1"}, {"org_1", "app_3", "app_3"}, {"", "app_2", "app_2"}, {"org_0", "app_3", "none"}} {
				slices.Sort(of[c.want])
				got := paged(w, func(c credential.Credential) string { return string(c.ID) }, func(tx store.Tx, after string, limit int) ([]credential.Credential, error) {
					return tx.Credentials(w.ctx(), id.ID(c.org), id.ID(c.app), id.ID(after), limit)
				})
				same(w, c.org+" "+c.app, got, of[c.want])
			}
		}},
	}
}
