package portal

import (
	"fmt"
	"time"

	"gatehouse/control"
	"gatehouse/id"
)

// forceView says in how many places a change is in force.
type forceView struct {
	control.InForce
	Done bool
	Text string
}

// How long a page waits for the receipts of a change that has just been made, and how often it looks.
const (
	forceWait = 1200 * time.Millisecond // ten times what a revocation takes
	forceLook = 20 * time.Millisecond
)

// inForce tells where the newest change of an object is in force. On the page that answers a form it waits a little for
// the gateways, so that the page can say so without a script.
func (v *visit) inForce(object id.ID) ([]forceView, error) {
	deadline := time.NewTimer(forceWait)
	defer deadline.Stop()
	for {
		list, err := v.Control.InForce(v.r.Context(), v.actor, object)
		if err != nil {
			if missing(err) {
				return nil, nil
			}
			return nil, err
		}
		if v.notice == "" || everywhere(list) {
			return rows(list, viewForce), nil
		}
		select {
		case <-deadline.C:
			return rows(list, viewForce), nil
		case <-v.r.Context().Done():
			return nil, v.r.Context().Err()
		case <-time.After(forceLook):
		}
	}
}

func everywhere(list []control.InForce) bool {
	for _, f := range list {
		if f.Seq == 0 || f.Done < f.Gateways {
			return false
		}
	}
	return true
}

func viewForce(f control.InForce) forceView {
	v := forceView{InForce: f, Done: f.Seq > 0 && f.Done == f.Gateways}
	switch {
	case f.Gateways == 0:
		v.Text = "no gateway serves this environment"
	case f.Seq == 0:
		v.Text = "on its way to the gateways"
	case f.Done == 0:
		v.Text = fmt.Sprintf("waits for %s", plural(f.Gateways, "gateway", "gateways"))
	default:
		v.Text = fmt.Sprintf("in force on %d of %d gateways, the last after %s", f.Done, f.Gateways, milliseconds(f.LastMS))
	}
	return v
}

func milliseconds(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return span(time.Duration(ms) * time.Millisecond)
}
