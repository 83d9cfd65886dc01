package drift

import "time"

// Result is everything that a comparison says.
type Result struct {
	Environments []Summary `json:"environments"`
	Baseline     string    `json:"baseline,omitempty"`
	Findings     []Finding `json:"findings"`
	Coverage     Coverage  `json:"coverage"`
	Compared     int       `json:"leaves_compared"`
	NotCompared  int       `json:"leaves_not_compared"` // because one side is not known
	Matrix       []Row     `json:"matrix"`
	Settings     []string  `json:"rules_off,omitempty"`
	Unjudged     int       `json:"operations_without_standard,omitempty"` // that no standard of the baseline selects
	Ended        []Waiver  `json:"waivers_ended,omitempty"`               // that are over, so that what they accepted counts again
	Idle         []Waiver  `json:"waivers_idle,omitempty"`                // that accept nothing that was found: they may be taken out
}

// Summary is one environment of a result.
type Summary struct {
	Name     string    `json:"name"`
	Tier     Tier      `json:"tier,omitempty"`
	Gateway  string    `json:"gateway"`
	Coverage Coverage  `json:"coverage"`
	Problems []Problem `json:"problems,omitempty"`
}

// Row is one environment of the matrix.
type Row struct {
	Environment string `json:"environment"`
	Cells       []Cell `json:"cells"` // one for each of Areas
}

// Cell counts where an environment is the weaker door, or where it differs.
type Cell struct {
	Area     Area     `json:"area"`
	Findings int      `json:"findings"`
	Worst    Severity `json:"worst"` // of Findings; means nothing when there are none
}

// Open are the findings that nobody has waived.
func (r *Result) Open() []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if f.Waiver == nil {
			out = append(out, f)
		}
	}
	return out
}

// Verdict says in one sentence what the result is worth. It never says that there is no drift beyond what was seen.
func (r *Result) Verdict() string {
	switch {
	case len(r.Open()) > 0:
		return "drift found"
	case !r.Coverage.Whole() || r.NotCompared > 0 || r.Unjudged > 0:
		return "no drift in what was resolved"
	}
	return "no drift"
}

// Waive accepts findings by the waivers that cover them now, in the place of those that covered them before, and counts the matrix anew.
func (r *Result) Waive(list []Waiver, now time.Time) {
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Waiver = nil
		for j := range list {
			if list[j].Covers(f, now) {
				f.Waiver = &list[j]
				break
			}
		}
	}
	r.Matrix = nil
	r.fillMatrix()
}

func (r *Result) fillMatrix() {
	for _, e := range r.Environments {
		row := Row{Environment: e.Name}
		for _, a := range Areas() {
			row.Cells = append(row.Cells, Cell{Area: a})
		}
		r.Matrix = append(r.Matrix, row)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Waiver != nil {
			continue
		}
		at := f.Weaker()
		for j := range r.Matrix {
			name := r.Matrix[j].Environment
			if name != at && (at != "" || name != f.A.Environment && (f.B == nil || name != f.B.Environment)) {
				continue
			}
			for c := range r.Matrix[j].Cells {
				if cell := &r.Matrix[j].Cells[c]; cell.Area == f.Area {
					cell.Worst = max(cell.Worst, f.Severity)
					cell.Findings++
				}
			}
		}
	}
}
