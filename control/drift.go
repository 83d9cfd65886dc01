package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/watch"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// Watch is the drift review of the control plane: which environments it watches, how often, and whom it writes to.
type Watch struct {
	Names   []string      // of the environments
	Bundles []string      // of them, those that are read from what people upload
	Every   time.Duration // 0: only when somebody asks
	Notify  []string      // addresses that are told of new findings
	// Review reads and compares the environments; bundles are those that were uploaded, by name.
	Review func(ctx context.Context, now time.Time, bundles map[string]*drift.Environment) (*drift.Result, error)
	// Unpack reads a bundle as the environment of a name. Faults: Invalid, TooLarge.
	Unpack func(name string, bundle []byte, now time.Time) (*drift.Environment, error)

	mu     sync.Mutex
	failed DriftFailure
}

// DriftFailure is a review by itself that could not be made. The zero value is none.
type DriftFailure struct {
	At  time.Time `json:"at,omitzero"`
	Why string    `json:"why,omitempty"`
}

func (w *Watch) failure() DriftFailure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// fail keeps why the last review by itself failed, and reports whether the one before had not.
func (w *Watch) fail(f DriftFailure) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first = w.failed.Why == ""
	w.failed = f
	return first
}

const (
	waiverLongest = 366 * 24 * time.Hour
	watchPoll     = time.Minute
	runsShown     = 30 // of the trend
)

// watching reviews when it is time, until ctx ends.
func (c *Control) watching(ctx context.Context) {
	if c.Watch == nil || c.Watch.Every <= 0 {
		return
	}
	t := time.NewTicker(min(watchPoll, c.Watch.Every))
	defer t.Stop()
	for {
		if !c.sequencer.duty.has() {
			// another process does it
		} else if err := c.reviewDue(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("drift review", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// reviewDue reviews when the last run is older than it may be. When that fails, people are told once, until it succeeds again.
func (c *Control) reviewDue(ctx context.Context) error {
	self := identity.Actor{Class: identity.System}
	var last []watch.Run
	err := c.view(ctx, self, "DriftRuns", func(r read) (err error) {
		last, err = r.tx.DriftRuns(ctx, 1)
		return err
	})
	if err != nil || len(last) > 0 && c.now().Sub(last[0].At) < c.Watch.Every {
		return err
	}
	if _, err = c.ReviewDrift(ctx, self); err == nil || ctx.Err() != nil {
		return err
	}
	why := fault.As(err).Public
	if c.Watch.fail(DriftFailure{At: c.now(), Why: why}) {
		err = errors.Join(err, c.update(ctx, self, "ReviewDrift", func(w *write) error {
			return c.driftLetters(w, "Drift review: it cannot be made", "The drift review could not be made:\n\n"+why+"\n\nIt is tried again; you are told when there is something new.\n")
		}))
	}
	return err
}

// ReviewDrift reads and compares the environments that are watched, keeps the result, and writes letters about what is new.
func (c *Control) ReviewDrift(ctx context.Context, a identity.Actor) (watch.Run, error) {
	var run watch.Run
	if err := allow(a, "ReviewDrift"); err != nil {
		return run, err
	}
	if c.Watch == nil {
		return run, fault.Of(fault.Conflict, "no-drift", "no environments are watched: name them in drift.environments of the start-up configuration")
	}
	bundles := map[string]*drift.Environment{}
	err := c.view(ctx, a, "ReviewDrift", func(r read) error {
		list, err := r.tx.DriftBundles(ctx)
		for _, b := range list {
			bundles[b.Environment] = b.Seen
		}
		return err
	})
	if err != nil {
		return run, err
	}
	result, err := c.Watch.Review(ctx, c.now(), bundles)
	if err != nil {
		if f := fault.As(err); errors.Is(err, fault.Unavailable) || errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) {
			return run, fault.Of(fault.Conflict, "drift-unread", "an environment cannot be read, so nothing was compared: %s", f.Public).Because(err)
		}
		return run, err
	}
	c.Watch.fail(DriftFailure{})
	err = c.update(ctx, a, "ReviewDrift", func(w *write) error {
		waivers, err := w.waivers()
		if err != nil {
			return err
		}
		result.Waive(waivers, w.now)
		before, err := w.newestRun()
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		open, fresh := result.Open(), watch.Fresh(result, before.Result)
		run = watch.Run{ID: w.fresh(id.DriftRun), At: w.now, By: a.Person, Verdict: result.Verdict(), Open: len(open), Fresh: len(fresh), Result: result}
		if awaited := slices.DeleteFunc(slices.Clone(c.Watch.Bundles), func(name string) bool { return bundles[name] != nil }); len(awaited) > 0 {
			run.Verdict += ", without " + strings.Join(awaited, ", ") + ": nothing has been uploaded yet"
		}
		if len(open) > 0 {
			run.Worst = slices.MaxFunc(open, func(x, y drift.Finding) int { return int(x.Severity) - int(y.Severity) }).Severity.String()
		}
		if err := w.tx.AddDriftRun(ctx, run); err != nil {
			return err
		}
		w.changes++
		told := run
		told.Result = nil // the audit keeps that it was found; what was found is in the run
		if err := w.audit(change{action: "drift.review", object: run.ID}, nil, state(told)); err != nil {
			return err
		}
		if before.ID == "" {
			return nil // everything is new the first time
		}
		return c.freshLetters(w, fresh)
	})
	return run, err
}

func (c *Control) freshLetters(w *write, fresh []drift.Finding) error {
	if len(fresh) == 0 {
		return nil
	}
	const shown = 20 // the page has the others
	var b strings.Builder
	fmt.Fprintf(&b, "The drift review has found what it had not found before:\n\n")
	for i, f := range fresh {
		if i == shown {
			fmt.Fprintf(&b, "… and %d more.\n", len(fresh)-shown)
			break
		}
		at := f.Weaker()
		if at == "" {
			at = f.A.Environment
		}
		fmt.Fprintf(&b, "* %s, %s, in %s: %s\n", f.Rule, f.Severity, at, f.Title)
	}
	fmt.Fprintf(&b, "\nSee both sides, and what to do: %s/drift\n", c.URL)
	return c.driftLetters(w, fmt.Sprintf("Drift review: %d new findings", len(fresh)), b.String())
}

func (c *Control) driftLetters(w *write, subject, text string) error {
	for _, to := range c.Watch.Notify {
		if err := w.letter(to, subject, text); err != nil {
			return err
		}
	}
	return nil
}

// UploadDrift reads a bundle of files as one of the environments that are watched, and keeps what was read of it until the next one: the
// files themselves are not kept. It counts from the next review on.
func (c *Control) UploadDrift(ctx context.Context, a identity.Actor, environment string, bundle []byte) (watch.Bundle, error) {
	var out watch.Bundle
	if err := allow(a, "UploadDrift"); err != nil {
		return out, err
	}
	if c.Watch == nil || !slices.Contains(c.Watch.Bundles, environment) {
		return out, fault.New(fault.NotFound, "no environment %q is watched that is read from bundles: name it in drift.environments as %s:GATEWAY=bundle:", clip(environment), clip(environment))
	}
	seen, err := c.Watch.Unpack(environment, bundle, c.now())
	if err != nil {
		return out, err
	}
	sum := sha256.Sum256(bundle)
	err = c.update(ctx, a, "UploadDrift", func(w *write) error {
		out = watch.Bundle{Environment: environment, At: w.now, By: a.Person, Bytes: int64(len(bundle)), Digest: hex.EncodeToString(sum[:]), Seen: seen}
		if err := w.tx.PutDriftBundle(ctx, out); err != nil {
			return err
		}
		w.changes++
		told := out
		told.Seen = nil
		return w.audit(change{action: "drift.upload", environment: environment}, nil, state(told))
	})
	return out, err
}

func waiverID(w watch.Waiver) id.ID { return w.ID }

// waivers are those that count, as a comparison takes them.
func (r read) waivers() ([]drift.Waiver, error) {
	list, err := all(waiverID, func(after id.ID, n int) ([]watch.Waiver, error) { return r.tx.DriftWaivers(r.ctx, after, n) })
	var out []drift.Waiver
	for _, w := range list {
		if w.Standing(r.now) == "active" {
			out = append(out, w.Drift())
		}
	}
	return out, err
}

// newestRun is the newest run with its result, and NotFound before the first.
func (r read) newestRun() (watch.Run, error) {
	last, err := r.tx.DriftRuns(r.ctx, 1)
	if err != nil {
		return watch.Run{}, err
	}
	if len(last) == 0 {
		return watch.Run{}, fault.New(fault.NotFound, "nothing has been reviewed yet")
	}
	return r.tx.DriftRun(r.ctx, last[0].ID)
}

// Drift is how the environments that are watched stand.
type Drift struct {
	Watched []string    `json:"watched"`
	Every   string      `json:"every,omitempty"`
	Run     *watch.Run  `json:"run,omitempty"` // the newest, with waivers as they count now
	Trend   []watch.Run `json:"trend"`         // newest first, without results

	Awaited []string       `json:"awaited,omitempty"` // environments of which no bundle was uploaded yet
	Bundles []watch.Bundle `json:"bundles,omitempty"` // the newest of each environment, without what was read of it
	Failure DriftFailure   `json:"failure,omitzero"`  // of the last review by itself
}

// Drift tells how the environments stand by the newest run.
func (c *Control) Drift(ctx context.Context, a identity.Actor) (Drift, error) {
	out := Drift{Watched: []string{}, Trend: []watch.Run{}}
	if c.Watch != nil {
		out.Watched = c.Watch.Names
		if c.Watch.Every > 0 {
			out.Every = c.Watch.Every.String()
		}
		out.Awaited, out.Failure = slices.Clone(c.Watch.Bundles), c.Watch.failure()
	}
	err := c.view(ctx, a, "Drift", func(r read) error {
		list, err := r.tx.DriftBundles(ctx)
		if err != nil {
			return err
		}
		for _, b := range list {
			i := slices.Index(out.Awaited, b.Environment)
			if i < 0 {
				continue // it is not watched any more, or read otherwise
			}
			out.Awaited = slices.Delete(out.Awaited, i, i+1)
			b.Seen = nil
			out.Bundles = append(out.Bundles, b)
		}
		run, err := r.newestRun()
		if errors.Is(err, fault.NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		waivers, err := r.waivers()
		if err != nil {
			return err
		}
		run.Result.Waive(waivers, r.now)
		out.Run = &run
		out.Trend, err = r.tx.DriftRuns(ctx, runsShown)
		return err
	})
	return out, err
}

// DriftRuns lists the newest runs, without results.
func (c *Control) DriftRuns(ctx context.Context, a identity.Actor) ([]watch.Run, error) {
	var out []watch.Run
	err := c.view(ctx, a, "DriftRuns", func(r read) (err error) {
		out, err = r.tx.DriftRuns(ctx, watch.Kept)
		return err
	})
	return out, err
}

// NewWaiver is what a waiver is made from.
type NewWaiver struct {
	Finding     string // only this one; or
	Rule        string // all of the rule,
	Environment string // in one environment, or with "" in all
	Owner       string
	Reason      string
	Ends        time.Time
}

// WaiveDrift accepts a finding of the newest run, or a rule, until an end that is at most a year away.
func (c *Control) WaiveDrift(ctx context.Context, a identity.Actor, n NewWaiver) (watch.Waiver, error) {
	var out watch.Waiver
	err := c.update(ctx, a, "WaiveDrift", func(w *write) error {
		var f form
		if n.Owner = strings.TrimSpace(n.Owner); n.Owner == "" || len(n.Owner) > 200 {
			f.bad("/owner", "name who answers for it")
		}
		if n.Reason = strings.TrimSpace(n.Reason); n.Reason == "" || len(n.Reason) > 2000 {
			f.bad("/reason", "say why it is accepted")
		}
		if !n.Ends.After(w.now) || n.Ends.After(w.now.Add(waiverLongest)) {
			f.bad("/ends", "must be a time to come, at most a year away: nothing is accepted for ever")
		}
		if n.Finding != "" {
			run, err := w.newestRun()
			if err != nil {
				return err
			}
			i := slices.IndexFunc(run.Result.Findings, func(g drift.Finding) bool { return g.ID == n.Finding })
			if i < 0 {
				return fault.New(fault.NotFound, "the newest review has no such finding")
			}
			n.Rule, n.Environment = run.Result.Findings[i].Rule, ""
		}
		if _, ok := drift.RuleByID(n.Rule); !ok {
			f.bad("/rule", "%q is not a rule", clip(n.Rule))
		}
		if n.Environment != "" && (c.Watch == nil || !slices.Contains(c.Watch.Names, n.Environment)) {
			f.bad("/environment", "%q is not watched", clip(n.Environment))
		}
		if err := f.err(); err != nil {
			return err
		}
		var err error
		out, err = w.putDriftWaiver("drift.waive", watch.Waiver{}, watch.Waiver{ID: w.fresh(id.DriftWaiver), Rule: n.Rule, Finding: n.Finding, Environment: n.Environment,
			Owner: n.Owner, Reason: n.Reason, By: a.Person, Created: w.now, Ends: n.Ends.UTC().Truncate(time.Microsecond)})
		return err
	})
	return out, err
}

// DriftWaivers lists what is and was accepted.
func (c *Control) DriftWaivers(ctx context.Context, a identity.Actor, p Page) (List[watch.Waiver], error) {
	var out List[watch.Waiver]
	err := c.view(ctx, a, "DriftWaivers", func(r read) (err error) {
		out, err = collect(p, id.DriftWaiver, waiverID, nil, func(after id.ID, n int) ([]watch.Waiver, error) { return r.tx.DriftWaivers(ctx, after, n) })
		return err
	})
	return out, err
}

// EndDriftWaiver ends a waiver before its time.
func (c *Control) EndDriftWaiver(ctx context.Context, a identity.Actor, i id.ID) (watch.Waiver, error) {
	var out watch.Waiver
	err := c.update(ctx, a, "EndDriftWaiver", func(w *write) error {
		old, err := look(w.read, "waiver", id.DriftWaiver, i, func(watch.Waiver) id.ID { return "" }, w.tx.DriftWaiver)
		if err != nil {
			return err
		}
		if s := old.Standing(w.now); s != "active" {
			return fault.New(fault.Conflict, "this waiver is %s", s)
		}
		out = old
		out.Ended = w.now
		out, err = w.putDriftWaiver("drift.unwaive", old, out)
		return err
	})
	return out, err
}

func (w *write) putDriftWaiver(action string, old, v watch.Waiver) (watch.Waiver, error) {
	v.Version = old.Version
	v, err := w.tx.PutDriftWaiver(w.ctx, v)
	if err != nil {
		return v, err
	}
	w.changes++
	return v, w.audit(change{action: action, object: v.ID, reason: v.Reason}, before(old.Version, old), state(v))
}
