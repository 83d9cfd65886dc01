package review_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"path"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/baseline"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/plan"
	"gatehouse/drift/report"
	"gatehouse/drift/review"
)

// whole has plans written of every file, which takes long: make drift-secrets.
var whole = flag.Bool("whole", false, "write plans and manifests of every file of the corpus")

// strict is a standard that most files fall short of, so that there is something to report and to plan.
func strict() *drift.Baseline {
	p := drift.Policy{}
	p.Logging.Enabled = drift.Is(true, drift.Origin{})
	p.TLS.Min = drift.Is("1.3", drift.Origin{})
	p.TLS.Plain = drift.Is(false, drift.Origin{})
	p.Limits.Body = drift.Is(int64(1024), drift.Origin{})
	p.Upstream.Verify = drift.Is(true, drift.Origin{})
	p.CORS.Origins = drift.Is([]string{"https://a.example.com"}, drift.Origin{})
	p.Transforms = drift.Is([]drift.Transform{{Phase: "request", Target: "header", Op: "remove", Name: "X-User"}}, drift.Origin{})
	return &drift.Baseline{Name: "strict", Policies: []drift.Standard{{Operations: []string{"**"}, Policy: p}}}
}

// everything writes all that is ever written about one environment, each under its name.
func everything(t *testing.T, e *drift.Environment, fsys fs.FS, read drift.Reader, planning, adopting bool) map[string]*bytes.Buffer {
	t.Helper()
	out := map[string]*bytes.Buffer{}
	to := func(name string) *bytes.Buffer {
		b := &bytes.Buffer{}
		out[name] = b
		return b
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	set := drift.Settings{Now: drifttest.Now(), Baseline: strict()}
	r := drift.Compare([]*drift.Environment{e}, set)
	must(report.Text(to("compare text"), r, true))
	must(report.JSON(to("compare json"), r))
	must(report.SARIF(to("compare sarif"), r, nil))
	must(report.Markdown(to("compare markdown"), r))
	must(report.HTML(to("compare html"), r, drifttest.Now()))
	must(report.Environment(to("read text"), e))
	must(json.NewEncoder(to("read json")).Encode(e))
	for _, format := range []string{"text", "json"} {
		_, err := review.Command{Format: format, Now: drifttest.Now(), Out: to("certs " + format)}.Inventory([]*drift.Environment{e})
		must(err)
	}
	text, err := baseline.Write(drift.Adopt("b", e))
	must(err)
	to("baseline").Write(text)
	if !planning {
		return out
	}
	p := plan.Make([]plan.Target{{Env: e, Files: fsys, Read: func(f fs.FS) *drift.Environment {
		x, _ := read(f, drift.Options{Name: "a", Tier: drift.Prod, Now: drifttest.Now()})
		return x
	}}}, plan.Options{Settings: set, Deletions: 1})
	must(report.PlanText(to("plan text"), p, true))
	must(report.PlanMarkdown(to("plan markdown"), p))
	must(report.PlanDiff(to("plan diff"), p, nil))
	must(json.NewEncoder(to("plan json")).Encode(p))
	if adopting {
		a, _ := adopt.Make(e, adopt.Options{})
		must(json.NewEncoder(to("adopt json")).Encode(a))
		for name, text := range a.Files {
			to("adopt " + name).Write(text)
		}
	}
	return out
}

// TestSecretsAreInNoOutput: every file of the corpus is read with values planted where it has secrets and addresses, and none of them, and
// none of its own secrets, is in anything that is written about it, by whatever command and in whatever format. Plans, which take long,
// are written of all files with fields of secrets, and of some of the others. With -whole they are written of every file, and in a file
// that has neither secrets nor addresses, tokens are put in the place of other values.
func TestSecretsAreInNoOutput(t *testing.T) {
	t.Parallel()
	files, planted, own, outputs, hidden, turn, sown := 0, 0, 0, 0, 0, 0, 0
	for _, c := range corpora {
		read := reader(t, c.gateway)
		drifttest.EachFile(t, drifttest.Corpus(t, c.folder), []string{".json", ".yaml", ".yml", ".xml", ".toml", ".conf", ".wadl", ".tmpl"}, func(name string, fsys fs.FS, text []byte) {
			with, secrets, named := drifttest.Planted(text)
			planted += len(secrets)
			if len(secrets) > 0 {
				fsys = drifttest.Files{path.Base(name): string(with)}.FS()
			}
			more := drifttest.Secrets(with)
			named += len(more)
			own += len(more)
			if secrets = append(secrets, more...); len(secrets) == 0 {
				if turn++; !*whole {
					return
				}
				if with, secrets = drifttest.Sown(text, turn); len(secrets) == 0 {
					return
				}
				sown += len(secrets)
				fsys = drifttest.Files{path.Base(name): string(with)}.FS()
			}
			files++
			e, _ := read(fsys, drift.Options{Name: "a", Tier: drift.Prod, Now: drifttest.Now()})
			for what, b := range everything(t, e, fsys, read, *whole || named > 0 || files%16 == 0, c.gateway == "kong" || c.gateway == "azureapim" || c.gateway == "envoygateway" || c.gateway == "gatewayapi") {
				outputs++
				hidden += strings.Count(b.String(), "[secret]")
				for _, s := range secrets {
					if i := strings.Index(b.String(), s); i >= 0 {
						t.Errorf("%s/%s: %s holds a secret: …%.80s", c.folder, name, what, b.String()[max(0, i-60):])
						break
					}
				}
			}
		})
	}
	t.Logf("%d files, %d secrets planted, %d sown and %d of their own; %d outputs hold none of them, and a mask in %d places", files, planted, sown, own, outputs, hidden)
	if files < 750 || planted < 1100 || hidden < 1000 {
		t.Errorf("only %d files with secrets, %d planted, %d masks", files, planted, hidden)
	}
}
