package portal

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/fault"
	"gatehouse/problem"
)

// fieldKind is how a field is drawn.
type fieldKind string

// The kinds of fields.
const (
	textField   fieldKind = "text"
	emailField  fieldKind = "email"
	secretField fieldKind = "password"
	urlField    fieldKind = "url"
	dateField   fieldKind = "date"
	areaField   fieldKind = "area"
	selectField fieldKind = "select"
	radioField  fieldKind = "radios"
	checkField  fieldKind = "checks"
)

// field is one question of a form and the answer so far.
type field struct {
	Name, Label, Hint string
	Kind              fieldKind
	Required          bool
	Autocomplete      string
	Max               int // characters; 0: 200
	From, To          string
	Options           []option
	Value             string
	Values            []string // of checkField
	Error             string
	Mono              bool // typed letter by letter, such as a code
	Unmarked          bool // neither required nor optional: it depends on which button is pressed
}

// option is one answer of a selectField, radioField or checkField.
type option struct {
	Value, Label, Text string
	Facts              []string
	Badge              string
	On                 bool
}

// ID is the field's place on the page, to which the error summary links.
func (f field) ID() string { return "f-" + f.Name }

// DescribedBy are the places of the field's hint and error.
func (f field) DescribedBy() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.ID()+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.ID()+"-error")
	}
	return strings.Join(ids, " ")
}

// Secret reports whether the answer is never written back onto a page.
func (f field) Secret() bool { return f.Kind == secretField }

// Class is how a one-line field looks: as wide as its answers can be.
func (f field) Class() string {
	var names []string
	if f.Mono {
		names = append(names, "mono")
	}
	if f.Max > 0 && f.Max <= 20 || f.Kind == dateField {
		names = append(names, "short")
	}
	return strings.Join(names, " ")
}

// Longest is how many characters the answer may have.
func (f field) Longest() int {
	if f.Max == 0 {
		return 200
	}
	return f.Max
}

// form is one form: its fields, what was typed, and what is wrong with it.
type form struct {
	Action  string
	Once    string // random for each rendering, so that sending it twice does the deed once
	Version int64  // of what is edited, as the person saw it; 0 for something new
	Problem string // what is wrong with the form as a whole
	Fields  []field
	refused int // the status of what control said; 0 when it said nothing
}

// newForm makes an empty form that is sent to action.
func newForm(action string, fields ...field) form {
	return form{Action: action, Once: rand.Text(), Fields: fields}
}

// Field returns the named field for the page to draw.
func (f form) Field(name string) field {
	for _, x := range f.Fields {
		if x.Name == name {
			return x
		}
	}
	return field{Name: name}
}

// Wrong lists the fields with an error, in their order on the page.
func (f form) Wrong() []field {
	var out []field
	for _, x := range f.Fields {
		if x.Error != "" {
			out = append(out, x)
		}
	}
	return out
}

// Bad reports whether anything is wrong.
func (f form) Bad() bool { return f.Problem != "" || len(f.Wrong()) > 0 }

func (f *form) at(name string) *field {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return &f.Fields[i]
		}
	}
	return nil
}

// set gives a field an answer to begin with.
func (f *form) set(name, value string) {
	if x := f.at(name); x != nil {
		x.Value = value
		x.choose()
	}
}

// tick answers a checkField to begin with.
func (f *form) tick(name string, values []string) {
	if x := f.at(name); x != nil {
		x.Values = values
		x.choose()
	}
}

// choose marks the chosen options.
func (x *field) choose() {
	for i := range x.Options {
		o := &x.Options[i]
		if x.Kind == checkField {
			o.On = slices.Contains(x.Values, o.Value)
		} else {
			o.On = o.Value == x.Value
		}
	}
}

// read takes what was sent, and says what is plainly wrong with it: missing, too long, not among the choices. It reports
// whether nothing is. What it means is for control to judge.
func (f *form) read(sent url.Values) bool {
	f.Once = sent.Get("once")
	f.Version, _ = strconv.ParseInt(sent.Get("version"), 10, 64)
	for i := range f.Fields {
		x := &f.Fields[i]
		if x.Kind == checkField {
			x.Values = sent[x.Name]
		} else {
			x.Value = clean(sent.Get(x.Name), x.Kind)
		}
		x.choose()
		x.Error = x.plainlyWrong()
	}
	return !f.Bad()
}

func (x *field) plainlyWrong() string {
	switch {
	case x.Kind == checkField:
		if x.Required && len(x.Values) == 0 {
			return "Choose at least one."
		}
		for _, value := range x.Values {
			if !x.offers(value) {
				return "One of these is no longer offered: choose again."
			}
		}
	case x.Value == "" && x.Required:
		if x.Kind == radioField || x.Kind == selectField {
			return "Choose one."
		}
		return "Fill this in."
	case x.Value == "":
	case (x.Kind == radioField || x.Kind == selectField) && !x.offers(x.Value):
		return "This is no longer offered: choose again."
	case utf8.RuneCountInString(x.Value) > x.Longest():
		return "At most " + number(int64(x.Longest())) + " characters; this has " + number(int64(utf8.RuneCountInString(x.Value))) + "."
	case x.Kind == dateField:
		if _, err := time.Parse(time.DateOnly, x.Value); err != nil {
			return "Write a date as year-month-day, such as 2027-05-23."
		}
	}
	return ""
}

func (x *field) offers(value string) bool {
	return slices.ContainsFunc(x.Options, func(o option) bool { return o.Value == value })
}

// clean takes out what no answer can hold: broken UTF-8, control characters, and spaces around it.
func clean(s string, k fieldKind) string {
	if k == secretField {
		return s // a password is taken as it is
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' && (k != areaField || r != '\n') || r == 0x7F {
			if r == '\t' {
				return ' '
			}
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	return strings.TrimSpace(s)
}

// value is the answer of a field.
func (f form) value(name string) string { return f.Field(name).Value }

// refuse puts what control said onto the form. It reports whether the fault is one that a person mends on this form;
// any other is a page of its own.
func (f *form) refuse(err error) bool {
	e := fault.As(err)
	if confirmFirst(err) {
		return false // its page says how
	}
	f.refused = problem.Status(e)
	switch e.Kind {
	case fault.Invalid:
		for _, w := range e.Fields {
			f.blame(w)
		}
		if !f.Bad() {
			f.Problem = sentence(e.Public)
		}
	case fault.Conflict, fault.Limited, fault.Forbidden:
		f.Problem = sentence(e.Public)
	case fault.Stale:
		f.Problem = "Somebody changed this while you had the page open. What stands here now is the newest, with what you typed kept: look again and send it once more."
	default:
		return false
	}
	return true
}

// blame puts one error beside its field, or on top where the form has no such field.
func (f *form) blame(w fault.Field) {
	name, _, _ := strings.Cut(strings.TrimPrefix(w.Pointer, "/"), "/")
	if x := f.at(name); x != nil {
		if x.Error == "" {
			x.Error = sentence(w.Text)
		}
		return
	}
	if f.Problem != "" {
		f.Problem += " "
	}
	f.Problem += sentence(strings.TrimSpace(strings.ReplaceAll(name, "_", " ") + ": " + w.Text))
}

// sentence makes control's text one: a capital first, a full stop last.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	s = strings.ToUpper(string(r)) + s[n:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "!") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}
