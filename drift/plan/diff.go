package plan

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/drift"
)

// hunk is a run of lines that differ: of the old text from a to b, of the new one from c to d.
type hunk struct{ a, b, c, d int }

func lines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	out := strings.SplitAfter(string(b), "\n")
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// mostTable bounds the table of the comparison; beyond it one hunk holds all that differs.
const mostTable = 4 << 20

// hunks compares two texts line by line.
func hunks(x, y []string) []hunk {
	from := 0
	for from < len(x) && from < len(y) && x[from] == y[from] {
		from++
	}
	p, q := len(x), len(y)
	for p > from && q > from && x[p-1] == y[q-1] {
		p, q = p-1, q-1
	}
	n, m := p-from, q-from
	if n == 0 && m == 0 {
		return nil
	}
	if n*m > mostTable || n == 0 || m == 0 {
		return []hunk{{from, p, from, q}}
	}
	// longest[i][j] is the length of the longest common part of what follows.
	longest := make([]int32, (n+1)*(m+1))
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if x[from+i] == y[from+j] {
				longest[i*(m+1)+j] = longest[(i+1)*(m+1)+j+1] + 1
			} else {
				longest[i*(m+1)+j] = max(longest[(i+1)*(m+1)+j], longest[i*(m+1)+j+1])
			}
		}
	}
	var out []hunk
	for i, j := 0, 0; i < n || j < m; {
		if i < n && j < m && x[from+i] == y[from+j] {
			i, j = i+1, j+1
			continue
		}
		h := hunk{from + i, from + i, from + j, from + j}
		for (i < n || j < m) && !(i < n && j < m && x[from+i] == y[from+j]) {
			if j == m || i < n && longest[(i+1)*(m+1)+j] >= longest[i*(m+1)+j+1] {
				i++
			} else {
				j++
			}
		}
		h.b, h.d = from+i, from+j
		out = append(out, h)
	}
	return out
}

// edits are the bytes that differ, cut down to what differs within their lines.
func edits(old, fresh []byte) []Edit {
	x, y := lines(old), lines(fresh)
	offsets := make([]int, len(x)+1)
	for i, l := range x {
		offsets[i+1] = offsets[i] + len(l)
	}
	out := []Edit{}
	for _, h := range hunks(x, y) {
		a, b := strings.Join(x[h.a:h.b], ""), strings.Join(y[h.c:h.d], "")
		at := offsets[h.a]
		for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
			a, b, at = a[1:], b[1:], at+1
		}
		for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
			a, b = a[:len(a)-1], b[:len(b)-1]
		}
		out = append(out, Edit{at, a, b})
	}
	return out
}

// diffs writes the step's differences for people, and refuses a step whose own bytes hold a secret.
func (s *Step) diffs(base *Overlay, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		old, _ := base.Text(name)
		for _, e := range edits(old, files[name]) {
			if drift.Mask(e.Old) != e.Old || drift.Mask(e.New) != e.New {
				return refuse("the change would write a secret into the plan", "change it by hand, and keep the secret in a vault")
			}
		}
		s.Changes = append(s.Changes, Change{name, Unified(name, old, files[name])})
	}
	return nil
}

const context = 3

// Unified writes the difference of two texts as patch and git read it. A line of the context that holds a secret is left out of it, and
// the context with it.
func Unified(name string, old, fresh []byte) string {
	x, y := lines(old), lines(fresh)
	list := hunks(x, y)
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	from := "a/" + name
	if len(old) == 0 {
		from = "/dev/null"
	}
	fmt.Fprintf(&b, "--- %s\n+++ b/%s\n", from, name)
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j].a-list[j-1].b <= 2*context && shown(x[list[j-1].b:list[j].a]) {
			j++
		}
		first, last := list[i], list[j-1]
		before, after := 0, 0
		for before < context && first.a-before > 0 && shown(x[first.a-before-1:first.a-before]) {
			before++
		}
		for after < context && last.b+after < len(x) && shown(x[last.b+after:last.b+after+1]) {
			after++
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(first.a-before, last.b+after), span(first.c-before, last.d+after))
		at := first.a - before
		for _, h := range list[i:j] {
			write(&b, " ", x[at:h.a])
			write(&b, "-", x[h.a:h.b])
			write(&b, "+", y[h.c:h.d])
			at = h.b
		}
		write(&b, " ", x[at:last.b+after])
		i = j
	}
	return b.String()
}

func shown(list []string) bool {
	return !slices.ContainsFunc(list, func(l string) bool { return drift.Mask(l) != l || secretEntry(l) })
}

// secretEntry reports whether a line writes a value behind a name that says it is a secret.
func secretEntry(l string) bool {
	name, value, ok := strings.Cut(strings.TrimLeft(l, " \t-\"'<"), ":")
	return ok && len(strings.TrimSpace(value)) > 2 && drift.SecretName(strings.Trim(name, `"' `))
}

func span(from, to int) string {
	if to == from {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func write(b *strings.Builder, mark string, list []string) {
	for _, l := range list {
		b.WriteString(mark + drift.Mask(l))
		if !bytes.HasSuffix([]byte(l), []byte("\n")) {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
