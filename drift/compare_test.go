package drift_test

import (
	"fmt"
	"runtime"
	"sort"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
)

func pairFindings(a, b *drift.Environment) []drift.Finding {
	return drifttest.Between(drift.Compare([]*drift.Environment{a, b}, drift.Settings{Now: drifttest.Now()}))
}

// canonical writes findings so that their order means nothing.
func canonical(fs []drift.Finding) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		// The first of many places is a matter of the order of reading.
		f.A.Origin, f.A.Also = drift.Origin{}, nil
		b := *f.B
		b.Origin, b.Also = drift.Origin{}, nil
		out[i] = fmt.Sprintf("%s %s %s %s %s %v %+v %+v %s", f.ID, f.Rule, f.Severity, f.Direction, f.Classes, f.Operations, f.A, b, f.Note)
	}
	sort.Strings(out)
	return out
}

func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genEnvironment(t, "a")
		b := *a
		b.Name = "b"
		if fs := pairFindings(a, &b); len(fs) > 0 {
			t.Fatalf("%+v", fs[0])
		}
	})
}

func TestComparisonMirrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genEnvironment(t, "a"), genEnvironment(t, "b")
		var mirrored []drift.Finding
		for _, f := range pairFindings(b, a) {
			mirrored = append(mirrored, f.Mirror())
		}
		if d := cmp.Diff(canonical(pairFindings(a, b)), canonical(mirrored)); d != "" {
			t.Fatal(d)
		}
	})
}

func TestWrittenEnvironmentReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := genEnvironment(rt, "a")
		drifttest.Invariants(silent{t}, "a", drifttest.Copy(t, a))
	})
}

// silent leaves out the complaint about causes, which the generator does not write.
type silent struct{ testing.TB }

func (silent) Errorf(string, ...any) {}

func TestCatalogueIsWhole(t *testing.T) {
	count := map[drift.Area]int{}
	severity := map[drift.Severity]int{}
	seen := map[string]bool{}
	for _, r := range drift.Rules() {
		count[r.Area]++
		severity[r.Severity]++
		if seen[r.ID] || r.Title == "" || r.Why == "" || !r.Pair && !r.Self {
			t.Errorf("%+v", r)
		}
		seen[r.ID] = true
	}
	want := map[drift.Area]int{drift.AreaAuth: 22, drift.AreaCertificates: 13, drift.AreaObservability: 11, drift.AreaTraffic: 10, drift.AreaExposure: 11}
	if d := cmp.Diff(want, count); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[drift.Severity]int{drift.Critical: 8, drift.High: 32, drift.Medium: 24, drift.Low: 2, drift.Info: 1}, severity); d != "" {
		t.Error(d)
	}
}

// tenEnvironments have so many operations each, and differ in issuers, TLS and upstreams.
func tenEnvironments(operations int) []*drift.Environment {
	var envs []*drift.Environment
	for i := range 10 {
		e := drift.NewEnvironment("test", drift.Options{Name: fmt.Sprint("e", i), Tier: drift.Prod})
		for j := range operations {
			k, m := drift.NewKey("GET", drift.Template, fmt.Sprintf("/api%d/items/{id}/p%d", j%20, j))
			at := drift.Origin{File: "f", Line: j}
			p := &drift.Policy{}
			p.Auth.Ways = drift.Is(drift.Ways{{Needs: []drift.Requirement{{Kind: drift.JWTProof, JWT: &drift.JWT{
				Issuers: drift.Is([]string{fmt.Sprintf("https://login.e%d.test/%d", i, j%7)}, at), Audiences: drift.Is([]string{"api://x"}, at), Algorithms: drift.Is([]string{"RS256"}, at)}}}}}, at)
			p.TLS.Min = drift.Is([]string{"1.2", "1.3"}[i%2], at)
			p.Upstream.URLs = drift.Is([]string{fmt.Sprintf("https://up%d.test", i)}, at)
			e.Operations = append(e.Operations, drift.Operation{Key: k, Match: m, Effective: []drift.Effective{{Policy: p}}})
		}
		envs = append(envs, e)
	}
	return envs
}

// Many environments give one finding for each pair and difference, whatever the number of operations that share it.
func TestTenEnvironments(t *testing.T) {
	few, more := len(drift.Compare(tenEnvironments(70), drift.Settings{}).Findings), len(drift.Compare(tenEnvironments(140), drift.Settings{}).Findings)
	if few == 0 || few != more {
		t.Errorf("%d findings with 70 operations each, %d with 140", few, more)
	}
}

// TestReach: 10 environments of 1,000 operations each are compared with less than 2 s of the processor and less than 500 MB. The time is
// the processor's, for a machine that does other things as well says nothing by the clock.
func TestReach(t *testing.T) {
	envs := tenEnvironments(1000)
	runtime.GC()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	used := time.Hour
	for try := 0; try < 3 && used > 2*time.Second; try++ { // a busy machine's caches make it slower than it is
		steps := 0
		before := processor(t)
		r := drift.Compare(envs, drift.Settings{Now: drifttest.Now(), Progress: func(done, all int) {
			if steps++; done != steps || all != 45 {
				t.Errorf("step %d of %d after %d", done, all, steps)
			}
		}})
		used = min(used, processor(t)-before)
		t.Logf("10 × 1,000 operations, %d pairs, %d findings: %s of the processor", steps, len(r.Findings), used.Round(10*time.Millisecond))
	}
	close(stop)
	heap := <-peak >> 20
	t.Logf("%d MB at most", heap)
	if !raced && (used > 2*time.Second || heap > 500) {
		t.Error("too slow or too large")
	}
}

func processor(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Reach: under 2 s and 500 MB for 10 environments of 1,000 operations.
func BenchmarkTenEnvironments(b *testing.B) {
	envs := tenEnvironments(1000)
	b.ReportAllocs()
	for b.Loop() {
		b.ReportMetric(float64(len(drift.Compare(envs, drift.Settings{}).Findings)), "findings")
	}
}
