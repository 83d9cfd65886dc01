// Command gatehouse is the whole program: gateway, portal and control plane in one process, and the command line that
// works with them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1 // it did not succeed; the message says why and what to do
	exitUsage  = 2 // it was called wrongly
	exitFound  = 3 // a command that looks for something found it: errors in a manifest, tampering in a log
)

// exitError ends the program with a code. Its message, if it has one, is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage is the error of a command that was called wrongly.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// errFound ends a command that has printed what it found.
var errFound = &exitError{exitFound, errors.New("")}

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	c := &cli{out: os.Stdout, err: os.Stderr, in: os.Stdin, environ: os.Getenv}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(c.err, "gatehouse:", text)
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "API gateway, developer portal and control plane, with the grant as the unit of truth",
		Long: `Gatehouse opens a platform's APIs to partners, and can say at any moment who was approved, what they can
reach, and when that ends.

  gatehouse serve --dev --example --manifest examples/eid/manifest   start everything on this machine
  gatehouse check DIR                                                what is wrong with a manifest, with file and line
  gatehouse publish DIR --env live                                   make it a revision
  gatehouse request list --state open                                what waits for a decision
  gatehouse reach APPLICATION                                        what it can call right now
  gatehouse credential revoke CREDENTIAL --reason "found in a log"   and watch it come into force
  gatehouse audit verify                                             prove that nothing was changed afterwards

Commands that ask a running Gatehouse find it by --server, GATEHOUSE_URL, the last 'gatehouse login', or the data directory
of this host, whose owner needs no sign-in.

Exit codes: 0 done, 1 failed, 2 used wrongly, 3 found something (errors in a manifest, tampering in a log).`,
		SilenceUsage: true, SilenceErrors: true,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v\nSee '%s --help'", err, cmd.CommandPath())
	})
	p := root.PersistentFlags()
	p.StringVar(&c.server, "server", "", "address of the portal and admin API, such as https://gatehouse.example")
	p.StringVar(&c.token, "token", "", "machine token; better in GATEHOUSE_TOKEN, where other processes do not see it")
	p.StringVar(&c.data, "data", "data", "data directory, on the host itself")
	p.StringVarP(&c.format, "output", "o", "text", "text or json")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if c.format != "text" && c.format != "json" {
			return usage("--output is text or json, not %q", c.format)
		}
		return nil
	}
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run"}, &cobra.Group{ID: "declare", Title: "Declare"},
		&cobra.Group{ID: "access", Title: "Decide who may what"}, &cobra.Group{ID: "prove", Title: "Look and prove"},
		&cobra.Group{ID: "self", Title: "Yourself"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("run", c.serve(), c.control(), c.gateway(), c.backup(), c.restore(), c.export(), c.importer(), c.staff())
	add("declare", c.check(), c.publish(), c.revisions())
	add("access", c.organizations(), c.members(), c.invitations(), c.webhooks(), c.applications(), c.requests(), c.absences(), c.grants(), c.reviews(), c.credentials(), c.initialTokens(), c.issuer(), c.trustedIssuers())
	add("prove", c.reach(), c.inventory(), c.calls(), c.quotas(), c.receipt(), c.gateways(), c.audit(), c.drift())
	add("self", c.login(), c.logout(), c.tokens(), c.whoami(), c.versionCommand())
	return root
}

// environmentFlag is --env, which every command that has it takes as --environment too.
func environmentFlag(cmd *cobra.Command, value *string, help string) {
	cmd.Flags().StringVar(value, "env", "", help)
	cmd.Flags().StringVar(value, "environment", "", help)
	_ = cmd.Flags().MarkHidden("environment") // it was defined in the line above
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version of this build", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": version}, func(p *printer) { p.line("gatehouse %s", version) })
		}}
}

// noArgs and exactly are cobra's checks with our words and exit code.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		if cmd.HasSubCommands() {
			return usage("%s has no command %q%s\nSee '%s --help'", cmd.CommandPath(), args[0], near(cmd, args[0]), cmd.CommandPath())
		}
		return usage("%s takes no arguments, and %q was given", cmd.CommandPath(), strings.Join(args, " "))
	}
	return nil
}

func near(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(word); len(s) > 0 {
		return ": did you mean " + strings.Join(s, " or ") + "?"
	}
	return ""
}

func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage("say %s: %s\nSee '%s --help'", strings.Join(names, " and "), cmd.UseLine(), cmd.CommandPath())
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short, long string, cmds ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	g.AddCommand(cmds...)
	return g
}
