package control

import (
	"errors"
	"sync"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/organization"
)

// knownMost is how many clients are kept as they were read: about 3 KB each.
const knownMost = 10_000

// client is what decides which tokens an OAuth client gets, as it was at its versions. It is shared, and nobody changes it.
type client struct {
	versions     credential.Versions
	credential   credential.Credential
	application  application.Application
	organization organization.Organization
	issuer       credential.Issuer
	offer        offer
	grants       []grant.Grant // of its application in its environment, that are active
}

// clientele keeps clients that have asked for tokens lately.
type clientele struct {
	mu      sync.Mutex
	clients map[id.ID]*client
}

func (k *clientele) get(i id.ID) *client {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clients[i]
}

func (k *clientele) put(c *client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.clients == nil {
		k.clients = map[id.ID]*client{}
	}
	for i := range k.clients {
		if len(k.clients) < knownMost {
			break
		}
		delete(k.clients, i) // any: it costs one reading
	}
	k.clients[c.credential.ID] = c
}

// knownClient is the client as it is now. What was read before is taken again only when one look at the store says that nothing of it
// has changed since: so what was decided counts at once, whichever control plane it was decided at. r is of a view: a transaction
// that writes reads what may never be committed.
func (c *Control) knownClient(r read, i id.ID) (*client, error) {
	v, err := r.tx.ClientVersions(r.ctx, i)
	if err != nil {
		return nil, err
	}
	if k := c.clientele.get(i); k != nil && k.versions == v {
		return k, nil
	}
	k, err := c.readClient(r, i)
	if err != nil {
		return nil, err
	}
	k.versions = v
	c.clientele.put(k)
	return k, nil
}

func (c *Control) readClient(r read, i id.ID) (*client, error) {
	var k client
	var err error
	if k.credential, err = r.tx.Credential(r.ctx, i); err != nil {
		return nil, err
	}
	cr := k.credential
	if k.application, err = orNone(r.tx.Application(r.ctx, cr.Application)); err != nil {
		return nil, err
	}
	if k.organization, err = orNone(r.tx.Organization(r.ctx, cr.Organization)); err != nil {
		return nil, err
	}
	if k.issuer, err = orNone(r.tx.Issuer(r.ctx, cr.Environment)); err != nil {
		return nil, err
	}
	if k.offer, err = c.newest(r.ctx, r.tx, cr.Environment); err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Conflict) {
		return nil, err
	}
	k.grants, err = all(grantID, func(after id.ID, n int) ([]grant.Grant, error) {
		return r.tx.Grants(r.ctx, grant.Filter{Organization: cr.Organization, Application: cr.Application, Environment: cr.Environment, State: string(grant.Active)}, after, n)
	})
	return &k, err
}
