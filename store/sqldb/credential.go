package sqldb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

const (
	credentialColumns = `id, organization, application, environment, kind, name, public_id, hash, grants, state, created, created_by,
		expires, retire_at, revoked, reason, sources, replaces, held, leaked, oauth, earlier_hash, earlier_until, workload, cert_name, secret_since,
		key_print, version`
	credentialGet      = `SELECT ` + credentialColumns + ` FROM credentials WHERE id = $1`
	credentialByPublic = `SELECT ` + credentialColumns + ` FROM credentials WHERE public_id = $1`
	credentialHas      = `SELECT version FROM credentials WHERE id = $1`
	credentialInsert   = `INSERT INTO credentials (` + credentialColumns + `, seen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28 + 1, $11 / 86400000000)`
	credentialSets = `environment = $4, kind = $5, name = $6, hash = $8, grants = $9, state = $10, created = $11, created_by = $12,
		expires = $13, retire_at = $14, revoked = $15, reason = $16, sources = $17, replaces = $18, held = $19, leaked = $20, oauth = $21,
		earlier_hash = $22, earlier_until = $23, workload = $24, cert_name = $25, secret_since = $26, key_print = $27, version = version + 1
		WHERE id = $1 AND version = $28`
	credentialNarrow = `UPDATE credentials SET ` + credentialSets + ` AND organization = $2 AND application = $3 AND public_id = $7`
	credentialUpdate = `UPDATE credentials SET organization = $2, application = $3, public_id = $7, ` + credentialSets
	credentialsOf    = `SELECT ` + credentialColumns + ` FROM credentials`

	proofsGone   = `DELETE FROM credential_proofs WHERE credential = $1`
	proofAdd     = `INSERT INTO credential_proofs (proof, credential) VALUES ($1, $2)`
	proofsShared = credentialsOf + ` WHERE state <> 'revoked' AND id IN (SELECT o.credential FROM credential_proofs p
		JOIN credential_proofs o ON o.proof = p.proof WHERE p.credential = $1 AND o.credential <> p.credential) ORDER BY id LIMIT $2`

	useColumns = `credential, grant_id, api, operation, calls, last, gateway, address`
	useMerge   = `
		ON CONFLICT (credential, grant_id, api, operation) DO UPDATE SET calls = credential_uses.calls + excluded.calls,
		gateway = CASE WHEN excluded.last >= credential_uses.last THEN excluded.gateway ELSE credential_uses.gateway END,
		address = CASE WHEN excluded.last >= credential_uses.last THEN excluded.address ELSE credential_uses.address END,
		last = CASE WHEN excluded.last >= credential_uses.last THEN excluded.last ELSE credential_uses.last END`
	usesAmong    = `SELECT ` + useColumns + ` FROM credential_uses WHERE credential`
	usesOfGrants = `SELECT ` + useColumns + ` FROM credential_uses WHERE grant_id`
	usesOf       = `SELECT ` + useColumns + ` FROM credential_uses WHERE credential = $1 ORDER BY grant_id, api, operation`
	usesOfGrant  = `SELECT ` + useColumns + ` FROM credential_uses WHERE grant_id = $1 ORDER BY credential, api, operation`
	workloadBind = `INSERT INTO workload_bindings (mark, credential) VALUES ($1, $2)
		ON CONFLICT (mark) DO UPDATE SET credential = excluded.credential WHERE workload_bindings.credential = $3 RETURNING credential`
	workloadOf = `SELECT credential FROM workload_bindings WHERE mark = $1`
	dormantOf  = `SELECT ` + credentialColumns + `, seen FROM credentials`
	sawOn      = `UPDATE credentials SET seen = $1 WHERE seen < $1 AND id IN `
)

func scanCredential(r row) (c credential.Credential, err error) {
	var held int64
	err = r.Scan(&c.ID, &c.Organization, &c.Application, &c.Environment, &c.Kind, &c.Name, &c.PublicID, hash{&c.Hash},
		from[[]id.ID]{&c.Grants}, &c.State, when{&c.Created}, &c.CreatedBy, when{&c.Expires}, when{&c.RetireAt}, when{&c.Revoked},
		&c.Reason, from[[]string]{&c.Sources}, &c.Replaces, &held, when{&c.Leaked}, from[*credential.OAuth]{&c.OAuth},
		hash{&c.Earlier}, when{&c.EarlierUntil}, from[*credential.Workload]{&c.Workload}, from[*credential.CertName]{&c.CertName}, when{&c.SecretSince}, &c.KeyPrint, &c.Version)
	c.Held = held != 0
	return c, err
}

// credentials is how they are filed. The place is organization, application and public ID.
var credentials = filing{what: "credential", insert: credentialInsert, exists: credentialHas, narrow: credentialNarrow, update: credentialUpdate,
	place: []int{1, 2, 6}}

func (t *tx) Credential(ctx context.Context, i id.ID) (credential.Credential, error) {
	c, err := get(ctx, t, scanCredential, "credential", credentialGet, string(i))
	if err == nil {
		t.read(c.ID, string(c.Organization), string(c.Application), c.PublicID, c.Version)
	}
	return c, err
}

func (t *tx) CredentialByPublicID(ctx context.Context, public string) (credential.Credential, error) {
	return get(ctx, t, scanCredential, "credential", credentialByPublic, public)
}

func (t *tx) PutCredential(ctx context.Context, c credential.Credential) (credential.Credential, error) {
	return putRow(ctx, t, scanCredential, credentials, string(c.ID),
		string(c.Organization), string(c.Application), c.Environment, string(c.Kind), c.Name, c.PublicID, c.Hash[:], doc(c.Grants),
		string(c.State), at(c.Created), string(c.CreatedBy), at(c.Expires), at(c.RetireAt), at(c.Revoked), c.Reason, doc(c.Sources), string(c.Replaces), flag(c.Held), at(c.Leaked), doc(c.OAuth),
		c.Earlier[:], at(c.EarlierUntil), doc(c.Workload), doc(c.CertName), at(c.SecretSince), c.KeyPrint, c.Version)
}

func (t *tx) BindWorkload(ctx context.Context, mark secret.Hash, was, next id.ID) error {
	_, err := get(ctx, t, scanText, "binding", workloadBind, mark[:], string(next), string(was))
	if errors.Is(err, fault.NotFound) { // another one has it by now
		return fault.New(fault.Conflict, "the workload is bound to another credential")
	}
	return err
}

func (t *tx) WorkloadOf(ctx context.Context, mark secret.Hash) (id.ID, error) {
	s, err := get(ctx, t, scanText, "binding", workloadOf, mark[:])
	return id.ID(s), err
}

func (t *tx) Credentials(ctx context.Context, organization, application, after id.ID, limit int) ([]credential.Credential, error) {
	var w where
	w.and(`application = $`, string(application))
	w.and(`organization = $`, string(organization))
	q := credentialsOf + w.page(string(after), limit)
	return all(ctx, t, scanCredential, q, w.args...)
}

func (t *tx) CredentialsByID(ctx context.Context, is []id.ID) ([]credential.Credential, error) {
	return among(ctx, t, scanCredential, credentialsOf+` WHERE id`, is)
}

func (t *tx) CredentialsAlive(ctx context.Context, organization, application, after id.ID, limit int) ([]credential.Credential, error) {
	var w where
	w.and(`application = $`, string(application))
	w.and(`organization = $`, string(organization))
	w.has(`state <> 'revoked'`)
	q := credentialsOf + w.page(string(after), limit)
	return all(ctx, t, scanCredential, q, w.args...)
}

func (t *tx) PutProofs(ctx context.Context, i id.ID, proofs []string) error {
	if _, err := t.exec(ctx, proofsGone, string(i)); err != nil {
		return err
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(proofs))) {
		if _, err := t.exec(ctx, proofAdd, p, string(i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) SharedProofs(ctx context.Context, i id.ID, limit int) ([]credential.Credential, error) {
	return all(ctx, t, scanCredential, proofsShared, string(i), first(limit))
}

func (t *tx) Dormant(ctx context.Context, organization, application id.ID, since time.Time, after credential.Place, limit int) ([]credential.Dormant, error) {
	var w where
	w.and(`application = $`, string(application))
	w.and(`organization = $`, string(organization))
	w.has(`state IN ('active', 'retiring')`)
	w.has(`(seen, id) > (` + w.add(after.Seen) + `, ` + w.add(string(after.ID)) + `)`)
	// The day finds them, and may be an earlier one than it was: a release that knows no days makes and uses credentials too.
	from := at(since)
	w.must(`seen <= $`, credential.Day(since))
	w.must(`created < $`, from)
	w.must(`NOT EXISTS (SELECT 1 FROM credential_uses u WHERE u.credential = credentials.id AND u.last >= $)`, from)
	q := dormantOf + w.text + ` ORDER BY seen, id LIMIT ` + w.add(first(limit))
	return all(ctx, t, func(r row) (d credential.Dormant, err error) {
		d.Credential, err = scanCredential(and{r, &d.Place.Seen})
		d.Place.ID = d.ID
		return d, err
	}, q, w.args...)
}

// and is a row with one more column at its end.
type and struct {
	row
	last any
}

func (a and) Scan(dest ...any) error { return a.row.Scan(append(dest, a.last)...) }

func (t *tx) AddUses(ctx context.Context, uses []credential.Use) error {
	uses = merged(uses)
	err := many(ctx, t, `INSERT INTO credential_uses (`+useColumns+`) VALUES `, useMerge, 8, uses, func(args []any, u credential.Use) []any {
		return append(args, string(u.Credential), string(u.Grant), u.API, u.Operation, u.Count, at(u.Last), u.Gateway, u.Address)
	})
	if err != nil {
		return err
	}
	return t.saw(ctx, uses)
}

// saw notes the days on which credentials were used: of each once a day, the rest changes nothing.
func (t *tx) saw(ctx context.Context, uses []credential.Use) error {
	days := map[int64][]id.ID{}
	for i, u := range uses { // by credential
		if day := credential.Day(u.Last); i == 0 || u.Credential != uses[i-1].Credential || day != credential.Day(uses[i-1].Last) {
			days[day] = append(days[day], u.Credential)
		}
	}
	for _, day := range sorted(days, cmp.Compare) {
		if err := t.parts(days[day], func(some []any) error {
			_, err := t.exec(ctx, sawOn+list(2, len(some)), append([]any{day}, some...)...)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// merged adds up uses that are of one row: a statement must not change a row twice.
func merged(uses []credential.Use) []credential.Use {
	type key struct {
		credential, grant id.ID
		api, operation    string
	}
	places := make(map[key]int, len(uses))
	out := make([]credential.Use, 0, len(uses))
	for _, u := range uses {
		k := key{u.Credential, u.Grant, u.API, u.Operation}
		i, again := places[k]
		if !again {
			places[k] = len(out)
			out = append(out, u)
			continue
		}
		u.Count += out[i].Count
		if u.Last.Before(out[i].Last) {
			u.Last, u.Gateway, u.Address = out[i].Last, out[i].Gateway, out[i].Address
		}
		out[i] = u
	}
	slices.SortFunc(out, byRow) // two who write at once lock rows in the same order
	return out
}

func byRow(a, b credential.Use) int {
	return cmp.Or(cmp.Compare(a.Credential, b.Credential), cmp.Compare(a.Grant, b.Grant), cmp.Compare(a.API, b.API), cmp.Compare(a.Operation, b.Operation))
}

func scanUse(r row) (u credential.Use, err error) {
	err = r.Scan(&u.Credential, &u.Grant, &u.API, &u.Operation, &u.Count, when{&u.Last}, &u.Gateway, &u.Address)
	return u, err
}

func (t *tx) Uses(ctx context.Context, i id.ID) ([]credential.Use, error) {
	return all(ctx, t, scanUse, usesOf, string(i))
}

func (t *tx) UsesAmong(ctx context.Context, is []id.ID) (map[id.ID][]credential.Use, error) {
	return usesBy(ctx, t, usesAmong, is, func(u credential.Use) id.ID { return u.Credential })
}

func (t *tx) UsesOfGrants(ctx context.Context, grants []id.ID) (map[id.ID][]credential.Use, error) {
	return usesBy(ctx, t, usesOfGrants, grants, func(u credential.Use) id.ID { return u.Grant })
}

// usesBy reads the uses that are of so many, and tells whose each is.
func usesBy(ctx context.Context, t *tx, q string, is []id.ID, of func(credential.Use) id.ID) (map[id.ID][]credential.Use, error) {
	uses, err := among(ctx, t, scanUse, q, is)
	slices.SortFunc(uses, byRow)
	out := make(map[id.ID][]credential.Use, len(is))
	for _, i := range is {
		out[i] = nil
	}
	for _, u := range uses {
		out[of(u)] = append(out[of(u)], u)
	}
	return out, err
}

func (t *tx) UsesOfGrant(ctx context.Context, grant id.ID) ([]credential.Use, error) {
	return all(ctx, t, scanUse, usesOfGrant, string(grant))
}

func (t *tx) LastUses(ctx context.Context, is []id.ID) (map[id.ID]credential.Use, error) {
	out := map[id.ID]credential.Use{}
	uses, err := among(ctx, t, scanUse, usesAmong, is)
	slices.SortFunc(uses, byRow)
	for _, u := range uses {
		newest := out[u.Credential]
		count := newest.Count + u.Count
		if !u.Last.Before(newest.Last) {
			newest = u
		}
		newest.Count = count
		out[u.Credential] = newest
	}
	return out, err
}
