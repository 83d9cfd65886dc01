package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fleet"
)

// gateways lists the fleet, and holds what is done with it.
func (c *cli) gateways() *cobra.Command {
	cmd := &cobra.Command{Use: "gateways", Short: "How every gateway stands: what it serves, how far it is behind, when it was heard of", Args: noArgs,
		Long: `Lists every gateway: those beside the control plane, and those elsewhere. A gateway that is silent, behind, or whose clock
differs is named with its trouble.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l list[control.FleetGateway]
			if err := c.call(cmd.Context(), http.MethodGet, "/api/gateways", nil, &l); err != nil {
				return err
			}
			return c.print(l, func(p *printer) { p.fleet(l.Items, time.Now()) })
		}}
	cmd.AddCommand(c.enrolGateway(), c.endGateway("revoke", "Revoke a gateway's identity: it serves nothing from the moment it hears of it", "revocation"),
		c.endGateway("drain", "Take a gateway out in good order: no change waits for it any more", "drain"), c.gatewayImage(), c.rotateAnchor(), c.raiseEpoch(), c.gatewayChanges(), c.gatewayRefusals(), c.addRegion(), c.removeRegion())
	return cmd
}

func (c *cli) gatewayChanges() *cobra.Command {
	return &cobra.Command{Use: "changes", Short: "The newest publishes and revocations, and where each is in force", Args: noArgs,
		Long: `Lists the newest publishes and revocations of each environment: on how many of its gateways each is in force, and how long after
its commit the last of those said so. 'gatehouse receipt SEQ' says it of any change.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l list[control.FleetChange]
			if err := c.call(cmd.Context(), http.MethodGet, "/api/gateway-changes", nil, &l); err != nil {
				return err
			}
			return c.print(l, func(p *printer) {
				rows := [][]string{}
				for _, f := range l.Items {
					what := f.Kind + " " + string(f.Object)
					if f.Publish {
						what = fmt.Sprint("revision ", f.Number)
					}
					rows = append(rows, []string{env.FeedOf(f.Environment, f.Region), fmt.Sprint(f.Seq), when(f.Committed), strings.TrimSpace(what), f.State,
						fmt.Sprintf("%d of %d", f.Done, f.Gateways), fmt.Sprintf("%.1f ms", f.LastMS), strings.Join(f.Waiting, ", ")})
				}
				p.table([]string{"ENVIRONMENT", "CHANGE", "COMMITTED", "WHAT", "SINCE", "IN FORCE ON", "LAST AFTER", "WAITING FOR"}, rows)
			})
		}}
}

func (c *cli) gatewayRefusals() *cobra.Command {
	return &cobra.Command{Use: "refused", Short: "What was turned away that called as a gateway or wanted to become one, and why", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l list[fleet.Refusal]
			if err := c.call(cmd.Context(), http.MethodGet, "/api/gateway-refusals", nil, &l); err != nil {
				return err
			}
			return c.print(l, func(p *printer) {
				rows := [][]string{}
				for _, r := range l.Items {
					rows = append(rows, []string{when(r.Last), fmt.Sprint(r.Times), r.Environment, r.Gateway, r.Address, r.Code, r.Text})
				}
				p.table([]string{"LAST", "TIMES", "ENVIRONMENT", "GATEWAY", "ADDRESS", "CODE", "WHY"}, rows)
			})
		}}
}

func (p *printer) fleet(gs []control.FleetGateway, now time.Time) {
	if len(gs) == 0 {
		p.line("no gateway was ever heard of")
		return
	}
	rows := [][]string{}
	for _, g := range gs {
		state := string(g.State)
		switch {
		case g.State != fleet.Active:
		case g.Silent:
			state = "silent"
		case g.Connected:
			state = "connected"
		}
		heard := ""
		if !g.Heard.IsZero() {
			heard = span(g.Heard, now)
		}
		skew := ""
		if !g.Local {
			skew = fmt.Sprintf("%.0f ms", g.SkewMS)
		}
		rows = append(rows, []string{g.Feed(), g.Name, string(g.ID), state, fmt.Sprint(g.Receipt.Revision), fmt.Sprint(g.Receipt.Position.Seq), fmt.Sprint(g.Behind),
			heard, skew, g.Build, strings.Join(g.Trouble, "; ")})
	}
	p.table([]string{"ENVIRONMENT", "GATEWAY", "ID", "STATE", "REVISION", "CHANGE", "BEHIND", "HEARD", "SKEW", "BUILD", "TROUBLE"}, rows)
}

func (c *cli) enrolGateway() *cobra.Command {
	var n struct {
		Environment string `json:"environment"`
		Region      string `json:"region,omitempty"`
		Name        string `json:"name"`
		Lifetime    string `json:"lifetime,omitempty"`
	}
	cmd := &cobra.Command{Use: "enrol NAME", Aliases: []string{"enroll"}, Short: "Make a token with which one gateway joins, once", Args: exactly("NAME"),
		Long: `Prints an enrolment token: with it, one gateway gets an identity, once and soon. It is shown once; only its hash is kept. It
carries the pin of the control plane's anchor, so that the gateway tells it to nobody else.`,
		Example: "  gatehouse gateways enrol fra-1 --env live --lifetime 30m",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.Environment == "" {
				return usage("say for which environment: --env")
			}
			n.Name = args[0]
			var out struct {
				fleet.Enrolment
				Token string `json:"token"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/gateway-enrolments", n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) { p.line("%s", out.Token) })
		}}
	environmentFlag(cmd, &n.Environment, "the environment that it serves")
	cmd.Flags().StringVar(&n.Region, "region", "", "the region that it is in, where the environment is served in some")
	cmd.Flags().StringVar(&n.Lifetime, "lifetime", "", "how long the token is good for, at most 24h (default 1h)")
	return cmd
}

func (c *cli) endGateway(use, short, path string) *cobra.Command {
	var in struct {
		Reason string `json:"reason"`
	}
	cmd := &cobra.Command{Use: use + " GATEWAY", Short: short, Args: exactly("GATEWAY"),
		Example: "  gatehouse gateways " + use + " gw_… --reason \"the host was stolen\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(in.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			var g fleet.Gateway
			if err := c.call(cmd.Context(), http.MethodPost, "/api/gateways/"+url.PathEscape(args[0])+"/"+path, in, &g); err != nil {
				return err
			}
			return c.print(g, func(p *printer) { p.line("%s of %s is %s", g.Name, g.Environment, g.State) })
		}}
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}

func (c *cli) gatewayImage() *cobra.Command {
	var environment, region, file string
	cmd := &cobra.Command{Use: "image", Short: "Write an image from which a gateway can begin while the control plane is away", Args: noArgs,
		Long: `Writes what the environment's gateways know, signed: keep it where a new gateway can get it during an outage
('gatehouse gateway --image FILE'). It holds no secret: keys are kept as hashes, and what the manifest names as secrets each
gateway has from its own configuration. Prints the public key that a gateway verifies it by (feed.key).`,
		Example: "  gatehouse gateways image --env live --file live.image",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if environment == "" || file == "" {
				return usage("say of which environment, and where it goes: --env and --file")
			}
			a, err := c.find()
			if err != nil {
				return err
			}
			key, n, err := a.download(cmd.Context(), "/api/environments/"+url.PathEscape(environment)+"/image?region="+url.QueryEscape(region), file)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"file": file, "bytes": n, "feed_key": key}, func(p *printer) { p.pairs("file", file, "bytes", fmt.Sprint(n), "feed.key", key) })
		}}
	environmentFlag(cmd, &environment, "whose image")
	cmd.Flags().StringVar(&region, "region", "", "of which region, where the environment is served in some")
	cmd.Flags().StringVar(&file, "file", "", "where it goes")
	return cmd
}

// imageTemp writes what comes to a file, whole or not at all.
func imageTemp(file string, from io.Reader) (int64, error) {
	t, err := os.CreateTemp(dirOf(file), ".image-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(t.Name())
	n, err := io.Copy(t, from)
	if err == nil {
		err = t.Sync()
	}
	if e := t.Close(); err == nil {
		err = e
	}
	if err != nil {
		return n, err
	}
	return n, os.Rename(t.Name(), file)
}

func (c *cli) rotateAnchor() *cobra.Command {
	return &cobra.Command{Use: "rotate-anchor", Short: "Begin with another authority for gateways' certificates, with an overlap", Args: noArgs,
		Long: `Makes another anchor. Gateways are told of it at once; after three days it signs, and when no certificate of the one before
counts any more, that one ends. No gateway has to be enrolled anew that has been connected within that time.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l list[fleet.Anchor]
			if err := c.call(cmd.Context(), http.MethodPost, "/api/gateway-anchors", struct{}{}, &l); err != nil {
				return err
			}
			return c.print(l, func(p *printer) {
				rows := [][]string{}
				for _, a := range l.Items {
					rows = append(rows, []string{fmt.Sprint(a.Number), when(a.Made), when(a.Signs), when(a.Ends)})
				}
				p.table([]string{"ANCHOR", "MADE", "SIGNS FROM", "ENDS"}, rows)
			})
		}}
}

func (c *cli) raiseEpoch() *cobra.Command {
	var environment string
	var in struct {
		Reason string `json:"reason"`
	}
	cmd := &cobra.Command{Use: "raise-epoch", Short: "After a database was put back by other means than 'gatehouse restore'", Args: noArgs,
		Long: `Gateways refuse a control plane whose history differs from what they have seen, so that a database from before a revocation
does not bring back what was revoked. Once the records are right again (revoke anew what was revoked since the copy was
made), this begins another epoch: every gateway of the environment then takes everything anew.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if environment == "" {
				return usage("say of which environment: --env")
			}
			if strings.TrimSpace(in.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			var e env.Environment
			if err := c.call(cmd.Context(), http.MethodPost, "/api/environments/"+url.PathEscape(environment)+"/epoch", in, &e); err != nil {
				return err
			}
			return c.print(e, func(p *printer) { p.line("%s is in epoch %d", e.Name, e.Epoch) })
		}}
	environmentFlag(cmd, &environment, "whose feed")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}

func (c *cli) addRegion() *cobra.Command {
	var environment string
	var in struct {
		Region string `json:"region"`
		Reason string `json:"reason"`
	}
	cmd := &cobra.Command{Use: "add-region REGION", Short: "Serve an environment in another region", Args: exactly("REGION"),
		Long: `Gateways can be enrolled in the region once this is done: their feed then tells everything that came before. Broken off, it goes on when
it is run again. Upgrade every process of the control plane first: an older one refuses the database from now on.`,
		Example: "  gatehouse gateways add-region eu --env live --reason \"contracts name the EU\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if environment == "" {
				return usage("say of which environment: --env")
			}
			if strings.TrimSpace(in.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			in.Region = args[0]
			var e env.Environment
			if err := c.call(cmd.Context(), http.MethodPost, "/api/environments/"+url.PathEscape(environment)+"/regions", in, &e); err != nil {
				return err
			}
			return c.print(e, func(p *printer) { p.line("%s is served in %s", e.Name, args[0]) })
		}}
	environmentFlag(cmd, &environment, "which one")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}

func (c *cli) removeRegion() *cobra.Command {
	var environment string
	var in struct {
		Reason string `json:"reason"`
	}
	cmd := &cobra.Command{Use: "remove-region REGION", Short: "Serve an environment in a region no more", Args: exactly("REGION"),
		Long:    `Its gateways must have been drained or revoked, and no organization may be pinned to it.`,
		Example: "  gatehouse gateways remove-region eu --env live --reason \"nobody is there any more\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if environment == "" {
				return usage("say of which environment: --env")
			}
			if strings.TrimSpace(in.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			var e env.Environment
			if err := c.call(cmd.Context(), http.MethodPost, "/api/environments/"+url.PathEscape(environment)+"/regions/"+url.PathEscape(args[0])+"/removal", in, &e); err != nil {
				return err
			}
			return c.print(e, func(p *printer) { p.line("%s is not served in %s any more", e.Name, args[0]) })
		}}
	environmentFlag(cmd, &environment, "which one")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}
