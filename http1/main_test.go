package http1_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"gatehouse/http1"
)

// loops are what servers of tests have; nil: each connection is served on its goroutine.
var loops *http1.Loops

// TestMain runs all tests on goroutines, and where the kernel lets them once more on loops.
func TestMain(m *testing.M) {
	if upstream := os.Getenv(proxyFor); upstream != "" {
		serveAlone(upstream)
	}
	flag.Parse()
	code := m.Run()
	if code == 0 && flag.Lookup("test.bench").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == "" {
		code = again(m)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func again(m *testing.M) int {
	var err error
	if loops, err = http1.NewLoops(2); err != nil {
		fmt.Println("not run on loops:", err)
		return 0
	}
	defer loops.Close()
	loops.Eager = true
	fmt.Println("once more, on loops")
	return m.Run()
}
