package portal

import (
	"net/url"
	"slices"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
)

// regionRow is one region of an environment, and how many gateways it is served by.
type regionRow struct {
	env.Region
	Standing string // open, or filling while its feed does not tell everything yet
	Gateways int
	Resume   string // where filling it goes on
	Remove   string // where it is taken away
}

func regionRows(e control.EnvironmentStatus) (out []regionRow) {
	at := "/environments/" + e.Name + "/regions/"
	for _, r := range e.Regions {
		row := regionRow{Region: r, Standing: "in use", Remove: at + r.Name + "/remove"}
		if !r.Ready {
			row.Standing, row.Resume = "filling", at+"new?region="+url.QueryEscape(r.Name)
		}
		for _, g := range e.Gateways {
			if _, in := env.OfFeed(g.Environment); in == r.Name {
				row.Gateways++
			}
		}
		out = append(out, row)
	}
	return out
}

// newestOf is the number of the newest change that a gateway can know which follows that feed.
func newestOf(e control.EnvironmentStatus, name string) feed.Position {
	if _, region := env.OfFeed(name); region != "" {
		return e.RegionHeads[region]
	}
	return e.Head
}

// regionForm asks for a region. The first of all changes what can use the database, and asks for a yes to that.
func (v *visit) regionForm(environment string) (form, error) {
	f := newForm("/environments/"+environment+"/regions/new",
		field{Name: "region", Label: "Region", Kind: textField, Required: true, Max: env.MaxName, Mono: true, Hint: "Lower case letters, digits and hyphens, a letter first, such as eu. Gateways are enrolled and organizations pinned by this name"},
		field{Name: "reason", Label: "Reason", Kind: areaField, Required: true, Max: 1000, Hint: "It is kept in the audit"})
	all, err := v.Control.Environments(v.r.Context(), v.actor)
	if err == nil && !slices.ContainsFunc(all, func(e control.EnvironmentStatus) bool { return len(e.Regions) > 0 }) {
		f.Fields = append(f.Fields, field{Name: "upgraded", Label: "This is the first region", Kind: checkField, Required: true, Options: []option{{Value: "yes",
			Label: "Every process of the control plane runs this release", Text: "The release before cannot use the database from now on, not even after the region is removed: make a backup if you may want to go back"}}})
	}
	return f, err
}

func (v *visit) regionPage(environment string, f form) error {
	p := &formPage{Form: f, Button: "Serve it there", Back: "/environments/" + environment}
	p.Title = "Add a region to " + environment
	p.Lead = "The region gets a feed of its own that first tells everything that came before: with many credentials that takes minutes. From then on every gateway that is enrolled here says in which region it is."
	p.Trail = []crumb{{"Environments", "/environments"}, {environment, "/environments/" + environment}}
	return v.show(statusOfForm(f), p)
}

func askRegion(v *visit) error {
	e, err := v.findEnvironment(v.r.PathValue("env"))
	if err != nil {
		return err
	}
	f, err := v.regionForm(e.Name)
	if err != nil {
		return err
	}
	f.set("region", v.r.URL.Query().Get("region"))
	return v.regionPage(e.Name, f)
}

func addRegion(v *visit) error {
	e, err := v.findEnvironment(v.r.PathValue("env"))
	if err != nil {
		return err
	}
	f, err := v.regionForm(e.Name)
	if err != nil {
		return err
	}
	if !f.read(v.r.PostForm) {
		return v.regionPage(e.Name, f)
	}
	if _, err := v.Control.AddRegion(v.r.Context(), v.actor, e.Name, f.value("region"), f.value("reason")); err != nil {
		if f.refuse(err) {
			return v.regionPage(e.Name, f)
		}
		return err
	}
	return v.done("region-added", "/environments/"+e.Name)
}

// regionDeed takes a region away.
func (v *visit) regionDeed() (deed, error) {
	e, err := v.findEnvironment(v.r.PathValue("env"))
	if err != nil {
		return deed{}, err
	}
	r, ok := e.In(v.r.PathValue("region"))
	if !ok {
		return deed{}, fault.New(fault.NotFound, "%s is not served in a region of that name", e.Name)
	}
	gs, err := v.Control.Fleet(v.r.Context(), v.actor)
	if err != nil {
		return deed{}, err
	}
	active := 0
	for _, g := range gs {
		if g.Environment == e.Name && g.Region == r.Name && g.State == fleet.Active {
			active++
		}
	}
	back := "/environments/" + e.Name
	return deed{title: "Remove the region " + r.Name + " from " + e.Name, button: "Remove the region", danger: true, notice: "region-removed", back: back,
		text:  "Its feed tells nothing any more, and no gateway can be enrolled there. Before that its gateways must be drained or revoked, and organizations that are pinned to it must be moved: otherwise it is refused.",
		facts: []fact{{"Environment", e.Name}, {"Region", r.Name}, {"Active gateways there", number(int64(active))}, {"Added", r.Added.UTC().Format("2 January 2006, 15:04 UTC")}},
		trail: []crumb{{"Environments", "/environments"}, {e.Name, back}},
		do: func(_ int64, reason string) error {
			_, err := v.Control.RemoveRegion(v.r.Context(), v.actor, e.Name, r.Name, reason)
			return err
		}}, nil
}
