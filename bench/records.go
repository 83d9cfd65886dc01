package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

// size is how many records an installation has.
type size struct {
	Organizations int `json:"organizations"`
	Applications  int `json:"applications"`
	Credentials   int `json:"credentials"`
}

// The sizes that are measured: DESIGN's, and a small one that shows that the bench works.
var (
	fullSize  = size{10_000, 100_000, 1_000_000}
	shortSize = size{100, 1_000, 10_000}
)

// archive is an installation full of records: the real program on a database that was filled beforehand.
type archive struct {
	*house
	size
	name     string // sqlite or postgresql
	dir      string
	database secret.Value // of PostgreSQL
	kept     bool         // the database is kept for the next run
	sample   sample
	approver string // a session's token
	grant    string // of the partner that members' questions are asked by
	log      io.Writer
}

// sample is some of the records, to be asked for.
type sample struct {
	Organization, Application, Credential, Grant, Request id.ID // from the middle of each list
	Actor                                                 string
}

// measureRecords fills SQLite and PostgreSQL, and asks each for its lists and decisions.
func measureRecords(ctx context.Context, o options, out, log io.Writer) (err error) {
	dir := o.data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gatehouse-records-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	many := fullSize
	if o.short {
		many = shortSize
	}
	for _, name := range []string{"sqlite", "postgresql"} {
		if name == "sqlite" && o.database != "" || !(&lab{options: o}).wanted(group{name: name, short: true}) {
			continue
		}
		if err := measureArchive(ctx, &archive{size: many, name: name, dir: dir, log: log}, o, out); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func measureArchive(ctx context.Context, a *archive, o options, out io.Writer) (err error) {
	if a.kept = o.database != ""; a.kept {
		a.database = secret.New(o.database)
	}
	if a.name == "postgresql" && !a.kept {
		server, err := pgtest.Start("-c", "shared_buffers=512MB")
		if err != nil {
			return fmt.Errorf("%w (%s)", err, pgtest.Install)
		}
		defer server.Stop()
		if a.database, err = server.Database(); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := a.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	fmt.Fprintf(a.log, "\n== %s: %d organizations, %d applications, %d credentials, written or found in %s\n", a.name, a.Organizations, a.Applications, a.Credentials, time.Since(began).Round(time.Second))
	l := &lab{options: o, dir: a.folder(), log: a.log}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := a.launch(ctx, l); err != nil {
		return err
	}
	return a.measure(ctx, o, out)
}

func (a *archive) folder() string {
	return filepath.Join(a.dir, fmt.Sprintf("%s-%d", a.name, a.Credentials))
}

// open opens the database without any process on it.
func (a *archive) open(ctx context.Context) (store.Store, error) {
	if a.name == "postgresql" {
		return sqldb.OpenPostgres(ctx, a.database, sqldb.PostgresOptions{})
	}
	return sqldb.OpenSQLite(ctx, filepath.Join(a.folder(), "data", "gatehouse.db"), sqldb.Options{})
}

// launch starts the program on what was filled, and signs staff in.
func (a *archive) launch(ctx context.Context, l *lab) error {
	manifest, err := filepath.Abs("examples/eid/manifest")
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(l.options.gatehouse)
	if err != nil {
		return err
	}
	a.house = &house{data: filepath.Join(a.folder(), "data")}
	env := []string{"GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0", "GATEHOUSE_EVENTS=none",
		"GATEHOUSE_SECRET_EID_GATEWAY=nobody-is-asked-in-this-run"}
	if !a.database.Empty() {
		env = append(env, "GATEHOUSE_DATABASE="+a.database.Reveal())
	}
	p, err := start(a.name, a.folder(), env, binary, "serve", "--dev", "-o", "json", "--manifest", manifest, "--data", a.data)
	if err != nil {
		return err
	}
	p.name = a.name
	l.started = append(l.started, p)
	var at struct {
		Portal, Operations string
		SignIn             string `json:"sign_in"`
	}
	select {
	case line := <-p.lines:
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			return fmt.Errorf("%w in %s", err, line)
		}
	case <-p.done:
		return fmt.Errorf("it ended: %w\n%s", p.err, p.errs.String())
	case <-ctx.Done():
		return ctx.Err()
	}
	a.process, a.portal, a.operations = p, at.Portal, at.Operations
	return a.people(ctx, at.SignIn)
}
