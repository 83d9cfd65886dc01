package portal

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/report"
	"gatehouse/drift/watch"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// driftPage is how the watched environments stand.
type driftPage struct {
	frame
	control.Drift
	Areas    []drift.Area
	Matrix   []drift.Row
	Findings []findingRow
	Waived   int
	Coverage string
	Causes   []string
	Notes    []string
	Keeps    bool // the viewer may review and waive
}

func (*driftPage) template() string { return "drift" }

// findingRow is a finding in a list.
type findingRow struct {
	drift.Finding
	On, At string
}

func onOf(f *drift.Finding) findingRow {
	at := f.Weaker()
	if at == "" {
		at = "neither is weaker"
	}
	return findingRow{*f, report.Operations(f, 3), at}
}

// tones colours severities; the word says them.
func tone(s drift.Severity) string {
	return [...]string{"plain", "plain", "wait", "warn", "bad"}[min(int(s), 4)]
}

func (v *visit) keeps() bool { return v.actor.Has(identity.Operator, identity.Admin) }

func showDrift(v *visit) error {
	d, err := v.Control.Drift(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &driftPage{Drift: d, Areas: drift.Areas(), Keeps: v.keeps()}
	if d.Run != nil {
		r := d.Run.Result
		p.Matrix, p.Coverage, p.Causes = r.Matrix, r.Coverage.String(), report.Causes(r.Coverage, 6)
		p.Notes = report.Notes(r)
		for i := range r.Findings {
			if r.Findings[i].Waiver != nil {
				p.Waived++
				continue
			}
			p.Findings = append(p.Findings, onOf(&r.Findings[i]))
		}
	}
	p.Title, p.Lead = "Drift", "What the gateways of all watched environments enforce, compared: where the weakest door is."
	return v.ok(p)
}

func reviewDrift(v *visit) error {
	if _, err := v.Control.ReviewDrift(v.r.Context(), v.actor); err != nil {
		return err
	}
	return v.done("drift-reviewed", "/drift")
}

// driftBundlePage takes the files of an environment.
type driftBundlePage struct {
	frame
	Environment, Wrong string
	Newest             *watch.Bundle
}

func (*driftBundlePage) template() string { return "driftbundle" }

func (v *visit) driftBundle() (*driftBundlePage, error) {
	d, err := v.Control.Drift(v.r.Context(), v.actor)
	if err != nil {
		return nil, err
	}
	p := &driftBundlePage{Environment: v.r.PathValue("environment")}
	i := slices.IndexFunc(d.Bundles, func(b watch.Bundle) bool { return b.Environment == p.Environment })
	switch {
	case !v.keeps() || i < 0 && !slices.Contains(d.Awaited, p.Environment):
		return nil, fault.New(fault.NotFound, "there is no such page")
	case i >= 0:
		p.Newest = &d.Bundles[i]
	}
	p.Title, p.Lead = "Files of "+p.Environment, "What is read of them is kept until the next upload, with secrets masked. The files themselves are not kept."
	p.Trail = []crumb{{"Drift", "/drift"}}
	return p, nil
}

func askDriftBundle(v *visit) error {
	p, err := v.driftBundle()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func uploadDrift(v *visit) error {
	p, err := v.driftBundle()
	if err != nil {
		return err
	}
	b, err := v.upload("bundle")
	if err == nil {
		_, err = v.Control.UploadDrift(v.r.Context(), v.actor, p.Environment, b)
	}
	switch {
	case errors.Is(err, fault.Invalid), errors.Is(err, fault.TooLarge):
		f := fault.As(err)
		if p.Wrong = f.Public; len(f.Fields) > 0 {
			p.Wrong = f.Fields[0].Text
		}
		return v.show(http.StatusUnprocessableEntity, p)
	case err != nil:
		return err
	}
	return v.done("drift-uploaded", "/drift")
}

// upload reads the file of a form, and nothing else of it.
func (v *visit) upload(field string) ([]byte, error) {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, MaxUpload)
	broken := func(err error) error {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return fault.New(fault.TooLarge, "a file may have at most %d MB", MaxUpload>>20)
		}
		return fault.New(fault.Invalid, "the form could not be read").Because(err)
	}
	m, err := v.r.MultipartReader()
	if err != nil {
		return nil, broken(err)
	}
	for {
		part, err := m.NextPart()
		if err == io.EOF {
			return nil, fault.New(fault.Invalid, "choose a file")
		} else if err != nil {
			return nil, broken(err)
		}
		if part.FormName() != field {
			continue
		}
		b, err := io.ReadAll(part)
		switch {
		case err != nil:
			return nil, broken(err)
		case len(b) == 0:
			return nil, fault.New(fault.Invalid, "choose a file that is not empty")
		}
		return b, nil
	}
}

// driftFindingPage is one finding with both sides.
type driftFindingPage struct {
	frame
	Finding findingRow
	Sides   []findingSide
	Why     string
	Refs    []string
	Keys    []string
	Form    form
	Keeps   bool
}

func (*driftFindingPage) template() string { return "driftfinding" }

// findingSide is one side: what the other does not have is marked.
type findingSide struct {
	*drift.Side
	Weak  bool
	Parts []report.Part
	At    string
}

func (v *visit) driftFinding() (*driftFindingPage, error) {
	d, err := v.Control.Drift(v.r.Context(), v.actor)
	if err != nil {
		return nil, err
	}
	gone := fault.New(fault.NotFound, "the newest review has no such finding")
	if d.Run == nil {
		return nil, gone
	}
	list := d.Run.Result.Findings
	i := slices.IndexFunc(list, func(f drift.Finding) bool { return f.ID == v.r.PathValue("id") })
	if i < 0 {
		return nil, gone
	}
	f := &list[i]
	tomorrow := v.now.AddDate(0, 0, 1)
	p := &driftFindingPage{Finding: onOf(f), Keeps: v.keeps() && f.Waiver == nil, Form: newForm("/drift/findings/"+f.ID+"/waive",
		field{Name: "owner", Label: "Who answers for it", Kind: textField, Required: true, Max: 200},
		field{Name: "reason", Label: "Reason", Kind: areaField, Required: true, Max: 1000, Hint: "It is kept in the audit"},
		field{Name: "ends", Label: "Until", Kind: dateField, Required: true, From: tomorrow.Format(time.DateOnly), To: v.now.AddDate(1, 0, 0).Format(time.DateOnly), Hint: "Nothing is accepted for ever"})}
	other := ""
	if f.B != nil {
		other = f.B.Value
	}
	p.Sides = append(p.Sides, sideOf(f, &f.A, other))
	if f.B != nil {
		p.Sides = append(p.Sides, sideOf(f, f.B, f.A.Value))
	}
	if r, ok := drift.RuleByID(f.Rule); ok {
		p.Why, p.Refs = r.Why, r.Refs
	}
	for _, k := range f.Operations {
		p.Keys = append(p.Keys, k.String())
	}
	p.Title, p.Lead = f.Title, f.Note
	p.Trail = []crumb{{"Drift", "/drift"}}
	return p, nil
}

func sideOf(f *drift.Finding, s *drift.Side, other string) findingSide {
	x := findingSide{Side: s, Weak: f.B != nil && f.Weaker() == s.Environment, At: s.Origin.String(), Parts: []report.Part{{Text: report.Plain(s.Value)}}}
	if f.B != nil {
		x.Parts = report.Marked(s.Value, other)
	}
	return x
}

func showDriftFinding(v *visit) error {
	p, err := v.driftFinding()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func waiveDrift(v *visit) error {
	p, err := v.driftFinding()
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	ends, _ := time.Parse(time.DateOnly, p.Form.value("ends")) // read has looked at it
	_, err = v.Control.WaiveDrift(v.r.Context(), v.actor, control.NewWaiver{Finding: p.Finding.ID, Owner: p.Form.value("owner"), Reason: p.Form.value("reason"), Ends: ends})
	if err != nil {
		if p.Form.refuse(err) {
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done("drift-waived", "/drift/waivers")
}

// driftWaiversPage is what is and was accepted.
type driftWaiversPage struct {
	frame
	Rows  []waiverRow
	Pager pager
	Keeps bool
}

func (*driftWaiversPage) template() string { return "driftwaivers" }

type waiverRow struct {
	watch.Waiver
	Title, Standing string
}

func listDriftWaivers(v *visit) error {
	list, err := v.Control.DriftWaivers(v.r.Context(), v.actor, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &driftWaiversPage{Pager: v.pager(list.Next), Keeps: v.keeps()}
	for _, w := range list.Items {
		r, _ := drift.RuleByID(w.Rule)
		p.Rows = append(p.Rows, waiverRow{w, r.Title, w.Standing(v.now)})
	}
	liveFirst(p.Rows, v.now, func(w waiverRow) bool { return w.Standing == "active" }, func(w waiverRow) time.Time { return w.Ends })
	p.Title, p.Lead = "Waivers", "Findings that are accepted for a while: by whom, why, and until when."
	p.Trail = []crumb{{"Drift", "/drift"}}
	return v.ok(p)
}

func endDriftWaiver(v *visit) error {
	i, err := v.object(id.DriftWaiver)
	if err != nil {
		return err
	}
	if _, err := v.Control.EndDriftWaiver(v.r.Context(), v.actor, i); err != nil {
		return err
	}
	return v.done("drift-unwaived", "/drift/waivers")
}
