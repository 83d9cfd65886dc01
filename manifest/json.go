package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"

	"go.yaml.in/yaml/v4"
)

// readJSON reads one JSON text into the nodes that readYAML makes of YAML, with the same refusals.
func readJSON(ds *diagnostics, file string, data []byte) *yaml.Node {
	if line, text := badText(data); text != "" {
		ds.add(file, line, "", "%s", text)
		return nil
	}
	if n := mostNodes(data); n > 2*maxDocumentNodes {
		ds.add(file, 1, "", "is too large: it has up to %d values, more than %d", n, 2*maxDocumentNodes)
		return nil
	}
	r := jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i)
		}
	}
	root, err := r.value(0)
	if err == nil {
		if _, err = r.dec.Token(); err == io.EOF {
			return checkNodes(ds, file, root, maxDocumentNodes)
		}
		if err == nil {
			err = errors.New("something follows its end")
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("it is cut off")
	}
	ds.add(file, r.line(), "", "is not JSON: %s", err)
	return nil
}

type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	lines []int // offsets of line ends
}

func (r *jsonReader) line() int { return 1 + sort.SearchInts(r.lines, int(r.dec.InputOffset())) }

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	t, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line()}
	switch v := t.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, errors.New("it is nested too deep")
		}
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.dec.More() {
			child, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
			if n.Kind == yaml.MappingNode {
				if child, err = r.value(depth + 1); err != nil {
					return nil, err
				}
				n.Content = append(n.Content, child)
			}
		}
		_, err := r.dec.Token() // its end
		return n, err
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
		if _, ok := wholeNumber(n.Value); ok {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}
