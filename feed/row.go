package feed

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/id"
)

// Row is a record as a gateway needs it and nothing more: how an image carries those of which there are millions. What only
// people read (names, the public part of a key) is not in it.
type Row struct {
	Kind    Kind    // KindApplication, KindCredential or KindGrant
	ID      id.Bits // of it
	Owner   id.Bits // of a credential or grant: the application; of an application: the organization
	State   RowState
	Proof   RowProof // of a credential: its kind
	Hash    [32]byte // of a credential
	From    int64    // of a grant, in microseconds since 1970
	Until   int64    // of a grant, and when a credential expires
	Offered *Offered // of a grant
}

// Offered is what a grant is for. Rows share it.
type Offered struct {
	Product string   `json:"product"`
	Plan    string   `json:"plan"`
	Scopes  []string `json:"scopes"`
}

// RowState is how a record stands.
type RowState uint8

// The states. Of an application RowActive is live, and anything else is not.
const (
	RowOver RowState = iota
	RowSuspended
	RowActive
	RowPending
	rowStates
)

// RowProof is the number of a credential's kind.
type RowProof uint8

// proofs are the kinds of credentials that rows have.
var proofs = [...]string{"api_key", "oauth_client", "client_certificate", "workload_identity"}

// Name is the kind of credential.
func (p RowProof) Name() string { return proofs[p] }

// Valid reports whether the row says something that rows say.
func (r *Row) Valid() bool {
	switch r.Kind {
	case KindApplication:
		return r.State == RowOver || r.State == RowActive
	case KindCredential:
		return r.State < rowStates && int(r.Proof) < len(proofs)
	case KindGrant:
		return r.State <= RowActive && r.Offered != nil
	}
	return false
}

// RowOf is the entry as a row; false for one that says more than a row has place for.
func RowOf(e Entry) (r Row, ok bool) {
	r.Kind = e.Kind
	switch e.Kind {
	case KindApplication:
		ok = r.application(e.Payload)
	case KindCredential:
		ok = r.credential(e.Payload)
	case KindGrant:
		ok = r.grant(e.Payload)
	}
	if ok {
		return r, true
	}
	return rowOf(e)
}

// rowOf is RowOf for whatever JSON says the same.
func rowOf(e Entry) (r Row, ok bool) {
	r.Kind = e.Kind
	switch e.Kind {
	case KindApplication:
		var a Application
		if exactly(e.Payload, &a) != nil {
			return r, false
		}
		if a.Live {
			r.State = RowActive
		}
		return r, r.ids(id.Application, a.ID, id.Organization, a.Organization)
	case KindCredential:
		var c Credential
		if exactly(e.Payload, &c) != nil || len(c.Hash) != len(r.Hash) || len(c.Grants)+len(c.Sources)+len(c.Claims) > 0 || c.Withdrawn {
			return r, false
		}
		if r.Proof, ok = proofOf(c.Kind); !ok {
			return r, false
		}
		r.Hash, r.Until = [32]byte(c.Hash), c.Expires.UnixMicro()
		if r.State = RowActive; !c.Live {
			r.State = endedState(c.Ended)
		}
		return r, r.ids(id.Credential, c.ID, id.Application, c.Application) && whole(c.Expires)
	case KindGrant:
		var g Grant
		if exactly(e.Payload, &g) != nil || g.Withdrawn {
			return r, false
		}
		if r.State, ok = grantState(g.State); !ok {
			return r, false
		}
		r.From, r.Until, r.Offered = g.From.UnixMicro(), g.Until.UnixMicro(), &Offered{g.Product, g.Plan, g.Scopes}
		return r, r.ids(id.Grant, g.ID, id.Application, g.Application) && whole(g.From) && whole(g.Until)
	}
	return r, false
}

func proofOf(kind string) (RowProof, bool) {
	i := slices.Index(proofs[:], kind)
	return RowProof(max(i, 0)), i >= 0
}

// endedState is how a credential stands that is not live.
func endedState(word string) RowState {
	switch word {
	case "suspended":
		return RowSuspended
	case "pending":
		return RowPending
	}
	return RowOver
}

func grantState(word string) (RowState, bool) {
	switch word {
	case "active":
		return RowActive, true
	case "suspended":
		return RowSuspended, true
	case "ended":
		return RowOver, true
	}
	return RowOver, false
}

func (r *Row) ids(k id.Kind, own id.ID, ownerKind id.Kind, owner id.ID) bool {
	var mine, its bool
	r.ID, mine = own.Bits(k)
	r.Owner, its = owner.Bits(ownerKind)
	return mine && its
}

// whole reports whether a time has a number of microseconds.
func whole(t time.Time) bool {
	return time.UnixMicro(t.UnixMicro()).Equal(t.Truncate(time.Microsecond))
}

// exactly decodes what has no other fields than those: a field that is not known here may narrow what is allowed.
func exactly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
