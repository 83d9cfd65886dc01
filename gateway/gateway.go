// Package gateway is the data plane: it serves the requests of one environment from a view, and keeps that view current
// from the feed.
package gateway

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"gatehouse/event"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fetch"
	"gatehouse/http1"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/token"
	"gatehouse/trust"
	"gatehouse/wire"
)

// Options is what a gateway is made from.
type Options struct {
	Environment string            // the one it serves
	Feed        string            // the name of the feed that it follows; "": the environment's own
	Name        string            // its own, in receipts and events
	Source      feed.Source       // where its changes come from
	Key         ed25519.PublicKey // of the control plane, which signs the feed
	Signer      crypto.Signer     // its own key, by which it swears what it enforces; nil: it cannot
	Kinds       []policy.Kind     // the policies that routes may name
	Secrets     func(name string) (secret.Value, bool)
	Shared      ratelimit.Shared // counts limits together with other gateways; nil: they are away
	Events      event.Sink       // nil: events are not kept
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: nothing is logged
	Tally       Tally            // where quotas are kept; nil: this gateway counts them alone
	Succeeds    bool             // another process of this name hands over to it, and may count quotas for a while yet
	Limits      Limits           // zero fields take the defaults
	Codec       Codec            // zero: HTTP1
	// Load hands over what is on disk and returns where the feed goes on; nil: nothing is.
	Load func(add func(feed.Entry) error) (feed.Position, error)
	// Behind says that what Load gives is older than what the control plane has: the gateway is not ready before it has caught up.
	Behind bool
	// Renew is Load for what the control plane gives anew, when it has begun another history; nil: that is refused.
	Renew func(ctx context.Context, add func(feed.Entry) error) (feed.Position, error)
	// Keep and Sync are feed.Options's.
	Keep   func([]feed.Entry) error
	Sync   func(feed.Position) error
	Hinted bool // feed.Options's
	// Standing is asked several times a second; nil: the control plane is always there.
	Standing func() Standing
	Fetch    *fetch.Client // what asks trusted issuers for their keys; nil: routes that need them are closed
	Loops    int           // threads on which busy plain connections are served over io_uring, see http1.Loops; 0: none
	DNS      string        // address of the DNS server that upstreams' names are looked up at; "": the system's
	H2C      bool          // clients of plain connections may begin with HTTP/2; over TLS they choose it in the handshake
}

// Codec says who reads and writes HTTP/1.1. HTTP/2 is spoken beside HTTP1 only.
type Codec string

// The codecs.
const (
	HTTP1 Codec = "http1" // our own
	Std   Codec = "std"   // net/http: the reference that the other is compared with
)

// Gateway is one data-plane process for one environment.
type Gateway struct {
	o        Options
	clocked  bool // Options.Now was given: it is another clock than the one that exchanges are timed with
	follower atomic.Pointer[feed.Follower]
	caught   chan struct{}               // closed when the first follower has caught up
	loaded   bool                        // it began with what was on disk
	halted   atomic.Pointer[fault.Error] // why nothing is served; nil: it is
	offline  atomic.Int64                // time.Duration without the control plane
	access   *snapshot.Access            // changed under mu, by the goroutine that follows
	current  atomic.Pointer[current]
	meters   *meters
	uses     *uses
	notes    notes
	tokens   *policy.Tokens
	proofs   *token.Prover
	trust    *trust.Keeper // nil: nobody fetches
	carriers sync.Pool
	buffers  http1.Buffers
	names    names
	tunnels  tunnels
	peers    peers
	altSvc   wire.View                      // where HTTP/3 is offered; nil: nowhere
	apart    func(server, host string) bool // see Apart; nil: nothing is told apart
	secure   *tls.Config                    // how upstreams are reached over TLS: verified by the system's roots and the name of the target

	mu        sync.Mutex // guards what follows; requests do not take it
	following context.Context
	watches   *sync.WaitGroup // of following
	limiters  map[string]*ratelimit.Limiter
	quotas    *ratelimit.Quotas
	pools     map[string]*pool
	desired   int64  // the newest revision that arrived
	pending   []byte // its payload, while it has not been compiled
	trouble   string // why it is not served
}

// current is what requests are served from: one consistent view, and the connections to its upstreams.
type current struct {
	view  *snapshot.View
	pools map[*snapshot.Upstream]*pool
}

// New makes a gateway that serves nothing yet: every request is answered 503 until Follow has brought a revision.
func New(o Options) (*Gateway, error) {
	if o.Secrets == nil || len(o.Kinds) == 0 {
		return nil, fault.New(fault.Internal, "a gateway needs its policies and a way to its secrets")
	}
	switch o.Codec {
	case "":
		o.Codec = HTTP1
	case HTTP1, Std:
	default:
		return nil, fault.New(fault.Internal, "there is no codec %q", o.Codec)
	}
	clocked := o.Now != nil
	if !clocked {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		o.Events = event.Nowhere{}
	}
	o.Limits = o.Limits.withDefaults()
	g := &Gateway{o: o, clocked: clocked, access: snapshot.NewAccess(o.feed()), limiters: map[string]*ratelimit.Limiter{}, quotas: ratelimit.NewQuotas(), pools: map[string]*pool{},
		uses: newUses(), tokens: policy.NewTokens(), proofs: token.NewProver(), names: names{o.DNS}, secure: &tls.Config{MinVersion: tls.VersionTLS12}}
	if o.Fetch != nil {
		g.trust = trust.New(trust.Options{Fetch: o.Fetch, Now: o.Now, Log: o.Log})
	}
	g.caught = make(chan struct{})
	g.current.Store(&current{view: &snapshot.View{Routes: &snapshot.Routes{Environment: o.Environment}, Access: g.access}})
	g.peers.most = o.Limits.Peer
	g.tunnels.g, g.tunnels.all = g, map[*tunnel]struct{}{}
	g.meters = newMeters(g)
	g.notes.open(g)
	g.carriers.New = func() any { return g.newCarrier() }
	if err := g.begin(); err != nil {
		return nil, err
	}
	return g, nil
}

// Serve answers connections of the listener, which it closes, until the context ends; then it takes no new ones, lets
// running exchanges end for up to Limits.Drain, and returns. It may be called for several listeners.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	defer g.notes.settle()
	if g.o.Codec == Std {
		return g.serveStd(ctx, l)
	}
	return g.serveOwn(ctx, l)
}

// View is what the next request is served from.
func (g *Gateway) View() *snapshot.View { return g.current.Load().view }

// Ready is nil once a revision is served and the feed was caught up with once, or what is on disk is in force. It stays nil: a
// gateway that has lost its feed serves on with what it has, until its offline bound has run out.
func (g *Gateway) Ready() error {
	if h := g.halted.Load(); h != nil {
		return h
	}
	select {
	case <-g.caught:
	default:
		if g.loaded && !g.o.Behind {
			break
		}
		f := fault.New(fault.Unavailable, "the gateway has not caught up with its feed yet")
		if err := g.Trouble(); err != nil {
			f = f.Because(err)
		}
		return f
	}
	if g.View().Revision == 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.trouble != "" {
			return fault.New(fault.Unavailable, "revision %d cannot be served: %s", g.desired, g.trouble)
		}
		return fault.New(fault.Unavailable, "nothing has been published for %s yet", g.o.Environment)
	}
	return nil
}

// Metrics gathers what this gateway counts, every series with its environment. Several gateways of one process are
// joined by prometheus.Gatherers.
func (g *Gateway) Metrics() prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		g.notes.settle()
		return g.meters.registry.Gather()
	})
}
