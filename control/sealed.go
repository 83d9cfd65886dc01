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

// Secrets wait in the store sealed to keys that are not there, one for each purpose, so that whoever has a copy of the database
// cannot use them. The texts of letters hold links that sign people in. They wait in the store sealed to a key that is not there, so that
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
	l.Text = s.close(l.Text, envelope(l))
	return l
}

// close seals a text to what it belongs to.
func (s sealer) close(text string, to []byte) string {
	return sealed + base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(text), to))
}

// unseal is close undone. What was sealed to another key, or belongs to something else, is fault.Invalid.
func (s sealer) unseal(text string, to []byte) (string, error) {
	text, ok := strings.CutPrefix(text, sealed)
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if !ok || err != nil {
		return "", fault.New(fault.Invalid, "it is not sealed")
	}
	plain, err := s.aead.Open(nil, nil, raw, to)
	if err != nil {
		return "", fault.New(fault.Invalid, "it was sealed to another key, or was changed").Because(err)
	}
	return string(plain), nil
}

// open returns the letter as it was written. One that was sealed to another key, or changed since, is fault.Invalid.
func (s sealer) open(l mail.Letter) (mail.Letter, error) {
	plain, err := s.unseal(l.Text, envelope(l))
	if err != nil {
		return l, fault.New(fault.Invalid, "the letter cannot be opened: %s", fault.As(err).Public).Because(err)
	}
	l.Text = plain
	return l, nil
}
