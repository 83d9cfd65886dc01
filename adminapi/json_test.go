package adminapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever passes is JSON to the standard library too, and says the same when it is written again: no name was lost.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `null`, `"a"`, `1e9`, ` {"a":[{"b":null}]} `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"A":1}`, `{"a":{"B":1}}`,
		`[1 2]`, `[1,]`, `{"a"}`, `{"a":}`, `{,}`, `{}{}`, `{} x`, "\xef\xbb\xbf{}", "\"\xff\"", `"\ud800"`, `[[[[`, `]`, `{"a":1`, strings.Repeat("[", 40) + strings.Repeat("]", 40)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkJSON(b) != "" {
			return
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%q passes, and is not JSON: %v", b, err)
		}
		if !json.Valid(b) {
			t.Fatalf("%q passes, and is not one JSON value", b)
		}
		if got, want := members(v), colons(b); got != want {
			t.Errorf("%q has %d members and %d names", b, got, want)
		}
	})
}

// members counts the members of all objects.
func members(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, m := range v {
			n += members(m)
		}
	case []any:
		for _, i := range v {
			n += members(i)
		}
	}
	return n
}

// colons counts the colons outside strings: each follows a name.
func colons(b []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case !quoted && b[i] == ':':
			n++
		}
	}
	return n
}
