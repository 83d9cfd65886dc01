package drift

import (
	"fmt"
	"strings"
)

// Coverage says how much of an environment, or of several, could be seen. It is printed with every result.
type Coverage struct {
	Environments int            `json:"environments"`
	Operations   int            `json:"operations"`
	Resolved     int            `json:"operations_resolved"` // those without a conditional or unresolved leaf
	Leaves       int            `json:"leaves"`
	States       map[string]int `json:"leaves_by_state"`
	Causes       map[string]int `json:"unresolved_by_cause"` // of unresolved and conditional leaves
	Files        Files          `json:"files"`
	Gaps         int            `json:"gaps"`
}

// notRead is the cause of a leaf that the reader has left zero.
const notRead = "not read by this reader"

// Cover counts the leaves of an environment. A policy that many operations share counts for each of them.
func Cover(e *Environment) Coverage {
	c := Coverage{Environments: 1, States: map[string]int{}, Causes: map[string]int{}, Files: e.Files, Gaps: len(e.Gaps)}
	seen := make(map[*Policy]*Coverage)
	for i := range e.Operations {
		c.Operations++
		whole := true
		for _, eff := range e.Operations[i].Effective {
			p, ok := seen[eff.Policy]
			if !ok {
				p = coverPolicy(eff.Policy)
				seen[eff.Policy] = p
			}
			c.add(p)
			whole = whole && len(p.Causes) == 0
		}
		if whole {
			c.Resolved++
		}
	}
	return c
}

func coverPolicy(p *Policy) *Coverage {
	c := &Coverage{States: map[string]int{}, Causes: map[string]int{}}
	p.Facts(func(_ string, l Fact) {
		s, _, cause := l.How()
		c.Leaves++
		c.States[s.String()]++
		if s == Unresolved || s == Conditional {
			if cause == "" {
				cause = notRead
			}
			c.Causes[cause]++
		}
	})
	return c
}

func (c *Coverage) add(o *Coverage) {
	c.Environments += o.Environments
	c.Operations += o.Operations
	c.Resolved += o.Resolved
	c.Leaves += o.Leaves
	c.Gaps += o.Gaps
	c.Files.Read += o.Files.Read
	c.Files.Failed += o.Files.Failed
	c.Files.Skipped += o.Files.Skipped
	for k, n := range o.States {
		c.States[k] += n
	}
	for k, n := range o.Causes {
		c.Causes[k] += n
	}
}

// CoverAll adds up the coverage of environments.
func CoverAll(envs []*Environment) Coverage {
	c := Coverage{States: map[string]int{}, Causes: map[string]int{}}
	for _, e := range envs {
		one := Cover(e)
		c.add(&one)
	}
	return c
}

// Whole reports whether everything was seen: then, and only then, no finding means no drift.
func (c Coverage) Whole() bool {
	return c.Operations > 0 && c.Resolved == c.Operations && c.Files.Failed == 0 && c.Gaps == 0
}

func (c Coverage) String() string {
	known := c.States[Set.String()] + c.States[Default.String()] + c.States[Inherited.String()] + c.States[Unsupported.String()]
	var b strings.Builder
	fmt.Fprintf(&b, "operations resolved %d of %d, leaves resolved %d of %d (unresolved %d, conditional %d)",
		c.Resolved, c.Operations, known, c.Leaves, c.States[Unresolved.String()], c.States[Conditional.String()])
	if c.Files.Failed > 0 {
		fmt.Fprintf(&b, ", files not read %d", c.Files.Failed)
	}
	return b.String()
}
