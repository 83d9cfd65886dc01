package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/application"
	"gatehouse/env"
	"gatehouse/identity"
	"gatehouse/snapshot"
)

func (c *cli) reach() *cobra.Command {
	var environment string
	cmd := &cobra.Command{Use: "reach APPLICATION", Short: "What an application can call right now, and by which grant", Args: exactly("APPLICATION"),
		Long: `What an application can call right now: computed from the view that the gateways enforce, by the look-ups that a
request goes through. It is not read from what was once approved.`,
		Example: "  gatehouse reach app_… --env live",
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			var r struct {
				Application application.Application `json:"application"`
				At          time.Time               `json:"at"`
				Seq         map[string]int64        `json:"seq"`
				Operations  []snapshot.Reachable    `json:"operations"`
			}
			path := "/api/applications/" + url.PathEscape(args[0]) + "/reach?environment=" + url.QueryEscape(environment)
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &raw); err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &r); err != nil {
				return fmt.Errorf("the answer is not what this version understands: %w", err)
			}
			return c.print(raw, func(p *printer) {
				p.line("%s (%s) at %s", clean(r.Application.Name), r.Application.ID, when(r.At))
				if len(r.Operations) == 0 {
					p.line("can reach nothing")
					return
				}
				rows := make([][]string, 0, len(r.Operations))
				for _, o := range r.Operations {
					by, until, keys := string(o.Grant), when(o.Until), fmt.Sprint(len(o.Credentials))
					switch {
					case o.Grant == "":
						by, keys = "open to anybody", "needs none"
					case len(o.Credentials) == 0:
						keys = "none: not callable"
					}
					if o.Closed != "" {
						until = "closed: " + o.Closed
					}
					rows = append(rows, []string{o.Environment, o.Method, o.Path, by, strings.Join(o.Scopes, " "), keys, until})
				}
				p.table([]string{"ENVIRONMENT", "METHOD", "PATH", "BY", "SCOPES", "KEYS", "UNTIL"}, rows)
			})
		}}
	environmentFlag(cmd, &environment, "only there")
	return cmd
}

// inForce says where one change is in force.
type inForce struct {
	Environment string    `json:"environment"`
	Region      string    `json:"region,omitempty"`
	Seq         int64     `json:"seq"`
	Committed   time.Time `json:"committed"`
	Gateways    int       `json:"gateways"`
	Done        int       `json:"done"`
	LastMS      float64   `json:"last_ms"`
	Waiting     []string  `json:"waiting,omitempty"`
}

func (f inForce) String() string {
	f.Environment = env.FeedOf(f.Environment, f.Region)
	switch {
	case f.Seq == 0:
		return f.Environment + ": committed, not yet numbered"
	case f.Gateways == 0:
		return fmt.Sprintf("%s: change %d; no gateway serves there", f.Environment, f.Seq)
	}
	s := fmt.Sprintf("%s: change %d in force on %d of %d gateways", f.Environment, f.Seq, f.Done, f.Gateways)
	if f.Done > 0 {
		s += fmt.Sprintf(", the last after %.1f ms", f.LastMS)
	}
	if len(f.Waiting) > 0 {
		s += "; waiting for " + strings.Join(f.Waiting, ", ")
	}
	return s
}

func (c *cli) whereInForce(ctx context.Context, object string) ([]inForce, error) {
	var l list[inForce]
	err := c.call(ctx, http.MethodGet, "/api/in-force/"+url.PathEscape(object), nil, &l)
	return l.Items, err
}

// watch prints where the newest change of the object is in force, once every gateway said so or after ten seconds.
func (c *cli) watch(ctx context.Context, object string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		where, err := c.whereInForce(context.WithoutCancel(ctx), object)
		if err != nil {
			return err
		}
		done := !slices.ContainsFunc(where, func(f inForce) bool { return f.Seq == 0 || f.Done < f.Gateways })
		if done || ctx.Err() != nil {
			for _, f := range where {
				fmt.Fprintln(c.out, f)
			}
			if !done {
				return fmt.Errorf("not every gateway has it in force yet: look again with 'gatehouse receipt %s'", object)
			}
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (c *cli) receipt() *cobra.Command {
	var environment, region string
	cmd := &cobra.Command{Use: "receipt ID|SEQ", Short: "Where a change is in force, and since when", Args: exactly("ID or SEQ"),
		Long: `For the newest change of a credential, grant, application or organization, or for the change with a number in an
environment's feed: on how many gateways it is in force, how long after its commit the last of them said so, and which have
not said it yet.`,
		Example: "  gatehouse receipt crd_…\n  gatehouse receipt 4711 --env live",
		RunE: func(cmd *cobra.Command, args []string) error {
			where, err := []inForce(nil), error(nil)
			if seq, e := strconv.ParseInt(args[0], 10, 64); e == nil {
				if environment == "" {
					return usage("a change has its number in an environment: say --env")
				}
				where = make([]inForce, 1)
				err = c.call(cmd.Context(), http.MethodGet, fmt.Sprintf("/api/environments/%s/changes/%d?region=%s", url.PathEscape(environment), seq, url.QueryEscape(region)), nil, &where[0])
			} else {
				where, err = c.whereInForce(cmd.Context(), args[0])
			}
			if err != nil {
				return err
			}
			return c.print(list[inForce]{Items: where}, func(p *printer) {
				for _, f := range where {
					p.line("%s", f)
				}
			})
		}}
	environmentFlag(cmd, &environment, "whose change the number is of")
	cmd.Flags().StringVar(&region, "region", "", "in whose feed it is that, where the environment is served in regions")
	return cmd
}

func (c *cli) whoami() *cobra.Command {
	return &cobra.Command{Use: "whoami", Short: "As whom, and where, commands are run", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.find()
			if err != nil {
				return err
			}
			var me struct {
				Class        string          `json:"class"`
				ID           string          `json:"id,omitempty"`
				Name         string          `json:"name,omitempty"`
				Email        string          `json:"email,omitempty"`
				Organization string          `json:"organization,omitempty"`
				Roles        []identity.Role `json:"roles"`
			}
			if err := a.call(cmd.Context(), http.MethodGet, "/api/me", nil, &me); err != nil {
				return err
			}
			return c.print(me, func(p *printer) {
				roles := make([]string, 0, len(me.Roles))
				for _, r := range me.Roles {
					roles = append(roles, string(r))
				}
				p.pairs("at", a.URL, "as", me.Class, "id", me.ID, "name", me.Name, "e-mail", me.Email, "organization", me.Organization, "roles", strings.Join(roles, " "))
			})
		}}
}
