package drift

import "slices"

// Lookup finds operations of an environment by what they answer, as Compare does.
type Lookup struct{ x *index }

// NewLookup prepares the look-up of an environment, which must not change afterwards.
func NewLookup(e *Environment) Lookup { return Lookup{newIndex(e)} }

// Serving is the operation that answers what the key asks, or nil.
func (l Lookup) Serving(k Key) *Operation { return l.x.serving(k) }

// For is what the baseline asks of the operation, or nil when it asks nothing.
func (b *Baseline) For(k Key) *Policy {
	i := slices.IndexFunc(b.Policies, func(s Standard) bool { return Selected(s.Operations, k) })
	if i < 0 {
		return nil
	}
	return &b.Policies[i].Policy
}
