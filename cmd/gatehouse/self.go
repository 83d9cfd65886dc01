package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/identity"
)

// machineToken is a fresh machine token as the admin API gives it, once.
type machineToken struct {
	Token   string                `json:"token"`
	Machine identity.MachineToken `json:"machine_token"`
}

func (c *cli) login() *cobra.Command {
	return &cobra.Command{Use: "login --server URL", Short: "Sign in through the browser", Args: noArgs,
		Long: `Signs this command line in: it prints a code and an address; open the address in a browser where you are signed in,
compare the code, and allow it. The token that results is kept in a file that only you can read, until 'gatehouse logout'.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := access{URL: first(c.server, c.environ("GATEHOUSE_URL"))}
			if a.URL == "" {
				found, err := c.find()
				if err != nil {
					return usage("say where with --server URL")
				}
				a.URL = found.URL
			}
			host, err := os.Hostname()
			if err != nil {
				host = "an unnamed host"
			}
			var start struct {
				DeviceCode string    `json:"device_code"`
				UserCode   string    `json:"user_code"`
				URL        string    `json:"url"`
				Expires    time.Time `json:"expires"`
				Interval   float64   `json:"interval"`
			}
			if err := a.call(cmd.Context(), http.MethodPost, "/api/devices", map[string]string{"client": "gatehouse on " + host}, &start); err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Open  %s\nand compare the code:  %s\n\nWaiting until %s …\n", start.URL, start.UserCode, when(start.Expires))
			token, err := poll(cmd.Context(), a, start.DeviceCode, time.Duration(start.Interval*float64(time.Second)))
			if err != nil {
				return err
			}
			file, err := c.keep(access{URL: a.URL, Token: token.Token})
			if err != nil {
				return err
			}
			return c.print(map[string]any{"server": a.URL, "machine_token": token.Machine, "file": file}, func(p *printer) {
				p.line("Signed in at %s until %s.", a.URL, when(token.Machine.Expires))
			})
		}}
}

// poll asks until the person has decided.
func poll(ctx context.Context, a access, code string, interval time.Duration) (machineToken, error) {
	for {
		var t machineToken
		err := a.call(ctx, http.MethodPost, "/api/devices/token", map[string]string{"device_code": code}, &t)
		var p *problem
		if err == nil || !errors.As(err, &p) {
			return t, err
		}
		switch p.code() {
		case "authorization-pending":
		case "slow-down":
			interval += time.Second
		default:
			return t, err
		}
		wait := time.NewTimer(max(interval, 200*time.Millisecond))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return t, ctx.Err()
		}
	}
}

// keep writes the sign-in for its owner only, whole or not at all.
func (c *cli) keep(a access) (string, error) {
	file, err := c.loginFile()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	b, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	t, err := os.CreateTemp(filepath.Dir(file), ".login-*") // made with 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(b)
	if err := errors.Join(err, t.Close()); err != nil {
		return "", err
	}
	return file, os.Rename(t.Name(), file)
}

func (c *cli) logout() *cobra.Command {
	return &cobra.Command{Use: "logout", Short: "Forget the sign-in of this command line and revoke its token", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := c.loginFile()
			if err != nil {
				return err
			}
			a, err := readAccess(file)
			if errors.Is(err, fs.ErrNotExist) {
				return errors.New("this command line is not signed in")
			}
			if err != nil {
				return err
			}
			revoked := true
			if err := a.call(cmd.Context(), http.MethodDelete, "/api/sessions/current", nil, nil); err != nil {
				revoked = false
				fmt.Fprintf(c.err, "The token could not be revoked at %s (%v). Revoke it in the portal, under Machine tokens.\n", a.URL, err)
			}
			if err := os.Remove(file); err != nil {
				return err
			}
			return c.print(map[string]any{"server": a.URL, "revoked": revoked}, func(p *printer) { p.line("Signed out of %s.", a.URL) })
		}}
}

func machinePairs(m identity.MachineToken, now time.Time) []string {
	roles := words(m.Roles)
	return []string{"machine token", string(m.ID), "name", m.Name, "of", string(m.Person), "roles", roles, "created", when(m.Created),
		"expires", when(m.Expires) + " (" + span(m.Expires, now) + ")", "revoked", when(m.Revoked)}
}

func (c *cli) tokens() *cobra.Command {
	const path = "/api/machine-tokens"
	var n struct {
		Name    string    `json:"name"`
		Roles   []string  `json:"roles"`
		Expires time.Time `json:"expires"`
	}
	days := 90
	create := &cobra.Command{Use: "create", Short: "Create a machine token; it is printed once and never again", Args: noArgs,
		Example: `  gatehouse token create --name "deploy pipeline" --role operator --days 30`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 || days > 366 {
				return usage("--days is from 1 to 366")
			}
			n.Expires = time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC()
			var out machineToken
			if err := c.call(cmd.Context(), http.MethodPost, path, n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(machinePairs(out.Machine, time.Now())...)
				p.line("\n  %s\n\nThis is the token. Keep it now: it cannot be shown again. Commands take it from GATEHOUSE_TOKEN.", out.Token)
			})
		}}
	create.Flags().StringVar(&n.Name, "name", "", "to know it again")
	create.Flags().StringSliceVar(&n.Roles, "role", nil, "one of your own roles; may be given several times")
	create.Flags().IntVar(&days, "days", days, "how long it lives")
	revoke := &cobra.Command{Use: "revoke ID", Short: "End a machine token", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
		return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/revoke", map[string]string{}, machinePairs)
	}}
	return group("token", "Machine tokens: what programs call the admin API with", "", create, revoke,
		listing(c, "list", "List machine tokens", "", path, nil, []string{"TOKEN", "NAME", "OF", "ROLES", "EXPIRES", "REVOKED"},
			func(m identity.MachineToken, _ time.Time) []string {
				return []string{string(m.ID), m.Name, string(m.Person), fmt.Sprint(m.Roles), when(m.Expires), when(m.Revoked)}
			}))
}
