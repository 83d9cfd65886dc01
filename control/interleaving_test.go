package control

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/feed"
)

// replica is a gateway of the property test: what it has applied, and where it was when it stopped.
type sharer struct {
	state map[string]int64
	at    feed.Position
	stop  func()
}

// Whatever order commits, numbering, restarts of the control plane and stops of gateways come in, all gateways of an
// environment end in the same state, which is the newest one of everything.
func TestAnyInterleavingEndsTheSame(t *testing.T) {
	first := newPlant(t, "live")
	first.must(first.store.Close())
	empty, err := os.ReadFile(first.file) // so that the schema is made once
	first.must(err)
	rapid.Check(t, func(rt *rapid.T) {
		p := &plant{TB: t, ctx: first.ctx, file: filepath.Join(t.TempDir(), "gatehouse.db"), keys: first.keys}
		p.must(os.WriteFile(p.file, empty, 0o600))
		p.open()
		defer func() { p.store.Close() }()
		environments := []string{"live"}
		gateways := map[string][]*sharer{}
		add := func(environment string) {
			gateways[environment] = append(gateways[environment], &sharer{state: map[string]int64{}})
		}
		add("live")
		add("live")
		start := func(environment string, g *sharer) {
			if g.stop != nil {
				return
			}
			f, err := feed.NewFollower(feed.Options{Source: p.source, Environment: environment, Gateway: fmt.Sprintf("%p", g), Key: p.keys.feed.Public().(ed25519.PublicKey), From: g.at,
				Poll: 5 * time.Millisecond,
				Apply: func(e feed.Entry) error {
					if e.Version <= g.state[string(e.Kind)+e.Key] {
						return fmt.Errorf("version %d of %s comes after %d", e.Version, e.Key, g.state[e.Key])
					}
					g.state[string(e.Kind)+e.Key] = e.Version
					return nil
				}})
			p.must(err)
			ctx, cancel := context.WithCancel(p.ctx)
			done := make(chan struct{})
			go func() { defer close(done); _ = f.Run(ctx) }()
			g.stop = func() { cancel(); <-done; g.at, g.stop = f.Position(), nil }
		}
		halt := func() {
			for _, gs := range gateways {
				for _, g := range gs {
					if g.stop != nil {
						g.stop()
					}
				}
			}
		}
		want := map[string]map[string]int64{"live": {}}
		shared := map[string]int64{}
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 25).Draw(rt, "steps")
		for _, step := range steps {
			environment := rapid.SampledFrom(environments).Draw(rt, "environment")
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key")
			switch step {
			case 0, 1, 2: // a change here
				full := string(feed.KindGrant) + key
				want[environment][full]++
				p.must(p.write(grantRow(environment, key, want[environment][full])))
			case 3, 4: // a change everywhere
				full := string(feed.KindOrganization) + key
				shared[full]++
				p.must(p.write(feed.Change{Kind: feed.KindOrganization, Key: key, Version: shared[full]}))
			case 5, 6:
				_, err := p.seq.step(p.ctx)
				p.must(err)
			case 7: // a gateway starts or stops
				g := rapid.SampledFrom(gateways[environment]).Draw(rt, "gateway")
				if g.stop != nil {
					g.stop()
				} else {
					start(environment, g)
				}
			case 8: // the control plane restarts
				halt()
				p.must(p.store.Close())
				p.open()
			case 9: // a new environment, with a gateway
				if len(environments) < 3 {
					name := fmt.Sprint("env", len(environments))
					p.environment(name)
					environments = append(environments, name)
					want[name] = map[string]int64{}
					add(name)
				}
			}
		}
		p.drain()
		for environment, gs := range gateways {
			for k, v := range shared {
				want[environment][k] = v
			}
			es := p.entries(environment)
			head := feed.Position{}
			if len(es) > 0 {
				head = es[len(es)-1].Position()
			}
			for _, g := range gs {
				start(environment, g)
			}
			for _, g := range gs {
				eventually(t, "all is applied", func() bool {
					g.stop()
					if g.at.Seq == head.Seq {
						return true
					}
					start(environment, g)
					return false
				})
				if d := cmp.Diff(want[environment], g.state); d != "" || g.at.Digest != head.Digest {
					rt.Fatalf("%s at %v, head %v:\n%s", environment, g.at, head, d)
				}
			}
		}
		halt()
		if r := p.verify(); !r.OK {
			rt.Fatalf("%+v", r.Problems)
		}
		p.must(p.store.Close())
	})
}
