package plan

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

func (m manifestSite) timeout() error {
	key, leaf := "connect", func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Connect }
	if m.g.Field == "limits.timeout_read_ms" {
		key, leaf = "read", func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Read }
	}
	n, err := wanted(m.g, leaf, 0)
	if err != nil {
		return err
	}
	if n <= 0 {
		return refuse("the other side has no bound", "")
	}
	name, ok := strings.CutPrefix(m.g.Have.Upstream.URLs.Origin.Scope, "upstream ")
	if !ok {
		return notFound("the upstream")
	}
	at, err := m.find("upstreams", "name", name)
	if err != nil {
		return err
	}
	m.Did("set the timeout %s of upstream %s", key, name)
	return m.Set(at, at.Pointer+"/timeouts/"+key, strconv.FormatInt(n, 10)+"ms")
}

func (m manifestSite) removals() error {
	if m.g.Want == nil || !m.g.Want.Transforms.Known() {
		return refuse("what the other side has is not known", "")
	}
	var names []string
	seen := func(list []drift.Transform, name string) bool {
		return slices.ContainsFunc(list, func(o drift.Transform) bool {
			return o.Phase == "request" && o.Target == "header" && o.Op == "remove" && strings.EqualFold(o.Name, name)
		})
	}
	missing := 0
	for _, t := range m.g.Have.Transforms.Value {
		if seen([]drift.Transform{t}, t.Name) {
			names = append(names, t.Name)
		}
	}
	for _, t := range m.g.Want.Transforms.Value {
		if seen([]drift.Transform{t}, t.Name) && !seen(m.g.Have.Transforms.Value, t.Name) {
			names, missing = append(names, t.Name), missing+1
		}
	}
	if missing == 0 {
		return refuse("the messages are changed in ways whose order and values somebody must decide", "")
	}
	return m.policy("headers", "request/remove", patch.Strings(names))
}

func (m manifestSite) cors() error {
	c := m.g.Have.CORS
	if m.g.Want == nil || m.g.Field == "cors.credentials" {
		return m.policy("cors", "credentials", false)
	}
	w := m.g.Want.CORS
	var have, want drift.Leaf[[]string]
	key := strings.TrimPrefix(m.g.Field, "cors.")
	switch key {
	case "origins":
		have, want = c.Origins, w.Origins
	case "methods":
		have, want = c.Methods, w.Methods
	case "headers":
		have, want = c.Headers, w.Headers
	case "enabled":
		places, err := m.places()
		if err != nil {
			return err
		}
		for _, at := range places {
			p, bare, ok := m.entry(at, "cors")
			if !ok {
				return refuse("the policy stands where it serves other operations too", "")
			}
			if !bare {
				p = strings.TrimSuffix(p, "/cors")
			}
			t, err := m.Tree(at.File)
			if err != nil {
				return err
			}
			m.Take()
			m.Did("take cors from %s", at.Scope)
			if err := t.Remove(0, p); err != nil {
				return err
			}
		}
		return nil
	}
	if !want.Known() {
		return refuse("what the other side has is not known", "")
	}
	list, err := m.kept(have.Value, want.Value, m.g.Other)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse("nothing would be left of the list", "")
	}
	return m.policy("cors", key, list)
}
