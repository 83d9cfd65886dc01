package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/organization"
	"gatehouse/store"
)

func organizations() []promise {
	ids := func(w *world, s organization.State, search string) []string {
		w.Helper()
		return paged(w, func(o organization.Organization) string { return string(o.ID) }, func(tx store.Tx, after string, limit int) ([]organization.Organization, error) {
			return tx.Organizations(w.ctx(), s, search, id.ID(after), limit)
		})
	}
	return []promise{
		{"PutOrganizationVersions", func(w *world) {
			o := w.organization("Zürcher Prüfstelle AG")
			o.Website, o.Country, o.Register = "https://example.ch", "CH", "CHE-123"
			versions(w, o, func(o *organization.Organization) *int64 { return &o.Version },
				func(o *organization.Organization) {
					o.Name, o.State, o.Reason, o.Verified, o.VerifiedBy = "X", organization.Verified, "seen", w.now, "per_1"
				},
				func(tx store.Tx, o organization.Organization) (organization.Organization, error) {
					return tx.PutOrganization(w.ctx(), o)
				},
				func(tx store.Tx) (organization.Organization, error) { return tx.Organization(w.ctx(), o.ID) })
		}},
		{"PinnedAreTheRegions", func(w *world) {
			for _, region := range []string{"us", "", "eu", "eu"} {
				o := w.organization("in " + region)
				o.Region = region
				o = w.put(o)
				same(w, "its region", read(w, func(tx store.Tx) (organization.Organization, error) { return tx.Organization(w.ctx(), o.ID) }).Region, region)
			}
			same(w, "all", read(w, func(tx store.Tx) ([]string, error) { return tx.Pinned(w.ctx()) }), []string{"eu", "us"})
		}},
		{"RegionsOfCredentials", func(w *world) {
			o := w.organization("Pinned")
			o.Region = "eu"
			w.environments("live")
			o, other := w.put(o), w.put(w.organization("Other"))
			var rows []feed.Change
			for n := range 70 {
				c := credential.Credential{ID: id.New(id.Credential, w.now), Organization: []id.ID{o.ID, other.ID}[n%2], Application: "app_1", Environment: "live", Kind: credential.APIKey,
					PublicID: fmt.Sprint("p", n), Hash: w.hash(), State: credential.Active, Created: w.now, Expires: w.now.Add(time.Hour)}
				w.update(func(tx store.Tx) error { _, err := tx.PutCredential(w.ctx(), c); return err })
				rows = append(rows, feed.Change{Kind: feed.KindCredential, Key: string(c.ID)})
			}
			rows = append(rows, feed.Change{Kind: feed.KindOrganization, Key: string(o.ID)}, feed.Change{Kind: feed.KindGrant, Key: "gr_none"})
			for n, got := range read(w, func(tx store.Tx) ([]string, error) { return tx.Regions(w.ctx(), rows) }) {
				want := ""
				if n < 70 && n%2 == 0 {
					want = "eu"
				}
				same(w, fmt.Sprint("row ", n), got, want)
			}
		}},
		{"PutOrganizationOneOfTwoAtOnce", func(w *world) {
			o := w.put(w.organization("A"))
			var wg sync.WaitGroup
			var won, stale atomic.Int32
			for range 10 {
				wg.Go(func() {
					err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutOrganization(w.ctx(), o); return err })
					switch {
					case err == nil:
						won.Add(1)
					case errors.Is(err, fault.Stale):
						stale.Add(1)
					default:
						w.Error(err)
					}
				})
			}
			wg.Wait()
			same(w, "winners and others", []int32{won.Load(), stale.Load()}, []int32{1, 9})
		}},
		{"OrganizationsByStateAndSearch", func(w *world) {
			var every []string
			by := map[string]string{}
			for n, name := range []string{"Alpha Prüfung", "alphabet", "Beta_100%", "ΑΘΗΝΑ", "עברית", "日本語", "İstanbul"} {
				o := w.organization(name)
				if n%2 == 1 {
					o.State = organization.Verified
				}
				o = w.put(o)
				by[name] = string(o.ID)
				every = append(every, by[name])
			}
			slices.Sort(every)
			pick := func(names ...string) (out []string) {
				for _, n := range names {
					out = append(out, by[n])
				}
				slices.Sort(out)
				return out
			}
			same(w, "all", ids(w, "", ""), every)
			same(w, "verified", ids(w, organization.Verified, ""), pick("alphabet", "ΑΘΗΝΑ", "日本語"))
			for search, want := range map[string][]string{
				"ALPHA": pick("Alpha Prüfung", "alphabet"), "PRÜF": pick("Alpha Prüfung"), "pru\u0308f": pick("Alpha Prüfung"), "%": pick("Beta_100%"),
				"_1": pick("Beta_100%"), "αθηνα": pick("ΑΘΗΝΑ"), "本": pick("日本語"), "עבר": pick("עברית"), "'": nil, "nobody": nil,
				strings.Repeat("x", 100_000): nil,
			} {
				same(w, "search "+search[:min(len(search), 20)], ids(w, "", search), want)
			}
			same(w, "both", ids(w, organization.Verified, "alpha"), pick("alphabet"))
		}},
	}
}
