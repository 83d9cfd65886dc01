package main_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fleet"
)

// sites is a control plane and gateways, each a process of its own on a cable of its own.
type sites struct {
	*killed
	all map[string]*site
}

// site is one gateway.
type site struct {
	*victim
	s          *sites
	name, data string
	at         string // where it takes calls
	from       string // what it began from
	cable      *cable
}

// newSites starts a control plane whose feed listens on the address, with a partner that gets grants by itself.
func newSites(t *testing.T, address string) *sites {
	t.Helper()
	return newSitesIn(t, t.TempDir(), address)
}

func newSitesIn(t *testing.T, dir, address string) *sites {
	t.Helper()
	return newSitesOn(t, dir, address, "")
}

// newSitesOn is newSitesIn on a database of PostgreSQL, with changes of its manifest: what is there and what takes its place, in turn.
func newSitesOn(t *testing.T, dir, address, database string, changes ...string) *sites {
	t.Helper()
	s := &sites{&killed{T: t, dir: dir, database: database, keys: map[string]*killedKey{}}, map[string]*site{}}
	up := newUpstream()
	t.Cleanup(up.Close)
	err := errors.Join(copyManifest(filepath.Join(s.dir, "manifest"), up.URL),
		replaceIn(filepath.Join(s.dir, "manifest", "gatehouse.yaml"), "approval: { stages: [{ name: owner, role: approver }] }", "approval: { automatic: true }"))
	for n := 0; n+1 < len(changes); n += 2 {
		err = errors.Join(err, replaceIn(filepath.Join(s.dir, "manifest", "gatehouse.yaml"), changes[n], changes[n+1]))
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.feed, err = freeAddress(address + ":0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.control.kill()
		for _, g := range s.all {
			g.kill()
		}
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
			for _, f := range logs {
				b, _ := os.ReadFile(f)
				t.Logf("%s:\n%s", filepath.Base(f), b[max(0, len(b)-4000):])
			}
		}
	})
	s.startControl()
	s.partner()
	return s
}

// enrol makes a token.
func (s *sites) enrol(environment, name string) string {
	s.Helper()
	var e struct{ Token string }
	s.must("POST", "/api/gateway-enrolments", s.admin, map[string]string{"environment": environment, "name": name}, &e)
	return e.Token
}

// join enrols a gateway of live and starts it.
func (s *sites) join(name string) *site {
	s.Helper()
	g := &site{s: s, name: name, data: name + "-data", cable: newCable(s.T, "127.0.0.1:0", s.feed)}
	s.all[name] = g
	g.start("GATEHOUSE_FEED_TOKEN=" + s.enrol("live", name))
	return g
}

// start starts it from where it is.
func (g *site) start(env ...string) {
	g.s.Helper()
	if err := g.tries(env...); err != nil {
		g.s.Fatal(err)
	}
}

// tries is start that may not come about.
func (g *site) tries(env ...string) (err error) {
	var at struct{ Gateway, From string }
	g.victim, err = g.s.launch(g.name, &at, env, "gateway", "-o", "json", "--control", g.cable.at(), "--data", g.data)
	g.at, g.from = at.Gateway, at.From
	return err
}

// refuses checks that it does not start, and says why.
func (g *site) refuses(why string, env ...string) {
	g.s.Helper()
	if err := g.tries(env...); err == nil || !strings.Contains(err.Error(), why) {
		g.s.Errorf("%s starts, or does not say %q: %v", g.name, why, err)
		g.kill()
	}
}

func (g *site) folder() string { return filepath.Join(g.s.dir, g.data, "gateway", "live") }

// call calls the gateway with a key.
func (g *site) call(key string) int {
	r, err := http.NewRequest("GET", g.at+"/echo/things", nil)
	if err != nil {
		g.s.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// comes waits until a call with the key is answered so.
func (g *site) comes(key string, status int) {
	g.s.Helper()
	g.s.eventually(g.name+" answers "+http.StatusText(status), func() bool { return g.call(key) == status })
}

func (s *sites) eventually(what string, holds func() bool) {
	s.Helper()
	for deadline := time.Now().Add(2 * patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("it does not come to this: %s", what)
		}
	}
}

// issue issues a key. It may not be in force yet.
func (s *sites) issue() (id, key string) {
	s.Helper()
	var made struct {
		Key        string
		Credential struct{ ID string }
	}
	s.must("POST", "/api/credentials", s.member, map[string]string{"application": s.application, "environment": "live", "name": "k", "lifetime": "1d"}, &made)
	return made.Credential.ID, made.Key
}

func (s *sites) revoke(id string) {
	s.Helper()
	s.must("POST", "/api/credentials/"+id+"/revoke", s.member, map[string]string{"reason": "found in a log"}, nil)
}

// stands is how the control plane sees the gateway.
func (s *sites) stands(name string) (found control.FleetGateway) {
	s.Helper()
	var l struct{ Items []control.FleetGateway }
	s.must("GET", "/api/gateways", s.admin, nil, &l)
	for _, g := range l.Items {
		if g.Name == name && g.State == fleet.Active {
			return g
		}
	}
	return found
}

// trouble waits until the fleet's view names a trouble of the gateway.
func (s *sites) trouble(name, text string) {
	s.Helper()
	s.eventually("the fleet names the trouble of "+name+": "+text, func() bool { return strings.Contains(strings.Join(s.stands(name).Trouble, "; "), text) })
}

// refused waits until the refusals show the code, and returns its text.
func (s *sites) refused(name, code string) (text string) {
	s.Helper()
	s.eventually("a refusal of "+name+" is shown: "+code, func() bool {
		var l struct{ Items []fleet.Refusal }
		s.must("GET", "/api/gateway-refusals", s.admin, nil, &l)
		for _, r := range l.Items {
			if r.Gateway == name && r.Code == code {
				text = r.Text
			}
		}
		return text != ""
	})
	return text
}

// waits tells on how many gateways the newest change of the object is in force, and which have not said so.
func (s *sites) waits(id string) (gateways, done int, waiting []string) {
	s.Helper()
	var l struct {
		Items []struct {
			Seq, Gateways, Done int
			Waiting             []string
		}
	}
	s.must("GET", "/api/in-force/"+id, s.admin, nil, &l)
	if len(l.Items) != 1 || l.Items[0].Seq == 0 {
		return 0, 0, nil
	}
	return l.Items[0].Gateways, l.Items[0].Done, l.Items[0].Waiting
}

// inForceOn waits until the newest change of the object is in force on that many gateways.
func (s *sites) inForceOn(id string, n int) {
	s.Helper()
	s.eventually("it is in force", func() bool { _, done, _ := s.waits(id); return done >= n })
}
