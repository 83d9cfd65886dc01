package storetest

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

func (w *world) invitation(org id.ID) identity.Invitation {
	return identity.Invitation{ID: id.New(id.Invitation, w.now), Organization: org, Email: "new@example.org", By: "per_1",
		Roles: []identity.Role{identity.Developer}, Hash: w.hash(), Created: w.now, Expires: w.now.Add(time.Hour)}
}

func invitations() []promise {
	put := func(w *world, i identity.Invitation) identity.Invitation {
		w.Helper()
		return written(w, func(tx store.Tx) (identity.Invitation, error) { return tx.PutInvitation(w.ctx(), i) })
	}
	return []promise{
		{"PutInvitationVersions", func(w *world) {
			i := w.invitation("org_1")
			versions(w, i, func(i *identity.Invitation) *int64 { return &i.Version },
				func(i *identity.Invitation) {
					i.Organization, i.Email, i.Roles, i.By, i.Hash = "", "b@example.org", []identity.Role{"approver@api:x", identity.Auditor}, "", w.hash()
					i.Created, i.Expires, i.Accepted, i.Person, i.Withdrawn = w.now.Add(1e6), w.now.Add(2e6), w.now.Add(3e6), "per_2", w.now.Add(4e6)
				},
				func(tx store.Tx, i identity.Invitation) (identity.Invitation, error) {
					return tx.PutInvitation(w.ctx(), i)
				},
				func(tx store.Tx) (identity.Invitation, error) { return tx.Invitation(w.ctx(), i.ID) })
		}},
		{"InvitationByHashWhateverItsState", func(w *world) {
			i := w.invitation("org_1")
			i.Withdrawn = w.now
			i = put(w, i)
			same(w, "the invitation", read(w, func(tx store.Tx) (identity.Invitation, error) { return tx.InvitationByHash(w.ctx(), i.Hash) }), i)
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Invitation, error) { return tx.InvitationByHash(w.ctx(), w.hash()) })
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Invitation, error) { return tx.Invitation(w.ctx(), "inv_1") })
		}},
		{"InvitationsOfByIDAfter", func(w *world) {
			want := map[id.ID][]string{}
			for n := range 6 {
				org := []id.ID{"", "org_1", "org_2"}[n%3]
				want[org] = append(want[org], string(put(w, w.invitation(org)).ID))
			}
			for org, ids := range want {
				slices.Sort(ids)
				got := paged(w, func(i identity.Invitation) string { return string(i.ID) }, func(tx store.Tx, after string, limit int) ([]identity.Invitation, error) {
					return tx.InvitationsOf(w.ctx(), org, id.ID(after), limit)
				})
				same(w, fmt.Sprintf("those of %q", org), got, ids)
			}
		}},
	}
}
