package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode"
)

// source is the comments of one package, by type and field.
type source struct {
	types  map[string]string
	fields map[string]string // "Type.Field"
}

// sources reads packages of the house from the project's folder.
type sources struct {
	root string
	read map[string]*source
}

// of is the comments of the package with that import path.
func (s *sources) of(path string) (*source, error) {
	if p := s.read[path]; p != nil {
		return p, nil
	}
	dir := filepath.Join(s.root, filepath.FromSlash(strings.TrimPrefix(path, "gatehouse/")))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	p := &source{map[string]string{}, map[string]string{}}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				p.take(d)
			}
			return true
		})
	}
	s.read[path] = p
	return p, nil
}

func (p *source) take(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		t := spec.(*ast.TypeSpec)
		text := t.Doc.Text()
		if text == "" {
			text = d.Doc.Text()
		}
		p.types[t.Name.Name] = oneLine(text)
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			text := f.Comment.Text()
			if text == "" {
				text = f.Doc.Text()
			}
			for _, name := range f.Names {
				p.fields[t.Name.Name+"."+name.Name] = oneLine(text)
			}
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// written is how a value of the type is written in YAML, and the struct of the house that is behind it, if any.
func written(t reflect.Type) (string, reflect.Type) {
	switch {
	case t.Kind() == reflect.Pointer:
		return written(t.Elem())
	case t.Name() == "Duration":
		return "time span", nil
	case t.Name() == "Size":
		return "size", nil
	case t.Name() == "Policy":
		return "[policy](#policies)", nil
	}
	switch t.Kind() {
	case reflect.String:
		return "text", nil
	case reflect.Bool:
		return "true or false", nil
	case reflect.Int, reflect.Int64:
		return "number", nil
	case reflect.Slice:
		of, s := written(t.Elem())
		return "list of " + of, s
	case reflect.Map:
		of, s := written(t.Elem())
		return "mapping from names to " + of, s
	case reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", words(t.Name()), anchor(words(t.Name()))), t
	}
	return t.String(), nil
}

// words makes words of a Go name: UpstreamOverride is "upstream override", ProductAPI "product API".
func words(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(runes[i-1]) {
			b.WriteByte(' ')
		}
		if unicode.IsUpper(r) && (i+1 == len(runes) || !unicode.IsLower(runes[i+1])) || i > 0 && unicode.IsUpper(runes[i-1]) && unicode.IsUpper(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func anchor(heading string) string {
	return strings.ToLower(strings.ReplaceAll(heading, " ", "-"))
}
