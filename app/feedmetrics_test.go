package app_test

import (
	"io"
	"net/http"
	"regexp"
	"testing"
)

// The metrics of a process with a control plane tell how long each feed is, and how old its oldest entry.
func TestMetricsTellOfTheFeeds(t *testing.T) {
	at := serving(t)
	res, err := http.Get(at.Operations + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^gatehouse_feed_entries\{environment="[a-z]+",region=""\} [1-9]`, `(?m)^gatehouse_feed_oldest_seconds\{environment="[a-z]+",region=""\} [0-9]`} {
		if !regexp.MustCompile(want).Match(b) {
			t.Errorf("no %s", want)
		}
	}
}
