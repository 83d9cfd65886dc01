package link

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
)

// conn is one gateway's stream. Everything down is written by one goroutine, which reads the feed at the pace of this gateway;
// everything up is read by another one.
type conn struct {
	s    *Server
	g    fleet.Gateway
	cert *x509.Certificate
	at   feed.Position

	address string
	version string // of its build
	w       http.ResponseWriter
	out     *http.ResponseController
	dead    time.Time     // when the writer's deadline was set
	down    chan []byte   // frames that answer something
	gone    chan struct{} // closed when the stream has ended

	swears bool
	ages   bool
	asked  atomic.Int64
	asks   sync.Map // of the number to the chan sworn that waits for the answer

	sighting atomic.Pointer[fleet.Sighting]
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	g, cert, err := s.who(r)
	if err != nil {
		s.turnAway(w, g, r.RemoteAddr, err)
		return
	}
	c := &conn{s: s, g: g, cert: cert, address: r.RemoteAddr, w: w, out: http.NewResponseController(w), down: make(chan []byte, 16), gone: make(chan struct{})}
	defer close(c.gone)
	_ = c.out.SetReadDeadline(time.Now().Add(helloTime))
	if err := c.out.Flush(); err != nil { // the answer begins, so that the gateway goes on
		return
	}
	in := bufio.NewReaderSize(r.Body, 64<<10)
	h, err := c.greet(r.Context(), in)
	if err != nil {
		c.refuse(err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	seen := fleet.Sighting{Environment: g.Environment, Gateway: g.Name, ID: g.ID, Version: h.Version, Protocol: min(h.Protocol, Protocol),
		Address: r.RemoteAddr, Skew: h.Now.Sub(s.Now()), Heard: s.Now().UTC(), Connected: true, Trouble: clip(h.Trouble, longestTrouble)}
	c.sighting.Store(&seen)
	c.s.Plane.Sighted(seen)
	c.version, c.swears, c.ages = h.Version, h.Swears, h.Ages
	s.here(c)
	defer s.away(c)
	c.putBack()
	s.Log.Info("a gateway is connected", "environment", g.Environment, "gateway", g.Name, "seq", h.Position.Seq, "version", h.Version)
	reading := make(chan struct{})
	defer func() { // what the reader uses is gone once this returns
		cancel()
		_ = r.Body.Close()
		<-reading
	}()
	go func() {
		defer close(reading)
		defer cancel()
		if err := c.read(ctx, in); ctx.Err() == nil {
			s.Log.Debug("a gateway's stream ends", "gateway", g.Name, "error", err)
		}
	}()
	err = c.write(ctx)
	gone := *c.sighting.Load()
	gone.Connected, gone.Heard = false, s.Now().UTC()
	if err != nil && ctx.Err() == nil {
		if text := tell(err).Text; gone.Trouble == "" {
			gone.Trouble = text
		} else { // what it said itself is not known otherwise: a stream may end before its receipt is read
			gone.Trouble += "; " + text
		}
		c.refuse(err)
	}
	if s.newest(c) { // else it is here by another stream
		c.s.Plane.Sighted(gone)
	}
	s.Log.Info("a gateway is gone", "environment", g.Environment, "gateway", g.Name, "error", err)
}

// greet reads what the gateway says of itself.
func (c *conn) greet(ctx context.Context, in *bufio.Reader) (hello, error) {
	var h hello
	kind, body, err := unpack(in)
	if err != nil || kind != frameHello || json.Unmarshal(body, &h) != nil {
		return h, fault.Of(fault.Invalid, "hello", "the stream begins in a way that this control plane does not know").Because(err)
	}
	c.at, c.version = h.Position, clip(h.Version, longestVersion)
	switch {
	case h.Protocol < Oldest:
		err = fault.Of(fault.Forbidden, "gateway-old", "the gateway %s (%s) speaks protocol %d, and this control plane (%s) speaks %d to %d: upgrade the gateway, at most one release stands between the two", c.g.Name, h.Version, h.Protocol, c.s.Version, Oldest, Protocol)
	case h.Oldest > Protocol:
		err = fault.Of(fault.Forbidden, "gateway-new", "the gateway %s (%s) speaks no protocol below %d, and this control plane (%s) speaks %d to %d: upgrade the control plane first", c.g.Name, h.Version, h.Oldest, c.s.Version, Oldest, Protocol)
	}
	if err != nil {
		c.s.Plane.Sighted(fleet.Sighting{Environment: c.g.Environment, Gateway: c.g.Name, ID: c.g.ID, Version: h.Version, Protocol: h.Protocol,
			Heard: c.s.Now().UTC(), Trouble: fault.As(err).Public})
		return h, err
	}
	head, err := c.s.Plane.Head(ctx, c.g.Feed())
	if err != nil {
		return h, err
	}
	if said := c.said(); said.Epoch == head.Epoch && said.Seq > head.Seq && c.at.Seq < said.Seq { // a replica that has not come so far
		head.Seq = said.Seq
	}
	return h, c.send(frameWelcome, welcome{min(h.Protocol, Protocol), c.s.Version, c.s.Now().UTC(), head.Seq})
}

// putBack records that a gateway comes with less than it has said to have in force: its disk was put back to an earlier state. It
// is sent what it misses, and takes no call before it has that.
func (c *conn) putBack() {
	said := c.said()
	if c.at.Epoch != said.Epoch || c.at.Seq >= said.Seq {
		return
	}
	f := refused{Code: "gateway-restored", Text: fmt.Sprintf("the gateway %s comes with entry %d, and has said that entry %d was in force: its disk was put back to an earlier state, or is another one. It is sent what came since; what was revoked then counted for it until now", c.g.Name, c.at.Seq, said.Seq)}
	c.s.Log.Warn("a gateway was put back", "environment", c.g.Environment, "gateway", c.g.Name, "reason", f.Text)
	c.s.record(c.g, c.address, c.version, f)
}

// said is what the gateway has last said to have in force; the zero Position when another one of its name said it.
func (c *conn) said() feed.Position {
	if said := c.s.Plane.Said(c.g.Feed(), c.g.Name); !said.At.Before(c.g.Created) {
		return said.Position
	}
	return feed.Position{}
}

// Bounds of what a gateway says of itself, in bytes.
const (
	longestVersion = 100
	longestTrouble = 1000
)

func clip(said string, most int) string { return strings.ToValidUTF8(said[:min(len(said), most)], "") }

func (c *conn) send(kind byte, v any) error {
	b, err := pack(kind, v)
	if err != nil {
		return err
	}
	return c.put(b)
}

// put writes a frame. A gateway that does not take it in time is cut off: it comes again, and is sent what it missed.
func (c *conn) put(b []byte) error {
	if now := time.Now(); now.Sub(c.dead) >= deadlines {
		c.dead = now
		_ = c.out.SetWriteDeadline(now.Add(writeTime))
	}
	if _, err := c.w.Write(b); err != nil {
		return fmt.Errorf("it takes nothing: %w", err)
	}
	return c.out.Flush()
}

func (c *conn) refuse(err error) {
	f := tell(err)
	c.s.Log.Warn("a gateway was turned away", "environment", c.g.Environment, "gateway", c.g.Name, "code", f.Code, "reason", f.Text)
	c.s.record(c.g, c.address, c.version, f)
	_ = c.send(frameRefused, f)
}

// write sends what there is until ctx ends.
func (c *conn) write(ctx context.Context) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	changed := c.s.Plane.FleetChanged()
	told := ""
	if err := c.standing(ctx, &told); err != nil {
		return err
	}
	for {
		es, err := c.s.Plane.Tail(ctx, c.g.Feed(), c.at, tailLimit)
		if err != nil {
			return err
		}
		if len(es) > 0 {
			b, err := c.s.packed.entries(es)
			if err == nil {
				err = c.put(b)
			}
			if err != nil {
				return err
			}
			before := c.at.Seq
			c.at = es[len(es)-1].Position()
			c.s.Plane.Sent(c.g.Feed(), before, c.at.Seq)
		}
		hint := c.s.Plane.Changed(c.g.Feed(), c.at.Seq)
		if len(es) == tailLimit {
			select {
			case <-ctx.Done():
				return nil
			case b := <-c.down:
				if err := c.put(b); err != nil {
					return err
				}
			default:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-hint:
		case <-poll.C:
		case b := <-c.down:
			err = c.put(b)
		case <-changed:
			changed = c.s.Plane.FleetChanged()
			err = c.standing(ctx, &told)
		case <-beat.C:
			err = c.standing(ctx, &told)
		}
		if err != nil {
			return err
		}
	}
}

// standing looks at how the gateway stands, and says so: a heartbeat, or that it is revoked. told is which anchors it knows.
func (c *conn) standing(ctx context.Context, told *string) error {
	g, err := c.s.Plane.Known(ctx, c.g.ID)
	if err != nil {
		return err
	}
	if g.State == fleet.Revoked {
		word, err := c.s.Plane.Word(ctx, feed.Revoked, g)
		if err == nil {
			err = c.send(frameWord, word)
		}
		if err != nil {
			return err
		}
		_, err = g.Renew(time.Time{})
		return err
	}
	if !c.s.Now().Before(c.cert.NotAfter) {
		return fault.Of(fault.Unauthenticated, "certificate-expired", "the certificate of the gateway %s ended at %s", g.Name, c.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	trust, err := c.s.Plane.Trust(ctx)
	if err != nil {
		return err
	}
	if now := fmt.Sprint(trust); now != *told {
		if err := c.send(frameAnchors, trust); err != nil {
			return err
		}
		*told = now
	}
	word, err := c.s.Plane.Word(ctx, feed.Heartbeat, g)
	if err != nil || !c.hears(word) {
		return err
	}
	return c.send(frameWord, word)
}

// hears reports whether there is a heartbeat that the gateway takes for what it is. One of the release before counts from when it came:
// it gets none that is of long before.
func (c *conn) hears(word feed.Signed) bool {
	var w feed.Word
	return len(word.Word) > 0 && json.Unmarshal(word.Word, &w) == nil && (c.ages || w.Age <= 2*beatEvery)
}

// read takes what the gateway says until it is silent for too long or gone.
func (c *conn) read(ctx context.Context, in *bufio.Reader) error {
	var dead time.Time
	for {
		if now := time.Now(); now.Sub(dead) >= deadlines {
			dead = now
			_ = c.out.SetReadDeadline(now.Add(silentFor))
		}
		kind, body, err := unpack(in)
		if err != nil {
			return err
		}
		seen := *c.sighting.Load()
		seen.Heard = c.s.Now().UTC()
		switch kind {
		case frameReceipt:
			err = c.receipt(ctx, newest(in, body), seen.Heard)
			seen.Trouble = "" // from here on the receipts say it
		case frameBatch:
			err = c.batch(ctx, body)
		case frameTallies:
			err = c.tally(ctx, body)
		case frameRenew:
			err = c.renew(ctx, body)
		case frameSworn:
			err = c.sworn(body)
		case framePing:
			var p ping
			if err = json.Unmarshal(body, &p); err == nil {
				seen.Skew = p.Now.Sub(c.s.Now())
			}
		default: // of a later release
		}
		if err != nil {
			return err
		}
		c.sighting.Store(&seen)
		c.s.Plane.Sighted(seen)
	}
}

// newest passes over receipts that arrived together with a newer one: they are cumulative, and each has to be verified.
func newest(in *bufio.Reader, receipt []byte) []byte {
	for {
		begin, err := in.Peek(min(frameBegin, in.Buffered()))
		if err != nil || len(begin) < frameBegin || begin[4] != frameReceipt || int64(in.Buffered()) < frameBegin+int64(binary.BigEndian.Uint32(begin)) {
			return receipt
		}
		_, body, err := unpack(in)
		if err != nil { // what was read before it counts
			return receipt
		}
		receipt = body
	}
}

// receipt takes a receipt that arrived at that time by our clock, on which the stop-watch has begun too. Whose it is, its certificate
// says; what it says of that itself does not count.
func (c *conn) receipt(ctx context.Context, body []byte, at time.Time) error {
	leave, err := c.s.bench.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var sr signedReceipt
	var r feed.Receipt
	if err := json.Unmarshal(body, &sr); err != nil {
		return err
	}
	if !verifyReceipt(c.cert, sr) {
		return fault.Of(fault.Forbidden, "receipt-unsigned", "a receipt is not signed by the gateway's key")
	}
	if err := json.Unmarshal(sr.Receipt, &r); err != nil {
		return err
	}
	r.Environment, r.Gateway, r.At = c.g.Feed(), c.g.Name, at
	err = c.s.Plane.Acknowledge(ctx, r)
	if errors.Is(err, fault.Conflict) {
		return err // of another history
	}
	if err != nil {
		c.s.Log.Warn("a receipt was not taken", "gateway", c.g.Name, "error", err)
	}
	return nil
}

func (c *conn) batch(ctx context.Context, body []byte) error {
	var b batch
	if err := json.Unmarshal(body, &b); err != nil {
		return err
	}
	b.Batch.Environment, b.Batch.Gateway = c.g.Environment, c.g.Name
	answer := taken{Ask: b.Ask}
	if err := c.s.Plane.Ship(ctx, b.Batch); err != nil {
		f := tell(err)
		answer.Fault = &f
	}
	return c.answer(ctx, frameTaken, answer)
}

// tally takes what was let through in periods. Whose it is, the certificate says.
func (c *conn) tally(ctx context.Context, body []byte) error {
	var t tallies
	if err := json.Unmarshal(body, &t); err != nil {
		return err
	}
	t.Tallies.Environment, t.Tallies.Gateway = c.g.Environment, c.g.Name
	out := taken{Ask: t.Ask}
	got, err := c.s.Plane.Tally(ctx, t.Tallies)
	if err != nil {
		f := tell(err)
		out.Fault = &f
	}
	out.Others, out.Over = got.Others, got.Over
	return c.answer(ctx, frameTaken, out)
}

func (c *conn) renew(ctx context.Context, body []byte) error {
	var r renew
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	got, err := c.s.Plane.Renew(ctx, c.g.ID, r.Request)
	if err != nil {
		c.s.Log.Error("a certificate was not renewed", "gateway", c.g.Name, "error", err)
		return nil // it asks again
	}
	return c.answer(ctx, frameCertificate, got)
}

// answer leaves a frame for the writer.
func (c *conn) answer(ctx context.Context, kind byte, v any) error {
	b, err := pack(kind, v)
	if err != nil {
		return err
	}
	select {
	case c.down <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
