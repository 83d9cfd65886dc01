// Command demo walks a whole story against a fresh instance of Gatehouse, through public HTTP only, and prints each step
// with its figures. It stops at the first step that is not as told, and leaves nothing behind.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// story is what happens, and how long it is told to take at most.
type story struct {
	steps   []step
	longest time.Duration
}

// step is one thing that happens in a story. It returns its figures, or what is not as told.
type step struct {
	name string
	walk func(context.Context, *visit) (string, error)
}

// stories are what STORY can name. Each starts from nothing.
func stories() map[string]story {
	return map[string]story{
		"access":    {slices.Concat(arrival(), partner(), access(), calls(), endings(), proof()), time.Minute},
		"lifecycle": {slices.Concat(grounds(), decided(), proven(), ended(), offboarded()), 3 * time.Minute},
	}
}

func main() {
	options := options{}
	flag.StringVar(&options.gatehouse, "gatehouse", "bin/gatehouse", "the gatehouse binary")
	flag.StringVar(&options.eid, "eid", "bin/eid", "the binary of the example upstream")
	flag.StringVar(&options.manifest, "manifest", "examples/eid/manifest", "the folder of the example's manifest")
	flag.IntVar(&options.patience, "patience", 1, "how many times longer than told things may take: for machines that are busy")
	flag.Parse()
	// Also when nobody reads the output any more, or the terminal is gone, what was started must be ended.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, options, os.Getenv("STORY"), os.Getenv("DEMO_OUTPUT"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// run tells one story. What it started has ended when it returns, and what it wrote is gone.
func run(ctx context.Context, o options, name, output string, out io.Writer) (err error) {
	if name == "" {
		name = "access"
	}
	told, ok := stories()[name]
	if !ok {
		return fmt.Errorf("there is no story %q: STORY can be %s", name, strings.Join(slices.Sorted(maps.Keys(stories())), ", "))
	}
	p, err := newPrinter(output, out, told.steps)
	if err != nil {
		return err
	}
	most := told.longest * time.Duration(max(o.patience, 1))
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the story took longer than %s", most))
	defer cancel()
	v := &visit{options: o, started: time.Now(), web: newClient(nil)}
	defer func() {
		if left := v.leave(); err == nil {
			err = left
		}
	}()
	for _, s := range told.steps {
		began := time.Now()
		detail, err := s.walk(ctx, v)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
		if e := p.print(s.name, detail, err, time.Since(began)); err == nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("%s: %w%s", s.name, err, v.lastWords())
		}
	}
	return nil
}

// printer writes one line a step: aligned text, or JSON objects.
type printer struct {
	out   io.Writer
	json  bool
	width int
}

func newPrinter(output string, out io.Writer, steps []step) (*printer, error) {
	if output != "" && output != "text" && output != "json" {
		return nil, fmt.Errorf("DEMO_OUTPUT can be text or json, not %q", output)
	}
	p := &printer{out: out, json: output == "json"}
	for _, s := range steps {
		p.width = max(p.width, len(s.name))
	}
	return p, nil
}

func (p *printer) print(name, detail string, failed error, took time.Duration) error {
	ms := float64(took.Microseconds()) / 1000
	word := "ok"
	if failed != nil {
		word, detail = "FAILED", failed.Error()
	}
	if !p.json {
		_, err := fmt.Fprintf(p.out, "%-6s %-*s %9.1f ms  %s\n", word, p.width, name, ms, detail)
		return err
	}
	return json.NewEncoder(p.out).Encode(struct {
		Step   string  `json:"step"`
		OK     bool    `json:"ok"`
		MS     float64 `json:"ms"`
		Detail string  `json:"detail"`
	}{name, failed == nil, ms, detail})
}
