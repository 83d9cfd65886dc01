package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"
	"time"
)

// Direction says which side of a finding is the weaker door.
type Direction string

// The directions. A finding in one environment alone is AWeaker: that environment is its side A.
const (
	AWeaker    Direction = "A weaker"
	BWeaker    Direction = "B weaker"
	NoneWeaker Direction = "incomparable"
)

func directionOf(o Order) Direction {
	switch o {
	case Weaker:
		return AWeaker
	case Stronger:
		return BWeaker
	}
	return NoneWeaker
}

// Side is one side of a finding.
type Side struct {
	Environment string `json:"environment"`
	Value       string `json:"value"`
	State       State  `json:"state"`
	Origin      Origin `json:"origin,omitzero"`

	Also []Origin `json:"also,omitempty"` // other places of the same, as far as they are kept
}

// mostPlaces bounds how many places a side keeps.
const mostPlaces = 64

func (s *Side) place(o Origin) {
	if o == s.Origin || len(s.Also) >= mostPlaces || o.File == "" && o.Scope == "" {
		return
	}
	for _, p := range s.Also {
		if p == o {
			return
		}
	}
	s.Also = append(s.Also, o)
}

// Finding is one difference or weakness, over all operations where it is the same.
type Finding struct {
	ID         string     `json:"id"` // the same as long as rule, environments, leaf and values are
	Rule       string     `json:"rule"`
	Title      string     `json:"title"`
	Area       Area       `json:"area"`
	Severity   Severity   `json:"severity"`
	Direction  Direction  `json:"direction"`
	Field      string     `json:"field,omitempty"`
	Operations []Key      `json:"operations"`        // empty: it is about the environment
	Classes    []string   `json:"classes,omitempty"` // of callers, when it does not hold for general traffic
	A          Side       `json:"a"`
	B          *Side      `json:"b,omitempty"` // nil: it is about A alone
	Confidence Confidence `json:"confidence"`
	Note       string     `json:"explanation"`
	Waiver     *Waiver    `json:"waiver,omitempty"`
}

// Confidence says how sure a finding is.
type Confidence string

// The confidences.
const (
	Sure   Confidence = "sure"
	Likely Confidence = "likely" // a condition or a gateway's limit stands between the two sides
)

// Weaker is the name of the environment that is the weaker door, or "" when neither is.
func (f *Finding) Weaker() string {
	switch {
	case f.Direction == AWeaker:
		return f.A.Environment
	case f.Direction == BWeaker && f.B != nil:
		return f.B.Environment
	}
	return ""
}

// Mirror is the finding with its sides exchanged. Its ID stays.
func (f Finding) Mirror() Finding {
	if f.B == nil {
		return f
	}
	a := f.A
	f.A = *f.B
	f.B = &a
	switch f.Direction {
	case AWeaker:
		f.Direction = BWeaker
	case BWeaker:
		f.Direction = AWeaker
	}
	return f
}

// identify gives the finding its ID: a hash of what it is about, the same from both sides, without places and operations, so that a
// moved line or one more operation is still the same finding.
func (f *Finding) identify() {
	sides := []string{f.A.Environment + "\x00" + f.A.Value}
	if f.B != nil {
		sides = append(sides, f.B.Environment+"\x00"+f.B.Value)
		sort.Strings(sides)
	}
	h := sha256.Sum256([]byte(strings.Join(append([]string{f.Rule, f.Field}, sides...), "\x01")))
	f.ID = "dr_" + hex.EncodeToString(h[:8])
}

// Waiver accepts findings for a while.
type Waiver struct {
	Rule         string    `json:"rule"`                   // an id
	Environments []string  `json:"environments,omitempty"` // of the weaker side; default: all
	Operations   []string  `json:"operations,omitempty"`   // "GET /items/{}", or a prefix ending in **; default: all
	Finding      string    `json:"finding,omitempty"`      // only this finding's ID
	Owner        string    `json:"owner"`
	Reason       string    `json:"reason"`
	Ends         time.Time `json:"ends"`
}

// Covers reports whether the waiver accepts the whole finding at the time.
func (w Waiver) Covers(f *Finding, now time.Time) bool {
	if w.Rule != f.Rule || !now.Before(w.Ends) || w.Finding != "" && w.Finding != f.ID {
		return false
	}
	if len(w.Environments) > 0 {
		at := f.Weaker()
		if at == "" {
			at = f.A.Environment
		}
		if !contains(w.Environments, at) {
			return false
		}
	}
	if len(w.Operations) == 0 {
		return true
	}
	for _, k := range f.Operations {
		if !Selected(w.Operations, k) {
			return false
		}
	}
	return len(f.Operations) > 0
}

// Selected reports whether a key is named by one of the selectors: "GET /items/{}", "* /items/**", "**".
func Selected(selectors []string, k Key) bool {
	for _, s := range selectors {
		if s == "**" || s == k.String() {
			return true
		}
		m, p, ok := strings.Cut(s, " ")
		if !ok || m != "*" && m != k.Method {
			continue
		}
		base, prefix := strings.CutSuffix(p, "**")
		if p == k.Path || prefix && (strings.HasPrefix(k.Path, base) || k.Path+"/" == base) {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
