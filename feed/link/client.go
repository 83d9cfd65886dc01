package link

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
)

// ClientOptions is what a Client works with.
type ClientOptions struct {
	Identity Identity
	Version  string
	// Keep stores an identity that was renewed, or whose anchors have changed.
	Keep func(Identity) error
	// Heard is told each word of the control plane, verified: a heartbeat, or that the gateway is revoked.
	Heard func(feed.Word, feed.Signed)
	Now   func() time.Time
	Log   *slog.Logger
}

// Client is a gateway's end: a feed.Source over a connection that Run keeps. What is lost on the way is asked for again; what
// does not fit waits at the control plane.
type Client struct {
	o    ClientOptions
	keys *keeper

	mu      sync.Mutex
	wanted  bool          // Tail was called: it is known where to go on
	next    feed.Position // after the last entry that Tail has given
	buffer  []feed.Entry  // that follow it
	room    chan struct{} // closed when the buffer has become shorter
	changed chan struct{} // closed when there is something in the buffer, or an error
	began   chan struct{} // closed by the first Tail
	err     error         // why there is nothing; nil while connected
	head    int64         // how far the feed went when the connection began
	failed  bool          // the last Tail has returned it
	again   context.CancelFunc
	up      func(kind byte, v any) error // nil: not connected
	receipt *signedReceipt               // the newest: sent once there is a connection
	trouble string                       // what it says is wrong
	telling sync.Mutex                   // held while it is sent, so that no older one comes after it
	asked   int64
	asks    map[int64]chan answer
	prober  feed.Prober // nil: nobody can be asked yet
}

const (
	bufferMost   = 1024 // entries: more wait at the control plane
	pingEvery    = 5 * time.Second
	againAfter   = 100 * time.Millisecond // the first time
	againMost    = 2 * time.Second
	refusedAfter = 5 * time.Second // when the control plane has said no
)

// NewClient returns a Client that does nothing until Run.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k, err := newKeeper(o.Identity, o.Now)
	if err != nil {
		return nil, err
	}
	return &Client{o: o, keys: k, room: make(chan struct{}), changed: make(chan struct{}), began: make(chan struct{}), asks: map[int64]chan answer{},
		err: fault.New(fault.Unavailable, "the control plane was not reached yet")}, nil
}

// Identity is the current one.
func (c *Client) Identity() Identity { return c.keys.current() }

// Tail implements feed.Source.
func (c *Client) Tail(_ context.Context, _ string, after feed.Position, limit int) ([]feed.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted || after != c.next { // the gateway goes on somewhere else
		c.buffer, c.next = nil, after
		if !c.wanted {
			c.wanted = true
			close(c.began)
		} else if c.again != nil {
			c.again()
		}
		if c.err == nil {
			c.err = fault.New(fault.Unavailable, "the control plane is asked from another position on")
		}
	}
	n := min(limit, len(c.buffer))
	if n == 0 {
		c.failed = c.err != nil
		if c.err == nil && after.Seq < c.head { // nobody has caught up who has not been sent what there was
			return nil, fault.New(fault.Unavailable, "the control plane is sending what came after entry %d", after.Seq)
		}
		return nil, c.err
	}
	c.failed = false
	es := c.buffer[:n:n]
	c.buffer, c.next = c.buffer[n:], es[n-1].Position()
	close(c.room)
	c.room = make(chan struct{})
	return es, nil
}

// Changed implements feed.Source.
func (c *Client) Changed(string, int64) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.buffer) > 0 || c.failed && c.err == nil { // connected since Tail said that it is not
		now := make(chan struct{})
		close(now)
		return now
	}
	return c.changed
}

// Acknowledge implements feed.Source: the newest receipt is sent now, or once there is a connection.
func (c *Client) Acknowledge(_ context.Context, r feed.Receipt) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	s := signedReceipt{Receipt: b}
	if s.Signature, err = c.keys.sign(b); err != nil {
		return err
	}
	c.mu.Lock()
	c.receipt, c.trouble = &s, r.Trouble
	c.mu.Unlock()
	c.tell()
	return nil
}

// tell sends the newest receipt, if there is one and a connection; else it is sent with the next connection.
func (c *Client) tell() {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.mu.Lock()
	up, newest := c.up, c.receipt
	c.mu.Unlock()
	if up != nil && newest != nil {
		_ = up(frameReceipt, newest)
	}
}

// Ship implements feed.Uplink.
func (c *Client) Ship(ctx context.Context, b feed.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	_, err := c.ask(ctx, frameBatch, func(ask int64) any { return batch{ask, b} })
	return err
}

// Tally tells what was let through in periods, and returns for each how much all other gateways did. A control plane of the
// release before does not answer.
func (c *Client) Tally(ctx context.Context, t feed.Tallies) (feed.Tallied, error) {
	a, err := c.ask(ctx, frameTallies, func(ask int64) any { return tallies{ask, t} })
	return a.tallied, err
}

// answer is what the control plane says to what it was asked.
type answer struct {
	tallied feed.Tallied
	err     error
}

// ask sends a frame and waits for its answer.
func (c *Client) ask(ctx context.Context, kind byte, frame func(ask int64) any) (answer, error) {
	come := make(chan answer, 1)
	c.mu.Lock()
	up := c.up
	if up == nil {
		err := c.err
		c.mu.Unlock()
		return answer{}, err
	}
	c.asked++
	ask := c.asked
	c.asks[ask] = come
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asks, ask)
		c.mu.Unlock()
	}()
	if err := up(kind, frame(ask)); err != nil {
		return answer{}, err
	}
	select {
	case a := <-come:
		return a, a.err
	case <-ctx.Done():
		return answer{}, fault.New(fault.Unavailable, "the control plane did not answer in time").Because(ctx.Err())
	}
}

// Run keeps a connection until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	select {
	case <-c.began:
	case <-ctx.Done():
		return nil
	}
	wait := againAfter
	for ctx.Err() == nil {
		began := c.o.Now()
		err := c.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.lost(err)
		if c.o.Now().Sub(began) > 10*time.Second {
			wait = againAfter
		}
		pause := wait/2 + rand.N(wait) // so that a fleet does not come back in one moment
		if k := fault.KindOf(err); k != fault.Unavailable && k != fault.Internal {
			pause = refusedAfter
		}
		wait = min(2*wait, againMost)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// lost notes that there is no connection.
func (c *Client) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = fault.New(fault.Unavailable, "the connection to the control plane has ended")
	}
	c.up, c.again, c.err = nil, nil, err
	for _, a := range c.asks {
		select {
		case a <- answer{err: fault.New(fault.Unavailable, "the connection to the control plane has ended").Because(err)}:
		default:
		}
	}
}

// connect opens one stream and reads it to its end.
func (c *Client) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: c.keys.tls(), DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 10 * time.Second, MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 2 << 20}}
	defer t.CloseIdleConnections()
	from, to := io.Pipe()
	defer to.Close()
	// The transport looks at the context between two parts of the request's body, and there may be none for long.
	defer context.AfterFunc(ctx, func() { _ = to.CloseWithError(context.Cause(ctx)) })()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.keys.current().Control+"/feed/v1/stream", from)
	if err != nil {
		return err
	}
	up := &sender{to: to}
	c.mu.Lock()
	at := c.next
	if n := len(c.buffer); n > 0 {
		at = c.buffer[n-1].Position()
	}
	c.again = cancel
	h := hello{Protocol: Protocol, Oldest: oldest(c.keys.current().Region), Version: c.o.Version, Position: at, Now: c.o.Now().UTC(), Swears: true, Ages: true, Trouble: c.trouble}
	c.mu.Unlock()
	go func() { _ = up.send(frameHello, h) }()
	res, err := answered(t.RoundTrip(req))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	go c.tend(ctx, up)
	return c.listen(ctx, up, bufio.NewReaderSize(res.Body, 64<<10))
}

// sender writes frames, one at a time.
type sender struct {
	mu sync.Mutex
	to *io.PipeWriter
}

func (s *sender) send(kind byte, v any) error {
	b, err := pack(kind, v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err = s.to.Write(b); err != nil {
		return fault.New(fault.Unavailable, "the connection to the control plane has ended").Because(err)
	}
	return nil
}

// tend shows that the gateway is there, and asks for another certificate when it is time.
func (c *Client) tend(ctx context.Context, up *sender) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		if c.keys.due(c.o.Now()) {
			if csr, err := request(c.keys.key); err == nil {
				_ = up.send(frameRenew, renew{csr})
			}
		}
		select {
		case <-tick.C:
			if up.send(framePing, ping{c.o.Now().UTC()}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// listen reads frames until the stream ends.
func (c *Client) listen(ctx context.Context, up *sender, in *bufio.Reader) error {
	for {
		kind, body, err := unpack(in)
		if err != nil {
			return fault.New(fault.Unavailable, "the connection to the control plane has ended").Because(err)
		}
		switch kind {
		case frameWelcome:
			err = c.welcome(up, body)
		case frameEntries:
			err = c.entries(ctx, body)
		case frameWord:
			err = c.word(body)
		case frameAnchors, frameCertificate:
			err = c.renewed(body)
		case frameTaken:
			err = c.taken(body)
		case frameProbe:
			err = c.probed(ctx, up, body)
		case frameRefused:
			var f refused
			if err = json.Unmarshal(body, &f); err == nil {
				return f.fault()
			}
		default: // of a later release
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) welcome(up *sender, body []byte) error {
	var w welcome
	if err := json.Unmarshal(body, &w); err != nil {
		return err
	}
	c.mu.Lock()
	c.up, c.err, c.head = up.send, nil, w.Head
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.o.Log.Info("connected to the control plane", "version", w.Version)
	go c.tell()
	return nil
}

// entries puts what arrived into the buffer, and waits while it is full: then the control plane waits too.
func (c *Client) entries(ctx context.Context, body []byte) error {
	var es []feed.Entry
	if err := json.Unmarshal(body, &es); err != nil {
		return fmt.Errorf("entries cannot be read: %w", err)
	}
	for {
		c.mu.Lock()
		if len(c.buffer) < bufferMost {
			if ctx.Err() == nil { // else they belong to a position that is not wanted any more
				c.buffer = append(c.buffer, es...)
			}
			close(c.changed)
			c.changed = make(chan struct{})
			c.mu.Unlock()
			return nil
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) word(body []byte) error {
	var s feed.Signed
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	i := c.keys.current()
	w, err := s.Hear(i.Environment, i.ID, ed25519.PublicKey(i.FeedKey))
	if err == nil && c.o.Heard != nil {
		c.o.Heard(w, s)
	}
	return err
}

// renewed takes another certificate, or other anchors.
func (c *Client) renewed(body []byte) error {
	var n Certificate
	if err := json.Unmarshal(body, &n); err != nil {
		return err
	}
	i := c.keys.current()
	if len(n.Chain) > 0 {
		i.Certificate = n
	} else {
		i.Anchors = n.Anchors
	}
	if err := c.keys.use(i); err != nil {
		return err
	}
	if c.o.Keep != nil {
		if err := c.o.Keep(i); err != nil {
			c.o.Log.Error("the renewed identity cannot be kept", "error", err)
		}
	}
	return nil
}

func (c *Client) taken(body []byte) error {
	var t taken
	if err := json.Unmarshal(body, &t); err != nil {
		return err
	}
	c.mu.Lock()
	come := c.asks[t.Ask]
	delete(c.asks, t.Ask)
	c.mu.Unlock()
	if come != nil {
		a := answer{tallied: feed.Tallied{Others: t.Others, Over: t.Over}}
		if t.Fault != nil {
			a.err = t.Fault.fault()
		}
		come <- a
	}
	return nil
}

// imageForm is the newest form of images that feed/disk reads: a control plane of an older release gives an older one.
const imageForm = 2

// Image opens an image of the environment, which the control plane makes fresh: it goes through the entry least at least, if there
// is that one. The caller closes it.
func (c *Client) Image(ctx context.Context, least int64) (io.ReadCloser, error) {
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: c.keys.tls(), DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second}
	path := "/feed/v1/image"
	if c.keys.current().Region != "" { // a control plane that knows no regions has no such path: its image would tell everything
		path = "/feed/v1/region/image"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.keys.current().Control+path+"?form="+strconv.Itoa(imageForm)+"&least="+strconv.FormatInt(least, 10), nil)
	if err != nil {
		return nil, err
	}
	res, err := t.RoundTrip(req)
	if err == nil && res.StatusCode == http.StatusNotFound && c.keys.current().Region != "" {
		res.Body.Close()
		t.CloseIdleConnections()
		return nil, fault.Of(fault.Forbidden, "gateway-new", "this gateway is in the region %s, and the control plane is of a release that knows no regions: upgrade every process of it", c.keys.current().Region)
	}
	if res, err = answered(res, err); err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	return &body{res.Body, t}, nil
}

type body struct {
	io.ReadCloser
	t *http.Transport
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.t.CloseIdleConnections()
	return errors.Join(err)
}
