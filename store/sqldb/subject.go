package sqldb

import (
	"context"

	"gatehouse/id"
	"gatehouse/identity"
)

const (
	subjectColumns = `issuer, subject, person, provider, roles, created, used`
	subjectGet     = `SELECT ` + subjectColumns + ` FROM subjects WHERE issuer = $1 AND subject = $2`
	subjectsOf     = `SELECT ` + subjectColumns + ` FROM subjects WHERE person = $1 ORDER BY issuer, subject`
	subjectsDrop   = `DELETE FROM subjects WHERE person = $1`
	subjectPut     = `INSERT INTO subjects (` + subjectColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (issuer, subject) DO UPDATE SET person = $3, provider = $4, roles = $5, created = $6, used = $7`
)

func scanSubject(r row) (s identity.Subject, err error) {
	err = r.Scan(&s.Issuer, &s.Subject, &s.Person, &s.Provider, from[[]identity.Role]{&s.Roles}, when{&s.Created}, when{&s.Used})
	return s, err
}

func (t *tx) Subject(ctx context.Context, issuer, subject string) (identity.Subject, error) {
	return get(ctx, t, scanSubject, "subject of a provider", subjectGet, issuer, subject)
}

func (t *tx) PutSubject(ctx context.Context, s identity.Subject) error {
	_, err := t.exec(ctx, subjectPut, s.Issuer, s.Subject, string(s.Person), s.Provider, doc(s.Roles), at(s.Created), at(s.Used))
	return err
}

func (t *tx) SubjectsOf(ctx context.Context, person id.ID) ([]identity.Subject, error) {
	return all(ctx, t, scanSubject, subjectsOf, string(person))
}

func (t *tx) DropSubjects(ctx context.Context, person id.ID) error {
	_, err := t.exec(ctx, subjectsDrop, string(person))
	return err
}
