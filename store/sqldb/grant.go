package sqldb

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
)

const (
	grantColumns = `id, request, organization, application, environment, product, plan, scopes, purpose, approved_by, starts, ends,
		state, reason, ended, more, version`
	grantGet    = `SELECT ` + grantColumns + ` FROM grants WHERE id = $1`
	grantHas    = `SELECT version FROM grants WHERE id = $1`
	grantInsert = `INSERT INTO grants (` + grantColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 + 1)`
	grantSets = `request = $2, product = $6, plan = $7, scopes = $8, purpose = $9, approved_by = $10, starts = $11, ends = $12, state = $13,
		reason = $14, ended = $15, more = $16, version = version + 1 WHERE id = $1 AND version = $17`
	grantNarrow = `UPDATE grants SET ` + grantSets + ` AND organization = $3 AND application = $4 AND environment = $5`
	grantUpdate = `UPDATE grants SET organization = $3, application = $4, environment = $5, ` + grantSets
	grantsOf    = `SELECT ` + grantColumns + ` FROM grants`
)

// grantMore is what stands in the document of a grant.
type grantMore struct {
	Emergency  bool      `json:"emergency,omitempty"`
	Reviewed   time.Time `json:"reviewed,omitzero"`
	ReviewedBy id.ID     `json:"reviewed_by,omitempty"`

	ScopesSince map[string]time.Time `json:"scopes_since,omitempty"`
}

func scanGrant(r row) (g grant.Grant, err error) {
	var m grantMore
	err = r.Scan(&g.ID, &g.Request, &g.Organization, &g.Application, &g.Environment, &g.Product, &g.Plan, from[[]string]{&g.Scopes},
		&g.Purpose, from[[]id.ID]{&g.ApprovedBy}, when{&g.From}, when{&g.Until}, &g.State, &g.Reason, when{&g.Ended},
		from[grantMore]{&m}, &g.Version)
	g.Emergency, g.Reviewed, g.ReviewedBy, g.ScopesSince = m.Emergency, m.Reviewed, m.ReviewedBy, m.ScopesSince
	return g, err
}

// grants is how they are filed. The place is organization, application and environment.
var grants = filing{what: "grant", insert: grantInsert, exists: grantHas, narrow: grantNarrow, update: grantUpdate, place: []int{2, 3, 4}}

func (t *tx) Grant(ctx context.Context, i id.ID) (grant.Grant, error) {
	g, err := get(ctx, t, scanGrant, "grant", grantGet, string(i))
	if err == nil {
		t.read(g.ID, string(g.Organization), string(g.Application), g.Environment, g.Version)
	}
	return g, err
}

func (t *tx) PutGrant(ctx context.Context, g grant.Grant) (grant.Grant, error) {
	return putRow(ctx, t, scanGrant, grants, string(g.ID), string(g.Request), string(g.Organization),
		string(g.Application), g.Environment, g.Product, g.Plan, doc(g.Scopes), g.Purpose, doc(g.ApprovedBy), at(g.From), at(g.Until),
		string(g.State), g.Reason, at(g.Ended), doc(grantMore{g.Emergency, g.Reviewed, g.ReviewedBy, g.ScopesSince}), g.Version)
}

// endingFew is how many grants that end by a time are sorted by ID; of more, most pages are full after a look at some.
const endingFew = 20_000

// endingBy finds grants that end by a time, in the order of their ends. That it does not look for IDs keeps SQLite from finding
// all that are active first.
const endingBy = `(SELECT id FROM grants WHERE state = 'active' AND ends < $1 AND id || '' > $2 ORDER BY ends, id LIMIT $3)`

func (t *tx) Grants(ctx context.Context, f grant.Filter, after id.ID, limit int) ([]grant.Grant, error) {
	var w where
	selected(&w, f, "")
	if !f.Ending.IsZero() {
		if f.Application == "" && f.Organization == "" {
			n, err := one(ctx, t, scanInt, `SELECT COUNT(*) FROM `+endingBy+` few`, at(f.Ending), string(after), int64(endingFew+1))
			if err != nil {
				return nil, err
			}
			if n <= endingFew {
				w = where{text: ` WHERE id IN ` + endingBy, args: []any{at(f.Ending), string(after), int64(endingFew)}}
				selected(&w, f, anyway)
				q := grantsOf + w.text + ` ORDER BY id LIMIT ` + w.add(first(limit))
				return all(ctx, t, scanGrant, q, w.args...)
			}
		}
		w.must(`state || '' = 'active' AND +ends < $`, at(f.Ending)) // which finds nothing, as that would read all of them before the first
		if f.Application == "" && f.Organization == "" {
			w.has(`state = 'active'`)
		}
	}
	q := grantsOf + w.page(string(after), limit)
	return all(ctx, t, scanGrant, q, w.args...)
}

func (t *tx) GrantsAmong(ctx context.Context, applications []id.ID) ([]grant.Grant, error) {
	return among(ctx, t, scanGrant, grantsOf+` WHERE application`, applications)
}

// anyway keeps a condition from finding rows: it only looks at what was found.
const anyway = ` || ''`

// selected adds the conditions of a filter. When an application is set it finds rows, else an organization: the others only look
// at what was found, as SQLite, which does not count, would else find all that are active instead of those of one application.
func selected(w *where, f grant.Filter, as string) {
	for _, c := range []struct{ column, value string }{{"application", string(f.Application)}, {"organization", string(f.Organization)}} {
		w.and(c.column+as+` = $`, c.value)
		if c.value != "" {
			as = anyway
		}
	}
	w.and(`environment`+as+` = $`, f.Environment)
	w.and(`state`+as+` = $`, f.State)
}

const (
	requestColumns = `id, organization, application, environment, product, plan, scopes, purpose, duration, by_person, created, state,
		stages, decisions, grant_id, more, due, version`
	requestGet    = `SELECT ` + requestColumns + ` FROM requests WHERE id = $1`
	requestHas    = `SELECT version FROM requests WHERE id = $1`
	requestInsert = `INSERT INTO requests (` + requestColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 + 1) RETURNING ` + requestColumns
	requestUpdate = `UPDATE requests SET organization = $2, application = $3, environment = $4, product = $5, plan = $6, scopes = $7,
		purpose = $8, duration = $9, by_person = $10, created = $11, state = $12, stages = $13, decisions = $14, grant_id = $15,
		more = $16, due = $17, version = version + 1 WHERE id = $1 AND version = $18 RETURNING ` + requestColumns
	requestsOf    = `SELECT ` + requestColumns + ` FROM requests`
	requestsClaim = `UPDATE requests SET due = $2
		WHERE id IN (SELECT id FROM requests WHERE state = 'open' AND due > 0 AND due <= $1 ORDER BY due, id LIMIT $3)
		RETURNING ` + requestColumns
)

// requestMore is what stands in the document of a request.
type requestMore struct {
	Sort      grant.Sort       `json:"sort,omitempty"`
	Of        id.ID            `json:"of,omitempty"`
	Questions []grant.Question `json:"questions,omitempty"`
	Rule      *grant.Ruling    `json:"rule,omitempty"`
	Since     time.Time        `json:"since,omitzero"`
	Reminded  bool             `json:"reminded,omitempty"`
	Escalated bool             `json:"escalated,omitempty"`
}

func scanRequest(r row) (grant.Request, error) {
	var q grant.Request
	var micros, due int64
	var m requestMore
	err := r.Scan(&q.ID, &q.Organization, &q.Application, &q.Environment, &q.Product, &q.Plan, from[[]string]{&q.Scopes}, &q.Purpose,
		&micros, &q.By, when{&q.Created}, &q.State, from[[]grant.Stage]{&q.Stages}, from[[]grant.Decision]{&q.Decisions}, &q.Grant,
		from[requestMore]{&m}, &due, &q.Version)
	q.Sort, q.Of, q.Questions, q.Rule, q.Since, q.Reminded, q.Escalated = m.Sort, m.Of, m.Questions, m.Rule, m.Since, m.Reminded, m.Escalated
	q.Duration = time.Duration(micros) * time.Microsecond
	return q, err
}

func (t *tx) Request(ctx context.Context, i id.ID) (grant.Request, error) {
	return get(ctx, t, scanRequest, "access request", requestGet, string(i))
}

func (t *tx) PutRequest(ctx context.Context, r grant.Request) (grant.Request, error) {
	return put(ctx, t, scanRequest, "access request", requestInsert, requestUpdate, requestHas, string(r.ID), string(r.Organization),
		string(r.Application), r.Environment, r.Product, r.Plan, doc(r.Scopes), r.Purpose, r.Duration.Microseconds(), string(r.By),
		at(r.Created), string(r.State), doc(r.Stages), doc(r.Decisions), string(r.Grant),
		doc(requestMore{r.Sort, r.Of, r.Questions, r.Rule, r.Since, r.Reminded, r.Escalated}), at(r.Due()), r.Version)
}

func (t *tx) Requests(ctx context.Context, f grant.Filter, after id.ID, limit int) ([]grant.Request, error) {
	var w where
	selected(&w, f, "")
	q := requestsOf + w.page(string(after), limit)
	return all(ctx, t, scanRequest, q, w.args...)
}

func (t *tx) ClaimRequests(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]grant.Request, error) {
	if !t.write {
		return nil, fault.New(fault.Internal, "a view changes nothing")
	}
	rs, err := all(ctx, t, scanRequest, requestsClaim, at(now), at(now.Add(lease)), first(limit))
	slices.SortFunc(rs, func(a, b grant.Request) int { return cmp.Compare(a.ID, b.ID) }) // RETURNING promises no order
	return rs, err
}
