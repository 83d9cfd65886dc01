package control

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/ratelimit"
)

// Quota is how much of a quota of a grant is used, as gateways have told: they tell each second.
type Quota struct {
	Period    ratelimit.Period `json:"period"`
	Requests  int64            `json:"requests"`
	Used      int64            `json:"used"` // more than requests when several gateways let something through in the same second
	Remaining int64            `json:"remaining"`
	From      time.Time        `json:"from"`
	Resets    time.Time        `json:"resets"`
}

// GrantQuotas tells how much of each quota of a grant is used in the period that runs; none for a plan without quotas. Whoever
// may see the grant.
func (c *Control) GrantQuotas(ctx context.Context, a identity.Actor, i id.ID) ([]Quota, error) {
	out := []Quota{}
	err := c.view(ctx, a, "GrantQuotas", func(r read) error {
		g, err := r.grant(i)
		if err != nil {
			return err
		}
		offers, err := c.offersNow(ctx, r.tx)
		if err != nil {
			return err
		}
		for _, o := range offers {
			plan, ok := o.planOf(g)
			if o.Name != g.Environment || !ok {
				continue
			}
			for _, text := range plan.Quotas {
				q, err := ratelimit.ParseQuota(text)
				if err != nil {
					return err // it was checked when it was published
				}
				from, to, _ := q.Period.Span(r.now)
				used, err := r.tx.Tallied(ctx, g.Environment, g.ID, string(q.Period), from)
				if err != nil {
					return err
				}
				out = append(out, Quota{q.Period, q.Window.Requests, used, max(q.Window.Requests-used, 0), from, to})
			}
		}
		return nil
	})
	return out, err
}
