package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/notice"
)

const (
	noticeEvery = time.Minute
	noticeBatch = 100 // told in one transaction
)

// notify tells people of what comes to its end, until ctx ends.
func (c *Control) notify(ctx context.Context) {
	t := time.NewTicker(noticeEvery)
	defer t.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = c.notifySome(ctx); err != nil && ctx.Err() == nil {
				c.Log.Error("notices", "error", err)
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// notifySome tells of a few ends. The mark moves in the transaction that writes the letters and the events: nobody is told
// twice, and nobody is left out, whichever process does it and whenever it stops.
func (c *Control) notifySome(ctx context.Context) (more bool, _ error) {
	for _, k := range notice.Kinds() {
		for _, days := range notice.Days() {
			full := false
			err := c.update(ctx, identity.Actor{Class: identity.System}, "notify", func(w *write) error {
				full = false // fn may run again
				through := w.now.AddDate(0, 0, days)
				m, err := w.tx.Mark(ctx, k, days)
				if errors.Is(err, fault.NotFound) { // from here on: what ends earlier was not told of at that time
					return w.tx.PutMark(ctx, notice.Mark{Kind: k, Days: days, End: through})
				}
				if err != nil {
					return err
				}
				list, err := w.tx.Ending(ctx, m, through, noticeBatch)
				if err != nil {
					return err
				}
				for _, e := range list {
					if e.Due(days, w.now) {
						if err := c.tellEnding(w, k, days, e); err != nil {
							return err
						}
					}
					m.End, m.Object = e.End, e.Object
				}
				if full = len(list) == noticeBatch; !full {
					m.End, m.Object = through, "￿" // all of them: nothing at this very end comes later
				}
				return w.tx.PutMark(ctx, m)
			})
			if err != nil {
				return false, err
			}
			more = more || full
		}
	}
	return more, nil
}

// tellEnding writes the letters to the application's owner, and on the last day to the organization's owners too, and the
// audit entry, which is the event that webhooks are told.
func (c *Control) tellEnding(w *write, k notice.Kind, days int, e notice.Ending) error {
	app, err := w.tx.Application(w.ctx, e.Application)
	if err != nil {
		return err
	}
	told := []id.ID{}
	letter := func(p identity.Person) error {
		if p.State != identity.Active || slices.Contains(told, p.ID) {
			return nil
		}
		told = append(told, p.ID)
		return c.endingLetter(w, p, k, e, app.Name)
	}
	owner, err := w.tx.Person(w.ctx, app.Owner)
	if err != nil {
		return err
	}
	if err := letter(owner); err != nil {
		return err
	}
	if days == 1 || len(told) == 0 {
		err := w.eachMember(e.Organization, func(p identity.Person) error {
			if !slices.Contains(p.Roles, identity.Owner) {
				return nil
			}
			return letter(p)
		})
		if err != nil {
			return err
		}
	}
	return w.audit(change{action: string(k) + ".ending", object: e.Object, organization: e.Organization, application: e.Application,
		environment: e.Environment, reason: fmt.Sprintf("within %d days, at %s", days, e.End.Format(time.RFC3339))}, nil, nil)
}

func (c *Control) endingLetter(w *write, p identity.Person, k notice.Kind, e notice.Ending, application string) error {
	what := fmt.Sprintf("The grant of %s (%s, application %s) ends on %s. Calls by it are refused from then on.", e.Name, e.Environment, application, when(e.End))
	mend, page := "Ask for access again in time if you still need it:", "/grants/"+string(e.Object)
	if k == notice.Credential {
		what = fmt.Sprintf("The credential %s (%s, application %s) expires on %s. Calls with it are refused from then on.", e.Name, e.Environment, application, when(e.End))
		mend, page = "Replace it in time, with an overlap, so that no call is refused:", "/credentials/"+string(e.Object)
	}
	return w.letter(p.Email, "Ends on "+when(e.End)+": "+e.Name, lines(what, mend, c.URL+page))
}
