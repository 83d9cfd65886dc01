package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

// writers is how many callers write at a time. Each waits for its answer before it asks again.
const writers = 32

// quiet ends the fleet: what it takes to feed it is measured with the revocations, and it has the same cores.
func (p *plant) quiet() error {
	for _, o := range p.full {
		if err := p.end(o.process); err != nil {
			return err
		}
	}
	p.full = nil
	if p.lights == nil {
		return nil
	}
	q := p.lights
	p.lights = nil
	return p.end(q)
}

func (p *plant) writesSQLite(ctx context.Context) ([]fleetResult, error) {
	if err := p.quiet(); err != nil {
		return nil, err
	}
	r, err := p.writes(ctx, "writes-sqlite", []*process{p.control}, []string{p.house.portal})
	r.Note = "by the admin API, one control plane, synchronous=FULL"
	return []fleetResult{r}, err
}

// writesPostgres moves everything to a PostgreSQL of its own and starts two control planes there.
func (p *plant) writesPostgres(ctx context.Context) ([]fleetResult, error) {
	if err := p.end(p.control); err != nil {
		return nil, err
	}
	server, err := pgtest.Start("-c", "shared_buffers=256MB")
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	dsn, err := server.Database()
	if err != nil {
		return nil, err
	}
	p.database = dsn.Reveal()
	began := time.Now()
	move := exec.CommandContext(ctx, p.binary, "import", filepath.Join(p.house.data, "gatehouse.db"), "--data", p.house.data)
	move.Env = append(os.Environ(), "GATEHOUSE_DATABASE="+p.database)
	if said, err := move.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("import: %w\n%s", err, said)
	}
	fmt.Fprintf(p.log, "moved to PostgreSQL in %s\n", time.Since(began).Round(time.Second))
	second := filepath.Join(p.dir, "second")
	if err := os.CopyFS(filepath.Join(second, "keys"), os.DirFS(filepath.Join(p.house.data, "keys"))); err != nil {
		return nil, err
	}
	if err := filepath.WalkDir(second, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(file, 0o600)
	}); err != nil {
		return nil, err
	}
	if err := p.startControl(ctx); err != nil {
		return nil, err
	}
	other, err := freeAddr()
	if err != nil {
		return nil, err
	}
	q, at, err := p.controlAt(ctx, second, other)
	if err != nil {
		return nil, err
	}
	r, err := p.writes(ctx, "writes-postgres", []*process{p.control, q}, []string{p.house.portal, at.Portal})
	r.Note = "by the admin API, two control planes, fsync on, the database on the same machine"
	for _, one := range []*process{q, p.control} {
		if e := p.end(one); err == nil {
			err = e
		}
	}
	if err != nil {
		return []fleetResult{r}, err
	}
	l, err := p.layered(ctx, 2, func() (store.Store, error) { return sqldb.OpenPostgres(ctx, dsn, sqldb.PostgresOptions{}) })
	if err != nil {
		return []fleetResult{r}, err
	}
	c, err := p.layerWrites(ctx, "writes-postgres-control", l)
	c.Note = fmt.Sprintf("by the methods of control of two control planes, no HTTP, %d goroutines, fsync on, the database on the same machine", layerWriters)
	return []fleetResult{r, c}, errors.Join(err, l.close())
}

// writes suspends and resumes credentials for a while by the admin API, and counts once everything is numbered too.
func (p *plant) writes(ctx context.Context, name string, planes []*process, portals []string) (fleetResult, error) {
	before, err := p.head(ctx)
	if err != nil {
		return fleetResult{}, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: time.Minute}
	theirs := func() (d time.Duration) {
		for _, q := range planes {
			t, err := q.spent()
			if err == nil { // a process that has ended is told of elsewhere
				d += t
			}
		}
		return d
	}
	began, spent, own := time.Now(), theirs(), ownTime()
	all, took, err := p.turns(writers, func(n int, k id.ID, suspend bool) error {
		verb := "resume"
		if suspend {
			verb = "suspend"
		}
		return p.turn(ctx, client, portals[n%len(portals)], string(k), verb)
	})
	if err != nil {
		return fleetResult{}, err
	}
	if err := p.numbered(ctx, before+int64(len(all))); err != nil {
		return fleetResult{}, err
	}
	fed := time.Since(began) - 200*time.Millisecond // numbered has looked twice
	r := written(name, all, took, fed)
	r.RSS = round(p.control.memory(), 1)
	r.ControlCPU, r.CallersCPU = each(theirs()-spent, len(all)), each(ownTime()-own, len(all))
	return r, nil
}

// turns suspends and resumes credentials from so many goroutines for a while, each when the one before is answered, and returns how
// long each took and all together did.
func (p *plant) turns(callers int, turn func(n int, k id.ID, suspend bool) error) (all series, took time.Duration, err error) {
	spell := 20 * time.Second
	if p.short {
		spell = 5 * time.Second
	}
	stop, err := p.profiled()
	if err != nil {
		return nil, 0, err
	}
	defer stop()
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, callers)
	began := time.Now()
	for n := range callers {
		wg.Go(func() {
			var mine series
			for i := 0; errs[n] == nil && (i%2 == 1 || time.Since(began) < spell); i++ { // what is suspended is resumed
				k := p.keys[(p.spent+n+i/2*callers)%len(p.keys)]
				t := time.Now()
				errs[n] = turn(n, k.id, i%2 == 0)
				mine.add(time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	wg.Wait()
	return all, time.Since(began), errors.Join(errs...)
}

// written is what writes came to.
func written(name string, all series, took, fed time.Duration) fleetResult {
	r := all.result(name, 0, 0)
	r.PerSecond, r.FedPerSecond = round(float64(len(all))/took.Seconds(), 0), round(float64(len(all))/max(fed, took).Seconds(), 0)
	r.Target = "≥ 2,000/s"
	return r
}

// each is the share of one, in microseconds.
func each(d time.Duration, of int) float64 {
	return round(float64(d.Microseconds())/float64(max(of, 1)), 0)
}

// ownTime is the processor time of this process so far, user and system together.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// profiled profiles this process while writes are measured, if the run is told to: for the cases that have control in it.
func (p *plant) profiled() (stop func(), err error) {
	if p.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(p.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// turn suspends or resumes a credential.
func (p *plant) turn(ctx context.Context, c *http.Client, portal, id, verb string) error {
	r, err := http.NewRequestWithContext(ctx, "POST", portal+"/api/credentials/"+id+"/"+verb, strings.NewReader(`{"reason":"to be measured"}`))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.house.member)
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var said json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s is answered %d: %s", verb, id, res.StatusCode, said)
	}
	return nil
}
