// Package app joins all rooms into one process. It is the only package that knows all of them.
package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/event"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/fetch"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/manifest"
	"gatehouse/ratelimit/shared"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// Deadlines of a start and of a stop.
const (
	startTime = 30 * time.Second // until every gateway serves what was published
	drainTime = 15 * time.Second // for running requests to end
)

// Serve is one process that does everything: control plane, portal and one gateway for each environment.
type Serve struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
	Events  io.Writer // where events go when the configuration says stdout
	// Ready is called once everything serves.
	Ready func(Started)
	// Inherited is what the process was started with; nil: nothing.
	Inherited *Inherited
	// Apart serves no requests: the gateways are elsewhere, and dial in. Views are kept all the same, for what they answer.
	Apart bool
	// Succeed asks for everything to be handed to a successor; nil: nobody does.
	Succeed <-chan os.Signal
}

// Started says where a process that is ready is reached.
type Started struct {
	Portal     string            `json:"portal"`
	Gateways   map[string]string `json:"gateways"`       // by environment
	Order      []string          `json:"-"`              // of the environments
	Feed       string            `json:"feed,omitempty"` // where gateways dial in
	Operations string            `json:"operations"`
	SignIn     string            `json:"sign_in,omitempty"` // one-time link, in development
	Mail       string            `json:"mail,omitempty"`    // where letters are shown, in development
	Events     string            `json:"events,omitempty"`  // the file with the events, if it is one
	Process    int               `json:"process"`           // its number: a successor has another one
	Took       time.Duration     `json:"-"`
}

// serving is what Run has opened, to be closed in the reverse order.
type serving struct {
	Serve
	keys     *keys
	sockets  *sockets
	plane    atomic.Pointer[plane] // nil while it is handed over
	source   source
	box      *mail.Box
	instance string // tells this process from others on one database; "": there are none
	gateways []*served
	events   *event.Lines
	sinks    []io.Closer

	feedAt    net.Listener                // where gateways dial in; nil: nowhere
	linked    atomic.Pointer[link.Server] // those that have dialled in; nil: none can
	eventFile string                      // where events go, if it is a file
	handed    bool                        // a successor serves now

	failed chan error
	wait   sync.WaitGroup
}

// served is one gateway with its listener.
type served struct {
	environment string
	url         string
	listener    net.Listener
	counters    *shared.Store // of shared limits; nil: none
	*gateway.Gateway
}

// View gives control what the gateway of an environment serves from.
func (s *serving) View(environment string) *snapshot.View {
	for _, g := range s.gateways {
		if g.environment == environment {
			return g.Gateway.View()
		}
	}
	return nil
}

// Probers implements control.Probers: the gateways of this process, and those that are connected to it.
func (s *serving) Probers(environment string) map[string]feed.Prober {
	out := map[string]feed.Prober{}
	if l := s.linked.Load(); l != nil {
		out = l.Probers(environment)
	}
	for _, g := range s.gateways {
		if g.environment == environment {
			out[s.localName(environment)] = g.Gateway
		}
	}
	return out
}

// Run serves until ctx ends, then drains. An error says what is wrong and what to do.
func (o Serve) Run(ctx context.Context) (err error) {
	began := time.Now()
	s := &serving{Serve: o, failed: make(chan error, 16), sockets: &sockets{}}
	defer s.sockets.close()
	if o.Inherited == nil {
		s.Inherited = &Inherited{}
	}
	s.sockets.came = s.Inherited.came
	if o.Config.Dev {
		if err := onlyLoopback(ctx, o.Config); err != nil {
			return err
		}
	} else if o.Config.Example {
		return errors.New("--example is for development: use it with --dev")
	}
	if err := makeData(o.Config.Data); err != nil {
		return err
	}
	if s.keys, err = loadKeys(o.Config.Data); err != nil {
		return err
	}
	if !o.Config.Database.Empty() {
		if s.instance, err = instanceOf(o.Config.Data); err != nil {
			return err
		}
	}
	bundle, names, err := s.declared()
	if err != nil {
		return err
	}
	controlAt, err := s.sockets.tls(ctx, o.Log, "control", o.Config.Control, "the portal", "control", "h2", "http/1.1")
	if err != nil {
		return err
	}
	defer controlAt.Close()
	operationsAt, err := s.sockets.tls(ctx, o.Log, "operations", o.Config.Operations, "the operations listener", "operations")
	if err != nil {
		return err
	}
	defer operationsAt.Close()
	awaited, err := s.predecessor()
	if err != nil {
		return err
	}
	if o.Config.Example {
		value, err := s.exampleSecret()
		if err != nil {
			return err
		}
		upstream, err := startExample(ctx, value)
		if err != nil {
			return err
		}
		defer upstream.stop()
	}
	return s.run(ctx, began, bundle, names, awaited, controlAt, operationsAt)
}

// declared reads the manifest that the configuration names: its files and its environments.
func (s *serving) declared() (manifest.Bundle, []string, error) {
	dir := s.Config.Manifest
	if dir == "" {
		return nil, nil, nil
	}
	bundle, diagnostics := manifest.Load(dir)
	if !manifest.Fatal(diagnostics) {
		diagnostics = append(diagnostics, Check(bundle)...)
	}
	if manifest.Fatal(diagnostics) {
		wrong := []fault.Field{}
		for _, d := range diagnostics {
			wrong = append(wrong, fault.Field{Text: d.String()})
		}
		return nil, nil, &Refused{Dir: dir, Diagnostics: diagnostics, error: fault.BadFields(wrong)}
	}
	p, _ := manifest.Parse(bundle)
	names := make([]string, 0, len(p.Environments))
	for _, e := range p.Environments {
		names = append(names, e.Name)
	}
	return bundle, names, nil
}

// Refused is a manifest that cannot be served.
type Refused struct {
	Dir         string
	Diagnostics []manifest.Diagnostic
	error
}

func (r *Refused) Error() string {
	return fmt.Sprintf("the manifest in %s is not valid, so nothing was started: mend it, and 'gatehouse check %s' says when it is", r.Dir, r.Dir)
}

func (s *serving) exampleSecret() (secret.Value, error) {
	if v, ok := s.Config.Secrets[exampleSecret]; ok {
		return v, nil
	}
	v := secret.Random("")
	s.Config.Secrets[exampleSecret] = v
	return v, nil
}

// run joins the rooms and serves.
func (s *serving) run(ctx context.Context, began time.Time, bundle manifest.Bundle, names, awaited []string, controlAt, operationsAt net.Listener) (err error) {
	portalURL := address(s.Config.Control, controlAt)
	sender, err := s.sender()
	if err != nil {
		return err
	}
	if s.events, err = s.openEvents(); err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, s.events.Close(flush))
		for _, c := range s.sinks {
			err = errors.Join(err, c.Close())
		}
	}()
	urls := map[string]string{}
	if err := s.openPlane(ctx, sender, portalURL, urls); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closePlane()) }()
	system := identity.Actor{Class: identity.System}
	if err := s.plane.Load().EnsureEnvironments(ctx, system, names); err != nil {
		return err
	}
	all, err := s.plane.Load().Environments(ctx, system)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("there is no environment to serve: name the folder of a manifest with --manifest, and its environments are made")
	}
	defer func() {
		for _, g := range s.gateways {
			if g.listener != nil {
				g.listener.Close()
			}
			if g.counters != nil {
				g.counters.Close()
			}
		}
	}()
	for n, e := range all {
		if err := s.addGateway(ctx, n, e.Name); err != nil {
			return err
		}
		if at := s.gateways[n].url; at != "" {
			urls[e.Name] = at
		}
	}
	if s.Config.Feed.Listen != "" { // before unused sockets are closed
		if s.feedAt, err = s.feedSocket(ctx); err != nil {
			return err
		}
	}
	for _, unused := range s.sockets.settle() {
		s.Log.Warn("a socket that the process was started with is not used", "socket", unused)
	}
	pages, err := s.pages(s.plane.Load().Control)
	if err != nil {
		return err
	}
	// Two contexts: what serves requests stops first, what they need goes on until they have ended.
	below, stopBelow := context.WithCancel(context.WithoutCancel(ctx))
	above, stopAbove := context.WithCancel(ctx)
	defer func() {
		stopAbove()
		stopBelow()
		s.wait.Wait()
	}()
	s.runPlane(below)
	for _, g := range s.gateways {
		s.start(below, "the gateway of "+g.environment, g.Follow)
		if g.listener != nil {
			s.watch(below, "the gateway of "+g.environment, g.listener)
		}
		if g.counters != nil {
			s.start(below, "the counters of "+g.environment, g.counters.Run)
		}
	}
	s.watch(below, "the portal", controlAt)
	if err := s.publish(ctx, bundle); err != nil {
		return err
	}
	if err := s.caughtUp(ctx, awaited); err != nil {
		return err
	}
	var serving sync.WaitGroup
	for _, g := range s.gateways {
		if s.Apart {
			break
		}
		s.startIn(&serving, above, "the gateway of "+g.environment, func(ctx context.Context) error { return g.Serve(ctx, g.listener) })
		if t, ok := g.listener.(*secureListener); ok && s.Config.HTTP3 {
			s.startIn(&serving, above, "HTTP/3 of the gateway of "+g.environment, func(ctx context.Context) error { return serveH3(ctx, s.Log, g.environment, g.Gateway, t) })
		}
	}
	s.start(below, "the operations listener", func(ctx context.Context) error {
		return serveHTTP(ctx, operationsAt, s.operations(), s.Log)
	})
	if err := s.taken(); err != nil {
		return err
	}
	s.openPages(below, controlAt, pages)
	started, err := s.started(ctx, portalURL, operationsAt)
	if err != nil {
		return err
	}
	hostURL := address(config.Listener{Certificate: s.Config.Control.Certificate, Folder: s.Config.Control.Folder}, controlAt)
	if err := writeHost(s.Config.Data, hostURL, s.plane.Load().HostToken()); err != nil {
		return err
	}
	defer func() {
		if !s.handed { // else it is the successor's
			os.Remove(hostFile(s.Config.Data))
		}
	}()
	started.Took = time.Since(began)
	if s.Ready != nil {
		s.Ready(started)
	}
	notify(s.Log)
	stop := func() <-chan struct{} {
		stopAbove()
		stopped := make(chan struct{})
		go func() { serving.Wait(); close(stopped) }()
		return stopped
	}
	reopen := func() error { // what a successor was to take
		again, err := s.sockets.tls(ctx, s.Log, "control", s.Config.Control, "the portal", "control", "h2", "http/1.1")
		if err != nil {
			return err
		}
		if err := s.openPlane(ctx, sender, portalURL, urls); err != nil {
			return err
		}
		pages, err := s.pages(s.plane.Load().Control)
		if err != nil {
			return err
		}
		s.runPlane(below)
		s.watch(below, "the portal", again)
		s.openPages(below, again, pages)
		return writeHost(s.Config.Data, hostURL, s.plane.Load().HostToken())
	}
	for running := true; running; {
		running = false
		select {
		case err = <-s.failed:
		case <-ctx.Done():
			s.Log.Info("stopping: running requests may end", "at_most", drainTime.String())
		case <-s.Succeed:
			failed, broken := s.handOver(ctx, stop, reopen)
			switch {
			case broken:
				err = failed
			case failed != nil:
				s.Log.Error("nothing was handed over: this process goes on", "error", failed)
				running = true
			default:
				s.Log.Info("handed over: running requests may end", "at_most", drainTime.String())
			}
		}
	}
	stopAbove()
	if p := s.plane.Load(); p != nil {
		p.stopPages() // they drain beside the gateways
		p.pages.Wait()
	}
	serving.Wait()
	return err
}

// start runs one part of the process. A part that ends before it was told to ends the process.
func (s *serving) start(ctx context.Context, what string, fn func(context.Context) error) {
	s.startIn(&s.wait, ctx, what, fn)
}

func (s *serving) startIn(wait *sync.WaitGroup, ctx context.Context, what string, fn func(context.Context) error) {
	wait.Add(1)
	go func() {
		defer wait.Done()
		err := fn(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("it ended")
			}
			s.failed <- fmt.Errorf("%s: %w", what, err)
		} else if err != nil && !errors.Is(err, context.Canceled) {
			s.Log.Error("ended with an error", "part", what, "error", err)
		}
	}()
}

// addGateway opens the gateway of the n-th environment.
func (s *serving) addGateway(ctx context.Context, n int, environment string) error {
	if s.Apart {
		o := s.gatewayOptions(environment, "view-"+environment, silent{&s.source})
		s.beginFrom(ctx, &o)
		g, err := gateway.New(o)
		s.gateways = append(s.gateways, &served{environment: environment, Gateway: g})
		return err
	}
	at, err := nth(s.Config.Gateway, n)
	if err != nil {
		return err
	}
	protocols := []string{"h2", "http/1.1"}
	if s.Config.Codec != string(gateway.HTTP1) {
		protocols = protocols[1:]
	}
	l, err := s.sockets.tls(ctx, s.Log, "gateway-"+environment, at, "the gateway of "+environment, "gateway", protocols...)
	if err != nil {
		return err
	}
	counters, err := openCounters(s.Config, environment, s.Log)
	if err != nil {
		l.Close()
		return err
	}
	o := s.gatewayOptions(environment, s.localName(environment), &s.source)
	o.Tally, o.Succeeds = s.source.Tally, s.Inherited.with != nil
	o.Shared = sharing(counters)
	s.beginFrom(ctx, &o)
	g, err := gateway.New(o)
	if err != nil {
		l.Close()
		return err
	}
	if t, ok := l.(*secureListener); ok {
		g.Apart(t.certs.Apart)
		if s.Config.HTTP3 {
			g.OfferH3(t.Addr().(*net.TCPAddr).Port)
		}
	}
	s.gateways = append(s.gateways, &served{environment: environment, url: address(at, l), listener: l, counters: counters, Gateway: g})
	return nil
}

// localName is the name of this process's own gateway of the environment: on a shared database each process has one of its own, so that
// what one of them has said to have in force, and what it has counted, is not taken for another's.
func (s *serving) localName(environment string) string {
	if s.instance == "" {
		return "local-" + environment
	}
	return "local-" + environment + "-" + s.instance
}

// gatewayOptions is what a gateway in this process is made from.
func (s *serving) gatewayOptions(environment, name string, from feed.Source) gateway.Options {
	o := dataPlane(s.Config, s.events, s.Log)
	o.Environment, o.Name, o.Source, o.Key = environment, name, from, s.keys.feed.Public().(ed25519.PublicKey)
	o.Signer = s.keys.gateway(name)
	if s.Apart { // it compiles as one that has every secret: which ones the gateways elsewhere have is their own affair
		o.Secrets = func(string) (secret.Value, bool) { return secret.New("compiled only"), true }
	}
	return o
}

// publish makes the manifest of development the newest revision of each of its environments.
func (s *serving) publish(ctx context.Context, bundle manifest.Bundle) error {
	if bundle == nil {
		return nil
	}
	if !s.Config.Dev {
		s.Log.Info("the manifest's environments are there; outside of development it is published by 'gatehouse publish'", "manifest", s.Config.Manifest)
		return nil
	}
	p, _ := manifest.Parse(bundle)
	for _, e := range p.Environments {
		if _, err := s.plane.Load().Publish(ctx, identity.Actor{Class: identity.System}, e.Name, bundle, "at start, in development"); err != nil {
			return fmt.Errorf("publish to %s: %w", e.Name, err)
		}
	}
	return nil
}

// started waits until every gateway that has something to serve serves it.
func (s *serving) started(ctx context.Context, portalURL string, operationsAt net.Listener) (Started, error) {
	st := Started{Portal: portalURL, Gateways: map[string]string{}, Operations: address(s.Config.Operations, operationsAt), Events: s.eventFile, Process: os.Getpid()}
	if s.feedAt != nil {
		st.Feed = s.feedAt.Addr().String()
	}
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, g := range s.gateways {
		if !s.Apart {
			st.Gateways[g.environment], st.Order = g.url, append(st.Order, g.environment)
		}
		for s.Config.Dev && s.Config.Manifest != "" && g.Ready() != nil {
			select {
			case <-tick.C:
			case err := <-s.failed:
				return st, err
			case <-ctx.Done():
				return st, nil
			case <-deadline.C:
				return st, fmt.Errorf("the gateway of %s is not ready after %s: %w", g.environment, startTime, g.Ready())
			}
		}
	}
	if s.Config.Dev {
		link, err := s.plane.Load().RecoverAdmin(ctx, identity.Actor{Class: identity.Host}, "admin@localhost.example", "Development administrator")
		if err != nil {
			return st, fmt.Errorf("the sign-in link: %w", err)
		}
		st.SignIn, st.Mail = link.Reveal(), portalURL+"/dev/mail"
	}
	return st, nil
}

// sender is how letters leave: into the box of development, by SMTP, or not at all.
func (s *serving) sender() (mail.Sender, error) {
	c := s.Config.SMTP
	switch {
	case s.Config.Dev:
		s.box = mail.NewBox()
		return s.box, nil
	case c.Host == "":
		s.Log.Warn("no mail server is set (smtp.host): letters wait in the outbox, and partners cannot confirm their address")
		return unset{}, nil
	}
	return mail.NewSMTP(mail.SMTPOptions{Host: c.Host, Port: c.Port, User: c.User, Password: c.Password, From: c.From, TLS: c.TLS})
}

// unset sends nothing: letters stay in the outbox until a mail server is set.
type unset struct{}

func (unset) Send(context.Context, mail.Letter) error {
	return fault.New(fault.Unavailable, "no mail server is set: set smtp.host")
}

// openEvents opens where exchanges are told.
func (s *serving) openEvents() (*event.Lines, error) {
	to := s.Config.Events
	if to == "" && s.Config.Dev {
		to = filepath.Join(s.Config.Data, "events.jsonl")
	}
	var w io.Writer
	switch to {
	case "none":
		w = io.Discard
	case "", "stdout":
		w = s.Events
	default:
		f, err := os.OpenFile(to, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("events cannot be written to %s: %w. Choose another file with %s", to, cause(err), config.Setting{Name: "events"}.Variable())
		}
		s.eventFile = to
		s.sinks = append(s.sinks, f)
		w = f
	}
	return event.NewLines(w, event.LinesOptions{}), nil
}

// newOutside makes the client that reaches what others name: public addresses, what the operator allows, and in development loopback.
func newOutside(c config.Config) *fetch.Client {
	allowed := c.Fetch
	if c.Dev {
		allowed = append(slices.Clone(allowed), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return fetch.New(fetch.Options{Allowed: allowed, Plain: len(allowed) > 0})
}
