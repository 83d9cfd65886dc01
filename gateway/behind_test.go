package gateway_test

import (
	"context"
	"crypto/ed25519"
	"sync"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/id"
	"gatehouse/secret"
)

// What was loaded may be older than what the control plane has: where that is so the gateway is ready only once it has caught up,
// and what was revoked since is refused from its first request on.
func TestBehindIsNotReady(t *testing.T) {
	for _, behind := range []bool{false, true} {
		l := newLine(t)
		org := feed.Organization{ID: id.New(id.Organization, time.Now()), Live: true}
		b := files("http://127.0.0.1:1", "")
		l.publish(t, feed.KindRevision, "live", feed.Revision{Number: 1, Digest: b.Digest(), Bundle: b.Encode()})
		l.publish(t, feed.KindOrganization, string(org.ID), org)
		loaded := append([]feed.Entry(nil), l.entries...)
		org.Live = false
		last := l.publish(t, feed.KindOrganization, string(org.ID), org)
		g, err := gateway.New(gateway.Options{Environment: "live", Name: "gw", Source: l, Key: l.key.Public().(ed25519.PublicKey), Kinds: kinds(), Behind: behind,
			Secrets: func(string) (secret.Value, bool) { return secret.New("x"), true },
			Load: func(add func(feed.Entry) error) (feed.Position, error) {
				for _, e := range loaded {
					if err := add(e); err != nil {
						return feed.Position{}, err
					}
				}
				return loaded[len(loaded)-1].Position(), nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		if ready := g.Ready() == nil; ready == behind {
			t.Errorf("behind %v: ready is %v before it has caught up: %v", behind, ready, g.Ready())
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.Follow(ctx) })
		<-g.CaughtUp()
		if err := g.Ready(); err != nil || g.Position().Seq != last {
			t.Errorf("behind %v: %v at %d", behind, err, g.Position().Seq)
		}
		cancel()
		wg.Wait()
	}
}
