package review_test

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/review"
)

// What takes longer than a second says how far it is, on the side; what does not is silent.
func TestProgressIsToldAfterASecond(t *testing.T) {
	deck := fstest.MapFS{"kong.yaml": {Data: []byte("_format_version: \"3.0\"\nservices:\n- {name: orders, url: \"https://orders.example.com\", routes: [{name: get, methods: [GET], paths: [/orders]}]}\n")}}
	for _, c := range []struct {
		takes time.Duration
		want  string
	}{{0, ""}, {1100 * time.Millisecond, "reading 2 of 2: b\n"}} {
		var out, said bytes.Buffer
		r := review.Command{Sources: []string{"a@prod:kong=https://a.example.com", "b@prod:kong=https://b.example.com"}, Now: time.Now(), Out: &out, Progress: &said,
			Live: func(_, address string) (fs.FS, []drift.Problem, error) {
				if strings.Contains(address, "a.example.com") {
					time.Sleep(c.takes)
				}
				return deck, nil, nil
			}}
		if _, err := r.Compare(); err != nil {
			t.Fatal(err)
		}
		if got := said.String(); got != c.want || strings.Contains(out.String(), "reading") {
			t.Errorf("of one that takes %v it says %q, want %q", c.takes, got, c.want)
		}
	}
}
