package storetest

import (
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/organization"
	"gatehouse/store"
)

// texts tests that what goes in comes out: in any script, however long; and that what no database keeps is refused.
func texts() []promise {
	return []promise{
		{"NamesInAnyScript", func(w *world) {
			for _, name := range []string{"Ærøskøbing", "العربية", "עברית", "한국어", "日本語", "ไทย", "Ελληνικά", "👩🏽‍🚀", "e\u0301", "a\tb\nc", "'; DROP TABLE people; --", "\ufeff", "\u202e", "  "} {
				o := w.put(w.organization(name))
				got := read(w, func(tx store.Tx) (organization.Organization, error) { return tx.Organization(w.ctx(), o.ID) })
				same(w, "the name", got.Name, name)
			}
		}},
		{"VeryLongValues", func(w *world) {
			o := w.organization("A")
			o.Reason = strings.Repeat("lang €", 1<<18)
			o = w.put(o)
			got := read(w, func(tx store.Tx) (organization.Organization, error) { return tx.Organization(w.ctx(), o.ID) })
			if got.Reason != o.Reason || len(got.Reason) < 2<<20 {
				w.Errorf("%d bytes became %d", len(o.Reason), len(got.Reason))
			}
		}},
		{"NoZeroBytesNorBrokenUTF8", func(w *world) {
			for _, name := range []string{"a\x00b", "\xff", "a\xc3(", "\xed\xa0\x80"} {
				o := w.organization(name)
				w.refused(fault.Invalid, func(tx store.Tx) error { _, err := tx.PutOrganization(w.ctx(), o); return err })
			}
		}},
		{"TimesInMicrosecondsUTC", func(w *world) {
			o := w.organization("A")
			o.Created = time.Date(2026, 10, 25, 2, 30, 0, 123456789, time.FixedZone("CEST", 7200))
			got := w.put(o)
			want := time.Date(2026, 10, 25, 0, 30, 0, 123456000, time.UTC)
			if got.Created != want || !got.Verified.IsZero() {
				w.Errorf("got %v and %v, want %v and none", got.Created, got.Verified, want)
			}
		}},
	}
}
