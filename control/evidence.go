package control

import (
	"context"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// evidenceMost is how many entries one piece of evidence holds at most: of an organization that does more, ask for its
// requests and grants.
const evidenceMost = 2000

// Evidence exports what the audit log says about a request, grant, credential, application or organization, with the proof of
// each entry: it verifies offline. A grant's holds its requests' entries too, a request's its grant's. Members get their
// organization's, without personal values.
func (c *Control) Evidence(ctx context.Context, a identity.Actor, object id.ID) (audit.Evidence, error) {
	var out audit.Evidence
	err := c.view(ctx, a, "Evidence", func(r read) error {
		objects, err := r.evidenceOf(object)
		if err != nil {
			return err
		}
		var entries []audit.Entry
		for _, o := range objects {
			es, err := r.tx.AuditEntries(ctx, audit.Filter{Object: o}, evidenceMost+1)
			if err != nil {
				return err
			}
			if entries = append(entries, es...); len(entries) > evidenceMost {
				return fault.New(fault.Conflict, "there are more than %d entries about it: take a copy of the database as evidence", evidenceMost)
			}
		}
		if ofPartner(a) {
			for i := range entries {
				for n, p := range entries[i].Personal { // the commitments are part of the leaf
					entries[i].Personal[n] = audit.Personal{Name: p.Name, Commitment: p.Commitment}
				}
			}
		}
		out, err = audit.Prove(ctx, r.tx, c.Keys.Verifier(), object, entries, r.now)
		return err
	})
	return out, err
}

// evidenceOf lists the objects whose entries belong to the evidence of one.
func (r read) evidenceOf(object id.ID) ([]id.ID, error) {
	switch {
	case object.Is(id.Request):
		q, err := r.request(object)
		if err == nil && q.Grant != "" {
			return []id.ID{object, q.Grant}, nil
		}
		return []id.ID{object}, err
	case object.Is(id.Grant):
		g, err := r.grant(object)
		if err != nil {
			return nil, err
		}
		out := []id.ID{object}
		requests, err := r.requestsOf(g)
		for _, q := range requests {
			out = append(out, q.ID)
		}
		return out, err
	case object.Is(id.Credential):
		_, err := r.credential(object)
		return []id.ID{object}, err
	case object.Is(id.Application):
		_, err := r.application(object)
		return []id.ID{object}, err
	case object.Is(id.Review):
		if ofPartner(r.a) { // it tells of others too
			return nil, missing("review")
		}
		_, err := r.review(object)
		return []id.ID{object}, err
	case object.Is(id.Organization):
		_, err := r.organization(object)
		return []id.ID{object}, err
	}
	return nil, missing("object of which there is evidence")
}
