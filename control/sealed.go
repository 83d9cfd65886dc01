package control

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"strings"

	"gatehouse/fault"
	"gatehouse/mail"
)

// The texts of letters hold links that sign people in. They wait in the store sealed to a key that is not there, so that
// whoever has a copy of the database cannot use them, and who can write to it cannot have a letter go to somebody else.
type sealer struct{ aead cipher.AEAD }

const sealed = "sealed:"

func newSealer(key [32]byte) sealer {
	b, err := aes.NewCipher(key[:])
	if err == nil {
		var a cipher.AEAD
		if a, err = cipher.NewGCMWithRandomNonce(b); err == nil {
			return sealer{a}
		}
	}
	panic(fmt.Sprintf("control: the key of letters: %v", err)) // 32 bytes are always a key
}

// envelope is what a sealed text belongs to.
func envelope(l mail.Letter) []byte { return []byte(l.To + "\x00" + l.Subject) }

// seal returns the letter with its text sealed.
func (s sealer) seal(l mail.Letter) mail.Letter {
	l.Text = sealed + base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(l.Text), envelope(l)))
	return l
}

// open returns the letter as it was written. One that was sealed to another key, or changed since, is fault.Invalid.
func (s sealer) open(l mail.Letter) (mail.Letter, error) {
	text, ok := strings.CutPrefix(l.Text, sealed)
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if !ok || err != nil {
		return l, fault.New(fault.Invalid, "the letter is not sealed")
	}
	plain, err := s.aead.Open(nil, nil, raw, envelope(l))
	if err != nil {
		return l, fault.New(fault.Invalid, "the letter was sealed to another key, or was changed").Because(err)
	}
	l.Text = string(plain)
	return l, nil
}
