package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// fleetCase is what is measured together. Cases stand on those before them.
type fleetCase struct {
	name, what string
	always     bool
	run        func(*plant, context.Context) ([]fleetResult, error)
}

func fleetCases() []fleetCase {
	return []fleetCase{
		{"fill", "a control plane with its credentials", true, (*plant).begin},
		{"cold", "a gateway that begins: from the network, then from its disk", false, (*plant).cold},
		{"join", "100 feed connections, three of them full gateways under load", false, (*plant).assemble},
		{"revoke", "from the commit of a revocation to refused, and to every receipt", false, (*plant).revocations},
		{"bytes", "what one change sends to a gateway", false, (*plant).bytes},
		{"publish", "1,000 routes, from the request to served everywhere", false, (*plant).publishes},
		{"writes", "audited and fed writes a second by the admin API, SQLite", false, (*plant).writesSQLite},
		{"control", "the same without HTTP, by the methods of control", false, (*plant).controlSQLite},
		{"postgres", "both on PostgreSQL with two control planes", false, (*plant).writesPostgres},
	}
}

// joined are the cases that need the fleet.
var joined = []string{"revoke", "bytes", "publish"}

// wanted reports whether a case is to run.
func (p *plant) wanted(c fleetCase) bool {
	switch {
	case p.only == nil || c.always || slices.Contains(p.only, c.name):
		return true
	case c.name == "join":
		return slices.ContainsFunc(joined, func(n string) bool { return slices.Contains(p.only, n) })
	}
	return false
}

// trials is how often something is measured.
func (p *plant) trials(full, short int) int {
	if p.short {
		return short
	}
	return full
}

func (p *plant) cold(ctx context.Context) (_ []fleetResult, err error) {
	var made, network, disk series
	var net, dsk, ctl float64
	for i := range p.trials(4, 2) {
		o, err := p.gateway(ctx, fmt.Sprintf("cold-%d", i), p.feed)
		if err != nil {
			return nil, err
		}
		if i == 0 { // the control plane makes the image for this one
			made.add(o.took)
		} else {
			network.add(o.took)
		}
		net, ctl = max(net, o.peak()), p.control.peak()
		if err := p.end(o.process); err != nil {
			return nil, err
		}
		if o, err = p.gateway(ctx, o.name, p.feed); err != nil {
			return nil, err
		}
		disk.add(o.took)
		dsk = max(dsk, o.peak())
		if o.from != "disk" {
			return nil, fmt.Errorf("%s began from %s, not from its disk", o.name, o.from)
		}
		if err := p.end(o.process); err != nil {
			return nil, err
		}
		if err := p.drain(ctx, o.name); err != nil {
			return nil, err
		}
	}
	a := made.result("cold-network-first", 1, net)
	b := network.result("cold-network", 1, net)
	c := disk.result("cold-disk", 1, dsk)
	a.Control, b.Control = ctl, ctl
	a.Target, b.Target, c.Target = "ready ≤ 10 s", "ready ≤ 10 s", "ready ≤ 2 s"
	a.Note, b.Note, c.Note = "the image is made for it", "the image was there", "with the control plane to ask"
	return []fleetResult{a, b, c}, nil
}

// drain takes a gateway out: no change waits for it.
func (p *plant) drain(ctx context.Context, name string) error {
	var l struct{ Items []struct{ ID, Name string } }
	if err := p.house.ask(ctx, p.house.admin, "GET", "/api/gateways", nil, &l); err != nil {
		return err
	}
	for _, g := range l.Items {
		if g.Name == name {
			return p.house.ask(ctx, p.house.admin, "POST", "/api/gateways/"+g.ID+"/drain", map[string]string{"reason": "measured"}, nil)
		}
	}
	return fmt.Errorf("there is no gateway %s", name)
}

// assemble starts the fleet: full gateways with their load, and the light ones.
func (p *plant) assemble(ctx context.Context) ([]fleetResult, error) {
	for i := range fleetFull {
		o, err := p.gateway(ctx, fmt.Sprintf("full-%d", i), p.feed)
		if err != nil {
			return nil, err
		}
		p.full = append(p.full, o)
		if i == 0 {
			p.house.addr = o.addr
			if err := p.house.served(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := p.join(ctx, fleetConnections-fleetFull); err != nil {
		return nil, err
	}
	for _, o := range p.full {
		for i := range loadCallers {
			go p.load(ctx, o, i)
		}
	}
	return nil, nil
}

// The load of each full gateway: so many callers, each of which asks so often.
const (
	loadCallers = 2
	loadEvery   = 10 * time.Millisecond
)

// load asks a gateway at an even pace, with keys that are never revoked here.
func (p *plant) load(ctx context.Context, o *outpost, caller int) {
	tick := time.NewTicker(loadEvery)
	defer tick.Stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 10 * time.Second}
	for i := len(p.keys) - 1 - caller; ; i -= loadCallers {
		if i < len(p.keys)/2 {
			i = len(p.keys) - 1 - caller
		}
		select {
		case <-tick.C:
			_, _ = asked(ctx, client, o.addr, smallPath, p.keys[i].key)
		case <-ctx.Done():
			return
		}
	}
}

func asked(ctx context.Context, c *http.Client, addr, path, key string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", key)
	res, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body) // so that the connection is kept, as callers do
	return res.StatusCode, errors.Join(err, res.Body.Close())
}

// inForce is what the control plane says of one change.
type inForce struct {
	Seq            int64
	Committed      time.Time
	Gateways, Done int
	LastMS         float64 `json:"last_ms"`
	Waiting        []string
	Stages         *stages
}

// everywhere waits until every connection has said that the newest change of the object is in force.
func (p *plant) everywhere(ctx context.Context, path string) (f inForce, err error) {
	for until := time.Now().Add(time.Minute); ; {
		var l struct {
			Items []inForce
			inForce
		}
		if err := p.house.ask(ctx, p.house.admin, "GET", path, nil, &l); err != nil {
			return f, err
		}
		if f = l.inForce; len(l.Items) > 0 {
			f = l.Items[0]
		}
		if f.Seq > 0 && f.Gateways >= fleetConnections && f.Done == f.Gateways {
			return f, nil
		}
		if time.Now().After(until) {
			return f, fmt.Errorf("change %d is in force on %d of %d gateways after a minute; waiting for %s", f.Seq, f.Done, f.Gateways, strings.Join(f.Waiting, ", "))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// revoke ends the next credential.
func (p *plant) revoke(ctx context.Context) (issued, error) {
	k := p.keys[p.spent]
	p.spent++
	return k, p.house.ask(ctx, p.house.member, "POST", "/api/credentials/"+string(k.id)+"/revoke", map[string]string{"reason": "to be measured"}, nil)
}

func (p *plant) revocations(ctx context.Context) ([]fleetResult, error) {
	var refused, receipts series
	var all []revoked
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 10 * time.Second}
	for range p.trials(300, 60) {
		k := p.keys[p.spent]
		at := make([]time.Time, len(p.full))
		errs := make([]error, len(p.full))
		for _, o := range p.full {
			if code, err := asked(ctx, client, o.addr, smallPath, k.key); err != nil || code != http.StatusOK {
				return nil, fmt.Errorf("%s answers %d before the revocation: %w", o.name, code, err)
			}
		}
		var wg sync.WaitGroup
		for i, o := range p.full {
			wg.Go(func() { at[i], errs[i] = refusedAt(ctx, client, o.addr, k.key) })
		}
		_, err := p.revoke(ctx)
		answered := time.Now()
		wg.Wait()
		for _, e := range append(errs, err) {
			if e != nil {
				return nil, e
			}
		}
		f, err := p.everywhere(ctx, "/api/in-force/"+string(k.id))
		if err != nil {
			return nil, err
		}
		for _, t := range at {
			refused.add(t.Sub(f.Committed))
		}
		receipts.add(time.Duration(f.LastMS * float64(time.Millisecond)))
		all = append(all, revoked{f, answered})
		time.Sleep(30 * time.Millisecond)
	}
	rss := p.fullMemory()
	a := refused.result("revocation-refused", fleetConnections, rss)
	b := receipts.result("revocation-receipts", fleetConnections, rss)
	a.Target, b.Target = "p50 ≤ 20 ms, p99 ≤ 100 ms", "p50 ≤ 20 ms, p99 ≤ 100 ms"
	a.Note = fmt.Sprintf("at each of %d full gateways", fleetFull)
	b.Note = fmt.Sprintf("from all; %d of them full, with %d requests/s each", fleetFull, loadCallers*int(time.Second/loadEvery))
	a.Control, b.Control = round(p.control.memory(), 1), round(p.control.memory(), 1)
	more, err := p.stageResults(all)
	return append([]fleetResult{a, b}, more...), err
}

// refusedAt asks until the key is refused, and returns when.
func refusedAt(ctx context.Context, c *http.Client, addr, key string) (time.Time, error) {
	for until := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		code, err := asked(ctx, c, addr, smallPath, key)
		now := time.Now()
		switch {
		case err != nil:
			return now, err
		case code == http.StatusUnauthorized:
			return now, nil
		case code != http.StatusOK || now.After(until):
			return now, fmt.Errorf("%s answers %d to a key that was revoked", addr, code)
		}
	}
}

func (p *plant) fullMemory() float64 {
	m := 0.0
	for _, o := range p.full {
		m = max(m, o.memory())
	}
	return round(m, 1)
}

// bytes counts what goes to one more gateway, which stands behind a counter, for each of several changes.
func (p *plant) bytes(ctx context.Context) ([]fleetResult, error) {
	c, err := count(ctx, p.feed)
	if err != nil {
		return nil, err
	}
	o, err := p.gateway(ctx, "counted", c.l.Addr().String())
	if err != nil {
		return nil, err
	}
	var sent, took series
	for n := range p.trials(40, 20) + 1 {
		before := c.down.Load()
		k, err := p.revoke(ctx)
		if err != nil {
			return nil, err
		}
		f, err := p.everywhere(ctx, "/api/in-force/"+string(k.id))
		if err != nil {
			return nil, err
		}
		if n == 0 { // what is said at the beginning is no change
			continue
		}
		took.add(time.Duration(f.LastMS * float64(time.Millisecond)))
		sent = append(sent, float64(c.down.Load()-before))
	}
	rss := round(o.memory(), 1)
	if err := p.end(o.process); err != nil {
		return nil, err
	}
	if err := p.drain(ctx, o.name); err != nil {
		return nil, err
	}
	r := took.result("change-bytes", fleetConnections+1, rss)
	r.BytesP50, r.BytesMax, r.Target = sent.at(50), sent.at(100), "< 2,048 bytes"
	r.Note = "TLS and HTTP/2 included, and heartbeats that came meanwhile"
	return []fleetResult{r}, p.numbered(ctx, 0)
}

// publishedRoutes is how many routes a published manifest has.
const publishedRoutes = 1000

func (p *plant) publishes(ctx context.Context) ([]fleetResult, error) {
	dir := filepath.Join(p.dir, "routes")
	if err := writeManifest(dir, p.upstream, publishedRoutes); err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 10 * time.Second}
	var took series
	for i := range p.trials(10, 3) {
		files := map[string][]byte{}
		for _, name := range []string{"gatehouse.yaml", "items.yaml", "tokens.yaml", "open.yaml"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			files[name] = []byte(strings.ReplaceAll(string(b), "/area", fmt.Sprintf("/round%d/area", i)))
		}
		path := strings.Replace(routePath(publishedRoutes-1), "/area", fmt.Sprintf("/round%d/area", i), 1)
		began := time.Now()
		if err := p.house.ask(ctx, p.house.admin, "POST", "/api/environments/live/revisions", map[string]any{"files": files, "note": "to be measured"}, nil); err != nil {
			return nil, err
		}
		for _, o := range p.full {
			if err := servedAt(ctx, client, o, path, p.keys[len(p.keys)-1].key); err != nil {
				return nil, err
			}
		}
		everywhere := time.Since(began)
		seq, err := p.head(ctx)
		if err != nil {
			return nil, err
		}
		f, err := p.everywhere(ctx, fmt.Sprintf("/api/environments/live/changes/%d", seq))
		if err != nil {
			return nil, err
		}
		took.add(max(everywhere, f.Committed.Sub(began)+time.Duration(f.LastMS*float64(time.Millisecond))))
	}
	r := took.result("publish-1000-routes", fleetConnections, p.fullMemory())
	r.Target, r.Note = "≤ 2 s", "from the request; served by the full gateways, receipts from all"
	return []fleetResult{r}, nil
}

// servedAt waits until the gateway has the route.
func servedAt(ctx context.Context, c *http.Client, o *outpost, path, key string) error {
	for until := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		code, err := asked(ctx, c, o.addr, path, key)
		if err != nil || code == http.StatusOK {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s answers %d to %s a minute after it was published", o.name, code, url.PathEscape(path))
		}
	}
}

// series are measurements, in milliseconds unless said otherwise.
type series []float64

func (s *series) add(d time.Duration) { *s = append(*s, float64(d.Microseconds())/1000) }

// at is the percentile: 100 is the largest.
func (s series) at(percent int) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func (s series) result(name string, gateways int, rss float64) fleetResult {
	return fleetResult{Case: name, Gateways: gateways, Samples: len(s), P50: round(s.at(50), 2), P99: round(s.at(99), 2), Max: round(s.at(100), 2), RSS: rss}
}
