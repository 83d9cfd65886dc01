package control_test

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/application"
	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/store"
)

// abroad is a gateway of one feed, as far as it knows what counts.
type abroad struct {
	*regional
	name   string
	access *snapshot.Access
	at     feed.Position
	ids    map[id.ID]bool // grants and credentials that it was ever told of

	renewals int
}

// regional is a world with partners whose grants and credentials move.
type regional struct {
	*world
	key      ed25519.PublicKey
	partners []identity.Actor
	apps     []application.Application
	keys     []credential.Credential
}

func (r *regional) gateway(name string) *abroad {
	return &abroad{regional: r, name: name, access: snapshot.NewAccess(name), ids: map[id.ID]bool{}}
}

// follow takes everything that there is, with the checks of a gateway.
func (g *abroad) follow() {
	g.t.Helper()
	for {
		es, err := g.Source().Tail(g.ctx, g.name, g.at, 64)
		if fault.As(err).Code == "feed-renewed" { // what it would have to be told one by one was forgotten
			g.renewals++
			g.anew()
			continue
		}
		if err == nil {
			err = feed.CheckAll(g.name, g.at, es, g.key)
		}
		for _, e := range es {
			if err == nil {
				err, g.ids[id.ID(e.Key)] = g.access.Apply(e), true
			}
			g.at = e.Position()
		}
		if err != nil {
			g.t.Fatal(err)
		}
		if len(es) == 0 {
			return
		}
	}
}

// anew begins from an image, as a gateway does that has lost its disk, and returns what that tells of.
func (g *abroad) anew() {
	g.t.Helper()
	file := must(g.Image(g.ctx, g.name, int(disk.Packed), 1<<40))(g.t)
	in := must(os.Open(file))(g.t)
	defer in.Close()
	renewals := g.renewals
	*g = *g.gateway(g.name)
	g.renewals = renewals
	err := g.access.Load(func(add func(feed.Entry) error) error {
		img, err := disk.ReadImage(in, g.name, g.key, func(e feed.Entry) error {
			switch {
			case e.Row == nil:
				g.ids[id.ID(e.Key)] = true
			case e.Row.Kind == feed.KindCredential || e.Row.Kind == feed.KindGrant:
				g.ids[e.Row.ID.ID(map[feed.Kind]id.Kind{feed.KindCredential: id.Credential, feed.KindGrant: id.Grant}[e.Row.Kind])] = true
			}
			return add(e)
		})
		g.at = img.Position
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// check compares what the gateway lets through with the records.
func (g *abroad) check(what string, exactly bool) {
	g.t.Helper()
	_, region := env.OfFeed(g.name)
	mine := func(org id.ID) bool {
		o := must(g.Organization(g.ctx, g.admin, org))(g.t)
		return o.Region == "" || region == "" || o.Region == region
	}
	for _, k := range g.keys {
		cr := must(g.Control.Credential(g.ctx, g.admin, k.ID))(g.t)
		c, found := g.access.Marked(cr.Mark())
		passes := found && c.State == policy.Active
		if want := cr.State == credential.Active && mine(cr.Organization); passes != want {
			g.t.Fatalf("%s: %s lets %s of %s in: %t, want %t", what, g.name, cr.ID, cr.Organization, passes, want)
		}
		if exactly && g.ids[cr.ID] != mine(cr.Organization) {
			g.t.Fatalf("%s: the image of %s tells of %s: %t", what, g.name, cr.ID, g.ids[cr.ID])
		}
	}
	for n, p := range g.partners {
		for _, gr := range must(g.Grants(g.ctx, g.admin, grant.Filter{Application: g.apps[n].ID}, control.Page{Limit: 100}))(g.t).Items {
			live := false
			for _, k := range g.keys {
				if k.Application != gr.Application {
					continue
				}
				if c, found := g.access.Marked(k.Mark()); found {
					live = slices.ContainsFunc(g.access.Grants(c.Slot), func(x policy.Grant) bool { return x.ID.ID(id.Grant) == gr.ID && x.State == policy.Active })
				}
			}
			known := slices.ContainsFunc(g.keys, func(k credential.Credential) bool { return k.Application == gr.Application })
			if want := gr.State == grant.Active && mine(p.Organization); known && live != want {
				g.t.Fatalf("%s: the grant %s counts at %s: %t, want %t", what, gr.ID, g.name, live, want)
			}
			if exactly && g.ids[gr.ID] != mine(p.Organization) {
				g.t.Fatalf("%s: the image of %s tells of %s: %t", what, g.name, gr.ID, g.ids[gr.ID])
			}
		}
	}
}

func (r *regional) sequence() {
	r.t.Helper()
	for {
		if err := r.Sequence(r.ctx); err != nil {
			r.t.Fatal(err)
		}
		waiting := 0
		if err := r.store.View(r.ctx, func(tx store.Tx) error {
			rows, err := tx.Unnumbered(r.ctx, 1)
			waiting = len(rows)
			return err
		}); err != nil {
			r.t.Fatal(err)
		}
		if waiting == 0 {
			return
		}
	}
}

func newRegional(t *testing.T) *regional {
	w := newWorld(t).published()
	w.Control.FeedKey = w.Control.Keys.(keys).feed.Public().(ed25519.PublicKey)
	w.Control.Images = t.TempDir()
	r := &regional{world: w, key: w.Control.FeedKey}
	for _, name := range []string{"one", "two", "three"} {
		a := w.verified(name, name+"@example.org")
		app := w.application(a, "app")
		w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
		r.partners, r.apps = append(r.partners, a), append(r.apps, app)
		r.keys = append(r.keys, w.key(a, app, "live"))
	}
	return r
}

func (r *regional) pin(n int, region string) error {
	o := must(r.Organization(r.ctx, r.admin, r.partners[n].Organization))(r.t)
	_, err := r.PinOrganization(r.ctx, r.operator, o.ID, o.Version, region, "its contract says so")
	return err
}

// Whatever is pinned, moved, issued and revoked, and whenever gateways take what there is: a gateway of a region holds exactly what
// is pinned there or nowhere, and nothing that was revoked; an image for one tells of nothing else.
func TestRegionsHoldWhatIsTheirs(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := newRegional(t)
			chance := rand.New(rand.NewPCG(seed, 130))
			r.sequence()
			gs := []*abroad{r.gateway("live")}
			add := func(region string) {
				must(r.AddRegion(r.ctx, r.operator, "live", region, "the contract"))(t)
				gs = append(gs, r.gateway(env.FeedOf("live", region)))
			}
			add("eu")
			regions := []string{"", "eu"}
			for step := range 60 {
				n := chance.IntN(len(r.partners))
				what := fmt.Sprintf("step %d", step)
				switch chance.IntN(6) {
				case 0:
					r.keys = append(r.keys, r.world.key(r.partners[n], r.apps[n], "live"))
				case 1:
					k := r.keys[chance.IntN(len(r.keys))]
					if _, err := r.RevokeCredential(r.ctx, r.admin, k.ID, 0, "leaked"); err != nil && fault.KindOf(err) != fault.Conflict {
						t.Fatal(what, err)
					}
				case 2, 3:
					if err := r.pin(n, regions[chance.IntN(len(regions))]); err != nil && fault.As(err).Code != "organization-there" {
						t.Fatal(what, err)
					}
				case 4:
					if step > 20 && len(regions) == 2 {
						add("us")
						regions = append(regions, "us")
					}
				case 5:
					r.sequence()
					for _, g := range gs {
						g.follow()
						g.check(what, false)
					}
				}
				if chance.IntN(5) == 0 {
					r.sequence()
					g := gs[chance.IntN(len(gs))]
					g.anew()
					g.check(what+", from an image", true)
				}
			}
			r.sequence()
			for _, g := range gs {
				g.follow()
				g.check("in the end", false)
				fresh := r.gateway(g.name)
				fresh.follow()
				fresh.check("from the first entry", false)
				fresh.anew()
				fresh.check("from an image in the end", true)
			}
		})
	}
}

func TestPinOrganization(t *testing.T) {
	r := newRegional(t)
	r.sequence()
	wants(t, "a region that there is not", r.pin(0, "eu"), fault.Invalid, "")
	_, err := r.AddRegion(r.ctx, r.host, "live", "eu", " ")
	wants(t, "a region for no reason", err, fault.Invalid, "")
	must(r.AddRegion(r.ctx, r.host, "live", "eu", "the contract"))(t)
	_, err = r.AddRegion(r.ctx, r.host, "live", "eu", "the contract")
	wants(t, "once more", err, fault.Conflict, "region-there")
	must(r.AddRegion(r.ctx, r.host, "live", "us", "the contract"))(t)
	_, err = r.EnrolGateway(r.ctx, r.host, "live", "", "gw", 0)
	wants(t, "a gateway without a region", err, fault.Invalid, "")
	_, err = r.EnrolGateway(r.ctx, r.host, "live", "moon", "gw", 0)
	wants(t, "a gateway in another region", err, fault.Invalid, "")
	must(r.EnrolGateway(r.ctx, r.host, "test", "", "gw", 0))(t)
	if err := r.pin(0, "eu"); err != nil {
		t.Fatal(err)
	}
	wants(t, "there already", r.pin(0, "eu"), fault.Conflict, "organization-there")
	_, err = r.EnrolGateway(r.ctx, r.host, "test", "", "gw", 0)
	wants(t, "a gateway that would know everything", err, fault.Invalid, "")
	_, err = r.GatewayImage(r.ctx, r.host, "live")
	wants(t, "an image of everything", err, fault.Forbidden, "gateway-without-region")
	must(r.GatewayImage(r.ctx, r.host, "live@eu"))(t)
	_, err = r.GatewayImage(r.ctx, r.host, "live@moon")
	wants(t, "an image of nowhere", err, fault.NotFound, "")
	_, err = r.RemoveRegion(r.ctx, r.host, "live", "eu", "the contract")
	wants(t, "a region with somebody in it", err, fault.Conflict, "region-pinned")
	_, err = r.RemoveRegion(r.ctx, r.host, "live", "us", "")
	wants(t, "a region away for no reason", err, fault.Invalid, "")
	must(r.RemoveRegion(r.ctx, r.host, "live", "us", "nobody is there"))(t)
	l := must(r.Audit(r.ctx, r.admin, audit.Filter{Action: "environment.remove-region"}, control.Page{Limit: 1}))(t)
	if e := l.Items[0]; e.Reason != "nobody is there" || !strings.Contains(string(e.Before), `"us"`) || strings.Contains(string(e.After), `"us"`) {
		t.Errorf("the audit says %+v", e)
	}
	if es := must(r.Environments(r.ctx, r.admin))(t); len(es[0].Regions) != 1 || es[0].Regions[0].Name != "eu" {
		t.Errorf("%+v", es[0].Regions)
	}

	// Where a change of it is in force asks those gateways that are told of it.
	r.sequence()
	must(r.AddRegion(r.ctx, r.host, "live", "us", "the contract"))(t)
	r.sequence()
	k := r.keys[0]
	if fs := must(r.InForce(r.ctx, r.admin, k.ID))(t); len(fs) != 1 || fs[0].Region != "eu" {
		t.Errorf("in force %+v", fs)
	}
	must(r.RevokeCredential(r.ctx, r.admin, r.keys[1].ID, 0, "leaked"))(t)
	r.sequence()
	if fs := must(r.InForce(r.ctx, r.admin, r.keys[1].ID))(t); len(fs) != 2 {
		t.Errorf("of one that is everywhere: %+v", fs)
	}
}
