package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
	"gatehouse/fault"
)

// Group is operations of one environment that have the same and should have the same.
type Group struct {
	Finding    *drift.Finding
	Rule       string
	Field      string
	Env        *drift.Environment
	Other      *drift.Environment // whose policy Want is; nil: a baseline, or nothing
	Class      string
	Have       *drift.Policy
	Want       *drift.Policy // nil: the finding is about this environment alone
	Operations []*drift.Operation
	Origins    []drift.Origin // where the weaker side stands
	Value      string         // what stands there, for people

	covered map[drift.Key]bool // the operations of the whole finding
}

// Editor changes files so that a group's finding goes away, or says why it cannot.
type Editor func(s *Site, g Group) error

// editor is what writes changes for a gateway, nil when there is none.
func editor(gateway string) Editor {
	switch gateway {
	case "kong":
		return editKong
	case "azureapim":
		return editAPIM
	case "gatehouse":
		return editGatehouse
	case "apigee":
		return editApigee
	case "aws", "envoygateway", "gatewayapi", "ingressnginx", "krakend", "traefik", "tyk":
		return editPlace
	}
	return nil
}

// refusal is the honest reason why there is no change.
type refusal struct {
	reason, control string
	weak            bool // a better reason takes its place
}

func (r *refusal) Error() string { return r.reason }

func refuse(reason, control string) error { return &refusal{reason: reason, control: control} }

func reasonOf(err error) refusal {
	var r *refusal
	if err == nil {
		return refusal{}
	}
	if errors.As(err, &r) {
		return *r
	}
	return refusal{reason: err.Error()}
}

// Site is the files of an environment while a change is tried. Nothing is kept unless it is proven.
type Site struct {
	Env    *drift.Environment
	Narrow bool // only the group's own operations: a wider place was tried and served others too

	base    *Overlay
	trees   map[string]*patch.Tree
	docs    map[string]*patch.XML
	texts   map[string][]byte
	deletes int
	did     []string
	brings  []string
	written map[drift.Origin]bool
}

func newSite(e *drift.Environment, base *Overlay, narrow bool) *Site {
	return &Site{Env: e, Narrow: narrow, base: base, trees: map[string]*patch.Tree{}, docs: map[string]*patch.XML{}, texts: map[string][]byte{}}
}

func (s *Site) edit(edit Editor, groups []Group) error {
	for _, g := range groups {
		if err := edit(s, g); err != nil {
			return err
		}
	}
	for _, x := range s.docs {
		if _, err := x.Text(); err != nil {
			return err
		}
	}
	return nil
}

// Tree opens a YAML or JSON file of the environment.
func (s *Site) Tree(file string) (*patch.Tree, error) {
	if t, ok := s.trees[file]; ok {
		return t, nil
	}
	if file == "" {
		return nil, refuse("the place of the value is not known", "")
	}
	text, err := s.base.Text(file)
	if err != nil {
		return nil, err
	}
	t, err := patch.Open(file, text)
	if err != nil {
		return nil, err
	}
	s.trees[file] = t
	return t, nil
}

// Text is a file of another form, as it is now.
func (s *Site) Text(file string) ([]byte, error) {
	if b, ok := s.texts[file]; ok {
		return b, nil
	}
	return s.base.Text(file)
}

// Write puts a changed text in the place of a file.
func (s *Site) Write(file string, text []byte) { s.texts[file] = text }

// Did notes what the change does, once.
func (s *Site) Did(format string, args ...any) {
	if d := drift.Mask(fmt.Sprintf(format, args...)); !slices.Contains(s.did, d) {
		s.did = append(s.did, d)
	}
}

// Brings says that leaves of other families come along with the change, and cannot be had without it.
func (s *Site) Brings(families ...string) { s.brings = append(s.brings, families...) }

// once reports whether a place is written already, and notes that it is.
func (s *Site) once(o drift.Origin) bool {
	o.Scope = ""
	was := s.written[o]
	if s.written == nil {
		s.written = map[drift.Origin]bool{}
	}
	s.written[o] = true
	return was
}

// Take notes that an entry is taken out.
func (s *Site) Take() { s.deletes++ }

// changed are the files that differ from what they were, with their new texts.
func (s *Site) changed() map[string][]byte {
	out := map[string][]byte{}
	for name, x := range s.docs {
		text, err := x.Text()
		if err != nil {
			continue // checked by edit
		}
		if old, err := s.base.Text(name); err != nil || string(old) != string(text) {
			out[name] = text
		}
	}
	for name, t := range s.trees {
		if old, err := s.base.Text(name); err == nil && string(old) != string(t.Text()) {
			out[name] = t.Text()
		}
	}
	for name, text := range s.texts {
		if old, err := s.base.Text(name); err != nil || string(old) != string(text) {
			out[name] = text
		}
	}
	return out
}

// Set writes a value at a pointer of the file of an origin.
func (s *Site) Set(o drift.Origin, pointer string, v any) error {
	t, err := s.Tree(o.File)
	if err != nil {
		return err
	}
	return t.Set(o.Line, pointer, v)
}

// foreign reports whether a value names another environment's tier.
func (s *Site) foreign(v string) bool {
	if !strings.Contains(v, "://") {
		v = "https://" + v
	}
	t, ok := drift.TierIn(v)
	return ok && s.Env.Tier != "" && (t == drift.Prod) != (s.Env.Tier == drift.Prod)
}

// own takes a list of the other side as a value for this one: not when it names the other's own hosts and tenants.
func (s *Site) own(list []string) (patch.List, error) {
	for _, v := range list {
		if s.foreign(v) {
			return nil, refuse("the other side's value belongs to it: "+v, "write this environment's own value there; only its owner knows it")
		}
		if drift.Mask(v) != v || strings.Contains(v, "[secret]") {
			return nil, refuse("the other side's value holds a secret, which is not carried", "write it by hand, as a reference to a vault")
		}
	}
	return patch.Strings(list), nil
}

// kept narrows a list of what is allowed: of what stands here, those that the other side allows too, by their binding class. Where
// nothing is left it is the other side's list.
func (s *Site) kept(have, want []string, other *drift.Environment) (patch.List, error) {
	shapes := drift.Shapes(want, other)
	var out []string
	for _, v := range have {
		if slices.Contains(shapes, drift.Shape(v, s.Env)) || slices.ContainsFunc(want, func(w string) bool { return strings.EqualFold(v, w) }) {
			out = append(out, v)
		}
	}
	if len(out) == 0 || len(out) < len(want) && slices.Contains(have, "*") {
		return s.own(want)
	}
	return patch.Strings(out), nil
}

// wanted is the value of a leaf on the other side, or the one that is safe where a finding is about this side alone.
func wanted[T any](g Group, leaf func(*drift.Policy) drift.Leaf[T], safe T) (T, error) {
	if g.Want == nil {
		return safe, nil
	}
	l := leaf(g.Want)
	if l.State == drift.Unsupported {
		return safe, nil
	}
	if !l.Known() {
		return safe, refuse("what the other side has is not known: "+l.Cause, "give the review what it lacks, and plan again")
	}
	return l.Value, nil
}

// token is the first requirement of a token.
func token(p *drift.Policy) *drift.JWT {
	if p == nil {
		return nil
	}
	for _, r := range p.Auth.Ways.Value.All() {
		if r.JWT != nil {
			return r.JWT
		}
	}
	return nil
}

// wantedToken is wanted for a leaf of a token's requirement.
func wantedToken[T any](g Group, leaf func(*drift.JWT) drift.Leaf[T], safe T) (T, error) {
	if g.Want == nil {
		return safe, nil
	}
	j := token(g.Want)
	if j == nil {
		return safe, refuse("the other side asks for no token", "")
	}
	return wanted(Group{Want: g.Want}, func(*drift.Policy) drift.Leaf[T] { return leaf(j) }, safe)
}

// all reports whether the finding is about every operation of the environment that passes the test.
func (g Group) all(test func(*drift.Operation) bool) bool {
	for i := range g.Env.Operations {
		if o := &g.Env.Operations[i]; test(o) && !g.covered[o.Key] {
			return false
		}
	}
	return true
}

func notFound(what string) error {
	return fault.New(fault.NotFound, "%s is not found in the files", what)
}

// refers reports whether a field of this name says where a secret is kept, and not what it is.
func refers(name string) bool {
	n := strings.ToLower(name)
	return slices.ContainsFunc([]string{"name", "names", "ref", "refs", "arn", "uri", "url", "auth-secret", "tls-secret", "ssl-secret", "path", "file"}, func(end string) bool { return strings.HasSuffix(n, end) })
}

// holdsSecret reports whether a value has a field whose name says that it is a secret, and that is not a reference.
func holdsSecret(v any) bool {
	switch v := v.(type) {
	case patch.Map:
		for _, e := range v {
			text, ok := e.Value.(string)
			if ok && len(text) > 2 && drift.SecretName(e.Key) && !refers(e.Key) && !strings.HasPrefix(text, "{vault://") && !strings.HasPrefix(text, "${{") || holdsSecret(e.Value) {
				return true
			}
		}
	case patch.List:
		return slices.ContainsFunc(v, holdsSecret)
	case string:
		return drift.Mask(v) != v
	}
	return false
}
