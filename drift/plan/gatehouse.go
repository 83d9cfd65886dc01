package plan

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// manifestSite writes Gatehouse's own manifest.
type manifestSite struct {
	*Site
	g Group
}

// editGatehouse writes a change into a manifest.
func editGatehouse(s *Site, g Group) error {
	m := manifestSite{s, g}
	switch g.Field {
	case "auth.ways", "auth.exempt":
		return m.authenticate()
	case "authz", "lifecycle.subscription_required":
		return m.granted()
	case "rate", "quota", "rate.count", "rate.window_s", "rate.key":
		return m.rates()
	case "limits.body_bytes":
		n, err := wanted(g, func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Body }, 0)
		if err != nil {
			return err
		}
		if n <= 0 {
			return refuse("the other side has no bound", "")
		}
		return m.policy("request_size", "max", n)
	case "limits.timeout_connect_ms", "limits.timeout_read_ms":
		return m.timeout()
	case "tls.hsts_max_age_s":
		age, err := wanted(g, func(p *drift.Policy) drift.Leaf[int64] { return p.TLS.HSTS }, 31536000)
		if err != nil {
			return err
		}
		return m.policy("headers", "response/set/Strict-Transport-Security", "max-age="+strconv.FormatInt(age, 10))
	case "transforms":
		return m.removals()
	}
	if strings.HasPrefix(g.Field, "cors.") {
		return m.cors()
	}
	if strings.HasPrefix(g.Field, "tls.") || strings.HasPrefix(g.Field, "ip.") {
		return refuse("it is set in the start-up configuration, which the manifest does not hold", "set it where the gateway is started")
	}
	return &refusal{reason: "no entry of a manifest closes this", weak: true}
}

// find looks for the entry of a list by its name over all files of the manifest.
func (m manifestSite) find(list, key, name string) (drift.Origin, error) {
	var names []string
	err := fs.WalkDir(m.base, ".", func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(path.Ext(file))) {
			names = append(names, file)
		}
		return err
	})
	if err != nil {
		return drift.Origin{}, err
	}
	for _, file := range names {
		t, err := m.Tree(file)
		if err != nil {
			continue
		}
		for i := range t.Len(0, "/"+list) {
			p := "/" + list + "/" + strconv.Itoa(i)
			if t.Str(0, p+"/"+key) == name {
				return drift.Origin{File: file, Pointer: p}, nil
			}
		}
	}
	return drift.Origin{}, notFound(list + " " + name)
}

// places are where the group's policies stand: whole APIs where all of their operations are meant, otherwise single operations.
func (m manifestSite) places() ([]drift.Origin, error) {
	var out []drift.Origin
	for _, op := range m.g.Operations {
		api, err := m.find("apis", "name", op.API)
		if err != nil {
			return nil, err
		}
		api.Scope = "api " + op.API
		if m.Narrow || !m.g.all(func(o *drift.Operation) bool { return o.API == op.API }) {
			if api, err = m.operation(api, op.Name); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(out, api) {
			out = append(out, api)
		}
	}
	return out, nil
}

// operation is the entry of one operation of an API, which is made when it is not there.
func (m manifestSite) operation(api drift.Origin, id string) (drift.Origin, error) {
	t, err := m.Tree(api.File)
	if err != nil {
		return api, err
	}
	list := api.Pointer + "/operations"
	n := t.Len(0, list)
	api.Scope = "operation " + id
	for i := range n {
		if t.Str(0, list+"/"+strconv.Itoa(i)+"/id") == id {
			api.Pointer = list + "/" + strconv.Itoa(i)
			return api, nil
		}
	}
	api.Pointer = list + "/" + strconv.Itoa(n)
	return api, t.Append(0, list, patch.Map{{Key: "id", Value: id}})
}

// entry finds a policy of a kind in the list of a place: written as a word or as a map.
func (m manifestSite) entry(at drift.Origin, kind string) (pointer string, bare, ok bool) {
	t, err := m.Tree(at.File)
	if err != nil {
		return "", false, false
	}
	list := at.Pointer + "/policies"
	for i := range t.Len(0, list) {
		p := list + "/" + strconv.Itoa(i)
		if t.Str(0, p) == kind {
			return p, true, true
		}
		if t.Has(0, p+"/"+kind) {
			return p + "/" + kind, false, true
		}
	}
	return list, false, false
}

// policy writes a setting of a policy at all places, adding the policy where it is not.
func (m manifestSite) policy(kind, key string, v any) error {
	places, err := m.places()
	if err != nil {
		return err
	}
	for _, at := range places {
		t, err := m.Tree(at.File)
		if err != nil {
			return err
		}
		p, bare, ok := m.entry(at, kind)
		keys := strings.Split(key, "/")
		wrapped := v
		for i := len(keys) - 1; i >= 0; i-- {
			wrapped = patch.Map{{Key: keys[i], Value: wrapped}}
		}
		switch {
		case ok && !bare:
			err = t.Set(0, p+"/"+key, v)
		case ok:
			err = t.Set(0, p, patch.Map{{Key: kind, Value: wrapped}})
		default:
			err = t.Append(0, p, patch.Map{{Key: kind, Value: wrapped}})
		}
		if err != nil {
			return err
		}
		m.Did("set %s of %s on %s", strings.ReplaceAll(key, "/", "."), kind, at.Scope)
	}
	return nil
}

// authenticate takes an exemption back, or puts a key and a grant in the place of an open door.
func (m manifestSite) authenticate() error {
	for _, op := range m.g.Operations {
		api, err := m.find("apis", "name", op.API)
		if err != nil {
			return err
		}
		t, err := m.Tree(api.File)
		if err != nil {
			return err
		}
		exempt := false
		for i := range t.Len(0, api.Pointer+"/operations") {
			p := api.Pointer + "/operations/" + strconv.Itoa(i)
			if t.Str(0, p+"/id") != op.Name {
				continue
			}
			if _, _, ok := m.entry(drift.Origin{File: api.File, Pointer: p}, "anonymous"); ok {
				exempt = true
				m.Brings("rate", "quota", "lifecycle", "cors", "limits.body", "transforms", "tls.hsts") // everything that the exemption took away
				m.Take()
				m.Did("take back the exemption of operation %s", op.Name)
				if t.Len(0, api.Pointer+"/operations") == 1 {
					err = t.Remove(0, api.Pointer+"/operations")
				} else {
					err = t.Remove(0, p)
				}
				if err != nil {
					return err
				}
				break
			}
		}
		if exempt {
			continue
		}
		p, bare, ok := m.entry(api, "anonymous")
		if !ok {
			continue
		}
		if !bare {
			return refuse("the open door is written with settings, which somebody must read", "")
		}
		m.Brings("lifecycle")
		m.Did("ask for a key and a grant on %s", op.API)
		if err := t.Set(0, p, "api_key"); err != nil {
			return err
		}
		if err := t.Append(0, api.Pointer+"/policies", "grant"); err != nil {
			return err
		}
	}
	return nil
}

// granted asks for a grant where none is needed.
func (m manifestSite) granted() error {
	places, err := m.places()
	if err != nil {
		return err
	}
	for _, at := range places {
		p, bare, ok := m.entry(at, "no_grant")
		if _, _, done := m.entry(at, "grant"); done && len(m.changed()) > 0 {
			continue // by an operation before
		}
		if !ok {
			return refuse("which scopes are needed stands in the API's document", "change the security of the operation in its OpenAPI document")
		}
		if !bare {
			p = strings.TrimSuffix(p, "/no_grant")
		}
		t, err := m.Tree(at.File)
		if err != nil {
			return err
		}
		if err := t.Set(0, p, "grant"); err != nil {
			return err
		}
		m.Brings("lifecycle", "authz", "rate", "quota")
		m.Did("ask for a grant on %s", at.Scope)
	}
	return nil
}

var manifestKeys = map[string]string{"consumer": "application", "credential": "credential", "ip": "address"}

// rates limits as the other side does: rates and quotas are windows of one policy.
func (m manifestSite) rates() error {
	if m.g.Class != "" {
		return refuse("the limits of a plan are part of what was offered and approved", "change the plan, and let its grants follow")
	}
	w := m.g.Want
	if w == nil || !w.Rates.Definite() || !w.Quotas.Definite() {
		return refuse("what the other side has is not known", "")
	}
	places, err := m.places()
	if err != nil {
		return err
	}
	for _, at := range places {
		if p, bare, ok := m.entry(at, "rate_limit"); ok {
			if t, err := m.Tree(at.File); err != nil || bare || !t.Has(0, p+"/windows") {
				return refuse("the limits are those of the plans, which were offered and approved", "change the plans, and let their grants follow")
			}
		}
	}
	by := ""
	var windows patch.List
	put := func(count, window drift.Leaf[int64], key drift.Leaf[string]) error {
		if !count.Known() || !window.Known() || count.Value < 1 || window.Value < 1 {
			return refuse("what the other side has is not known", "")
		}
		if by = manifestKeys[key.Or("")]; by == "" {
			return refuse("Gatehouse counts by application, credential or address, and the other side by "+key.Text(), "")
		}
		windows = append(windows, patch.Map{{Key: "requests", Value: count.Value}, {Key: "per", Value: strconv.FormatInt(window.Value, 10) + "s"}})
		return nil
	}
	for _, r := range w.Rates.Value {
		if err := put(r.Count, r.Window, r.Key); err != nil {
			return err
		}
	}
	for _, q := range w.Quotas.Value {
		if err := put(q.Count, q.Period, q.Key); err != nil {
			return err
		}
	}
	if len(windows) == 0 {
		return refuse("the other side has no such limit", "")
	}
	if m.g.Have.Auth.Ways.Known() && m.g.Have.Auth.Ways.Value.Open() {
		by = "address"
	}
	if err := m.policy("rate_limit", "by", by); err != nil {
		return err
	}
	return m.policy("rate_limit", "windows", windows)
}
