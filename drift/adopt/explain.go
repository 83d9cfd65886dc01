package adopt

import (
	"fmt"
	"slices"

	"gatehouse/drift"
)

// Explain goes through the findings between the environment and the manifest, read again. What differs and is not among what is said not
// to be carried over is added to it, and where the manifest enforces less that is marked. Afterwards every one of them is listed. It
// returns how many findings there are between the two, and how many of them had to be added.
func (a *Adopted) Explain(list []drift.Finding) (findings, added int) {
	for _, f := range list {
		if f.B == nil {
			continue
		}
		findings++
		keys := []string{""}
		if len(f.Operations) > 0 {
			keys = keys[:0]
			for _, k := range f.Operations {
				keys = append(keys, k.String())
			}
		}
		more := false
		for _, k := range keys {
			if a.explained(&f, k) {
				continue
			}
			more = true
			a.Lost = append(a.Lost, Lost{Operation: k, What: fmt.Sprintf("%s: %s is %s and becomes %s", f.Title, f.Field, f.A.Value, f.B.Value), Why: why(f.Area),
				Weaker: f.Direction == drift.BWeaker, Fields: []string{f.Field}, Origin: f.A.Origin})
		}
		if more {
			added++
		}
	}
	return findings, added
}

// explained reports whether the list says already why an operation differs so, and marks what says it where the manifest is weaker.
func (a *Adopted) explained(f *drift.Finding, key string) bool {
	names := append([]string{key}, a.kin[key]...)
	for i := range a.Lost {
		l := &a.Lost[i]
		if l.Operation != "" && !slices.Contains(names, l.Operation) {
			continue
		}
		if slices.Contains(l.Fields, f.Field) || len(f.Classes) > 0 && slices.Contains(l.Fields, "classes") {
			l.Weaker = l.Weaker || f.Direction == drift.BWeaker
			return true
		}
	}
	return false
}

func why(a drift.Area) string {
	switch a {
	case drift.AreaObservability:
		return "what a gateway of ours logs, measures and traces is the same for every manifest"
	case drift.AreaCertificates:
		return "it is fixed, or set where the gateway is started"
	}
	return "a manifest has no such setting"
}
