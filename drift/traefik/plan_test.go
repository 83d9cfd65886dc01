package traefik_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, traefik.Read, good(), mutations(), drifttest.Healed{Carried: 48, Native: 31})
}

// inTOML is a YAML text as TOML.
func inTOML(t *testing.T, text string) string {
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := toml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return "# Kept by the platform team.\n" + string(b)
}

// TestPlanTOML: the same weakenings, in the other form that the file provider takes.
func TestPlanTOML(t *testing.T) {
	name := func(s string) string { return strings.TrimSuffix(s, ".yaml") + ".toml" }
	f := drifttest.Files{}
	for file, text := range good() {
		f[name(file)] = inTOML(t, text)
	}
	list := slices.Clone(mutations())
	for i, m := range list {
		weak := strings.Replace(good()[m.File], m.Old, m.New, 1)
		if m.Also[0] != "" {
			weak = strings.Replace(weak, m.Also[0], m.Also[1], 1)
		}
		list[i].File, list[i].Old, list[i].New, list[i].Also = name(m.File), f[name(m.File)], inTOML(t, weak), [2]string{}
	}
	drifttest.Heal(t, traefik.Read, f, list, drifttest.Healed{Carried: 48, Native: 31})
}
