package control

import (
	"gatehouse/fault"
	"gatehouse/id"
)

// How many items a page has: by default, and at most.
const (
	pageDefault = 50
	pageMost    = 500
	// scanMost is how many rows are read for one page of a list that is filtered here: a page may be shorter than asked
	// for, and its Next goes on from where it stopped.
	scanMost = 20_000
)

// Page asks for one page of a list: what comes after a key, at most Limit (default 50, at most 500).
type Page struct {
	After string
	Limit int
}

// List is one page. Next is the After of the next one; "" on the last.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func (p Page) limit() int {
	switch {
	case p.Limit <= 0:
		return pageDefault
	case p.Limit > pageMost:
		return pageMost
	}
	return p.Limit
}

// collect reads one page of a list that is ordered by ID. keep nil keeps all.
func collect[T any](p Page, kind id.Kind, key func(T) id.ID, keep func(T) bool, rows func(after id.ID, limit int) ([]T, error)) (List[T], error) {
	out := List[T]{Items: []T{}}
	after := id.ID(p.After)
	if p.After != "" {
		if _, err := id.Parse(kind, p.After); err != nil {
			return out, fault.Bad("/after", "is not where a page of this list ended")
		}
	}
	return pages(p, after, key, func(i id.ID) string { return string(i) }, keep, rows)
}

// pages reads one page of a list in whatever order, after a place in it; text is how its Next tells a place. keep nil keeps all.
func pages[T, K any](p Page, after K, key func(T) K, text func(K) string, keep func(T) bool, rows func(after K, limit int) ([]T, error)) (List[T], error) {
	out := List[T]{Items: []T{}}
	limit := p.limit()
	for read := 0; read < scanMost; {
		batch, err := rows(after, limit+1)
		if err != nil {
			return out, err
		}
		for _, r := range batch {
			if keep == nil || keep(r) {
				if len(out.Items) == limit {
					out.Next = text(key(out.Items[limit-1]))
					return out, nil
				}
				out.Items = append(out.Items, r)
			}
			after = key(r)
		}
		if len(batch) <= limit {
			return out, nil
		}
		read += len(batch)
	}
	out.Next = text(after)
	return out, nil
}

// all reads a whole list that is ordered by ID: what one application has, which is bounded.
func all[T any](key func(T) id.ID, rows func(after id.ID, limit int) ([]T, error)) ([]T, error) {
	var out []T
	for after := id.ID(""); ; after = key(out[len(out)-1]) {
		batch, err := rows(after, pageMost)
		if err != nil {
			return nil, err
		}
		out = append(out, batch...)
		if len(batch) < pageMost {
			return out, nil
		}
	}
}
