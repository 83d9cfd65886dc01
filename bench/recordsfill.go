package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/application"
	"gatehouse/audit"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/store"
)

// fill writes the records, unless an earlier run left them. They are spread over the last 200 days. One of a hundred
// organizations and one of a thousand grants is suspended, one of a hundred requests is open, one of five credentials was used this week,
// and each application has an entry in the audit log. No feed row tells of them: they are for people's pages, not for gateways.
func (a *archive) fill(ctx context.Context) (err error) {
	note := filepath.Join(a.folder(), "sample.json")
	if b, err := os.ReadFile(note); err == nil && (a.name == "sqlite" || a.kept) {
		return json.Unmarshal(b, &a.sample)
	}
	if err := os.MkdirAll(filepath.Join(a.folder(), "data"), 0o700); err != nil {
		return err
	}
	if err := a.fillFirst(ctx); err != nil {
		return err
	}
	if many := a.Organizations/a.first().Organizations - 1; many > 0 {
		if err := a.copies(ctx, many); err != nil {
			return err
		}
	}
	b, err := json.Marshal(a.sample)
	if err != nil {
		return err
	}
	return os.WriteFile(note, b, 0o600)
}

// first is how many are written through the store. The rest are copies of them.
func (a *archive) first() size {
	if a.Organizations > shortSize.Organizations {
		return shortSize
	}
	return a.size
}

func (a *archive) fillFirst(ctx context.Context) (err error) {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const batch = 10 // organizations in one transaction
	for n := 0; n < a.first().Organizations && err == nil; n += batch {
		err = s.Update(ctx, func(tx store.Tx) error {
			for i := range batch {
				if err := a.fillOrganization(ctx, tx, n+i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// fillOrganization writes the n-th organization with all that it has.
func (a *archive) fillOrganization(ctx context.Context, tx store.Tx, n int) error {
	const days = 200
	at := time.Now().Add(-days*24*time.Hour + time.Duration(n)*(days*24*time.Hour)/time.Duration(a.first().Organizations)).Truncate(time.Microsecond)
	owner := newID(id.Person, at)
	o := organization.Organization{ID: newID(id.Organization, at), Name: fmt.Sprintf("Partner %05d", n), Country: "NO", State: organization.Verified, Created: at, Verified: at, VerifiedBy: owner}
	if n%100 == 7 {
		o.State, o.Reason = organization.Suspended, "for the bench"
	}
	if _, err := tx.PutOrganization(ctx, o); err != nil {
		return err
	}
	if _, err := tx.PutPerson(ctx, identity.Person{ID: owner, Class: identity.Member, Organization: o.ID, Email: fmt.Sprintf("owner@partner-%05d.example", n), Name: "Owner", Roles: []identity.Role{identity.Owner},
		State: identity.Active, Created: at}); err != nil {
		return err
	}
	each := a.Applications / a.Organizations
	for k := range each {
		if err := a.fillApplication(ctx, tx, o, owner, n*each+k, at); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) fillApplication(ctx context.Context, tx store.Tx, o organization.Organization, owner id.ID, n int, at time.Time) error {
	app := application.Application{ID: newID(id.Application, at), Organization: o.ID, Name: fmt.Sprintf("Application %06d", n), Purpose: "to be counted", Owner: owner, State: application.Active, Created: at, CreatedBy: owner}
	r := grant.Request{ID: newID(id.Request, at), Organization: o.ID, Application: app.ID, Environment: "live", Product: "verification", Plan: "standard", Scopes: []string{"verifications:read"}, Purpose: app.Purpose,
		Duration: 365 * 24 * time.Hour, By: owner, Created: at, State: grant.Approved, Stages: []grant.Stage{{Name: "API owner", Role: "approver", Count: 1}}, Decisions: []grant.Decision{{By: owner, At: at, Approve: true}}}
	g := grant.Grant{ID: newID(id.Grant, at), Request: r.ID, Organization: o.ID, Application: app.ID, Environment: "live", Product: r.Product, Plan: r.Plan, Scopes: r.Scopes, Purpose: r.Purpose, ApprovedBy: []id.ID{owner},
		From: at, Until: at.Add(365 * 24 * time.Hour), State: grant.Active}
	if r.Grant = g.ID; n%1000 == 7 {
		g.State, g.Reason = grant.Suspended, "for the bench"
	}
	if n%100 == 3 {
		r.State, r.Grant, r.Decisions = grant.Open, "", nil
	}
	if _, err := tx.PutApplication(ctx, app); err != nil {
		return err
	}
	if _, err := tx.PutRequest(ctx, r); err != nil {
		return err
	}
	if _, err := tx.PutGrant(ctx, g); err != nil {
		return err
	}
	if err := tx.AppendAudit(ctx, audit.Entry{ID: newID(id.Audit, at), Seq: -1, At: at, Actor: "member:" + string(owner), Action: "application.create", Object: app.ID, Organization: o.ID, Application: app.ID,
		After: json.RawMessage(`{"state":"active"}`)}); err != nil {
		return err
	}
	each := a.Credentials / a.Applications
	var uses []credential.Use
	var last id.ID
	for k := range each {
		_, public, hash := credential.NewKey("live")
		c := credential.Credential{ID: newID(id.Credential, at), Organization: o.ID, Application: app.ID, Environment: "live", Kind: credential.APIKey, Name: fmt.Sprintf("key %d", k), PublicID: public, Hash: secret.Hash(hash),
			State: credential.Active, Created: at, CreatedBy: owner, Expires: at.Add(365 * 24 * time.Hour)}
		if _, err := tx.PutCredential(ctx, c); err != nil {
			return err
		}
		if last = c.ID; k%5 == 0 {
			uses = append(uses, credential.Use{Credential: c.ID, Grant: g.ID, API: "eid", Operation: "whoAmI", Count: 10, Last: time.Now().Add(-time.Hour).Truncate(time.Microsecond), Gateway: "local-live", Address: "192.0.2.1"})
		}
	}
	if n == a.first().Applications/2 {
		a.sample = sample{o.ID, app.ID, last, g.ID, r.ID, "member:" + string(owner)}
	}
	return tx.AddUses(ctx, uses)
}
