package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/app"
	"gatehouse/env"
	"gatehouse/manifest"
)

func (c *cli) check() *cobra.Command {
	return &cobra.Command{Use: "check DIR", Short: "Say everything that is wrong with a manifest, with file, line and pointer", Args: exactly("DIR"),
		Long: `Reads the manifest in a folder as a publish would, for each of its environments, and says everything that is wrong at
once. Needs no server, reads nothing outside the folder, changes nothing. Exit code 3 when there is an error; a warning
does not stop a publish.`,
		Example: "  gatehouse check examples/eid/manifest\n  gatehouse check . -o json | jq '.diagnostics[] | select(.warning | not)'",
		RunE: func(_ *cobra.Command, args []string) error {
			_, diagnostics := load(args[0])
			return c.diagnose(args[0], diagnostics)
		}}
}

// load reads and compiles a folder.
func load(dir string) (manifest.Bundle, []manifest.Diagnostic) {
	bundle, diagnostics := manifest.Load(dir)
	if manifest.Fatal(diagnostics) {
		return bundle, diagnostics
	}
	return bundle, append(diagnostics, app.Check(bundle)...)
}

// diagnose prints what is wrong, and ends with the exit code of having found something when there is an error.
func (c *cli) diagnose(dir string, diagnostics []manifest.Diagnostic) error {
	if diagnostics == nil {
		diagnostics = []manifest.Diagnostic{}
	}
	errors := 0
	for _, d := range diagnostics {
		if !d.Warning {
			errors++
		}
	}
	err := c.print(map[string]any{"ok": errors == 0, "diagnostics": diagnostics}, func(p *printer) {
		for _, d := range diagnostics {
			p.line("%s", clean(d.String()))
		}
		if errors == 0 {
			p.line("%s: no errors%s", dir, plural(len(diagnostics), ", %d warning", ", %d warnings"))
		} else {
			p.line("%s:%s%s", dir, plural(errors, " %d error", " %d errors"), plural(len(diagnostics)-errors, ", %d warning", ", %d warnings"))
		}
	})
	if err == nil && errors > 0 {
		return errFound
	}
	return err
}

func plural(n int, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(one, n)
	}
	return fmt.Sprintf(many, n)
}

func (c *cli) publish() *cobra.Command {
	var environment, note string
	cmd := &cobra.Command{Use: "publish DIR --env NAME", Short: "Make a manifest the newest revision of an environment", Args: exactly("DIR"),
		Long: `Publishes the manifest in a folder into one environment. It is checked first; with an error it is refused whole, and the
running revision goes on. A manifest that is already the newest revision makes no new one.`,
		Example: `  gatehouse publish examples/eid/manifest --env test --note "evidence up to 10 MB"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if environment == "" {
				return usage("say where with --env")
			}
			bundle, diagnostics := load(args[0])
			if manifest.Fatal(diagnostics) {
				_ = c.diagnose(args[0], diagnostics)
				return &exitError{exitFailed, fmt.Errorf("nothing was published: %s goes on as it is", environment)}
			}
			var out struct {
				Revision    env.Revision          `json:"revision"`
				Unchanged   bool                  `json:"unchanged"`
				Diagnostics []manifest.Diagnostic `json:"diagnostics,omitempty"`
			}
			in := map[string]any{"files": bundle, "note": note}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/environments/"+url.PathEscape(environment)+"/revisions", in, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				for _, d := range out.Diagnostics {
					p.line("%s", clean(d.String()))
				}
				if out.Unchanged {
					p.line("%s serves this manifest already, as revision %d", environment, out.Revision.Number)
					return
				}
				p.line("%s: revision %d published (%s)", environment, out.Revision.Number, out.Revision.Digest)
			})
		}}
	environmentFlag(cmd, &environment, "the environment")
	cmd.Flags().StringVar(&note, "note", "", "what changes and why")
	return cmd
}

func (c *cli) revisions() *cobra.Command {
	var environment string
	limit := 20
	cmd := &cobra.Command{Use: "revisions --env NAME", Short: "List what was published into an environment", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if environment == "" {
				return usage("say where with --env")
			}
			items, more, err := all[env.Revision](cmd.Context(), c, "/api/environments/"+url.PathEscape(environment)+"/revisions", url.Values{}, limit)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"items": items, "more": more}, func(p *printer) {
				rows, now := [][]string{}, time.Now()
				for _, r := range items {
					rows = append(rows, []string{fmt.Sprint(r.Number), when(r.At), span(r.At, now), string(r.By), r.Note, r.Digest})
				}
				p.table([]string{"REVISION", "AT", "", "BY", "NOTE", "DIGEST"}, rows)
			})
		}}
	environmentFlag(cmd, &environment, "the environment")
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many; 0 lists all")
	return cmd
}
