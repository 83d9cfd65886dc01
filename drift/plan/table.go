package plan

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// row says where a gateway writes a setting, and what it writes there for a wanted policy. Whether it was understood rightly is what the
// proof is for: rows are tried one after the other.
type row struct {
	fields string // with spaces between
	at     string // op/…, doc/… or top/… of the operation's file; or a field and what stands beside it: tls.min:doc/…
	value  func(g Group) (any, error)
}

// gone in the place of a value takes the entry out.
type gone struct{}

// one adds an item to the front of a list.
type one struct{ item string }

// rowsOf are a gateway's rows for a field.
func rowsOf(gateway, field string) []row {
	var all []row
	switch gateway {
	case "krakend":
		all = krakendRows()
	case "tyk":
		all = append(tykRows(), tykDocumentRows()...)
	case "ingressnginx":
		all = ingressRows()
	case "envoygateway":
		all = envoyRows()
	case "traefik":
		all = traefikRows()
	case "aws":
		all = awsRows()
	}
	return slices.DeleteFunc(all, func(r row) bool { return !slices.Contains(strings.Fields(r.fields), field) })
}

// edit writes the row for a group.
func (r row) edit(s *Site, g Group) error {
	v, err := r.value(g)
	if err != nil {
		return err
	}
	if v == nil {
		return &refusal{reason: "what the other side has cannot be written here", weak: true}
	}
	for _, o := range r.places(g) {
		if s.once(o) {
			continue
		}
		t, err := s.Tree(o.File)
		if err != nil {
			return err
		}
		if _, out := v.(gone); out {
			if t.Has(o.Line, o.Pointer) {
				s.Take()
				s.Did("take out %s", o.Pointer)
				if err := t.Remove(o.Line, o.Pointer); err != nil {
					return err
				}
			}
			continue
		}
		if add, ok := v.(one); ok {
			s.Did("list %s in %s", add.item, o.Pointer)
			if err := t.Insert(o.Line, o.Pointer, 0, add.item); err != nil {
				return err
			}
			continue
		}
		if holdsSecret(v) {
			return refuse("the value holds a secret, which is not carried", "write it by hand, as a reference to a vault")
		}
		s.Did("write %s", o.Pointer)
		if err := t.Set(o.Line, o.Pointer, v); err != nil {
			return err
		}
	}
	return nil
}

// places are where the row stands for the group's operations.
func (r row) places(g Group) []drift.Origin {
	var out []drift.Origin
	add := func(o drift.Origin) {
		if !slices.ContainsFunc(out, func(p drift.Origin) bool { return p.File == o.File && p.Line == o.Line && p.Pointer == o.Pointer }) {
			out = append(out, o)
		}
	}
	field, at, beside := strings.Cut(r.at, ":")
	if !beside {
		at = r.at
	}
	from := make([]drift.Origin, 0, len(g.Operations))
	switch {
	case field == "finding" && beside:
		from = append(from, g.Origins...)
	case field == "cut" && beside && g.Have != nil:
		for _, c := range g.Have.Cuts {
			from = append(from, c.Origin)
		}
	case field == "detached" && beside:
		for _, d := range g.Env.Detached {
			from = append(from, d.Origin)
		}
	case beside && g.Have != nil:
		from = append(from, originOf(g.Have, field))
	default:
		for _, op := range g.Operations {
			from = append(from, op.Origin)
		}
	}
	for _, o := range from {
		if o.File == "" {
			continue
		}
		base, rest, _ := strings.Cut(at, "/")
		switch base {
		case "op":
			o.Pointer += "/" + rest
		case "doc":
			o.Pointer = "/" + rest
		case "top":
			o.Pointer, o.Line = "/"+rest, 0
		case "up2":
			o.Pointer = above(above(o.Pointer)) + "/" + rest
		case "up": // beside the value itself
			o.Pointer = above(o.Pointer) + "/" + rest
		}
		add(o)
	}
	return out
}

func above(pointer string) string { return pointer[:max(0, strings.LastIndexByte(pointer, '/'))] }

// originOf is where a leaf of a policy stands.
func originOf(p *drift.Policy, field string) drift.Origin {
	var out drift.Origin
	p.Facts(func(n string, l drift.Fact) {
		if n == field && out.File == "" {
			_, out, _ = l.How()
		}
	})
	return out
}

// is writes a value whatever the other side has; the proof sees to it that it is what was wanted.
func is(v any) func(Group) (any, error) { return func(Group) (any, error) { return v, nil } }

// amount writes a wanted number in a form.
func amount(leaf func(*drift.Policy) drift.Leaf[int64], safe int64, form func(int64) any) func(Group) (any, error) {
	return func(g Group) (any, error) {
		n, err := wanted(g, leaf, safe)
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return nil, refuse("the other side has no bound", "")
		}
		return form(n), nil
	}
}

func whole(n int64) any   { return n }
func seconds(n int64) any { return strconv.FormatInt(n, 10) + "s" }
func millis(n int64) any  { return strconv.FormatInt(n, 10) + "ms" }
func digits(n int64) any  { return strconv.FormatInt(n, 10) }

// words writes a wanted list, when it belongs to nobody else.
func words(leaf func(*drift.Policy) drift.Leaf[[]string], form func([]string) any) func(Group) (any, error) {
	return func(g Group) (any, error) {
		list, err := wanted(g, leaf, nil)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, refuse("the other side has no such list", "")
		}
		s := &Site{Env: g.Env}
		if _, err := s.own(list); err != nil {
			return nil, err
		}
		return form(list), nil
	}
}

func asList(list []string) any  { return patch.Strings(list) }
func asFirst(list []string) any { return list[0] }
func asText(list []string) any  { return strings.Join(list, ",") }

// tokenWords is words for a leaf of a token's requirement.
func tokenWords(leaf func(*drift.JWT) drift.Leaf[[]string], form func([]string) any) func(Group) (any, error) {
	return words(func(p *drift.Policy) drift.Leaf[[]string] {
		if j := token(p); j != nil {
			return leaf(j)
		}
		return drift.ByDefault([]string(nil))
	}, form)
}

// tokenAmount is amount for a leaf of a token's requirement.
func tokenAmount(leaf func(*drift.JWT) drift.Leaf[int64], safe int64, form func(int64) any) func(Group) (any, error) {
	return amount(func(p *drift.Policy) drift.Leaf[int64] {
		if j := token(p); j != nil {
			return leaf(j)
		}
		return drift.ByDefault(safe)
	}, safe, form)
}

// firstRate writes something about the first limit that the other side has.
func firstRate(form func(r drift.Rate) any) func(Group) (any, error) {
	return func(g Group) (any, error) {
		if g.Want == nil || !g.Want.Rates.Known() || len(g.Want.Rates.Value) == 0 {
			return nil, refuse("the other side has no limit that is known", "")
		}
		r := g.Want.Rates.Value[0]
		if !r.Count.Known() || !r.Window.Known() {
			return nil, refuse("the other side's limit is not known", "give the review what it lacks, and plan again")
		}
		if v := form(r); v != nil {
			return v, nil
		}
		return nil, refuse("the other side's limit has a window or a key that "+g.Env.Gateway+" cannot express", "limit at the edge, or agree on a window of a second, a minute or an hour on both sides")
	}
}

// every is a window as a duration.
func every(n int64) string {
	switch {
	case n%3600 == 0:
		return strconv.FormatInt(n/3600, 10) + "h"
	case n%60 == 0:
		return strconv.FormatInt(n/60, 10) + "m"
	}
	return strconv.FormatInt(n, 10) + "s"
}

func hsts(p *drift.Policy) drift.Leaf[int64]           { return p.TLS.HSTS }
func readTimeout(p *drift.Policy) drift.Leaf[int64]    { return p.Limits.Read }
func connectTimeout(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Connect }
func bodyBytes(p *drift.Policy) drift.Leaf[int64]      { return p.Limits.Body }
func retries(p *drift.Policy) drift.Leaf[int64]        { return p.Limits.Retries }
func ciphers(p *drift.Policy) drift.Leaf[[]string]     { return p.TLS.Ciphers }
func allowed(p *drift.Policy) drift.Leaf[[]string]     { return p.IP.Allow }
func denied(p *drift.Policy) drift.Leaf[[]string]      { return p.IP.Deny }
func origins(p *drift.Policy) drift.Leaf[[]string]     { return p.CORS.Origins }
func corsMethods(p *drift.Policy) drift.Leaf[[]string] { return p.CORS.Methods }
func corsHeaders(p *drift.Policy) drift.Leaf[[]string] { return p.CORS.Headers }
func anchors(p *drift.Policy) drift.Leaf[[]string]     { return p.TLS.CAs }
func innerCAs(p *drift.Policy) drift.Leaf[[]string]    { return p.Upstream.CAs }

func issuers(j *drift.JWT) drift.Leaf[[]string]    { return j.Issuers }
func audiences(j *drift.JWT) drift.Leaf[[]string]  { return j.Audiences }
func algorithms(j *drift.JWT) drift.Leaf[[]string] { return j.Algorithms }
func skew(j *drift.JWT) drift.Leaf[int64]          { return j.Skew }

// version writes the least version of TLS as a gateway spells it.
func version(leaf func(*drift.Policy) drift.Leaf[string], spell func(string) any) func(Group) (any, error) {
	return func(g Group) (any, error) {
		v, err := wanted(g, leaf, "1.2")
		if err != nil || v != "1.2" && v != "1.3" {
			return nil, err
		}
		return spell(v), nil
	}
}

func outerMin(p *drift.Policy) drift.Leaf[string] { return p.TLS.Min }
func innerMin(p *drift.Policy) drift.Leaf[string] { return p.Upstream.Min }

// verbosity is how much is logged, in a gateway's own words.
func verbosity(info, err string) func(Group) (any, error) {
	return func(g Group) (any, error) {
		v, e := wanted(g, func(p *drift.Policy) drift.Leaf[string] { return p.Diag.Verbosity }, "information")
		switch {
		case e != nil:
			return nil, e
		case v == "error":
			return err, nil
		}
		return info, nil
	}
}

// claimed writes the values of the claims that the other side asks for, of those with the names.
func claimed(form func([]string) any, names ...string) func(Group) (any, error) {
	return func(g Group) (any, error) {
		j := token(g.Want)
		if j == nil || !j.Claims.Known() {
			return nil, refuse("what the other side asks of tokens is not known", "")
		}
		for _, c := range j.Claims.Value {
			if slices.Contains(names, c.Name) && len(c.Values) > 0 {
				return form(c.Values), nil
			}
		}
		return nil, refuse("the other side asks for a claim that "+g.Env.Gateway+" does not check", "check it in the upstream")
	}
}
