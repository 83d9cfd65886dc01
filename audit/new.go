package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"gatehouse/id"
)

// saltSize is the size of a salt. It is fixed, so that no other pair of salt and value gives the same commitment.
const saltSize = 16

// New returns e ready to append: with an ID, without a number, at that time to the microsecond, in which the store keeps it.
func New(now time.Time, e Entry) Entry {
	e.ID, e.Seq, e.At = id.New(id.Audit, now), -1, now.UTC().Truncate(time.Microsecond)
	return e
}

// Commit returns the personal value with a fresh salt and its commitment. It returns nothing for an empty value, so that
// what it returns can be appended as it is.
func Commit(name, value string) []Personal {
	if value == "" {
		return nil
	}
	p := Personal{Name: name, Value: value, Salt: make([]byte, saltSize)}
	rand.Read(p.Salt)
	p.Commitment = commitment(p.Salt, value)
	return []Personal{p}
}

// Erased reports whether the value is gone and only its commitment is left.
func (p Personal) Erased() bool { return p.Value == "" && len(p.Salt) == 0 }

func commitment(salt []byte, value string) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(value))
	return h.Sum(nil)
}
