package credential_test

import (
	"testing"

	"gatehouse/credential"
)

func TestKeyRoundTrip(t *testing.T) {
	for range 200 {
		key, public, hash := credential.NewKey("live-eu")
		k, ok := credential.ParseKey([]byte(key.Reveal()))
		if !ok || string(k.Environment) != "live-eu" || string(k.Public) != public || !k.Hash().Matches(hash) {
			t.Fatalf("key does not parse back: ok %v, environment %q, public %q want %q", ok, k.Environment, k.Public, public)
		}
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	key, _, _ := credential.NewKey("live")
	s := key.Reveal()
	for i := range s {
		b := []byte(s)
		if b[i] == 'x' {
			b[i] = 'y'
		} else {
			b[i] = 'x'
		}
		if _, ok := credential.ParseKey(b); ok {
			t.Errorf("a key with character %d changed still parses", i)
		}
	}
}

func TestParseKeyAllocatesNothing(t *testing.T) {
	key, _, _ := credential.NewKey("live")
	b := []byte(key.Reveal())
	if n := testing.AllocsPerRun(100, func() {
		k, _ := credential.ParseKey(b)
		_ = k.Hash()
	}); n != 0 {
		t.Errorf("ParseKey and Hash allocate %v times", n)
	}
}

func FuzzParseKey(f *testing.F) {
	key, _, _ := credential.NewKey("live")
	f.Add([]byte(key.Reveal()))
	f.Add([]byte("gh_"))
	f.Add([]byte("gh_live_0123456789abcdef_0123456789abcdef0123456789abcdef0000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := credential.ParseKey(b); ok && len(k.Environment) == 0 {
			t.Errorf("%q parses with an empty environment", b)
		}
	})
}
