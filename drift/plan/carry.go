package plan

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/patch"
)

// Where the standard is kept in files of the same gateway, its own text is the best pattern of what is missing: the differences of the two
// folders are taken one by one, and those are carried over that close the finding and change nothing else. What names the standard's
// own tier, and what holds a secret, is not carried.

// move is one difference between the files of the standard and those of the environment.
type move struct {
	file    string // of the environment
	tree    *patch.Delta
	xml     *patch.DeltaXML
	fresh   []byte // of a file that is missing
	from    string // the file of the standard
	effects []Effect
	err     error
	read    bool // effects and err are known
}

// The bounds of what is tried for one finding.
const (
	mostMoves = 32
	mostReads = 8000 // operations that are read again for them
	mostDrops = 16
	mostFiles = 2000
)

// moves are the differences between two folders as they are now.
type moves struct {
	here, there *Overlay
	list        []*move
}

// standard is the target whose files are the pattern for a finding, or -1.
func (p *planner) standard(at int, other *drift.Side) int {
	for _, name := range []string{sideName(other), p.opt.Like} {
		if i := p.find(name); name != "" && i >= 0 && i != at && p.targets[i].Files != nil && p.targets[i].Env.Gateway == p.targets[at].Env.Gateway {
			return i
		}
	}
	return -1
}

func sideName(s *drift.Side) string {
	if s == nil {
		return ""
	}
	return s.Environment
}

// carry closes a finding with what the standard's files say and these do not: first so that nothing else changes, and otherwise so that
// what cannot be parted from it becomes what it is in the standard.
func (p *planner) carry(f *drift.Finding, at, from int, other *drift.Side, about About) (*Step, error) {
	all := p.near(f, at, from, other)
	like := p.targets[from].Env
	for _, m := range all {
		if !m.read {
			m.read = true
			m.effects, m.err = p.effects(at, []*move{m}, like)
		}
	}
	var first error
	tried := map[string]bool{}
	for _, along := range []*drift.Environment{nil, like} {
		for _, set := range sets(f, all, along) {
			label := fmt.Sprint(along == nil)
			for _, m := range set {
				label += fmt.Sprintf(" %p", m)
			}
			if len(set) == 0 || tried[label] {
				continue
			}
			tried[label] = true
			c := carrying{p, f, at, from, about, along}
			o, err := c.attempt(set)
			if err == nil {
				return p.accept(at, c.fewer(set, o)), nil
			}
			first = cmp.Or(first, err)
		}
	}
	if first == nil {
		first = &refusal{reason: "the files of " + p.targets[from].Env.Name + " hold nothing that closes this and may be carried over", weak: true}
	}
	return nil, first
}

// sets are the moves that are tried together: those that do what the finding is about and nothing else, then with those that do nothing or
// cannot be read alone, and all of them at last.
func sets(f *drift.Finding, all []*move, along *drift.Environment) [][]*move {
	var fit, inert, broken []*move
	for _, m := range all {
		switch {
		case m.err != nil:
			broken = append(broken, m)
		case len(m.effects) == 0:
			inert = append(inert, m)
		case within(f, m.effects, nil, along) == nil:
			fit = append(fit, m)
		}
	}
	return [][]*move{fit, slices.Concat(fit, inert), slices.Concat(fit, broken), slices.Concat(fit, inert, broken), inert, all}
}

// carrying is one finding while it is carried over.
type carrying struct {
	*planner
	f        *drift.Finding
	at, from int
	about    About
	along    *drift.Environment
}

// fewer leaves out what is not needed.
func (c carrying) fewer(set []*move, best *outcome) *outcome {
	for i, n := len(set)-1, 0; i >= 0 && len(set) > 1 && n < mostDrops; i, n = i-1, n+1 {
		less := slices.Delete(slices.Clone(set), i, i+1)
		if o, err := c.attempt(less); err == nil {
			set, best = less, o
		}
	}
	return best
}

func (c carrying) attempt(set []*move) (*outcome, error) {
	files, deletes, err := c.carried(c.at, set)
	if err != nil {
		return nil, err
	}
	t := trial{files: files, deletes: deletes, like: c.along}
	for _, m := range set {
		d := m.does() + ", as " + c.targets[c.from].Env.Name + " has it"
		if !slices.Contains(t.did, d) {
			t.did = append(t.did, d)
		}
	}
	o, err := c.check(c.f, c.at, t, c.about)
	if err == nil {
		err = keeps(c.f, o.step.Effects)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// effects are what moves do when they are made.
func (p *planner) effects(at int, set []*move, like *drift.Environment) ([]Effect, error) {
	files, _, err := p.carried(at, set)
	if err != nil {
		return nil, err
	}
	return changed(p.targets[at].Env, p.targets[at].Read(p.overlays[at].with(files)), like)
}

// keeps reports whether an address would become another host's: only that it is reached over TLS is carried over, never where it is.
func keeps(f *drift.Finding, all []Effect) error {
	for _, e := range all {
		switch e.Field {
		case "upstream.urls", "logging.sinks", "tracing.endpoint", "metrics.sink":
			bare := func(s string) string { return plainScheme.ReplaceAllString(s, "") }
			if strings.ContainsAny(e.From, ".:") && bare(e.From) != bare(e.To) {
				return refuse("the other side's address belongs to it: "+e.To, "point it to this environment's own; only its owner knows the address")
			}
		}
	}
	return nil
}

var plainScheme = regexp.MustCompile(`\b(?:https?|grpcs?|wss?|tcp|tls|udp)://`)

// carried are the files after moves.
func (p *planner) carried(at int, set []*move) (files map[string][]byte, deletes int, err error) {
	files = map[string][]byte{}
	trees, docs := map[string][]*patch.Delta{}, map[string]*patch.XML{}
	for _, m := range set {
		switch {
		case m.tree != nil:
			trees[m.file] = append(trees[m.file], m.tree)
			if m.tree.Drop && m.tree.Entry {
				deletes++
			}
		case m.xml != nil:
			x := docs[m.file]
			if x == nil {
				if x, err = openXML(p.overlays[at], m.file); err != nil {
					return nil, 0, err
				}
				docs[m.file] = x
			}
			if err = x.Apply(*m.xml); err != nil {
				return nil, 0, err
			}
			if m.xml.Drop && m.xml.Attr == "" {
				deletes++
			}
		default:
			files[m.file] = m.fresh
		}
	}
	for name, list := range trees {
		if files[name], err = p.changedTree(at, name, list); err != nil {
			return nil, 0, err
		}
	}
	for name, x := range docs {
		if files[name], err = x.Text(); err != nil {
			return nil, 0, err
		}
	}
	return files, deletes, nil
}

// changedTree makes the differences of one file go away, the last first, so that the places of the others stay.
func (p *planner) changedTree(at int, name string, list []*patch.Delta) ([]byte, error) {
	text, err := p.overlays[at].Text(name)
	if err != nil {
		return nil, err
	}
	t, err := patch.Open(name, text)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b *patch.Delta) int { return cmp.Compare(b.Order, a.Order) })
	for _, d := range list {
		if err := t.Apply(*d); err != nil {
			return nil, err
		}
	}
	return t.Text(), nil
}

func openXML(o *Overlay, name string) (*patch.XML, error) {
	text, err := o.Text(name)
	if err != nil {
		return nil, err
	}
	return patch.OpenXML(name, text, azureapim.Expression)
}

// near are the differences that may be carried, those nearest to the places of the finding first.
func (p *planner) near(f *drift.Finding, at, from int, other *drift.Side) []*move {
	all := p.differences(at, from)
	mine := sideOf(f, p.targets[at].Env.Name)
	places := append([]drift.Origin{mine.Origin}, mine.Also...)
	if other != nil {
		places = append(append(places, other.Origin), other.Also...)
	}
	here := drift.NewLookup(p.targets[at].Env)
	for _, k := range f.Operations[:min(len(f.Operations), 16)] {
		if o := here.Serving(k); o != nil {
			places = append(places, o.Origin)
		}
	}
	score := func(m *move) int {
		best := 0
		for _, o := range places {
			n := 0
			if o.File == m.file || o.File == m.from {
				n = 1
				if m.tree != nil {
					n += commonParts(m.tree.Pointer, o.Pointer)
				}
			}
			best = max(best, n)
		}
		return best
	}
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b *move) int { return cmp.Compare(score(b), score(a)) })
	few := min(mostMoves, max(4, mostReads/(1+len(p.targets[at].Env.Operations))))
	return out[:min(len(out), few)]
}

func commonParts(a, b string) int {
	n := 0
	for x, y := range zip(strings.Split(a, "/"), strings.Split(b, "/")) {
		if x != y {
			break
		}
		n++
	}
	return n
}

func zip(a, b []string) func(func(x, y string) bool) {
	return func(yield func(x, y string) bool) {
		for i := range min(len(a), len(b)) {
			if !yield(a[i], b[i]) {
				return
			}
		}
	}
}

// differences are those of the two folders, kept until one of them changes.
func (p *planner) differences(at, from int) []*move {
	key := [2]int{at, from}
	if m := p.moved[key]; m.here == p.overlays[at] && m.there == p.overlays[from] {
		return m.list
	}
	m := moves{here: p.overlays[at], there: p.overlays[from]}
	here, there := patterns(m.here), patterns(m.there)
	site := newSite(p.targets[at].Env, m.here, false)
	for _, name := range there {
		pair := paired(name, here, there)
		if pair == "" {
			m.list = append(m.list, missing(site, m.there, name, here)...)
			continue
		}
		m.list = append(m.list, between(site, m.here, m.there, pair, name)...)
	}
	p.moved[key] = m
	return m.list
}

var forms = []string{".yaml", ".yml", ".json", ".toml", ".xml"}

// patterns are the files of a folder whose values can be carried.
func patterns(o *Overlay) []string {
	var out []string
	_ = fs.WalkDir(o, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || len(out) >= mostFiles {
			return fs.SkipAll
		}
		if !d.IsDir() && slices.Contains(forms, strings.ToLower(path.Ext(name))) {
			out = append(out, name)
		}
		return nil
	})
	return out
}

// paired is the file here that is the counterpart of one there: of the same name, or the only one of its kind on both sides.
func paired(name string, here, there []string) string {
	if slices.Contains(here, name) {
		return name
	}
	for _, alike := range []func(a, b string) bool{
		func(a, b string) bool { return path.Base(a) == path.Base(b) },
		func(a, b string) bool { return path.Ext(a) == path.Ext(b) },
	} {
		only := func(list, others []string) (found string, n int) {
			for _, x := range list {
				if alike(x, name) && !slices.Contains(others, x) {
					found = x
					n++
				}
			}
			return found, n
		}
		a, n := only(here, there)
		if _, m := only(there, here); n == 1 && m == 1 {
			return a
		}
	}
	return ""
}

// between are the differences of two files.
func between(s *Site, here, there *Overlay, name, from string) []*move {
	a, err1 := here.Text(name)
	b, err2 := there.Text(from)
	if err1 != nil || err2 != nil || string(a) == string(b) {
		return nil
	}
	var out []*move
	if strings.EqualFold(path.Ext(name), ".xml") {
		x, err1 := patch.OpenXML(name, a, azureapim.Expression)
		y, err2 := patch.OpenXML(from, b, azureapim.Expression)
		if err1 != nil || err2 != nil {
			return nil
		}
		for _, d := range x.Deltas(y) {
			if d.Drop || carryable(s, strings.FieldsFunc(d.Text, marks), d.Text) {
				out = append(out, &move{file: name, from: from, xml: &d})
			}
		}
		return out
	}
	x, err1 := patch.Open(name, a)
	y, err2 := patch.Open(from, b)
	if err1 != nil || err2 != nil {
		return nil
	}
	for _, d := range x.Deltas(y) {
		if d.Drop || carryable(s, d.Words, "") && !secretAt(d.Pointer, d.Words) && !holdsSecret(patch.Plain(d.Value)) {
			out = append(out, &move{file: name, from: from, tree: &d})
		}
	}
	for _, m := range x.Missing(y) {
		if d := (&patch.Delta{Document: m, Index: -1}); carryable(s, patch.Texts(m), "") && !holdsSecret(m) {
			out = append(out, &move{file: name, from: from, tree: d})
		}
	}
	return out
}

// missing is a file that is not here: it is carried whole, next to where its neighbours are.
func missing(s *Site, there *Overlay, name string, here []string) []*move {
	if !slices.ContainsFunc(here, func(h string) bool { return path.Dir(h) == path.Dir(name) }) {
		return nil
	}
	text, err := there.Text(name)
	if err != nil || !carryable(s, strings.FieldsFunc(string(text), marks), string(text)) {
		return nil
	}
	if t, err := patch.Open(name, text); err == nil && !strings.EqualFold(path.Ext(name), ".xml") && t.Any(holdsSecret) {
		return nil
	}
	return []*move{{file: name, from: name, fresh: text}}
}

func marks(r rune) bool { return strings.ContainsRune("<>\"' \t\r\n=,;", r) }

func named(pointer string) bool {
	name := pointer[strings.LastIndexByte(pointer, '/')+1:]
	return drift.SecretName(name) && !refers(name)
}

// secretAt reports whether an entry's own name says that it is a secret.
func secretAt(pointer string, texts []string) bool {
	return len(texts) == 1 && len(texts[0]) > 2 && named(pointer) && !strings.HasPrefix(texts[0], "{vault://") && !strings.HasPrefix(texts[0], "${{")
}

// hostLike finds what names a place: an address, a path, an ARN.
var hostLike = regexp.MustCompile(`[./:-]`)

// carryable reports whether texts belong to no other tier and hold no secret.
func carryable(s *Site, texts []string, whole string) bool {
	return drift.Mask(whole) == whole && !slices.ContainsFunc(texts, func(v string) bool {
		return hostLike.MatchString(v) && s.foreign(v) || drift.Mask(v) != v
	})
}

// does says what a move is.
func (m *move) does() string {
	switch {
	case m.xml != nil && m.xml.Drop && m.xml.Attr == "":
		return "take " + m.xml.Name + " out of " + m.file
	case m.xml != nil && m.xml.Attr != "":
		return "write " + m.xml.Attr + " of " + m.xml.Name
	case m.xml != nil:
		return "write into " + m.xml.Name + " of " + m.file
	case m.tree != nil && m.tree.Document != nil:
		return "add a document to " + m.file
	case m.tree != nil && m.tree.Drop:
		return "take out " + m.tree.Pointer
	case m.tree != nil:
		return "write " + m.tree.Pointer
	}
	return "add the file " + m.file
}
