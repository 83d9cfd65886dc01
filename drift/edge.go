package drift

import (
	"slices"
	"strings"
)

// edgeHeaders are headers in which an edge proves itself, when their value is demanded.
var edgeHeaders = []string{"x-azure-fdid", "x-origin-verify"}

// ProveEdge says of each exposure whether its routes let in only what has come through an edge: all of them answer to the edge's header
// with one value alone. It is for gateways whose routes choose by headers and that have no other way to ask.
func (e *Environment) ProveEdge() {
	if len(e.Exposures) == 0 && len(e.Operations) > 0 {
		e.Exposures = append(e.Exposures, Exposure{})
	}
	for i := range e.Exposures {
		x := &e.Exposures[i]
		if x.Proof.Known() {
			continue
		}
		x.Proof = ByDefault(false)
		for j := range e.Operations {
			o := &e.Operations[j]
			if x.Host != "" && len(o.Match.Hosts) > 0 && !slices.ContainsFunc(o.Match.Hosts, func(h string) bool { return underHost(h, x.Host) }) {
				continue
			}
			if !slices.ContainsFunc(o.Match.Headers, provesEdge) {
				x.Proof = ByDefault(false)
				break
			}
			x.Proof = Is(true, o.Origin)
		}
	}
}

// underHost reports whether a host is an exposure's, which may be a wildcard.
func underHost(host, exposed string) bool {
	rest, wild := strings.CutPrefix(exposed, "*")
	return strings.EqualFold(host, exposed) || wild && strings.HasSuffix(strings.ToLower(host), strings.ToLower(rest))
}

func provesEdge(match string) bool {
	name, value, ok := strings.Cut(match, "=")
	return ok && value != "" && slices.Contains(edgeHeaders, strings.ToLower(name))
}
