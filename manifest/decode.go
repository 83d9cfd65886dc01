package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder brings the nodes of one file into the types of the manifest, strictly, and notes where each thing stands.
type decoder struct {
	ds     *diagnostics
	file   string
	places map[string]place
	failed map[string]bool // pointers into the joined manifest of what could not be read: what seems to be missing may be there
}

var (
	durationType = reflect.TypeFor[Duration]()
	policyType   = reflect.TypeFor[Policy]()
	kindForm     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

func (d *decoder) bad(n *yaml.Node, at, format string, args ...any) {
	d.ds.add(d.file, n.Line, at, format, args...)
}

// manifest decodes one file and joins it to m: lists are appended.
func (d *decoder) manifest(root *yaml.Node, m *Manifest) {
	if root.Kind != yaml.MappingNode {
		d.failed[""] = true
		d.bad(root, "", "must be a mapping with names such as gatehouse, apis and products, not %s", shape(root))
		return
	}
	v := reflect.ValueOf(m).Elem()
	fields := fieldsOf(v.Type())
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		at := "/" + escape(name.Value)
		f, ok := fields.find(name.Value)
		before := d.ds.errors
		switch {
		case !ok:
			d.unknown(name, at, fields)
		case name.Value == "gatehouse":
			d.places[at] = place{d.file, name.Line, at}
			d.version(value, at, m)
		case isNull(value):
			d.bad(name, at, "has no value: give it one, or leave the line out")
		case value.Kind != yaml.SequenceNode:
			d.bad(value, at, "must be a list, not %s", shape(value))
		default:
			list := v.Field(f.index)
			if _, ok := d.places[at]; !ok {
				d.places[at] = place{d.file, name.Line, at}
			}
			for k, item := range value.Content {
				element := reflect.New(list.Type().Elem()).Elem()
				d.value(item, element, fmt.Sprintf("%s/%d", at, k), fmt.Sprintf("%s/%d", at, list.Len()))
				list.Set(reflect.Append(list, element))
			}
			continue // what is wrong with an element is its own
		}
		if d.ds.errors > before {
			d.failed[at] = true
		}
	}
}

func (d *decoder) version(n *yaml.Node, at string, m *Manifest) {
	if n.ShortTag() != "!!int" || n.Value != strconv.Itoa(Format) {
		d.bad(n, at, "must be %d, the version of the manifest's form that this build reads, not %s", Format, shape(n))
	}
	m.Gatehouse = Format // what is wrong with it has been said
}

// value decodes n, which stands at the pointer at of this file and at joined of the whole manifest.
func (d *decoder) value(n *yaml.Node, v reflect.Value, at, joined string) {
	d.places[joined] = place{d.file, n.Line, at}
	before := d.ds.errors
	defer func() {
		if d.ds.errors > before {
			d.failed[joined] = true
		}
	}()
	switch {
	case v.Type() == policyType:
		d.policy(n, v.Addr().Interface().(*Policy), at, joined)
		return
	case isNull(n):
		d.bad(n, at, "has no value: give it one, or leave the line out")
		return
	case v.Type() == durationType:
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!bool" {
			d.bad(n, at, "must be a time span such as 90d, 12h or 1m30s, not %s", shape(n))
			return
		}
		t, err := ParseDuration(n.Value)
		if err != nil {
			d.bad(n, at, "%s", err)
			return
		}
		v.SetInt(int64(t))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), at, joined)
		v.Set(p)
	case reflect.Struct:
		d.object(n, v, at, joined)
	case reflect.Slice:
		d.list(n, v, at, joined)
	case reflect.Map:
		d.dictionary(n, v, at, joined)
	default:
		d.scalar(n, v, at)
	}
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, at, joined string) {
	fields := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "must be a mapping (%s), not %s", strings.Join(fields.names(), ", "), shape(n))
		return
	}
	seen := map[int]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, below := n.Content[i], "/"+escape(n.Content[i].Value)
		f, ok := fields.find(name.Value)
		switch {
		case !ok:
			d.unknown(name, at+below, fields)
		case seen[f.index]: // said before
		default:
			seen[f.index] = true
			d.value(n.Content[i+1], v.Field(f.index), at+below, joined+below)
			d.places[joined+below] = place{d.file, name.Line, at + below}
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, at, joined string) {
	if n.Kind != yaml.SequenceNode {
		d.bad(n, at, "must be a list, not %s", shape(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		below := fmt.Sprintf("/%d", i)
		d.value(item, out.Index(i), at+below, joined+below)
	}
	v.Set(out)
}

func (d *decoder) dictionary(n *yaml.Node, v reflect.Value, at, joined string) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "must be a mapping from names, not %s", shape(n))
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, below := n.Content[i], "/"+escape(n.Content[i].Value)
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], element, at+below, joined+below)
		d.places[joined+below] = place{d.file, name.Line, at + below}
		out.SetMapIndex(reflect.ValueOf(name.Value), element)
	}
	v.Set(out)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, at string) {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		switch {
		case n.Kind != yaml.ScalarNode:
			d.bad(n, at, "must be text, not %s", shape(n))
		case tag == "!!int", tag == "!!float", tag == "!!bool", tag == "!!timestamp":
			d.bad(n, at, "must be text, not %s: put it in quotes", shape(n))
		default:
			v.SetString(n.Value)
		}
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			d.bad(n, at, "must be true or false, not %s", shape(n))
			return
		}
		v.SetBool(n.Value == "true")
	default: // int, int64
		if n.Kind != yaml.ScalarNode || tag != "!!int" {
			d.bad(n, at, "must be a whole number, not %s", shape(n))
			return
		}
		i, ok := wholeNumber(n.Value)
		if !ok || v.OverflowInt(i) {
			d.bad(n, at, "%s is not a number that fits here: write it in decimal digits", clip(n.Value))
			return
		}
		v.SetInt(i)
	}
}

// wholeNumber reads decimal digits only: 0777 and 1_000 mean different numbers to different readers.
func wholeNumber(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > 1 && digits[0] == '0' || strings.ContainsAny(digits, "_xXoObB+") {
		return 0, false
	}
	i, err := strconv.ParseInt(s, 10, 64)
	return i, err == nil
}

func (d *decoder) policy(n *yaml.Node, p *Policy, at, joined string) {
	p.Config = json.RawMessage("{}")
	var kind, value *yaml.Node
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		kind = n
	case n.Kind == yaml.MappingNode && len(n.Content) == 2:
		kind, value = n.Content[0], n.Content[1]
	case n.Kind == yaml.MappingNode && len(n.Content) > 2:
		d.bad(n, at, "must have one name, that of its kind, not %d: are the settings indented below it?", len(n.Content)/2)
		return
	default:
		d.bad(n, at, "must be a policy, such as \"- anonymous\" or \"- rate_limit: {…}\", not %s", shape(n))
		return
	}
	if !kindForm.MatchString(kind.Value) {
		d.bad(kind, at, "%q is not a name of a kind of policy: those are of lower case letters, digits and underscores", clip(kind.Value))
		return
	}
	p.Kind = kind.Value
	below := "/" + p.Kind
	d.places[joined+below] = place{d.file, kind.Line, at + below}
	switch {
	case value == nil, isNull(value):
	case value.Kind != yaml.MappingNode:
		d.bad(value, at+below, "the settings of a policy must be a mapping, not %s", shape(value))
	default:
		p.Config = d.json(nil, value, at+below, joined+below)
		d.places[joined+below] = place{d.file, kind.Line, at + below}
	}
}

// json appends the settings of a policy as JSON and notes where each of them stands.
func (d *decoder) json(out []byte, n *yaml.Node, at, joined string) []byte {
	d.places[joined] = place{d.file, n.Line, at}
	switch n.Kind {
	case yaml.MappingNode:
		out = append(out, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				out = append(out, ',')
			}
			name, below := n.Content[i], "/"+escape(n.Content[i].Value)
			out = appendString(out, name.Value)
			out = append(out, ':')
			out = d.json(out, n.Content[i+1], at+below, joined+below)
			d.places[joined+below] = place{d.file, name.Line, at + below}
		}
		return append(out, '}')
	case yaml.SequenceNode:
		out = append(out, '[')
		for i, item := range n.Content {
			if i > 0 {
				out = append(out, ',')
			}
			below := fmt.Sprintf("/%d", i)
			out = d.json(out, item, at+below, joined+below)
		}
		return append(out, ']')
	}
	j, err := scalarJSON(n)
	if err != nil {
		d.bad(n, at, "%s", err)
	}
	return append(out, j...)
}

// scalarJSON is a scalar as JSON; "null" with an error for what JSON cannot say.
func scalarJSON(n *yaml.Node) (json.RawMessage, error) {
	switch n.ShortTag() {
	case "!!null":
		return json.RawMessage("null"), nil
	case "!!bool":
		return json.RawMessage(strings.ToLower(n.Value)), nil
	case "!!int":
		if i, ok := wholeNumber(n.Value); ok {
			return strconv.AppendInt(nil, i, 10), nil
		}
		return json.RawMessage("null"), fmt.Errorf("%s is not a number that fits here: write it in decimal digits", clip(n.Value))
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return json.RawMessage("null"), fmt.Errorf("%s is not a number that can be written in JSON", clip(n.Value))
		}
		j, err := json.Marshal(f)
		return j, err
	}
	return appendString(nil, n.Value), nil
}

func appendString(out []byte, s string) []byte {
	j, err := json.Marshal(s)
	if err != nil { // a string always can be written
		panic(err)
	}
	return append(out, j...)
}

func (d *decoder) unknown(name *yaml.Node, at string, f fields) {
	text := meant(name.Value, f.names())
	if text == "" {
		text = "; known are " + strings.Join(f.names(), ", ")
	}
	d.bad(name, at, "there is no such field%s", text)
}

type field struct {
	name  string
	index int
}

type fields []field

func fieldsOf(t reflect.Type) fields {
	var out fields
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, field{name, i})
		}
	}
	return out
}

func (f fields) find(name string) (field, bool) {
	i := slices.IndexFunc(f, func(g field) bool { return g.name == name })
	if i < 0 {
		return field{}, false
	}
	return f[i], true
}

func (f fields) names() []string {
	out := make([]string, len(f))
	for i := range f {
		out[i] = f[i].name
	}
	return out
}
