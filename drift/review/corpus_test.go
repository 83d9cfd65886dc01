package review_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/report"
	"gatehouse/drift/review"
)

// corpora are the folders of the corpus and the readers of what they hold.
var corpora = []struct{ folder, gateway string }{
	{"apigee", "apigee"}, {"aws-apigateway", "aws"}, {"azure-apim", "azureapim"}, {"envoy-gateway", "envoygateway"}, {"gateway-api", "gatewayapi"}, {"ingress-nginx", "ingressnginx"},
	{"kong", "kong"}, {"krakend", "krakend"}, {"traefik", "traefik"}, {"tyk", "tyk"},
}

func reader(t *testing.T, gateway string) drift.Reader {
	for _, g := range review.Gateways() {
		if g.Name == gateway {
			return g.Read
		}
	}
	t.Fatalf("no reader of %s", gateway)
	return nil
}

// said are the findings of one environment alone, in a form in which places do not count.
func said(r *drift.Result, env string) []string {
	var out []string
	for _, f := range r.Findings {
		if f.B == nil && f.A.Environment == env {
			out = append(out, fmt.Sprint(f.Rule, " ", f.Field, " ", f.A.Value, " ", len(f.Operations)))
		}
	}
	sort.Strings(out)
	return out
}

// TestWholeCorpus reads every file of the corpus alone. Nothing crashes; what is written otherwise and means the same gives no finding, and
// the same findings on its own; and no report of any form holds a secret of the file.
func TestWholeCorpus(t *testing.T) {
	t.Parallel()
	total, ops, rewritten, withSecrets := 0, 0, 0, 0
	for _, c := range corpora {
		read := reader(t, c.gateway)
		files, again := 0, 0
		drifttest.EachFile(t, drifttest.Corpus(t, c.folder), []string{".json", ".yaml", ".yml", ".xml", ".toml", ".conf", ".wadl", ".tmpl"}, func(name string, fsys fs.FS, text []byte) {
			files++
			o := drift.Options{Name: "a", Tier: drift.Prod, Now: drifttest.Now()}
			a, _ := read(fsys, o)
			ops += len(a.Operations)
			if secrets := drifttest.Secrets(text); len(secrets) > 0 {
				withSecrets++
				hides(t, c.folder+"/"+name, drift.Compare([]*drift.Environment{a}, drift.Settings{Now: drifttest.Now()}), secrets)
			}
			other, ok := drifttest.Reformatted(name, text)
			if !ok {
				return
			}
			again++
			b, problems := read(drifttest.Files{path.Base(name): string(other)}.FS(), o)
			for _, p := range problems {
				if p.Partial && len(a.Problems) == 0 {
					t.Errorf("%s/%s written otherwise: %s", c.folder, name, p)
				}
			}
			b.Name = "b"
			r := drift.Compare([]*drift.Environment{a, b}, drift.Settings{Now: drifttest.Now()})
			if d := cmp.Diff(said(r, "a"), said(r, "b")); d != "" {
				t.Errorf("%s/%s says something else when it is written otherwise:\n%s", c.folder, name, d)
			}
			for _, f := range drifttest.Between(r) {
				t.Errorf("%s/%s: a difference of format is reported: %s %s %q %q", c.folder, name, f.Rule, f.Field, f.A.Value, f.B.Value)
			}
		})
		t.Logf("%-15s %4d files, %4d of them written otherwise", c.folder, files, again)
		total, rewritten = total+files, rewritten+again
	}
	t.Logf("%d files, %d operations; %d written otherwise without a finding; %d with secrets, none shown", total, ops, rewritten, withSecrets)
	if total < 2500 || rewritten < 2000 {
		t.Errorf("only %d files, %d of them written otherwise", total, rewritten)
	}
}

func hides(t *testing.T, label string, r *drift.Result, secrets []string) {
	t.Helper()
	var b bytes.Buffer
	for _, err := range []error{report.Text(&b, r, true), report.JSON(&b, r), report.SARIF(&b, r, nil), report.Markdown(&b, r)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range secrets {
		if strings.Contains(b.String(), s) {
			t.Errorf("%s: a secret is reported: %.4s…", label, s)
		}
	}
}
