package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"gatehouse/balance"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// admit asks the breaker and the gate of the pool whether a request may go to the upstream now. leave must follow when it
// returns nil.
func (p *pool) admit(c *carrier, now time.Time) error {
	c.probe = 0
	if p.breaker != nil {
		probe, wait, ok := p.breaker.Admit(now)
		if !ok {
			f := fault.Of(fault.Unavailable, "upstream-resting", "most calls to the service behind this gateway fail, so it is not asked for a moment")
			f.RetryAfter = wait
			return f
		}
		c.probe = probe
	}
	if p.gate != nil && !p.gate.Try() && !p.queue(c) {
		if p.breaker != nil {
			p.breaker.Done(c.probe, balance.Neither, now)
		}
		f := fault.Of(fault.Unavailable, "upstream-busy", "the service behind this gateway has as many calls as it can take")
		f.RetryAfter = busyAgain
		return f
	}
	return nil
}

// queue waits for a place at the gate.
func (p *pool) queue(c *carrier) (in bool) {
	c.wait(func() { in = p.gate.Enter(c.ctx) })
	return in
}

// wait runs f, which may wait.
func (c *carrier) wait(f func()) {
	if e := c.h1.e; e != nil {
		e.Await(f)
		return
	}
	f()
}

// busyAgain is when a caller who was refused because too many others call should try again.
const busyAgain = time.Second

// leave ends what admit began.
func (p *pool) leave(c *carrier, o balance.Outcome) {
	if p.gate != nil {
		p.gate.Leave()
	}
	if p.breaker == nil {
		return
	}
	if s := p.breaker.Done(c.probe, o, c.now()); s != "" {
		p.g.o.Log.Warn("breaker", "environment", p.g.o.Environment, "upstream", p.u.Name, "state", string(s))
	}
}

// outcome says whose fault an error of an asker is.
func outcome(err error) balance.Outcome {
	f, ok := errors.AsType[*fault.Error](err)
	if ok && (f.Kind == fault.BadUpstream || f.Kind == fault.SlowUpstream) {
		return balance.Failed
	}
	return balance.Neither
}

// failed notes that a member did not do what was asked of it.
func (p *pool) failed(s *set, m *member, now time.Time) {
	if d := s.rule.Failed(m.Member, p.passive, now); d > 0 {
		p.g.o.Log.Warn("target ejected", "environment", p.g.o.Environment, "upstream", p.u.Name, "target", m.Name, "for", d)
	}
}

// ask sends the request to a target, and to others while that is allowed: when none could be reached, so that nothing was
// sent, and within the retries of the upstream. c.member is who answered.
func (g *Gateway) ask(c *carrier, p *pool, began time.Time) (err error) {
	s, total := p.set.Load(), c.route.Upstream.Total
	var try time.Duration
	var more int
	if r := p.u.Retries; r != nil {
		p.budget.Request(began)
		try = time.Duration(r.Try)
		if c.route.Retry {
			more = r.Attempts
		}
	}
	key := p.key(c)
	var tried balance.Tried
	for now := began; ; {
		i := s.rule.Pick(key, now, &tried)
		m := s.members[i]
		tried.Add(i)
		c.target = m.address[0]
		c.tries++
		m.Begin()
		err = m.asker.ask(c, try, total-now.Sub(began))
		asked := now
		now = c.now()
		c.asked = now.Sub(asked)
		if p.gate != nil && (err == nil && c.x.Response.Status < 500 || errors.Is(err, fault.SlowUpstream)) {
			p.gate.Took(c.asked, now)
		}
		if err == nil && (more == 0 || !slices.Contains(p.u.Retries.Status, c.x.Response.Status)) {
			c.member, c.among = m, s
			return nil
		}
		if err != nil {
			m.leave()
			if outcome(err) != balance.Failed {
				return err
			}
			p.failed(s, m, now)
			if left := tried.Len() < len(s.members); left && fault.As(err).Code == codeUnreachable && now.Sub(began) < total {
				continue // nothing was sent
			}
		}
		if more == 0 || !c.again(err) || now.Sub(began) >= total || !p.budget.Retry(now) {
			if err == nil {
				c.member, c.among = m, s // its answer, as it is
			}
			return err
		}
		more--
		if err == nil {
			c.discard()
			m.leave()
			p.failed(s, m, now)
		}
		if tried.Len() == len(s.members) { // the same once more, after a moment
			tried = balance.Tried{}
			if !c.pause(total - now.Sub(began)) {
				return errClientGone
			}
			now = c.now()
		}
	}
}

// again reports whether the request can be sent once more: its body is at hand, and nothing of an answer was passed on.
func (c *carrier) again(err error) bool {
	if err != nil {
		if f := fault.As(err); f.Code == codeSwitched {
			return false
		}
	}
	if c.x.Request.Body == nil {
		return true
	}
	if c.h1.e == nil || c.body == nil {
		return false
	}
	_, whole, err := c.h1.e.Whole()
	return whole && err == nil
}

// discard gives an answer up whose head alone was read. What of it is there already is read, so that its connection may be
// used again.
func (c *carrier) discard() {
	r := &c.x.Response
	if b, ok := r.Body.(*h1Body); ok {
		buf := c.x.Scratch()
		if buf = buf[:cap(buf)]; len(buf) > 0 {
			for range mostDiscarded {
				if !b.Ready() {
					break
				}
				if _, err := b.Read(buf); err != nil {
					break
				}
			}
		}
	}
	if closer, ok := r.Body.(io.Closer); ok {
		_ = closer.Close()
	}
	r.Status, r.Body, r.Length = 0, nil, 0
	r.Fields, r.Trailer = r.Fields[:0], r.Trailer[:0]
}

const mostDiscarded = 8 // reads of a few KB: the answer of a service that says that it cannot is small

// Pauses before the same target is tried once more.
const (
	firstPause = 25 * time.Millisecond
	mostPause  = 250 * time.Millisecond
)

// pause waits a moment before the same is tried once more. It reports false when the caller is gone.
func (c *carrier) pause(left time.Duration) (on bool) {
	c.wait(func() { on = pause(c.ctx, c.tries, left) })
	return on
}

// pause waits a moment, of a length that differs from request to request. It reports false when ctx ended.
func pause(ctx context.Context, tries int, left time.Duration) bool {
	d := min(firstPause<<min(tries, 8), mostPause)
	d = min(d/2+rand.N(d/2), max(left, 0))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// key is what the request is told apart by; without one it goes anywhere.
func (p *pool) key(c *carrier) uint64 {
	if p.u.Rule != string(balance.Hash) {
		return 0
	}
	x, name := &c.x, p.u.Key.Name
	var v []byte
	switch p.u.Key.Of {
	case snapshot.KeyClient:
		a := x.Peer.Addr().As16()
		return balance.Key(a[:])
	case snapshot.KeyApplication:
		v = bits(&x.Principal.Application)
	case snapshot.KeyCredential:
		v = bits(&x.Principal.Credential)
	case snapshot.KeyOrganization:
		v = bits(&x.Principal.Organization)
	case snapshot.KeyPath:
		v = c.path
	case snapshot.KeyHeader:
		v, _ = x.Request.Fields.Get(name)
	case snapshot.KeyQuery:
		v = parameter(x.Request.Query, name)
	case snapshot.KeyCookie:
		if all, ok := x.Request.Fields.Get("Cookie"); ok {
			v = cookie(all, name)
		}
	}
	if len(v) == 0 {
		return rand.Uint64()
	}
	return balance.Key(v)
}

func bits(b *id.Bits) []byte {
	if b.IsZero() {
		return nil
	}
	return b[:]
}

// parameter is the value of the first parameter of that name, as it is written.
func parameter(query wire.View, name string) wire.View { return named(query, '&', name) }

// cookie is the value of the first cookie of that name.
func cookie(field wire.View, name string) wire.View { return named(field, ';', name) }

func named(list wire.View, between byte, name string) wire.View {
	for len(list) > 0 {
		part := list
		if i := slices.Index(list, between); i >= 0 {
			part, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		for len(part) > 0 && part[0] == ' ' {
			part = part[1:]
		}
		if len(part) > len(name) && part[len(name)] == '=' && string(part[:len(name)]) == name {
			return part[len(name)+1:]
		}
	}
	return nil
}
