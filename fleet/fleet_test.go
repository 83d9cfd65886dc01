package fleet_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/fleet"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"fra-1": true, "gw.fra-1": true, "1": true, "": false, "-a": false, "Fra": false, "a b": false, "local-live": false, "localhost": true, "a/b": false} {
		if err := fleet.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestEnd(t *testing.T) {
	g := fleet.Gateway{Name: "a", State: fleet.Active}
	drained, err := g.End(fleet.Drained, "moved", now)
	if err != nil || drained.State != fleet.Drained || !drained.Ended.Equal(now) {
		t.Fatal(drained, err)
	}
	if _, err := drained.End(fleet.Drained, "again", now); !errors.Is(err, fault.Conflict) {
		t.Error(err)
	}
	revoked, err := drained.End(fleet.Revoked, "stolen", now)
	if err != nil || revoked.State != fleet.Revoked {
		t.Fatal(revoked, err)
	}
	for _, s := range []fleet.State{fleet.Drained, fleet.Revoked, fleet.Active} {
		if _, err := revoked.End(s, "", now); !errors.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := revoked.Renew(now); !errors.Is(err, fault.Forbidden) {
		t.Error(err)
	}
}

func TestUseOnce(t *testing.T) {
	e := fleet.Enrolment{Expires: now.Add(time.Hour)}
	used, err := e.Use("gw_1", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := used.Use("gw_2", now); fault.As(err).Code != "enrolment-used" {
		t.Error(err)
	}
	if _, err := e.Use("gw_1", e.Expires); fault.As(err).Code != "enrolment-expired" {
		t.Error(err)
	}
}

// At every moment of a rotation whoever holds a certificate that counts is trusted by everybody who heard of the anchors within
// a certificate's life.
func TestAnchorsOverlap(t *testing.T) {
	first, err := fleet.Rotate(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	all, at := first, now.Add(100*time.Hour)
	more, err := fleet.Rotate(all, at)
	if err != nil || len(more) != 2 {
		t.Fatal(more, err)
	}
	if _, err := fleet.Rotate(more, at.Add(time.Hour)); !errors.Is(err, fault.Conflict) {
		t.Errorf("a third one at once: %v", err)
	}
	all = more
	for d := time.Duration(0); d < 12*fleet.CertificateFor; d += time.Hour {
		signs, ok := fleet.Signing(all, at.Add(d))
		if !ok {
			t.Fatalf("nothing signs after %s", d)
		}
		for age := time.Duration(0); age < fleet.CertificateFor; age += time.Hour { // what was signed so long ago
			signed, _ := fleet.Signing(all, at.Add(d-age))
			trusted := false
			for _, a := range fleet.Trusted(all, at.Add(d)) {
				trusted = trusted || a.Number == signed.Number
			}
			if d >= age && !trusted {
				t.Fatalf("after %s: what anchor %d signed %s ago is not trusted", d, signed.Number, age)
			}
		}
		if d >= fleet.Overlap && signs.Number != 2 || d < fleet.Overlap && signs.Number != 1 {
			t.Fatalf("after %s anchor %d signs", d, signs.Number)
		}
	}
}
