package sqldb_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"gatehouse/store/pgtest"
)

// TestMain runs the tests, or, in a process that a test has started, what that test wants of it.
func TestMain(m *testing.M) {
	switch os.Getenv("SQLDB_TEST_CHILD") {
	case "write":
		writeUntilKilled()
	case "write-traced":
		writeTraced()
	default:
		goleak.VerifyTestMain(pgtest.Tests{M: m})
	}
}
