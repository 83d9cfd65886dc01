package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/watch"
	"gatehouse/id"
)

// DriftRun is one review of the watched environments.
type DriftRun struct {
	ID      id.ID     `json:"id"`
	At      time.Time `json:"at"`
	By      id.ID     `json:"by,omitempty" doc:"The person who asked for it; none: by itself"`
	Verdict string    `json:"verdict" doc:"Never more than what was seen allows" example:"no drift in what was resolved"`
	Open    int       `json:"open" doc:"Findings that were not waived"`
	Worst   string    `json:"worst,omitempty" doc:"Of them" example:"high"`
	Fresh   int       `json:"fresh" doc:"Of them, those that the run before had not"`
}

// DriftSide is one side of a finding.
type DriftSide struct {
	Environment string `json:"environment"`
	Value       string `json:"value" doc:"Secrets are masked"`
	State       string `json:"state" example:"set"`
	Origin      string `json:"origin" example:"kong.yaml:12 (route items)"`
}

// DriftFinding is one difference or weakness.
type DriftFinding struct {
	ID          string     `json:"id"`
	Rule        string     `json:"rule" example:"DR-AUT-01"`
	Title       string     `json:"title"`
	Area        string     `json:"area"`
	Severity    string     `json:"severity"`
	Direction   string     `json:"direction"`
	Operations  []string   `json:"operations" nullable:"false"`
	A           DriftSide  `json:"a"`
	B           *DriftSide `json:"b,omitempty"`
	Explanation string     `json:"explanation"`
	Waived      bool       `json:"waived"`
}

// DriftStanding is how the watched environments stand by the newest review.
type DriftStanding struct {
	Watched  []string       `json:"watched" nullable:"false"`
	Every    string         `json:"every,omitempty"`
	Run      *DriftRun      `json:"run,omitempty"`
	Coverage string         `json:"coverage,omitempty" doc:"How much could be seen"`
	Findings []DriftFinding `json:"findings" nullable:"false"`
	Awaited  []string       `json:"awaited" nullable:"false"`
	Bundles  []DriftBundle  `json:"bundles" nullable:"false"`
	Failure  *DriftFailure  `json:"failure,omitempty"`
}

// DriftFailure is a review by itself that could not be made.
type DriftFailure struct {
	At  time.Time `json:"at" doc:"When it was tried last"`
	Why string    `json:"why" doc:"What stood in the way" example:"south: the Admin API cannot be reached"`
}

// DriftBundle is the newest bundle of files that was uploaded for an environment.
type DriftBundle struct {
	Environment string    `json:"environment" doc:"Which it is" example:"staging"`
	At          time.Time `json:"at" doc:"When it was uploaded"`
	By          id.ID     `json:"by,omitempty" doc:"The person who did; none: this host"`
	Bytes       int64     `json:"bytes" doc:"Its size" example:"48211"`
	Digest      string    `json:"digest" doc:"Its SHA-256, in hex"`
	Operations  int       `json:"operations,omitempty" doc:"How many operations it was read to expose; said at the upload" example:"40"`
	Coverage    string    `json:"coverage,omitempty" doc:"How much of it could be resolved; said at the upload"`
	Problems    []string  `json:"problems,omitempty" doc:"What could not be read; said at the upload"`
}

func bundleOf(b watch.Bundle) DriftBundle {
	out := DriftBundle{Environment: b.Environment, At: b.At, By: b.By, Bytes: b.Bytes, Digest: b.Digest}
	if b.Seen != nil {
		out.Operations, out.Coverage = len(b.Seen.Operations), drift.Cover(b.Seen).String()
		for i, p := range b.Seen.Problems {
			const shown = 50
			if i == shown {
				break
			}
			out.Problems = append(out.Problems, p.String())
		}
	}
	return out
}

func runOf(r watch.Run) DriftRun {
	return DriftRun{r.ID, r.At, r.By, r.Verdict, r.Open, r.Worst, r.Fresh}
}

func driftSide(s *drift.Side) DriftSide {
	return DriftSide{s.Environment, s.Value, s.State.String(), s.Origin.String()}
}

func standingOf(d control.Drift) DriftStanding {
	out := DriftStanding{Watched: d.Watched, Every: d.Every, Findings: []DriftFinding{}, Awaited: append([]string{}, d.Awaited...), Bundles: []DriftBundle{}}
	for _, b := range d.Bundles {
		out.Bundles = append(out.Bundles, bundleOf(b))
	}
	if d.Failure.Why != "" {
		out.Failure = &DriftFailure{d.Failure.At, d.Failure.Why}
	}
	if d.Run == nil {
		return out
	}
	run := runOf(*d.Run)
	out.Run, out.Coverage = &run, d.Run.Result.Coverage.String()
	for i := range d.Run.Result.Findings {
		f := &d.Run.Result.Findings[i]
		x := DriftFinding{ID: f.ID, Rule: f.Rule, Title: f.Title, Area: string(f.Area), Severity: f.Severity.String(), Direction: string(f.Direction), Operations: []string{},
			A: driftSide(&f.A), Explanation: f.Note, Waived: f.Waiver != nil}
		for _, k := range f.Operations {
			x.Operations = append(x.Operations, k.String())
		}
		if f.B != nil {
			b := driftSide(f.B)
			x.B = &b
		}
		out.Findings = append(out.Findings, x)
	}
	return out
}

// drift adds the drift review.
func (a *api) drift() {
	c := a.Control
	add(a, operation{id: "drift", method: http.MethodGet, path: "/api/drift", tag: tagDrift,
		summary: "See how the watched environments stand", doc: "The newest review, with waivers as they count now.",
	}, func(ctx context.Context, in *struct{ Caller }) (*Got[DriftStanding], error) {
		d, err := c.Drift(ctx, in.actor())
		return got(standingOf(d), err)
	})
	add(a, operation{id: "driftRuns", method: http.MethodGet, path: "/api/drift/runs", tag: tagDrift,
		summary: "List reviews", doc: "Newest first, without what they found.",
	}, func(ctx context.Context, in *struct{ Caller }) (*Got[[]DriftRun], error) {
		list, err := c.DriftRuns(ctx, in.actor())
		out := []DriftRun{}
		for _, r := range list {
			out = append(out, runOf(r))
		}
		return got(out, err)
	})
	add(a, operation{id: "reviewDrift", method: http.MethodPost, path: "/api/drift/runs", tag: tagDrift,
		summary: "Review the watched environments now", doc: "Reads the folders and gateways that the start-up configuration names and what was uploaded, and compares them.", traits: []trait{slow},
	}, func(ctx context.Context, in *struct{ Caller }) (*Got[DriftRun], error) {
		r, err := c.ReviewDrift(ctx, in.actor())
		return got(runOf(r), err)
	})
	add(a, operation{id: "uploadDrift", method: http.MethodPost, path: "/api/drift/bundles/{environment}", tag: tagDrift,
		summary: "Upload the files of an environment", doc: "For an environment that the start-up configuration watches as NAME:GATEWAY=bundle:. What is read of the files is kept until the next bundle, and counts from the next review on; the files themselves are not kept.",
		traits: []trait{large, slow},
	}, func(ctx context.Context, in *struct {
		Caller
		Environment string `path:"environment" maxLength:"64" doc:"Which it is" example:"staging"`
		Body        struct {
			Bundle []byte `json:"bundle" doc:"The folder as a zip, a tar or a tar.gz of at most 20 MB, in base64"`
		}
	}) (*Got[DriftBundle], error) {
		b, err := c.UploadDrift(ctx, in.actor(), in.Environment, in.Body.Bundle)
		return got(bundleOf(b), err)
	})
	add(a, operation{id: "driftWaivers", method: http.MethodGet, path: "/api/drift/waivers", tag: tagDrift,
		summary: "List waivers", doc: "What is and was accepted, by whom, why and until when.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
	}) (*Page[watch.Waiver], error) {
		l, err := c.DriftWaivers(ctx, in.actor(), in.page())
		return paged(l, err, same)
	})
	type newWaiver struct {
		Finding     string    `json:"finding,omitempty" doc:"Only this finding of the newest review; or" example:"dr_0123456789abcdef"`
		Rule        string    `json:"rule,omitempty" doc:"all of a rule" example:"DR-OBS-02"`
		Environment string    `json:"environment,omitempty" doc:"in this environment alone" example:"staging"`
		Owner       string    `json:"owner" doc:"Who answers for it" example:"Payments team"`
		Reason      string    `json:"reason" doc:"Why it is accepted" example:"The old gateway is switched off in March."`
		Ends        time.Time `json:"ends" doc:"Its end, at most a year away" example:"2027-03-31T00:00:00Z"`
	}
	add(a, operation{id: "waiveDrift", method: http.MethodPost, path: "/api/drift/waivers", tag: tagDrift, status: http.StatusCreated,
		summary: "Accept a finding for a while", doc: "Nothing is accepted for ever.",
	}, func(ctx context.Context, in *struct {
		Caller
		Body newWaiver
	}) (*Made[watch.Waiver], error) {
		b := in.Body
		w, err := c.WaiveDrift(ctx, in.actor(), control.NewWaiver{Finding: b.Finding, Rule: b.Rule, Environment: b.Environment, Owner: b.Owner, Reason: b.Reason, Ends: b.Ends})
		return made("/api/drift/waivers", w.ID, w, w.Version, err)
	})
	add(a, operation{id: "endDriftWaiver", method: http.MethodPost, path: "/api/drift/waivers/{id}/end", tag: tagDrift,
		summary: "End a waiver before its time", doc: "What it covered counts again at once.",
	}, func(ctx context.Context, in *Object) (*Versioned[watch.Waiver], error) {
		w, err := c.EndDriftWaiver(ctx, in.actor(), id.ID(in.ID))
		return versioned(w, w.Version, err)
	})
}
