package review

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/handshake"
	"gatehouse/drift/report"
	"gatehouse/fault"
)

// Look makes a handshake with an address that the operator names.
type Look func(environment, address string) handshake.Seen

// inventory is what is known of certificates: one timeline, how each environment insists on TLS, and what addresses present.
type inventory struct {
	Timeline     []dated          `json:"timeline"`
	Environments []face           `json:"environments"`
	Addresses    []handshake.Seen `json:"addresses"`
	Coverage     drift.Coverage   `json:"coverage"`
}

// dated is one certificate on the timeline.
type dated struct {
	Environment string `json:"environment"`
	Days        *int   `json:"days_left,omitempty"`
	drift.Certificate
}

// face is how an environment insists on TLS: each value once, over all operations.
type face struct {
	Environment string   `json:"environment"`
	Hosts       []string `json:"hosts"`
	Min         []string `json:"tls_min"`
	ClientAuth  []string `json:"client_auth"`
	Anchors     []string `json:"trust_anchors"`
}

// soon is how many days before its end a certificate is something found.
const soon = 30

// Certificates writes the inventory of all environments, and of the addresses that are asked for, in the order of their ends. The exit
// code is 3 when one has ended, ends within 30 days or would be refused, 4 when the end of one is not known.
func (c Command) Certificates(addresses []string, look Look) (exit int, err error) {
	if len(c.Sources)+len(addresses) == 0 {
		return 0, fault.Bad("", "name an environment, or an address with --address")
	}
	var envs []*drift.Environment
	if len(c.Sources) > 0 {
		if _, envs, err = c.sources(); err != nil {
			return 0, err
		}
	}
	inv := inventoryOf(envs)
	for i, a := range addresses {
		env, address, err := handshake.Address(a)
		if err != nil {
			return 0, err
		}
		if c.Progress != nil && i > 0 {
			fmt.Fprintf(c.Progress, "asking %d of %d: %s\n", i+1, len(addresses), report.Plain(address))
		}
		s := look(env, address)
		inv.Addresses = append(inv.Addresses, s)
		if s.Certificate != nil {
			name := env
			if name == "" {
				name = address
			}
			for _, x := range append([]drift.Certificate{*s.Certificate}, s.Chain...) {
				inv.Timeline = append(inv.Timeline, dated{Environment: name, Certificate: x})
			}
		}
		if !s.Trusted {
			exit = 3
		}
	}
	return c.dated(inv, exit)
}

// Inventory writes what is known of the certificates of environments that have been read, as Certificates does.
func (c Command) Inventory(envs []*drift.Environment) (exit int, err error) {
	return c.dated(inventoryOf(envs), 0)
}

func inventoryOf(envs []*drift.Environment) inventory {
	inv := inventory{Timeline: []dated{}, Environments: []face{}, Addresses: []handshake.Seen{}, Coverage: drift.CoverAll(envs)}
	for _, e := range envs {
		for _, x := range e.Certificates {
			inv.Timeline = append(inv.Timeline, dated{Environment: e.Name, Certificate: x})
		}
		inv.Environments = append(inv.Environments, faceOf(e))
	}
	return inv
}

// dated puts an inventory into the order of its ends and writes it. exit is what is known before.
func (c Command) dated(inv inventory, exit int) (int, error) {
	slices.SortStableFunc(inv.Timeline, func(a, b dated) int {
		if a.Ends.Known() != b.Ends.Known() {
			if a.Ends.Known() {
				return -1
			}
			return 1
		}
		return a.Ends.Value.Compare(b.Ends.Value)
	})
	for i := range inv.Timeline {
		x := &inv.Timeline[i]
		if !x.Ends.Known() {
			if exit == 0 {
				exit = 4
			}
			continue
		}
		days := int(x.Ends.Value.Sub(c.Now).Hours() / 24)
		x.Days = &days
		if x.Ends.Value.Before(c.Now.AddDate(0, 0, soon)) {
			exit = 3
		}
	}
	if c.Format == "json" {
		e := json.NewEncoder(c.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return exit, e.Encode(inv)
	}
	return exit, c.timeline(inv)
}

func faceOf(e *drift.Environment) face {
	f := face{Environment: e.Name, Hosts: []string{}, Min: []string{}, ClientAuth: []string{}, Anchors: []string{}}
	add := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, x := range e.Exposures {
		add(&f.Hosts, x.Host)
	}
	seen := map[*drift.Policy]bool{}
	for i := range e.Operations {
		for _, eff := range e.Operations[i].Effective {
			p := eff.Policy
			if seen[p] {
				continue
			}
			seen[p] = true
			add(&f.Min, p.TLS.Min.Text())
			add(&f.ClientAuth, p.TLS.ClientAuth.Text())
			for _, a := range p.TLS.CAs.Or(nil) {
				add(&f.Anchors, a)
			}
			for _, r := range p.Auth.Ways.Value.All() {
				if r.MTLS != nil {
					for _, a := range r.MTLS.CAs.Or(nil) {
						add(&f.Anchors, a)
					}
				}
			}
		}
	}
	return f
}

func (c Command) timeline(inv inventory) error {
	colour := func(code, s string) string {
		if !c.Colour {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	w := tabwriter.NewWriter(c.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ends\tdays\tenvironment\tcertificate\tuse\thosts\tissuer\tkey\tsha256\tplace")
	for _, x := range inv.Timeline {
		ends, days := "not known", ""
		if x.Days != nil {
			ends, days = x.Ends.Value.Format(time.DateOnly), fmt.Sprint(*x.Days)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.16s\t%s\n", ends, days, report.Plain(x.Environment), report.Plain(x.Ref), x.Use, report.Plain(strings.Join(x.Hosts, " ")), report.Plain(x.Issuer), x.KeyAlg.Or("not known"), x.SHA256, report.Plain(x.Origin.String()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(inv.Environments) > 0 {
		fmt.Fprintln(w, "\nenvironment\thosts\tlowest TLS\tclient certificate\ttrust anchors")
	}
	for _, f := range inv.Environments {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", report.Plain(f.Environment), report.Plain(strings.Join(f.Hosts, " ")), strings.Join(f.Min, " or "), strings.Join(f.ClientAuth, " or "), report.Plain(strings.Join(f.Anchors, " ")))
	}
	if len(inv.Addresses) > 0 {
		fmt.Fprintln(w, "\naddress\tlowest TLS\thighest\tclient certificate\tverdict")
	}
	for _, s := range inv.Addresses {
		verdict := "trusted"
		switch {
		case s.Failed != "":
			verdict = "nothing seen: " + s.Failed
		case !s.Trusted:
			verdict = strings.Join(s.Doubts, "; ")
		}
		client := s.ClientAuth
		if client == "request" {
			client = "asked for"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", report.Plain(s.Address), s.Min, s.Max, client, report.Plain(verdict))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	soonest := 0
	for _, x := range inv.Timeline {
		if x.Days != nil && *x.Days < soon {
			soonest++
		}
	}
	if soonest > 0 {
		fmt.Fprintln(c.Out, colour("1;31", fmt.Sprintf("%d certificates have ended or end within %d days.", soonest, soon)))
	}
	return nil
}
