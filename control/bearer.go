package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

const (
	machineLongest = 366 * 24 * time.Hour // a year, whichever
	machineMost    = 50                   // live tokens of one person
)

// ByBearer returns the actor of a bearer token: a machine token (ghm_…), a session's (ghs_…) or the host's (ghh_…).
func (c *Control) ByBearer(ctx context.Context, token secret.Value, address, requestID string) (identity.Actor, error) {
	switch kind, _, _ := strings.Cut(token.Reveal(), "_"); kind {
	case "ghs":
		return c.BySession(ctx, token, address, requestID)
	case "ghm":
		return c.byMachine(ctx, token, address, requestID)
	case "ghh":
		if token.Hash().Matches(c.host.Hash()) {
			return identity.Actor{Class: identity.Host, Name: "the host's owner", Address: address, RequestID: requestID}, nil
		}
	}
	return identity.Actor{}, badToken()
}

func badToken() error {
	return fault.Of(fault.Unauthenticated, "bad-token", "this token is not known, or is over")
}

// byMachine returns the actor of a machine token: the roles that the token was given and that its person still has.
func (c *Control) byMachine(ctx context.Context, token secret.Value, address, requestID string) (identity.Actor, error) {
	m, p, err := c.machines.of(c.Store, token, func() (m identity.MachineToken, p identity.Person, err error) {
		err = c.Store.View(ctx, func(tx store.Tx) error {
			if m, err = tx.MachineByHash(ctx, token.Hash()); err != nil {
				return err
			}
			p, err = tx.Person(ctx, m.Person)
			return err
		})
		return m, p, err
	})
	switch {
	case errors.Is(err, fault.NotFound) && m.ID == "",
		err == nil && (!m.Revoked.IsZero() || !c.now().Before(m.Expires) || p.State != identity.Active):
		return identity.Actor{}, badToken()
	case err != nil:
		return identity.Actor{}, err
	}
	a := identity.Actor{Class: identity.Machine, ID: m.ID, Person: p.ID, Name: m.Name, Email: p.Email,
		Organization: p.Organization, Address: address, RequestID: requestID}
	for _, r := range m.Roles {
		if covers(p.Roles, r) {
			a.Roles = append(a.Roles, r)
		}
	}
	return a, nil
}

// HostToken makes the token by which whoever owns the data directory acts as Host. It is valid while this process runs.
func (c *Control) HostToken() secret.Value { return c.host }

// CreateMachineToken makes a token (ghm_…) with some of the actor's own roles, for at most a year.
func (c *Control) CreateMachineToken(ctx context.Context, a identity.Actor, name string, roles []identity.Role, expires time.Time) (identity.MachineToken, secret.Value, error) {
	var m identity.MachineToken
	var token secret.Value
	if err := allow(a, "CreateMachineToken"); err != nil {
		return m, token, err
	}
	now := c.now()
	var f form
	name = f.name("/name", name, longestName)
	if len(roles) == 0 {
		f.bad("/roles", "give at least one role")
	}
	for _, r := range roles {
		if !covers(a.Roles, r) {
			f.bad("/roles", "%q is not a role of yours", clip(string(r)))
		}
	}
	expires = expires.UTC().Truncate(time.Microsecond)
	if !expires.After(now) || expires.After(now.Add(machineLongest)) {
		f.bad("/expires", "must be in the future, and at most a year from now")
	}
	if err := f.err(); err != nil {
		return m, token, err
	}
	err := c.update(ctx, a, "CreateMachineToken", func(w *write) (err error) {
		m, token, err = w.addMachine(name, roles, expires)
		return err
	})
	return m, token, err
}

// addMachine makes a machine token for the actor's person.
func (w *write) addMachine(name string, roles []identity.Role, expires time.Time) (identity.MachineToken, secret.Value, error) {
	have, err := w.tx.Machines(w.ctx, w.a.Person, "", pageMost)
	if err != nil {
		return identity.MachineToken{}, secret.Value{}, err
	}
	live := 0
	for _, m := range have {
		if m.Revoked.IsZero() && w.now.Before(m.Expires) {
			live++
		}
	}
	if live >= machineMost {
		return identity.MachineToken{}, secret.Value{}, fault.Of(fault.Conflict, "too-many-tokens", "you have %d live tokens: revoke one first", live)
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	token := secret.Random("ghm_")
	class := identity.Staff
	if ofPartner(w.a) {
		class = identity.Member
	}
	m, err := w.putMachine("machine.create", identity.MachineToken{}, identity.MachineToken{
		ID: w.fresh(id.Machine), Name: name, Hash: token.Hash(), Person: w.a.Person, Organization: w.a.Organization,
		Class: class, Roles: slices.Compact(roles), Created: w.now, Expires: expires,
	})
	return m, token, err
}

// MachineTokens lists the actor's own; for an admin, all.
func (c *Control) MachineTokens(ctx context.Context, a identity.Actor, p Page) (List[identity.MachineToken], error) {
	var out List[identity.MachineToken]
	err := c.view(ctx, a, "MachineTokens", func(r read) (err error) {
		person := a.Person
		if callers(a)&(admin|host) != 0 {
			person = ""
		}
		out, err = collect(p, id.Machine, func(m identity.MachineToken) id.ID { return m.ID }, nil,
			func(after id.ID, n int) ([]identity.MachineToken, error) { return r.tx.Machines(ctx, person, after, n) })
		return err
	})
	return out, err
}

// RevokeMachineToken ends one: the actor's own, for an owner any of the organization, for an admin any.
func (c *Control) RevokeMachineToken(ctx context.Context, a identity.Actor, i id.ID) (identity.MachineToken, error) {
	var m identity.MachineToken
	err := c.update(ctx, a, "RevokeMachineToken", func(w *write) (err error) {
		m, err = look(w.read, "machine token", id.Machine, i, func(m identity.MachineToken) id.ID { return m.Organization }, w.tx.Machine)
		if err != nil {
			return err
		}
		if m.Person != a.Person && callers(a)&(admin|owner) == 0 {
			return missing("machine token")
		}
		if !m.Revoked.IsZero() {
			return fault.New(fault.Conflict, "this token is already revoked")
		}
		old := m
		m.Revoked = w.now
		m, err = w.putMachine("machine.revoke", old, m)
		return err
	})
	return m, err
}

// clip is how much of a wrong input is said back.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// liveMachines lists the tokens that act for the person now.
func (r read) liveMachines(p identity.Person) ([]identity.MachineToken, error) {
	ms, err := all(machineID, func(after id.ID, n int) ([]identity.MachineToken, error) {
		return r.tx.Machines(r.ctx, p.ID, after, n)
	})
	return slices.DeleteFunc(ms, func(m identity.MachineToken) bool { return !m.Revoked.IsZero() || !r.now.Before(m.Expires) }), err
}

func machineID(m identity.MachineToken) id.ID { return m.ID }

// revokeMachinesOf ends every token of the person, so that none comes back with them.
func (w *write) revokeMachinesOf(p identity.Person) error {
	ms, err := w.liveMachines(p)
	for _, m := range ms {
		old := m
		m.Revoked = w.now
		if err == nil {
			_, err = w.putMachine("machine.revoke", old, m)
		}
	}
	return err
}
