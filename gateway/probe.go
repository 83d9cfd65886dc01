package gateway

import (
	"context"

	"gatehouse/fault"
	"gatehouse/feed"
)

// Probe implements feed.Prober: what becomes of credentials by the view that requests are served from, signed.
func (g *Gateway) Probe(_ context.Context, p feed.Probe) (feed.Sworn, error) {
	if g.o.Signer == nil {
		return feed.Sworn{}, fault.New(fault.Unsupported, "the gateway %s has no key to sign with", g.o.Name)
	}
	if p.Environment != g.o.Environment {
		return feed.Sworn{}, fault.New(fault.Conflict, "the gateway %s serves %s, not %s", g.o.Name, g.o.Environment, p.Environment)
	}
	at := g.Position() // before the look: what is seen is at least as new
	if at.Seq < p.Seq {
		return feed.Sworn{}, fault.New(fault.Unavailable, "the gateway %s has change %d in force, not %d yet", g.o.Name, at.Seq, p.Seq)
	}
	now := g.o.Now()
	return feed.Swear(feed.Answer{Probe: p.ID, Gateway: g.o.Name, Environment: g.o.Environment, Position: at, At: now.UTC(),
		Seen: g.View().Probe(p.Credentials, now)}, g.o.Signer)
}
