package credential

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"gatehouse/id"
	"gatehouse/secret"
)

// An API key reads gh_<environment>_<public id>_<secret><checksum>, so that people and leak scanners know it:
// 16 characters of public id (80 bits), 32 of secret (160 bits), 7 of checksum (CRC-32 of all that stands before it).
const (
	keyPrefix   = "gh_"
	publicLen   = 16
	secretLen   = 32
	checksumLen = 7
	// MaxKey is the longest key there can be: an environment's name has at most 32 characters.
	MaxKey = len(keyPrefix) + 32 + 1 + publicLen + 1 + secretLen + checksumLen
)

// NewKey makes an API key for the environment: the key, which is shown once, its public id and its hash.
func NewKey(environment string) (key secret.Value, public string, hash secret.Hash) {
	return newKey(keyPrefix, environment)
}

func newKey(prefix, environment string) (key secret.Value, public string, hash secret.Hash) {
	var b [10]byte
	rand.Read(b[:])
	public = id.Encode(b[:])
	key, hash = keyOf(prefix, environment, public)
	return key, public, hash
}

func keyOf(prefix, environment, public string) (secret.Value, secret.Hash) {
	var b [20]byte
	rand.Read(b[:])
	head := prefix + environment + "_" + public + "_" + id.Encode(b[:])
	key := secret.New(head + checksum([]byte(head)))
	return key, key.Hash()
}

func checksum(b []byte) string {
	c := crc32.ChecksumIEEE(b)
	return id.Encode([]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
}

// Key is an API key taken apart. Its parts are borrowed from what was parsed.
type Key struct{ Environment, Public, whole []byte }

// ParseKey takes a key apart and checks its form and checksum, without allocating. What does not parse was never
// issued by Gatehouse, or was mistyped.
func ParseKey(b []byte) (Key, bool) { return parseKey(b, keyPrefix) }

// ParseSecret is ParseKey for a client's secret.
func ParseSecret(b []byte) (Key, bool) { return parseKey(b, secretPrefix) }

func parseKey(b []byte, prefix string) (Key, bool) {
	if len(b) > MaxKey+1 || !bytes.HasPrefix(b, []byte(prefix)) {
		return Key{}, false
	}
	const tail = 1 + publicLen + 1 + secretLen + checksumLen
	cut := len(b) - tail // where the environment ends
	if cut <= len(prefix) || b[cut] != '_' || b[cut+1+publicLen] != '_' {
		return Key{}, false
	}
	end := len(b) - checksumLen
	c := crc32.ChecksumIEEE(b[:end])
	for i := checksumLen - 1; i >= 0; i-- { // the characters of checksum, from the last
		if b[end+i] != alphabet[c&31] {
			return Key{}, false
		}
		c >>= 5
	}
	return Key{Environment: b[len(prefix):cut], Public: b[cut+1 : cut+1+publicLen], whole: b}, true
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz" // as in id

// Hash is the SHA-256 of the whole key, to be compared with Credential.Hash.
func (k Key) Hash() secret.Hash { return sha256.Sum256(k.whole) }

// FindKey looks for an API key or a client's secret in a text that somebody sends, such as a line of a file or a whole message: the first that
// parses.
func FindKey(text string) (Key, bool) {
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], "gh")
		if i < 0 {
			break
		}
		at += i
		end := at
		for end < len(text) && keyChar(text[end]) {
			end++
		}
		if k, ok := ParseKey([]byte(text[at:end])); ok {
			return k, true
		}
		if k, ok := ParseSecret([]byte(text[at:end])); ok {
			return k, true
		}
		at += len("gh")
	}
	return Key{}, false
}

func keyChar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}

// Hint is how a stored key is shown: enough to recognise it, too little to use it.
func (c Credential) Hint() string {
	switch {
	case c.Kind == Client && c.OAuth != nil && c.OAuth.Method == ClientSecret:
		return strings.Join([]string{"ghc", c.Environment, c.PublicID, "…"}, "_")
	case c.Kind == Client:
		return string(c.ID)
	case c.Kind == Certificate && c.CertName != nil:
		return c.CertName.Kind + ":" + c.CertName.Value + " of " + c.CertName.Authority
	case c.Kind == Certificate:
		return "SHA-256 " + c.PublicID
	case c.Kind == Federated && c.Workload != nil:
		return c.Workload.Subject
	case c.Kind != APIKey:
		return c.PublicID
	}
	return strings.Join([]string{"gh", c.Environment, c.PublicID, "…"}, "_")
}
