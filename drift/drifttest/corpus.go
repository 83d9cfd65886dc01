// Package drifttest holds what the tests of all readers share: the corpus, what must hold of every environment, and mutations.
package drifttest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
)

// Now is the time at which tests read.
var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Now is the time at which tests read and compare.
func Now() time.Time { return now }

// Corpus is the folder of a gateway's real files. Where they are not at hand the test is skipped, except in CI, where it fails.
func Corpus(t testing.TB, gateway string) string {
	t.Helper()
	base := os.Getenv("GATEHOUSE_DRIFT")
	if base == "" {
		root, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			if root == filepath.Dir(root) {
				t.Fatal("no go.mod above the test")
			}
			root = filepath.Dir(root)
		}
		base = filepath.Join(root, "..", "shared", "drift")
	}
	dir := filepath.Join(base, "corpus", gateway)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the corpus is not at hand: %v", err)
		}
		t.Skipf("the corpus is not at hand: %v (set GATEHOUSE_DRIFT)", err)
	}
	return dir
}

// EachFile calls f for each file of a corpus with one of the endings, alone in a folder.
func EachFile(t testing.TB, dir string, endings []string, f func(name string, fsys fs.FS, text []byte)) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains(endings, filepath.Ext(path)) {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		n++
		f(filepath.ToSlash(rel), fstest.MapFS{filepath.Base(path): {Data: b}}, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Copy is a deep copy by way of JSON, which must lose nothing.
func Copy(t testing.TB, e *drift.Environment) *drift.Environment {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var out drift.Environment
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	return &out
}

// Invariants checks what must hold of every environment that a reader returns.
func Invariants(t testing.TB, label string, e *drift.Environment) {
	t.Helper()
	if e == nil {
		t.Fatalf("%s: no environment", label)
	}
	seen := map[*drift.Policy]bool{}
	for _, o := range e.Operations {
		if o.Key.Method == "" || o.Key.Path == "" || o.Key.Path[0] != '/' && o.Key.Path[0] != '~' {
			t.Errorf("%s: key %q", label, o.Key)
		}
		if len(o.Effective) == 0 {
			t.Errorf("%s: %s has no policy", label, o.Key)
		}
		for _, eff := range o.Effective {
			if seen[eff.Policy] {
				continue
			}
			seen[eff.Policy] = true
			eff.Policy.Facts(func(name string, l drift.Fact) {
				if s, _, cause := l.How(); (s == drift.Unresolved || s == drift.Conditional || s == drift.Unsupported) && cause == "" {
					t.Errorf("%s: %s %s is %s and does not say why", label, o.Key, name, s)
				} else if int(s) > 5 {
					t.Errorf("%s: %s is in state %d", label, name, s)
				}
			})
		}
	}
	other := Copy(t, e)
	again := Copy(t, other)
	if d := cmp.Diff(jsonOf(t, other), jsonOf(t, again)); d != "" {
		t.Errorf("%s: read(write(m)) is not m: %s", label, d)
	}
	if d := cmp.Diff(jsonOf(t, e), jsonOf(t, other)); d != "" {
		t.Errorf("%s: read(write(m)) is not m: %s", label, d)
	}
	other.Name = e.Name + "2"
	for _, f := range Between(drift.Compare([]*drift.Environment{e, other}, drift.Settings{Now: now})) {
		t.Errorf("%s: an environment differs from itself: %s %s %q %q", label, f.Rule, f.Field, f.A.Value, f.B.Value)
	}
}

func jsonOf(t testing.TB, e *drift.Environment) string {
	b, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Between are the findings that compare two environments.
func Between(r *drift.Result) []drift.Finding {
	var out []drift.Finding
	for _, f := range r.Findings {
		if f.B != nil {
			out = append(out, f)
		}
	}
	return out
}

var (
	secretLine = regexp.MustCompile(`(?im)^[\s"'-]*(?:password|secret|client_secret|api_key|private_key|primaryKey|secondaryKey|connectionString|instrumentationKey|key)["']?\s*:\s*["']?([^\s"'{}\[\],@]{8,})["']?,?\s*$`)
	secretPair = regexp.MustCompile(`(?i)["'\s{,]["']?(?:password|client_secret|clientsecret|secret_value|api_key|apikey_value|private_key|primaryKey|secondaryKey|connectionString|instrumentationKey|redis_password|bind_password)["']?\s*[:=]\s*["']([^"'\s{}\[\],$]{8,})["']`)
	hashed     = regexp.MustCompile(`(?:\$apr1\$|\$2[aby]\$|\{SHA\})[A-Za-z0-9./+=$]{12,}`)
	pemKey     = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----\s*([A-Za-z0-9+/=]{20,})`)
)

// Secrets are the values in a file that look like secrets by the name of their field.
func Secrets(text []byte) []string {
	var out []string
	for _, m := range secretLine.FindAllSubmatch(text, -1) {
		if s := string(m[1]); !strings.HasPrefix(s, "$") && !strings.HasPrefix(s, "http") && strings.ContainsAny(s, "0123456789") {
			out = append(out, s)
		}
	}
	for _, m := range secretPair.FindAllSubmatch(text, -1) {
		if s := string(m[1]); !strings.HasPrefix(s, "http") && !strings.HasPrefix(s, "vault") && strings.ContainsAny(s, "0123456789") {
			out = append(out, s)
		}
	}
	for _, m := range hashed.FindAll(text, -1) {
		out = append(out, string(m))
	}
	for _, m := range pemKey.FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	return out
}

// Hidden checks that none of the secrets of a file can be found in anything that is written about the environment.
func Hidden(t testing.TB, label string, e *drift.Environment, secrets []string) {
	t.Helper()
	res := drift.Compare([]*drift.Environment{e}, drift.Settings{Now: now})
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	all := jsonOf(t, e) + string(b)
	for _, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("%s: a secret is written out: %.4s…", label, s)
		}
	}
}

// Leafless is a certificate in PEM for the names, without its key.
func Leafless(t testing.TB, names ...string) string {
	return LeafUntil(t, now.AddDate(1, 0, 0), names...)
}

// LeafUntil is a certificate in PEM that ends at a time.
func LeafUntil(t testing.TB, end time.Time, names ...string) string {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: now.AddDate(0, -1, 0), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, x, x, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
