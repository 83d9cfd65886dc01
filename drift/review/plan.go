package review

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/plan"
	"gatehouse/drift/report"
	"gatehouse/drift/source"
	"gatehouse/fault"
)

// PlanFormats are the forms in which a plan is written.
func PlanFormats() []string { return []string{"text", "json", "diff", "markdown"} }

// Planning says what is planned and what is done with it.
type Planning struct {
	Like      string   // the environment that is the standard
	Only      []string // ids of findings or rules
	Deletions int
	Apply     bool
	Save      string // a file for the whole plan, which Undo takes
}

// kept is a plan as it is saved, with the folders that it is about.
type kept struct {
	Folders map[string]string `json:"folders"`
	*plan.Plan
}

// Plan plans what closes the findings, and carries it out when it is told to. The exit code is 0 when nothing is left to do, 3 when
// there is, and 4 when not everything could be seen.
func (c Command) Plan(o Planning) (exit int, err error) {
	if c.Format != "" && !slices.Contains(PlanFormats(), c.Format) {
		return 0, fault.Bad("", "%q is not a format of a plan: %s", c.Format, strings.Join(PlanFormats(), ", "))
	}
	set := drift.Settings{Now: c.Now, Off: c.Off}
	if c.Baseline != "" {
		if set.Baseline, err = readBaseline(c.Baseline); err != nil {
			return 0, err
		}
	}
	srcs, envs, err := c.sources()
	if err != nil {
		return 0, err
	}
	if o.Like != "" && !slices.ContainsFunc(srcs, func(s Source) bool { return s.Name == o.Like }) {
		return 0, fault.Bad("", "--like names %q, which is not one of the environments", o.Like)
	}
	folders := map[string]string{}
	var targets []plan.Target
	for i, s := range srcs {
		if s.Running() { // compared, and not changed: its configuration is kept elsewhere
			targets = append(targets, plan.Target{Env: envs[i], Instead: s.export()})
			continue
		}
		fsys, closer, err := source.OpenDir(s.Folder)
		if err != nil {
			return 0, fault.New(fault.NotFound, "%s cannot be opened as a folder", s.Folder).Because(err)
		}
		defer closer.Close()
		read, err := s.reader(fsys, c.Now)
		if err != nil {
			return 0, err
		}
		folders[s.Name] = s.Folder
		targets = append(targets, plan.Target{Env: envs[i], Files: fsys, Read: read})
	}
	p := plan.Make(targets, plan.Options{Like: o.Like, Only: o.Only, Deletions: o.Deletions, Settings: set, Progress: c.every()})
	if o.Save != "" {
		if err := save(o.Save, kept{folders, p}); err != nil {
			return 0, err
		}
	}
	if err := c.writePlan(p, folders); err != nil {
		return 0, err
	}
	exit = 0
	switch {
	case len(p.Refusals) > 0 || len(p.Steps) > 0 && !o.Apply:
		exit = 3
	case !p.Coverage.Whole():
		exit = 4
	}
	if o.Apply && len(p.Files) > 0 {
		if err := p.Apply(folders); err != nil {
			return 0, err
		}
		fmt.Fprintf(c.note(), "%d files are written.\n", len(p.Files))
	}
	return exit, nil
}

// export is how the files are had on which a running gateway's changes are planned.
func (s Source) export() string {
	folder := fmt.Sprintf("plan on the folder: gatehouse drift plan %s:%s=FOLDER", s.Name, s.Gateway)
	switch s.Gateway {
	case "kong":
		return fmt.Sprintf("write it out with deck gateway dump --kong-addr %s -o FOLDER/kong.yaml, %s, and bring the changed file back with deck gateway sync", drift.Mask(s.Folder), folder)
	case "azureapim":
		return "write it out with the extractor of APIOps, " + folder + ", and publish the changed files with its publisher"
	}
	return "take the manifests that are applied to the cluster, from their repository or by kubectl get -A -o yaml of the kinds that are read, " + folder + ", and apply the changed ones"
}

// every tells about the progress of what takes longer than a second, once a second.
func (c Command) every() func(tried, left int) {
	last := time.Now()
	return func(tried, left int) {
		if c.Progress != nil && time.Since(last) > time.Second {
			last = time.Now()
			fmt.Fprintf(c.Progress, "planning: %d findings tried, %d to go\n", tried, left)
		}
	}
}

func (c Command) note() io.Writer {
	if c.Progress != nil {
		return c.Progress
	}
	return io.Discard
}

func (c Command) writePlan(p *plan.Plan, folders map[string]string) error {
	switch c.Format {
	case "json":
		e := json.NewEncoder(c.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(kept{folders, p})
	case "diff":
		return report.PlanDiff(c.Out, p, folders)
	case "markdown":
		return report.PlanMarkdown(c.Out, p)
	}
	return report.PlanText(c.Out, p, c.Colour)
}

func save(file string, k kept) error {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return fault.New(fault.Conflict, "%s cannot be written", file).Because(err)
	}
	return nil
}

// Undo takes back what a saved plan has done. It refuses when the files are no longer as the plan left them.
func Undo(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	const most = 256 << 20 // as much as a folder that is read
	if st.Size() > most || !st.Mode().IsRegular() {
		return fault.Bad("", "%s is not a saved plan", file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	k := kept{Plan: &plan.Plan{}}
	if err := json.Unmarshal(b, &k); err != nil || k.Format != 1 {
		return fault.Bad("", "%s is not a saved plan of this version", file)
	}
	return k.Undo(k.Folders)
}
