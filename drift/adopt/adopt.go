// Package adopt writes a manifest of Gatehouse that enforces what another gateway was read to enforce, and says what it cannot carry over.
// What it cannot carry is never carried weaker: an operation whose proof of identity Gatehouse does not know is left out.
package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
	"gatehouse/fault"
)

// Lost is something that is not carried over, or carried otherwise.
type Lost struct {
	Operation string       `json:"operation,omitempty"` // "": it is about the whole environment
	What      string       `json:"what"`
	Why       string       `json:"why"`
	Left      bool         `json:"left_out"`         // the whole operation is left out
	Weaker    bool         `json:"weaker,omitempty"` // the manifest enforces less than the environment here: make up for it before it is used
	Fields    []string     `json:"fields,omitempty"` // of findings between the environment and the manifest that it explains
	Origin    drift.Origin `json:"origin,omitzero"`
}

// Adopted is a manifest's folder, and what it does not hold.
type Adopted struct {
	Files      map[string][]byte `json:"-"`
	Operations int               `json:"operations"`
	Of         int               `json:"of"`
	Lost       []Lost            `json:"not_carried"`

	kin map[string][]string // operations that stand for each other: one of any method, and those of each
}

// Document names operations of an environment whose gateway answers to families of paths: an OpenAPI document, read.
type Document struct {
	Name       string
	Operations []Described
}

// Described is one operation of a document. Its path has parameters as {name}.
type Described struct{ Method, Path, ID string }

// Options say more than the environment does.
type Options struct {
	Documents []Document // what stands below the families of paths
}

// Make writes the manifest for the general traffic of an environment.
func Make(e *drift.Environment, opt Options) (*Adopted, error) {
	w := &writer{env: e, out: &Adopted{Files: map[string][]byte{}, Of: len(e.Operations), Lost: []Lost{}, kin: map[string][]string{}}, names: map[string]bool{}}
	var apis []*api
	for _, c := range w.choose(opt.Documents) {
		o, op := c.of, c.is
		j := slices.IndexFunc(apis, func(a *api) bool { return a.key == op.key })
		if j < 0 {
			j = len(apis)
			apis = append(apis, &api{of: o.API, key: op.key, strip: o.Strip, hosts: o.Match.Hosts, headers: op.headers, upstream: op.upstream, base: op.base})
		}
		apis[j].ops = append(apis[j].ops, op)
	}
	if len(apis) == 0 {
		return w.out, fault.New(fault.Conflict, "none of the %d operations of %s can be carried over", len(e.Operations), e.Name)
	}
	for _, a := range apis {
		w.out.Operations += len(a.ops)
	}
	return w.out, w.write(apis)
}

type api struct {
	of, name, prefix string
	key              string // what its operations have in common
	strip            string // what the upstream does not get of the path
	hosts            []string
	headers          patch.Map
	upstream         patch.Map // without its name
	base             string    // the path of the upstream's address
	ops              []operation
}

type operation struct {
	id, method, path string
	key              string // of its API
	headers          patch.Map
	upstream         patch.Map
	base             string
	policies         patch.List
	scopes           []string
	credentials      []string // kinds that open it
	issuers          []string // trusted issuers that it names
	granted          bool
}

// carried is an operation and what it becomes.
type carried struct {
	of *drift.Operation
	is operation
}

// choose turns the operations over. Of several that answer the same requests, at other listeners, the strictest stays; where one of
// them cannot be carried over, none is: the others would answer in its place.
func (w *writer) choose(docs []Document) []carried {
	var out []carried
	at := map[string]int{} // where of out an operation is that answers so; -1: it is left out
	for _, o := range w.expand(docs) {
		if len(o.Effective) > 1 {
			w.lose(o, "what single consumers, groups and products meet", "a manifest bounds callers by the plans of their grants; offer plans that fit", "classes")
		}
		key := fmt.Sprint(o.Key, o.Match.Slash, o.Match.Hosts, o.Match.Headers, o.Match.Query)
		op, ok := w.operation(o)
		i, seen := at[key]
		switch {
		case !seen && ok:
			at[key] = len(out)
			out = append(out, carried{o, op})
		case !ok:
			if seen && i >= 0 {
				w.leave(out[i].of, "another operation answers the same requests elsewhere, and cannot be carried over")
				out[i].of = nil
			}
			at[key] = -1
		case i < 0:
			w.leave(o, "another operation answers the same requests elsewhere, and cannot be carried over")
		default:
			if stricter(o.General(), out[i].of.General()) {
				o, out[i] = out[i].of, carried{o, op}
			}
			w.leave(o, "another operation answers the same requests elsewhere, and is carried over")
		}
	}
	return slices.DeleteFunc(out, func(c carried) bool { return c.of == nil })
}

func stricter(p, than *drift.Policy) bool {
	return p.Auth.Ways.Value.Compare(than.Auth.Ways.Value) == drift.Stronger
}

type writer struct {
	env   *drift.Environment
	out   *Adopted
	names map[string]bool

	issuers []issuer
}

// lose notes what is not carried over of an operation, and which fields of findings that explains.
func (w *writer) lose(o *drift.Operation, what, why string, fields ...string) {
	w.out.Lost = append(w.out.Lost, Lost{Operation: o.Key.String(), What: what, Why: why, Fields: fields, Origin: o.Origin})
}

// leave notes that an operation is left out.
func (w *writer) leave(o *drift.Operation, why string) {
	w.out.Lost = append(w.out.Lost, Lost{Operation: o.Key.String(), What: "the operation", Why: why, Left: true, Fields: []string{"operation"}, Origin: o.Origin})
}

var (
	unfit = regexp.MustCompile(`[^a-z0-9]+`)
	first = regexp.MustCompile(`^[^a-z]+`)
)

// fit makes a text a name of the manifest's form.
func fit(s, otherwise string) string {
	const most = 40 // leaves room for a number behind it
	n := strings.Trim(first.ReplaceAllString(unfit.ReplaceAllString(strings.ToLower(s), "-"), ""), "-")
	if n = strings.Trim(n[:min(len(n), most)], "-"); n == "" {
		return otherwise
	}
	return n
}

// name makes a name of the manifest's form that is not taken.
func (w *writer) name(s, otherwise string) string {
	n := fit(s, otherwise)
	for i := 2; w.names[n]; i++ {
		n = strings.TrimRight(n, "0123456789") + strconv.Itoa(i)
	}
	w.names[n] = true
	return n
}

func oneLine(s string) string { return strings.Join(strings.Fields(drift.Mask(s)), " ") }

// one is a policy with settings.
func one(kind string, settings patch.Map) patch.Map { return patch.Map{{Key: kind, Value: settings}} }

func kind(p any) string {
	if m, ok := p.(patch.Map); ok {
		return m[0].Key
	}
	s, _ := p.(string)
	return s
}

func listed(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
