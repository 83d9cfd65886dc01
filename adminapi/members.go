package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// Invitation is an invitation with how it stands now.
type Invitation struct {
	identity.Invitation
	Standing string `json:"standing"`
}

// Invited is what whoever holds the link sees.
type Invited struct {
	Email   string          `json:"email"`
	To      string          `json:"to,omitempty"`
	Roles   []identity.Role `json:"roles" nullable:"false"`
	Expires time.Time       `json:"expires"`
}

// members adds what owners do about their people, invitations, and leaving.
func (a *api) members() {
	c := a.Control
	view := func(i identity.Invitation) Invitation { return Invitation{i, i.Standing(a.Now())} }
	type memberChange struct {
		Roles     []identity.Role `json:"roles,omitempty" nullable:"false" doc:"All roles from now on: owner, developer, viewer; left out, they stay" example:"developer"`
		State     identity.State  `json:"state,omitempty" doc:"active or disabled; left out, it stays. Disabling ends their sessions and machine tokens." example:"disabled"`
		Successor id.ID           `json:"successor,omitempty" doc:"Who takes over the applications that somebody who is disabled answers for" example:"per_01jz0000000000000000000000"`
	}
	add(a, operation{id: "changeMember", method: http.MethodPatch, path: "/api/members/{id}", tag: tagStaff,
		summary: "Change a member's roles, or end their membership",
		doc: `The last active owner stays one until there is another (last-owner), and whoever answers for applications is not disabled
without a successor (successor-needed): nothing is ever without an owner. For an owner of the organization, operator or admin.`,
	}, func(ctx context.Context, in *struct {
		Change
		Body memberChange
	}) (*Versioned[identity.Person], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		n := in.Body
		if n.Roles == nil || n.State == "" {
			p, err := c.Person(ctx, in.actor(), in.object())
			if err != nil {
				return nil, err
			}
			if n.Roles == nil {
				n.Roles = p.Roles
			}
			if n.State == "" {
				n.State = p.State
			}
			if version == 0 {
				version = p.Version
			}
		}
		p, err := c.ChangeMember(ctx, in.actor(), in.object(), version, n.Roles, n.State, n.Successor)
		return versioned(p, p.Version, err)
	})
	type leaving struct {
		Successor id.ID `json:"successor,omitempty" doc:"Who takes over what you answer for; the last owner's successor becomes owner" example:"per_01jz0000000000000000000000"`
	}
	add(a, operation{id: "leave", method: http.MethodPost, path: "/api/me/leave", tag: tagSignIn,
		summary: "Leave your organization", doc: "For good: your sessions and machine tokens end. Needs a session.",
	}, func(ctx context.Context, in *With[leaving]) (*None, error) {
		return &None{}, c.Leave(ctx, in.actor(), in.Body.Successor)
	})
	type newInvitation struct {
		Organization id.ID           `json:"organization,omitempty" doc:"For the platform: which partner. Left out, it is your own organization, or for an admin the staff." example:"org_01jz0000000000000000000000"`
		Email        string          `json:"email" doc:"Where the link is sent" example:"dora@fjord-bank.example"`
		Roles        []identity.Role `json:"roles" nullable:"false" doc:"What they may do once they have accepted: none above your own" example:"developer"`
	}
	add(a, operation{id: "invite", method: http.MethodPost, path: "/api/invitations", tag: tagStaff, status: http.StatusCreated,
		summary: "Invite somebody",
		doc: `Sends a letter with a link that can be used once, within seven days. Invited again, the earlier link is useless. Whether the
address is registered elsewhere is not told to you, only to them.`,
	}, func(ctx context.Context, in *With[newInvitation]) (*Made[Invitation], error) {
		i, err := c.Invite(ctx, in.actor(), control.NewInvitation{Organization: in.Body.Organization, Email: in.Body.Email, Roles: in.Body.Roles})
		return made("/api/invitations", i.ID, view(i), i.Version, err)
	})
	add(a, operation{id: "invitations", method: http.MethodGet, path: "/api/invitations", tag: tagStaff,
		summary: "List invitations", doc: "Your organization's; for staff those of the organization that is named, or those to the staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string `query:"organization" doc:"Only of this organization"`
	}) (*Page[Invitation], error) {
		l, err := c.Invitations(ctx, in.actor(), id.ID(in.Organization), in.page())
		return paged(l, err, view)
	})
	add(a, operation{id: "withdrawInvitation", method: http.MethodPost, path: "/api/invitations/{id}/withdraw", tag: tagStaff,
		summary: "Withdraw an invitation", doc: "Its link is useless from then on.",
	}, func(ctx context.Context, in *Object) (*Versioned[Invitation], error) {
		i, err := c.WithdrawInvitation(ctx, in.actor(), in.object())
		return versioned(view(i), i.Version, err)
	})
	add(a, operation{id: "seeInvitation", method: http.MethodPost, path: "/api/invitations/seen", tag: tagSignIn, traits: []trait{open},
		summary: "Show the invitation of a link", doc: "To whom and with which roles. A link that is over is gone (410).",
	}, func(ctx context.Context, in *With[Token]) (*Got[Invited], error) {
		i, err := c.SeeInvitation(ctx, in.actor(), secret.New(in.Body.Token))
		return got(Invited{i.Email, i.To, append([]identity.Role{}, i.Roles...), i.Expires}, err)
	})
	type acceptance struct {
		Token    string `json:"token" doc:"What stands after token= in the link" example:"ghi_0123456789abcdefghjkmnpqrstvwxyz"`
		Name     string `json:"name" doc:"Your name" example:"Dora Developer"`
		Password string `json:"password" doc:"At least twelve characters" example:"correct horse battery staple 7"`
	}
	add(a, operation{id: "acceptInvitation", method: http.MethodPost, path: "/api/invitations/accepted", tag: tagSignIn, status: http.StatusCreated, traits: []trait{open},
		summary: "Accept an invitation", doc: "Makes you a person with the roles of the invitation. Then sign in.",
	}, func(ctx context.Context, in *With[acceptance]) (*Made[identity.Person], error) {
		p, err := c.AcceptInvitation(ctx, in.actor(), secret.New(in.Body.Token), in.Body.Name, secret.New(in.Body.Password))
		return made("/api/people", p.ID, p, p.Version, err)
	})
}
