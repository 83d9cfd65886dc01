package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// object is one kind of object of OpenAPI: its fields, each with what it holds. "text", "flag", "list of X", "map of X", the
// name of another object, or "any". A field with ! must be there. Schemas have fields of their own choice (open).
type object struct {
	fields map[string]string
	open   bool // other names may stand in it
	named  string
}

// object makes a kind of object from "field:what" words; "list-X" and "map-X" hold others.
func objectOf(text string) object {
	o := object{fields: map[string]string{}}
	for word := range strings.FieldsSeq(text) {
		name, what, _ := strings.Cut(word, ":")
		o.fields[name] = cmp.Or(what, "any")
	}
	return o
}

// grammar is the objects of OpenAPI 3.0 to 3.2 by name. It is for finding what is misspelt or in the wrong place: what the
// gateway needs is checked where it is read.
func grammar() map[string]object {
	g := map[string]object{
		"root":       objectOf("openapi! info! jsonSchemaDialect servers:list-server paths:paths webhooks:map-path components:components security tags:list-tag externalDocs:docs $self"),
		"info":       objectOf("title! summary description termsOfService contact:contact license:license version!"),
		"contact":    objectOf("name url email"),
		"license":    objectOf("name! identifier url"),
		"server":     objectOf("url! description name variables:map-variable"),
		"variable":   objectOf("enum:list-any default! description"),
		"tag":        objectOf("name! summary description externalDocs:docs parent kind"),
		"docs":       objectOf("description url!"),
		"components": objectOf("schemas:map-schema responses:map-response parameters:map-parameter examples:map-example requestBodies:map-body headers:map-header securitySchemes:map-scheme links:map-link callbacks:map-callback pathItems:map-path mediaTypes:map-media"),
		"path":       objectOf("$ref summary description servers:list-server parameters:list-parameter additionalOperations:map-operation " + strings.Join(methods, ":operation ") + ":operation"),
		"operation":  objectOf("tags summary description externalDocs:docs operationId parameters:list-parameter requestBody:body responses:responses callbacks:map-callback deprecated security servers:list-server"),
		"parameter":  objectOf("name in description required deprecated allowEmptyValue style explode allowReserved schema:schema example examples:map-example content:map-media"),
		"header":     objectOf("description required deprecated style explode schema:schema example examples:map-example content:map-media"),
		"body":       objectOf("description content!:map-media required"),
		"media":      objectOf("description schema:schema itemSchema:schema example examples:map-example encoding:map-encoding prefixEncoding:list-encoding itemEncoding:encoding"),
		"encoding":   objectOf("contentType headers:map-header style explode allowReserved encoding:map-encoding prefixEncoding:list-encoding itemEncoding:encoding"),
		"response":   objectOf("summary description headers:map-header content:map-media links:map-link"),
		"example":    objectOf("summary description value externalValue dataValue serializedValue"),
		"link":       objectOf("operationRef operationId parameters requestBody description server:server"),
		"scheme":     objectOf("type! description name in scheme bearerFormat flows:flows openIdConnectUrl oauth2MetadataUrl deprecated"),
		"flows":      objectOf("implicit:flow password:flow clientCredentials:flow authorizationCode:flow deviceAuthorization:flow"),
		"flow":       objectOf("authorizationUrl deviceAuthorizationUrl tokenUrl refreshUrl scopes!"),
		"xml":        objectOf("name namespace prefix attribute wrapped nodeType"),
		"paths":      {open: true, named: "path"},
		"responses":  {open: true, named: "response"},
		"callback":   {open: true, named: "path"},
		"schema": {open: true, fields: objectOf("properties:map-schema patternProperties:map-schema $defs:map-schema definitions:map-schema dependentSchemas:map-schema " +
			"items:schema additionalProperties:schema contains:schema not:schema if:schema then:schema else:schema propertyNames:schema " +
			"unevaluatedItems:schema unevaluatedProperties:schema allOf:list-schema anyOf:list-schema oneOf:list-schema prefixItems:list-schema xml:xml externalDocs:docs").fields},
	}
	for name, o := range g {
		for f, what := range o.fields {
			if bare, ok := strings.CutSuffix(f, "!"); ok {
				delete(o.fields, f)
				o.fields[bare] = "!" + what
			}
		}
		g[name] = o
	}
	return g
}

// structure walks the whole document beside the grammar and warns about what does not fit.
type structure struct {
	*openapi
	grammar map[string]object
}

var componentForm = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func (s *structure) walk(n *yaml.Node, at, kind string) {
	if n.Kind != yaml.MappingNode {
		flag := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool"
		if kind != "any" && !(kind == "schema" && flag) {
			s.warn(n, at, "must be a mapping, not %s", shape(n))
		}
		return
	}
	if ref, _ := get(n, "$ref"); ref != nil && kind != "path" && kind != "schema" {
		return
	}
	o := s.grammar[kind]
	names := []string(nil)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		below := at + "/" + escape(key.Value)
		what, known := o.fields[key.Value]
		switch {
		case strings.HasPrefix(key.Value, "x-") && kind != "schema":
		case known:
			s.hold(v, below, strings.TrimPrefix(what, "!"))
		case o.named != "":
			s.walk(v, below, o.named)
		case !o.open:
			if names == nil {
				names = fieldNames(o)
			}
			s.warn(key, below, "is no field of OpenAPI here%s", meant(key.Value, names))
		}
	}
	for _, f := range fieldNames(o) {
		if strings.HasPrefix(o.fields[f], "!") && kind != "root" && kind != "info" {
			if v, _ := get(n, f); v == nil {
				s.warn(n, at+"/"+f, "is missing")
			}
		}
	}
	if rule := rules[kind]; rule != nil {
		if text := rule(n, s.minor); text != "" {
			s.warn(n, at, "%s", text)
		}
	}
}

func fieldNames(o object) []string {
	out := make([]string, 0, len(o.fields))
	for f := range o.fields {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// hold walks the value of a field.
func (s *structure) hold(v *yaml.Node, at, what string) {
	form, of, _ := strings.Cut(what, "-")
	switch form {
	case "any":
	case "list":
		if v.Kind != yaml.SequenceNode {
			s.warn(v, at, "must be a list, not %s", shape(v))
			return
		}
		for i, item := range v.Content {
			if of != "any" {
				s.walk(item, at+"/"+strconv.Itoa(i), of)
			}
		}
	case "map":
		if v.Kind != yaml.MappingNode {
			s.warn(v, at, "must be a mapping, not %s", shape(v))
			return
		}
		inComponents := strings.HasPrefix(at, "/components/") && strings.Count(at, "/") == 2
		for i := 0; i+1 < len(v.Content); i += 2 {
			key := v.Content[i]
			if inComponents && !componentForm.MatchString(key.Value) {
				s.warn(key, at+"/"+escape(key.Value), "is no name of a component: use letters, digits, dots, hyphens and underscores")
			}
			if of == "header" && !headerForm.MatchString(key.Value) {
				s.warn(key, at+"/"+escape(key.Value), "is no name of a header field")
			}
			s.walk(v.Content[i+1], at+"/"+escape(key.Value), of)
		}
	default:
		s.walk(v, at, what)
	}
}

// has reports whether the mapping has the field.
func has(n *yaml.Node, name string) bool {
	v, _ := get(n, name)
	return v != nil
}

// apart is a text when fields that exclude each other stand together.
func apart(n *yaml.Node, one string, others ...string) string {
	for _, o := range others {
		if has(n, one) && has(n, o) {
			return fmt.Sprintf("%s and %s exclude each other", one, o)
		}
	}
	return ""
}

// rules is what kinds of objects want beyond their fields.
var rules = map[string]func(n *yaml.Node, minor string) string{
	"root": func(n *yaml.Node, _ string) string {
		if !has(n, "paths") && !has(n, "components") && !has(n, "webhooks") {
			return "one of paths, components and webhooks must be there"
		}
		return ""
	},
	"license": func(n *yaml.Node, _ string) string { return apart(n, "identifier", "url") },
	"variable": func(n *yaml.Node, _ string) string {
		if v, _ := get(n, "enum"); v != nil && v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
			return "enum is empty"
		}
		return ""
	},
	"example": func(n *yaml.Node, _ string) string {
		return cmp.Or(apart(n, "value", "externalValue", "dataValue", "serializedValue"), apart(n, "serializedValue", "externalValue"))
	},
	"media": func(n *yaml.Node, _ string) string {
		return cmp.Or(apart(n, "example", "examples"), apart(n, "encoding", "prefixEncoding", "itemEncoding"))
	},
	"encoding": func(n *yaml.Node, _ string) string { return apart(n, "encoding", "prefixEncoding", "itemEncoding") },
	"link":     func(n *yaml.Node, _ string) string { return apart(n, "operationRef", "operationId") },
	"xml":      func(n *yaml.Node, _ string) string { return apart(n, "nodeType", "attribute", "wrapped") },
	"header":   func(n *yaml.Node, _ string) string { return carries(n) },
	"parameter": func(n *yaml.Node, minor string) string {
		in, _ := get(n, "in")
		name, _ := get(n, "name")
		switch {
		case in == nil || name == nil:
		case has(n, "allowReserved") && !mayReserve(n, in.Value, minor):
			return "allowReserved is not for parameters of that kind"
		case in.Value == "querystring" && !has(n, "content"):
			return "a parameter that is the whole query needs content"
		case in.Value == "header" && !headerForm.MatchString(name.Value):
			return "its name is no name of a header field"
		case in.Value == "path" && strings.ContainsAny(name.Value, "{}"):
			return "its name holds braces"
		}
		return carries(n)
	},
	"path":      func(n *yaml.Node, _ string) string { return wholeQuery(n) },
	"operation": func(n *yaml.Node, _ string) string { return wholeQuery(n) },
}

// mayReserve reports whether reserved characters may stand in a parameter as they are.
func mayReserve(n *yaml.Node, in, minor string) bool {
	style, _ := get(n, "style")
	return in == "query" || minor == "3.2" && (in == "path" || in == "cookie" && (style == nil || style.Value == "form"))
}

// carries is what a parameter or header wants of the fields that say what it holds.
func carries(n *yaml.Node) string {
	content, _ := get(n, "content")
	switch {
	case content == nil && !has(n, "schema"):
		return "one of schema and content must be there"
	case content != nil && content.Kind == yaml.MappingNode && len(content.Content) != 2:
		return "content must have one media type"
	}
	return cmp.Or(apart(n, "content", "schema", "style", "explode"), apart(n, "example", "examples"))
}

// wholeQuery is what a parameter that is the whole query wants of those beside it.
func wholeQuery(n *yaml.Node) string {
	list, _ := get(n, "parameters")
	if list == nil || list.Kind != yaml.SequenceNode {
		return ""
	}
	count := map[string]int{}
	for _, p := range list.Content {
		if in, _ := get(p, "in"); in != nil {
			count[in.Value]++
		}
	}
	if q := count["querystring"]; q > 1 || q == 1 && count["query"] > 0 {
		return "a parameter that is the whole query stands alone"
	}
	return ""
}
