package snapshot_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/fault"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
	"gatehouse/policy/apikey"
	"gatehouse/policy/cors"
	"gatehouse/policy/granted"
	"gatehouse/policy/headers"
	"gatehouse/policy/limit"
	"gatehouse/policy/requestsize"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

func kinds() []policy.Kind {
	return []policy.Kind{anonymous.Kind(), apikey.Kind(), granted.Kind(), granted.WithoutKind(), limit.Kind(), cors.Kind(),
		headers.Kind(), requestsize.Kind()}
}

// deps has the secrets "known" and "eid-gateway" and no other.
func deps() policy.Deps {
	l := ratelimit.NewLimiter(0)
	return policy.Deps{
		Limiter: func(string) *ratelimit.Limiter { return l },
		Secret: func(name string) (secret.Value, bool) {
			return secret.New("s3cret"), name == "known" || name == "eid-gateway"
		},
	}
}

// TestGolden compiles each archive for the environment live and compares what came of it with the archive's file "routes".
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := manifest.Bundle{}
			for _, f := range a.Files {
				if f.Name != "routes" {
					b[f.Name] = f.Data
				}
			}
			p, ds := manifest.Parse(b)
			if manifest.Fatal(ds) {
				t.Fatalf("the manifest does not parse: %v", ds)
			}
			routes, ds := snapshot.Compile(p, "live", 7, kinds(), deps())
			if (routes == nil) != manifest.Fatal(ds) {
				t.Errorf("routes %v, diagnostics %v", routes, ds)
			}
			got, found := describe(routes, ds), false
			for i, f := range a.Files {
				if f.Name != "routes" {
					continue
				}
				found = true
				if *update {
					a.Files[i].Data = []byte(got)
				} else if d := cmp.Diff(string(f.Data), got); d != "" {
					t.Errorf("routes (-want +got; -update writes it anew):\n%s", d)
				}
			}
			if !found {
				a.Files = append(a.Files, txtar.File{Name: "routes", Data: []byte(got)})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func describe(r *snapshot.Routes, ds []manifest.Diagnostic) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintln(&b, d)
	}
	if r == nil {
		fmt.Fprintln(&b, "no routes")
		return b.String()
	}
	for _, u := range r.Upstreams {
		fmt.Fprintf(&b, "upstream %s: %v, %v %v %v, %d secrets\n", u.Name, u.Targets, u.Connect, u.Read, u.Total, len(u.Present))
	}
	for _, x := range r.All {
		fmt.Fprintf(&b, "%s %s: %s, upstream %s", x.Method, x.Path, x.Route, x.UpstreamPath(nil, []byte(strings.NewReplacer("{", "", "}", "").Replace(x.Path))))
		fmt.Fprintf(&b, "\n  %s; %d on the answer; preflight %v; scopes %v; products %v\n", strings.Join(x.Rules, " > "), len(x.Response), x.Preflight != nil, x.Scopes, x.Products)
		if x.Closed != nil {
			fmt.Fprintf(&b, "  closed: %v\n", fault.As(x.Closed))
		}
		for _, product := range x.Products {
			if plan := r.Plan(&policy.Terms{Product: product, Plan: "free"}); plan != nil {
				fmt.Fprintf(&b, "  plan free of %s: %v, %v\n", product, plan.Windows, plan.Credentials)
			}
		}
	}
	return b.String()
}
