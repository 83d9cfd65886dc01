package http1_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/http1"
	"gatehouse/http1/rawtest"
)

var update = flag.Bool("update", false, "write what was found as what is wanted, to be read before it is committed")

// vectors returns the folder with test data of others. Where it is missing, the test is skipped, and fails in CI.
func vectors(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("GATEHOUSE_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the vectors are missing: %v", err)
		}
		t.Skipf("the vectors are missing: %v (set GATEHOUSE_VECTORS)", err)
	}
	return path
}

// Every message of the corpora is refused, or forwarded with one reading. The verdicts are kept beside the test, so
// that a change of one is seen.
func TestSmugglingCorpora(t *testing.T) {
	path := filepath.Join(vectors(t, "smuggling"), "corpus.jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	var got bytes.Buffer
	n := 0
	s := bufio.NewScanner(bytes.NewReader(raw))
	s.Buffer(nil, 10<<20)
	for s.Scan() {
		var c struct {
			ID, Klass string
			Raw       []byte
		}
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		v := judge(t, p, up, string(c.Raw))
		fmt.Fprintf(&got, "%s %s: %s\n", c.ID, c.Klass, v)
	}
	if n < 276 {
		t.Errorf("%d messages in %s, not 276", n, path)
	}
	golden(t, filepath.Join("testdata", "corpora.golden"), got.Bytes())
}

// judge sends raw and says what became of it: what the upstream got, and why the rest was refused.
func judge(t *testing.T, p *proxy, up *recorder, raw string) string {
	t.Helper()
	before := len(p.reasons())
	failed := len(p.failures())
	answer := say(t, p.addr, raw)
	var parts []string
	for _, sent := range up.take(p) {
		if cut := p.failures()[failed:]; len(cut) > 0 {
			// A body that turned out bad while it was forwarded: the upstream must not take it for complete.
			if _, _, err := rawtest.Read(sent); err == nil {
				t.Errorf("%q was refused (%v) and yet the upstream got %q", raw, cut, sent)
			}
			parts = append(parts, "cut off")
			continue
		}
		for _, m := range readings(t, sent) {
			parts = append(parts, fmt.Sprintf("%s %s %d", m.Method, m.Target, len(m.Body)))
		}
	}
	for _, r := range p.reasons()[before:] {
		parts = append(parts, "refused "+r.String())
		if !strings.Contains(answer, fmt.Sprintf("HTTP/1.1 %d ", r.Status())) || !strings.Contains(answer, "\r\nConnection: close\r\n") {
			t.Errorf("%q: refused for %s and answered %q", raw, r, answer)
		}
	}
	for _, err := range p.failures()[failed:] {
		r, ok := err.(http1.Reason)
		if !ok {
			t.Errorf("%q: %v", raw, err)
		}
		parts = append(parts, "refused "+r.String())
	}
	if len(parts) == 0 {
		t.Errorf("%q: nothing came of it; answered %q", raw, answer)
	}
	return strings.Join(parts, ", ")
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			t.Errorf("%s, line %d:\n got %q\nwant %q", path, i+1, line(g, i), line(w, i))
			return
		}
	}
}

func line(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return "nothing"
}
