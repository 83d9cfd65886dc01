package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The size of the fleet that is measured. The short run has fewer credentials, and says so in each line.
const (
	fleetConnections = 100 // gateways with a feed connection, the full ones among them
	fleetFull        = 3   // gateways that are processes of their own, under load
	fleetMany        = 1_000_000
	fleetFew         = 30_000
	fleetPerApp      = 100 // credentials of one application
)

// plant is one run: a control plane and its gateways, each a real process on the loopback interface.
type plant struct {
	options
	dir      string
	log      io.Writer
	binary   string
	many     int // credentials
	database string
	feed     string // address that gateways dial
	upstream string
	house    *house // the control plane; its addr is that of the first gateway
	control  *process
	full     []*outpost
	lights   *process // the light ones
	keys     []issued
	spent    int // of keys: those before it are revoked
	started  []*process
}

// outpost is a gateway process.
type outpost struct {
	*process
	name, dir string
	took      time.Duration // from its start to ready
	from      string
	seq       int64
}

// measureFleet measures what the fleet is to reach, and prints a line of JSON for each case.
func measureFleet(ctx context.Context, o options, out, log io.Writer) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "gatehouse-fleet-")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	p := &plant{options: o, dir: dir, log: log, many: fleetMany}
	if o.short {
		p.many = fleetFew
	}
	if o.many > 0 {
		p.many = o.many
	}
	defer func() {
		stop()
		err = errors.Join(err, p.close(), os.RemoveAll(dir))
	}()
	if p.binary, err = filepath.Abs(o.gatehouse); err != nil {
		return err
	}
	var all []fleetResult
	for _, c := range fleetCases() {
		if !p.wanted(c) {
			continue
		}
		fmt.Fprintf(log, "\n== %s: %s (after %s)\n", c.name, c.what, time.Since(began).Round(time.Second))
		rs, err := c.run(p, ctx)
		for _, r := range rs {
			r.Credentials = p.many
			if e := r.print(out); e != nil {
				return e
			}
			all = append(all, r)
		}
		if err != nil {
			if p.control != nil {
				fmt.Fprintf(log, "the control plane said:\n%s\n", p.control.errs.String())
			}
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Fprintf(log, "\nmeasured in %s on %s\n", time.Since(began).Round(time.Second), machine())
	if o.page == "" {
		return nil
	}
	return writeFleetPage(o.page, all, time.Now())
}

// begin starts a control plane with a partner, fills it, and starts it again with everything in it.
func (p *plant) begin(ctx context.Context) ([]fleetResult, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.upstream = l.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })}
	go func() { _ = srv.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if p.feed, err = freeAddr(); err != nil {
		return nil, err
	}
	p.house = &house{data: filepath.Join(p.dir, "control")}
	if err := writeManifest(p.manifest(), p.upstream, 0); err != nil {
		return nil, err
	}
	if err := p.startControl(ctx); err != nil {
		return nil, err
	}
	if err := p.house.partner(ctx); err != nil {
		return nil, err
	}
	if err := p.end(p.control); err != nil { // one process at a time writes the file
		return nil, err
	}
	began := time.Now()
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(p.log, "%d credentials written in %s\n", p.many, time.Since(began).Round(time.Second))
	if err := p.startControl(ctx); err != nil {
		return nil, err
	}
	began = time.Now()
	if err := p.numbered(ctx, int64(p.many)); err != nil {
		return nil, err
	}
	fmt.Fprintf(p.log, "numbered, chained and signed in %s\n", time.Since(began).Round(time.Second))
	return nil, nil
}

func (p *plant) manifest() string { return filepath.Join(p.dir, "manifest") }

// startControl starts the control plane on its data.
func (p *plant) startControl(ctx context.Context) error {
	q, at, err := p.controlAt(ctx, p.house.data, p.feed)
	if err != nil {
		return err
	}
	p.control, p.house.process, p.house.portal = q, q, at.Portal
	if _, token, ok := strings.Cut(at.SignIn, "token="); ok && p.house.admin == "" {
		p.house.keys = []string{token}
	}
	return nil
}

type controlAt struct {
	Portal string
	SignIn string `json:"sign_in"`
}

// controlAt starts a control plane on a data directory.
func (p *plant) controlAt(ctx context.Context, data, feed string) (q *process, at controlAt, err error) {
	env := []string{"GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0"}
	if p.database != "" {
		env = append(env, "GATEHOUSE_DATABASE="+p.database)
	}
	q, err = start("control", p.dir, env, p.binary, "control", "--dev", "-o", "json", "--manifest", p.manifest(), "--data", data, "--feed", feed)
	if err == nil {
		p.started = append(p.started, q)
		err = q.first(ctx, time.Minute, &at)
	}
	return q, at, err
}

// first reads the line by which a process says that it is ready.
func (p *process) first(ctx context.Context, most time.Duration, out any) error {
	select {
	case line := <-p.lines:
		if err := json.Unmarshal([]byte(line), out); err != nil {
			return fmt.Errorf("%s: %w in %s", p.name, err, line)
		}
		return nil
	case <-p.done:
		return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.errs.String())
	case <-time.After(most):
		return fmt.Errorf("%s is not ready after %s\n%s", p.name, most, p.errs.String())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enrol makes an enrolment token.
func (p *plant) enrol(ctx context.Context, name string) (string, error) {
	var e struct{ Token string }
	err := p.house.ask(ctx, p.house.admin, "POST", "/api/gateway-enrolments", map[string]string{"environment": "live", "name": name}, &e)
	return e.Token, err
}

// gateway starts a gateway: a new one enrols first, and one that has run before starts from its disk.
func (p *plant) gateway(ctx context.Context, name, feed string) (*outpost, error) {
	o := &outpost{name: name, dir: filepath.Join(p.dir, name)}
	env := []string{"GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_EVENTS=" + os.DevNull}
	if p.setting != "" {
		env = append(env, p.setting)
	}
	if _, err := os.Stat(o.dir); err != nil {
		token, err := p.enrol(ctx, name)
		if err != nil {
			return nil, err
		}
		env = append(env, "GATEHOUSE_FEED_TOKEN="+token)
	}
	began := time.Now()
	q, err := start(name, p.dir, env, p.binary, "gateway", "-o", "json", "--control", feed, "--data", o.dir)
	if err != nil {
		return nil, err
	}
	p.started = append(p.started, q)
	var at struct {
		Gateway, From string
		Seq           int64
	}
	if err := q.first(ctx, 10*time.Minute, &at); err != nil {
		return nil, err
	}
	o.process, o.took, o.from, o.seq = q, time.Since(began), at.From, at.Seq
	_, o.addr, _ = strings.Cut(at.Gateway, "://")
	return o, nil
}

func (p *plant) end(q *process) error {
	p.started = slices.DeleteFunc(p.started, func(o *process) bool { return o == q })
	return q.stop()
}

func (p *plant) close() (all error) {
	for _, q := range slices.Backward(p.started) {
		all = errors.Join(all, q.stop())
	}
	p.started = nil
	return all
}

// head is the newest number of the feed.
func (p *plant) head(ctx context.Context) (int64, error) {
	var l struct {
		Items []struct {
			Head struct{ Seq int64 }
		}
	}
	if err := p.house.ask(ctx, p.house.admin, "GET", "/api/environments", nil, &l); err != nil || len(l.Items) == 0 {
		return 0, err
	}
	return l.Items[0].Head.Seq, nil
}

// numbered waits until the feed has at least so many entries and no more come.
func (p *plant) numbered(ctx context.Context, least int64) error {
	var before int64
	for {
		at, err := p.head(ctx)
		if err != nil {
			return err
		}
		if at >= least && at == before {
			return nil
		}
		before = at
		select {
		case <-time.After(200 * time.Millisecond):
		case <-p.control.done:
			return fmt.Errorf("the control plane ended: %w\n%s", p.control.err, p.control.errs.String())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
