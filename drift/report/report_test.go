package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
	"gatehouse/drift/report"
)

func result(t *testing.T) *drift.Result {
	t.Helper()
	const base = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\n"
	a := drifttest.Read(t, kong.Read, drifttest.Files{"kong.yaml": base + "plugins: [{name: key-auth, config: {key_in_query: false}}]\n"}, "a", drift.Prod)
	b := drifttest.Read(t, kong.Read, drifttest.Files{"kong.yaml": base}, "b|<x>\x1b[2J", drift.Stage)
	return drift.Compare([]*drift.Environment{a, b}, drift.Settings{Now: drifttest.Now()})
}

func TestTextSaysWhereTheWeakestDoorIs(t *testing.T) {
	var b bytes.Buffer
	if err := report.Text(&b, result(t), false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DR-AUT-01", "weaker  b", "GET /a", "kong.yaml:", "coverage: operations resolved 0 of 2", "There may be more in what could not be resolved"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b[2J") && strings.Contains(b.String(), "\x1b") {
		t.Error("a name drives the terminal")
	}
}

// TestJSONHasWhatIsPromised by the names of its fields.
func TestJSONHasWhatIsPromised(t *testing.T) {
	var b bytes.Buffer
	if err := report.JSON(&b, result(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Findings []map[string]json.RawMessage `json:"findings"`
		Coverage *drift.Coverage              `json:"coverage"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Coverage == nil || got.Coverage.Operations != 2 || len(got.Findings) == 0 {
		t.Fatalf("%s", b.String())
	}
	for _, f := range got.Findings {
		for _, k := range []string{"rule", "severity", "operations", "direction", "a", "id", "explanation"} {
			if len(f[k]) == 0 {
				t.Errorf("a finding without %s: %s", k, f["rule"])
			}
		}
		var s map[string]json.RawMessage
		if err := json.Unmarshal(f["a"], &s); err != nil || len(s["value"]) == 0 || len(s["state"]) == 0 {
			t.Errorf("side %s", f["a"])
		}
	}
}

func TestSARIFPointsAtTheWeakerSide(t *testing.T) {
	var b bytes.Buffer
	r := result(t)
	if err := report.SARIF(&b, r, map[string]string{"a": "gateways/a"}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version string `json:"version"`
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string `json:"ruleId"`
				RuleIndex int    `json:"ruleIndex"`
				Level     string
				Related   []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string } `json:"artifactLocation"`
					} `json:"physicalLocation"`
				} `json:"relatedLocations"`
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "2.1.0" || len(got.Runs[0].Results) != len(r.Findings) || len(got.Runs[0].Tool.Driver.Rules) != 67 {
		t.Fatalf("%s", b.String())
	}
	for _, x := range got.Runs[0].Results {
		if got.Runs[0].Tool.Driver.Rules[x.RuleIndex].ID != x.RuleID {
			t.Errorf("rule %s has index %d", x.RuleID, x.RuleIndex)
		}
	}
	if !strings.Contains(b.String(), `"gateways/a/kong.yaml"`) {
		t.Error("the place is not under the environment's folder")
	}
}

func TestMarkdownStaysATable(t *testing.T) {
	var b bytes.Buffer
	if err := report.Markdown(&b, result(t)); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.HasPrefix(line, "| DR-") && strings.Count(line, " | ") != 6 {
			t.Errorf("not a row of seven cells: %s", line)
		}
	}
	if strings.Contains(b.String(), "<x>") {
		t.Error("a name writes HTML")
	}
}
