package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/fault"
)

func (c *cli) serve() *cobra.Command {
	var file, manifest, control, gateway, operations string
	var dev, example bool
	var settings strings.Builder
	for _, s := range config.Settings() {
		fmt.Fprintf(&settings, "  %-24s %-34s %s\n", s.Name, s.Variable(), s.Doc)
	}
	cmd := &cobra.Command{Use: "serve", Short: "Run everything in one process: gateways, portal, admin API", Args: noArgs,
		Long: `Runs the control plane, the portal with the admin API, and one gateway for each environment, until it is interrupted;
then running requests may end. A second interrupt ends it at once. SIGHUP starts the program anew, as it lies there then,
and hands it the listening sockets: an upgrade or a changed start-up configuration without a call that is lost.

Flags win over environment variables, those over the file of --config, that over the defaults. The settings, by their
name in the file and their variable:

` + settings.String() + `  secrets.NAME             GATEHOUSE_SECRET_NAME              a secret that the manifest names: {value: …}, {env: …} or {file: …}`,
		Example: `  gatehouse serve --dev --example --manifest examples/eid/manifest
  gatehouse serve --config /etc/gatehouse.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inherited, err := app.Inherit()
			if err != nil {
				return err
			}
			conf, err := config.Load(first(file, c.environ("GATEHOUSE_CONFIG")), overrides(cmd, map[string]string{
				"manifest": manifest, "control": control, "gateway": gateway, "operations": operations,
				"dev": fmt.Sprint(dev), "example": fmt.Sprint(example), "data": c.data}))
			if err != nil {
				return explained(err)
			}
			return c.run(conf, inherited)
		}}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "start-up configuration, a YAML file")
	f.StringVar(&manifest, "manifest", "", "folder of a manifest: its environments are made, and with --dev it is published")
	f.BoolVar(&dev, "dev", false, "development: letters are shown instead of sent; only on loopback")
	f.BoolVar(&example, "example", false, "run the example upstream beside it; only with --dev")
	f.StringVar(&control, "control", "", "address of the portal and the admin API (default 127.0.0.1:8001)")
	f.StringVar(&gateway, "gateway", "", "address of the first environment's gateway; the next one is ten ports higher (default 127.0.0.1:8000)")
	f.StringVar(&operations, "operations", "", "address of health, metrics and profiles (default 127.0.0.1:8003)")
	return cmd
}

// overrides is the environment with the flags that were given on top.
func overrides(cmd *cobra.Command, flags map[string]string) []string {
	environ := os.Environ()
	names := map[string]string{"control": "control.listen", "gateway": "gateway.listen", "operations": "operations.listen"}
	for flag, value := range flags {
		if cmd.Flags().Changed(flag) {
			environ = append(environ, config.Setting{Name: first(names[flag], flag)}.Variable()+"="+value)
		}
	}
	return environ
}

// explained writes every field of a fault on a line of its own.
func explained(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err
	}
	lines := []string{f.Public}
	for _, w := range f.Fields {
		lines = append(lines, "  "+strings.TrimPrefix(w.Pointer+": ", ": ")+w.Text)
	}
	return errors.New(strings.Join(lines, "\n"))
}

// run serves until an interrupt, and ends at once at a second one.
func (c *cli) run(conf config.Config, inherited *app.Inherited) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on, an interrupt does what it does without us
	}()
	options := &slog.HandlerOptions{Level: conf.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(c.err, options)
	if conf.LogFormat == "json" {
		handler = slog.NewJSONHandler(c.err, options)
	}
	events := c.out
	if c.format == "json" {
		events = io.Discard // standard output is one JSON object then
	}
	succeed := make(chan os.Signal, 1)
	signal.Notify(succeed, syscall.SIGHUP)
	defer signal.Stop(succeed)
	s := app.Serve{Config: conf, Version: version, Log: slog.New(handler), Events: events, Ready: c.ready, Inherited: inherited, Succeed: succeed}
	err := s.Run(ctx)
	var refused *app.Refused
	if errors.As(err, &refused) {
		for _, d := range refused.Diagnostics {
			fmt.Fprintln(c.err, clean(d.String()))
		}
	}
	return explained(err)
}

// ready tells where things are and what to do next.
func (c *cli) ready(s app.Started) {
	if c.format == "json" {
		_ = json.NewEncoder(c.out).Encode(s)
		return
	}
	w := c.err
	fmt.Fprintf(w, "\nGatehouse is ready (%d ms).\n\n", s.Took/time.Millisecond)
	for _, name := range s.Order {
		fmt.Fprintf(w, "  %-16s %s\n", "gateway "+name, s.Gateways[name])
	}
	fmt.Fprintf(w, "  %-16s %s\n  %-16s %s\n", "portal", s.Portal, "operations", s.Operations)
	if s.Events != "" {
		fmt.Fprintf(w, "  %-16s %s\n", "events", s.Events)
	}
	if s.Mail != "" {
		fmt.Fprintf(w, "  %-16s %s\n", "letters", s.Mail)
	}
	if s.SignIn != "" {
		fmt.Fprintf(w, `
Sign in as staff, once, within 15 minutes:
  %s

Next: open the portal in a private window and register as a partner; the letter that confirms the address is under
letters. Then verify the partner as staff. 'gatehouse staff recover EMAIL' prints another link. Ctrl-C stops.
`, s.SignIn)
	}
	fmt.Fprintln(w)
}
