package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/app"
	"gatehouse/config"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

const moveText = `
Every table is read back afterwards on both sides: the same number of rows and the same digest, or nothing was moved and the
exit code is 1. Gatehouse must not run meanwhile: what it wrote would be left behind. The keys in the data directory are not
in the database: the process that serves from the new one needs the same folder.`

// settings is the start-up configuration of a command that opens the database itself.
func (c *cli) settings(cmd *cobra.Command, file string) (config.Config, error) {
	conf, err := config.Load(first(file, c.environ("GATEHOUSE_CONFIG")), overrides(cmd, map[string]string{"data": c.data}))
	return conf, explained(err)
}

func (c *cli) export() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "export FILE", Short: "Move all records out of the database into a file (SQLite)", Args: exactly("FILE"),
		Long: `Copies the database that the configuration names (PostgreSQL, or the file in the data directory) into a fresh SQLite file,
which 'gatehouse import' takes, 'gatehouse audit verify --database' proves, and which can stand in a data directory as
gatehouse.db.` + moveText,
		Example: `  GATEHOUSE_DATABASE=postgres://… gatehouse export all.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := c.settings(cmd, file)
			if err != nil {
				return err
			}
			if _, err := os.Lstat(args[0]); err == nil {
				return usage("%s is there already: name another file", args[0])
			}
			return c.move(cmd.Context(), func(ctx context.Context) (store.Store, error) {
				return app.OpenStore(ctx, conf, slog.New(slog.DiscardHandler))
			},
				func(ctx context.Context) (store.Store, error) { return sqldb.OpenSQLite(ctx, args[0], sqldb.Options{}) }, args[0])
		}}
	cmd.Flags().StringVar(&file, "config", "", "start-up configuration, a YAML file")
	return cmd
}

func (c *cli) importer() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "import FILE", Short: "Move all records of a file (SQLite) into an empty database", Args: exactly("FILE"),
		Long: `Copies a SQLite file (of 'gatehouse export', or the gatehouse.db of a data directory) into the database that the configuration
names, which must be empty. That is how an installation moves from SQLite to PostgreSQL, and back. A backup is put in place
with 'gatehouse restore' instead, which raises the epoch.` + moveText,
		Example: `  GATEHOUSE_DATABASE=postgres://… gatehouse import data/gatehouse.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := c.settings(cmd, file)
			if err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); errors.Is(err, fs.ErrNotExist) {
				return usage("%s is not there", args[0])
			}
			return c.move(cmd.Context(), func(ctx context.Context) (store.Store, error) { return sqldb.OpenSQLite(ctx, args[0], sqldb.Options{}) },
				func(ctx context.Context) (store.Store, error) {
					return app.OpenStore(ctx, conf, slog.New(slog.DiscardHandler))
				}, "the database")
		}}
	cmd.Flags().StringVar(&file, "config", "", "start-up configuration, a YAML file")
	return cmd
}

// move opens both databases and copies one into the other.
func (c *cli) move(ctx context.Context, from, into func(context.Context) (store.Store, error), where string) (err error) {
	a, err := from(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := into(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	m, err := sqldb.Move(ctx, a, b)
	if err != nil {
		return err
	}
	return c.print(m, func(p *printer) {
		rows := int64(0)
		for _, t := range m.Tables {
			rows += t.Rows
			p.line("%10d  %-20s %.16s", t.Rows, t.Name, t.Digest)
		}
		p.line("%d rows of %d tables are in %s, read back and the same.", rows, len(m.Tables), where)
	})
}
