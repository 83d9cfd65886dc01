package identity_test

import (
	"testing"
	"time"

	"gatehouse/identity"
)

// The vectors of RFC 6238, appendix B, for SHA-1: their last six digits, since ours have six.
func TestOneTimeCodes(t *testing.T) {
	key := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := identity.OneTimeCode(key, identity.CodeStep(time.Unix(at, 0))); got != want {
			t.Errorf("the code at %d is %s, want %s", at, got, want)
		}
	}
}

func TestACodeCountsAroundItsTimeAndOnce(t *testing.T) {
	key, now := []byte("12345678901234567890"), time.Unix(1_800_000_015, 0)
	step := identity.CodeStep(now)
	for _, c := range []struct {
		name     string
		taken    int64
		code     string
		ok, used bool
	}{
		{"now", 0, identity.OneTimeCode(key, step), true, false},
		{"a clock that is behind", 0, identity.OneTimeCode(key, step-1), true, false},
		{"a clock that is ahead", 0, identity.OneTimeCode(key, step+1), true, false},
		{"too old", 0, identity.OneTimeCode(key, step-2), false, false},
		{"too early", 0, identity.OneTimeCode(key, step+2), false, false},
		{"again", step, identity.OneTimeCode(key, step), false, true},
		{"older than one that was taken", step, identity.OneTimeCode(key, step-1), false, true},
		{"newer than one that was taken", step, identity.OneTimeCode(key, step+1), true, false},
		{"none", 0, "", false, false},
		{"of another key", 0, identity.OneTimeCode([]byte("another"), step), false, false},
	} {
		_, ok, used := identity.Authenticator{Step: c.taken}.Match(key, c.code, now)
		if ok != c.ok || used != c.used {
			t.Errorf("%s: ok %v, used %v", c.name, ok, used)
		}
	}
}
