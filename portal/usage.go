package portal

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/usage"
)

// usagePage is how often an application called, or was called by under one grant: by time, and by operation.
type usagePage struct {
	frame
	At, By       string // the page's path, and the unit that is shown
	Units        []tab
	From, To     time.Time
	Times        []usageRow
	Operations   []usageRow
	Total, Lost  int
	Cut          bool
	Environment  string
	Environments []string
}

func (*usagePage) template() string { return "usage" }

// usageRow is the calls of one time or operation, by the class of their status.
type usageRow struct {
	Name, Sub                  string
	Calls, Good, Refused, Fail int64 // refused: 4xx; fail: 5xx and none
}

func (r *usageRow) add(status int, calls int64) {
	r.Calls += calls
	switch {
	case status >= 400 && status < 500:
		r.Refused += calls
	case status < 100 || status >= 500:
		r.Fail += calls
	default:
		r.Good += calls
	}
}

func showUsage(k id.Kind) func(v *visit) error {
	return func(v *visit) error {
		i, err := v.object(k)
		if err != nil {
			return err
		}
		q := v.r.URL.Query()
		u, err := v.Control.Usage(v.r.Context(), v.actor, i, q.Get("environment"), usage.Unit(q.Get("by")), time.Time{}, time.Time{})
		if err != nil {
			return err
		}
		app, err := v.Control.Application(v.r.Context(), v.actor, u.Application)
		if err != nil {
			return err
		}
		p := &usagePage{At: v.r.URL.Path, By: string(u.By), From: u.From, To: u.To, Cut: u.Cut, Lost: int(u.Lost), Environment: q.Get("environment")}
		for _, unit := range usage.Units() {
			to := url.Values{"by": {string(unit)}}
			if p.Environment != "" {
				to.Set("environment", p.Environment)
			}
			p.Units = append(p.Units, tab{"by " + string(unit), p.At + "?" + to.Encode(), unit == u.By})
		}
		p.Title, p.Lead = "How often "+app.Name+" called", "Everything that was asked with its credentials, by the minutes, hours and days of UTC. No older than a minute."
		p.Trail = []crumb{{"Applications", "/applications"}, {app.Name, "/applications/" + string(app.ID)}}
		if u.Grant != "" {
			p.Title = "How often the grant was used"
			p.Trail = append(p.Trail, crumb{"Grant", "/grants/" + string(u.Grant)})
		}
		form := map[usage.Unit]string{usage.Minute: "15:04", usage.Hour: "2 January, 15:00", usage.Day: "2 January 2006"}[u.By]
		operations := map[[2]string]int{}
		for _, c := range u.Counts {
			p.Total += int(c.Calls)
			if !slices.Contains(p.Environments, c.Environment) {
				p.Environments = append(p.Environments, c.Environment)
			}
			at := c.At.UTC().Format(form)
			if n := len(p.Times); n == 0 || p.Times[n-1].Name != at {
				p.Times = append(p.Times, usageRow{Name: at})
			}
			p.Times[len(p.Times)-1].add(c.Status, c.Calls)
			key := [2]string{c.API, c.Operation}
			n, known := operations[key]
			if !known {
				n = len(p.Operations)
				operations[key] = n
				p.Operations = append(p.Operations, usageRow{Name: c.Operation, Sub: c.API})
			}
			p.Operations[n].add(c.Status, c.Calls)
		}
		slices.Reverse(p.Times) // newest first
		slices.SortFunc(p.Operations, func(a, b usageRow) int { return cmp.Compare(b.Calls, a.Calls) })
		slices.Sort(p.Environments)
		return v.ok(p)
	}
}
