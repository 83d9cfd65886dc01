package sqldb_test

import (
	"context"
	"fmt"
	"os"

	"gatehouse/store/sqldb"
)

// traced is how many writes the child of the trace does.
const traced = 20

// writeTraced is the child: one write after another, each told on the file descriptor 3 once it was answered.
func writeTraced() {
	told := os.NewFile(3, "told")
	s, err := sqldb.OpenSQLite(context.Background(), os.Getenv("SQLDB_TEST_FILE"), sqldb.Options{})
	for n := 0; err == nil && n < traced; n++ {
		if _, err = told.WriteString("begin\n"); err == nil {
			err = put(s, n)
		}
		if err == nil {
			_, err = told.WriteString("answered\n")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
