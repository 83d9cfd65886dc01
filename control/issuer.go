package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/token"
)

const (
	tokenLives  = 5 * time.Minute     // an access token
	keyPeriod   = 30 * 24 * time.Hour // how long one key signs
	issuerEvery = time.Minute         // how often it is looked whether a key's time has come
	tellIssued  = 10 * time.Second    // between two writes of how many tokens were issued
)

// issuerURL is the name of what issues the tokens of an environment.
func (c *Control) issuerURL(environment string) string { return c.URL + "/oauth/" + environment }

// signer makes the key of a number again: nothing that signs is ever stored.
func (c *Control) signer(environment string, number int64) (*token.Signer, error) {
	for try := range 4 { // one in 2^32 makes no key
		if s, err := token.NewSigner(c.Keys.Derive(fmt.Sprintf("access tokens of %s, key %d, try %d", environment, number, try))); err == nil {
			return s, nil
		}
	}
	return nil, errors.New("no key for access tokens can be made")
}

// issuer brings the issuer of an environment to where it should be now, if it is not there. atOnce: the next key signs from
// now on.
func (c *Control) issuer(w *write, environment string, atOnce bool, reason string) (credential.Issuer, error) {
	old, err := w.tx.Issuer(w.ctx, environment)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return old, err
	}
	next := old
	next.Environment, next.URL = environment, c.issuerURL(environment)
	at, err := c.addressIn(w.ctx, w.tx, environment) // the address that partners are told
	if err != nil {
		return old, err
	}
	if at = strings.TrimSuffix(at, "/"); at != "" {
		next.Audience = at
	}
	if next.Audience == "" {
		return old, fault.Of(fault.Conflict, "no-address", "it is not known at which address partners call the environment %s: tokens cannot say what they are for. Give the environment a url in the manifest", environment)
	}
	next, err = next.Rotated(w.now, keyPeriod, tokenLives, atOnce, func(number int64) (credential.SigningKey, error) {
		s, err := c.signer(environment, number)
		if err != nil {
			return credential.SigningKey{}, err
		}
		public, err := json.Marshal(s.Public())
		return credential.SigningKey{ID: s.ID, Number: number, Public: public}, err
	})
	if err != nil || old.Version > 0 && string(state(old)) == string(state(next)) {
		return old, err
	}
	return w.putIssuer("issuer.keys", reason, old, next)
}

// RotateSigningKey lets the next key of the environment sign from now on. Gateways know it already, so no token is refused:
// those that the old key signed count until they end. Operator or admin.
func (c *Control) RotateSigningKey(ctx context.Context, a identity.Actor, environment, reason string) (credential.Issuer, error) {
	var out credential.Issuer
	if err := allow(a, "RotateSigningKey"); err != nil {
		return out, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	err := c.update(ctx, a, "RotateSigningKey", func(w *write) error {
		if err := w.environment(environment); err != nil {
			return err
		}
		if _, err := w.tx.Issuer(ctx, environment); errors.Is(err, fault.NotFound) {
			return missing("issuer")
		}
		var err error
		out, err = c.issuer(w, environment, true, reason)
		return err
	})
	return out, err
}

// Issuer tells what issues the access tokens of an environment. For anybody: it is what verifies them.
func (c *Control) Issuer(ctx context.Context, a identity.Actor, environment string) (credential.Issuer, error) {
	var out credential.Issuer
	err := c.view(ctx, a, "Issuer", func(r read) (err error) {
		out, err = r.tx.Issuer(ctx, environment)
		if errors.Is(err, fault.NotFound) {
			return missing("issuer")
		}
		return err
	})
	return out, err
}

// keepIssuers rotates the keys of issuers when their time comes, and writes how many tokens were issued.
func (c *Control) keepIssuers(ctx context.Context) {
	c.rotateIssuers(ctx)
	rotate, tell := time.NewTicker(issuerEvery), time.NewTicker(tellIssued)
	defer rotate.Stop()
	defer tell.Stop()
	for {
		select {
		case <-rotate.C:
			c.rotateIssuers(ctx)
			c.forgetAuthorities(ctx)
		case <-tell.C:
			c.tellIssued(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			c.tellIssued(last)
			return
		}
	}
}

// rotateIssuers looks at every issuer there is.
func (c *Control) rotateIssuers(ctx context.Context) {
	system := identity.Actor{Class: identity.System}
	err := c.update(ctx, system, "rotateIssuers", func(w *write) error {
		envs, err := w.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, e := range envs {
			if _, err := w.tx.Issuer(ctx, e.Name); errors.Is(err, fault.NotFound) {
				continue
			}
			if _, err := c.issuer(w, e.Name, false, "its time has come"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.Log.Error("signing keys cannot be looked after", "error", err)
	}
}

// issued counts tokens between two writes, and keeps the signers that are in use.
type issued struct {
	mu      sync.Mutex
	counts  map[id.ID]credential.Use
	signers map[string]*token.Signer
}

// issuedMost is how many clients are counted between two writes.
const issuedMost = 100_000

func newIssued() *issued {
	return &issued{counts: map[id.ID]credential.Use{}, signers: map[string]*token.Signer{}}
}

func (i *issued) note(client id.ID, now time.Time, address string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	u, known := i.counts[client]
	if !known && len(i.counts) >= issuedMost {
		return
	}
	i.counts[client] = credential.Use{Credential: client, Operation: "token", Count: u.Count + 1, Last: now, Gateway: "token endpoint", Address: hostOf(address)}
}

// tellIssued writes how many tokens were issued: telemetry.
func (c *Control) tellIssued(ctx context.Context) {
	c.issued.mu.Lock()
	uses := make([]credential.Use, 0, len(c.issued.counts))
	for _, u := range c.issued.counts {
		uses = append(uses, u)
	}
	clear(c.issued.counts)
	c.issued.mu.Unlock()
	if len(uses) == 0 {
		return
	}
	if err := c.source.keepUses(ctx, uses); err != nil && ctx.Err() == nil {
		c.Log.Error("issued tokens are not counted", "tokens", len(uses), "error", err)
	}
}

// signs is the signer of a key, made once.
func (c *Control) signs(environment string, k credential.SigningKey) (*token.Signer, error) {
	c.issued.mu.Lock()
	defer c.issued.mu.Unlock()
	name := environment + " " + k.ID
	if s := c.issued.signers[name]; s != nil {
		return s, nil
	}
	s, err := c.signer(environment, k.Number)
	if err != nil {
		return nil, err
	}
	if s.ID != k.ID { // the keys of the data directory are others: what is signed now nobody takes
		return nil, fmt.Errorf("the signing key %s of %s cannot be made again from the keys of this data directory", k.ID, environment)
	}
	c.issued.signers[name] = s
	return s, nil
}
