package snapshot

import (
	"maps"
	"slices"

	"gatehouse/wire"
)

// pick chooses by the method and the header fields.
func (n *node) pick(h *wire.Head) Match {
	r, known := n.method(h.Method, h.Fields)
	if r != nil {
		return Match{Route: r}
	}
	if string(h.Method) == "OPTIONS" && !known {
		_, page := h.Fields.Get("Origin")
		if asked, ok := h.Fields.Get("Access-Control-Request-Method"); ok && page {
			if r := n.preflight(asked); r != nil {
				return Match{Route: r, Preflight: true}
			}
		}
	}
	if known {
		return Match{}
	}
	return Match{Allow: n.allow}
}

// method finds the route for a method and the fields. known says that the method is there, whatever the fields.
func (n *node) method(m wire.View, fields wire.Fields) (r *Route, known bool) {
	for _, r := range n.methods { // of one method, those that ask for most come first
		if r.Method == string(m) {
			if known = true; len(r.conditions) == 0 || r.met(fields) {
				return r, true
			}
		}
	}
	if string(m) == "HEAD" {
		r, get := n.method(wire.View("GET"), fields)
		return r, known || get
	}
	return nil, known
}

// preflight finds the route whose method a page asks for. A browser asks without the fields of the call itself, so it is
// the route that asks for the fewest.
func (n *node) preflight(m wire.View) *Route {
	for i := len(n.methods) - 1; i >= 0; i-- {
		if r := n.methods[i]; r.Method == string(m) && r.Preflight != nil {
			return r
		}
	}
	if string(m) == "HEAD" {
		return n.preflight(wire.View("GET"))
	}
	return nil
}

// A condition is one header field that a request must have, once, with this value.
type condition struct{ name, value string }

// require sets the header fields that the route is for.
func (r *Route) require(headers map[string]string) {
	r.headers = headers
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		r.conditions = append(r.conditions, condition{name, headers[name]})
	}
}

// met reports whether the fields are those of the route. One that is there twice is nobody's: its readers would differ.
func (r *Route) met(fields wire.Fields) bool {
	for i := range r.conditions {
		c := &r.conditions[i]
		if v, ok := fields.Get(c.name); !ok || string(v) != c.value || fields.Count(c.name) != 1 {
			return false
		}
	}
	return true
}
