package review

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/report"
	"gatehouse/drift/source"
	"gatehouse/fault"
)

// Move writes a manifest that enforces what the one environment enforces into a new folder, reads it again, compares the two, and says
// what is not carried over. Documents are files of OpenAPI that name what is below families of paths. The exit code is 3 when
// something is not carried over.
func (c Command) Move(dir string, documents []string) (exit int, err error) {
	if len(c.Sources) != 1 {
		return 0, fault.Bad("", "one environment is adopted at a time")
	}
	var opt adopt.Options
	for _, file := range documents {
		d, err := described(file)
		if err != nil {
			return 0, err
		}
		opt.Documents = append(opt.Documents, d)
	}
	_, envs, err := c.sources()
	if err != nil {
		return 0, err
	}
	a, err := adopt.Make(envs[0], opt)
	if err != nil && len(a.Lost) == 0 {
		return 0, err
	}
	var fresh *drift.Environment
	findings := 0
	if err == nil {
		if fresh, err = c.place(dir, a); err != nil {
			return 0, err
		}
		findings, _ = a.Explain(drift.Compare([]*drift.Environment{envs[0], fresh}, drift.Settings{}).Findings)
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
	c.lost(a.Lost)
	fmt.Fprintf(c.Out, "%d of %d operations are carried over", a.Of-gone(a.Lost), a.Of)
	if a.Operations != a.Of-gone(a.Lost) {
		fmt.Fprintf(c.Out, ", as %d of the manifest", a.Operations)
	}
	fmt.Fprintln(c.Out, ".")
	if fresh != nil {
		fmt.Fprintf(c.Out, "Read again and compared, the manifest differs from %s in %d findings, each of which is listed above.\nThe manifest is in %s: look at it with \"gatehouse check %s\".\n", report.Plain(envs[0].Name), findings, dir, dir)
	}
	return exit, err
}

// gone counts the operations that are left out.
func gone(list []adopt.Lost) int {
	seen := map[string]bool{}
	for _, l := range list {
		if l.Left {
			seen[fmt.Sprint(l.Operation, l.Origin)] = true
		}
	}
	return len(seen)
}

// lost lists what is not carried over, the same for several operations once: where the manifest is weaker first.
func (c Command) lost(list []adopt.Lost) {
	type what struct {
		weaker    bool
		what, why string
	}
	of := func(l adopt.Lost) what {
		if l.Left {
			return what{false, "left out", l.Why}
		}
		return what{l.Weaker, l.What, l.Why}
	}
	places := map[what][]adopt.Lost{}
	var order []what
	for _, l := range list {
		k := of(l)
		if places[k] == nil {
			order = append(order, k)
		}
		if !slices.ContainsFunc(places[k], func(m adopt.Lost) bool { return m.Operation == l.Operation && m.Origin == l.Origin }) {
			places[k] = append(places[k], l)
		}
	}
	slices.SortStableFunc(order, func(a, b what) int { return cmp.Compare(rank(a.weaker, a.what), rank(b.weaker, b.what)) })
	for _, k := range order {
		head := "not carried"
		if k.weaker {
			head = "WEAKER"
		}
		n := len(places[k])
		of := fmt.Sprintf("%d operations", n)
		if n == 1 {
			of = "1 operation"
		}
		if places[k][0].Operation == "" {
			of = "the environment"
		}
		fmt.Fprintf(c.Out, "%s on %s: %s\n  %s\n", c.bold(head, k.weaker), of, report.Plain(k.what), report.Plain(k.why))
		for i, l := range places[k] {
			if l.Operation == "" {
				continue
			}
			const shown = 5
			if i == shown {
				fmt.Fprintf(c.Out, "    … and %d more\n", n-shown)
				break
			}
			fmt.Fprintf(c.Out, "    %s  %s\n", report.Plain(l.Operation), report.Plain(l.Origin.String()))
		}
	}
}

func (c Command) bold(s string, bad bool) string {
	if !c.Colour || !bad {
		return s
	}
	return "\x1b[1;31m" + s + "\x1b[0m"
}

func rank(weaker bool, what string) int {
	switch {
	case weaker:
		return 0
	case what == "left out":
		return 1
	}
	return 2
}

// described reads an OpenAPI document as names of operations.
func described(file string) (adopt.Document, error) {
	out := adopt.Document{Name: filepath.Base(file)}
	st, err := os.Stat(file)
	if err != nil {
		return out, fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	if st.Size() > maxBaseline || !st.Mode().IsRegular() {
		return out, fault.Bad("", "%s is not an OpenAPI document", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return out, fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	docs, _, err := source.Parse(file, text)
	if err != nil {
		return out, fault.Bad("", "%s: %s", file, err)
	}
	for _, d := range docs {
		base := ""
		if servers := d.Get("servers").Items(); len(servers) > 0 {
			if u, err := url.Parse(servers[0].Get("url").Str()); err == nil {
				base = u.Path
			}
		}
		if s := d.Get("basePath").Str(); s != "" { // OpenAPI 2
			base = s
		}
		d.Get("paths").Each(func(path string, item *source.Node) {
			item.Each(func(method string, op *source.Node) {
				if m := strings.ToUpper(method); slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}, m) {
					out.Operations = append(out.Operations, adopt.Described{Method: m, Path: drift.Join(base, path), ID: op.Get("operationId").Str()})
				}
			})
		})
	}
	if len(out.Operations) == 0 {
		return out, fault.Bad("", "%s names no operations: is it an OpenAPI document?", file)
	}
	return out, nil
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
