package link

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
)

// answerTime is how long a gateway takes for an answer at most: then its control plane has given up.
const answerTime = 30 * time.Second

// Probers is the gateways of the environment that are connected now, by name: they can be asked what becomes of credentials. One
// that is of a release before that is among them, and says so.
func (s *Server) Probers(environment string) map[string]feed.Prober {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]feed.Prober{}
	for at, c := range s.conns {
		if at[0] == environment {
			out[at[1]] = c
		}
	}
	return out
}

func (s *Server) here(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[[2]string]*conn{}
	}
	s.conns[[2]string{c.g.Environment, c.g.Name}] = c
}

// newest reports whether the gateway has not come again by another stream.
func (s *Server) newest(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[[2]string{c.g.Environment, c.g.Name}] == c
}

// away forgets a stream, unless the gateway has come again by another one.
func (s *Server) away(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := [2]string{c.g.Environment, c.g.Name}; s.conns[at] == c {
		delete(s.conns, at)
	}
}

// Probe implements feed.Prober: it asks the gateway at the other end. What is not signed by the key that the gateway enrolled with
// is fault.Conflict.
func (c *conn) Probe(ctx context.Context, p feed.Probe) (feed.Sworn, error) {
	if !c.swears {
		return feed.Sworn{}, fault.Of(fault.Unavailable, "gateway-cannot-swear", "the gateway %s runs %s, which cannot swear yet: upgrade it to the release of this control plane (%s); it is asked again by itself", c.g.Name, c.version, c.s.Version)
	}
	ask, answer := c.asked.Add(1), make(chan sworn, 1)
	c.asks.Store(ask, answer)
	defer c.asks.Delete(ask)
	b, err := pack(frameProbe, probing{ask, p})
	if err != nil {
		return feed.Sworn{}, err
	}
	silent := fault.New(fault.Unavailable, "the gateway %s did not answer in time: it is asked again", c.g.Name)
	gone := fault.New(fault.Unavailable, "the connection to the gateway %s has ended: it is asked again once it is back", c.g.Name)
	select {
	case c.down <- b:
	case <-c.gone:
		return feed.Sworn{}, gone
	case <-ctx.Done():
		return feed.Sworn{}, silent.Because(ctx.Err())
	}
	select {
	case a := <-answer:
		switch {
		case a.Fault != nil:
			return feed.Sworn{}, a.Fault.fault()
		case a.Sworn == nil || !bytes.Equal(a.Sworn.Key, c.cert.RawSubjectPublicKeyInfo):
			return feed.Sworn{}, fault.Of(fault.Conflict, "probe-unsigned", "an answer of the gateway %s is not signed by the key that it enrolled with", c.g.Name)
		}
		return *a.Sworn, nil
	case <-c.gone:
		return feed.Sworn{}, gone
	case <-ctx.Done():
		return feed.Sworn{}, silent.Because(ctx.Err())
	}
}

// sworn takes an answer. Nobody waits any more for one that comes too late.
func (c *conn) sworn(body []byte) error {
	var s sworn
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	if answer, ok := c.asks.LoadAndDelete(s.Ask); ok {
		answer.(chan sworn) <- s
	}
	return nil
}

// Signer is the gateway's own key, with which it signs what it swears.
func (c *Client) Signer() crypto.Signer { return c.keys.key }

// Answer says who answers when the control plane asks what becomes of credentials.
func (c *Client) Answer(p feed.Prober) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prober = p
}

// probed answers a probe, beside the stream: looking a thousand credentials up must not hold up the feed.
func (c *Client) probed(ctx context.Context, up *sender, body []byte) error {
	var p probing
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	c.mu.Lock()
	to := c.prober
	c.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		answer := sworn{Ask: p.Ask}
		err := error(fault.New(fault.Unavailable, "the gateway does not serve yet"))
		if to != nil {
			var s feed.Sworn
			if s, err = to.Probe(ctx, p.Probe); err == nil {
				answer.Sworn = &s
			}
		}
		if err != nil {
			f := tell(err)
			answer.Fault = &f
		}
		_ = up.send(frameSworn, answer) // a stream that has ended is begun again, and the question is asked again
	}()
	return nil
}
