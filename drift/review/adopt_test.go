package review_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/review"
)

func TestMove(t *testing.T) {
	a, _ := folders(t)
	dir := filepath.Join(t.TempDir(), "new")
	var out bytes.Buffer
	c := review.Command{Sources: []string{"a@prod:kong=" + a}, Now: drifttest.Now(), Out: &out}
	exit, err := c.Move(dir)
	if err != nil || exit != 3 || !strings.Contains(out.String(), "1 of 1 operations are carried over") || !strings.Contains(out.String(), "issue new ones") {
		t.Fatalf("%d %v %s", exit, err, out.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "gatehouse.yaml"))
	if err != nil || !strings.Contains(string(text), "api_key") {
		t.Errorf("%v %s", err, text)
	}
	if _, err := c.Move(dir); err == nil {
		t.Error("a folder that is not empty is written into")
	}
}
