package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
)

// Authenticator is the app in which a person reads one-time codes (TOTP, RFC 6238): their second factor.
type Authenticator struct {
	Person    id.ID
	Secret    string // sealed to a key that is not in the store
	Created   time.Time
	Confirmed time.Time // zero: it is being set up and counts for nothing
	Step      int64     // of the newest code that was taken: none is taken twice, nor an older one
}

// The form of one-time codes, as every authenticator app makes them.
const (
	codeSpan   = 30 * time.Second
	codeDigits = 6
	codeModulo = 1_000_000
	// codeDrift is how many spans a clock may be off, either way (RFC 6238 §5.2).
	codeDrift = 1
)

// OneTimeCode is the code of the step (RFC 6238 with SHA-1, which is what authenticator apps know).
func OneTimeCode(key []byte, step int64) string {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(step))
	m := hmac.New(sha1.New, key)
	m.Write(at[:])
	sum := m.Sum(nil)
	from := sum[len(sum)-1] & 0x0F
	n := binary.BigEndian.Uint32(sum[from:from+4]) & 0x7FFFFFFF
	return fmt.Sprintf("%0*d", codeDigits, n%codeModulo)
}

// CodeStep is the step at that time: how many spans have passed since 1970.
func CodeStep(now time.Time) int64 { return now.Unix() / int64(codeSpan/time.Second) }

// Match finds the step that the code is of, around now. ok is false for a wrong code; used says that the code is right, and
// was taken before.
func (a Authenticator) Match(key []byte, code string, now time.Time) (step int64, ok, used bool) {
	at := CodeStep(now)
	for s := at - codeDrift; s <= at+codeDrift; s++ {
		if subtle.ConstantTimeCompare([]byte(OneTimeCode(key, s)), []byte(code)) == 1 {
			step, ok, used = s, s > a.Step, s <= a.Step
		}
	}
	return step, ok, used
}

// CeremonyPurpose says what somebody has begun.
type CeremonyPurpose string

// Ceremony is something that somebody has begun and not finished, such as a sign-in that waits for its second factor. Only the
// hash of its token is stored, and it is taken once.
type Ceremony struct {
	Hash    secret.Hash
	Purpose CeremonyPurpose
	Person  id.ID  // "" for nobody that is known yet
	Data    string // what is needed to finish it
	Created time.Time
	Expires time.Time
}

// Factors keeps what people prove themselves with besides passwords.
type Factors interface {
	// Authenticator returns the person's, or fault.NotFound.
	Authenticator(ctx context.Context, person id.ID) (Authenticator, error)
	// PutAuthenticator sets the person's, in the place of any other.
	PutAuthenticator(ctx context.Context, a Authenticator) error
	// DropAuthenticator removes the person's; removing none is no error.
	DropAuthenticator(ctx context.Context, person id.ID) error
	// PutRecoveryCodes sets the hashes of the person's recovery codes, in the place of all others; none removes them.
	PutRecoveryCodes(ctx context.Context, person id.ID, hashes []secret.Hash) error
	// UseRecoveryCode removes the code with the hash, or returns fault.Gone.
	UseRecoveryCode(ctx context.Context, person id.ID, h secret.Hash) error
	// CountRecoveryCodes counts those that are left.
	CountRecoveryCodes(ctx context.Context, person id.ID) (int, error)

	// AddCeremony stores a fresh one.
	AddCeremony(ctx context.Context, c Ceremony) error
	// Ceremony returns one of the purpose that is not over, or fault.Gone.
	Ceremony(ctx context.Context, h secret.Hash, p CeremonyPurpose, now time.Time) (Ceremony, error)
	// TakeCeremony removes one of the purpose that is not over and returns it; else fault.Gone. It succeeds at most once.
	TakeCeremony(ctx context.Context, h secret.Hash, p CeremonyPurpose, now time.Time) (Ceremony, error)
}
