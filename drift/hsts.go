package drift

import (
	"strconv"
	"strings"
)

// HSTSOf finds what the transformations of responses say to browsers about HTTPS: the max-age of Strict-Transport-Security.
func HSTSOf(l Leaf[[]Transform]) Leaf[int64] {
	for _, t := range l.Value {
		if t.Phase != "response" || t.Target != "header" || t.Op == "remove" || !strings.EqualFold(t.Name, "Strict-Transport-Security") {
			continue
		}
		_, rest, ok := strings.Cut(strings.ToLower(string(t.Value)), "max-age=")
		if !ok {
			return Unknown[int64]("its value is not written out", t.Origin)
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		n, err := strconv.ParseInt(rest[:end], 10, 64)
		if err != nil {
			return Unknown[int64]("its value is not a number", t.Origin)
		}
		return Leaf[int64]{Value: n, State: l.State, Origin: t.Origin, Cause: l.Cause}
	}
	if !l.Definite() {
		return Unknown[int64](l.Cause, l.Origin)
	}
	return ByDefault(int64(0))
}
