package aws_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/aws"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/source"
)

// TestCorpus reads every file of the corpus alone.
func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "aws-apigateway")
	ops, failed := 0, 0
	var total []*drift.Environment
	files := drifttest.EachFile(t, dir, []string{".yaml", ".yml", ".json"}, func(name string, fsys fs.FS, text []byte) {
		e, problems := aws.Read(fsys, drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		ops += len(e.Operations)
		for _, p := range problems {
			if p.Partial && e.Files.Skipped == 0 {
				failed++
				t.Logf("%s: %s", name, p)
			}
		}
		total = append(total, e)
	})
	if files < 300 || ops < 300 {
		t.Errorf("only %d files with %d operations", files, ops)
	}
	t.Logf("%d files, %d operations, %d not read; %s", files, ops, failed, drift.CoverAll(total))
}

// explained are the pairs on which this reader and SAM differ, each with the reason. The list only gets shorter.
const explained = "testdata/oracle.txt"

// TestOracle compares what is in force by a SAM template with what is in force by what SAM itself makes of it.
func TestOracle(t *testing.T) {
	dir := filepath.Join(drifttest.Corpus(t, "aws-apigateway"), "sam", "tests", "translator")
	ins, err := filepath.Glob(dir + "/input/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(explained)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, line := range strings.Split(string(b), "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			known[name] = true
		}
	}
	pairs, agree, ops, same := 0, 0, 0, 0
	for _, in := range ins {
		name := strings.TrimSuffix(filepath.Base(in), ".yaml")
		want := inForce(t, filepath.Join(dir, "output", name+".json"))
		if len(want) == 0 {
			continue // SAM refuses the template, or it holds no operation
		}
		got := inForce(t, in)
		pairs++
		ops += len(want)
		for k, v := range want {
			if got[k] == v {
				same++
			}
		}
		switch d := cmp.Diff(want, got); {
		case d == "":
			agree++
			if known[name] {
				t.Errorf("%s agrees now: take it off %s", name, explained)
			}
		case !known[name]:
			t.Errorf("%s (-sam +reader):\n%s", name, d)
		}
	}
	t.Logf("%d pairs with %d operations: %d pairs agree (%.1f %%), %d operations (%.1f %%), %d explained", pairs, ops, agree, 100*float64(agree)/float64(max(pairs, 1)),
		same, 100*float64(same)/float64(max(ops, 1)), len(known))
	if float64(agree) < 0.98*float64(pairs) {
		t.Errorf("fewer than 98 %% of the pairs agree")
	}
}

// inForce is the effective security by API and operation.
func inForce(t *testing.T, file string) map[string]string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// SAM puts the defaults of parameters in; a deployment may give others, so that the reader does not.
	values := map[string]string{}
	docs, _, err := source.Parse(path.Base(filepath.ToSlash(file)), b)
	if err == nil && len(docs) > 0 {
		docs[0].Get("Parameters").Each(func(k string, n *source.Node) {
			if n.Has("Default") {
				values[k] = n.Get("Default").Str()
			}
		})
	}
	e, _ := aws.Read(drifttest.Files{path.Base(filepath.ToSlash(file)): string(b)}.FS(), drift.Options{Name: "oracle", Values: values})
	out := map[string]string{}
	for _, o := range e.Operations {
		p := o.General()
		f := []string{p.Auth.Ways.Value.String()}
		switch p.Auth.Ways.State {
		case drift.Unresolved:
			f = []string{"not known"}
		case drift.Conditional:
			f = append(f, "on a condition")
		}
		for _, q := range p.Auth.Ways.Value.All() {
			s := q.Name
			switch {
			case q.JWT != nil:
				s += " issuers " + q.JWT.Issuers.Text() + " audiences " + q.JWT.Audiences.Text() + " claims " + q.JWT.Claims.Text()
			case q.External != nil:
				s += " " + q.External.URL.Text() + " for " + q.External.TTL.Text() + "s by " + q.External.CacheKey.Text()
			}
			f = append(f, s)
		}
		f = append(f, "cors "+p.CORS.Enabled.Text()+" "+p.CORS.Origins.Text(), "from "+p.IP.Allow.Text()+" not "+p.IP.Deny.Text(), "rules "+rules(p), "tls "+p.TLS.Min.Text()+" "+p.TLS.ClientAuth.Text()+" "+p.TLS.CAs.Text())
		out[o.API+" "+o.Key.String()] = strings.Join(f, "; ")
	}
	return out
}

func rules(p *drift.Policy) string {
	if !p.Access.Rules.Known() {
		return p.Access.Rules.Text()
	}
	var out []string
	for _, r := range p.Access.Rules.Value {
		if s := r.String(); s != "allow [principal:*]" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
