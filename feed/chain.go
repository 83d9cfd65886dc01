package feed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"gatehouse/fault"
)

// Digest is "sha256:" and the hexadecimal SHA-256 over these fields, each preceded by its length in bytes as eight bytes, the
// highest first: the text "gatehouse feed 1"; environment; epoch, seq, version and the time of the commit in microseconds
// since 1970, each in decimal; the digest before ("" for the first entry); kind; key; and the payload's bytes. So no two
// different entries give the same bytes, and each digest stands for everything before it.
func Digest(e Entry) string {
	h := sha256.New()
	decimal := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, f := range []string{
		"gatehouse feed 1", e.Environment, decimal(e.Epoch), decimal(e.Seq), decimal(e.Version), decimal(e.Committed.UnixMicro()),
		e.Previous, string(e.Kind), e.Key, string(e.Payload),
	} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// signed is what is signed for a digest: with the purpose before it, so that the signature is good for nothing else.
func signed(digest string) []byte { return []byte("gatehouse feed entry\n" + digest) }

// Sign signs the digest of an entry with the control plane's key.
func Sign(key ed25519.PrivateKey, digest string) []byte { return ed25519.Sign(key, signed(digest)) }

// Seal puts e into the chain after the position: it fills Seq, Previous, Digest and Signature. Epoch must be set. The payload
// is brought into the form in which encoding/json writes it, so that it comes out of every transport with the same bytes.
func Seal(after Position, e Entry, sign func(digest string) []byte) (Entry, error) {
	p, err := json.Marshal(e.Payload)
	if err != nil {
		return e, fault.New(fault.Internal, "the payload of %s %s is no JSON", e.Kind, e.Key).Because(err)
	}
	if e.Epoch < after.Epoch {
		return e, fault.New(fault.Internal, "epoch %d comes after epoch %d", e.Epoch, after.Epoch)
	}
	e.Payload, e.Committed = p, e.Committed.UTC().Truncate(time.Microsecond)
	e.Seq, e.Previous = after.Seq+1, after.Digest
	e.Digest = Digest(e)
	e.Signature = sign(e.Digest)
	return e, nil
}

// Position is the place after the entry.
func (e Entry) Position() Position { return Position{Epoch: e.Epoch, Seq: e.Seq, Digest: e.Digest} }

// Check reports whether e is the entry that follows the position in the environment's feed, unchanged and signed with the
// key. What is wrong is fault.Conflict with a code: feed-elsewhere, feed-repeated, feed-gap, feed-forked, feed-epoch,
// feed-changed or feed-unsigned.
func Check(environment string, after Position, e Entry, key ed25519.PublicKey) error {
	return CheckAll(environment, after, []Entry{e}, key)
}

func unsigned(e Entry) error {
	return fault.Of(fault.Conflict, "feed-unsigned", "entry %d is not signed by the control plane", e.Seq)
}

// follows is Check without the signature.
func follows(environment string, after Position, e Entry) error {
	refuse := func(code, format string, args ...any) error { return fault.Of(fault.Conflict, code, format, args...) }
	switch {
	case e.Environment != environment:
		return refuse("feed-elsewhere", "entry %d is of environment %q, not %q", e.Seq, e.Environment, environment)
	case e.Seq <= after.Seq:
		return refuse("feed-repeated", "entry %d comes again: everything through %d is known", e.Seq, after.Seq)
	case e.Seq != after.Seq+1:
		return refuse("feed-gap", "entry %d comes after %d: those between are missing", e.Seq, after.Seq)
	case e.Epoch < after.Epoch:
		return refuse("feed-epoch", "entry %d is of epoch %d, older than %d", e.Seq, e.Epoch, after.Epoch)
	case e.Previous != after.Digest:
		return refuse("feed-forked", "entry %d follows another entry %d than the one that is known here: the control plane has another history", e.Seq, after.Seq)
	case Digest(e) != e.Digest:
		return refuse("feed-changed", "entry %d is not what its digest says", e.Seq)
	}
	return nil
}
