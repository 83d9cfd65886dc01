package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
)

// Size is a number of bytes in a policy's settings: digits, or with a unit of thousands (KB, MB, GB) or of 1024s (KiB,
// MiB, GiB), such as 64KB.
type Size string

// Bytes is the size as a number.
func (s Size) Bytes() (int64, error) {
	digits := strings.TrimRight(string(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	unit, known := units[string(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit || digits[0] == '+' || digits[0] == '-' {
		return 0, fmt.Errorf("%q is not a size: write it like 64KB, 10MB or 1MiB", clip(string(s)))
	}
	return n * unit, nil
}

// UnmarshalJSON takes a bare number as well.
func (s *Size) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9') {
		*s = Size(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(s))
}

var units = map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// Duration is a time span in a policy's settings, written as Go writes it, with d for days first: 1m30s, 12h, 90d.
type Duration string

// Span is the duration as one.
func (d Duration) Span() (time.Duration, error) {
	rest, days := string(d), time.Duration(0)
	if n, after, ok := strings.Cut(rest, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, d.wrong()
		}
		days, rest = time.Duration(count)*24*time.Hour, after
	}
	if rest == "" && days > 0 {
		return days, nil
	}
	span, err := time.ParseDuration(rest)
	if err != nil || span < 0 || span > math.MaxInt64-days {
		return 0, d.wrong()
	}
	return days + span, nil
}

func (d Duration) wrong() error {
	return fmt.Errorf("%q is not a time span: write it like 30s, 1m30s, 12h or 90d", clip(string(d)))
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// strict decodes a policy's settings into its own type. What does not fit is a fault whose Fields point into it.
func strict(raw json.RawMessage, c any) error {
	if len(raw) == 0 || string(raw) == "null" {
		raw = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(c)
	var t *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &t) && t.Field == "":
		return fault.Bad("", "must be %s, not %s", kindName(t.Type), t.Value)
	case errors.As(err, &t):
		return fault.Bad("/"+strings.ReplaceAll(t.Field, ".", "/"), "must be %s, not %s", kindName(t.Type), t.Value)
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "json: unknown field "); ok {
		return fault.Bad("/"+strings.Trim(name, `"`), "there is no such setting")
	}
	return fault.Bad("", "cannot be read: %s", text)
}

// kindName says what a setting must be, without Go's words.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	}
	return "a number"
}
