package app

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/config"
	"gatehouse/env"
	"gatehouse/event"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
	"gatehouse/gateway"
	"gatehouse/ratelimit/shared"
)

// Remote is one process that is a gateway and nothing else: it dials the control plane, keeps what it knows on its own disk,
// and serves from there when there is no control plane.
type Remote struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
	Events  io.Writer // where events go when the configuration says stdout
	Ready   func(RemoteStarted)
	// Inherited is what the process was started with; nil: nothing.
	Inherited *Inherited
	// Succeed asks for everything to be handed to a successor; nil: nobody does.
	Succeed <-chan os.Signal
}

// RemoteStarted says where a gateway that is ready is reached.
type RemoteStarted struct {
	Name        string        `json:"name"`
	Environment string        `json:"environment"`
	Region      string        `json:"region,omitempty"`
	Gateway     string        `json:"gateway"`
	Operations  string        `json:"operations"`
	Seq         int64         `json:"seq"`  // what it has in force
	From        string        `json:"from"` // "disk", "control" or "image": where that came from
	Process     int           `json:"process"`
	Took        time.Duration `json:"-"`
	TookMS      float64       `json:"took_ms"`
}

// remote is a Remote that runs.
type remote struct {
	Remote
	dir     string // of identity and disk
	mu      sync.Mutex
	id      link.Identity // the zero one: never enrolled, it serves from an image alone
	client  *link.Client  // nil until it is enrolled
	disk    *disk.Disk
	bond    *bond
	from    string
	gateway *gateway.Gateway
	counted *shared.Store // of shared limits; nil: none
	sockets *sockets
	told    *receipts // nil until it is enrolled

	failed chan error
	wait   sync.WaitGroup
}

// enrolled reports whether the gateway has an identity.
func (r *remote) enrolled() bool { return r.id.ID != "" }

func (r *remote) identityFile() string { return filepath.Join(r.dir, "identity") }

// Run serves until ctx ends, then drains.
func (o Remote) Run(ctx context.Context) (err error) {
	began := time.Now()
	if o.Inherited == nil {
		o.Inherited = &Inherited{}
	}
	r := &remote{Remote: o, dir: filepath.Join(o.Config.Data, "gateway"), sockets: &sockets{came: o.Inherited.came}, failed: make(chan error, 16)}
	defer r.sockets.close()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("the data directory %s cannot be made (%w): name another one with --data, or make it writable", o.Config.Data, cause(err))
	}
	events, closeEvents, err := r.openEvents()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeEvents(context.WithoutCancel(ctx))) }()
	if err := r.identify(ctx); err != nil {
		return err
	}
	key, name, err := r.trusted()
	if err != nil {
		return err
	}
	if err := r.Inherited.lent(); err != nil {
		return err
	}
	environment, region := env.OfFeed(name)
	if r.disk, err = disk.Open(filepath.Join(r.dir, name), name, key); err != nil {
		return fmt.Errorf("what the gateway knows cannot be read: %w", err)
	}
	defer func() { err = errors.Join(err, r.disk.Close()) }()
	r.bond = newBond(r.disk, environment, r.id, key, o.Config.Feed.MaxOffline, systemTicks(), o.Log)
	if r.bond.revoked() {
		return fmt.Errorf("the identity of this gateway was revoked: it may serve nothing. Enrol it anew, with an empty data directory, if that was not meant")
	}
	if r.counted, err = openCounters(o.Config, environment, o.Log); err != nil {
		return err
	}
	if r.counted != nil {
		defer r.counted.Close()
	}
	below, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer func() { stop(); r.wait.Wait() }()
	if r.enrolled() {
		r.client, err = link.NewClient(link.ClientOptions{Identity: r.id, Version: o.Version, Keep: r.keepIdentity, Heard: r.bond.heard, Now: time.Now, Log: o.Log})
		if err != nil {
			return err
		}
		r.start(below, "the connection to the control plane", r.client.Run)
	}
	if err := r.open(ctx, events, environment, key); err != nil {
		return err
	}
	r.start(below, "the feed", r.gateway.Follow)
	r.start(below, "the clock", r.bond.keepTime)
	if r.client != nil {
		r.start(below, "the log on disk", r.keepLogShort)
	}
	if r.counted != nil {
		r.start(below, "the counters", r.counted.Run)
	}
	return r.serve(ctx, below, began, environment, region)
}

// identify reads the identity, or gets one with the enrolment token.
func (r *remote) identify(ctx context.Context) error {
	b, err := os.ReadFile(r.identityFile())
	if err == nil {
		if err := json.Unmarshal(b, &r.id); err != nil || !r.enrolled() {
			return fmt.Errorf("%s cannot be read: enrol the gateway anew, with an empty data directory", r.identityFile())
		}
		if c := r.Config.Feed.Control; c != "" {
			r.id.Control = c
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f := r.Config.Feed
	if f.Token.Empty() || f.Control == "" {
		if f.Image != "" && f.Key != "" && f.Environment != "" {
			r.Log.Warn("this gateway was never enrolled: it serves from the image alone, until its offline bound has run out")
			return nil
		}
		return errors.New("this gateway was never enrolled: run 'gatehouse gateways enrol --env ENVIRONMENT' where the control plane is, and start this with the token it prints (--token, GATEHOUSE_FEED_TOKEN) and --control HOST:PORT")
	}
	id, err := link.EnrolFor(ctx, f.Control, f.Environment, f.Token.Reveal(), r.Version, time.Now())
	if err != nil {
		return fmt.Errorf("the gateway cannot be enrolled: %w", err)
	}
	r.Log.Info("enrolled", "environment", id.Environment, "region", id.Region, "gateway", id.Name, "id", id.ID)
	r.id = id
	return r.keepIdentity(id)
}

func (r *remote) keepIdentity(i link.Identity) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return writePrivate(r.identityFile(), string(b)+"\n", 0o600)
}

// trusted is the key of the control plane, and the feed that is followed.
func (r *remote) trusted() (ed25519.PublicKey, string, error) {
	if r.enrolled() {
		return r.id.FeedKey, r.id.Feed(), nil
	}
	key, err := base64.StdEncoding.DecodeString(r.Config.Feed.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, "", errors.New("feed.key is not a key: 'gatehouse gateways image' prints it")
	}
	return key, r.Config.Feed.Environment, env.CheckFeed(r.Config.Feed.Environment)
}

// open makes the gateway from what is on disk; from an image when there is nothing, or nothing that can be used.
func (r *remote) open(ctx context.Context, events event.Sink, environment string, key ed25519.PublicKey) error {
	o := dataPlane(r.Config, events, r.Log)
	o.Environment, o.Feed, o.Key, o.Name, o.Now = environment, r.disk.Environment(), key, r.id.Name, r.bond.time
	o.Shared, o.Succeeds = sharing(r.counted), r.Inherited.with != nil
	o.Source, o.Hinted, o.Limits.Retry = feed.Source(alone{}), true, time.Second
	if r.client != nil {
		r.told = &receipts{Source: r.client, held: r.Inherited.with != nil} // the predecessor takes requests, and may not know
		o.Source, o.Tally, o.Signer = r.told, r.client.Tally, r.client.Signer()
	}
	if o.Name == "" {
		o.Name = "never-enrolled"
	}
	o.Keep, o.Sync, o.Standing = r.disk.Keep, r.disk.Sync, r.bond.standing
	o.Load = func(add func(feed.Entry) error) (feed.Position, error) { return r.disk.Load(add) }
	o.Renew = func(ctx context.Context, add func(feed.Entry) error) (feed.Position, error) {
		if err := r.image(ctx, false); err != nil {
			return feed.Position{}, err
		}
		return r.disk.Load(add)
	}
	r.from = "disk"
	g, err := r.begin(ctx, o)
	if fault.KindOf(err) == fault.Conflict {
		r.Log.Error("what is on disk is not used", "code", fault.As(err).Code, "error", err)
		if err := r.disk.SetAside(); err != nil {
			return err
		}
		if e := r.image(ctx, true); e != nil {
			return fmt.Errorf("what is on disk cannot be used (%w), and no other image can be had: %w", err, e)
		}
		g, err = gateway.New(o)
	}
	r.gateway = g
	return err
}

// begin gets an image first when there is nothing at all.
func (r *remote) begin(ctx context.Context, o gateway.Options) (*gateway.Gateway, error) {
	if !r.disk.Empty() {
		return gateway.New(o)
	}
	if err := r.image(ctx, true); err != nil {
		return nil, fmt.Errorf("the gateway has nothing to begin from: %w", err)
	}
	return gateway.New(o)
}

// image gets an image: from the control plane, or where --image says while that is away.
func (r *remote) image(ctx context.Context, elsewhere bool) error {
	var why error
	if r.client != nil {
		for try := range 3 {
			if why = r.imageFrom(ctx, r.freshImage); why == nil {
				r.from = "control"
				return nil
			}
			if k := fault.KindOf(why); k != fault.Unavailable || r.Config.Feed.Image != "" || try == 2 {
				break
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if at := r.Config.Feed.Image; elsewhere && at != "" {
		err := r.imageFrom(ctx, func(ctx context.Context) (io.ReadCloser, error) { return openImage(ctx, at) })
		if err == nil {
			r.from = "image"
			return nil
		}
		why = errors.Join(why, fmt.Errorf("the image %s: %w", at, err))
	}
	return why
}

// freshImage asks the control plane for an image that is no older than what this gateway has said to have in force.
func (r *remote) freshImage(ctx context.Context) (io.ReadCloser, error) {
	return r.client.Image(ctx, r.disk.State().Position.Seq)
}

func (r *remote) imageFrom(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) error {
	in, err := open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	img, err := r.disk.PutImage(in)
	if err == nil {
		r.bond.begins(img.Made)
		r.Log.Info("an image is in place", "environment", img.Environment, "seq", img.Position.Seq, "records", img.Records, "made", img.Made)
	}
	return err
}

// openImage opens a file or an https address. What comes is believed only by its seal.
func openImage(ctx context.Context, at string) (io.ReadCloser, error) {
	if !strings.HasPrefix(at, "https://") {
		return os.Open(at)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%s answers %s", at, res.Status)
	}
	return res.Body, nil
}

// catchTime is how long a gateway that has something on disk waits for the control plane before it serves from that.
const catchTime = 3 * time.Second

// serve opens the listeners once what is known is in force, and goes on until ctx ends.
func (r *remote) serve(ctx, below context.Context, began time.Time, environment, region string) error {
	patience := time.NewTimer(catchTime)
	defer patience.Stop()
	if r.client == nil {
		patience.Reset(0)
	}
	select {
	case <-r.gateway.CaughtUp():
	case <-patience.C:
		r.Log.Warn("the control plane cannot be asked: the gateway serves with what it has", "seq", r.gateway.Position().Seq, "error", r.gateway.Trouble())
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return nil
	}
	protocols := []string{"h2", "http/1.1"}
	if r.Config.Codec != string(gateway.HTTP1) {
		protocols = protocols[1:]
	}
	l, err := r.sockets.tls(ctx, r.Log, "gateway-"+environment, r.Config.Gateway, "the gateway", "gateway", protocols...)
	if err != nil {
		return err
	}
	defer l.Close()
	operationsAt, err := r.sockets.tls(ctx, r.Log, "operations", r.Config.Operations, "the operations listener", "operations")
	if err != nil {
		return err
	}
	defer operationsAt.Close()
	for _, unused := range r.sockets.settle() {
		r.Log.Warn("a socket that the process was started with is not used", "socket", unused)
	}
	above, stopAbove := context.WithCancel(ctx)
	defer stopAbove()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stopAbove()
	if t, ok := l.(*secureListener); ok {
		r.gateway.Apart(t.certs.Apart)
		r.start(below, "the certificates of the gateway", t.certs.Watch)
		if r.Config.HTTP3 {
			r.gateway.OfferH3(t.Addr().(*net.TCPAddr).Port)
			r.startIn(&serving, above, "HTTP/3 of the gateway", func(ctx context.Context) error { return serveH3(ctx, r.Log, environment, r.gateway, t) })
		}
	}
	r.startIn(&serving, above, "the operations listener", func(ctx context.Context) error { return serveHTTP(ctx, operationsAt, r.operations(environment), r.Log) })
	r.startIn(&serving, above, "the gateway", func(ctx context.Context) error { return r.gateway.Serve(ctx, l) })
	if err := r.Inherited.taken(r.Log); err != nil {
		return err
	}
	if r.client != nil {
		r.client.Answer(r.gateway)
		r.told.release(ctx)
	}
	if r.Ready != nil {
		took := time.Since(began)
		r.Ready(RemoteStarted{Name: r.id.Name, Environment: environment, Region: region, Gateway: address(r.Config.Gateway, l), Operations: address(r.Config.Operations, operationsAt),
			Seq: r.gateway.Position().Seq, From: r.from, Process: os.Getpid(), Took: took, TookMS: float64(took.Microseconds()) / 1000})
	}
	notify(r.Log)
	quiet := func() <-chan struct{} {
		stopAbove()
		stopped := make(chan struct{})
		go func() { serving.Wait(); close(stopped) }()
		return stopped
	}
	for {
		select {
		case err := <-r.failed:
			return err
		case <-ctx.Done():
			r.Log.Info("stopping: running requests may end", "at_most", drainTime.String())
			return nil
		case <-r.Succeed:
		}
		failed, broken := r.handOver(ctx, quiet)
		switch {
		case broken:
			return failed
		case failed == nil:
			r.Log.Info("handed over: running requests may end", "at_most", drainTime.String())
			return nil
		}
		r.Log.Error("nothing was handed over: this process goes on", "error", failed)
	}
}

func (r *remote) start(ctx context.Context, what string, fn func(context.Context) error) {
	r.startIn(&r.wait, ctx, what, fn)
}

func (r *remote) startIn(wait *sync.WaitGroup, ctx context.Context, what string, fn func(context.Context) error) {
	wait.Go(func() {
		err := fn(ctx)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				r.Log.Error("ended with an error", "part", what, "error", err)
			}
			return
		}
		if err == nil {
			err = errors.New("it ended")
		}
		r.failed <- fmt.Errorf("%s: %w", what, err)
	})
}

// operations is health and metrics.
func (r *remote) operations(environment string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := r.gateway.Ready(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ready")
		if err := r.gateway.Trouble(); err != nil {
			fmt.Fprintf(w, "the feed stands still at entry %d: %v\n", r.gateway.Position().Seq, err)
		}
	})
	mux.HandleFunc("GET /upstreams", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, u := range r.gateway.Upstreams() {
			writeUpstream(w, environment, u)
		}
	})
	all := prometheus.Gatherers{prometheus.DefaultGatherer, r.gateway.Metrics()}
	if r.counted != nil {
		all = append(all, countersMetrics(environment, r.counted))
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{}))
	return mux
}

// openEvents opens where exchanges are told.
func (r *remote) openEvents() (event.Sink, func(context.Context) error, error) {
	s := &serving{Serve: Serve{Config: r.Config, Log: r.Log, Events: r.Events}}
	lines, err := s.openEvents()
	if err != nil {
		return nil, nil, err
	}
	return lines, func(ctx context.Context) error {
		flush, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := lines.Close(flush)
		for _, c := range s.sinks {
			err = errors.Join(err, c.Close())
		}
		return err
	}, nil
}

// alone is the source of a gateway that was never enrolled: there is nobody to ask.
type alone struct{}

var errAlone = fault.New(fault.Unavailable, "this gateway was never enrolled: nothing new reaches it")

func (alone) Tail(context.Context, string, feed.Position, int) ([]feed.Entry, error) {
	return nil, errAlone
}
func (alone) Changed(string, int64) <-chan struct{}           { return nil }
func (alone) Acknowledge(context.Context, feed.Receipt) error { return nil }
func (alone) Ship(context.Context, feed.Batch) error          { return errAlone }
