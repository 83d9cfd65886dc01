// Command bench runs Gatehouse, nginx, HAProxy and Caddy in turn in one run, and prints what a request costs each of them.
//
// Gatehouse is its real binary with a manifest, a partner, a grant and keys. All targets have the same upstream, the same
// load and the same cores, and are asked in rounds of all: what one machine does at one time is compared. Each result is a
// line of JSON on standard output; the table and everything else goes to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options is what a run is told.
type options struct {
	gatehouse string
	short     bool
	only      []string // names of groups; nil: all
	rounds    int
	spell     time.Duration // of one round of one target
	page      string        // where the table is written; "": nowhere
	soak      bool          // hold idle and slow connections against the gateway instead
	fleet     bool          // measure a control plane and its gateways instead
	many      int           // credentials of the fleet; 0: as many as are to be measured
	records   bool          // measure lists and decisions among many records instead
	tokens    bool          // measure the token endpoint instead
	data      string        // where records are kept for the next run; "": nowhere
	database  string        // PostgreSQL's, where records are kept for the next run; "": one that goes with the run
	kase      string        // of records and tokens: only cases whose names hold this
	profile   string        // where the processor's profile of writes is written; "": nowhere
	setting   string        // of full gateways, beside what they are started with; "": none
	lights    string        // be the light gateways that this file lists
	hold      bool          // start the targets and wait, for profilers
}

func main() {
	var o options
	var only string
	flag.StringVar(&o.gatehouse, "gatehouse", "bin/gatehouse", "the binary")
	flag.BoolVar(&o.short, "short", false, "the two main cases, in under three minutes")
	flag.StringVar(&only, "only", "", "groups of cases, with commas between them; empty: all")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds of every target; their median counts")
	flag.DurationVar(&o.spell, "spell", 2*time.Second, "how long one target is asked in one round")
	flag.StringVar(&o.page, "page", "", "the page whose table is replaced by this run's")
	flag.BoolVar(&o.soak, "soak", false, "hold 10,000 idle connections and 9,000 slow heads against the gateway, and tell what it came to")
	flag.BoolVar(&o.fleet, "fleet", false, "measure a fleet: revocations, publishing, cold gateways, writes a second")
	flag.IntVar(&o.many, "credentials", 0, "with -fleet: another number of credentials; each line says how many")
	flag.StringVar(&o.profile, "profile", "", "with -fleet: a file for the profile of this process while it writes by control itself (-only control)")
	flag.StringVar(&o.setting, "setting", "", "with -fleet: a setting of the full gateways, such as GATEHOUSE_GATEWAY_IO_URING=false")
	flag.StringVar(&o.lights, "lights", "", "what -fleet starts: gateways that only follow, as the file lists them")
	flag.BoolVar(&o.records, "records", false, "measure lists and decisions among 1,000,000 credentials, on SQLite and PostgreSQL (-only sqlite)")
	flag.BoolVar(&o.tokens, "tokens", false, "measure how many access tokens the token endpoint makes with one core, by how clients prove themselves")
	flag.StringVar(&o.data, "data", "", "with -records: a folder in which SQLite's records are kept for the next run")
	flag.StringVar(&o.database, "database", "", "with -records and -data: the address of a database of PostgreSQL, empty or filled by an earlier run: it alone is measured, and kept")
	flag.StringVar(&o.kase, "case", "", "with -records or -tokens: only cases whose names hold this")
	flag.BoolVar(&o.hold, "hold", false, "measure nothing: start the targets, print how each is asked, and wait for an interrupt")
	flag.Parse()
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures the groups of cases one after the other. What it started has ended when it returns, and what it wrote is
// gone, the page apart.
func run(ctx context.Context, o options, out, log io.Writer) (err error) {
	if o.lights != "" {
		return followLights(ctx, o.lights, out)
	}
	if o.fleet {
		return measureFleet(ctx, o, out, log)
	}
	if o.records {
		return measureRecords(ctx, o, out, log)
	}
	if o.tokens {
		return measureTokens(ctx, o, out, log)
	}
	began := time.Now()
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	l := &lab{options: o, dir: dir, log: log}
	defer func() { err = errors.Join(err, l.close(), os.RemoveAll(dir)) }()
	if err := l.begin(ctx); err != nil {
		return err
	}
	if o.soak {
		return soak(ctx, l, out)
	}
	var all []result
	for _, g := range groups() {
		if !l.wanted(g) {
			continue
		}
		fmt.Fprintf(log, "\n== %s: %s\n", g.name, g.what)
		if o.hold {
			if err := l.hold(ctx, g); err != nil {
				return err
			}
			continue
		}
		rs, err := l.measure(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		for _, r := range rs {
			if err := r.print(out); err != nil {
				return err
			}
		}
		table(log, rs)
		all = append(all, rs...)
	}
	if o.hold {
		<-ctx.Done()
		return nil
	}
	for _, m := range l.missing {
		fmt.Fprintln(log, m)
	}
	fmt.Fprintf(log, "\nmeasured in %s on %s\n", time.Since(began).Round(time.Second), machine())
	if o.page == "" {
		return nil
	}
	return writePage(o.page, all, l.missing, time.Now())
}
