package control

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"gatehouse/audit"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
)

// EnvironmentStatus is how an environment stands.
type EnvironmentStatus struct {
	env.Environment
	URL      string         `json:"url"` // where partners call
	Head     feed.Position  `json:"head"`
	Gateways []feed.Receipt `json:"gateways"`
	// RegionHeads is where the feed of each of its regions stands, by the region's name.
	RegionHeads map[string]feed.Position `json:"region_heads,omitempty"`
}

// Environments lists all. Anybody signed in; Gateways for staff only.
func (c *Control) Environments(ctx context.Context, a identity.Actor) ([]EnvironmentStatus, error) {
	out := []EnvironmentStatus{}
	err := c.view(ctx, a, "Environments", func(r read) error {
		envs, err := r.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, e := range envs {
			s := EnvironmentStatus{Environment: e}
			if s.Head, err = r.tx.Head(ctx, e.Name); err != nil {
				return err
			}
			if s.URL, err = c.addressIn(ctx, r.tx, e.Name); err != nil {
				return err
			}
			if s.RegionHeads, err = r.regionHeads(e); err != nil {
				return err
			}
			if !ofPartner(a) {
				s.Gateways = []feed.Receipt{}
				for _, name := range e.Feeds() {
					s.Gateways = append(s.Gateways, c.source.receipts(name)...)
				}
			}
			out = append(out, s)
		}
		return nil
	})
	return out, err
}

// InForce says where one change is in force.
type InForce struct {
	Environment string        `json:"environment"`
	Region      string        `json:"region,omitempty"` // of whose feed it is told
	Seq         int64         `json:"seq"`              // 0 while it has no number yet
	Committed   time.Time     `json:"committed"`
	Gateways    int           `json:"gateways"`
	Done        int           `json:"done"`
	Last        time.Duration `json:"-"` // from commit to the last receipt so far
	LastMS      float64       `json:"last_ms"`
	Waiting     []string      `json:"waiting,omitempty"` // gateways without a receipt yet
	Stages      *Stages       `json:"stages,omitempty"`  // nil: another process numbered it, or it was long ago
}

// Stages are when a change came how far, in milliseconds after its commit, by the process that was asked; 0: not yet, or not there.
type Stages struct {
	Numbered     float64 `json:"numbered_ms"`
	FirstSent    float64 `json:"first_sent_ms"`
	LastSent     float64 `json:"last_sent_ms"`
	FirstReceipt float64 `json:"first_receipt_ms"` // arrived
	Counted      float64 `json:"counted_ms"`       // the last receipt so far was verified
}

// InForce tells for the newest change of an object (a credential, a grant, an organization, an application) in which
// environments and on how many gateways it is in force.
func (c *Control) InForce(ctx context.Context, a identity.Actor, object id.ID) ([]InForce, error) {
	out := []InForce{}
	err := c.view(ctx, a, "InForce", func(r read) error {
		kind, environment, version, err := r.fed(object)
		if err != nil {
			return err
		}
		envs, err := r.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, e := range envs {
			if environment != "" && e.Name != environment {
				continue
			}
			of, err := c.inForceOf(r, e, kind, string(object), version)
			if err != nil {
				return err
			}
			out = append(out, of...)
		}
		return nil
	})
	return out, err
}

// inForceOf tells it of one environment: for each of its feeds that the newest change of the object stands in, as what it is or as its
// withdrawal. A feed that nobody follows is left out where there are those of regions.
func (c *Control) inForceOf(r read, e env.Environment, k feed.Kind, key string, version int64) (out []InForce, err error) {
	for _, name := range e.Feeds() {
		entry, err := r.tx.EntryOf(r.ctx, name, k, key)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		if err != nil || entry.Version < version {
			if name != e.Name {
				continue
			}
			entry = feed.Entry{Committed: r.now} // the newest change has no number yet
		}
		if f := c.source.inForce(name, entry.Seq, entry.Committed); name != e.Name || len(e.Regions) == 0 || f.Gateways > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// fed returns what the feed says an object is, where it is told, and in which version it stands.
func (r read) fed(object id.ID) (k feed.Kind, environment string, version int64, err error) {
	switch {
	case object.Is(id.Credential):
		o, err := r.credential(object)
		return feed.KindCredential, o.Environment, o.Version, err
	case object.Is(id.Grant):
		o, err := r.grant(object)
		return feed.KindGrant, o.Environment, o.Version, err
	case object.Is(id.Organization):
		o, err := r.organization(object)
		return feed.KindOrganization, "", o.Version, err
	case object.Is(id.Application):
		o, err := r.application(object)
		return feed.KindApplication, "", o.Version, err
	}
	return "", "", 0, missing("object that gateways are told of")
}

// Audit lists entries, newest first; members see their organization's only, without personal values. After is the Next of
// the page before.
func (c *Control) Audit(ctx context.Context, a identity.Actor, f audit.Filter, p Page) (List[audit.Entry], error) {
	out := List[audit.Entry]{Items: []audit.Entry{}}
	err := c.view(ctx, a, "Audit", func(r read) (err error) {
		if f.Organization, err = r.organizationOr(f.Organization); err != nil {
			return err
		}
		if f.Application != "" {
			if _, err := r.application(f.Application); err != nil {
				return err
			}
		}
		if f.Before == 0 {
			if f.Before, err = number(p.After); err != nil {
				return err
			}
		}
		es, err := r.tx.AuditEntries(ctx, f, p.limit()+1)
		if err != nil {
			return err
		}
		if len(es) > p.limit() {
			es = es[:p.limit()]
			next := es[len(es)-1].Seq
			if next < 0 { // not sealed yet: the next page begins with the newest sealed one
				next = math.MaxInt64
			}
			out.Next = strconv.FormatInt(next, 10)
		}
		for _, e := range es {
			if ofPartner(a) {
				e.Personal = nil
			}
			out.Items = append(out.Items, e)
		}
		return nil
	})
	return out, err
}

// number reads the key of a list that pages by number; "" is 0.
func number(after string) (int64, error) {
	if after == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(after, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.Bad("/after", "is not where a page of this list ended")
	}
	return n, nil
}

// VerifyAudit checks the whole log against its newest checkpoint, and against an older one that the caller kept, if not
// "". Staff or Host.
func (c *Control) VerifyAudit(ctx context.Context, a identity.Actor, checkpoint string) (audit.Report, error) {
	var out audit.Report
	err := c.view(ctx, a, "VerifyAudit", func(r read) (err error) {
		out, err = audit.Verify(ctx, r.tx, c.Keys.Verifier(), checkpoint, r.now)
		return err
	})
	return out, err
}

// Checkpoint returns the newest signed checkpoint and the verifier key. Anybody signed in.
func (c *Control) Checkpoint(ctx context.Context, a identity.Actor) (note, verifier string, err error) {
	err = c.view(ctx, a, "Checkpoint", func(r read) (err error) {
		note, err = r.tx.Checkpoint(ctx)
		return err
	})
	return note, c.Keys.Verifier(), err
}

// backupName is a plain file name: no folder, nothing hidden.
var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Backup writes a verified copy of the store to a fresh file in the folder for backups, and returns its path. file is a
// name without a folder; "" takes one made from the time. Host or admin.
func (c *Control) Backup(ctx context.Context, a identity.Actor, file string) (string, error) {
	if err := allow(a, "Backup"); err != nil {
		return "", err
	}
	if file == "" {
		file = "gatehouse-" + c.now().Format("20060102T150405.000000Z") + ".db"
	}
	if !backupName.MatchString(file) {
		return "", fault.Bad("/file", "must be a file name of letters, digits, dots, hyphens and underscores, without a folder")
	}
	if c.Backups == "" {
		return "", fault.New(fault.Unavailable, "no folder for backups is configured")
	}
	if err := os.MkdirAll(c.Backups, 0o700); err != nil {
		return "", fault.New(fault.Unavailable, "the folder for backups cannot be made").Because(err)
	}
	path := filepath.Join(c.Backups, file)
	if _, err := os.Lstat(path); err == nil {
		return "", fault.Of(fault.Conflict, "backup-exists", "there is a backup of the name %s already", file)
	}
	// First: that somebody takes a copy of everything is known even if the copy fails.
	err := c.update(ctx, a, "Backup", func(w *write) error {
		return w.audit(change{action: "backup.create", reason: file}, nil, nil)
	})
	if err != nil {
		return "", err
	}
	if err := c.Store.Backup(ctx, path); err != nil {
		return "", fmt.Errorf("backup to %s: %w", file, err)
	}
	if c.CheckBackup != nil {
		if err := c.CheckBackup(ctx, path); err != nil {
			return "", errors.Join(fmt.Errorf("the copy %s is not whole, and was removed: %w", file, err), os.Remove(path))
		}
	}
	return path, nil
}
