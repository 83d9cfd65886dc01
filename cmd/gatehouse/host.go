package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/app"
	"gatehouse/identity"
	"gatehouse/store/sqldb"
)

func personPairs(p identity.Person, _ time.Time) []string {
	roles := make([]string, 0, len(p.Roles))
	for _, r := range p.Roles {
		roles = append(roles, string(r))
	}
	return []string{"person", string(p.ID), "name", p.Name, "e-mail", p.Email, "roles", strings.Join(roles, " "), "state", string(p.State), "created", when(p.Created)}
}

func (c *cli) staff() *cobra.Command {
	const path = "/api/staff"
	var n struct {
		Email string   `json:"email"`
		Name  string   `json:"name"`
		Roles []string `json:"roles,omitempty"`
	}
	add := &cobra.Command{Use: "add EMAIL", Short: "Add a person of the platform; they are sent a sign-in link", Args: exactly("EMAIL"),
		Example: `  gatehouse staff add ada@platform.example --name "Ada Approver" --role approver`,
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Email = args[0]
			return ask(cmd.Context(), c, http.MethodPost, path, n, personPairs)
		}}
	add.Flags().StringVar(&n.Name, "name", "", "what they are called")
	add.Flags().StringSliceVar(&n.Roles, "role", nil, "admin, approver, operator or auditor; may be given several times")

	var name string
	recover := &cobra.Command{Use: "recover EMAIL", Short: "Let an administrator in, on the host itself", Args: exactly("EMAIL"),
		Long: `Makes sure that the address belongs to an active administrator, and prints a one-time sign-in link for them, valid for
15 minutes. Only for the owner of the data directory of a running Gatehouse: it is how the first administrator gets in, and
a last one who lost every other way. It stands in the audit. Whoever has lost their second factor as well needs
'gatehouse staff reset-second-factor' before.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := readAccess(filepath.Join(c.data, "host.json"))
			if err != nil {
				return fmt.Errorf("this needs the data directory of a running Gatehouse, and %s is not one (%w): name it with --data, or start it with 'gatehouse serve'", c.data, err)
			}
			var out struct {
				Link string `json:"link"`
			}
			if err := a.call(cmd.Context(), http.MethodPost, path+"/recovery", map[string]string{"email": args[0], "name": name}, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) { p.line("%s", out.Link) })
		}}
	recover.Flags().StringVar(&name, "name", "", "what they are called, if they are new")
	return group("staff", "The platform's people: list, add, recover", "", add, recover, c.resetFactors(), c.exportPerson(), c.erasePerson(),
		listing(c, "list", "List the platform's people", "", path, nil, []string{"PERSON", "NAME", "E-MAIL", "ROLES", "STATE"},
			func(p identity.Person, _ time.Time) []string {
				return []string{string(p.ID), p.Name, p.Email, words(p.Roles), string(p.State)}
			}))
}

func (c *cli) backup() *cobra.Command {
	return &cobra.Command{Use: "backup [NAME]", Short: "Write a verified copy of the database, while it is in use", Args: cobra.MaximumNArgs(1),
		Long: `Writes a consistent copy of the database into the backup folder of the data directory, while Gatehouse runs, and checks
it page by page. Keep the copy elsewhere, with the newest checkpoint ('gatehouse audit checkpoint'), which later proves that
the log in it was not rewritten. The keys in the data directory are not in it: keep them apart.`,
		Example: "  gatehouse backup\n  gatehouse backup before-upgrade.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]string{}
			if len(args) == 1 {
				in["file"] = args[0]
			}
			var out struct {
				File string `json:"file"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/backups", in, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) { p.line("%s", out.File) })
		}}
}

func (c *cli) restore() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "restore FILE", Short: "Put a backup in the place of the database; Gatehouse must not run", Args: exactly("FILE"),
		Long: `Puts a backup in the place of the database of the data directory. Gatehouse must not run. The backup is checked first.
A database that is there is replaced only when the backup holds all that it holds; else nothing is done, and you move it away
yourself. Everybody is signed out. The epoch of every environment is raised, so that gateways take the whole feed anew: but what
was revoked or ended after the backup was made is not in it. Revoke it again before you let partners in.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := sqldb.Inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			target := app.Database(c.data)
			_, err = os.Stat(target)
			if err == nil && !yes {
				return usage("%s exists: say --yes to put the backup (%d organizations, %d grants, %d audit entries) in its place", target, summary.Organizations, summary.Grants, summary.Audit)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err := sqldb.Restore(cmd.Context(), args[0], target, time.Now().UTC()); err != nil {
				return err
			}
			return c.print(map[string]any{"restored": target, "from": args[0], "summary": summary}, func(p *printer) {
				p.line("%s holds %d organizations, %d applications, %d credentials, %d grants and %d audit entries of the backup.", target,
					summary.Organizations, summary.Applications, summary.Credentials, summary.Grants, summary.Audit)
				p.line("What was revoked or ended after the backup was made must be revoked again: 'gatehouse audit list' on a newer copy tells what it was.")
			})
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "replace the database that is there, when the backup holds all of it")
	return cmd
}

func (c *cli) audit() *cobra.Command {
	return group("audit", "The audit log: list, verify, checkpoint, evidence",
		"Every change has an entry: who, when, why, before and after. The entries are the leaves of a Merkle log whose root is signed.",
		c.auditList(), c.auditVerify(), c.auditCheckpoint(), c.auditEvidence())
}

func (c *cli) auditCheckpoint() *cobra.Command {
	return &cobra.Command{Use: "checkpoint", Short: "Print the newest signed checkpoint, to be kept elsewhere", Args: noArgs,
		Long: `Prints the newest signed checkpoint: the size and the root of the log. Keep it where nobody who runs this Gatehouse can
change it. 'gatehouse audit verify --checkpoint FILE' later proves that the log still begins with exactly what it was.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct {
				Checkpoint string `json:"checkpoint"`
				Verifier   string `json:"verifier"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/audit/checkpoint", nil, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) { p.line("%s", strings.TrimRight(out.Checkpoint, "\n")) })
		}}
}

func (c *cli) auditVerify() *cobra.Command {
	var kept, db, key, evidence string
	cmd := &cobra.Command{Use: "verify", Short: "Prove that no entry was changed, removed, inserted or moved", Args: noArgs,
		Long: `Recomputes every leaf of the log and its tree, and compares them with the signed checkpoint; with --checkpoint also with an
older one that you kept. An entry that does not hold is named. Exit code 3 when anything does not hold.

With --database it reads a database file (a backup, or the one in the data directory) by itself and asks no server, so that it
needs to trust nobody who runs one; --key is then the verifier key, which 'gatehouse audit checkpoint -o json' prints.`,
		Example: `  gatehouse audit verify
  gatehouse audit verify --checkpoint kept-in-june.txt
  gatehouse audit verify --evidence grant.json --key 'gatehouse+1a2b3c4d+…'
  gatehouse audit verify --database gatehouse.db --key 'gatehouse+1a2b3c4d+…' --checkpoint kept-in-june.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if evidence != "" {
				return c.verifiedEvidence(evidence, key)
			}
			checkpoint := ""
			if kept != "" {
				b, err := os.ReadFile(kept)
				if err != nil {
					return err
				}
				checkpoint = string(b)
			}
			return c.verified(cmd, checkpoint, db, key)
		}}
	cmd.Flags().StringVar(&kept, "checkpoint", "", "file with an older checkpoint that you kept")
	cmd.Flags().StringVar(&db, "database", "", "verify this database file, without a server")
	cmd.Flags().StringVar(&key, "key", "", "verifier key for --database and --evidence; default for --database: that of the data directory")
	cmd.Flags().StringVar(&evidence, "evidence", "", "verify this exported evidence, without a server")
	return cmd
}

func (c *cli) auditList() *cobra.Command {
	return listing(c, "list", "List what happened, newest first", "  gatehouse audit list --object gr_…\n  gatehouse audit list --action credential.",
		"/api/audit", []string{"organization", "application", "object", "action"},
		[]string{"SEQ", "AT", "ACTION", "OBJECT", "ACTOR", "REASON"}, auditRow)
}
