package gateway

import (
	"strings"
	"testing"

	"gatehouse/wire"
)

// The shortcut by length leaves none of the connection's fields out.
func TestConnectionFieldsAreKnown(t *testing.T) {
	for _, name := range connectionFields {
		for _, spelt := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if !ofConnection(wire.View(spelt)) {
				t.Errorf("%s is taken for a field of the message", spelt)
			}
		}
		if ofConnection(wire.View(name + "x")) {
			t.Errorf("%sx is taken for a field of the connection", name)
		}
	}
}
