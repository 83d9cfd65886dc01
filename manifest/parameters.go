package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

var statusForm = regexp.MustCompile(`^([1-5][0-9][0-9]|[1-5]XX|default)$`)

// parameters reads the parameters of an operation; those of its path come first, unless it has its own of that name.
func (r *openapi) parameters(n *yaml.Node, at string, shared []*yaml.Node, names []string, key *yaml.Node) []Parameter {
	var out []Parameter
	index := map[string]int{}
	take := func(list []*yaml.Node, at string) {
		mine := map[string]bool{}
		for i, item := range list {
			below := fmt.Sprintf("%s/parameters/%d", at, i)
			p, ok := r.parameter(item, below, names)
			if !ok {
				continue
			}
			id := p.In + " " + p.Name
			if mine[id] {
				r.bad(item, below, "the parameter %s (%s) stands twice", clip(p.Name), p.In)
				continue
			}
			mine[id] = true
			if k, ok := index[id]; ok {
				out[k] = p
				continue
			}
			index[id] = len(out)
			out = append(out, p)
		}
	}
	take(shared, at[:strings.LastIndexByte(at, '/')])
	take(r.list(n, at, "parameters"), at)
	for _, name := range names {
		if _, ok := index["path "+name]; !ok {
			r.warn(key, at, "the parameter {%s} of the path is not described", clip(name))
			out = append(out, Parameter{Name: name, In: "path", Type: "string", Required: true})
		}
	}
	return out
}

func (r *openapi) parameter(item *yaml.Node, at string, names []string) (Parameter, bool) {
	n, _, ok := r.refs.follow(item, at)
	if !ok {
		return Parameter{}, false
	}
	if n.Kind != yaml.MappingNode {
		r.bad(item, at, "must be a mapping, not %s", shape(n))
		return Parameter{}, false
	}
	p := Parameter{Name: r.text(n, at, "name"), In: r.text(n, at, "in"), Description: r.text(n, at, "description"), Required: r.flag(n, at, "required")}
	switch {
	case p.Name == "":
		r.bad(n, at, "the parameter needs a name")
		return p, false
	case !slices.Contains([]string{"path", "query", "header", "cookie", "querystring"}, p.In):
		r.bad(n, at+"/in", "must be path, query, header or cookie, not %q", clip(p.In))
		return p, false
	case p.In == "path" && !p.Required:
		r.warn(n, at+"/required", "a parameter of the path is always required: say so")
		p.Required = true
	case p.In == "path" && !slices.Contains(names, p.Name):
		r.warn(n, at, "the path has no parameter {%s}", clip(p.Name))
	}
	schema, _ := get(n, "schema")
	below := at + "/schema"
	if schema == nil {
		if content := r.object(n, at, "content"); content != nil && len(content.Content) == 2 {
			schema, _ = get(content.Content[1], "schema")
			below = at + "/content/" + escape(content.Content[0].Value) + "/schema"
		}
	}
	s := r.models.of(schema, below)
	p.Type = s.Type
	p.Example = r.oneLine(n, schema, at)
	return p, true
}

func (r *openapi) requestBody(item *yaml.Node, at string) *Body {
	n, _, ok := r.refs.follow(item, at)
	if !ok {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.bad(item, at, "must be a mapping, not %s", shape(n))
		return nil
	}
	content := r.object(n, at, "content")
	if content == nil {
		r.warn(n, at, "the body needs content: what media types it may have")
		return nil
	}
	bodies := r.bodies(content, at+"/content")
	if len(bodies) == 0 {
		return nil
	}
	b := bodies[0]
	if i := slices.IndexFunc(bodies, func(b Body) bool { return isJSON(b.MediaType) }); i >= 0 {
		b = bodies[i]
	}
	b.Required = r.flag(n, at, "required")
	return &b
}

func (r *openapi) responses(key, n *yaml.Node, at string) []Response {
	list := r.object(n, at, "responses")
	if list == nil {
		r.warn(key, at, "the operation describes no responses")
		return nil
	}
	var out []Response
	for i := 0; i+1 < len(list.Content); i += 2 {
		status, item := list.Content[i], list.Content[i+1]
		below := at + "/responses/" + escape(status.Value)
		if strings.HasPrefix(status.Value, "x-") {
			continue
		}
		if !statusForm.MatchString(status.Value) {
			r.bad(status, below, "%q is not a status: write \"200\", 4XX or default", clip(status.Value))
			continue
		}
		t, _, ok := r.refs.follow(item, below)
		if !ok {
			continue
		}
		if t.Kind != yaml.MappingNode {
			r.bad(item, below, "must be a mapping, not %s", shape(t))
			continue
		}
		a := Response{Status: status.Value, Description: cmp.Or(r.text(t, below, "description"), r.text(t, below, "summary"))}
		if content := r.object(t, below, "content"); content != nil {
			a.Bodies = r.bodies(content, below+"/content")
		}
		out = append(out, a)
	}
	return out
}

func (r *openapi) bodies(content *yaml.Node, at string) []Body {
	var out []Body
	for i := 0; i+1 < len(content.Content); i += 2 {
		media, below := content.Content[i].Value, at+"/"+escape(content.Content[i].Value)
		n, _, ok := r.refs.follow(content.Content[i+1], below)
		if !ok {
			continue
		}
		if n.Kind != yaml.MappingNode {
			r.bad(content.Content[i+1], below, "must be a mapping, not %s", shape(n))
			continue
		}
		b := Body{MediaType: media}
		schema, _ := get(n, "schema")
		if schema != nil {
			b.Schema = r.models.of(schema, below+"/schema")
		}
		if isJSON(media) {
			b.Example = r.example(n, schema, below)
		}
		out = append(out, b)
	}
	return out
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.TrimSpace(media)
	return media == "application/json" || strings.HasSuffix(media, "+json")
}
