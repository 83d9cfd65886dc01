package portal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
)

// environmentsPage shows how every environment stands.
type environmentsPage struct {
	frame
	Environments []environmentView
}

func (*environmentsPage) template() string { return "environments" }

// environmentView is one environment with its gateways.
type environmentView struct {
	control.EnvironmentStatus
	Gateways []gatewayRow
	Well     bool // every gateway has everything
}

// Places are the regions that it is served in.
func (e environmentView) Places() (out []string) {
	for _, r := range e.Regions {
		out = append(out, r.Name)
	}
	return out
}

// gatewayRow is one gateway's newest receipt against what there is.
type gatewayRow struct {
	feed.Receipt
	Region string // in which it is
	Behind int64  // entries that it has not said to have in force
	Quiet  bool   // nothing was heard of it for too long
}

// quietAfter is how long a gateway may be silent while there is something to acknowledge.
const quietAfter = 30 * time.Second

func (v *visit) environmentView(e control.EnvironmentStatus) environmentView {
	w := environmentView{EnvironmentStatus: e, Well: len(e.Gateways) > 0}
	for _, r := range e.Gateways {
		g := gatewayRow{Receipt: r, Behind: max(newestOf(e, r.Environment).Seq-r.Position.Seq, 0)}
		_, g.Region = env.OfFeed(r.Environment)
		g.Quiet = g.Behind > 0 && v.now.Sub(r.At) > quietAfter
		w.Gateways = append(w.Gateways, g)
		w.Well = w.Well && g.Behind == 0 && r.Trouble == "" && r.Revision == r.Desired
	}
	return w
}

func listEnvironments(v *visit) error {
	list, err := v.Control.Environments(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &environmentsPage{Environments: rows(list, v.environmentView)}
	p.Title, p.Lead = "Environments", "Where the APIs are exposed, what each gateway has in force, and which revision it serves."
	return v.ok(p)
}

// environmentPage is one environment with its revisions.
type environmentPage struct {
	frame
	Environment environmentView
	Regions     []regionRow
	Revisions   []revisionRow
	Pager       pager
}

func (*environmentPage) template() string { return "environment" }

// revisionRow is a revision in a list.
type revisionRow struct {
	env.Revision
	Publisher string
	Served    int // by so many gateways
}

func (v *visit) findEnvironment(name string) (environmentView, error) {
	list, err := v.Control.Environments(v.r.Context(), v.actor)
	if err != nil {
		return environmentView{}, err
	}
	at := slices.IndexFunc(list, func(e control.EnvironmentStatus) bool { return e.Name == name })
	if at < 0 {
		return environmentView{}, fault.New(fault.NotFound, "there is no such environment")
	}
	return v.environmentView(list[at]), nil
}

func showEnvironment(v *visit) error {
	e, err := v.findEnvironment(v.r.PathValue("env"))
	if err != nil {
		return err
	}
	list, err := v.Control.Revisions(v.r.Context(), v.actor, e.Name, control.Page{After: v.after(), Limit: 20})
	if err != nil {
		return err
	}
	p := &environmentPage{Environment: e, Regions: regionRows(e.EnvironmentStatus), Pager: v.pager(list.Next)}
	for _, r := range list.Items {
		row := revisionRow{Revision: r, Publisher: v.person(r.By)}
		for _, g := range e.Gateways {
			if g.Revision == r.Number {
				row.Served++
			}
		}
		p.Revisions = append(p.Revisions, row)
	}
	p.Title = e.Name
	p.Trail = []crumb{{"Environments", "/environments"}}
	return v.ok(p)
}

// revisionPage is one revision with its files.
type revisionPage struct {
	frame
	Revision  env.Revision
	Publisher string
	Files     []fileView
}

func (*revisionPage) template() string { return "revision" }

// fileView is one file of a manifest.
type fileView struct {
	Name string
	Size int64
	Text string
	Cut  bool // the page shows only its beginning
}

// maxShownFile is how much of a file a page shows.
const maxShownFile = 64 << 10

func showRevision(v *visit) error {
	n, err := strconv.ParseInt(v.r.PathValue("number"), 10, 64)
	if err != nil || n < 1 {
		return fault.New(fault.NotFound, "there is no such revision")
	}
	r, bundle, err := v.Control.Revision(v.r.Context(), v.actor, v.r.PathValue("env"), n)
	if err != nil {
		return err
	}
	p := &revisionPage{Revision: r, Publisher: v.person(r.By)}
	for name, b := range bundle {
		f := fileView{Name: name, Size: int64(len(b))}
		if len(b) > maxShownFile {
			b, f.Cut = b[:maxShownFile], true
		}
		f.Text = strings.ToValidUTF8(string(b), "\uFFFD")
		p.Files = append(p.Files, f)
	}
	slices.SortFunc(p.Files, func(a, b fileView) int { return strings.Compare(a.Name, b.Name) })
	p.Title = "Revision " + strconv.FormatInt(r.Number, 10) + " of " + r.Environment
	p.Trail = []crumb{{"Environments", "/environments"}, {r.Environment, "/environments/" + r.Environment}}
	return v.ok(p)
}
