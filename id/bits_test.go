package id_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/id"
)

func TestBitsRoundTrip(t *testing.T) {
	for range 500 {
		i := id.New(id.Grant, time.Now())
		b, ok := i.Bits(id.Grant)
		if !ok || b.IsZero() {
			t.Fatalf("%s has no bits", i)
		}
		if got := b.ID(id.Grant); got != i {
			t.Fatalf("%s came back as %s", i, got)
		}
	}
	if got := (id.Bits{}).ID(id.Grant); got != "" {
		t.Errorf("no bits are the ID %q", got)
	}
}

func TestBitsRefusesWhatNewDoesNotWrite(t *testing.T) {
	good := string(id.New(id.Grant, time.Now()))
	for _, bad := range []string{
		"", "gr_", "gr", good[:len(good)-1], good + "0", "gr_" + strings.Repeat("z", 26), strings.ToUpper(good),
		"app_" + good[3:], "gr-" + good[3:], good[:10] + "u" + good[11:], good[:10] + "\x00" + good[11:],
	} {
		if _, ok := id.ID(bad).Bits(id.Grant); ok {
			t.Errorf("%q has bits", bad)
		}
	}
}

func FuzzBits(f *testing.F) {
	f.Add(string(id.New(id.Grant, time.Now())))
	f.Add("gr_00000000000000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		if b, ok := id.ID(s).Bits(id.Grant); ok && !b.IsZero() && string(b.ID(id.Grant)) != s {
			t.Errorf("%q came back as %q", s, b.ID(id.Grant))
		}
	})
}
