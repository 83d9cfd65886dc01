package control

import (
	"context"
	"time"

	"gatehouse/audit"
	"gatehouse/env"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// Check parses and compiles a manifest for every environment it names, and changes nothing.
func (c *Control) Check(ctx context.Context, a identity.Actor, b manifest.Bundle) ([]manifest.Diagnostic, error) {
	panic("control: to be written")
}

// Published is what a publish did.
type Published struct {
	Revision    env.Revision          `json:"revision"`
	Unchanged   bool                  `json:"unchanged"`             // the newest revision has the same digest: no new one was made
	Diagnostics []manifest.Diagnostic `json:"diagnostics,omitempty"` // warnings
}

// Publish makes a revision of the environment. A manifest with an error is refused whole: fault.Invalid whose Fields are
// the diagnostics, and the running revision goes on. Operator, admin, Host or System.
func (c *Control) Publish(ctx context.Context, a identity.Actor, environment string, b manifest.Bundle, note string) (Published, error) {
	panic("control: to be written")
}

// EnsureEnvironments adds those that are missing, in that order. Host or System, at start.
func (c *Control) EnsureEnvironments(ctx context.Context, a identity.Actor, names []string) error {
	panic("control: to be written")
}

// Revisions lists an environment's, newest first. Staff.
func (c *Control) Revisions(ctx context.Context, a identity.Actor, environment string, p Page) (List[env.Revision], error) {
	panic("control: to be written")
}

// Revision returns one; number 0 is the newest. Staff.
func (c *Control) Revision(ctx context.Context, a identity.Actor, environment string, number int64) (env.Revision, manifest.Bundle, error) {
	panic("control: to be written")
}

// EnvironmentStatus is how an environment stands.
type EnvironmentStatus struct {
	env.Environment
	URL      string         `json:"url"` // where partners call
	Head     feed.Position  `json:"head"`
	Gateways []feed.Receipt `json:"gateways"`
}

// Environments lists all. Anybody signed in; Gateways for staff only.
func (c *Control) Environments(ctx context.Context, a identity.Actor) ([]EnvironmentStatus, error) {
	panic("control: to be written")
}

// InForce says where one change is in force.
type InForce struct {
	Environment string        `json:"environment"`
	Seq         int64         `json:"seq"` // 0 while it has no number yet
	Committed   time.Time     `json:"committed"`
	Gateways    int           `json:"gateways"`
	Done        int           `json:"done"`
	Last        time.Duration `json:"-"` // from commit to the last receipt so far
	LastMS      float64       `json:"last_ms"`
	Waiting     []string      `json:"waiting,omitempty"` // gateways without a receipt yet
}

// InForce tells for the newest change of an object (a credential, a grant, an organization, an application) in which
// environments and on how many gateways it is in force.
func (c *Control) InForce(ctx context.Context, a identity.Actor, object id.ID) ([]InForce, error) {
	panic("control: to be written")
}

// Audit lists entries, newest first; members see their organization's only. After is the Seq of the last one seen.
func (c *Control) Audit(ctx context.Context, a identity.Actor, f audit.Filter, p Page) (List[audit.Entry], error) {
	panic("control: to be written")
}

// VerifyAudit checks the whole log against its newest checkpoint, and against an older one that the caller kept, if not
// "". Staff or Host.
func (c *Control) VerifyAudit(ctx context.Context, a identity.Actor, checkpoint string) (audit.Report, error) {
	panic("control: to be written")
}

// Checkpoint returns the newest signed checkpoint and the verifier key. Anybody signed in.
func (c *Control) Checkpoint(ctx context.Context, a identity.Actor) (note, verifier string, err error) {
	panic("control: to be written")
}

// Backup writes a verified copy of the store to a fresh file in the data directory's backup folder and returns its path.
// Host or admin.
func (c *Control) Backup(ctx context.Context, a identity.Actor, file string) error {
	panic("control: to be written")
}
