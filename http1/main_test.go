package http1_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if upstream := os.Getenv(proxyFor); upstream != "" {
		serveAlone(upstream)
	}
	goleak.VerifyTestMain(m)
}
