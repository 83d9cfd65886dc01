package disk

import (
	"encoding/binary"
	"encoding/json"

	"gatehouse/feed"
)

// A frame of rows is one byte with what they are (rowsApplications, rowsCredentials, rowsGrants), the number of rows as an
// unsigned varint (encoding/binary), for grants the number of what they are for and each of that as its length and JSON, and
// the rows. A row is:
//
//	one byte    the state (bits 0 to 2), a credential's kind (bits 3 and 4), and bit 5: the owner is that of the row before
//	16 bytes    the identifier
//	16 bytes    the owner's, unless bit 5 is set
//	credential  32 bytes hash, 8 bytes end
//	grant       8 bytes beginning, 8 bytes end, the place of what it is for, as an unsigned varint
//
// Times are microseconds since 1970, the highest byte first.
const (
	rowsApplications = 'a'
	rowsCredentials  = 'c'
	rowsGrants       = 'g'

	rowsMost = 4096 // in one frame: it bounds what both sides hold
	sameBit  = 1 << 5
)

// rows collects those of one kind.
type rows struct {
	kind    byte
	n       int
	owner   [16]byte
	body    []byte
	offered []string // JSON
	places  map[string]uint64
}

func (r *rows) reset() {
	r.n, r.body, r.offered = 0, r.body[:0], r.offered[:0]
	clear(r.places)
}

// add appends a row.
func (r *rows) add(w *feed.Row) error {
	flags := byte(w.State) | byte(w.Proof)<<3
	same := r.n > 0 && w.Owner == r.owner
	if same {
		flags |= sameBit
	}
	r.body = append(append(r.body, flags), w.ID[:]...)
	if !same {
		r.body = append(r.body, w.Owner[:]...)
	}
	switch r.kind {
	case rowsCredentials:
		r.body = binary.BigEndian.AppendUint64(append(r.body, w.Hash[:]...), uint64(w.Until))
	case rowsGrants:
		b, err := json.Marshal(w.Offered)
		if err != nil {
			return err
		}
		place, known := r.places[string(b)]
		if !known {
			place = uint64(len(r.offered))
			r.offered = append(r.offered, string(b))
			r.places[string(b)] = place
		}
		r.body = binary.BigEndian.AppendUint64(r.body, uint64(w.From))
		r.body = binary.BigEndian.AppendUint64(r.body, uint64(w.Until))
		r.body = binary.AppendUvarint(r.body, place)
	}
	r.owner = w.Owner
	r.n++
	return nil
}

// frame is the content of a frame with what was collected.
func (r *rows) frame() []byte {
	b := binary.AppendUvarint([]byte{r.kind}, uint64(r.n))
	if r.kind == rowsGrants {
		b = binary.AppendUvarint(b, uint64(len(r.offered)))
		for _, o := range r.offered {
			b = append(binary.AppendUvarint(b, uint64(len(o))), o...)
		}
	}
	return append(b, r.body...)
}

// rowReader takes a frame of rows apart. Whatever is short, left over or of no known meaning is damage.
type rowReader struct {
	b  []byte
	ok bool
}

func (r *rowReader) take(n int) []byte {
	if !r.ok || n < 0 || n > len(r.b) {
		r.ok = false
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *rowReader) number(most int) int {
	n, size := binary.Uvarint(r.b)
	if !r.ok || size <= 0 || n > uint64(most) {
		r.ok = false
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *rowReader) time() int64 {
	if b := r.take(8); r.ok {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// readRows hands each row of a frame to add; it is good until add returns. It returns how many there were.
func readRows(b []byte, add func(*feed.Row) error) (int64, error) {
	r := &rowReader{b: b, ok: true}
	var row feed.Row
	kind := r.take(1)
	if !r.ok {
		return 0, damaged("a frame of rows is empty")
	}
	switch kind[0] {
	case rowsApplications:
		row.Kind = feed.KindApplication
	case rowsCredentials:
		row.Kind = feed.KindCredential
	case rowsGrants:
		row.Kind = feed.KindGrant
	default:
		return 0, damaged("it has rows of a kind that this version of Gatehouse does not know")
	}
	n := r.number(rowsMost)
	var offered []*feed.Offered
	if row.Kind == feed.KindGrant {
		offered = make([]*feed.Offered, r.number(n))
		for i := range offered {
			if offered[i] = new(feed.Offered); json.Unmarshal(r.take(r.number(len(r.b))), offered[i]) != nil {
				return 0, damaged("what a grant is for cannot be read")
			}
		}
	}
	for i := range n {
		if !r.row(&row, i, offered) {
			return 0, damaged("row %d of a frame is not one", i+1)
		}
		if err := add(&row); err != nil {
			return 0, err
		}
	}
	if !r.ok || len(r.b) > 0 {
		return 0, damaged("a frame of rows has another length than its rows")
	}
	return int64(n), nil
}

// row reads the next row over the one before it.
func (r *rowReader) row(w *feed.Row, i int, offered []*feed.Offered) bool {
	flags := r.take(1)
	if !r.ok || flags[0] >= 2*sameBit || flags[0]&sameBit != 0 && i == 0 {
		return false
	}
	w.State, w.Proof = feed.RowState(flags[0]&7), feed.RowProof(flags[0]>>3&3)
	if w.Kind != feed.KindCredential && w.Proof != 0 {
		return false
	}
	copy(w.ID[:], r.take(len(w.ID)))
	if flags[0]&sameBit == 0 {
		copy(w.Owner[:], r.take(len(w.Owner)))
	}
	switch w.Kind {
	case feed.KindCredential:
		copy(w.Hash[:], r.take(len(w.Hash)))
		w.Until = r.time()
	case feed.KindGrant:
		w.From, w.Until = r.time(), r.time()
		if len(offered) == 0 {
			return false
		}
		at := r.number(len(offered) - 1)
		if !r.ok {
			return false
		}
		w.Offered = offered[at]
	}
	return r.ok && w.Valid()
}
