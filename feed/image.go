package feed

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"time"

	"gatehouse/fault"
)

// Image is the description of everything that an environment's gateways know at one position: the newest entry of each kind
// and key. Content is over all of its records, so that the signature covers them.
type Image struct {
	Environment string    `json:"environment"`
	Position    Position  `json:"position"`
	Made        time.Time `json:"made"`
	Records     int64     `json:"records"`
	Content     [32]byte  `json:"-"` // SHA-256
}

// sealed is what is signed for an image.
func (i Image) sealed() string {
	b, err := json.Marshal(struct {
		Image
		Content string `json:"content"`
	}{i, hex.EncodeToString(i.Content[:])})
	if err != nil {
		panic(err) // plain fields
	}
	return digestOf("image", b)
}

// Sign signs the description with the control plane's key.
func (i Image) Sign(sign func(digest string) []byte) []byte { return sign(i.sealed()) }

// Verify refuses a description that the control plane did not sign.
func (i Image) Verify(key ed25519.PublicKey, signature []byte) error {
	if !Verify(key, i.sealed(), signature) {
		return fault.Of(fault.Conflict, "image-changed", "the image of %s at entry %d was changed since the control plane signed it, or another one signed it", i.Environment, i.Position.Seq)
	}
	return nil
}
