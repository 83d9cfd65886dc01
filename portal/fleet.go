package portal

import (
	"fmt"
	"net"
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/fleet"
	"gatehouse/id"
)

// fleetPage shows how every gateway stands, where the newest changes are in force, and what was turned away.
type fleetPage struct {
	frame
	Rows    []fleetRow
	Silent  []string // gateways of which nothing is heard
	Changes []fleetChangeRow
	Refused []fleet.Refusal
	More    int // refusals that are not shown
}

func (*fleetPage) template() string { return "fleet" }

// fleetRow is one gateway.
type fleetRow struct {
	control.FleetGateway
	Standing string // connected, away, silent, drained or revoked
	Skew     string
	Cert     string // "soon", "ended" or ""
	Host     string
	Ends     bool // it can be revoked or drained here
}

// fleetChangeRow is one change with its object in words.
type fleetChangeRow struct {
	control.FleetChange
	What  ref
	Force forceView
}

const (
	shownRefusals = 30
	certSoon      = 24 * time.Hour // a gateway renews its certificate two days before its end
)

func (v *visit) fleetRow(g control.FleetGateway) fleetRow {
	r := fleetRow{FleetGateway: g, Standing: "away", Host: g.Address, Ends: !g.Local && g.State != fleet.Revoked}
	if host, _, err := net.SplitHostPort(g.Address); err == nil {
		r.Host = host
	}
	switch {
	case g.State != fleet.Active:
		r.Standing = string(g.State)
	case g.Silent:
		r.Standing = "silent"
	case g.Connected:
		r.Standing = "connected"
	}
	if !g.Local && !g.Heard.IsZero() {
		r.Skew = fmt.Sprintf("%+.0f ms", g.SkewMS)
		if d := time.Duration(g.SkewMS * float64(time.Millisecond)); d.Abs() >= 10*time.Second {
			r.Skew = fmt.Sprintf("%+.0f s", d.Seconds())
		}
	}
	if !g.Local && g.State == fleet.Active {
		switch left := g.Expires.Sub(v.now); {
		case left <= 0:
			r.Cert = "ended"
		case left < certSoon:
			r.Cert = "soon"
		}
	}
	return r
}

// kindsOfChange are where an object of the feed is shown, and what it is called.
var kindsOfChange = map[string]ref{"credential": {"credential", "/credentials/"}, "grant": {"grant", "/grants/"}, "application": {"application", "/applications/"}, "organization": {"organization", "/organizations/"}}

func (v *visit) fleetChangeRow(c control.FleetChange) fleetChangeRow {
	r := fleetChangeRow{FleetChange: c, What: ref{Name: "access token"}, Force: viewForce(c.InForce)}
	if k, ok := kindsOfChange[c.Kind]; ok {
		r.What = ref{k.Name + " " + short(c.Object), k.Href + string(c.Object)}
	}
	if c.Publish {
		r.What = ref{fmt.Sprintf("revision %d", c.Number), fmt.Sprintf("/environments/%s/revisions/%d", c.Environment, c.Number)}
	}
	return r
}

func showFleet(v *visit) error {
	ctx := v.r.Context()
	gs, err := v.Control.Fleet(ctx, v.actor)
	if err != nil {
		return err
	}
	changes, err := v.Control.FleetChanges(ctx, v.actor)
	if err != nil {
		return err
	}
	refused, err := v.Control.FleetRefusals(ctx, v.actor)
	if err != nil {
		return err
	}
	p := &fleetPage{Rows: rows(gs, v.fleetRow), Changes: rows(changes, v.fleetChangeRow)}
	p.Refused, p.More = refused, max(len(refused)-shownRefusals, 0)
	p.Refused = p.Refused[:len(refused)-p.More]
	for _, r := range p.Rows {
		if r.Standing == "silent" {
			p.Silent = append(p.Silent, r.Name+" of "+r.Feed())
		}
	}
	p.Title, p.Lead = "Gateways", "What each gateway serves, when it was heard of, and where the newest changes are in force."
	return v.ok(p)
}

func (v *visit) enrolmentForm() (form, error) {
	envs, err := v.Control.Environments(v.r.Context(), v.actor)
	if err != nil {
		return form{}, err
	}
	f := newForm("/gateways/enrol",
		field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 63, Mono: true, Hint: "Lower case letters, digits, dots and hyphens, such as fra-1. An active gateway of that name in the environment is revoked once the token is used"},
		field{Name: "environment", Label: "Environment", Kind: selectField, Required: true, Options: rows(envs, func(e control.EnvironmentStatus) option { return environmentOption(e.Environment) })},
		field{Name: "lifetime", Label: "Token valid for", Kind: selectField, Required: true, Options: []option{
			{Value: "15m", Label: "15 minutes"}, {Value: "1h", Label: "1 hour"}, {Value: "24h", Label: "1 day"}}})
	regions, err := v.regions()
	if len(regions) > 0 {
		options := []option{{Value: "", Label: "No region"}}
		for _, r := range regions {
			options = append(options, option{Value: r, Label: r})
		}
		f.Fields = slices.Insert(f.Fields, 2, field{Name: "region", Label: "Region", Kind: selectField, Options: options, Hint: "Needed where the environment is served in regions"})
	}
	f.set("lifetime", "1h")
	return f, err
}

// regions are all in which an environment is served.
func (v *visit) regions() ([]string, error) {
	envs, err := v.Control.Environments(v.r.Context(), v.actor)
	var out []string
	for _, e := range envs {
		for _, r := range e.Regions {
			if r.Ready && !slices.Contains(out, r.Name) {
				out = append(out, r.Name)
			}
		}
	}
	slices.Sort(out)
	return out, err
}

func environmentOption(e env.Environment) option { return option{Value: e.Name, Label: e.Name} }

func (v *visit) enrolmentPage(f form) error {
	p := &formPage{Form: f, Button: "Make the token", Back: "/gateways"}
	p.Title, p.Lead = "Enrol a gateway", "You get a token with which one gateway joins, once. It is shown right after this."
	p.Trail = []crumb{{"Gateways", "/gateways"}}
	return v.show(statusOfForm(f), p)
}

func askEnrolment(v *visit) error {
	f, err := v.enrolmentForm()
	if err != nil {
		return err
	}
	return v.enrolmentPage(f)
}

// enrolmentDonePage shows an enrolment token, once.
type enrolmentDonePage struct {
	frame
	Enrolment fleet.Enrolment
	Secret    string
	Command   string
}

func (*enrolmentDonePage) template() string { return "newgateway" }

func enrolGateway(v *visit) error {
	f, err := v.enrolmentForm()
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.enrolmentPage(f)
	}
	lifetime, err := time.ParseDuration(f.value("lifetime"))
	if err != nil {
		return fault.Bad("/lifetime", "must be one of those offered")
	}
	e, err := v.Control.EnrolGateway(v.r.Context(), v.actor, f.value("environment"), f.value("region"), f.value("name"), lifetime)
	if err != nil {
		if f.refuse(err) {
			return v.enrolmentPage(f)
		}
		return err
	}
	p := &enrolmentDonePage{Enrolment: e.Enrolment, Secret: e.Token.Reveal()} // the one place where it is shown
	p.Command = "GATEHOUSE_FEED_TOKEN=… gatehouse gateway --control HOST:8002 --data /var/lib/gatehouse"
	p.Title, p.Lead = "Your enrolment token", "Copy it now: it is shown this once. We keep only a hash of it."
	p.Trail = []crumb{{"Gateways", "/gateways"}}
	return v.ok(p)
}

// gatewayDeed revokes or drains a gateway.
func (v *visit) gatewayDeed(verb string) (deed, error) {
	i, err := v.object(id.Gateway)
	if err != nil {
		return deed{}, err
	}
	all, err := v.Control.Fleet(v.r.Context(), v.actor)
	if err != nil {
		return deed{}, err
	}
	at := slices.IndexFunc(all, func(g control.FleetGateway) bool { return g.ID == i })
	if at < 0 {
		return deed{}, fault.New(fault.NotFound, "there is no such gateway")
	}
	g := all[at].Gateway
	d := deed{version: g.Version, back: "/gateways", trail: []crumb{{"Gateways", "/gateways"}},
		facts: []fact{{"Gateway", g.Name}, {"Environment", env.FeedOf(g.Environment, g.Region)}, {"State", string(g.State)}, {"Enrolled", g.Created.UTC().Format("2 January 2006, 15:04 UTC")}}}
	end := fleet.Drained
	switch verb {
	case "revoke":
		end = fleet.Revoked
		d.title, d.button, d.danger, d.notice = "Revoke the gateway "+g.Name, "Revoke the gateway for good", true, "gateway-revoked"
		d.text = "It serves nothing from the moment it hears of it, and does not start again. One that cannot be reached stops when its offline bound has run out."
	case "drain":
		d.title, d.button, d.notice = "Drain the gateway "+g.Name, "Drain the gateway", "gateway-drained"
		d.text = "No change waits for it any more. It goes on serving until it is stopped: take it out of the balancer first."
	default:
		return d, fault.New(fault.NotFound, "there is no such page")
	}
	d.do = func(version int64, reason string) error {
		_, err := v.Control.EndGateway(v.r.Context(), v.actor, i, end, reason, version)
		return err
	}
	return d, nil
}
