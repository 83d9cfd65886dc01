package snapshot

import (
	"net/netip"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/policy"
	"gatehouse/secret"
)

// Probe says what becomes of credentials when somebody presents them at that time: by the look-up by the mark, and the check, in
// which every method of authentication ends.
func (v *View) Probe(of []feed.Probed, now time.Time) []feed.Seen {
	out := make([]feed.Seen, 0, len(of))
	for _, p := range of {
		s := feed.Seen{Probed: p, Verdict: feed.Absent}
		if c, ok := v.marked(p); ok {
			x := policy.Exchange{Access: v, Now: now}
			if len(c.Sources) > 0 { // where it may be used from is no refusal
				x.Peer = netip.AddrPortFrom(c.Sources[0].Addr(), 0)
			}
			s.Verdict = feed.Passes
			if err := x.Accept(&c, probed); err != nil {
				s.Verdict, s.Code = feed.Refused, fault.As(err).Code
			}
		}
		out = append(out, s)
	}
	return out
}

func (v *View) marked(p feed.Probed) (policy.Credential, bool) {
	var mark secret.Hash
	if len(p.Mark) != len(mark) {
		return policy.Credential{}, false
	}
	copy(mark[:], p.Mark)
	c, ok := v.Access.Marked(mark)
	return c, ok && c.Kind == p.Kind
}

var probed = policy.NewRefusals("credential", "credential")
