package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/report"
	"gatehouse/fault"
)

// Move writes a manifest that enforces what the one environment enforces into a new folder, reads it again, and says what is not
// carried over. The exit code is 3 when something is not.
func (c Command) Move(dir string) (exit int, err error) {
	if len(c.Sources) != 1 {
		return 0, fault.Bad("", "one environment is adopted at a time")
	}
	_, envs, err := c.sources()
	if err != nil {
		return 0, err
	}
	a, err := adopt.Make(envs[0])
	if err != nil && a == nil {
		return 0, err
	}
	var fresh *drift.Environment
	if err == nil {
		if fresh, err = c.place(dir, a); err != nil {
			return 0, err
		}
	}
	if len(a.Lost) > 0 {
		exit = 3
	}
	if c.Format == "json" {
		e := json.NewEncoder(c.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return exit, errors.Join(e.Encode(a), err)
	}
	type what struct{ what, why string }
	counted := map[what]int{}
	var order []what
	for _, l := range a.Lost {
		k := what{l.What, l.Why}
		if l.Left {
			k.what = "left out"
		}
		if counted[k] == 0 {
			order = append(order, k)
		}
		counted[k]++
	}
	for _, k := range order {
		fmt.Fprintf(c.Out, "not carried on %d operations: %s\n  %s\n", counted[k], report.Plain(k.what), report.Plain(k.why))
		n := 0
		for _, l := range a.Lost {
			name := l.What
			if l.Left {
				name = "left out"
			}
			if (what{name, l.Why}) != k || l.Operation == "" {
				continue
			}
			if n++; n > 5 {
				fmt.Fprintf(c.Out, "    … and %d more\n", counted[k]-5)
				break
			}
			fmt.Fprintf(c.Out, "    %s  %s\n", report.Plain(l.Operation), report.Plain(l.Origin.String()))
		}
	}
	fmt.Fprintf(c.Out, "%d of %d operations are carried over.\n", a.Operations, a.Of)
	if fresh != nil {
		fmt.Fprintf(c.Out, "The manifest is in %s: look at it with \"gatehouse check %s\", and compare it with \"gatehouse drift compare\".\n", dir, dir)
	}
	return exit, err
}

// place writes the folder, which must not be there or be empty, and reads it as an environment.
func (c Command) place(dir string, a *adopt.Adopted) (*drift.Environment, error) {
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return nil, fault.New(fault.Conflict, "%s is not empty; name a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Conflict, "%s cannot be written", dir).Because(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.New(fault.Conflict, "%s cannot be made", dir).Because(err)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		if err := os.WriteFile(filepath.Join(dir, name), a.Files[name], 0o644); err != nil {
			return nil, fault.New(fault.Conflict, "%s cannot be written", filepath.Join(dir, name)).Because(err)
		}
	}
	e, err := Source{Name: "adopted", Gateway: "gatehouse", Folder: dir}.Read(c.Now)
	if err != nil {
		return nil, err
	}
	for _, p := range e.Problems {
		if p.Partial {
			return nil, fault.New(fault.Internal, "what was written is not a manifest: %s", p)
		}
	}
	return e, nil
}
