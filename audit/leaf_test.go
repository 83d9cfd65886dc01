package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
)

// The bytes of a leaf are promised: who keeps an exported entry computes them without us.
func TestLeafBytes(t *testing.T) {
	p := audit.Personal{Name: "name", Value: "Ada", Salt: make([]byte, 16), Commitment: []byte{1, 2, 3}}
	e := audit.Entry{
		ID: "aud_1", Seq: 7, At: time.UnixMicro(1_700_000_000_123_456), Actor: "staff:per_1", Action: "grant.end", Object: "gr_1", Organization: "org_1",
		Reason: "a\"b\\c\n<&>é", Before: json.RawMessage(`{"a": 1}`), Personal: []audit.Personal{p},
	}
	got, err := audit.Leaf(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"id":"aud_1","at":1700000000123456,"actor":"staff:per_1","action":"grant.end","object":"gr_1","organization":"org_1","application":"","environment":"",` +
		`"reason":"a\"b\\c\n<&>é","request_id":"","before":"{\"a\": 1}","after":"","personal":[{"name":"name","commitment":"AQID"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Seq, e.Personal[0].Value, e.Personal[0].Salt = 9, "", nil
	if again, err := audit.Leaf(e); err != nil || string(again) != want {
		t.Errorf("the place and the personal value are in the leaf: %s, %v", again, err)
	}
}

func TestLeafRefusesWhatDoesNotReadBack(t *testing.T) {
	good := audit.New(now, audit.Entry{Action: "a.b"})
	for name, change := range map[string]func(e *audit.Entry){
		"broken UTF-8":          func(e *audit.Entry) { e.Reason = "\xff" },
		"broken UTF-8 in after": func(e *audit.Entry) { e.After = json.RawMessage("\"\xff\"") },
		"no ID":                 func(e *audit.Entry) { e.ID = "" },
		"no action":             func(e *audit.Entry) { e.Action = "" },
		"no time":               func(e *audit.Entry) { e.At = time.Time{} },
		"nanoseconds":           func(e *audit.Entry) { e.At = e.At.Add(1) },
	} {
		e := good
		change(&e)
		if _, err := audit.Leaf(e); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommitSalts(t *testing.T) {
	if p := audit.Commit("name", ""); p != nil {
		t.Errorf("an empty value has a commitment: %v", p)
	}
	a, b := audit.Commit("name", "Ada")[0], audit.Commit("name", "Ada")[0]
	if string(a.Commitment) == string(b.Commitment) || len(a.Salt) != 16 {
		t.Error("two commitments to one value can be told to be")
	}
}

func TestCheckpointText(t *testing.T) {
	c := audit.Checkpoint{Origin: "gatehouse", Size: 42, Root: [32]byte{1}, At: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)}
	text := c.Text()
	if got, err := audit.ParseCheckpoint(text); err != nil || got != c {
		t.Errorf("%v, %v", got, err)
	}
	root := base64.StdEncoding.EncodeToString(c.Root[:])
	for _, bad := range []string{
		"", "\n\n\n\n", text + "more\n", strings.TrimSuffix(text, "\n"), strings.Replace(text, "42", "042", 1), strings.Replace(text, "42", "-1", 1), strings.Replace(text, "42", "+42", 1),
		strings.Replace(text, root, root[:8], 1), strings.Replace(text, root, root[:42]+"B=", 1), strings.Replace(text, "at ", "", 1), strings.Replace(text, "Z", "+00:00", 1), "gatehouse\n42\n" + root + "\n",
	} {
		if _, err := audit.ParseCheckpoint(bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := audit.OpenCheckpoint(text, "nonsense"); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(audit.Checkpoint{Origin: "gatehouse", Size: 42, At: now}.Text())
	f.Add("gatehouse\n0\nAAAA\nat 2026-01-01T00:00:00Z\n")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := audit.ParseCheckpoint(s); err == nil && c.Text() != s {
			t.Errorf("%q reads as %q", s, c.Text())
		}
	})
}
