package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/drift"
	"gatehouse/drift/handshake"
	"gatehouse/drift/live"
	"gatehouse/drift/review"
	"gatehouse/secret"
)

func (c *cli) drift() *cobra.Command {
	return group("drift", "Compare what gateways enforce in different environments",
		`Reads the configuration of gateways as teams keep it in folders, works out what each enforces for every operation, and
says where authentication, certificates, observability, limits and exposure drift apart. Files are read and nothing else:
no network, nothing outside the folders, no code in them is run. Secrets are masked.

An environment is named NAME[@TIER][:GATEWAY]=FOLDER[,KEY=VALUE]: TIER is dev, test, stage or prod, GATEWAY one of
`+strings.Join(gatewayNames(), ", ")+`; without it the folder is recognised.

In place of a folder, a gateway that runs is named by its address, and only read: NAME:kong=https://ADMIN:8444,
NAME:azureapim=https://management.azure.com/subscriptions/…/service/NAME, or NAME:traefik=kubernetes:CONTEXT for what lives in a
cluster. Credentials are in GATEHOUSE_DRIFT_TOKEN, in KUBECONFIG, or those of workload identity.

Exit codes: 0 nothing found and everything resolved, 3 findings, 4 no findings in what was resolved, and not everything was. What else
they mean to a command stands in its own help. Text is coloured on terminals; NO_COLOR turns that off, CLICOLOR_FORCE on.`,
		c.driftRead(), c.driftCompare(), c.driftPlan(), c.driftUndo(), c.driftBaseline(), c.driftCerts(), c.driftAdopt(), c.driftWatch())
}

func gatewayNames() []string {
	var names []string
	for _, g := range review.Gateways() {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

// review makes the call that the arguments and flags describe.
func (c *cli) review(args []string, format string) review.Command {
	if format == "" {
		format = c.format
	}
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && c.out == os.Stdout
	return review.Command{Sources: args, Format: format, Colour: painted(terminal, os.Getenv), Now: time.Now(), Out: c.out, Progress: c.err, Live: c.live}
}

// painted reports whether text is written in colour: to a terminal that can show it, unless NO_COLOR says no, and anywhere when
// CLICOLOR_FORCE says so.
func painted(terminal bool, environ func(string) string) bool {
	switch {
	case environ("NO_COLOR") != "":
		return false
	case environ("CLICOLOR_FORCE") != "" && environ("CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && environ("TERM") != "dumb"
}

// live asks a running gateway, with credentials from the environment.
func (c *cli) live(gateway, address string) (fs.FS, []drift.Problem, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	started := time.Now()
	return live.Fetch(ctx, live.Source{Gateway: gateway, Address: address}, live.Options{Token: secret.New(os.Getenv("GATEHOUSE_DRIFT_TOKEN")), Kubeconfig: os.Getenv("KUBECONFIG"), Environ: os.Getenv,
		Progress: func(n int64) {
			if time.Since(started) > time.Second {
				fmt.Fprintf(c.err, "%s: %d requests\n", gateway, n)
			}
		}})
}

// coded ends the program with the exit code of a review.
func coded(exit int, err error) error {
	if err != nil {
		return explained(err)
	}
	if exit != exitDone {
		return &exitError{exit, fmt.Errorf("")}
	}
	return nil
}

func someEnvironments(least int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return usage("name %d or more environments, each as NAME[@TIER][:GATEWAY]=FOLDER\nSee '%s --help'", least, cmd.CommandPath())
		}
		return nil
	}
}

func (c *cli) driftRead() *cobra.Command {
	return &cobra.Command{Use: "read ENV...", Short: "Say what was understood of each environment, and what was not",
		Long: `Says, for every operation, what its gateway was understood to enforce, and what was not understood and why. With -o json all of it, every
value with its state and its place.

Exit codes: 0 everything was resolved, 4 something was not.`, Args: someEnvironments(1),
		Example: "  gatehouse drift read staging@stage:kong=deploy/kong",
		RunE:    func(_ *cobra.Command, args []string) error { return coded(c.review(args, "").Read()) }}
}

func (c *cli) driftCompare() *cobra.Command {
	var format, baseline string
	var off []string
	cmd := &cobra.Command{Use: "compare ENV ENV...", Short: "Compare environments with each other, or with a baseline", Args: someEnvironments(1),
		Example: `  gatehouse drift compare prod@prod:azureapim=apim staging@stage:kong=kong
  gatehouse drift compare --baseline standard.yaml prod=apim --format sarif > drift.sarif`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 && baseline == "" {
				return usage("one environment is compared with a baseline: name it with --baseline, or name another environment")
			}
			r := c.review(args, format)
			r.Baseline, r.Off = baseline, off
			return coded(r.Compare())
		}}
	cmd.Flags().StringVar(&format, "format", "", strings.Join(review.Formats(), ", ")+"; default: as --output says")
	cmd.Flags().StringVar(&baseline, "baseline", "", "file with the ruleset and its waivers")
	cmd.Flags().StringSliceVar(&off, "off", nil, "id of a rule that is not asked; may be given several times")
	return cmd
}

func (c *cli) driftPlan() *cobra.Command {
	var format, base string
	var off []string
	var p review.Planning
	cmd := &cobra.Command{Use: "plan ENV ENV...", Short: "Write the changes that close findings, and prove them; with --apply make them", Args: someEnvironments(1),
		Long: `Plans, for each finding, the change in the gateway's own files that closes it: the smallest one, with every other byte as it was.
Each change is made on a copy that is read again; it is planned only when the finding is gone and nothing else has changed. What
cannot be changed is listed with the reason and with what makes up for it. Nothing is written unless --apply is given, and then only
when the files are still those that were read.

There is no SARIF of a plan: what it closes and what it leaves are findings, which drift compare --format sarif tells, with their places.

Exit codes: 0 nothing is left to do, 3 there is, 4 nothing is left in what was resolved, and not everything was.`,
		Example: `  gatehouse drift plan --like prod prod@prod:azureapim=apim staging@stage:kong=kong
  gatehouse drift plan --like prod prod=apim staging=kong --format diff | git apply
  gatehouse drift plan --baseline standard.yaml --apply --save plan.json staging=kong`,
		RunE: func(_ *cobra.Command, args []string) error {
			r := c.review(args, format)
			r.Baseline, r.Off = base, off
			return coded(r.Plan(p))
		}}
	cmd.Flags().StringVar(&format, "format", "", strings.Join(review.PlanFormats(), ", ")+"; default: as --output says")
	cmd.Flags().StringVar(&base, "baseline", "", "file with the ruleset and its waivers")
	cmd.Flags().StringSliceVar(&off, "off", nil, "id of a rule that is not asked; may be given several times")
	cmd.Flags().StringVar(&p.Like, "like", "", "environment that is the standard; default: whichever side of a finding is stricter")
	cmd.Flags().StringSliceVar(&p.Only, "only", nil, "id of a finding or a rule that is planned; may be given several times")
	cmd.Flags().IntVar(&p.Deletions, "delete", 0, "how many entries the plan may take out of files")
	cmd.Flags().BoolVar(&p.Apply, "apply", false, "write the changes into the folders")
	cmd.Flags().StringVar(&p.Save, "save", "", "file to keep the plan in, for drift undo")
	return cmd
}

func (c *cli) driftUndo() *cobra.Command {
	return &cobra.Command{Use: "undo PLAN", Short: "Take back what a saved plan has changed", Args: exactly("PLAN"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := review.Undo(args[0]); err != nil {
				return explained(err)
			}
			fmt.Fprintln(c.out, "Every file is as it was before the plan.")
			return nil
		}}
}

func (c *cli) driftBaseline() *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: "baseline ENV", Short: "Write what an environment enforces as a baseline, to be edited and kept",
		Long: `Writes what an environment enforces as a file, to be edited and kept as the standard that drift compare --baseline holds others against.
What could not be resolved is not part of it; its first line says how much was.`, Args: exactly("ENV"),
		RunE: func(_ *cobra.Command, args []string) error {
			if name == "" {
				return usage("give the baseline a name with --name")
			}
			return coded(c.review(args, "").Adopt(name))
		}}
	cmd.Flags().StringVar(&name, "name", "", "what the baseline is called")
	return cmd
}

func (c *cli) driftCerts() *cobra.Command {
	var addresses []string
	cmd := &cobra.Command{Use: "certs ENV...", Short: "List the certificates of environments, and what expires where",
		Long: `Lists the certificates that the configuration of environments names, in the order of their ends, and how each environment insists on TLS
and on client certificates. For each --address a TLS handshake is made, to see what is presented: nothing beyond the handshake is
sent.

There is no SARIF of the inventory: certificates that end, do not cover their host or are weaker are findings (DR-CRT-07, 08 and 11), which
drift compare --format sarif tells with their places.

Exit codes: 0 all is well, 3 a certificate has ended, ends within 30 days or would be refused, 4 the end of one is not known.`,
		Example: "  gatehouse drift certs prod:azureapim=apim --address prod=api.example.com:443",
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			return coded(c.review(args, "").Certificates(addresses, func(env, address string) handshake.Seen {
				return handshake.Look(ctx, env, address, handshake.Settings{Now: time.Now()})
			}))
		}}
	cmd.Flags().StringSliceVar(&addresses, "address", nil, "HOST:PORT or ENVIRONMENT=HOST:PORT to make a handshake with; may be given several times")
	return cmd
}

func (c *cli) driftAdopt() *cobra.Command {
	var dir string
	var documents []string
	cmd := &cobra.Command{Use: "adopt ENV", Short: "Write a manifest of Gatehouse that enforces what an environment enforces", Args: exactly("ENV"),
		Long: `Writes a manifest and its OpenAPI documents into a new folder, so that a gateway of ours enforces what the environment was read to
enforce, reads it again, and lists what is not carried over or carried otherwise, with every finding between the two. An operation whose
proof of identity cannot be written is left out; where else the manifest is weaker, the list says so first. Keys, clients and
certificates of callers are issued anew, and no secret is copied.

Gateways often answer to everything below a path, and a manifest names each operation: give the OpenAPI documents of what is
below with --openapi.

Exit codes: 0 everything is carried over, 3 something is not.`,
		Example: "  gatehouse drift adopt staging@stage:kong=deploy/kong --openapi orders.yaml --out manifest",
		RunE: func(_ *cobra.Command, args []string) error {
			if dir == "" {
				return usage("name the folder to write with --out")
			}
			return coded(c.review(args, "").Move(dir, documents))
		}}
	cmd.Flags().StringVar(&dir, "out", "", "new folder for the manifest")
	cmd.Flags().StringSliceVar(&documents, "openapi", nil, "OpenAPI document that names what is below families of paths; may be given several times")
	return cmd
}
