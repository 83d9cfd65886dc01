package control

import (
	"context"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/env"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/snapshot"
)

// Reach is what an application can reach right now, computed from the view that the gateways enforce. environment "" means
// every one. At is the instant it was computed for; Seq is what each view had in force. An environment that no gateway
// here serves is not in it.
type Reach struct {
	Application application.Application `json:"application"`
	At          time.Time               `json:"at"`
	Seq         map[string]int64        `json:"seq"` // by environment
	Operations  []snapshot.Reachable    `json:"operations"`
}

// Reach answers "what can this application reach right now".
func (c *Control) Reach(ctx context.Context, a identity.Actor, app id.ID, environment string) (Reach, error) {
	out := Reach{Seq: map[string]int64{}, Operations: []snapshot.Reachable{}}
	var envs []env.Environment
	err := c.view(ctx, a, "Reach", func(r read) (err error) {
		if out.Application, err = r.application(app); err != nil {
			return err
		}
		envs, err = r.tx.Environments(ctx)
		return err
	})
	if err != nil {
		return out, err
	}
	if environment != "" {
		envs = slices.DeleteFunc(envs, func(e env.Environment) bool { return e.Name != environment })
		if len(envs) == 0 {
			return out, missing("environment")
		}
	}
	out.At = c.now()
	for _, e := range envs {
		v := c.Views.View(e.Name)
		if v == nil || v.Routes == nil || v.Access == nil {
			continue
		}
		for _, name := range e.Feeds() { // before the look: what it shows is at least as new
			out.Seq[name] = c.source.served(name)
		}
		out.Operations = append(out.Operations, v.Reach(app, out.At)...)
	}
	return out, nil
}

// served is the seq that every gateway of the environment has said to enforce.
func (s *source) served(environment string) int64 {
	least := int64(-1)
	for _, r := range s.receipts(environment) {
		if least < 0 || r.Position.Seq < least {
			least = r.Position.Seq
		}
	}
	return max(least, 0)
}
