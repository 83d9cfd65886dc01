package feed

import (
	"bytes"
	"encoding/base64"
	"time"

	"gatehouse/id"
)

// What the payloads of an image's records say is read by hand when they stand as encoding/json writes them and say nothing unusual:
// a million of them are waited for. Whatever else is in them is left to encoding/json, whose answer is the same.

// reading goes through a payload. Once something was not as expected, it is over.
type reading struct {
	b   []byte
	bad bool
}

// skip goes past what must stand next.
func (r *reading) skip(what string) {
	if r.bad = r.bad || len(r.b) < len(what) || string(r.b[:len(what)]) != what; !r.bad {
		r.b = r.b[len(what):]
	}
}

// has goes past what may stand next, and says whether it did.
func (r *reading) has(what string) bool {
	if r.bad || !bytes.HasPrefix(r.b, []byte(what)) {
		return false
	}
	r.b = r.b[len(what):]
	return true
}

// text is a string of plain ASCII without its quotes.
func (r *reading) text() []byte {
	r.skip(`"`)
	for i, c := range r.b {
		switch {
		case r.bad:
			return nil
		case c == '"':
			s := r.b[:i]
			r.b = r.b[i+1:]
			return s
		case c < ' ' || c == '\\' || c > '~':
			r.bad = true
		}
	}
	r.bad = true
	return nil
}

func (r *reading) truth() bool {
	if r.has("true") {
		return true
	}
	r.skip("false")
	return false
}

func (r *reading) bits(k id.Kind) id.Bits {
	b, ok := id.ID(r.text()).Bits(k)
	r.bad = r.bad || !ok
	return b
}

// micros is a time as microseconds since 1970.
func (r *reading) micros() int64 {
	var t time.Time
	s := r.b
	r.text()
	if r.bad || t.UnmarshalJSON(s[:len(s)-len(r.b)]) != nil || !whole(t) {
		r.bad = true
		return 0
	}
	return t.UnixMicro()
}

// end says whether all of it was as expected, to the last byte.
func (r *reading) end() bool {
	r.skip("}")
	return !r.bad && len(r.b) == 0
}

// application reads the payload of one; false where that is left to others.
func (w *Row) application(b []byte) bool {
	r := reading{b: b}
	r.skip(`{"id":`)
	w.ID = r.bits(id.Application)
	r.skip(`,"organization":`)
	w.Owner = r.bits(id.Organization)
	r.skip(`,"name":`)
	r.text()
	r.skip(`,"live":`)
	if w.State = RowOver; r.truth() {
		w.State = RowActive
	}
	return r.end()
}

// credential is as application.
func (w *Row) credential(b []byte) bool {
	r := reading{b: b}
	r.skip(`{"id":`)
	w.ID = r.bits(id.Credential)
	r.skip(`,"application":`)
	w.Owner = r.bits(id.Application)
	r.skip(`,"kind":`)
	proof, ok := proofOf(string(r.text()))
	r.skip(`,"public_id":`)
	r.text()
	r.skip(`,"hash":`)
	var hash [48]byte
	if s := r.text(); base64.StdEncoding.DecodedLen(len(s)) > len(hash) {
		return false
	} else if n, err := base64.StdEncoding.Decode(hash[:], s); !ok || err != nil || n != len(w.Hash) {
		return false
	}
	w.Proof, w.Hash = proof, [32]byte(hash[:])
	r.skip(`,"live":`)
	w.State = RowOver
	if r.truth() {
		w.State = RowActive
	}
	if r.has(`,"ended":`) {
		if ended := string(r.text()); w.State != RowActive {
			w.State = endedState(ended)
		}
	}
	r.skip(`,"expires":`)
	w.Until = r.micros()
	return r.end()
}

// grant is as application.
func (w *Row) grant(b []byte) bool {
	r := reading{b: b}
	r.skip(`{"id":`)
	w.ID = r.bits(id.Grant)
	r.skip(`,"application":`)
	w.Owner = r.bits(id.Application)
	r.skip(`,"product":`)
	product := r.text()
	r.skip(`,"plan":`)
	plan := r.text()
	r.skip(`,"scopes":[`)
	w.Offered = &Offered{string(product), string(plan), []string{}}
	for !r.bad && !r.has(`]`) {
		if len(w.Offered.Scopes) > 0 {
			r.skip(`,`)
		}
		w.Offered.Scopes = append(w.Offered.Scopes, string(r.text()))
	}
	r.skip(`,"from":`)
	w.From = r.micros()
	r.skip(`,"until":`)
	w.Until = r.micros()
	r.skip(`,"state":`)
	state, ok := grantState(string(r.text()))
	w.State = state
	return r.end() && ok
}
