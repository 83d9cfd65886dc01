package env_test

import (
	"strings"
	"testing"

	"gatehouse/env"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"live": true, "l": true, "live-eu-1": true, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false,
		"": false, "Live": false, "1live": false, "-live": false, "li_ve": false, "live\n": false, "lïve": false, "a b": false, "../x": false,
	} {
		if err := env.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
