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

// settings lists every setting for the help of a command that runs something.
func settings() string {
	var b strings.Builder
	for _, s := range config.Settings() {
		fmt.Fprintf(&b, "  %-24s %-34s %s\n", s.Name, s.Variable(), s.Doc)
	}
	return `
Flags win over environment variables, those over the file of --config, that over the defaults. The settings, by their
name in the file and their variable:

` + b.String() + `  secrets.NAME             GATEHOUSE_SECRET_NAME              a secret that the manifest names: {value: …}, {env: …} or {file: …}`
}

// runFlags are those that the commands share which run something.
type runFlags struct {
	file, manifest, control, gateway, feed, operations string
	standby                                            string
	dev, example                                       bool
}

// load reads the configuration with the flags that were given on top.
func (r *runFlags) load(c *cli, cmd *cobra.Command, more map[string]string) (config.Config, error) {
	flags := map[string]string{"manifest": r.manifest, "control": r.control, "gateway": r.gateway, "feed": r.feed, "feed-database": r.standby, "operations": r.operations,
		"dev": fmt.Sprint(r.dev), "example": fmt.Sprint(r.example), "data": c.data}
	for name, value := range more {
		flags[name] = value
	}
	conf, err := config.Load(first(r.file, c.environ("GATEHOUSE_CONFIG")), overrides(cmd, flags))
	return conf, explained(err)
}

func (r *runFlags) shared(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.file, "config", "", "start-up configuration, a YAML file")
	cmd.Flags().StringVar(&r.operations, "operations", "", "address of health, metrics and profiles (default 127.0.0.1:8003)")
}

func (r *runFlags) ofControl(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.manifest, "manifest", "", "folder of a manifest: its environments are made, and with --dev it is published")
	f.BoolVar(&r.dev, "dev", false, "development: letters are shown instead of sent; only on loopback")
	f.StringVar(&r.control, "control", "", "address of the portal and the admin API (default 127.0.0.1:8001)")
}

func (c *cli) serve() *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{Use: "serve", Short: "Run everything in one process: gateways, portal, admin API", Args: noArgs,
		Long: `Runs the control plane, the portal with the admin API, and one gateway for each environment, until it is interrupted;
then running requests may end. A second interrupt ends it at once. SIGHUP starts the program anew, as it lies there then,
and hands it the listening sockets: an upgrade or a changed start-up configuration without a call that is lost. With --feed,
gateways elsewhere may dial in too.
` + settings(),
		Example: `  gatehouse serve --dev --example --manifest examples/eid/manifest
  gatehouse serve --config /etc/gatehouse.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runControl(cmd, &r, false) }}
	r.shared(cmd)
	r.ofControl(cmd)
	f := cmd.Flags()
	f.BoolVar(&r.example, "example", false, "run the example upstream beside it; only with --dev")
	f.StringVar(&r.gateway, "gateway", "", "address of the first environment's gateway; the next one is ten ports higher (default 127.0.0.1:8000)")
	f.StringVar(&r.feed, "feed", "", "address where gateways elsewhere dial in (default: nowhere)")
	return cmd
}

func (c *cli) control() *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{Use: "control", Short: "Run the control plane alone: portal, admin API, and the feed for gateways elsewhere", Args: noArgs,
		Long: `Runs what 'gatehouse serve' runs, but for the gateways: these are processes of their own ('gatehouse gateway'), anywhere, and
dial in at the feed's address. See docs/fleet.md.
` + settings(),
		Example: `  gatehouse control --config /etc/gatehouse.yaml --feed 0.0.0.0:8002
  gatehouse gateways enrol fra-1 --env live`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runControl(cmd, &r, true) }}
	r.shared(cmd)
	r.ofControl(cmd)
	cmd.Flags().StringVar(&r.feed, "feed", "", "address where gateways dial in (default 127.0.0.1:8002)")
	cmd.Flags().StringVar(&r.standby, "feed-database", "", "hot standby of the database, near the gateways, that the feed is read of; better by variable")
	return cmd
}

// runControl runs a control plane: with the gateways beside it, or apart from them.
func (c *cli) runControl(cmd *cobra.Command, r *runFlags, apart bool) error {
	inherited, err := app.Inherit()
	if err != nil {
		return err
	}
	conf, err := r.load(c, cmd, nil)
	if err != nil {
		return err
	}
	if apart && conf.Feed.Listen == "" {
		conf.Feed.Listen = "127.0.0.1:8002"
	}
	return c.run(conf, inherited, apart)
}

func (c *cli) gateway() *cobra.Command {
	var r runFlags
	var at, token, image string
	cmd := &cobra.Command{Use: "gateway", Short: "Run one gateway of one environment, which dials the control plane", Args: noArgs,
		Long: `Runs one gateway, and nothing else. The first time it needs an enrolment token ('gatehouse gateways enrol' makes one); from then
on its identity is in the data directory. It keeps what it knows there too, and starts from it without the control plane.
SIGHUP starts the program anew and hands it the listening sockets and the directory, without a call that is lost.
See docs/fleet.md.
` + settings(),
		Example: `  GATEHOUSE_FEED_TOKEN=ghe_… gatehouse gateway --control control.example:8002 --data /var/lib/gatehouse
  gatehouse gateway --image live.image`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inherited, err := app.Inherit()
			if err != nil {
				return err
			}
			conf, err := r.load(c, cmd, map[string]string{"listen": r.gateway, "enrol": token, "image": image, "control": ""})
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("control") {
				conf.Feed.Control = at
			}
			return c.runGateway(conf, inherited)
		}}
	r.shared(cmd)
	f := cmd.Flags()
	f.StringVar(&at, "control", "", "host:port of the control plane's feed; from the second start on it is known")
	f.StringVar(&token, "enrol", "", "enrolment token, for the first start; better in GATEHOUSE_FEED_TOKEN, where other processes do not see it")
	f.StringVar(&image, "image", "", "file or https address of an image to begin from, while the control plane is away")
	f.StringVar(&r.gateway, "listen", "", "address that partners call (default 127.0.0.1:8000)")
	return cmd
}

// overrides is the environment with the flags that were given on top.
func overrides(cmd *cobra.Command, flags map[string]string) []string {
	environ := os.Environ()
	names := map[string]string{"control": "control.listen", "gateway": "gateway.listen", "operations": "operations.listen", "feed": "feed.listen", "feed-database": "feed.database",
		"listen": "gateway.listen", "enrol": "feed.token", "image": "feed.image"}
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
func (c *cli) run(conf config.Config, inherited *app.Inherited, apart bool) error {
	ctx, stop := interrupted()
	defer stop()
	log, events := c.logs(conf)
	succeed := make(chan os.Signal, 1)
	signal.Notify(succeed, syscall.SIGHUP)
	defer signal.Stop(succeed)
	s := app.Serve{Config: conf, Version: version, Log: log, Events: events, Apart: apart, Ready: c.ready, Inherited: inherited, Succeed: succeed}
	err := s.Run(ctx)
	var refused *app.Refused
	if errors.As(err, &refused) {
		for _, d := range refused.Diagnostics {
			fmt.Fprintln(c.err, clean(d.String()))
		}
	}
	return explained(err)
}

// interrupted is a context that ends at the first interrupt; the second one does what it does without us.
func interrupted() (context.Context, func()) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	return ctx, stop
}

// logs is where the process tells what it does, and where events go.
func (c *cli) logs(conf config.Config) (*slog.Logger, io.Writer) {
	options := &slog.HandlerOptions{Level: conf.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(c.err, options)
	if conf.LogFormat == "json" {
		handler = slog.NewJSONHandler(c.err, options)
	}
	if c.format == "json" {
		return slog.New(handler), io.Discard // standard output is one JSON object then
	}
	return slog.New(handler), c.out
}

// runGateway serves until an interrupt.
func (c *cli) runGateway(conf config.Config, inherited *app.Inherited) error {
	ctx, stop := interrupted()
	defer stop()
	log, events := c.logs(conf)
	succeed := make(chan os.Signal, 1)
	signal.Notify(succeed, syscall.SIGHUP)
	defer signal.Stop(succeed)
	return explained(app.Remote{Config: conf, Version: version, Log: log, Events: events, Inherited: inherited, Succeed: succeed, Ready: func(s app.RemoteStarted) {
		if c.format == "json" {
			_ = json.NewEncoder(c.out).Encode(s)
			return
		}
		fmt.Fprintf(c.err, "\nThe gateway %s of %s serves change %d, from %s, at %s (%d ms).\n\n", s.Name, s.Environment, s.Seq, s.From, s.Gateway, s.Took/time.Millisecond)
	}}.Run(ctx))
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
	if s.Feed != "" {
		fmt.Fprintf(w, "  %-16s %s\n", "feed", s.Feed)
	}
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
