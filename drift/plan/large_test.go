package plan_test

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
	"gatehouse/drift/plan"
)

// large is a folder of Kong's with thirty services of ten routes each. The weak one lacks plugins here and there.
func large(weak bool) drifttest.Files {
	f := drifttest.Files{}
	for s := range 30 {
		var b strings.Builder
		fmt.Fprintf(&b, "_format_version: \"3.0\"\nservices:\n- name: s%d\n  url: https://s%d.internal.example.com\n  read_timeout: 5000\n  plugins:\n  - name: key-auth\n    config: {key_names: [x-key], key_in_query: %v}\n", s, s, weak && s%3 == 0)
		if !weak || s%4 != 0 {
			b.WriteString("  - name: rate-limiting\n    config: {minute: 60, policy: redis, redis: {host: redis}, fault_tolerant: false}\n")
		}
		fmt.Fprintf(&b, "  - name: request-size-limiting\n    config: {allowed_payload_size: %d}\n  routes:\n", 1+map[bool]int{true: s % 3}[weak])
		for r := range 10 {
			fmt.Fprintf(&b, "  - name: s%d-r%d\n    paths: [~/s%d/r%d$]\n    methods: [GET]\n    protocols: [https]\n", s, r, s, r)
			if r == 3 {
				fmt.Fprintf(&b, "    plugins:\n    - name: cors\n      config: {origins: [\"https://app.example.com\"%s], methods: [GET], credentials: false}\n", map[bool]string{true: ", \"https://other.example.com\""}[weak && s%5 == 0])
			}
		}
		f[fmt.Sprintf("s%02d.yaml", s)] = b.String()
	}
	return f
}

// spent is the time of the processor that this process has used.
func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLarge: a plan between two folders of three hundred operations takes seconds. The bound is loose, for slow machines and the race
// detector: it is there for what grows with the square of the operations.
func TestLarge(t *testing.T) {
	read := func(name string, f drifttest.Files) plan.Target {
		again := func(f fs.FS) *drift.Environment {
			e, _ := kong.Read(f, drift.Options{Name: name, Tier: drift.Prod, Now: drifttest.Now()})
			return e
		}
		return plan.Target{Env: again(f.FS()), Files: f.FS(), Read: again}
	}
	began := spent(t)
	p := plan.Make([]plan.Target{read("strict", large(false)), read("weak", large(true))}, plan.Options{Like: "strict"})
	took := spent(t) - began
	t.Logf("%d steps, %d refusals, in %s of the processor", len(p.Steps), len(p.Refusals), took)
	if len(p.Steps) == 0 || took > 60*time.Second {
		t.Errorf("%d steps in %s", len(p.Steps), took)
	}
}
