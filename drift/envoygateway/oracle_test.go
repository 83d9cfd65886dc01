package envoygateway_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
	"gatehouse/drift/source"
)

// explained are the pairs on which this reader and Envoy Gateway differ, each with the reason. The list only gets shorter.
const explained = "testdata/oracle.txt"

// TestOracle reads each .in.yaml and compares what is in force on each route with what Envoy Gateway itself made of it (.out.yaml).
func TestOracle(t *testing.T) {
	dir := drifttest.Corpus(t, "envoy-gateway") + "/gatewayapi-testdata/internal/gatewayapi/testdata"
	ins, err := filepath.Glob(dir + "/*.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	b, err := os.ReadFile(explained)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			known[name] = true
		}
	}
	pairs, agree, routes := 0, 0, 0
	for _, in := range ins {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		want := outcome(t, strings.TrimSuffix(in, ".in.yaml")+".out.yaml")
		if len(want) == 0 {
			continue // no HTTP route, or no output to compare with
		}
		pairs++
		routes += len(want)
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := envoygateway.Read(drifttest.Files{"in.yaml": string(text)}.FS(), drift.Options{Name: "oracle"})
		got := mine(e, want)
		d := cmp.Diff(want, got)
		switch {
		case d == "" && known[name]:
			t.Errorf("%s agrees now: take it off %s", name, explained)
		case d == "" || known[name]:
			if d == "" {
				agree++
			}
		default:
			t.Errorf("%s (-envoy gateway +reader):\n%s", name, d)
		}
	}
	t.Logf("%d pairs with %d routes: %d agree (%.1f %%), %d explained", pairs, routes, agree, 100*float64(agree)/float64(max(pairs, 1)), len(known))
	if float64(agree) < 0.98*float64(pairs) {
		t.Errorf("fewer than 98 %% of the pairs agree")
	}
}

// outcome is what is in force by listener and route, as Envoy Gateway's own output says.
func outcome(t *testing.T, file string) map[string]string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	docs, _, err := source.Parse("out.yaml", b)
	if err != nil || len(docs) == 0 {
		t.Fatalf("%s: %v", file, err)
	}
	out := map[string]string{}
	docs[0].Get("xdsIR").Each(func(_ string, ir *source.Node) {
		for _, l := range ir.Get("http").Items() {
			for _, r := range l.Get("routes").Items() {
				parts := strings.Split(r.Get("name").Str(), "/")
				if len(parts) < 7 {
					continue
				}
				// A rule without matches has the match -1 here.
				if parts[6] == "-1" {
					parts[6] = "0"
				}
				k := l.Get("metadata", "sectionName").Str() + " " + strings.Join(parts[:7], "/")
				if r.Get("directResponse", "statusCode").Str() == "500" {
					out[k] = "closed"
					continue
				}
				out[k] = facts(l, r)
			}
		}
	})
	return out
}

func facts(l, r *source.Node) string {
	var f []string
	s := r.Get("security")
	for _, p := range s.Get("jwt", "providers").Items() {
		f = append(f, "jwt "+p.Get("issuer").Str()+" "+strings.Join(drift.Sorted(p.Get("audiences").Strs()), ","))
	}
	for _, k := range []string{"basicAuth", "apiKeyAuth", "oidc", "csrf"} {
		if s.Has(k) {
			f = append(f, k)
		}
	}
	if e := s.Get("extAuth"); e != nil {
		open, _ := e.Get("failOpen").Bool()
		f = append(f, fmt.Sprintf("extAuth open=%v", open))
	}
	if a := s.Get("authorization"); a != nil {
		f = append(f, fmt.Sprintf("authorization %s", strings.ToLower(a.Get("defaultAction").Str())))
	}
	if c := s.Get("cors"); c != nil {
		f = append(f, fmt.Sprintf("cors %d origins", len(c.Get("allowOrigins").Items())))
	}
	for _, side := range []string{"global", "local"} {
		for _, rule := range r.Get("traffic", "rateLimit", side, "rules").Items() {
			f = append(f, "rate "+rule.Get("limit", "requests").Str()+" "+rule.Get("limit", "unit").Str())
		}
	}
	if t := l.Get("tls"); t != nil {
		if v := t.Get("minVersion").Str(); v != "" {
			f = append(f, "tls "+v)
		}
		if b, _ := t.Get("requireClientCertificate").Bool(); b {
			f = append(f, "client certificate")
		}
	}
	sort.Strings(f)
	return strings.Join(f, "; ")
}

// mine says the same of what the reader found, for the routes that the oracle has.
func mine(e *drift.Environment, want map[string]string) map[string]string {
	out := map[string]string{}
	for _, o := range e.Operations {
		section := o.API[strings.LastIndex(o.API, "listener ")+len("listener "):]
		k := section + " " + o.Name
		w, ok := want[k]
		if !ok {
			continue
		}
		p := o.General()
		if w == "closed" {
			out[k] = w // Envoy Gateway refuses everything there because something is wrong; the reader says what is configured
			continue
		}
		var f []string
		for _, n := range p.Auth.Ways.Value.All() {
			switch n.Kind {
			case drift.JWTProof:
				f = append(f, "jwt "+strings.Join(n.JWT.Issuers.Value, "")+" "+strings.Join(drift.Sorted(n.JWT.Audiences.Value), ","))
			case drift.BasicProof, drift.KeyProof, drift.OIDCSession:
				f = append(f, n.Name)
			case drift.ExtAuthz:
				f = append(f, fmt.Sprintf("extAuth open=%v", n.External.FailOpen.Value))
			}
		}
		if p.Access.Default.Origin.File != "" || p.Access.Default.Value == "deny" {
			f = append(f, "authorization "+p.Access.Default.Value)
		}
		if p.CORS.Enabled.Value {
			f = append(f, fmt.Sprintf("cors %d origins", len(p.CORS.Origins.Value)))
		}
		f = append(f, p.WAF.Value...)
		for _, r := range p.Rates.Value {
			unit := map[int64]string{1: "Second", 60: "Minute", 3600: "Hour", 86400: "Day", 30 * 86400: "Month", 365 * 86400: "Year"}[r.Window.Value]
			f = append(f, fmt.Sprintf("rate %d %s", r.Count.Value, unit))
		}
		if p.TLS.Plain.Value == false && strings.Contains(w, "tls ") {
			f = append(f, "tls "+p.TLS.Min.Value)
		}
		if p.TLS.ClientAuth.Value == "verify" {
			f = append(f, "client certificate")
		}
		sort.Strings(f)
		out[k] = strings.Join(drift.Sorted(f), "; ")
	}
	for k, w := range want {
		parts := strings.Split(w, "; ")
		want[k] = strings.Join(drift.Sorted(parts), "; ")
	}
	return out
}

func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "envoy-gateway")
	files, ops := 0, 0
	var all []*drift.Environment
	drifttest.EachFile(t, dir, []string{".yaml"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := envoygateway.Read(fsys, drift.Options{Name: "corpus", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		ops += len(e.Operations)
		all = append(all, e)
		for _, p := range problems {
			if p.Partial && e.Files.Skipped == 0 {
				t.Logf("%s: %s", name, p)
			}
		}
	})
	t.Logf("%d files, %d operations; %s", files, ops, drift.CoverAll(all))
	for c, n := range drift.CoverAll(all).Causes {
		t.Logf("%6d %s", n, c)
	}
}
