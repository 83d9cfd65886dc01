package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// issued is a credential with its key.
type issued struct {
	id  id.ID
	key string
}

// fill writes applications, each with a grant and credentials, into the database of a control plane that does not run: their
// records and their rows of the feed, by the store. No audit entry tells of them.
func (p *plant) fill(ctx context.Context) (err error) {
	s, err := sqldb.OpenSQLite(ctx, filepath.Join(p.house.data, "gatehouse.db"), sqldb.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const batch = 4 // applications in one transaction: SQLite walks the whole of a transaction's own journal at each statement
	p.keys = make([]issued, 0, p.many)
	for len(p.keys) < p.many {
		if err := s.Update(ctx, func(tx store.Tx) error {
			for range batch {
				if len(p.keys) == p.many {
					return nil
				}
				if err := p.fillApplication(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p *plant) fillApplication(ctx context.Context, tx store.Tx) error {
	now := time.Now()
	until := now.Add(30 * 24 * time.Hour)
	add := func(k feed.Kind, key id.ID, version int64, payload any) error {
		b, err := json.Marshal(payload)
		if err != nil {
			return err
		}
		return tx.AppendChange(ctx, feed.Change{Environment: "live", Kind: k, Key: string(key), Version: version, Payload: b, Committed: now})
	}
	a, err := tx.PutApplication(ctx, application.Application{ID: id.New(id.Application, now), Organization: p.house.organization, Name: fmt.Sprint("bench ", len(p.keys)/fleetPerApp), Purpose: "to be measured",
		State: application.Active, Created: now})
	if err != nil {
		return err
	}
	if err := add(feed.KindApplication, a.ID, a.Version, feed.Application{ID: a.ID, Organization: a.Organization, Name: a.Name, Live: true}); err != nil {
		return err
	}
	g, err := tx.PutGrant(ctx, grant.Grant{ID: id.New(id.Grant, now), Organization: a.Organization, Application: a.ID, Environment: "live", Product: "items", Plan: "bench",
		Scopes: []string{"items:read"}, Purpose: "to be measured", From: now.Add(-time.Minute), Until: until, State: grant.Active})
	if err != nil {
		return err
	}
	if err := add(feed.KindGrant, g.ID, g.Version, feed.Grant{ID: g.ID, Application: a.ID, Product: g.Product, Plan: g.Plan, Scopes: g.Scopes, From: g.From, Until: until, State: "active"}); err != nil {
		return err
	}
	for range fleetPerApp {
		key, public, hash := credential.NewKey("live")
		c, err := tx.PutCredential(ctx, credential.Credential{ID: id.New(id.Credential, now), Organization: a.Organization, Application: a.ID, Environment: "live",
			Kind: credential.APIKey, Name: "bench", PublicID: public, Hash: hash, State: credential.Active, Created: now, Expires: until})
		if err != nil {
			return err
		}
		if err := add(feed.KindCredential, c.ID, c.Version, feed.Credential{ID: c.ID, Application: a.ID, Kind: "api_key", PublicID: public, Hash: hash[:], Live: true, Expires: until}); err != nil {
			return err
		}
		p.keys = append(p.keys, issued{c.ID, key.Reveal()})
	}
	return nil
}
