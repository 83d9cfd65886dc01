package disk_test

import (
	"flag"
	"os"
	"testing"
)

// Each step of the property test syncs: a few of its runs at a time are enough.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		_ = f.Value.Set("15")
	}
	os.Exit(m.Run())
}
