package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gatehouse/manifest"
	"gatehouse/policy"
)

// writer writes the page.
type writer struct {
	strings.Builder
	sources sources
	done    map[reflect.Type]bool
	err     error
}

const opening = `# The manifest

<!-- Written by "go run ./manifest/reference > docs/manifest.md" from the types that read the manifest. Change those. -->

A manifest is a folder of YAML files. All *.yaml and *.yml files of the folder itself are read in the order of their names
and their lists are joined: how a manifest is cut into files means nothing. OpenAPI documents lie in the folder, too, or in
folders below it, and are read when an API names them. Nothing outside of the folder is read, and nothing is fetched.

` + "`gatehouse check DIR`" + ` says everything that is wrong, with file, line and pointer; ` + "`gatehouse publish DIR --env NAME`" + ` makes a
revision of it, or refuses it whole. What is not listed here is an error, so a misspelt name is never silently ignored.

## The shortest one that works

` + "```yaml\n" + shortest + "```" + `

## How values are written

| value | written |
|---|---|
| name | up to 63 lower case ASCII letters, digits and hyphens, a letter first; of environments up to 32. Titles may be in any script |
| text | plain or in quotes; what looks like a number, a date or true needs quotes |
| time span | as Go writes it, with days: ` + "`90d`, `12h`, `1m30s`, `1d12h`" + ` |
| size | bytes, or with a unit: ` + "`64KB` and `10MB` count in thousands, `64KiB` and `10MiB` in 1,024s" + ` |
| scope | up to 100 ASCII letters, digits and signs without spaces, quotes and backslashes |
| address | ` + "`http://` or `https://`" + `, a host, perhaps a port; no path, no user name |

Each file is UTF-8 without a byte order mark and holds one YAML document. Names must be unique in their mapping. Anchors and
aliases may be used; merging (<<) and tags of one's own may not. A manifest has at most 16 MiB with its documents.
`

// shortest is a manifest that parses, with the document shortestDocument beside it: a test sees to it.
const shortest = `gatehouse: 1
environments:
  - name: live
upstreams:
  - name: eid
    targets: ["http://127.0.0.1:8009"]
apis:
  - name: eid
    openapi: openapi.yaml
    path: /eid/v1
    upstream: eid
    policies: [api_key, grant, rate_limit]
products:
  - name: verification
    scopes: { "verifications:read": Read verifications. }
    operations: [{ api: eid }]
    plans:
      - name: standard
        limits: [{ requests: 10, per: 1s }]
        longest: 365d
`

const documents = `
## OpenAPI documents

Documents of OpenAPI 3.0, 3.1 and 3.2 are read, in YAML or JSON. Everything must be in the one document: references to other
files and addresses are errors, as are references that lead nowhere or in a circle, an operationId that stands twice, and
paths that are the same but for the names of their parameters. Operations without an operationId are named by method and
path, such as ` + "`GET /health`" + `. What OpenAPI does not know, and what the gateway can do without, is a warning.

The scopes of an operation are those of its security requirements. Where alternatives ask for different ones, a grant must
hold all of them, unless the manifest gives the operation scopes of its own. An operation that the document opens
(` + "`security: []`" + `) still needs the policy anonymous, said aloud; ` + "`gatehouse check`" + ` warns where the two do not agree.
`

// reference is the whole page, from the sources below root.
func reference(root string, kinds []policy.Kind) ([]byte, error) {
	w := &writer{sources: sources{root, map[string]*source{}}, done: map[reflect.Type]bool{}}
	if _, err := os.Stat(filepath.Join(root, "manifest", "manifest.go")); err != nil {
		return nil, fmt.Errorf("run it in the project's folder: %w", err)
	}
	w.WriteString(opening)
	w.object("Fields of a file", reflect.TypeFor[manifest.Manifest](), 2)
	w.WriteString(documents)
	w.WriteString("\n## Policies\n\n")
	w.WriteString("A policy is the name of its kind, ` - anonymous`, or its name with settings, ` - rate_limit: {…}`. Policies run in fixed phases\n" +
		"(admit, authenticate, authorize, limit, rewrite, then the upstream, then respond), whatever their order in the file. A route\n" +
		"without a policy of the phase authenticate does not compile. Those of an operation take the place of the API's of the same\n" +
		"kind; `remove` names kinds that the operation goes without.\n")
	for _, k := range kinds {
		w.kind(k)
	}
	return []byte(w.String()), w.err
}

// object writes one type as a table, then the types that it names, once each.
func (w *writer) object(heading string, t reflect.Type, level int) {
	if w.done[t] || w.err != nil {
		return
	}
	w.done[t] = true
	src, err := w.sources.of(t.PkgPath())
	if err != nil {
		w.err = err
		return
	}
	fmt.Fprintf(w, "\n%s %s\n\n", strings.Repeat("#", level), heading)
	if text := src.types[t.Name()]; text != "" {
		w.WriteString(sentence(text, t.Name(), heading) + "\n\n")
	}
	w.table(t, src)
	for i := range t.NumField() {
		if _, s := written(t.Field(i).Type); s != nil {
			name := words(s.Name())
			w.object(strings.ToUpper(name[:1])+name[1:], s, 3)
		}
	}
}

func (w *writer) table(t reflect.Type, src *source) {
	w.WriteString("| field | written as | meaning |\n|---|---|---|\n")
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		text := src.fields[t.Name()+"."+f.Name]
		if text == "" {
			w.err = fmt.Errorf("%s.%s.%s has no comment: it is what the reference says of the field", t.PkgPath(), t.Name(), f.Name)
			return
		}
		form, _ := written(f.Type)
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", name, form, cell(text))
	}
}

func (w *writer) kind(k policy.Kind) {
	if w.err != nil {
		return
	}
	fmt.Fprintf(w, "\n### `%s`\n\nPhase: %s. %s\n", k.Name, k.Phase, k.Doc)
	t := reflect.TypeOf(k.New()).Elem()
	if t.Kind() != reflect.Struct || t.NumField() == 0 {
		w.WriteString("\nIt has no settings.\n")
		return
	}
	src, err := w.sources.of(t.PkgPath())
	if err != nil {
		w.err = err
		return
	}
	w.WriteString("\n")
	w.table(t, src)
	w.parts(t, src, map[reflect.Type]bool{t: true})
}

// parts writes the types that settings name, each below its own line: their names are not unique over the kinds.
func (w *writer) parts(t reflect.Type, src *source, done map[reflect.Type]bool) {
	for i := range t.NumField() {
		_, s := written(t.Field(i).Type)
		if s == nil || done[s] {
			continue
		}
		done[s] = true
		fmt.Fprintf(w, "\n%s\n\n", cell(src.types[s.Name()]))
		w.table(s, src)
		w.parts(s, src, done)
	}
}

// sentence is a comment without the Go name that it begins with, which is the heading.
func sentence(text, name, heading string) string {
	if rest, ok := strings.CutPrefix(text, name+" "); ok && name != "Manifest" {
		return "*" + heading + "* " + rest
	}
	return text
}

// cell makes text fit for a cell of a table.
func cell(s string) string {
	s = strings.ReplaceAll(s, "|", `\|`)
	if s != "" && !strings.HasPrefix(s, "http") {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}
