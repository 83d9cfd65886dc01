package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

const (
	personColumns = `id, class, organization, email, name, password, roles, state, created, version`
	personGet     = `SELECT ` + personColumns + ` FROM people WHERE id = $1`
	personByEmail = `SELECT ` + personColumns + ` FROM people WHERE email_key = $1`
	personHas     = `SELECT version FROM people WHERE id = $1`
	personInsert  = `INSERT INTO people (id, class, organization, email, email_key, name, password, roles, state, created, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 + 1) RETURNING ` + personColumns
	personUpdate = `UPDATE people SET class = $2, organization = $3, email = $4, email_key = $5, name = $6, password = $7, roles = $8,
		state = $9, created = $10, version = version + 1 WHERE id = $1 AND version = $11 RETURNING ` + personColumns
	peopleOf   = `SELECT ` + personColumns + ` FROM people`
	staffRoles = `SELECT roles FROM people WHERE organization = '' AND class = $1 AND state = $2`
)

func scanPerson(r row) (p identity.Person, err error) {
	err = r.Scan(&p.ID, &p.Class, &p.Organization, &p.Email, &p.Name, &p.Password, from[[]identity.Role]{&p.Roles}, &p.State,
		when{&p.Created}, &p.Version)
	return p, err
}

func (t *tx) Person(ctx context.Context, i id.ID) (identity.Person, error) {
	return get(ctx, t, scanPerson, "person", personGet, string(i))
}

func (t *tx) PersonByEmail(ctx context.Context, email string) (identity.Person, error) {
	return get(ctx, t, scanPerson, "person", personByEmail, key(email))
}

func (t *tx) PutPerson(ctx context.Context, p identity.Person) (identity.Person, error) {
	return put(ctx, t, scanPerson, "person", personInsert, personUpdate, personHas, string(p.ID), int64(p.Class), string(p.Organization),
		p.Email, key(p.Email), p.Name, p.Password, doc(p.Roles), string(p.State), at(p.Created), p.Version)
}

func (t *tx) PeopleByID(ctx context.Context, is []id.ID) ([]identity.Person, error) {
	return among(ctx, t, scanPerson, peopleOf+` WHERE id`, is)
}

func (t *tx) People(ctx context.Context, organization, after id.ID, limit int) ([]identity.Person, error) {
	var w where
	w.must(`organization = $`, string(organization))
	if organization == "" {
		w.must(`class = $`, int64(identity.Staff))
	}
	q := peopleOf + w.page(string(after), limit)
	return all(ctx, t, scanPerson, q, w.args...)
}

func (t *tx) CountStaff(ctx context.Context, r identity.Role) (int, error) {
	roles, err := all(ctx, t, func(r row) (roles []identity.Role, err error) {
		err = r.Scan(from[[]identity.Role]{&roles})
		return roles, err
	}, staffRoles, int64(identity.Staff), string(identity.Active))
	n := 0
	for _, of := range roles {
		if slices.Contains(of, r) {
			n++
		}
	}
	return n, err
}

const (
	linkAdd = `INSERT INTO links (hash, purpose, person, created, expires, used) VALUES ($1, $2, $3, $4, $5, $6)`
	linkUse = `UPDATE links SET used = $3 WHERE hash = $1 AND purpose = $2 AND used = 0 AND expires > $3
		RETURNING hash, purpose, person, created, expires, used`
)

func (t *tx) AddLink(ctx context.Context, l identity.Link) error {
	_, err := t.exec(ctx, linkAdd, l.Hash[:], string(l.Purpose), string(l.Person), at(l.Created), at(l.Expires), at(l.Used))
	return err
}

func (t *tx) UseLink(ctx context.Context, h secret.Hash, p identity.LinkPurpose, now time.Time) (identity.Link, error) {
	if !t.write {
		return identity.Link{}, fault.New(fault.Internal, "a view changes nothing")
	}
	l, err := one(ctx, t, func(r row) (l identity.Link, err error) {
		err = r.Scan(hash{&l.Hash}, &l.Purpose, &l.Person, when{&l.Created}, when{&l.Expires}, when{&l.Used})
		return l, err
	}, linkUse, h[:], string(p), at(now))
	if errors.Is(err, sql.ErrNoRows) {
		return l, fault.New(fault.Gone, "this link has been used, has expired or never was")
	}
	return l, err
}

const (
	machineColumns = `id, name, hash, person, organization, class, roles, created, expires, revoked, version`
	machineGet     = `SELECT ` + machineColumns + ` FROM machines WHERE id = $1`
	machineByHash  = `SELECT ` + machineColumns + ` FROM machines WHERE hash = $1`
	machineHas     = `SELECT version FROM machines WHERE id = $1`
	machineInsert  = `INSERT INTO machines (` + machineColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 + 1) RETURNING ` + machineColumns
	machineUpdate = `UPDATE machines SET name = $2, hash = $3, person = $4, organization = $5, class = $6, roles = $7, created = $8,
		expires = $9, revoked = $10, version = version + 1 WHERE id = $1 AND version = $11 RETURNING ` + machineColumns
	machinesOf = `SELECT ` + machineColumns + ` FROM machines`
)

func scanMachine(r row) (m identity.MachineToken, err error) {
	err = r.Scan(&m.ID, &m.Name, hash{&m.Hash}, &m.Person, &m.Organization, &m.Class, from[[]identity.Role]{&m.Roles},
		when{&m.Created}, when{&m.Expires}, when{&m.Revoked}, &m.Version)
	return m, err
}

func (t *tx) PutMachine(ctx context.Context, m identity.MachineToken) (identity.MachineToken, error) {
	return put(ctx, t, scanMachine, "machine token", machineInsert, machineUpdate, machineHas, string(m.ID), m.Name, m.Hash[:],
		string(m.Person), string(m.Organization), int64(m.Class), doc(m.Roles), at(m.Created), at(m.Expires), at(m.Revoked), m.Version)
}

func (t *tx) Machine(ctx context.Context, i id.ID) (identity.MachineToken, error) {
	return get(ctx, t, scanMachine, "machine token", machineGet, string(i))
}

func (t *tx) MachineByHash(ctx context.Context, h secret.Hash) (identity.MachineToken, error) {
	return get(ctx, t, scanMachine, "machine token", machineByHash, h[:])
}

func (t *tx) Machines(ctx context.Context, person, after id.ID, limit int) ([]identity.MachineToken, error) {
	var w where
	w.and(`person = $`, string(person))
	q := machinesOf + w.page(string(after), limit)
	return all(ctx, t, scanMachine, q, w.args...)
}

const (
	deviceColumns = `hash, user_code, client, created, expires, person, denied, used`
	deviceOver    = `DELETE FROM devices WHERE user_code = $1 AND expires <= $2`
	deviceAdd     = `INSERT INTO devices (` + deviceColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	deviceByCode  = `SELECT ` + deviceColumns + ` FROM devices WHERE user_code = $1 AND person = '' AND denied = 0 AND expires > $2`
	deviceByHash  = `SELECT ` + deviceColumns + ` FROM devices WHERE hash = $1`
	deviceSet     = `UPDATE devices SET person = $2, denied = $3, used = $4 WHERE hash = $1`
)

func scanDevice(r row) (d identity.Device, err error) {
	err = r.Scan(hash{&d.Hash}, &d.UserCode, &d.Client, when{&d.Created}, when{&d.Expires}, &d.Person, &d.Denied, &d.Used)
	return d, err
}

func (t *tx) AddDevice(ctx context.Context, d identity.Device) error {
	if _, err := t.exec(ctx, deviceOver, d.UserCode, at(d.Created)); err != nil {
		return err
	}
	_, err := t.exec(ctx, deviceAdd, d.Hash[:], d.UserCode, d.Client, at(d.Created), at(d.Expires), string(d.Person), flag(d.Denied), flag(d.Used))
	return err
}

func (t *tx) DeviceByUserCode(ctx context.Context, code string, now time.Time) (identity.Device, error) {
	return get(ctx, t, scanDevice, "sign-in", deviceByCode, code, at(now))
}

func (t *tx) DeviceByHash(ctx context.Context, h secret.Hash) (identity.Device, error) {
	return get(ctx, t, scanDevice, "sign-in", deviceByHash, h[:])
}

func (t *tx) SetDevice(ctx context.Context, d identity.Device) error {
	n, err := t.exec(ctx, deviceSet, d.Hash[:], string(d.Person), flag(d.Denied), flag(d.Used))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "there is no such sign-in")
	}
	return err
}
