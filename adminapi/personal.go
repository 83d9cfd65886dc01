package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
)

// personal adds what is kept of a person: its export, and its erasure.
func (a *api) personal() {
	c := a.Control
	add(a, operation{id: "exportPerson", method: http.MethodGet, path: "/api/people/{id}/data", tag: tagSignIn,
		summary: "Export what is kept of a person",
		doc: `Your own, or for an administrator anybody's: the person, sessions, tokens, second factors, sign-ons, invitations, what they answer for, and
the audit entries by and about them. Personal values of others are not in it. Needs a session that was confirmed lately, or the host's token.`,
	}, func(ctx context.Context, in *Object) (*Got[control.PersonalData], error) {
		return got(c.ExportPerson(ctx, in.actor(), in.object()))
	})
	type erasure struct {
		Successor id.ID  `json:"successor,omitempty" doc:"Who takes over what they answer for; the last owner's successor becomes owner" example:"per_01jz0000000000000000000000"`
		Reason    string `json:"reason,omitempty" doc:"Why; it stays in the audit, so name nobody" example:"asked for it in writing"`
	}
	type erase struct {
		Object
		Body erasure
	}
	add(a, operation{id: "erasePerson", method: http.MethodPost, path: "/api/people/{id}/erasure", tag: tagStaff,
		summary: "Erase a person",
		doc: `For good: name, address, password, sessions, tokens, factors, sign-ons, letters and invitations to the address, and the personal values of the
audit that are theirs. The identifier stays where something refers to it, and the audit verifies as before. Of yourself; for an owner of a member; for an
administrator of anybody. Whoever answers for something needs a successor. Needs a session that was confirmed lately, or the host's token.`,
	}, func(ctx context.Context, in *erase) (*Versioned[identity.Person], error) {
		p, err := c.ErasePerson(ctx, in.actor(), control.Erasure{Person: in.object(), Successor: in.Body.Successor, Reason: in.Body.Reason})
		return versioned(p, p.Version, err)
	})
}
