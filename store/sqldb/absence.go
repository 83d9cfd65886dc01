package sqldb

import (
	"context"
	"time"

	"gatehouse/grant"
	"gatehouse/id"
)

const (
	absenceColumns = `id, person, stand_in, starts, ends, ended, version`
	absenceGet     = `SELECT ` + absenceColumns + ` FROM absences WHERE id = $1`
	absenceHas     = `SELECT version FROM absences WHERE id = $1`
	absenceInsert  = `INSERT INTO absences (` + absenceColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7 + 1) RETURNING ` + absenceColumns
	absenceUpdate  = `UPDATE absences SET person = $2, stand_in = $3, starts = $4, ends = $5, ended = $6, version = version + 1
		WHERE id = $1 AND version = $7 RETURNING ` + absenceColumns
	absencesOf = `SELECT ` + absenceColumns + ` FROM absences`
)

func scanAbsence(r row) (a grant.Absence, err error) {
	err = r.Scan(&a.ID, &a.Person, &a.StandIn, when{&a.From}, when{&a.Until}, when{&a.Ended}, &a.Version)
	return a, err
}

func (t *tx) Absence(ctx context.Context, i id.ID) (grant.Absence, error) {
	return get(ctx, t, scanAbsence, "absence", absenceGet, string(i))
}

func (t *tx) PutAbsence(ctx context.Context, a grant.Absence) (grant.Absence, error) {
	return put(ctx, t, scanAbsence, "absence", absenceInsert, absenceUpdate, absenceHas,
		string(a.ID), string(a.Person), string(a.StandIn), at(a.From), at(a.Until), at(a.Ended), a.Version)
}

func (t *tx) Absences(ctx context.Context, person, standIn id.ID, now time.Time, after id.ID, limit int) ([]grant.Absence, error) {
	var w where
	w.and(`person = $`, string(person))
	w.and(`stand_in = $`, string(standIn))
	w.has(`ended = 0`)
	w.must(`ends > $`, at(now))
	return all(ctx, t, scanAbsence, absencesOf+w.page(string(after), limit), w.args...)
}
