package control

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"gatehouse/fault"
	"gatehouse/secret"
)

const (
	shortestPassword = 12  // characters
	longestPassword  = 256 // bytes: enough for a sentence in any script, too little to keep a processor busy
	fewestKinds      = 5   // different characters
)

// commonest is the commonest passwords of 12 characters or more, one on a line, in lower case.
//
//go:embed commonest.txt
var commonest string

// cleanPassword normalises a fresh password and says why it cannot be taken; "" when it can.
func cleanPassword(p string, others []string) (_, why string) {
	if len(p) > longestPassword {
		return "", fmt.Sprintf("must have at most %d bytes", longestPassword)
	}
	if !utf8.ValidString(p) {
		return "", "must be valid UTF-8"
	}
	p = norm.NFC.String(p)
	if n := utf8.RuneCountInString(p); n < shortestPassword {
		return "", fmt.Sprintf("must have at least %d characters", shortestPassword)
	}
	if strings.IndexFunc(p, unicode.IsControl) >= 0 {
		return "", "must not contain control characters"
	}
	low := strings.ToLower(p)
	for _, o := range others {
		o = strings.ToLower(norm.NFC.String(strings.TrimSpace(o)))
		local, _, _ := strings.Cut(o, "@")
		for _, o := range []string{o, local} {
			if o != "" && (low == o || strings.ReplaceAll(low, " ", "") == strings.ReplaceAll(o, " ", "")) {
				return "", "must not be your e-mail address, your name or your organization's"
			}
		}
	}
	if simple(low) {
		return "", "is too easy to guess: take several words, or what a password manager makes"
	}
	for line := range strings.Lines(commonest) {
		if low == strings.TrimSpace(line) {
			return "", "is one of the commonest passwords: take another one"
		}
	}
	return p, ""
}

// simple reports whether a password is one short piece again and again, one run such as 123456789012, or of few
// different characters.
func simple(p string) bool {
	r := []rune(p)
	kinds := map[rune]bool{}
	run := true
	for i, c := range r {
		kinds[c] = true
		if i > 1 && r[i]-r[i-1] != r[1]-r[0] && !(r[i] == '0' && r[i-1] == '9') && !(r[i] == '9' && r[i-1] == '0') {
			run = false
		}
	}
	if run || len(kinds) < fewestKinds {
		return true
	}
	for n := 1; n <= len(r)/3; n++ {
		again := true
		for i := n; i < len(r); i++ {
			if r[i] != r[i-n] {
				again = false
				break
			}
		}
		if again {
			return true
		}
	}
	return false
}

// What argon2id costs (OWASP's second recommendation of 2024: 19 MiB, two passes, one lane).
const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16
	argonSum    = 32

	// hashWait is how long a sign-in waits for its turn: hashing takes memory, and may not take all there is.
	hashWait = 5 * time.Second
)

// hasher hashes passwords, a few at a time.
type hasher struct {
	slots  chan struct{}
	wait   time.Duration
	memory uint32
	dummy  string // a hash of nobody's password, so that an unknown address takes as long as a known one
}

func newHasher() *hasher {
	h := &hasher{slots: make(chan struct{}, min(max(2, runtime.NumCPU()), 8)), wait: hashWait, memory: argonMemory}
	salt, sum := make([]byte, argonSalt), make([]byte, argonSum)
	rand.Read(salt)
	rand.Read(sum) // of no password at all
	h.dummy = phc(h.memory, salt, sum)
	return h
}

// take waits for a turn. The caller gives it back by done.
func (h *hasher) take(ctx context.Context) (done func(), _ error) {
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	default:
	}
	t := time.NewTimer(h.wait)
	defer t.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-t.C:
		return nil, &fault.Error{Kind: fault.Unavailable, Public: "too many people are signing in: try again", RetryAfter: time.Second}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash returns the password's hash in PHC form. A wait that is too long is fault.Unavailable.
func (h *hasher) hash(ctx context.Context, p secret.Value) (string, error) {
	done, err := h.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return h.encode(p.Reveal()), nil
}

func (h *hasher) encode(p string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	return phc(h.memory, salt, argon2.IDKey([]byte(p), salt, argonPasses, h.memory, argonLanes, argonSum))
}

// phc writes a hash in PHC form.
func phc(memory uint32, salt, sum []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, argonPasses, argonLanes,
		b.EncodeToString(salt), b.EncodeToString(sum))
}

// check reports whether the password is the one of the hash. stored "" is nobody's: it takes as long and is false.
func (h *hasher) check(ctx context.Context, stored string, p secret.Value) (bool, error) {
	real := stored != ""
	if !real {
		stored = h.dummy
	}
	var version int
	var memory, passes uint32
	var lanes uint8
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("check password: the stored hash is not argon2id in PHC form")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, fmt.Errorf("check password: the stored hash is of argon2 version %q", parts[2])
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false, fmt.Errorf("check password: parameters of the stored hash: %w", err)
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) < 16 || memory > 1<<20 || passes > 16 || passes == 0 || lanes == 0 {
		return false, fmt.Errorf("check password: the stored hash cannot be read")
	}
	done, err := h.take(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	text := p.Reveal()
	if len(text) > longestPassword {
		text = "" // nobody's: but it takes as long
		real = false
	}
	sum := argon2.IDKey([]byte(norm.NFC.String(text)), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(sum, want) == 1 && real, nil
}
