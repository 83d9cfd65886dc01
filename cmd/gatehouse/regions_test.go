package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/organization"
)

// joinIn enrols a gateway of live in a region and starts it.
func (s *sites) joinIn(region, name string) *site {
	s.Helper()
	var e struct{ Token string }
	s.must("POST", "/api/gateway-enrolments", s.admin, map[string]string{"environment": "live", "region": region, "name": name}, &e)
	g := &site{s: s, name: name, data: name + "-data", cable: newCable(s.T, "127.0.0.1:0", s.feed)}
	s.all[name] = g
	g.start("GATEHOUSE_FEED_TOKEN=" + e.Token)
	return g
}

// pin moves the partner, and returns how it stands then.
func (s *sites) pin(region string) {
	s.Helper()
	var l struct{ Items []organization.Organization }
	s.must("GET", "/api/organizations", s.admin, nil, &l)
	for _, o := range l.Items {
		s.must("POST", "/api/organizations/"+string(o.ID)+"/pin", s.admin, map[string]string{"region": region, "reason": "its contract says so"}, &o)
		if o.Region != region {
			s.Fatalf("it is in %q, not in %q", o.Region, region)
		}
	}
}

// knows reports whether anything that the gateway keeps on its disk names the object.
func (g *site) knows(object id.ID, kind id.Kind) bool {
	g.s.Helper()
	bits, ok := object.Bits(kind)
	if !ok {
		g.s.Fatalf("%s is no %s", object, kind)
	}
	found := false
	err := filepath.WalkDir(filepath.Join(g.s.dir, g.data), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || bytes.Contains(b, bits[:]) || bytes.Contains(b, []byte(object))
		return err
	})
	if err != nil {
		g.s.Fatal(err)
	}
	return found
}

// Two gateways of two regions: a key of a pinned organization is let in by the one and unknown to the other, which never had it; it
// moves while it is used, and comes back.
func TestGatewaysOfRegions(t *testing.T) {
	s := newSites(t, "127.0.0.1")
	for _, region := range []string{"eu", "us"} {
		s.must("POST", "/api/environments/live/regions", s.admin, map[string]string{"region": region, "reason": "there are customers"}, nil)
	}
	eu := s.joinIn("eu", "fra-1")
	everywhere, key := s.issue()
	eu.comes(key, 200)
	s.pin("eu")
	us := s.joinIn("us", "iad-1")
	pinned, own := s.issue()
	eu.comes(own, 200)
	for _, k := range []string{key, own} {
		if got := us.call(k); got != 401 {
			t.Errorf("the other region answers %d", got)
		}
	}
	for _, i := range []string{everywhere, pinned} {
		if us.knows(id.ID(i), id.Credential) {
			t.Errorf("%s is on the disk of a gateway that may not know it", i)
		}
	}
	s.eventually("the one region has it on its disk", func() bool { return eu.knows(id.ID(pinned), id.Credential) })
	if fs := s.force(pinned); len(fs) != 1 || fs[0].Region != "eu" || fs[0].Gateways != 1 {
		t.Errorf("it is to be in force at %+v", fs)
	}

	// It moves under calls: never is it let in at both once both have said that they know.
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				eu.call(own)
				us.call(own)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	s.pin("us")
	us.comes(own, 200)
	eu.comes(own, 401)
	s.eventually("both have said so", func() bool {
		fs := s.force(pinned)
		return len(fs) == 2 && fs[0].Done+fs[1].Done == 2
	})
	close(stop)
	<-done

	// What was revoked meanwhile does not come back with the next move, nor with a restart.
	s.revoke(pinned)
	us.comes(own, 401)
	s.pin("eu")
	eu.comes(key, 200)
	us.comes(key, 401)
	eu.kill()
	eu.start()
	eu.comes(key, 200)
	for _, g := range []*site{eu, us} {
		if got := g.call(own); got != 401 {
			t.Errorf("%s lets a revoked key in: %d", g.name, got)
		}
	}
}

// force is where the newest change of the object is in force.
func (s *sites) force(object string) []control.InForce {
	s.Helper()
	var l struct{ Items []control.InForce }
	s.must("GET", "/api/in-force/"+object, s.admin, nil, &l)
	return l.Items
}
