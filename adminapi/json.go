package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested; ours needs four.
const maxDepth = 32

// checkJSON says why the bytes are not exactly one JSON value that every reader reads alike; "" when they are. A name that
// stands twice in an object means the first to one reader and the last to another.
func checkJSON(b []byte) string {
	if !utf8.Valid(b) {
		return "it is not UTF-8"
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return fmt.Sprintf("%s, at byte %d", strings.TrimPrefix(err.Error(), "json: "), d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Sprintf("something follows after its end, at byte %d", d.InputOffset())
	}
	return ""
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return errors.New("it ends too early")
	}
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, ok := t.(string)
			switch {
			case !ok:
				return errors.New("a name must be a string")
			case seen[name]:
				return fmt.Errorf("the name %.60q stands twice in one object", name)
			case depth == 0 && name != strings.ToLower(name):
				return fmt.Errorf("there is no property %.60q: all are written in lower case", name)
			}
			seen[name] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the end of the object or array
	if errors.Is(err, io.EOF) {
		return errors.New("it ends too early")
	}
	return err
}
