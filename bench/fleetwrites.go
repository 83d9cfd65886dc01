package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/store/pgtest"
)

// writers is how many callers write at a time. Each waits for its answer before it asks again.
const writers = 32

// writesSQLite ends the fleet first: what it takes to feed it is measured with the revocations, and it has the same cores.
func (p *plant) writesSQLite(ctx context.Context) ([]fleetResult, error) {
	for _, o := range p.full {
		if err := p.end(o.process); err != nil {
			return nil, err
		}
	}
	p.full = nil
	p.leave()
	r, err := p.writes(ctx, "writes-sqlite", []string{p.house.portal})
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
	r, err := p.writes(ctx, "writes-postgres", []string{p.house.portal, at.Portal})
	r.Note = "by the admin API, two control planes, fsync on, the database on the same machine"
	for _, one := range []*process{q, p.control} {
		if e := p.end(one); err == nil {
			err = e
		}
	}
	return []fleetResult{r}, err
}

// writes suspends and resumes credentials for a while, and counts once everything is numbered too.
func (p *plant) writes(ctx context.Context, name string, portals []string) (fleetResult, error) {
	spell := 20 * time.Second
	if p.short {
		spell = 5 * time.Second
	}
	before, err := p.head(ctx)
	if err != nil {
		return fleetResult{}, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: time.Minute}
	var mu sync.Mutex
	var all series
	var wg sync.WaitGroup
	errs := make([]error, writers)
	began := time.Now()
	for n := range writers {
		wg.Go(func() {
			var mine series
			for i := 0; errs[n] == nil && (i%2 == 1 || time.Since(began) < spell); i++ { // what is suspended is resumed
				k := p.keys[(p.spent+n+i/2*writers)%len(p.keys)]
				verb := [...]string{"suspend", "resume"}[i%2]
				t := time.Now()
				errs[n] = p.turn(ctx, client, portals[n%len(portals)], string(k.id), verb)
				mine.add(time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, e := range errs {
		if e != nil {
			return fleetResult{}, e
		}
	}
	if err := p.numbered(ctx, before+int64(len(all))); err != nil {
		return fleetResult{}, err
	}
	fed := time.Since(began) - 200*time.Millisecond // numbered has looked twice
	r := all.result(name, 0, round(p.control.memory(), 1))
	r.PerSecond, r.FedPerSecond = round(float64(len(all))/took.Seconds(), 0), round(float64(len(all))/max(fed, took).Seconds(), 0)
	r.Target = "≥ 2,000/s"
	return r, nil
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
