package gateway

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/manifest"
	"gatehouse/wire"
)

// A watch looks after the targets of a pool while the gateway follows its feed: it looks their names up, and asks them
// whether they are well.
type watch struct {
	p      *pool
	ctx    context.Context
	cancel context.CancelFunc
	wg     *sync.WaitGroup
	checks map[*member]context.CancelFunc
}

// newWatch begins to. p.mu is held.
func newWatch(ctx context.Context, p *pool, wg *sync.WaitGroup) *watch {
	w := &watch{p: p, wg: wg, checks: map[*member]context.CancelFunc{}}
	w.ctx, w.cancel = context.WithCancel(ctx)
	for i, t := range p.u.Targets {
		host, port, err := net.SplitHostPort(t.Host)
		if err == nil && net.ParseIP(host) == nil {
			wg.Go(func() { w.resolve(i, host, port) })
		}
	}
	w.members(p.set.Load().members)
	return w
}

// members checks those that are there now. p.mu is held.
func (w *watch) members(now []*member) {
	if w.p.u.Health.Active == nil {
		return
	}
	for m, cancel := range w.checks {
		if !slices.Contains(now, m) {
			cancel()
			delete(w.checks, m)
		}
	}
	for _, m := range now {
		if w.checks[m] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(w.ctx)
		w.checks[m] = cancel
		w.wg.Go(func() { w.check(ctx, m) })
	}
}

// sleep waits; it reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// check asks a member whether it is well, again and again. It begins at a random moment of the interval after the first
// time, so that gateways do not ask all at once.
func (w *watch) check(ctx context.Context, m *member) {
	a := w.p.u.Health.Active
	good, bad := 0, 0
	for first := true; ; first = false {
		err := w.ask(ctx, m, a)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			good, bad = good+1, 0
		} else {
			good, bad = 0, bad+1
		}
		var changed, well bool
		switch {
		case bad >= a.Unhealthy:
			changed = m.Found(false, time.Now())
		case good >= a.Healthy:
			changed, well = m.Found(true, time.Now()), true
		}
		if changed {
			w.p.g.o.Log.Warn("target", "environment", w.p.g.o.Environment, "upstream", w.p.u.Name, "target", m.Name, "well", well, "error", err)
		}
		d := time.Duration(a.Interval)
		if first {
			d = rand.N(d) + 1
		}
		if !sleep(ctx, d) {
			return
		}
	}
}

// ask asks once, on a connection of its own: a target that takes no new ones is not well. It is the request of no caller,
// so it carries none of the fields of present.
func (w *watch) ask(ctx context.Context, m *member, a *manifest.Active) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.Timeout))
	defer cancel()
	host := a.Host
	if host == "" {
		host = hostField(m.target)
	}
	status, err := 0, error(nil)
	if w.p.u.Protocol == manifest.HTTP1 {
		status, err = w.askHTTP1(ctx, m, a.Path, host)
	} else {
		status, err = w.askH2(ctx, m, a.Path, host)
	}
	switch {
	case err != nil:
		return err
	case len(a.Status) == 0 && status/100 == 2, slices.Contains(a.Status, status):
		return nil
	}
	return fmt.Errorf("it answered %d", status)
}

// askHTTP1 asks for the status of a path.
func (w *watch) askHTTP1(ctx context.Context, m *member, path, host string) (int, error) {
	c, err := m.dialer(w.p.secure)(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: gatehouse-health\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, host); err != nil {
		return 0, err
	}
	return statusLine(c)
}

// statusLine reads the status of an answer. Nothing else of it matters: the connection is closed.
func statusLine(r io.Reader) (int, error) {
	line := make([]byte, 0, len("HTTP/1.1 200 "))
	for len(line) < cap(line) {
		n, err := r.Read(line[len(line):cap(line)])
		if line = line[:len(line)+n]; err != nil && len(line) < cap(line)-1 {
			return 0, fmt.Errorf("no answer: %w", err)
		} else if err != nil {
			break
		}
	}
	if !wire.View(line[:len("HTTP/1.")]).EqualFold("HTTP/1.") || line[8] != ' ' {
		return 0, fmt.Errorf("the answer begins %q", line)
	}
	n, err := strconv.Atoi(string(line[9:12]))
	if err != nil || n < 100 {
		return 0, fmt.Errorf("the answer begins %q", line)
	}
	return n, nil
}

// resolve keeps the addresses of a target's name up to date.
func (w *watch) resolve(i int, host, port string) {
	least, most := w.p.u.Fresh, w.p.u.Stale
	for trouble := 0; ; {
		addresses, ttl, err := w.p.g.names.lookUp(w.ctx, host)
		if w.ctx.Err() != nil {
			return
		}
		d := min(max(ttl, least), most)
		if err != nil || len(addresses) == 0 {
			w.p.resolved.Add(1)
			w.p.g.o.Log.Warn("a name cannot be resolved: the addresses that are known go on", "environment", w.p.g.o.Environment,
				"upstream", w.p.u.Name, "name", host, "error", err)
			d = min(least<<min(trouble, 6), most)
			trouble++
		} else {
			trouble = 0
			w.found(i, addresses, port)
		}
		if !sleep(w.ctx, d) {
			return
		}
	}
}

// found puts the addresses of a name into force.
func (w *watch) found(i int, addresses []string, port string) {
	var at []string
	for _, a := range addresses {
		at = append(at, net.JoinHostPort(a, port))
	}
	slices.Sort(at)
	at = slices.Compact(at)
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired || slices.Equal(p.found[i], at) {
		return
	}
	p.g.o.Log.Info("addresses", "environment", p.g.o.Environment, "upstream", p.u.Name, "target", p.u.Targets[i].Host, "now", at)
	p.found[i] = at
	p.arrange()
}
