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
		n := in.Body
		version, err := a.kept(ctx, in.Change, &n.Roles, &n.State)
		if err != nil {
			return nil, err
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

// kept fills in what a change of a person leaves out: roles and state stay as they are. It returns the version that the change is of.
func (a *api) kept(ctx context.Context, in Change, roles *[]identity.Role, s *identity.State) (int64, error) {
	version, err := in.version()
	if err != nil || *roles != nil && *s != "" {
		return version, err
	}
	p, err := a.Control.Person(ctx, in.actor(), in.object())
	if err != nil {
		return 0, err
	}
	if *roles == nil {
		*roles = p.Roles
	}
	if *s == "" {
		*s = p.State
	}
	if version == 0 { // what stays must be what was just read
		version = p.Version
	}
	return version, nil
}

// staff adds what administrators do about the platform's people.
func (a *api) staff() {
	c := a.Control
	add(a, operation{id: "staffList", method: http.MethodGet, path: "/api/staff", tag: tagStaff,
		summary: "List the platform's people", doc: "For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
	}) (*Page[identity.Person], error) {
		l, err := c.StaffList(ctx, in.actor(), in.page())
		return paged(l, err, same)
	})
	type newStaff struct {
		Email string          `json:"email" doc:"Where the sign-in link is sent" example:"asta@platform.example"`
		Name  string          `json:"name" doc:"What they are called" example:"Asta Approver"`
		Roles []identity.Role `json:"roles" nullable:"false" doc:"What they may do: admin, approver, api-owner, operator, auditor. Those that decide and operate may be bound to a place, as in approver@api:payments or operator@org:org_…" example:"approver"`
	}
	add(a, operation{id: "addStaff", method: http.MethodPost, path: "/api/staff", tag: tagStaff, status: http.StatusCreated,
		summary: "Add a person of the platform", doc: "Sends them a one-time sign-in link. For an admin.",
	}, func(ctx context.Context, in *struct {
		Caller
		Body newStaff
	}) (*Made[identity.Person], error) {
		p, err := c.AddStaff(ctx, in.actor(), in.Body.Email, in.Body.Name, in.Body.Roles)
		return made("/api/people", p.ID, p, p.Version, err)
	})
	type staffChange struct {
		Roles []identity.Role `json:"roles,omitempty" nullable:"false" doc:"All roles from now on; left out, they stay" example:"approver"`
		State identity.State  `json:"state,omitempty" doc:"active or disabled; left out, it stays. Disabling ends their sessions and their machine tokens' power." example:"disabled"`
	}
	add(a, operation{id: "changeStaff", method: http.MethodPatch, path: "/api/staff/{id}", tag: tagStaff,
		summary: "Change somebody's roles, or disable them", doc: "The last active admin cannot be taken away. For an admin.",
	}, func(ctx context.Context, in *struct {
		Change
		Body staffChange
	}) (*Versioned[identity.Person], error) {
		n := in.Body
		version, err := a.kept(ctx, in.Change, &n.Roles, &n.State)
		if err != nil {
			return nil, err
		}
		p, err := c.ChangeStaff(ctx, in.actor(), in.object(), version, n.Roles, n.State)
		return versioned(p, p.Version, err)
	})
	type recovery struct {
		Email string `json:"email" doc:"The administrator's address" example:"ada@platform.example"`
		Name  string `json:"name,omitempty" doc:"What they are called, if they are new: beside other administrators it must be given then" example:"Ada Admin"`
	}
	type signInLink struct {
		Link string `json:"link" doc:"Signs them in, once, within 15 minutes" example:"https://gatehouse.example/signin/link?token=ghl_…"`
	}
	add(a, operation{id: "recoverAdmin", method: http.MethodPost, path: "/api/staff/recovery", tag: tagStaff,
		summary: "Let an administrator in, on the host itself",
		doc: `Makes sure that the address belongs to an active administrator and answers with a one-time sign-in link. Only with the token
that the owner of the data directory finds in host.json: it is how the first administrator gets in, and a last one who lost
every other way.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Body recovery
	}) (*Got[signInLink], error) {
		l, err := c.RecoverAdmin(ctx, in.actor(), in.Body.Email, in.Body.Name)
		return got(signInLink{l.Reveal()}, err)
	})
	add(a, operation{id: "givenUpLetters", method: http.MethodGet, path: "/api/letters/given-up", tag: tagStaff,
		summary: "List letters that could not be delivered", doc: "Oldest first, with what the mail server said, without their texts. For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
	}) (*Page[Undelivered], error) {
		l, err := c.GivenUpLetters(ctx, in.actor(), in.page())
		out := &Page[Undelivered]{Body: Items[Undelivered]{Items: []Undelivered{}, Next: l.Next}}
		for _, p := range l.Items {
			out.Body.Items = append(out.Body.Items, Undelivered{p.ID, p.To, p.Subject, p.At, p.Tries, p.Problem})
		}
		return out, err
	})
}

// Undelivered is a letter that could not be delivered.
type Undelivered struct {
	ID      int64     `json:"id" doc:"Its number" example:"17"`
	To      string    `json:"to" doc:"Whom it was for" example:"ines@fjord-bank.example"`
	Subject string    `json:"subject" doc:"What it was about" example:"Confirm your e-mail address"`
	At      time.Time `json:"at" doc:"When it was written"`
	Tries   int       `json:"tries" doc:"How often it was tried" example:"8"`
	Problem string    `json:"problem" doc:"What came of the last try" example:"550 no such mailbox"`
}
