package feed

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Probe asks a gateway what becomes of credentials when somebody presents them.
type Probe struct {
	ID          id.ID    `json:"id"` // of what it is asked for: an answer counts for this alone
	Environment string   `json:"environment"`
	Seq         int64    `json:"seq"` // everything through this must be in force first
	Credentials []Probed `json:"credentials"`
}

// Probed is a credential as gateways know it: by its mark, which is no secret.
type Probed struct {
	Credential id.ID  `json:"credential"`
	Kind       string `json:"kind"`
	Mark       []byte `json:"mark"`
}

// Verdict is what becomes of a credential.
type Verdict string

// The verdicts. Any other than Passes is a refusal.
const (
	Passes  Verdict = "passes"
	Refused Verdict = "refused" // the gateway knows it, and lets nobody in by it
	Absent  Verdict = "absent"  // the gateway does not know it
)

// Seen is the verdict about one credential. Code is that of the refusal, as callers get it.
type Seen struct {
	Probed
	Verdict Verdict `json:"verdict"`
	Code    string  `json:"code,omitempty"`
}

// Answer is what a gateway says to a probe.
type Answer struct {
	Probe       id.ID     `json:"probe"`
	Gateway     string    `json:"gateway"`
	Environment string    `json:"environment"`
	Position    Position  `json:"position"` // what was in force
	At          time.Time `json:"at"`       // by the gateway's clock
	Seen        []Seen    `json:"seen"`
}

// Sworn is an answer with the signature of the gateway that gave it. The answer is kept as the bytes that were signed.
type Sworn struct {
	Answer    string `json:"answer"`
	Key       []byte `json:"key"` // of the gateway, as PKIX (RFC 5280 §4.1.2.7)
	Signature []byte `json:"signature"`
}

// Prober is a gateway that can be asked: in process, or over a connection.
type Prober interface {
	// Probe answers once everything that the probe names is in force: fault.Unavailable before that, or when the gateway cannot be
	// reached.
	Probe(ctx context.Context, p Probe) (Sworn, error)
}

// sworn is what is signed for an answer: with the purpose before it, so that the signature is good for nothing else.
func sworn(answer string) []byte { return []byte("gatehouse probe answer\n" + answer) }

// Swear signs an answer with the gateway's key: Ed25519, or ECDSA with SHA-256.
func Swear(a Answer, key crypto.Signer) (Sworn, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return Sworn{}, fault.New(fault.Internal, "an answer cannot be written").Because(err)
	}
	s := Sworn{Answer: string(b)}
	if s.Key, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return Sworn{}, fault.New(fault.Internal, "the gateway's key cannot be written").Because(err)
	}
	message, hash := sworn(s.Answer), crypto.Hash(0)
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(message)
		message, hash = sum[:], crypto.SHA256
	}
	s.Signature, err = key.Sign(rand.Reader, message, hash)
	return s, err
}

// Open verifies the signature and reads the answer. What was not signed by the key beside it is fault.Conflict.
func (s Sworn) Open() (Answer, error) {
	var a Answer
	bad := func(why string) (Answer, error) {
		return Answer{}, fault.Of(fault.Conflict, "probe-unsigned", "%s", why)
	}
	key, err := x509.ParsePKIXPublicKey(s.Key)
	if err != nil {
		return bad("the key of an answer cannot be read")
	}
	ok := false
	switch k := key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, sworn(s.Answer), s.Signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(sworn(s.Answer))
		ok = ecdsa.VerifyASN1(k, sum[:], s.Signature)
	}
	if !ok {
		return bad("an answer is not signed by the key beside it")
	}
	if err := json.Unmarshal([]byte(s.Answer), &a); err != nil {
		return bad("an answer cannot be read")
	}
	return a, nil
}

// By reports whether the answer was signed by the key with that SHA-256 in hexadecimal digits, which a gateway enrolled with; "" is
// any: a gateway of the control plane's own process does not enrol.
func (s Sworn) By(digest string) bool {
	sum := sha256.Sum256(s.Key)
	return digest == "" || hex.EncodeToString(sum[:]) == digest
}

// Proves reads an answer of the named gateway to the probe and checks that it is whole: signed, to this probe, with everything in
// force, and a verdict about each credential, in its order. passes says which verdict proves it: to pass, or not to.
func (s Sworn) Proves(gateway string, p Probe, passes bool) (Answer, error) {
	a, err := s.Open()
	if err != nil {
		return a, err
	}
	bad := func(format string, args ...any) (Answer, error) {
		return a, fault.Of(fault.Conflict, "probe-incomplete", format, args...)
	}
	switch {
	case a.Gateway != gateway || a.Environment != p.Environment:
		return bad("an answer is of the gateway %s of %s, not of %s of %s", a.Gateway, a.Environment, gateway, p.Environment)
	case a.Probe != p.ID:
		return bad("gateway %s answers another probe: %s", gateway, a.Probe)
	case a.Position.Seq < p.Seq:
		return bad("gateway %s answers with change %d in force, not %d", gateway, a.Position.Seq, p.Seq)
	case len(a.Seen) != len(p.Credentials):
		return bad("gateway %s answers about %d credentials, not %d", gateway, len(a.Seen), len(p.Credentials))
	}
	for i, want := range p.Credentials {
		got := a.Seen[i]
		switch {
		case got.Credential != want.Credential || got.Kind != want.Kind || string(got.Mark) != string(want.Mark):
			return bad("gateway %s answers about %s, not %s", gateway, got.Credential, want.Credential)
		case got.Verdict != Passes && got.Verdict != Refused && got.Verdict != Absent:
			return bad("gateway %s says %q of %s", gateway, got.Verdict, got.Credential)
		case (got.Verdict == Passes) != passes:
			return bad("at the gateway %s the credential %s is %s", gateway, got.Credential, got.Verdict)
		}
	}
	return a, nil
}

// Canary is a credential that was issued under an organization to show that its end is felt.
type Canary struct {
	Probed
	Environment string `json:"environment"`
	Seq         int64  `json:"seq"`           // the change by which gateways knew it; 0: it had no number in time
	Why         string `json:"why,omitempty"` // there is none, or no gateway let it pass: why
}

// Probing is what gateways were asked, and have sworn, about the end of one organization.
type Probing struct {
	ID           id.ID             `json:"id"`
	Organization id.ID             `json:"organization"`
	Canaries     []Canary          `json:"canaries"`
	Before       []Sworn           `json:"before"`            // gateways let the canaries pass, before the end
	Unshown      map[string]string `json:"unshown,omitempty"` // environment/gateway that did not, and why
	After        []Sworn           `json:"after"`             // gateways refuse them, and everything that was real
	Trouble      map[string]string `json:"trouble,omitempty"` // environment/gateway that has not sworn yet, and why
	Version      int64             `json:"-"`
}

// Probings keeps what gateways have sworn.
type Probings interface {
	// Probing returns that of an organization, or fault.NotFound.
	Probing(ctx context.Context, organization id.ID) (Probing, error)
	// PutProbing inserts when p.Version is 0, else replaces the row of that version, and returns p with its new version. Another
	// version is fault.Stale. Answers are telemetry: what counts of them is audited in the end.
	PutProbing(ctx context.Context, p Probing) (Probing, error)
}
