package live

import (
	"strings"

	"gatehouse/drift"
)

// masked is a value with everything in it hidden that looks like a secret, whatever its field is called.
func masked(v any) any {
	switch x := v.(type) {
	case string:
		return drift.Mask(x)
	case []any:
		for i := range x {
			x[i] = masked(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = masked(x[k])
		}
	}
	return v
}

// harmless are ends of names that speak of secrets and hold none: token_endpoint, key_names.
var harmless = []string{"endpoint", "endpoints", "name", "names", "header", "headers", "type", "types", "ttl", "method", "methods", "location", "claim", "claims", "scope", "scopes", "param", "params", "uri", "url", "enabled", "required", "ref"}

func secretive(name string) bool {
	n := strings.ToLower(name)
	for _, h := range harmless {
		if strings.HasSuffix(n, "_"+h) || n == h {
			return false
		}
	}
	return drift.SecretName(name)
}

// hidden is a value in which the contents of fields that hold secrets, by their names, are replaced.
func hidden(v any, with string) any {
	switch x := v.(type) {
	case []any:
		for i := range x {
			x[i] = hidden(x[i], with)
		}
	case map[string]any:
		for k := range x {
			if secretive(k) {
				x[k] = replaced(x[k], with)
			} else {
				x[k] = hidden(x[k], with)
			}
		}
	case string:
		return drift.Mask(x)
	}
	return v
}

// replaced keeps the shape of a value, and references to a vault.
func replaced(v any, with string) any {
	switch x := v.(type) {
	case string:
		if x == "" || strings.HasPrefix(x, "{vault://") || strings.HasPrefix(x, "{{") && strings.HasSuffix(x, "}}") {
			return x
		}
		return with
	case []any:
		for i := range x {
			x[i] = replaced(x[i], with)
		}
	case map[string]any:
		for k := range x {
			x[k] = replaced(x[k], with)
		}
	}
	return v
}
