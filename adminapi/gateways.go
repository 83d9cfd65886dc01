package adminapi

import (
	"context"
	"errors"
	"net/http"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
)

// Environment is how an environment stands.
type Environment struct {
	env.Environment
	URL      string         `json:"url"`
	Head     feed.Position  `json:"head"`
	Gateways []feed.Receipt `json:"gateways" nullable:"false"`

	RegionHeads map[string]feed.Position `json:"region_heads,omitempty"`
}

// Files is a manifest's folder: names with slashes, and contents in base64.
type Files struct {
	Files manifest.Bundle `json:"files" doc:"The manifest's folder: the path of each file, and its content in base64" example:"{\"gatehouse.yaml\":\"Z2F0ZWhvdXNlOiAxCg==\"}"`
}

// NewRevision is a manifest to be published.
type NewRevision struct {
	Files manifest.Bundle `json:"files" doc:"The manifest's folder: the path of each file, and its content in base64" example:"{\"gatehouse.yaml\":\"Z2F0ZWhvdXNlOiAxCg==\"}"`
	Note  string          `json:"note,omitempty" doc:"What changes and why" example:"evidence up to 10 MB"`
}

// FullRevision is one published manifest with its files.
type FullRevision struct {
	env.Revision
	Files manifest.Bundle `json:"files"`
}

// Checked is what is wrong with a manifest.
type Checked struct {
	OK          bool                  `json:"ok"`
	Diagnostics []manifest.Diagnostic `json:"diagnostics" nullable:"false"`
}

// Published answers with what a publish did: 201 when a revision was made, 200 when it is the newest already.
type Published struct {
	Status int
	Body   control.Published
}

// gateways adds environments, what is published in them, and where changes are in force.
func (a *api) gateways() {
	c := a.Control
	add(a, operation{id: "environments", method: http.MethodGet, path: "/api/environments", tag: tagGateways,
		summary: "List environments", doc: "With the address that partners call and, for staff, what each gateway serves.",
	}, func(ctx context.Context, in *Caller) (*Page[Environment], error) {
		l, err := c.Environments(ctx, in.actor())
		return paged(control.List[control.EnvironmentStatus]{Items: l}, err, func(e control.EnvironmentStatus) Environment {
			return Environment{e.Environment, e.URL, e.Head, list(e.Gateways), e.RegionHeads}
		})
	})
	const path = "/api/environments/{environment}/revisions"
	publish := operation{id: "publish", method: http.MethodPost, path: path, tag: tagGateways, status: http.StatusCreated, traits: []trait{large},
		summary: "Publish a manifest",
		doc: `Makes the manifest the newest revision of the environment, and its gateways serve it. With one error in it, it is refused whole:
422, each error with file, line and pointer, and the running revision goes on. The newest one once more makes no new one (200).
For an operator or admin.`}
	add(a, publish, func(ctx context.Context, in *struct {
		Caller
		Name string `path:"environment" doc:"The environment" example:"live"`
		Body NewRevision
	}) (*Published, error) {
		p, err := c.Publish(ctx, in.actor(), in.Name, in.Body.Files, in.Body.Note)
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == "manifest" {
			err = badManifest{err, p.Diagnostics}
		}
		status := http.StatusCreated
		if p.Unchanged {
			status = http.StatusOK
		}
		return &Published{status, p}, err
	})
	answers := a.huma.OpenAPI().Paths[path].Post.Responses
	answers["200"] = answers["201"]
	add(a, operation{id: "revisions", method: http.MethodGet, path: path, tag: tagGateways,
		summary: "List what was published", doc: "Newest first. For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Name string `path:"environment" doc:"The environment" example:"live"`
	}) (*Page[env.Revision], error) {
		l, err := c.Revisions(ctx, in.actor(), in.Name, in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "revision", method: http.MethodGet, path: path + "/{number}", tag: tagGateways,
		summary: "Show a revision with its files", doc: "For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Name   string `path:"environment" doc:"The environment" example:"live"`
		Number int64  `path:"number" minimum:"0" doc:"Its number; 0 is the newest" example:"3"`
	}) (*Got[FullRevision], error) {
		r, files, err := c.Revision(ctx, in.actor(), in.Name, in.Number)
		return got(FullRevision{r, files}, err)
	})
	add(a, operation{id: "check", method: http.MethodPost, path: "/api/checks", tag: tagGateways, traits: []trait{large},
		summary: "Say everything that is wrong with a manifest", doc: "Changes nothing. For staff.",
	}, func(ctx context.Context, in *With[Files]) (*Got[Checked], error) {
		ds, err := c.Check(ctx, in.actor(), in.Body.Files)
		return got(Checked{!manifest.Fatal(ds), list(ds)}, err)
	})
	add(a, operation{id: "inForce", method: http.MethodGet, path: "/api/in-force/{id}", tag: tagGateways,
		summary: "Say where the newest change of an object is in force",
		doc: `Of a credential, a grant, an application or an organization: for each environment that is told of it, on how many gateways it is
in force, and how long after its commit the last of them said so.`,
	}, func(ctx context.Context, in *Object) (*Page[control.InForce], error) {
		l, err := c.InForce(ctx, in.actor(), in.object())
		return paged(control.List[control.InForce]{Items: l}, err, same)
	})
	type newBackup struct {
		File string `json:"file,omitempty" doc:"A plain file name, without a folder; one made from the time, when left out" example:"before-upgrade.db"`
	}
	type backupFile struct {
		File string `json:"file" doc:"Where it is on the host" example:"data/backups/before-upgrade.db"`
	}
	add(a, operation{id: "backup", method: http.MethodPost, path: "/api/backups", tag: tagGateways, status: http.StatusCreated, traits: []trait{slow},
		summary: "Write a verified copy of the database", doc: "Online, into the backup folder of the host. For an admin, or the owner of the data directory.",
	}, func(ctx context.Context, in *With[newBackup]) (*Got[backupFile], error) {
		file, err := c.Backup(ctx, in.actor(), in.Body.File)
		return got(backupFile{file}, err)
	})
}

// audit adds the log.
func (a *api) audit() {
	c := a.Control
	add(a, operation{id: "audit", method: http.MethodGet, path: "/api/audit", tag: tagAudit,
		summary: "List what happened", doc: "Newest first. Your organization's, without personal values; for staff everything.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Object       string `query:"object" doc:"Only about this object" example:"gr_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Organization string `query:"organization" doc:"Only about this organization and what it has" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Application  string `query:"application" doc:"Only about this application and what it has" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Action       string `query:"action" doc:"Only actions that begin like this" example:"credential."`
		Actor        string `query:"actor" doc:"Only by this actor: class and identifier" example:"staff:per_01kas0v2m8c4y6n0q3r5t7w9xz"`
	}) (*Page[audit.Entry], error) {
		l, err := c.Audit(ctx, in.actor(), audit.Filter{Organization: id.ID(in.Organization), Application: id.ID(in.Application),
			Object: id.ID(in.Object), Action: in.Action, Actor: in.Actor}, in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "verifyAudit", method: http.MethodGet, path: "/api/audit/verification", tag: tagAudit, traits: []trait{slow},
		summary: "Prove that no entry was changed, removed, inserted or moved",
		doc: `Recomputes every leaf of the log and its tree, and compares them with the newest signed checkpoint, and with an older one that
you kept. What does not hold is named. For staff.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Checkpoint string `query:"checkpoint" doc:"An older checkpoint that you kept, whole" example:""`
	}) (*Got[audit.Report], error) {
		return got(c.VerifyAudit(ctx, in.actor(), in.Checkpoint))
	})
	add(a, operation{id: "evidence", method: http.MethodGet, path: "/api/evidence/{id}", tag: tagAudit,
		summary: "Export what the log says about an object, with its proof",
		doc: `For a request, grant, credential, application or organization. Each entry comes with the hashes that lead to the signed
checkpoint, so that it verifies offline: gatehouse audit verify --evidence FILE --key KEY. Of a grant with the entries of its requests.`,
	}, func(ctx context.Context, in *Object) (*Got[audit.Evidence], error) {
		return got(c.Evidence(ctx, in.actor(), in.object()))
	})
	type checkpoint struct {
		Checkpoint string `json:"checkpoint" doc:"The size and root of the log, signed: keep it where nobody who runs this Gatehouse can change it" example:""`
		Verifier   string `json:"verifier" doc:"The key that verifies it (golang.org/x/mod/sumdb/note)" example:"gatehouse+1a2b3c4d+AZ…"`
	}
	add(a, operation{id: "checkpoint", method: http.MethodGet, path: "/api/audit/checkpoint", tag: tagAudit,
		summary: "Read the newest signed checkpoint", doc: "Anybody signed in may keep one: what it covers cannot be rewritten unseen.",
	}, func(ctx context.Context, in *Caller) (*Got[checkpoint], error) {
		note, verifier, err := c.Checkpoint(ctx, in.actor())
		return got(checkpoint{note, verifier}, err)
	})
}
