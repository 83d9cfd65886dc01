package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a manifest says. They keep arithmetic far from overflow and pages readable.
const (
	maxTitle       = 200    // characters
	maxDescription = 20_000 // characters
	maxScope       = 100    // bytes
	maxRequests    = 1_000_000_000
	maxBurst       = 100 // times the requests of the window
	maxWindow      = 366 * day
	maxLongest     = 3660 * day // ten years
	maxTimeout     = time.Hour
)

var (
	nameForm        = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	environmentForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`) // as env.CheckName has it: it is part of every key
	scopeForm       = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
)

// check validates a manifest that has been decoded, and fills in what it leaves out.
type check struct {
	*Parsed
	ds *diagnostics
	b  Bundle
}

// bad says what is wrong with a value that could be read, or that something is missing in an object that could.
func (c *check) bad(at, format string, args ...any) {
	if !c.failed[at] {
		c.ds.put(c.At(at, format, args...))
	}
}

func (c *check) warn(at, format string, args ...any) { c.ds.put(c.Warn(at, format, args...)) }

// dangling says that a reference leads to nothing in a list of the manifest, unless what it leads to may be in a part that
// could not be read.
func (c *check) dangling(at, list, format string, args ...any) {
	if c.failed[""] || c.failed["/"+list] {
		return
	}
	for i := range c.length(list) {
		if c.failed[pointer(list, i, "name")] || c.failed[pointer(list, i)] && c.places[pointer(list, i, "name")] == (place{}) {
			return
		}
	}
	c.bad(at, format, args...)
}

func (c *check) length(list string) int {
	switch list {
	case "environments":
		return len(c.Environments)
	case "upstreams":
		return len(c.Upstreams)
	}
	return len(c.APIs)
}

// none says that a list of the manifest is empty, unless that may be because a part could not be read.
func (c *check) none(list, format string, args ...any) {
	if !c.failed[""] && !c.failed["/"+list] {
		c.bad("/gatehouse", format, args...)
	}
}

func (c *check) all() {
	c.environments()
	c.trusted()
	c.authorities()
	c.upstreams()
	c.apis()
	c.products()
	c.offers()
}

// pointer makes a JSON pointer from names and indexes.
func pointer(tokens ...any) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(escape(fmt.Sprint(t)))
	}
	return b.String()
}

// named checks the name of a thing and that no other of its kind has it.
func (c *check) named(at, what, name string, form *regexp.Regexp, first map[string]string) {
	switch {
	case name == "":
		c.bad(at, "the %s needs a name", what)
	case !form.MatchString(name):
		most := 63
		if form == environmentForm {
			most = 32
		}
		c.bad(at+"/name", "%q is not a name: use up to %d lower case letters, digits and hyphens, a letter first", clip(name), most)
	case first[name] != "":
		d := c.At(first[name], "")
		c.bad(at+"/name", "another %s is named %s, in %s line %d", what, name, d.File, d.Line)
	default:
		first[name] = at
	}
}

// words checks a text that people read.
func (c *check) words(at, s string, most int) {
	if n := utf8.RuneCountInString(s); n > most {
		c.bad(at, "has %d characters, more than %d", n, most)
	}
	for _, r := range s {
		if unicode.IsControl(r) && (most == maxTitle || r != '\n' && r != '\t' && r != '\r') {
			c.bad(at, "holds the control character U+%04X", r)
			return
		}
	}
}

// span checks a time span that is set; 0 is written by nobody who leaves it out.
func (c *check) span(at string, d Duration, least, most time.Duration) {
	_, written := c.places[at]
	switch {
	case d == 0 && !written:
	case d <= 0:
		c.bad(at, "must be longer than nothing")
	case time.Duration(d) < least:
		c.bad(at, "must be at least %s, not %s", Duration(least), d)
	case time.Duration(d) > most:
		c.bad(at, "must be at most %s, not %s", Duration(most), d)
	}
}

func (c *check) environments() {
	if len(c.Environments) == 0 {
		c.none("environments", "no environment is declared: at least one is needed, such as \"environments: [{name: live}]\"")
	}
	first := map[string]string{}
	for i := range c.Environments {
		e, at := &c.Environments[i], pointer("environments", i)
		c.named(at, "environment", e.Name, environmentForm, first)
		c.words(at+"/title", e.Title, maxTitle)
		c.words(at+"/description", e.Description, maxDescription)
		if e.URL != "" {
			if err := checkAddress(e.URL); err != nil {
				c.bad(at+"/url", "%s", err)
			}
		}
		if e.Title == "" {
			e.Title = e.Name
		}
	}
}

func (c *check) environmentNames() []string {
	names := make([]string, len(c.Environments))
	for i, e := range c.Environments {
		names[i] = e.Name
	}
	return names
}

// among checks a list of references to names; those of environments may be in a part that could not be read.
func (c *check) among(at, what string, list, names []string) {
	for i, s := range list {
		switch {
		case slices.Contains(list[:i], s):
			c.bad(fmt.Sprintf("%s/%d", at, i), "%s stands twice", clip(s))
		case !slices.Contains(names, s):
			c.dangling(fmt.Sprintf("%s/%d", at, i), "environments", "there is no %s %q%s", what, clip(s), meant(s, names))
		}
	}
}

func (c *check) scope(at, s string) {
	if !scopeForm.MatchString(s) || len(s) > maxScope {
		c.bad(at, "%q is not a scope: use up to %d ASCII letters, digits and signs without spaces, quotes and backslashes", clip(s), maxScope)
	}
}
