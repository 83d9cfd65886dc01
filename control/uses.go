package control

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// Uses tells how a credential was used, by grant and operation, and no less fresh than a minute.
func (c *Control) Uses(ctx context.Context, a identity.Actor, i id.ID) ([]credential.Use, error) {
	out := []credential.Use{}
	err := c.view(ctx, a, "Uses", func(r read) error {
		if _, err := r.credential(i); err != nil {
			return err
		}
		uses, err := r.tx.Uses(ctx, i)
		out = append(out, uses...)
		return err
	})
	return out, err
}

// LastUses is the newest use of each of the credentials, at most a page of them. Those that were never used, or that are
// not the actor's to see, are not in it.
func (c *Control) LastUses(ctx context.Context, a identity.Actor, is []id.ID) (map[id.ID]credential.Use, error) {
	var out map[id.ID]credential.Use
	err := c.view(ctx, a, "LastUses", func(r read) error {
		var mine []id.ID
		found, err := r.tx.CredentialsByID(ctx, is[:min(len(is), pageMost)])
		if err != nil {
			return err
		}
		for _, c := range found {
			if r.sees(c.Organization) {
				mine = append(mine, c.ID)
			}
		}
		out, err = r.tx.LastUses(ctx, slices.Clip(mine))
		return err
	})
	return out, err
}

// shortestDormant is the shortest time after which an unused credential can be called dormant: reports come every few
// seconds.
const shortestDormant = time.Minute

// Dormant lists credentials that are valid and were neither made nor used for so long, whichever was last seen first; organization
// and application as for Credentials.
func (c *Control) Dormant(ctx context.Context, a identity.Actor, org, app id.ID, unused time.Duration, p Page) (List[credential.Credential], error) {
	var out List[credential.Credential]
	err := c.view(ctx, a, "Dormant", func(r read) error {
		if unused < shortestDormant {
			return fault.Bad("/dormant", "must be at least %s", manifest.Duration(shortestDormant))
		}
		f, err := r.filter(grant.Filter{Organization: org, Application: app})
		if err != nil {
			return err
		}
		since := r.now.Add(-unused)
		after, err := dormantAfter(p.After)
		if err != nil {
			return err
		}
		list, err := pages(p, after, func(d credential.Dormant) credential.Place { return d.Place }, placeText, func(d credential.Dormant) bool { return d.Live(r.now) },
			func(after credential.Place, n int) ([]credential.Dormant, error) {
				return r.tx.Dormant(ctx, f.Organization, f.Application, since, after, n)
			})
		out.Next, out.Items = list.Next, make([]credential.Credential, len(list.Items))
		for i, d := range list.Items {
			out.Items[i] = d.Credential
		}
		return err
	})
	return out, err
}

// placeText is a place as the Next of a list tells it.
func placeText(p credential.Place) string { return strconv.FormatInt(p.Seen, 10) + "." + string(p.ID) }

func dormantAfter(text string) (p credential.Place, err error) {
	if text == "" {
		return p, nil
	}
	day, last, _ := strings.Cut(text, ".")
	p.ID = id.ID(last)
	if p.Seen, err = strconv.ParseInt(day, 10, 32); err == nil {
		_, err = id.Parse(id.Credential, last)
	}
	if err != nil {
		return p, fault.Bad("/after", "is not where a page of this list ended")
	}
	return p, nil
}
