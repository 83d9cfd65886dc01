// Package gatehouse reads Gatehouse's own manifest as an environment, so that it is compared like any other gateway.
package gatehouse

import (
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
	"gatehouse/manifest"
)

// fromStart is the cause of leaves that a gateway's start-up configuration decides.
const fromStart = "set in the start-up configuration, which was not given"

// maxHead bounds the head of a request, in bytes: it is no setting.
const maxHead = 32 << 10

// Read reads the manifest's folder as one of its environments: that named by Values["environment"], else that of the options' name,
// else the first. Values["configuration"] names a file of the folder with the start-up configuration of its gateways, and
// Values["replicas"] says how many there are.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("gatehouse", o)}
	b := manifest.Bundle{}
	r.began(o)
	for _, name := range f.Names() {
		if name == o.Values["configuration"] || r.took(name) {
			continue
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".yaml", ".yml", ".json":
			if text, ok := f.Text(name); ok {
				b[name] = text
			}
		default:
			f.Skip()
		}
	}
	var ds []manifest.Diagnostic
	r.Parsed, ds = manifest.Parse(b)
	for _, d := range ds {
		if !d.Warning {
			f.Problem(drift.Problem{File: d.File, Line: d.Line, Pointer: d.Pointer, Text: d.Text, Partial: true})
		}
	}
	if manifest.Fatal(ds) {
		return r.env, f.Finish(r.env) // a manifest that cannot be published is in force nowhere
	}
	r.choose(o)
	r.strange()
	for i := range r.APIs {
		r.api(i)
	}
	return r.env, f.Finish(r.env)
}

type reader struct {
	*source.Folder
	*manifest.Parsed
	env   *drift.Environment
	start start
	taken []string             // files that are not the manifest's
	shown []string             // certificates of the listener
	at    manifest.Environment // which of the manifest's environments is read
}

func (r *reader) choose(o drift.Options) {
	want := o.Values["environment"]
	i := slices.IndexFunc(r.Environments, func(e manifest.Environment) bool { return want != "" && e.Name == want })
	if i < 0 && want == "" {
		i = max(0, slices.IndexFunc(r.Environments, func(e manifest.Environment) bool { return e.Name == o.Name }))
	}
	if i < 0 || i >= len(r.Environments) {
		r.Problem(drift.Problem{Text: "the manifest has no environment " + want, Partial: true})
		return
	}
	r.at = r.Environments[i]
	if r.env.Tier == "" {
		r.env.Tier, _ = drift.TierIn(r.at.Name)
	}
	if r.at.URL != "" {
		x := drift.Exposure{Scheme: "https", Certs: r.shown, Proof: drift.ByDefault(false), Origin: r.origin("/environments/"+strconv.Itoa(i)+"/url", "environment "+r.at.Name)}
		scheme, host, ok := strings.Cut(r.at.URL, "://")
		if ok {
			x.Scheme = scheme
			x.Host, _, _ = strings.Cut(host, "/")
			x.Host, _, _ = strings.Cut(x.Host, ":")
		}
		r.env.Exposures = append(r.env.Exposures, x)
	}
}

func (r *reader) origin(pointer, scope string) drift.Origin {
	d := r.At(pointer, "")
	return drift.Origin{File: d.File, Line: d.Line, Pointer: d.Pointer, Scope: scope}
}

func (r *reader) api(i int) {
	a := &r.APIs[i]
	doc := r.Parsed.Documents[a.Name]
	if doc == nil || r.at.Name == "" {
		return
	}
	for _, op := range doc.Operations {
		if !a.Operation(op.ID).Exposed() {
			continue
		}
		k, m := drift.NewKey(op.Method, drift.Template, a.FullPath(op.Path))
		m.Hosts = a.Hosts
		for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
			m.Headers = append(m.Headers, name+"="+drift.Mask(a.Headers[name]))
		}
		b := &builder{reader: r, api: i, op: op}
		general := b.policy(nil, nil)
		o := drift.Operation{Key: k, Match: m, Name: op.ID, API: a.Name, Origin: drift.Origin{File: a.OpenAPI, Line: op.Line, Scope: "operation " + op.ID}, Effective: []drift.Effective{{Policy: general}}}
		for j := range r.Products {
			p := &r.Products[j]
			if !offers(p, a.Name, op.ID, r.at.Name) {
				continue
			}
			for k := range p.Plans {
				l := &p.Plans[k]
				if len(l.Environments) > 0 && !slices.Contains(l.Environments, r.at.Name) {
					continue
				}
				if b.granted {
					o.Effective = append(o.Effective, drift.Effective{Class: "plan " + p.Name + "/" + l.Name, Policy: b.policy(&place{p, l, j, k}, general)})
				}
			}
		}
		r.env.Operations = append(r.env.Operations, o)
	}
}

// place is a plan of a product.
type place struct {
	product *manifest.Product
	plan    *manifest.Plan
	i, j    int
}

func offers(p *manifest.Product, api, id, environment string) bool {
	if len(p.Environments) > 0 && !slices.Contains(p.Environments, environment) {
		return false
	}
	return slices.ContainsFunc(p.Operations, func(o manifest.ProductAPI) bool {
		return o.API == api && (len(o.IDs) == 0 || slices.Contains(o.IDs, id))
	})
}

// The settings of policy kinds, as far as they are compared. Each kind decodes its own strictly; here a field that is not known is one
// that has no leaf.
type (
	keySettings struct {
		Header string
		Bearer bool
	}
	corsSettings struct {
		Origins, Methods, Headers, Expose []string
		Credentials                       bool
		MaxAge                            manifest.Duration `json:"max_age"`
	}
	changes struct {
		Remove   []string
		Set, Add map[string]string
	}
	headerSettings struct{ Request, Response changes }
	limitSettings  struct {
		By      string
		Windows []manifest.Limit
	}
	sizeSettings struct{ Max json.RawMessage }
)

func decode[T any](p manifest.PlacedPolicy) (T, bool) {
	var v T
	if len(p.Config) == 0 {
		return v, true
	}
	return v, json.Unmarshal(p.Config, &v) == nil
}

// seconds of a duration, rounded up: a limit of less than a second is of one.
func seconds(d manifest.Duration) int64 {
	return int64((time.Duration(d) + time.Second - 1) / time.Second)
}
