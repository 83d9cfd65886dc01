// Package watch is what is kept of drift reviews that the control plane makes: its runs, what was uploaded for them, and what has been
// accepted for a while.
package watch

import (
	"context"
	"slices"
	"time"

	"gatehouse/drift"
	"gatehouse/id"
)

// Run is one review of all environments that are watched.
type Run struct {
	ID      id.ID         `json:"id"`
	At      time.Time     `json:"at"`
	By      id.ID         `json:"by,omitempty"` // a person; "": by itself
	Verdict string        `json:"verdict"`
	Open    int           `json:"open"`            // findings that were not waived then
	Worst   string        `json:"worst,omitempty"` // of them
	Fresh   int           `json:"fresh"`           // of them, those that the run before had not
	Result  *drift.Result `json:"result,omitempty"`
}

// Waiver accepts a finding, or all of a rule in an environment, until its end. It is never taken away: it is ended.
type Waiver struct {
	ID          id.ID     `json:"id"`
	Rule        string    `json:"rule"`
	Finding     string    `json:"finding,omitempty"`     // only this one
	Environment string    `json:"environment,omitempty"` // only where this is the weaker side
	Owner       string    `json:"owner"`
	Reason      string    `json:"reason"`
	By          id.ID     `json:"by"`
	Created     time.Time `json:"created"`
	Ends        time.Time `json:"ends"`
	Ended       time.Time `json:"ended,omitzero"` // before its end, by somebody
	Version     int64     `json:"version"`
}

// Standing is open, ended or over.
func (w Waiver) Standing(now time.Time) string {
	switch {
	case !w.Ended.IsZero():
		return "ended"
	case !now.Before(w.Ends):
		return "over"
	}
	return "active"
}

// Drift is the waiver as a comparison takes it.
func (w Waiver) Drift() drift.Waiver {
	d := drift.Waiver{Rule: w.Rule, Finding: w.Finding, Owner: w.Owner, Reason: w.Reason, Ends: w.Ends}
	if w.Environment != "" {
		d.Environments = []string{w.Environment}
	}
	return d
}

// Bundle is the newest bundle of files that was uploaded for an environment. The files themselves are not kept: what was read of them is,
// which holds no secret.
type Bundle struct {
	Environment string             `json:"environment"`
	At          time.Time          `json:"at"`
	By          id.ID              `json:"by,omitempty"` // a person; "": this host
	Bytes       int64              `json:"bytes"`
	Digest      string             `json:"digest"` // SHA-256 of the bundle, in hex
	Seen        *drift.Environment `json:"seen,omitempty"`
}

// Fresh are the open findings of a result that another one did not have, by their ids.
func Fresh(now, before *drift.Result) []drift.Finding {
	old := map[string]bool{}
	if before != nil {
		for _, f := range before.Findings {
			old[f.ID] = true
		}
	}
	return slices.DeleteFunc(now.Open(), func(f drift.Finding) bool { return old[f.ID] })
}

// Store keeps runs and waivers.
type Store interface {
	// AddDriftRun stores a run. Beyond the newest hundred, runs are removed.
	AddDriftRun(ctx context.Context, r Run) error
	// DriftRun returns a run with its result. Faults: NotFound.
	DriftRun(ctx context.Context, i id.ID) (Run, error)
	// DriftRuns lists runs, newest first, without results.
	DriftRuns(ctx context.Context, limit int) ([]Run, error)
	// PutDriftBundle stores a bundle in the place of the one that its environment had.
	PutDriftBundle(ctx context.Context, b Bundle) error
	// DriftBundles lists the bundles of all environments with what was read of them, by environment.
	DriftBundles(ctx context.Context) ([]Bundle, error)
	// PutDriftWaiver stores a waiver. Faults: Stale, for another version than the newest.
	PutDriftWaiver(ctx context.Context, w Waiver) (Waiver, error)
	// DriftWaiver returns a waiver. Faults: NotFound.
	DriftWaiver(ctx context.Context, i id.ID) (Waiver, error)
	// DriftWaivers lists waivers by ID, ascending, after the given one.
	DriftWaivers(ctx context.Context, after id.ID, limit int) ([]Waiver, error)
}

// Kept is how many runs are kept.
const Kept = 100
