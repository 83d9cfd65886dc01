package adminapi

import (
	"context"
	"net/http"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// organizations adds partners.
func (a *api) organizations() {
	c := a.Control
	add(a, operation{id: "organizations", method: http.MethodGet, path: "/api/organizations", tag: tagOrganizations,
		summary: "List organizations", doc: "For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		State  organization.State `query:"state" doc:"Only in this state: registered, verified, suspended or offboarded" example:"registered"`
		Search string             `query:"search" doc:"Only those whose name contains this, without case" example:"fjord"`
	}) (*Page[organization.Organization], error) {
		l, err := c.Organizations(ctx, in.actor(), in.State, in.Search, in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "organization", method: http.MethodGet, path: "/api/organizations/{id}", tag: tagOrganizations,
		summary: "Show an organization", doc: "Your own; for staff any.",
	}, func(ctx context.Context, in *Object) (*Versioned[organization.Organization], error) {
		o, err := c.Organization(ctx, in.actor(), in.object())
		return versioned(o, o.Version, err)
	})
	add(a, operation{id: "members", method: http.MethodGet, path: "/api/organizations/{id}/members", tag: tagOrganizations,
		summary: "List the people of an organization", doc: "Of your own; for staff of any.",
	}, func(ctx context.Context, in *struct {
		Object
		Paging
	}) (*Page[identity.Person], error) {
		l, err := c.Members(ctx, in.actor(), in.object(), in.page())
		return paged(l, err, same)
	})
	type note struct {
		Note string `json:"note,omitempty" doc:"What was checked" example:"register entry 914 778 271 seen"`
	}
	add(a, operation{id: "verifyOrganization", method: http.MethodPost, path: "/api/organizations/{id}/verify", tag: tagOrganizations,
		summary: "Say that you have checked who it is", doc: "From then on it can be granted access. For an operator or admin.",
	}, func(ctx context.Context, in *struct {
		Change
		Body note
	}) (*Versioned[organization.Organization], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		o, err := c.VerifyOrganization(ctx, in.actor(), in.object(), version, in.Body.Note)
		return versioned(o, o.Version, err)
	})
	type turn = func(context.Context, identity.Actor, id.ID, int64, string) (organization.Organization, error)
	turned := func(o operation, t turn) {
		o.tag = tagOrganizations
		deed(a, o, func(ctx context.Context, who identity.Actor, i id.ID, version int64, reason string) (organization.Organization, int64, error) {
			v, err := t(ctx, who, i, version, reason)
			return v, v.Version, err
		})
	}
	turned(operation{id: "suspendOrganization", path: "/api/organizations/{id}/suspend", summary: "Stop everything it has, at every gateway",
		doc: "One change, felt by the next call of each of its applications, until it is resumed. For an operator or admin."}, c.SuspendOrganization)
	turned(operation{id: "offboardOrganization", path: "/api/organizations/{id}/offboard", summary: "End the trust in an organization for good",
		doc: `Its flag at the gateways, its applications, open requests, grants and credentials end in one transaction. It is offboarding until
every gateway has said that all of it is in force and has sworn that it refuses each credential, then offboarded, with evidence in
the audit log: see offboarding. Its members' sessions, machine tokens and invitations end with it. It cannot be taken back;
suspendOrganization can. In person, for an operator or admin.`}, c.OffboardOrganization)
	add(a, operation{id: "offboarding", method: http.MethodGet, path: "/api/organizations/{id}/offboarding", tag: tagOrganizations,
		summary: "How far the end of an organization has come, and what it waits for",
		doc: `Every grant and credential that it ever had with the change that ended it, what each gateway has said, and how many operations
could still be called by the view that gateways enforce. Complete once it waits for nothing. For staff, and the organization itself.`,
	}, func(ctx context.Context, in *Object) (*Got[control.Offboarding], error) {
		return got(c.Offboarding(ctx, in.actor(), in.object()))
	})
	add(a, operation{id: "pinOrganization", method: http.MethodPost, path: "/api/organizations/{id}/pin", tag: tagOrganizations,
		summary: "Say in which region its grants and credentials are",
		doc: `Gateways of that region alone are told of them; those of other regions are told in the same moment that all of them are over. Without a
region they are everywhere. For an operator or admin.`,
	}, func(ctx context.Context, in *struct {
		Change
		Body Pin
	}) (*Versioned[organization.Organization], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		o, err := c.PinOrganization(ctx, in.actor(), in.object(), version, in.Body.Region, in.Body.Reason)
		return versioned(o, o.Version, err)
	})
	turned(operation{id: "resumeOrganization", path: "/api/organizations/{id}/resume", summary: "End a suspension",
		doc: "Grants and keys are what they were; ends that have passed meanwhile have passed. For an operator or admin."}, c.ResumeOrganization)
}

// Pin is where an organization's grants and credentials are to be.
type Pin struct {
	Region string `json:"region,omitempty" doc:"The region; everywhere, when left out" example:"eu"`
	Reason string `json:"reason" doc:"Why; it stands in the audit" example:"its contract names the EU"`
}

// NewApplication is what an application is made from.
type NewApplication struct {
	Organization id.ID  `json:"organization,omitempty" doc:"Whose it is, when staff make it; your own otherwise" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Name         string `json:"name" doc:"Unique among the organization's active applications" example:"Account opening"`
	Purpose      string `json:"purpose" doc:"What it is for: approvers read it" example:"Verify new customers when they open an account"`
	Owner        id.ID  `json:"owner,omitempty" doc:"The member who answers for it; you, when left out" example:"per_01kas0v2m8c4y6n0q3r5t7w9xz"`
}

// ApplicationChange is what is to be another way; what is left out stays.
type ApplicationChange struct {
	Name    string `json:"name,omitempty" doc:"Another name" example:"Account opening"`
	Purpose string `json:"purpose,omitempty" doc:"Another purpose" example:"Verify new customers when they open an account"`
	Owner   id.ID  `json:"owner,omitempty" doc:"Another member who answers for it" example:"per_01kas0v2m8c4y6n0q3r5t7w9xz"`
}

// applications adds the non-human identities.
func (a *api) applications() {
	c := a.Control
	const path = "/api/applications"
	add(a, operation{id: "createApplication", method: http.MethodPost, path: path, tag: tagApplications, status: http.StatusCreated,
		summary: "Create an application", doc: "For an owner or developer of the organization, an operator or admin. It can do nothing until it is granted access.",
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewApplication
	}) (*Made[application.Application], error) {
		n := in.Body
		v, err := c.CreateApplication(ctx, in.actor(), control.NewApplication{Organization: n.Organization, Name: n.Name, Purpose: n.Purpose, Owner: n.Owner, Once: in.Key})
		return made(path, v.ID, v, v.Version, err)
	})
	add(a, operation{id: "applications", method: http.MethodGet, path: path, tag: tagApplications,
		summary: "List applications", doc: "Of your organization; for staff all, or of one.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string `query:"organization" doc:"Only of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
	}) (*Page[application.Application], error) {
		l, err := c.Applications(ctx, in.actor(), id.ID(in.Organization), in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "application", method: http.MethodGet, path: path + "/{id}", tag: tagApplications,
		summary: "Show an application", doc: "One of your organization's; for staff any.",
	}, func(ctx context.Context, in *Object) (*Versioned[application.Application], error) {
		v, err := c.Application(ctx, in.actor(), in.object())
		return versioned(v, v.Version, err)
	})
	add(a, operation{id: "updateApplication", method: http.MethodPatch, path: path + "/{id}", tag: tagApplications,
		summary: "Change name, purpose or owner", doc: "What is left out stays. Grants keep the purpose for which they were given.",
	}, func(ctx context.Context, in *struct {
		Change
		Body ApplicationChange
	}) (*Versioned[application.Application], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		n := in.Body
		v, err := c.UpdateApplication(ctx, in.actor(), in.object(), version, control.NewApplication{Name: n.Name, Purpose: n.Purpose, Owner: n.Owner})
		return versioned(v, v.Version, err)
	})
	deed(a, operation{id: "closeApplication", path: path + "/{id}/close", tag: tagApplications,
		summary: "End an application for good", doc: "Its open requests, its grants and its credentials end with it, in one transaction.",
	}, func(ctx context.Context, who identity.Actor, i id.ID, version int64, reason string) (application.Application, int64, error) {
		v, err := c.CloseApplication(ctx, who, i, version, reason)
		return v, v.Version, err
	})
	add(a, operation{id: "reach", method: http.MethodGet, path: path + "/{id}/reach", tag: tagApplications,
		summary: "What an application can call right now, and by what right",
		doc: `Computed from the view that the gateways enforce, by the look-ups that a request goes through. It is not read from what was
once approved.`,
	}, func(ctx context.Context, in *struct {
		Object
		Environment string `query:"environment" doc:"Only there" example:"live"`
	}) (*Got[Reach], error) {
		r, err := c.Reach(ctx, in.actor(), in.object(), in.Environment)
		return got(reachOf(r), err)
	})
}
