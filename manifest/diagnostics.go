package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// How many diagnostics are kept: nobody reads more, and a hostile file must not make gigabytes of them.
const (
	maxErrors   = 1000
	maxWarnings = 200
)

// diagnostics gathers what is wrong, everything at once.
type diagnostics struct {
	list             []Diagnostic
	errors, warnings int // that were found, kept or not
}

func (ds *diagnostics) put(d Diagnostic) {
	n, most := &ds.errors, maxErrors
	if d.Warning {
		n, most = &ds.warnings, maxWarnings
	}
	if *n++; *n <= most {
		ds.list = append(ds.list, d)
	}
}

func (ds *diagnostics) add(file string, line int, pointer, format string, args ...any) {
	ds.put(Diagnostic{File: file, Line: line, Pointer: pointer, Text: fmt.Sprintf(format, args...)})
}

func (ds *diagnostics) warn(file string, line int, pointer, format string, args ...any) {
	ds.put(Diagnostic{File: file, Line: line, Pointer: pointer, Text: fmt.Sprintf(format, args...), Warning: true})
}

// sorted is all of them by file and line.
func (ds *diagnostics) sorted() []Diagnostic {
	slices.SortStableFunc(ds.list, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	list := ds.list
	if n := ds.errors - maxErrors; n > 0 {
		list = append(list, Diagnostic{Text: fmt.Sprintf("%d more errors are not shown", n)})
	}
	if n := ds.warnings - maxWarnings; n > 0 {
		list = append(list, Diagnostic{Text: fmt.Sprintf("%d more warnings are not shown", n), Warning: true})
	}
	return list
}

// At makes a diagnostic about the thing at the pointer into the joined manifest, such as
// /apis/0/policies/2/rate_limit/burst. Of a thing that the manifest does not write down it gives the place of the nearest
// one around it that is written.
func (p *Parsed) At(pointer, format string, args ...any) Diagnostic {
	d := Diagnostic{Pointer: pointer, Text: fmt.Sprintf(format, args...)}
	rest := ""
	for at := pointer; ; {
		if place, ok := p.places[at]; ok {
			d.File, d.Line, d.Pointer = place.file, place.line, place.pointer+rest
			return d
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return d
		}
		rest = at[i:] + rest
		at = at[:i]
	}
}

// Warn is At for a diagnostic that does not stop a publish.
func (p *Parsed) Warn(pointer, format string, args ...any) Diagnostic {
	d := p.At(pointer, format, args...)
	d.Warning = true
	return d
}

// meant is ", did you mean X?" for the nearest of the names, or "" when none is near.
func meant(word string, names []string) string {
	if len(names) > 2000 { // each wrong word would be compared with all of them
		return ""
	}
	best, least := "", min(len(word)/3+1, 4)
	for _, n := range names {
		if d := distance(strings.ToLower(word), n, least); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is how many letters must be added, removed, replaced or swapped with their neighbour; at least limit when it
// is not below that.
func distance(a, b string, limit int) int {
	if len(a) > 100 || len(b) > 100 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, this := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		this[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			this[j] = min(last[j]+1, this[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				this[j] = min(this[j], before[j-2]+1)
			}
		}
		before, last, this = last, this, before
	}
	return last[len(b)]
}
