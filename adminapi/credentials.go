package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/identity"
)

// Credential is a credential, how it stands, and when it was last used.
type Credential struct {
	credential.Credential
	Live     bool   `json:"live"`
	Standing string `json:"standing"`
	LastUse  *Use   `json:"last_use,omitempty"`
}

// Use is how a credential was used.
type Use struct {
	Grant     id.ID     `json:"grant,omitempty"`
	API       string    `json:"api"`
	Operation string    `json:"operation"`
	Count     int64     `json:"count"`
	Last      time.Time `json:"last"`
	Gateway   string    `json:"gateway"`
	Address   string    `json:"address"`
}

func useOf(u credential.Use) Use {
	return Use{u.Grant, u.API, u.Operation, u.Count, u.Last, u.Gateway, u.Address}
}

func (a *api) credentialOf(c credential.Credential) Credential {
	now := a.Now()
	return Credential{Credential: c, Live: c.Live(now), Standing: c.Standing(now)}
}

// used is credentialOf with the last use of each of a page.
func (a *api) used(ctx context.Context, who identity.Actor, l control.List[credential.Credential], err error) (*Page[Credential], error) {
	var last map[id.ID]credential.Use
	if err == nil && len(l.Items) > 0 {
		ids := make([]id.ID, 0, len(l.Items))
		for _, c := range l.Items {
			ids = append(ids, c.ID)
		}
		last, err = a.Control.LastUses(ctx, who, ids)
	}
	return paged(l, err, func(c credential.Credential) Credential {
		v := a.credentialOf(c)
		if u, ok := last[c.ID]; ok {
			use := useOf(u)
			v.LastUse = &use
		}
		return v
	})
}

// NewKey is what an API key is made from.
type NewKey struct {
	Application id.ID    `json:"application" doc:"Which application it proves" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Environment string   `json:"environment" doc:"Where; it is unknown everywhere else" example:"live"`
	Name        string   `json:"name" doc:"To know it again" example:"web server"`
	Lifetime    string   `json:"lifetime,omitempty" doc:"For how long, such as 90d; the longest that the plans allow, when left out" example:"90d"`
	Grants      []id.ID  `json:"grants,omitempty" doc:"Bind it to these grants; all of the application's there, when left out" example:"gr_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Sources     []string `json:"sources,omitempty" doc:"Networks from which it may be used, 50 at most; any, when left out" example:"203.0.113.0/24"`
	Pending     bool     `json:"pending,omitempty" doc:"Hand it out now and activate it later: until then it is refused"`
}

// Issued is a fresh credential with its key, told once.
type Issued struct {
	Credential Credential `json:"credential"`
	Key        string     `json:"key"`
}

// KeyRotation is how an API key or a client's secret is replaced.
type KeyRotation struct {
	Name     string `json:"name,omitempty" doc:"Of the new key; that of the old one, when left out. A client keeps its own." example:"web server"`
	Overlap  string `json:"overlap,omitempty" doc:"For how long both are valid, such as 24h, up to 90d; the old one ends at once, when left out" example:"24h"`
	Lifetime string `json:"lifetime,omitempty" doc:"Of the new key; the longest that the plans allow, when left out" example:"90d"`
}

// Rotated is a fresh credential with its key, told once, and the one that it replaces.
type Rotated struct {
	Credential Credential `json:"credential"`
	Replaced   Credential `json:"replaced"`
	Key        string     `json:"key"`
}

// CredentialChange is what changes of a credential.
type CredentialChange struct {
	Name    *string   `json:"name,omitempty" doc:"Its new name" example:"web server 2"`
	Sources *[]string `json:"sources,omitempty" doc:"Networks from which it may be used; an empty list: any" example:"203.0.113.0/24"`
}

// FoundKey is a key that somebody found.
type FoundKey struct {
	Found  string `json:"found" doc:"The key, or a text with the key in it" example:"gh_live_…"`
	Where  string `json:"where,omitempty" doc:"Where it was found: its owner reads it in the audit" example:"https://git.example/repo/commit/1f3"`
	Revoke bool   `json:"revoke,omitempty" doc:"End it at once. That needs the whole key."`
}

// Thanks answers a report of a found key, word for word the same whether or not the key is known.
type Thanks struct {
	Message string `json:"message" doc:"What happens now" example:"Thank you. If this is a key of this platform, its owner has been told."`
}

// credentials adds what applications prove themselves with.
func (a *api) credentials() {
	c := a.Control
	const path = "/api/credentials"
	add(a, operation{id: "issueKey", method: http.MethodPost, path: path, tag: tagCredentials, status: http.StatusCreated,
		summary: "Issue an API key",
		doc: `The key is in this answer and in none after it: only its hash is stored. Sent again with the same Idempotency-Key, the answer
is 409 already-issued. The application needs a grant in that environment. For an owner or developer: nobody of the platform
ever sees a partner's key.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewKey
	}) (*Made[Issued], error) {
		n := in.Body
		lifetime, err := span("/lifetime", n.Lifetime)
		if err != nil {
			return nil, err
		}
		v, key, err := c.IssueKey(ctx, in.actor(), control.NewKey{Application: n.Application, Environment: n.Environment, Name: n.Name,
			Lifetime: lifetime, Grants: n.Grants, Sources: n.Sources, Pending: n.Pending, Once: in.Key})
		return made(path, v.ID, Issued{a.credentialOf(v), key.Reveal()}, v.Version, err)
	})
	add(a, operation{id: "rotateKey", method: http.MethodPost, path: path + "/{id}/rotate", tag: tagCredentials, status: http.StatusCreated,
		summary: "Replace an API key, or a client's secret, by a fresh one",
		doc: `The new key has the same grants and sources. Both are valid until the old one retires, at a full minute: every gateway
keeps that minute by its own clock. An OAuth client with a secret stays the same credential and gets another secret; credential
and replaced are both it, and its earlier secret is taken until earlier_until. The key is in this answer and in none after it. For an owner or developer.`,
	}, func(ctx context.Context, in *struct {
		Change
		Once
		Body KeyRotation
	}) (*Made[Rotated], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		overlap, err := span("/overlap", in.Body.Overlap)
		if err != nil {
			return nil, err
		}
		lifetime, err := span("/lifetime", in.Body.Lifetime)
		if err != nil {
			return nil, err
		}
		fresh, old, key, err := c.RotateKey(ctx, in.actor(), in.object(), control.Rotation{Version: version, Name: in.Body.Name,
			Overlap: overlap, Lifetime: lifetime, Once: in.Key})
		return made(path, fresh.ID, Rotated{a.credentialOf(fresh), a.credentialOf(old), key.Reveal()}, fresh.Version, err)
	})
	add(a, operation{id: "credentials", method: http.MethodGet, path: path, tag: tagCredentials,
		summary: "List credentials", doc: "Of your organization; for staff all. No secret is in it.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string `query:"organization" doc:"Only of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Application  string `query:"application" doc:"Only of this application" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Dormant      string `query:"dormant" doc:"Only valid ones that were neither made nor used for so long" example:"90d"`
	}) (*Page[Credential], error) {
		org, app := id.ID(in.Organization), id.ID(in.Application)
		if in.Dormant != "" {
			unused, err := span("/dormant", in.Dormant)
			if err != nil {
				return nil, err
			}
			l, err := c.Dormant(ctx, in.actor(), org, app, unused, in.page())
			return a.used(ctx, in.actor(), l, err)
		}
		l, err := c.Credentials(ctx, in.actor(), org, app, in.page())
		return a.used(ctx, in.actor(), l, err)
	})
	add(a, operation{id: "credential", method: http.MethodGet, path: path + "/{id}", tag: tagCredentials,
		summary: "Show a credential", doc: "One of your organization's; for staff any. No secret is in it.",
	}, func(ctx context.Context, in *Object) (*Versioned[Credential], error) {
		v, err := c.Credential(ctx, in.actor(), in.object())
		p, err := a.used(ctx, in.actor(), control.List[credential.Credential]{Items: []credential.Credential{v}}, err)
		if err != nil {
			return nil, err
		}
		return versioned(p.Body.Items[0], v.Version, nil)
	})
	add(a, operation{id: "uses", method: http.MethodGet, path: path + "/{id}/uses", tag: tagCredentials,
		summary: "Show how a credential was used", doc: "By grant and operation, no older than a minute. What was refused after the caller was known counts too.",
	}, func(ctx context.Context, in *Object) (*Got[Items[Use]], error) {
		us, err := c.Uses(ctx, in.actor(), in.object())
		p, err := paged(control.List[credential.Use]{Items: us}, err, useOf)
		return got(p.Body, err)
	})
	add(a, operation{id: "changeCredential", method: http.MethodPatch, path: path + "/{id}", tag: tagCredentials,
		summary: "Change a credential's name, or from where it may be used", doc: "What is left out stays. For an owner or developer.",
	}, func(ctx context.Context, in *struct {
		Change
		Body CredentialChange
	}) (*Versioned[Credential], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		v, err := c.ChangeCredential(ctx, in.actor(), in.object(), version, control.CredentialChange{Name: in.Body.Name, Sources: in.Body.Sources})
		return versioned(a.credentialOf(v), v.Version, err)
	})
	add(a, operation{id: "activateCredential", method: http.MethodPost, path: path + "/{id}/activate", tag: tagCredentials,
		summary: "Begin the use of a pending credential", doc: "For an owner or developer.",
	}, func(ctx context.Context, in *Change) (*Versioned[Credential], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		v, err := c.ActivateCredential(ctx, in.actor(), in.object(), version)
		return versioned(a.credentialOf(v), v.Version, err)
	})
	add(a, operation{id: "reportLeak", method: http.MethodPost, path: "/api/leaks", tag: tagCredentials, status: http.StatusAccepted, traits: []trait{open},
		summary: "Report a key that you have found",
		doc:     "For anybody, and for scanners. The owner of the key is told by mail. The answer is always the same.",
	}, func(ctx context.Context, in *With[FoundKey]) (*Got[Thanks], error) {
		err := c.ReportLeak(ctx, in.actor(), control.Leak{Found: in.Body.Found, Where: in.Body.Where, Revoke: in.Body.Revoke})
		return got(Thanks{"Thank you. If this is a key of this platform, its owner has been told."}, err)
	})
	type turn = func(context.Context, identity.Actor, id.ID, int64, string) (credential.Credential, error)
	turned := func(o operation, t turn) {
		o.tag = tagCredentials
		deed(a, o, func(ctx context.Context, who identity.Actor, i id.ID, version int64, reason string) (Credential, int64, error) {
			v, err := t(ctx, who, i, version, reason)
			return a.credentialOf(v), v.Version, err
		})
	}
	turned(operation{id: "suspendCredential", path: path + "/{id}/suspend", summary: "Stop a credential until it is resumed",
		doc: "The next call with it is refused. Its end does not move. For an owner or developer, an operator or admin; what the platform has suspended, only the platform resumes."}, c.SuspendCredential)
	turned(operation{id: "resumeCredential", path: path + "/{id}/resume", summary: "End a suspension",
		doc: "For an owner or developer, an operator or admin."}, c.ResumeCredential)
	turned(operation{id: "revokeCredential", path: path + "/{id}/revoke", summary: "End a credential at once and for good",
		doc: "The next call with it is refused; ask /api/in-force/{id} where that is so. For an owner or developer, an operator or admin."}, c.RevokeCredential)
}
