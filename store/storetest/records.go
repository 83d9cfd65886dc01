package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"errors"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
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

func applications() []promise {
	fresh := func(w *world, org id.ID, name string) application.Application {
		return application.Application{ID: id.New(id.Application, w.now), Organization: org, Name: name, Purpose: "checks", Owner: "per_1",
			State: application.Active, Created: w.now, CreatedBy: "per_1"}
	}
	put := func(w *world, a application.Application) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutApplication(w.ctx(), a); return err })
	}
	return []promise{
		{"PutApplicationVersions", func(w *world) {
			a := fresh(w, "org_1", "Checkout")
			versions(w, a, func(a *application.Application) *int64 { return &a.Version },
				func(a *application.Application) {
					a.Name, a.Purpose, a.Owner, a.State, a.Closed, a.Reason = "X", "Y", "per_2", application.Closed, w.now, "over"
				},
				func(tx store.Tx, a application.Application) (application.Application, error) {
					return tx.PutApplication(w.ctx(), a)
				},
				func(tx store.Tx) (application.Application, error) { return tx.Application(w.ctx(), a.ID) })
		}},
		{"PutApplicationSameActiveNameIsConflict", func(w *world) {
			a := fresh(w, "org_1", "Checkout")
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, put(w, fresh(w, "org_1", "Checkout")))
			if err := put(w, fresh(w, "org_2", "Checkout")); err != nil {
				w.Errorf("in another organization: %v", err)
			}
			a.Version, a.State = 1, application.Closed
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			if err := put(w, fresh(w, "org_1", "Checkout")); err != nil {
				w.Errorf("once the first is closed: %v", err)
			}
			a.Version, a.State = 2, application.Active
			w.is(fault.Conflict, put(w, a))
		}},
		{"NamedByIDThoseThatAreThere", func(w *world) {
			o, other := w.put(w.organization("one")), w.put(w.organization("other"))
			p := w.person("one@example.org")
			a := application.Application{ID: id.New(id.Application, w.now), Organization: o.ID, Name: "one", State: application.Active, Created: w.now}
			w.update(func(tx store.Tx) (err error) {
				if p, err = tx.PutPerson(w.ctx(), p); err == nil {
					a, err = tx.PutApplication(w.ctx(), a)
				}
				return err
			})
			orgs := read(w, func(tx store.Tx) ([]organization.Organization, error) {
				return tx.OrganizationsByID(w.ctx(), []id.ID{other.ID, "org_x", o.ID})
			})
			slices.SortFunc(orgs, func(a, b organization.Organization) int { return cmp.Compare(a.Name, b.Name) })
			same(w, "the organizations", orgs, []organization.Organization{o, other})
			same(w, "the people", read(w, func(tx store.Tx) ([]identity.Person, error) {
				return tx.PeopleByID(w.ctx(), []id.ID{p.ID, "per_x", o.ID})
			}), []identity.Person{p})
			same(w, "the applications", read(w, func(tx store.Tx) ([]application.Application, error) {
				return tx.ApplicationsByID(w.ctx(), []id.ID{"", a.ID})
			}), []application.Application{a})
		}},
		{"ApplicationsByIDAfter", func(w *world) {
			var mine, every []string
			for n := range 6 {
				a := fresh(w, id.ID(fmt.Sprint("org_", n%2)), fmt.Sprint("A", n))
				if err := put(w, a); err != nil {
					w.Fatal(err)
				}
				every = append(every, string(a.ID))
				if n%2 == 1 {
					mine = append(mine, string(a.ID))
				}
			}
			slices.Sort(mine)
			slices.Sort(every)
			list := func(org id.ID) []string {
				return paged(w, func(a application.Application) string { return string(a.ID) }, func(tx store.Tx, after string, limit int) ([]application.Application, error) {
					return tx.Applications(w.ctx(), org, id.ID(after), limit)
				})
			}
			same(w, "of one organization", list("org_1"), mine)
			same(w, "all", list(""), every)
		}},
	}
}

func credentials() []promise {
	fresh := func(w *world, org, app id.ID) credential.Credential {
		return credential.Credential{ID: id.New(id.Credential, w.now), Organization: org, Application: app, Environment: "live",
			Kind: credential.APIKey, Name: "key", PublicID: string(id.New(id.Credential, w.now)), Hash: w.hash(), Grants: []id.ID{"gr_1", "gr_2"},
			State: credential.Active, Created: w.now, CreatedBy: "per_1", Expires: w.now.Add(time.Hour)}
	}
	put := func(w *world, c credential.Credential) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutCredential(w.ctx(), c); return err })
	}
	return []promise{
		{"PutCredentialVersions", func(w *world) {
			c := fresh(w, "org_1", "app_1")
			versions(w, c, func(c *credential.Credential) *int64 { return &c.Version },
				func(c *credential.Credential) {
					c.State, c.Revoked, c.Reason, c.RetireAt, c.Grants = credential.Revoked, w.now, "leaked", w.now, nil
					c.Sources, c.Replaces, c.Held, c.Leaked = []string{"203.0.113.0/24"}, "cr_1", true, w.now
					c.Earlier, c.EarlierUntil = w.hash(), w.now
					c.CertName = &credential.CertName{Authority: "ca", Kind: "dns", Value: "client.example"}
					c.SecretSince, c.KeyPrint = w.now, "print"
					c.Workload = &credential.Workload{Issuer: "https://issuer.example", Subject: "job", Audience: "https://api.example", Claims: []credential.Claim{{Name: "ref", Value: "main"}}}
					c.OAuth = &credential.OAuth{Method: credential.PrivateKeyJWT, Keys: []byte(`{"keys":[]}`), Constrain: credential.ByDPoP}
				},
				func(tx store.Tx, c credential.Credential) (credential.Credential, error) {
					return tx.PutCredential(w.ctx(), c)
				},
				func(tx store.Tx) (credential.Credential, error) { return tx.Credential(w.ctx(), c.ID) })
		}},
		{"PutCredentialElsewhere", func(w *world) { // what places it may change too, and it is found there
			c := written(w, func(tx store.Tx) (credential.Credential, error) {
				return tx.PutCredential(w.ctx(), fresh(w, "org_1", "app_1"))
			})
			was := c.PublicID
			c.Organization, c.Application, c.PublicID, c.Name = "org_2", "app_2", string(id.New(id.Credential, w.now)), "moved"
			moved := written(w, func(tx store.Tx) (credential.Credential, error) { return tx.PutCredential(w.ctx(), c) })
			same(w, "its version", moved.Version, c.Version+1)
			same(w, "by ID", read(w, func(tx store.Tx) (credential.Credential, error) { return tx.Credential(w.ctx(), c.ID) }), moved)
			same(w, "by the public ID", read(w, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), c.PublicID) }), moved)
			failing(w, fault.NotFound, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), was) })
			for org, want := range map[id.ID]int{"org_1": 0, "org_2": 1} {
				cs := read(w, func(tx store.Tx) ([]credential.Credential, error) { return tx.Credentials(w.ctx(), org, "", "", 10) })
				same(w, "of "+string(org), len(cs), want)
			}
			w.is(fault.Stale, put(w, c))
		}},
		{"PutCredentialPublicIDInUseIsConflict", func(w *world) {
			a, b := fresh(w, "org_1", "app_1"), fresh(w, "org_1", "app_1")
			b.PublicID = a.PublicID
			if err := put(w, a); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, put(w, b))
			got := read(w, func(tx store.Tx) (credential.Credential, error) { return tx.CredentialByPublicID(w.ctx(), a.PublicID) })
			same(w, "the credential", got.ID, a.ID)
			failing(w, fault.NotFound, func(tx store.Tx) (credential.Credential, error) {
				return tx.CredentialByPublicID(w.ctx(), strings.ToUpper(a.PublicID))
			})
		}},
		{"CredentialsAliveByIDAfter", func(w *world) {
			of := map[string][]string{}
			for n := range 12 {
				org, app := fmt.Sprint("org_", n%2), fmt.Sprint("app_", n%4)
				c := fresh(w, id.ID(org), id.ID(app))
				if n%3 == 0 {
					c.State = credential.Revoked
				}
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				for _, k := range []string{"", org, app} {
					if c.State != credential.Revoked {
						of[k] = append(of[k], string(c.ID))
					}
				}
			}
			for _, c := range []struct{ org, app, want string }{{"", "", ""}, {"org_1", "", "org_1"}, {"org_1", "app_3", "app_3"}, {"", "app_2", "app_2"}, {"org_0", "app_3", "none"}} {
				slices.Sort(of[c.want])
				got := paged(w, func(c credential.Credential) string { return string(c.ID) }, func(tx store.Tx, after string, limit int) ([]credential.Credential, error) {
					return tx.CredentialsAlive(w.ctx(), id.ID(c.org), id.ID(c.app), id.ID(after), limit)
				})
				same(w, c.org+" "+c.app, got, of[c.want])
			}
		}},
		{"SharedProofsAreThoseOfOthersThatAreNotRevoked", func(w *world) {
			var is []id.ID
			for n, proofs := range [][]string{{"key a", "key b"}, {"key b", "key b"}, {"key a"}, {"key c"}, {"key a"}, nil} {
				c := fresh(w, "org_1", "app_1")
				if n == 4 {
					c.State = credential.Revoked
				}
				is = append(is, c.ID)
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				w.update(func(tx store.Tx) error { return tx.PutProofs(w.ctx(), c.ID, proofs) })
			}
			shared := func(of id.ID, limit int) (out []id.ID) {
				for _, c := range read(w, func(tx store.Tx) ([]credential.Credential, error) { return tx.SharedProofs(w.ctx(), of, limit) }) {
					out = append(out, c.ID)
				}
				return out
			}
			want := []id.ID{is[1], is[2]}
			slices.Sort(want)
			same(w, "of two proofs", shared(is[0], 10), want)
			same(w, "the first", shared(is[0], 1), want[:1])
			same(w, "of one", shared(is[1], 10), []id.ID{is[0]})
			same(w, "of none", shared(is[5], 10), nil)
			w.update(func(tx store.Tx) error { return tx.PutProofs(w.ctx(), is[0], []string{"key c"}) })
			same(w, "of another one", shared(is[0], 10), []id.ID{is[3]})
			same(w, "of what it was before", shared(is[1], 10), nil)
		}},
		{"CredentialsByIDAfter", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				org, app := fmt.Sprint("org_", n%2), fmt.Sprint("app_", n%4)
				c := fresh(w, id.ID(org), id.ID(app))
				if err := put(w, c); err != nil {
					w.Fatal(err)
				}
				for _, k := range []string{"", org, app} {
					of[k] = append(of[k], string(c.ID))
				}
			}
			for _, c := range []struct{ org, app, want string }{{"", "", ""}, {"org_1", "", "org_1"}, {"org_1", "app_3", "app_3"}, {"", "app_2", "app_2"}, {"org_0", "app_3", "none"}} {
				slices.Sort(of[c.want])
				got := paged(w, func(c credential.Credential) string { return string(c.ID) }, func(tx store.Tx, after string, limit int) ([]credential.Credential, error) {
					return tx.Credentials(w.ctx(), id.ID(c.org), id.ID(c.app), id.ID(after), limit)
				})
				same(w, c.org+" "+c.app, got, of[c.want])
			}
		}},
	}
}

func grants() []promise {
	fresh := func(w *world, n int) grant.Grant {
		return grant.Grant{ID: id.New(id.Grant, w.now), Request: "req_1", Organization: id.ID(fmt.Sprint("org_", n%2)), Application: id.ID(fmt.Sprint("app_", n%4)),
			Environment: []string{"live", "test"}[n%2], Product: "verification", Plan: "gold", Scopes: []string{"read", "write"}, Purpose: "p",
			ApprovedBy: []id.ID{"per_2", "per_1"}, From: w.now, Until: w.now.Add(time.Duration(n) * time.Hour), State: grant.Active}
	}
	return []promise{
		{"PutGrantVersions", func(w *world) {
			g := fresh(w, 1)
			versions(w, g, func(g *grant.Grant) *int64 { return &g.Version },
				func(g *grant.Grant) {
					g.State, g.Reason, g.Ended, g.Scopes, g.ApprovedBy, g.Plan = grant.Ended, "over", w.now, []string{}, nil, "silver"
					g.Emergency, g.Reviewed, g.ReviewedBy = true, w.now, "per_9"
					g.ScopesSince = map[string]time.Time{"write": w.now}
				},
				func(tx store.Tx, g grant.Grant) (grant.Grant, error) { return tx.PutGrant(w.ctx(), g) },
				func(tx store.Tx) (grant.Grant, error) { return tx.Grant(w.ctx(), g.ID) })
		}},
		{"GrantsByFilter", func(w *world) {
			var every []grant.Grant
			for n := range 12 {
				g := fresh(w, n)
				if n%3 == 0 {
					g.State = grant.Suspended
				}
				every = append(every, written(w, func(tx store.Tx) (grant.Grant, error) { return tx.PutGrant(w.ctx(), g) }))
			}
			among := map[id.ID]int{}
			for _, g := range read(w, func(tx store.Tx) ([]grant.Grant, error) {
				return tx.GrantsAmong(w.ctx(), []id.ID{"app_1", "app_x", "app_3", "app_1"})
			}) {
				among[g.Application]++
			}
			same(w, "among applications", among, map[id.ID]int{"app_1": 3, "app_3": 3})
			ending := w.now.Add(5 * time.Hour)
			for name, c := range map[string]struct {
				f    grant.Filter
				want func(g grant.Grant) bool
			}{
				"all":          {grant.Filter{}, func(grant.Grant) bool { return true }},
				"organization": {grant.Filter{Organization: "org_1"}, func(g grant.Grant) bool { return g.Organization == "org_1" }},
				"application":  {grant.Filter{Application: "app_3"}, func(g grant.Grant) bool { return g.Application == "app_3" }},
				"environment":  {grant.Filter{Environment: "test"}, func(g grant.Grant) bool { return g.Environment == "test" }},
				"state":        {grant.Filter{State: "suspended"}, func(g grant.Grant) bool { return g.State == grant.Suspended }},
				"ending":       {grant.Filter{Ending: ending}, func(g grant.Grant) bool { return g.State == grant.Active && g.Until.Before(ending) }},
				"several": {grant.Filter{Organization: "org_1", Environment: "test", State: "active", Ending: ending},
					func(g grant.Grant) bool {
						return g.Organization == "org_1" && g.State == grant.Active && g.Until.Before(ending)
					}},
				"none": {grant.Filter{Organization: "org_0", Environment: "test"}, func(grant.Grant) bool { return false }},
			} {
				var want []string
				for _, g := range every {
					if c.want(g) {
						want = append(want, string(g.ID))
					}
				}
				slices.Sort(want)
				got := paged(w, func(g grant.Grant) string { return string(g.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Grant, error) {
					return tx.Grants(w.ctx(), c.f, id.ID(after), limit)
				})
				same(w, name, got, want)
			}
		}},
	}
}

func requests() []promise {
	fresh := func(w *world, n int) grant.Request {
		return grant.Request{ID: id.New(id.Request, w.now), Organization: id.ID(fmt.Sprint("org_", n%2)), Application: id.ID(fmt.Sprint("app_", n%4)),
			Environment: "live", Product: "verification", Plan: "gold", Scopes: []string{"read"}, Purpose: "p", Duration: 90*24*time.Hour + time.Microsecond,
			By: "per_1", Created: w.now, State: grant.Open, Stages: []grant.Stage{{Name: "security", Role: "approver", Count: 2}}}
	}
	return []promise{
		{"PutRequestVersions", func(w *world) {
			r := fresh(w, 1)
			versions(w, r, func(r *grant.Request) *int64 { return &r.Version },
				func(r *grant.Request) {
					r.State, r.Grant = grant.Approved, "gr_1"
					r.Sort, r.Of, r.Since, r.Reminded, r.Escalated = grant.Renewal, "gr_1", w.now, true, true
					r.Questions = []grant.Question{{By: "per_2", At: w.now, Text: "why?", Answer: "because", AnsweredBy: "per_1", Answered: w.now}}
					r.Rule = &grant.Ruling{Rule: "small", Then: "people", Error: "no such key"}
					r.Decisions = []grant.Decision{{By: "per_2", At: w.now, Approve: true, Scopes: []string{"read"}, Until: w.now.Add(time.Hour)}, {Stage: 1, By: "per_3", At: w.now, Reason: "no „reason“ <&>"}}
				},
				func(tx store.Tx, r grant.Request) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) },
				func(tx store.Tx) (grant.Request, error) { return tx.Request(w.ctx(), r.ID) })
		}},
		{"PutRequestOfTwoApproversOneDecides", func(w *world) {
			r := written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), fresh(w, 1)) })
			var wg sync.WaitGroup
			var won atomic.Int32
			for n := range 2 {
				wg.Go(func() {
					mine := r
					mine.Decisions = []grant.Decision{{By: id.ID(fmt.Sprint("per_", n)), At: w.now}}
					err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), mine); return err })
					if err == nil {
						won.Add(1)
					} else {
						w.is(fault.Stale, err)
					}
				})
			}
			wg.Wait()
			same(w, "who decided", won.Load(), 1)
			got := read(w, func(tx store.Tx) (grant.Request, error) { return tx.Request(w.ctx(), r.ID) })
			same(w, "decisions", len(got.Decisions), 1)
		}},
		{"RequestsByFilter", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				r := fresh(w, n)
				if n > 4 {
					r.State = grant.Refused
				}
				r = written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) })
				for _, k := range []string{"", string(r.Organization), string(r.Application), string(r.State)} {
					of[k] = append(of[k], string(r.ID))
				}
			}
			for k, f := range map[string]grant.Filter{"": {}, "org_1": {Organization: "org_1"}, "app_2": {Application: "app_2"}, "open": {State: "open"}, "none": {Environment: "test"}} {
				slices.Sort(of[k])
				got := paged(w, func(r grant.Request) string { return string(r.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Request, error) {
					return tx.Requests(w.ctx(), f, id.ID(after), limit)
				})
				same(w, "filter "+k, got, of[k])
			}
		}},
		{"ClaimRequestsOnceForALease", func(w *world) {
			timed := func(n int, within time.Duration) grant.Request {
				r := fresh(w, n)
				r.Stages[0].Within = int64(within / time.Second)
				return written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) })
			}
			early, late, never := timed(1, time.Hour), timed(2, 4*time.Hour), timed(3, 0)
			claim := func(now time.Time) []string {
				var ids []string
				for _, r := range written(w, func(tx store.Tx) ([]grant.Request, error) {
					return tx.ClaimRequests(w.ctx(), now, time.Minute, 10)
				}) {
					ids = append(ids, string(r.ID))
				}
				return ids
			}
			same(w, "before anything is due", claim(w.now.Add(29*time.Minute)), nil)
			at := w.now.Add(30 * time.Minute)
			same(w, "what is due", claim(at), []string{string(early.ID)})
			same(w, "within the lease", claim(at.Add(59*time.Second)), nil)
			same(w, "after it", claim(at.Add(time.Minute)), []string{string(early.ID)})
			early.Reminded = true
			w.update(func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), early); return err })
			same(w, "stored anew, due later", claim(w.now.Add(59*time.Minute)), nil)
			late.State = grant.Withdrawn
			w.update(func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), late); return err })
			same(w, "what is not open is never due", claim(w.now.Add(100*time.Hour)), []string{string(early.ID)})
			_ = never
		}},
		{"PutAbsenceVersions", func(w *world) {
			a := grant.Absence{ID: id.New(id.Absence, w.now), Person: "per_1", StandIn: "per_2", From: w.now, Until: w.now.Add(time.Hour)}
			versions(w, a, func(a *grant.Absence) *int64 { return &a.Version }, func(a *grant.Absence) { a.Ended = w.now },
				func(tx store.Tx, a grant.Absence) (grant.Absence, error) { return tx.PutAbsence(w.ctx(), a) },
				func(tx store.Tx) (grant.Absence, error) { return tx.Absence(w.ctx(), a.ID) })
		}},
		{"AbsencesThatAreNotOver", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				a := grant.Absence{ID: id.New(id.Absence, w.now), Person: id.ID(fmt.Sprint("per_", n%2)), StandIn: id.ID(fmt.Sprint("per_", 2+n%3)),
					From: w.now, Until: w.now.Add(time.Duration(n) * time.Hour)}
				if n == 5 {
					a.Ended = w.now
				}
				w.update(func(tx store.Tx) error { _, err := tx.PutAbsence(w.ctx(), a); return err })
				if n > 2 && n != 5 {
					for _, k := range []string{"", string(a.Person), string(a.StandIn)} {
						of[k] = append(of[k], string(a.ID))
					}
				}
			}
			for k, q := range map[string][2]id.ID{"": {}, "per_1": {"per_1", ""}, "per_3": {"", "per_3"}} {
				slices.Sort(of[k])
				got := paged(w, func(a grant.Absence) string { return string(a.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Absence, error) {
					return tx.Absences(w.ctx(), q[0], q[1], w.now.Add(2*time.Hour), id.ID(after), limit)
				})
				same(w, "absences of "+k, got, of[k])
			}
		}},
	}
}

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
