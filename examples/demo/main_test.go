package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build makes the two binaries that the story needs.
func build(t *testing.T) options {
	t.Helper()
	dir := t.TempDir()
	o := options{gatehouse: filepath.Join(dir, "gatehouse"), eid: filepath.Join(dir, "eid"), manifest: "../eid/manifest", patience: 20}
	for file, from := range map[string]string{o.gatehouse: "gatehouse/cmd/gatehouse", o.eid: "gatehouse/examples/eid"} {
		if out, err := exec.Command("go", "build", "-o", file, from).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", from, err, out)
		}
	}
	return o
}

// nothing is left in the folder for temporary files.
func nothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("%s is left behind", e.Name())
	}
}

// line is what DEMO_OUTPUT=json prints of a step.
type line struct {
	Step   string
	OK     bool
	MS     float64
	Detail string
}

func lines(t *testing.T, out string) []line {
	t.Helper()
	var all []line
	for text := range strings.Lines(out) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var l line
		if err := dec.Decode(&l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, l)
	}
	return all
}

func TestTheStoryIsAsTold(t *testing.T) { told(t, "access") }

// Every method of authentication, three stages, a replacement, a short grant, a silent review and the end of a partner.
func TestTheLifecycleIsAsTold(t *testing.T) { told(t, "lifecycle") }

func told(t *testing.T, story string) {
	t.Helper()
	o := build(t)
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), o, story, "json", &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	all := lines(t, out.String())
	if len(all) != len(stories()[story].steps) {
		t.Errorf("%d of %d steps are printed", len(all), len(stories()[story].steps))
	}
	for _, l := range all {
		if !l.OK || l.Step == "" || l.MS <= 0 || l.Detail == "" {
			t.Errorf("a step is printed as %+v", l)
		}
	}
	nothing(t)
}

func TestAStepThatIsNotAsToldStopsTheStory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for output, want := range map[string]string{"text": "FAILED the upstream starts", "json": `"ok":false`} {
		var out bytes.Buffer
		err := run(t.Context(), options{gatehouse: "nothing", eid: "nothing", manifest: "../eid/manifest"}, "", output, &out)
		if err == nil || !strings.Contains(err.Error(), "make build") {
			t.Errorf("the error is %v", err)
		}
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: %q", output, out.String())
		}
	}
	nothing(t)
}

func TestInterruptedInTheMiddle(t *testing.T) {
	o := build(t)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out := &until{step: "staff sign in", cancel: cancel}
	if err := run(ctx, o, "", "", out); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("the error is %v", err)
	}
	nothing(t)
}

// until cancels once a step has been printed.
type until struct {
	bytes.Buffer
	step   string
	cancel func()
}

func (u *until) Write(b []byte) (int, error) {
	if strings.Contains(string(b), u.step) {
		u.cancel()
	}
	return u.Buffer.Write(b)
}

func TestUnknownStoriesAndOutputs(t *testing.T) {
	if err := run(t.Context(), options{}, "drift", "", new(bytes.Buffer)); err == nil || err.Error() != `there is no story "drift": STORY can be access, lifecycle` {
		t.Errorf("%v", err)
	}
	if err := run(t.Context(), options{}, "", "xml", new(bytes.Buffer)); err == nil || err.Error() != `DEMO_OUTPUT can be text or json, not "xml"` {
		t.Errorf("%v", err)
	}
}

func TestRefusedWantsAWholeProblemDocument(t *testing.T) {
	whole := reply{status: 403, header: http.Header{"Content-Type": {"application/problem+json"}}, body: []byte(`{"type":"/problems/out-of-scope","status":403,"request_id":"r","rule":"grant"}`)}
	if p, err := whole.refused(403, "out-of-scope"); err != nil || p.Rule != "grant" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, change := range map[string]func(*reply){
		"another status": func(r *reply) { r.status = 401 },
		"another type":   func(r *reply) { r.header = http.Header{"Content-Type": {"text/html"}} },
		"no request id":  func(r *reply) { r.body = []byte(`{"type":"/problems/out-of-scope","status":403}`) },
		"two statuses":   func(r *reply) { r.body = []byte(`{"type":"/problems/out-of-scope","status":401,"request_id":"r"}`) },
		"another code":   func(r *reply) { r.body = []byte(`{"type":"/problems/x","status":403,"request_id":"r"}`) },
		"no document":    func(r *reply) { r.body = []byte(`no`) },
	} {
		r := whole
		change(&r)
		if _, err := r.refused(403, "out-of-scope"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestToldIsOfTheMedian(t *testing.T) {
	v := &visit{}
	ms := func(n int) measure { return measure{refused: time.Duration(n) * time.Millisecond} }
	if _, err := v.told(401, []measure{ms(3), ms(4), ms(500)}); err != nil {
		t.Errorf("one of three was late: %v", err)
	}
	if _, err := v.told(401, []measure{ms(3), ms(400), ms(500)}); err == nil {
		t.Error("two of three were late, and it was taken")
	}
	if _, err := v.told(401, []measure{{refused: time.Millisecond, passed: time.Second}}); err == nil {
		t.Error("a call was let through a second later, and it was taken")
	}
}
