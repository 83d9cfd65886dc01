package ingressnginx

import (
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

const noConfig = "the controller's ConfigMap is not among the files"

// controller finds the controller's own settings: its ConfigMap, the values of its chart, and its workload.
func (r *reader) controller() {
	for _, kind := range []string{"Deployment", "DaemonSet"} {
		for _, o := range k8s.Kind(r.objects, kind) {
			for _, c := range o.Spec().Get("template", "spec", "containers").Items() {
				if strings.Contains(c.Get("image").Str(), "ingress-nginx/controller") || strings.Contains(strings.Join(c.Get("args").Strs(), " "), "/nginx-ingress-controller") {
					r.pod = o.Node
				}
			}
		}
	}
	name := r.argument("configmap")
	if i := strings.LastIndex(name, "/"); i >= 0 {
		name = name[i+1:]
	}
	for _, o := range k8s.Kind(r.objects, "ConfigMap") {
		labelled := o.Labels.Get("app.kubernetes.io/name").Str() == "ingress-nginx" && (o.Labels.Get("app.kubernetes.io/component").Str() == "" || o.Labels.Get("app.kubernetes.io/component").Str() == "controller")
		switch {
		case name != "" && o.Name != name, r.config != nil && !labelled:
			continue
		case name != "", labelled, o.Name == "ingress-nginx-controller", o.Name == "nginx-configuration", o.Name == "nginx-ingress-controller":
			if data := o.Node.Get("data"); r.config == nil || data != nil {
				r.config, r.known = data, true
			}
		}
	}
	if c := r.charted.Get("config"); c != nil && !r.known {
		r.config, r.known = c, true
	}
	if r.values["configmap"] == "none" {
		r.known = true
	}
	if p := r.argument("annotations-prefix"); p != "" {
		r.prefix = p + "/"
	}
	if !r.known && len(k8s.Kind(r.objects, "Ingress")) > 0 {
		r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "ConfigMap of the controller", Name: "ingress-nginx-controller"})
	}
}

// chart takes values of the chart, which renders the entries of the ConfigMap as they are.
func (r *reader) chart(d *source.Node) bool {
	c := d.Get("controller")
	if c == nil {
		c = d.Get("ingress-nginx", "controller")
	}
	if !c.Has("config") && !c.Has("replicaCount") {
		return false
	}
	r.charted = c
	return true
}

// argument is a flag of the controller.
func (r *reader) argument(name string) string {
	for _, c := range r.pod.Get("spec", "template", "spec", "containers").Items() {
		for _, a := range c.Get("args").Strs() {
			if k, v, ok := strings.Cut(strings.TrimLeft(a, "-"), "="); k == name {
				if !ok {
					return "true"
				}
				return v
			}
		}
	}
	return ""
}

// argued is a switch of the controller that is off unless it is given; it is not known where the workload is not among the files.
func (r *reader) argued(name string) drift.Leaf[bool] {
	if !r.pod.Get("spec", "template").Has("spec") {
		return drift.Unknown[bool]("the controller's arguments are not among the files", drift.Origin{Scope: "controller"})
	}
	if v := r.argument(name); v != "" {
		return drift.From(v == "true", r.pod.Get("spec", "template").Origin("controller"))
	}
	return drift.ByDefault(false)
}

func (r *reader) replicas() drift.Leaf[int64] {
	if n, err := strconv.ParseInt(r.values["replicas"], 10, 64); err == nil && n > 0 {
		return drift.From(n, drift.Origin{Scope: "option replicas"})
	}
	for _, n := range []*source.Node{r.pod.Get("spec", "replicas"), r.charted.Get("replicaCount")} {
		if i, ok := n.Int(); ok {
			return drift.From(i, n.Origin("controller"))
		}
	}
	return drift.Unknown[int64]("the controller's replicas are not among the files", drift.Origin{Scope: "controller"})
}

// found is where a setting is written.
type found struct {
	n      *source.Node // nil: nowhere
	scope  string
	wide   bool
	unseen bool // it may be written where nobody has looked
}

func (f found) origin() drift.Origin { return f.n.Origin(f.scope) }

// get finds an annotation, and behind it an entry of the ConfigMap. An empty name is none.
func (l *location) get(annotation, config string) found {
	if annotation != "" {
		if o := l.host.shared[annotation]; o != nil {
			return found{n: o.n, scope: o.by.Label(), wide: o.by != l.ing}
		}
		if n := l.notes.Get(l.prefix + annotation); !n.Absent() {
			return found{n: n, scope: l.ing.Label()}
		}
	}
	if config == "" {
		return found{scope: l.ing.Label()}
	}
	if n := l.config.Get(config); !n.Absent() {
		return found{n: n, scope: "controller", wide: true}
	}
	return found{scope: "controller", wide: true, unseen: !l.known}
}

func leaf[T any](f found, v T) drift.Leaf[T] {
	if f.wide {
		return drift.From(v, f.origin())
	}
	return drift.Is(v, f.origin())
}

// read takes a setting as a leaf: the default where it is not written, unresolved where that cannot be told or where it is not what it
// should be.
func read[T any](f found, def T, parse func(string) (T, bool)) drift.Leaf[T] {
	switch {
	case f.unseen:
		return drift.Unknown[T](noConfig, drift.Origin{Scope: f.scope})
	case f.n == nil:
		return drift.ByDefault(def)
	}
	s := strings.TrimSpace(f.n.Str())
	if strings.Contains(s, "{{") || strings.Contains(s, "${") {
		return drift.Unknown[T]("template that is not rendered", f.origin())
	}
	v, ok := parse(s)
	if !ok {
		return drift.Unknown[T]("cannot be read", f.origin())
	}
	return leaf(f, v)
}

func text(f found, def string) drift.Leaf[string] {
	return read(f, def, func(s string) (string, bool) { return drift.Mask(s), true })
}

func flag(f found, def bool) drift.Leaf[bool] {
	return read(f, def, func(s string) (bool, bool) {
		switch strings.ToLower(s) {
		case "true", "on", "yes", "1":
			return true, true
		case "false", "off", "no", "0":
			return false, true
		}
		return false, false
	})
}

func number(f found, def int64) drift.Leaf[int64] {
	return read(f, def, func(s string) (int64, bool) { n, err := strconv.ParseInt(s, 10, 64); return n, err == nil })
}

// millis reads seconds, with or without their unit.
func millis(f found, def int64) drift.Leaf[int64] {
	return read(f, def, func(s string) (int64, bool) {
		unit := int64(1000)
		for _, u := range []struct {
			name string
			ms   int64
		}{{"ms", 1}, {"s", 1000}, {"m", 60_000}, {"h", 3_600_000}} {
			if t, ok := strings.CutSuffix(s, u.name); ok {
				s, unit = t, u.ms
				break
			}
		}
		n, err := strconv.ParseInt(s, 10, 32)
		return n * unit, err == nil && n >= 0
	})
}

// size reads nginx's sizes: 8, 8k, 1m, 1g.
func size(f found, def int64) drift.Leaf[int64] { return read(f, def, bytes) }

func bytes(s string) (int64, bool) {
	factor := int64(1)
	switch s = strings.ToLower(s); {
	case strings.HasSuffix(s, "k"):
		factor = 1 << 10
	case strings.HasSuffix(s, "m"):
		factor = 1 << 20
	case strings.HasSuffix(s, "g"):
		factor = 1 << 30
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "kmg"), 10, 32)
	return n * factor, err == nil && n >= 0
}

// list reads what is separated by commas, in no order.
func list(f found, def []string) drift.Leaf[[]string] {
	return read(f, def, func(s string) ([]string, bool) { return split(drift.Mask(s)), true })
}

func sorted(l drift.Leaf[[]string]) drift.Leaf[[]string] { l.Value = drift.Sorted(l.Value); return l }

// either is a where it is written, and otherwise b.
func either(a, b found) found {
	if a.n != nil {
		return a
	}
	return b
}

// entries are the entries of another ConfigMap that a setting names; ok is false when it is not among the files.
func (l *location) entries(f found) (data *source.Node, ok bool) {
	if f.n == nil {
		return nil, true
	}
	ns, name, cut := strings.Cut(f.n.Str(), "/")
	if !cut {
		ns, name = l.ing.Namespace, ns
	}
	o := k8s.Find(l.objects, "ConfigMap", ns, name)
	if o == nil {
		l.gap("ConfigMap", ns+"/"+name, f.origin())
		return nil, false
	}
	return o.Node.Get("data"), true
}

func (r *reader) gap(what, name string, o drift.Origin) {
	g := drift.Gap{What: what, Name: drift.Mask(name), Origin: o}
	for _, old := range r.env.Gaps {
		if old == g {
			return
		}
	}
	r.env.Gaps = append(r.env.Gaps, g)
}
