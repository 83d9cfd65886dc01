package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/fetch"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/store"
	"gatehouse/trust"
	"gatehouse/usage"
)

// plane is the control plane and its database, while this process has them.
type plane struct {
	*control.Control
	store   store.Store
	replica store.Store // nil: none
	outside *fetch.Client
	trust   *trust.Keeper // what authorities of clients' certificates have revoked
	stop    context.CancelFunc
	wait    sync.WaitGroup

	stopPages context.CancelFunc
	pages     sync.WaitGroup
}

// openPlane opens the database and makes a control plane, which has not begun to run.
func (s *serving) openPlane(ctx context.Context, sender mail.Sender, url string, urls map[string]string) error {
	db, err := OpenStore(ctx, s.Config, s.Log)
	if err != nil {
		return err
	}
	p := &plane{store: db, stop: func() {}, stopPages: func() {}}
	if db.Alone() {
		if err := ownLog(ctx, db, s.keys); err != nil {
			return errors.Join(err, p.close())
		}
	}
	watched, err := watch(s.Config, s.Log)
	if err != nil {
		return errors.Join(err, p.close())
	}
	second, err := control.RolesNamed(s.Config.Second)
	if err != nil {
		return errors.Join(err, p.close())
	}
	if p.replica, err = openReplica(ctx, s.Config, db, s.Log); err != nil {
		return errors.Join(err, p.close())
	}
	p.outside = newOutside(s.Config)
	p.trust = trust.New(trust.Options{Fetch: p.outside, Log: s.Log})
	providers, err := signOns(s.Config.SSO, p.outside)
	if err != nil {
		p.outside.Close()
		return errors.Join(err, p.close())
	}
	p.Control = control.New(control.Options{
		Fetch: p.outside, Revoker: p.trust,
		FeedKey: s.keys.feed.Public().(ed25519.PublicKey), Images: filepath.Join(s.Config.Data, "images"), Offline: s.Config.Feed.MaxOffline,
		Store: db, Replica: p.replica, Mail: sender, Kinds: Kinds(), Views: s, Probers: s, Keys: s.keys, Now: time.Now, Log: s.Log,
		URL: url, Gateways: urls, Backups: backups(s.Config.Data), Version: s.Version,
		CheckBackup: s.checkBackup, Watch: watched, SecondFactor: second, SSO: providers, Keep: retention(s.Config.Usage),
	})
	s.plane.Store(p)
	s.source.set(p.Source())
	return nil
}

// retention is for how long usage is kept.
func retention(u config.Usage) usage.Retention {
	r := usage.DefaultRetention()
	r.Minutes, r.Hours, r.Days = cmp.Or(u.Minutes, r.Minutes), cmp.Or(u.Hours, r.Hours), cmp.Or(u.Days, r.Days)
	return r
}

// runPlane lets the control plane run.
func (s *serving) runPlane(ctx context.Context) {
	p := s.plane.Load()
	ctx, p.stop = context.WithCancel(ctx)
	s.startIn(&p.wait, ctx, "the control plane", p.Run)
	s.startIn(&p.wait, ctx, "what authorities have revoked", func(ctx context.Context) error { p.trust.Run(ctx); return nil })
}

// openPages serves the portal and the admin API on the listener.
func (s *serving) openPages(ctx context.Context, l net.Listener, pages http.Handler) {
	p := s.plane.Load()
	ctx, p.stopPages = context.WithCancel(ctx)
	if s.feedAt != nil {
		s.startIn(&p.pages, ctx, "the feed listener", func(ctx context.Context) error {
			l, err := s.feedSocket(ctx)
			if err != nil {
				return err
			}
			server := &link.Server{Plane: p.Plane(), Version: s.Version, Now: time.Now, Log: s.Log}
			s.linked.Store(server)
			defer s.linked.Store(nil)
			return server.Serve(ctx, l)
		})
	}
	s.startIn(&p.pages, ctx, "the portal", func(ctx context.Context) error { return serveHTTP(ctx, l, pages, s.Log) })
}

// closePlane ends the control plane: its pages first, then what runs in it, then its database. Gateways go on from what
// they know.
func (s *serving) closePlane() error {
	p := s.plane.Load()
	if p == nil {
		return nil
	}
	p.stopPages()
	p.pages.Wait()
	p.stop()
	p.wait.Wait()
	p.outside.Close()
	s.source.set(nil)
	s.plane.Store(nil)
	return p.close()
}

// close leaves the databases.
func (p *plane) close() (err error) {
	if p.replica != nil {
		err = p.replica.Close()
	}
	return errors.Join(err, p.store.Close())
}

// source is the feed as gateways see it, whichever control plane there is: none while it is handed over.
type source struct {
	mu sync.RWMutex // held while one is asked, so that its database is not closed under it
	at feed.Source  // nil: none
}

func (s *source) set(at feed.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
}

var errNoPlane = fault.New(fault.Unavailable, "the control plane is being handed over")

// Tail is feed.Source's.
func (s *source) Tail(ctx context.Context, environment string, after feed.Position, limit int) ([]feed.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at == nil {
		return nil, errNoPlane
	}
	return s.at.Tail(ctx, environment, after, limit)
}

// Changed is feed.Source's. Without a control plane nothing changes, and gateways ask again after a while.
func (s *source) Changed(environment string, seq int64) <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at == nil {
		return nil
	}
	return s.at.Changed(environment, seq)
}

// Acknowledge is feed.Source's.
func (s *source) Acknowledge(ctx context.Context, r feed.Receipt) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at == nil {
		return errNoPlane
	}
	return s.at.Acknowledge(ctx, r)
}

// Ship is feed.Source's.
func (s *source) Ship(ctx context.Context, b feed.Batch) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.at == nil {
		return errNoPlane
	}
	return s.at.Ship(ctx, b)
}

// tallies is where gateways tell what quotas have counted.
type tallies interface {
	Tally(ctx context.Context, t feed.Tallies) (feed.Tallied, error)
}

// Tally tells the control plane what a gateway's quotas have counted.
func (s *source) Tally(ctx context.Context, t feed.Tallies) (feed.Tallied, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	keeps, ok := s.at.(tallies)
	if !ok {
		return feed.Tallied{}, errNoPlane
	}
	return keeps.Tally(ctx, t)
}

// silent is a source to which nothing is said: a view that is kept to be looked at is no gateway.
type silent struct{ feed.Source }

func (silent) Acknowledge(context.Context, feed.Receipt) error { return nil }
func (silent) Ship(context.Context, feed.Batch) error          { return nil }

// feedSocket lends the socket where gateways dial in.
func (s *serving) feedSocket(ctx context.Context) (net.Listener, error) {
	l, err := s.sockets.listen(ctx, "feed", s.Config.Feed.Listen)
	if err != nil {
		return nil, fmt.Errorf("the feed listener cannot listen on %s: %w. Choose another address with --feed", s.Config.Feed.Listen, err)
	}
	return l, nil
}

// handOver gives everything to a successor: our own program, as it lies there now. When it returns nil, our gateways have
// stopped taking requests and the successor serves. Otherwise nothing has changed, unless broken says that we cannot go on
// either.
func (s *serving) handOver(ctx context.Context, stopGateways func() <-chan struct{}, reopen func() error) (err error, broken bool) {
	if s.Config.Example {
		return errors.New("the example upstream cannot be handed over: without --example it works"), false
	}
	next, err := s.sockets.succeed()
	if err != nil {
		return err, false
	}
	s.Log.Info("a successor was started", "process", next.pid)
	defer context.AfterFunc(ctx, func() { _ = next.f.SetReadDeadline(time.Unix(1, 0)) })() // we are to stop
	if _, err := next.hear("prepared", prepareTime); err != nil {
		next.end()
		return fmt.Errorf("the successor is not ready to take over: %w", err), false
	}
	words := []string{"yours"}
	for _, g := range s.gateways {
		if g.Ready() == nil {
			words = append(words, g.environment)
		}
	}
	s.sockets.keeping.Store(true)
	if err = s.closePlane(); err == nil {
		if err = next.say(words...); err == nil {
			_, err = next.hear("ready", takeTime)
		}
	}
	if err != nil {
		next.end()
		err = fmt.Errorf("the successor did not take over: %w", err)
		if again := reopen(); again != nil {
			return errors.Join(err, fmt.Errorf("and the control plane cannot go on here: %w", again)), true
		}
		s.sockets.keeping.Store(false)
		return err, false
	}
	select {
	case <-stopGateways():
	case <-time.After(quietTime):
	}
	s.handed = true
	if err := next.say("quiet"); err != nil {
		s.Log.Warn("the successor does not listen any more", "error", err)
	}
	_ = next.f.Close()
	return nil, false
}

// predecessor tells a process that hands over to this one that the configuration is good, and waits until it has let the
// database go. It returns the environments whose gateways serve something there. Without one it returns at once.
func (s *serving) predecessor() ([]string, error) {
	if s.Inherited.with == nil {
		return nil, nil
	}
	if err := s.Inherited.with.say("prepared"); err != nil {
		return nil, fmt.Errorf("the process that was to hand over is gone: %w", err)
	}
	awaited, err := s.Inherited.with.hear("yours", takeTime)
	if err != nil {
		return nil, fmt.Errorf("the process that was to hand over did not: %w", err)
	}
	return awaited, nil
}

// settleTime is how long a start without a predecessor waits for a gateway: one that cannot serve its revision answers
// 503, and says why, rather than nothing.
const settleTime = 5 * time.Second

// caughtUp waits until the gateways of these environments serve, before they take connections: from then on they do what
// the predecessor's do. Without a predecessor it is those that have a revision.
func (s *serving) caughtUp(ctx context.Context, awaited []string) error {
	patience, taking := startTime, s.Inherited.with != nil
	if !taking {
		patience = settleTime
		all, err := s.plane.Load().Environments(ctx, identity.Actor{Class: identity.System})
		if err != nil {
			return err
		}
		for _, e := range all {
			if e.Revision > 0 {
				awaited = append(awaited, e.Name)
			}
		}
	}
	deadline := time.Now().Add(patience)
	for _, g := range s.gateways {
		for slices.Contains(awaited, g.environment) && g.Ready() != nil {
			select {
			case <-time.After(2 * time.Millisecond):
			case err := <-s.failed:
				return err
			case <-ctx.Done():
				return nil
			}
			switch late := time.Now().After(deadline); {
			case late && taking:
				return fmt.Errorf("the gateway of %s does not serve what its predecessor serves after %s: %w", g.environment, patience, g.Ready())
			case late:
				s.Log.Warn("the gateway takes calls although it serves nothing yet", "environment", g.environment, "error", g.Ready())
				awaited = nil
			}
		}
	}
	return nil
}

// taken tells the predecessor that our gateways serve, and waits until its own take no more requests: only then may
// anything change. A predecessor that is gone takes none either.
func (s *serving) taken() error {
	return s.Inherited.taken(s.Log)
}
