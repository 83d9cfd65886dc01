package control_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/id"
)

// oath answers for a gateway elsewhere: everything is absent there.
type oath struct {
	name   string
	key    crypto.Signer
	asked  chan feed.Probe
	silent bool
}

func (o *oath) Probe(ctx context.Context, p feed.Probe) (feed.Sworn, error) {
	o.asked <- p
	if o.silent {
		<-ctx.Done()
		return feed.Sworn{}, ctx.Err()
	}
	a := feed.Answer{Probe: p.ID, Gateway: o.name, Environment: p.Environment, Position: feed.Position{Seq: p.Seq}, At: time.Now()}
	for _, c := range p.Credentials {
		a.Seen = append(a.Seen, feed.Seen{Probed: c, Verdict: feed.Absent})
	}
	return feed.Swear(a, o.key)
}

// A gateway at the other end of a connection swears with the key that it enrolled with; one that signs with another key, is silent,
// is gone, or is of a release that cannot swear is named with what to do.
func TestGatewaysElsewhereSwear(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "a")
	c := f.connect(i, nil)
	_, _ = c.Tail(f.ctx, "live", feed.Position{}, 1)
	var to feed.Prober
	here := func() bool { to = f.server.Probers("live")["a"]; return to != nil }
	f.eventually("the gateway can be asked", here)
	if n := len(f.server.Probers("test")); n != 0 {
		t.Errorf("%d gateways of another environment can be asked", n)
	}
	p := feed.Probe{ID: id.New(id.Offboarding, f.clock.Now()), Environment: "live"}
	for range 1000 {
		p.Credentials = append(p.Credentials, feed.Probed{Credential: id.New(id.Credential, f.clock.Now()), Kind: "api_key", Mark: make([]byte, 32)})
	}
	ask := func(d time.Duration) (feed.Sworn, error) {
		ctx, cancel := context.WithTimeout(f.ctx, d)
		defer cancel()
		return to.Probe(ctx, p)
	}
	if _, err := ask(30 * time.Second); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "does not serve yet") {
		t.Errorf("before it serves: %v", err)
	}
	asked := make(chan feed.Probe, 100)
	c.Answer(&oath{name: "a", key: c.Signer(), asked: asked})
	s := must(ask(30 * time.Second))(t)
	if a, err := s.Proves("a", p, false); err != nil || len(a.Seen) != 1000 {
		t.Errorf("it swears: %v", err)
	}
	enrolled := must(f.Fleet(f.ctx, f.host))(t)[0].Key
	if !s.By(enrolled) || s.By(strings.Repeat("0", 64)) {
		t.Error("the answer does not tell by which key it was signed")
	}
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	c.Answer(&oath{name: "a", key: other, asked: asked})
	if _, err := ask(30 * time.Second); fault.As(err).Code != "probe-unsigned" {
		t.Errorf("signed by another key: %v", err)
	}
	c.Answer(&oath{name: "a", key: c.Signer(), asked: asked, silent: true})
	if _, err := ask(50 * time.Millisecond); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("silent: %v", err)
	}
	for len(asked) > 0 {
		<-asked
	}
	// The stream breaks while the answer is waited for: it is said at once, and the question can be asked again over the next one.
	old := to
	answer := make(chan error, 1)
	go func() { _, err := ask(30 * time.Second); answer <- err }()
	<-asked
	_, _ = c.Tail(f.ctx, "live", feed.Position{Seq: 7}, 1) // the gateway goes on elsewhere: it dials again
	if err := <-answer; !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("gone: %v", err)
	}
	_, _ = c.Tail(f.ctx, "live", feed.Position{}, 1)
	c.Answer(&oath{name: "a", key: c.Signer(), asked: asked})
	f.eventually("it swears over the next stream", func() bool {
		if !here() || to == old {
			return false
		}
		_, err := ask(30 * time.Second)
		return err == nil
	})
}

// What a gateway of the release before is asked, it never answers: it is not asked, and named.
func TestAnOlderGatewayCannotSwear(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "old")
	told := make(chan string, 1)
	go func() {
		told <- f.speak(i, frame('h', map[string]any{"protocol": link.Protocol, "oldest": link.Oldest, "version": "0.9", "now": f.clock.Now()}))
	}()
	var err error
	f.eventually("it is asked", func() bool {
		to := f.server.Probers("live")["old"]
		if to == nil {
			select {
			case <-told: // a stream that says nothing more ends: once more
				go func() {
					told <- f.speak(i, frame('h', map[string]any{"protocol": link.Protocol, "oldest": link.Oldest, "version": "0.9", "now": f.clock.Now()}))
				}()
			default:
			}
			return false
		}
		_, err = to.Probe(f.ctx, feed.Probe{Environment: "live"})
		return true
	})
	if f := fault.As(err); f.Code != "gateway-cannot-swear" || !strings.Contains(f.Public, "runs 0.9") || !strings.Contains(f.Public, "upgrade it") {
		t.Errorf("%v", err)
	}
	<-told
}
