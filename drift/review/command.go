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
	"gatehouse/drift/baseline"
	"gatehouse/drift/report"
	"gatehouse/fault"
)

// Formats are the forms in which a comparison is written.
func Formats() []string { return []string{"text", "json", "sarif", "markdown", "html"} }

// Command is one call of the review from a command line. Its methods write to Out and return the exit code; an error is one of use or of
// reading (a fault), and its code is the caller's matter.
type Command struct {
	Sources  []string // as ParseSource reads them
	Format   string   // one of Formats; "" is text
	Baseline string   // a file; "" compares the environments with each other
	Off      []string // ids of rules that are not asked
	Colour   bool
	Now      time.Time
	Out      io.Writer
	Progress io.Writer // told what takes longer than a second; nil: nobody
	Live     Live      // asks running gateways; nil: they are not read
}

func (c Command) sources() ([]Source, []*drift.Environment, error) {
	if len(c.Sources) == 0 {
		return nil, nil, fault.Bad("", "no environment is named: NAME[@TIER][:GATEWAY]=FOLDER")
	}
	var srcs []Source
	var envs []*drift.Environment
	start := time.Now()
	for i, s := range c.Sources {
		src, err := ParseSource(s)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(srcs, func(o Source) bool { return o.Name == src.Name }) {
			return nil, nil, fault.Bad("", "two environments are called %q", src.Name)
		}
		if c.Progress != nil && time.Since(start) > time.Second {
			fmt.Fprintf(c.Progress, "reading %d of %d: %s\n", i+1, len(c.Sources), src.Name)
		}
		e, err := c.environment(src)
		if err != nil {
			return nil, nil, err
		}
		srcs, envs = append(srcs, src), append(envs, e)
	}
	return srcs, envs, nil
}

func (c Command) environment(s Source) (*drift.Environment, error) {
	if s.Running() {
		return s.Ask(c.Now, c.Live)
	}
	return s.Read(c.Now)
}

// comparing tells of comparisons that take longer than a second, once a second.
func (c Command) comparing() func(done, all int) {
	last := time.Now()
	return func(done, all int) {
		if c.Progress != nil && done < all && time.Since(last) > time.Second {
			last = time.Now()
			fmt.Fprintf(c.Progress, "compared %d of %d\n", done, all)
		}
	}
}

// Compare compares the environments with each other, or each with the baseline.
func (c Command) Compare() (exit int, err error) {
	if c.Format != "" && !slices.Contains(Formats(), c.Format) {
		return 0, fault.Bad("", "%q is not a format: %s", c.Format, strings.Join(Formats(), ", "))
	}
	for _, id := range c.Off {
		if _, ok := drift.RuleByID(id); !ok {
			return 0, fault.Bad("", "%q is not a rule", id)
		}
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
	set.Progress = c.comparing()
	r := drift.Compare(envs, set)
	switch c.Format {
	case "json":
		err = report.JSON(c.Out, r)
	case "sarif":
		roots := map[string]string{}
		for _, s := range srcs {
			roots[s.Name] = strings.TrimPrefix(s.Folder, "./")
		}
		err = report.SARIF(c.Out, r, roots)
	case "markdown":
		err = report.Markdown(c.Out, r)
	case "html":
		err = report.HTML(c.Out, r, c.Now)
	default:
		err = report.Text(c.Out, r, c.Colour)
	}
	return Exit(r), err
}

const maxBaseline = 16 << 20

func readBaseline(file string) (*drift.Baseline, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	if st.Size() > maxBaseline || !st.Mode().IsRegular() {
		return nil, fault.Bad("", "%s is not a file of a baseline", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", file).Because(err)
	}
	b, problems := baseline.Read(file, text)
	var fields []fault.Field
	for _, p := range problems {
		if p.Partial {
			fields = append(fields, fault.Field{Pointer: p.Pointer, Text: p.String()})
		}
	}
	if len(fields) > 0 {
		return nil, fault.BadFields(fields)
	}
	return b, nil
}

// Read writes what the environments enforce: as JSON whole, as text one line for each operation.
func (c Command) Read() (exit int, err error) {
	_, envs, err := c.sources()
	if err != nil {
		return 0, err
	}
	whole := true
	if c.Format == "json" {
		e := json.NewEncoder(c.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		for _, x := range envs {
			whole = whole && drift.Cover(x).Whole()
		}
		err = e.Encode(envs)
	} else {
		for _, x := range envs {
			whole = whole && drift.Cover(x).Whole()
			if err = report.Environment(c.Out, x); err != nil {
				return 0, err
			}
		}
	}
	if !whole {
		exit = 4
	}
	return exit, err
}

// Adopt writes a baseline of the one environment that is named.
func (c Command) Adopt(name string) (exit int, err error) {
	if len(c.Sources) != 1 {
		return 0, fault.Bad("", "a baseline is made of one environment")
	}
	_, envs, err := c.sources()
	if err != nil {
		return 0, err
	}
	text, err := baseline.Write(drift.Adopt(name, envs[0]))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(c.Out, "# Made of %s: %s.\n%s", report.Plain(envs[0].Name), drift.Cover(envs[0]), text)
	return 0, err
}
