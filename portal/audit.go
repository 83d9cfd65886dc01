package portal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// auditPage lists what was changed, newest first.
type auditPage struct {
	frame
	Filter  auditFilter
	Rows    []entryRow
	Pager   pager
	Kinds   []option
	Narrow  bool // some filter is set
	Printed string
}

func (*auditPage) template() string { return "audit" }

// auditFilter is what the viewer looks for, as typed.
type auditFilter struct{ Object, Organization, Application, Action string }

// entryRow is an entry in a list.
type entryRow struct {
	audit.Entry
	Who    string // the name, where it is kept
	Class  string // of the actor
	Did    string // the action in words
	Href   string // "" until it has a number
	Target ref
}

// actionKinds are the first words of actions, by which the list can be narrowed.
var actionKinds = []option{
	{Value: "organization.", Label: "Organizations"}, {Value: "person.", Label: "People"}, {Value: "application.", Label: "Applications"},
	{Value: "request.", Label: "Requests"}, {Value: "grant.", Label: "Grants"}, {Value: "credential.", Label: "Keys"},
	{Value: "revision.", Label: "Revisions"}, {Value: "machine.", Label: "Machine tokens"}, {Value: "session.", Label: "Sessions"}, {Value: "device.", Label: "Command lines"},
}

func listAudit(v *visit) error {
	q := v.r.URL.Query()
	p := &auditPage{Filter: auditFilter{
		Object: clean(q.Get("object"), textField), Organization: clean(q.Get("organization"), textField),
		Application: clean(q.Get("application"), textField), Action: clean(q.Get("action"), textField),
	}}
	p.Narrow = p.Filter != auditFilter{}
	list, err := v.Control.Audit(v.r.Context(), v.actor, audit.Filter{
		Object: id.ID(p.Filter.Object), Organization: id.ID(p.Filter.Organization), Application: id.ID(p.Filter.Application), Action: p.Filter.Action,
	}, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	for _, k := range actionKinds {
		k.On = k.Value == p.Filter.Action
		p.Kinds = append(p.Kinds, k)
	}
	v.name(ids(list.Items, func(e audit.Entry) []id.ID {
		_, who, _ := strings.Cut(e.Actor, ":")
		return []id.ID{id.ID(who)}
	}))
	p.Rows, p.Pager = rows(list.Items, v.entryRow), v.pager(list.Next)
	p.Title, p.Lead = "Audit", "Who changed what, when and why. Nothing in it can be changed, removed or reordered unseen."
	if v.actor.Class == identity.Member {
		p.Title, p.Lead = "Activity", "Who changed what of yours, when and why."
	}
	return v.ok(p)
}

func (v *visit) entryRow(e audit.Entry) entryRow {
	class, who, _ := strings.Cut(e.Actor, ":")
	row := entryRow{Entry: e, Class: class, Who: personal(e, "actor.name"), Did: actionWords(e.Action), Target: objectRef(e.Object, v.actor)}
	switch i := id.ID(who); {
	case row.Who != "":
	case i.Is(id.Person):
		row.Who = v.person(i)
	case class == identity.Anonymous.String():
		row.Who = "a visitor"
	case class == identity.System.String():
		row.Who = "Gatehouse itself"
	default:
		row.Who = cmp.Or(short(i), class)
	}
	if e.Seq >= 0 {
		row.Href = "/audit/" + strconv.FormatInt(e.Seq, 10)
	}
	return row
}

func personal(e audit.Entry, name string) string {
	for _, p := range e.Personal {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// objectRef leads to what was changed, where there is a page for it.
func objectRef(i id.ID, a identity.Actor) ref {
	r := ref{Name: short(i)}
	switch {
	case i.Is(id.Application):
		r.Href = "/applications/" + string(i)
	case i.Is(id.Grant):
		r.Href = "/grants/" + string(i)
	case i.Is(id.Request):
		r.Href = "/requests/" + string(i)
	case i.Is(id.Credential):
		r.Href = "/credentials/" + string(i)
	case i.Is(id.Organization):
		r.Href = "/organizations/" + string(i)
	case i.Is(id.Person) && a.Class == identity.Staff:
		r.Href = ""
	}
	return r
}

// entryPage is one entry: before and after, side by side.
type entryPage struct {
	frame
	Entry   entryRow
	Changes []change
	Address string
	Created bool // there was nothing before
	Removed bool // there is nothing after
}

func (*entryPage) template() string { return "entry" }

// change is one value before and after.
type change struct {
	Key, Before, After string
	Changed            bool
}

func showEntry(v *visit) error {
	seq, err := strconv.ParseInt(v.r.PathValue("seq"), 10, 64)
	if err != nil || seq < 0 {
		return fault.New(fault.NotFound, "there is no such entry")
	}
	list, err := v.Control.Audit(v.r.Context(), v.actor, audit.Filter{Before: seq + 1}, control.Page{Limit: 50})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list.Items, func(e audit.Entry) bool { return e.Seq == seq })
	if at < 0 {
		return fault.New(fault.NotFound, "there is no such entry")
	}
	e := list.Items[at]
	p := &entryPage{Entry: v.entryRow(e), Address: personal(e, "actor.address"), Changes: compare(e.Before, e.After), Created: len(e.Before) == 0, Removed: len(e.After) == 0}
	p.Title = sentenceStart(p.Entry.Did)
	p.Trail = []crumb{{"Audit", "/audit"}}
	if v.actor.Class == identity.Member {
		p.Trail[0].Text = "Activity"
	}
	return v.ok(p)
}

func sentenceStart(s string) string { return strings.TrimSuffix(sentence(s), ".") }

// compare lists the values of two JSON objects side by side, what changed first.
func compare(before, after json.RawMessage) []change {
	b, a := map[string]string{}, map[string]string{}
	spread("", before, b)
	spread("", after, a)
	keys := slices.Sorted(maps.Keys(b))
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[k]; !ok {
			keys = append(keys, k)
		}
	}
	out := make([]change, 0, len(keys))
	for _, k := range keys {
		was, had := b[k]
		is, has := a[k]
		out = append(out, change{k, was, is, had != has || was != is})
	}
	slices.SortStableFunc(out, func(x, y change) int {
		if x.Changed != y.Changed {
			if x.Changed {
				return -1
			}
			return 1
		}
		return 0
	})
	return out
}

// maxSpread is how deep a JSON value is taken apart; deeper parts stay as they are written.
const maxSpread = 4

// spread writes the leaves of a JSON object by their dotted names. Numbers stay as they are written.
func spread(name string, raw json.RawMessage, into map[string]string) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return
	}
	var object map[string]json.RawMessage
	if raw[0] == '{' && strings.Count(name, ".") < maxSpread && json.Unmarshal(raw, &object) == nil {
		for k, x := range object {
			full := k
			if name != "" {
				full = name + "." + k
			}
			spread(full, x, into)
		}
		return
	}
	var text string
	var list []string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		into[name] = text
	case json.Unmarshal(raw, &list) == nil:
		into[name] = strings.Join(list, ", ")
	default:
		into[name] = string(raw)
	}
}

// verificationPage proves the log, or shows what does not hold.
type verificationPage struct {
	frame
	Form     form
	Report   *audit.Report // nil until it was asked for
	Note     string        // the newest signed checkpoint
	Verifier string
}

func (*verificationPage) template() string { return "verification" }

func (v *visit) verificationPage() (*verificationPage, error) {
	note, verifier, err := v.Control.Checkpoint(v.r.Context(), v.actor)
	if err != nil && !missing(err) {
		return nil, err
	}
	p := &verificationPage{Note: note, Verifier: verifier, Form: newForm("/audit/verification",
		field{Name: "checkpoint", Label: "A checkpoint that you kept", Kind: areaField, Max: 4000, Mono: true, Hint: "Paste one you saved earlier, and the log must still contain it. Empty: the newest one is used"})}
	p.Title, p.Lead = "Verify the audit", "Reads every entry, rebuilds the tree, and compares it with the signed checkpoint."
	p.Trail = []crumb{{"Audit", "/audit"}}
	return p, nil
}

func askVerification(v *visit) error {
	p, err := v.verificationPage()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func verifyAudit(v *visit) error {
	p, err := v.verificationPage()
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	checkpoint := p.Form.value("checkpoint")
	if checkpoint != "" {
		checkpoint += "\n" // a note ends with a line's end, which a text area loses
	}
	report, err := v.Control.VerifyAudit(v.r.Context(), v.actor, checkpoint)
	if err != nil {
		if p.Form.refuse(err) {
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	p.Report = &report
	return v.ok(p)
}
