package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// How many records the case with many of them has, and how many of its keys are called with.
const (
	manyApplications = 10_000
	manyCredentials  = 1_000_000
	calledKeys       = 1_000
)

// credentialsGroup gives a gateway so many credentials by its feed, as a control plane would, and waits until all of them
// are in force. nginx has the same keys in a map.
func credentialsGroup(ctx context.Context, l *lab) ([]entrant, error) {
	const name = "gatehouse-credentials"
	h, err := l.gatehouse(ctx, name, 0, false)
	if err != nil {
		return nil, err
	}
	if err := l.end(h.process); err != nil { // one process at a time writes the database
		return nil, err
	}
	fmt.Fprintf(l.log, "writing %d credentials\n", manyCredentials)
	keys, err := fillFeed(ctx, filepath.Join(h.data, "gatehouse.db"), h.organization)
	if err != nil {
		return nil, err
	}
	if err := l.launch(ctx, h, name, filepath.Join(l.dir, name, "manifest"), false); err != nil {
		return nil, err
	}
	began := time.Now()
	for {
		n, err := h.credentials(ctx)
		if err != nil {
			return nil, err
		}
		if n >= manyCredentials {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.done:
			return nil, fmt.Errorf("%s ended: %w\n%s", name, h.err, h.errs.String())
		case <-time.After(time.Second):
		}
	}
	fmt.Fprintf(l.log, "numbered, signed and in force after %s\n", time.Since(began).Round(time.Second))
	called := make([]string, 0, calledKeys)
	for i := range calledKeys {
		called = append(called, keys[i*(len(keys)/calledKeys)])
	}
	script, err := inTurn(l.dir, "keys", []string{smallPath}, called)
	if err != nil {
		return nil, err
	}
	plain, err := l.nginxPlain(ctx, false)
	if err != nil {
		return nil, err
	}
	mapped, err := l.nginxPolicy(ctx, "nginx-keys", keys, nginxConf{})
	if err != nil {
		return nil, err
	}
	ld := load{connections: 64, path: "/", script: script}
	const kase = "credentials-1000000"
	return []entrant{{"plain-keys", "nginx", plain, ld}, {kase, "gatehouse", h.process, ld}, {kase, "nginx", mapped, ld}}, nil
}

// fillFeed writes applications with grants and keys into the database of a house that does not run, as rows of the feed that
// have no number yet, and returns the keys.
func fillFeed(ctx context.Context, file string, organization id.ID) (keys []string, err error) {
	s, err := sqldb.OpenSQLite(ctx, file, sqldb.Options{})
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	now := time.Now()
	until := now.Add(30 * 24 * time.Hour)
	const each = manyCredentials / manyApplications
	const batch = 100 // applications in one transaction
	for range manyApplications / batch {
		if err := s.Update(ctx, func(tx store.Tx) error {
			add := func(k feed.Kind, key id.ID, payload any) error {
				b, err := json.Marshal(payload)
				if err != nil {
					return err
				}
				return tx.AppendChange(ctx, feed.Change{Environment: "live", Kind: k, Key: string(key), Version: 1, Payload: b, Committed: now})
			}
			for range batch {
				a, g := id.New(id.Application, now), id.New(id.Grant, now)
				if err := add(feed.KindApplication, a, feed.Application{ID: a, Organization: organization, Name: "bench", Live: true}); err != nil {
					return err
				}
				if err := add(feed.KindGrant, g, feed.Grant{ID: g, Application: a, Product: "items", Plan: "bench", Scopes: []string{"items:read"},
					From: now.Add(-time.Minute), Until: until, State: "active"}); err != nil {
					return err
				}
				for range each {
					key, public, hash := credential.NewKey("live")
					c := id.New(id.Credential, now)
					if err := add(feed.KindCredential, c, feed.Credential{ID: c, Application: a, Kind: "api_key", PublicID: public, Hash: hash[:], Live: true, Expires: until}); err != nil {
						return err
					}
					keys = append(keys, key.Reveal())
				}
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// credentials is how many the gateway has in force.
func (h *house) credentials(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", h.operations+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		if line := in.Text(); strings.HasPrefix(line, "gatehouse_access_records{") && strings.Contains(line, `kind="credential"`) {
			n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			return int(n), err
		}
	}
	return 0, fmt.Errorf("%s/metrics does not count credentials", h.operations)
}
