package plan

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// kongSite writes decK files.
type kongSite struct {
	*Site
	g Group
}

// editKong writes a change into decK files.
func editKong(s *Site, g Group) error {
	k := kongSite{s, g}
	switch g.Field {
	case "auth.ways":
		return k.authenticate()
	case "auth.anonymous_fallback":
		return k.atLeaf(g.Have.Auth.Fallback.Origin, nil, "whoever fails to authenticate is refused")
	case "auth.in_query":
		return k.notInQuery()
	case "auth.forward":
		return k.hide()
	case "auth.jwt.require_exp", "auth.jwt.max_lifetime_s", "auth.jwt.audiences", "auth.jwt.issuers", "auth.jwt.clock_skew_s":
		return k.tokens()
	case "authz":
		return k.groups()
	case "auth.jwt.require_signed":
		return k.tokens()
	case "auth.mtls.ca_refs", "tls.ca_refs", "tls.client_auth":
		return k.anchors()
	case "tls.min", "tls.ciphers":
		return k.conf()
	case "waf":
		return k.filters()
	case "metrics.labels":
		return k.labels()
	case "tls.plain", "tls.http_redirect_code":
		return k.encrypted()
	case "tls.hsts_max_age_s":
		age, err := wanted(g, func(p *drift.Policy) drift.Leaf[int64] { return p.TLS.HSTS }, 31536000)
		if err != nil {
			return err
		}
		return k.hsts("Strict-Transport-Security:max-age=" + strconv.FormatInt(age, 10))
	case "tls.upstream.verify":
		return k.service("tls_verify", true)
	case "limits.timeout_connect_ms", "limits.timeout_read_ms", "limits.retries":
		return k.serviceNumber()
	case "limits.body_bytes":
		return k.size()
	case "rate", "quota", "rate.count", "rate.key", "rate.fail_open", "rate.window_s":
		return k.rates()
	case "logging.enabled":
		k.Did("write an access log")
		return k.everywhere("file-log", patch.Map{{Key: "path", Value: "/dev/stdout"}})
	case "metrics.enabled":
		k.Did("count")
		return k.everywhere("prometheus", patch.Map{{Key: "status_code_metrics", Value: true}, {Key: "latency_metrics", Value: true}})
	case "tracing.enabled", "tracing.sample_ratio":
		return k.tracing()
	case "transforms":
		return k.removals()
	case "debug":
		return k.switchOff(g.Have.Debug.Origin)
	}
	if strings.HasPrefix(g.Field, "cors.") {
		return k.cors()
	}
	if strings.HasPrefix(g.Field, "ip.") {
		return k.addresses()
	}
	return &refusal{reason: "no entry of a decK file closes this", weak: true}
}

var (
	kongPlugin  = regexp.MustCompile(`^(.*/plugins/[0-9]+)(?:/.*)?$`)
	kongService = regexp.MustCompile(`^(/services/[0-9]+)(?:/.*)?$`)
)

// pluginAt is the plugin in which a value stands.
func pluginAt(o drift.Origin) (drift.Origin, bool) {
	m := kongPlugin.FindStringSubmatch(o.Pointer)
	if m == nil {
		return o, false
	}
	o.Pointer = m[1]
	return o, true
}

func (k kongSite) atLeaf(o drift.Origin, v any, does string) error {
	if k.Narrow {
		return k.narrowed(o, func(at drift.Origin) error { return k.Set(at, at.Pointer+strings.TrimPrefix(o.Pointer, must(o)), v) })
	}
	if o.Pointer == "" {
		return refuse("the place of the value is not known", "")
	}
	k.Did("%s", does)
	return k.Set(o, o.Pointer, v)
}

func must(o drift.Origin) string { p, _ := pluginAt(o); return p.Pointer }

// setIn writes a value of a plugin's configuration, where the plugin is set up; when that serves others too, in a copy on the routes.
func (k kongSite) setIn(o drift.Origin, key string, v any) error {
	at, ok := pluginAt(o)
	if !ok {
		return refuse("the plugin is not among the files", "")
	}
	write := func(at drift.Origin) error {
		k.Did("set %s of %s", strings.ReplaceAll(key, "/", "."), k.name(at))
		return k.Set(at, at.Pointer+"/config/"+key, v)
	}
	if k.Narrow {
		return k.narrowed(at, write)
	}
	return write(at)
}

func (k kongSite) name(at drift.Origin) string {
	t, err := k.Tree(at.File)
	if err != nil {
		return "the plugin"
	}
	return t.Str(at.Line, at.Pointer+"/name")
}

// narrowed copies a plugin of a wider scope onto the group's routes, for Kong does not merge instances, and changes the copies.
func (k kongSite) narrowed(o drift.Origin, change func(at drift.Origin) error) error {
	at, ok := pluginAt(o)
	if !ok {
		return refuse("the plugin is not among the files", "")
	}
	t, err := k.Tree(at.File)
	if err != nil {
		return err
	}
	v, _ := t.Value(at.Line, at.Pointer)
	m, _ := v.(patch.Map)
	m = slices.DeleteFunc(slices.Clone(m), func(e patch.Entry) bool {
		return slices.Contains([]string{"id", "route", "service", "instance_name", "created_at", "updated_at"}, e.Key)
	})
	if holdsSecret(m) {
		return refuse("the plugin holds a secret, so it is not copied onto the routes", "set it up on the routes by hand, with a reference to a vault")
	}
	for _, op := range k.g.Operations {
		if strings.HasPrefix(at.Pointer, op.Origin.Pointer+"/") && at.File == op.Origin.File {
			return refuse("the value stands on the route itself, which serves other operations too", "")
		}
		place, err := k.plug(op.Origin, k.name(at), m)
		if err != nil {
			return err
		}
		if err := change(place); err != nil {
			return err
		}
	}
	return nil
}

// plug sees to it that the entity at the place has a plugin, and says where it stands.
func (k kongSite) plug(entity drift.Origin, name string, m patch.Map) (drift.Origin, error) {
	t, err := k.Tree(entity.File)
	if err != nil {
		return entity, err
	}
	at := entity
	list := entity.Pointer + "/plugins"
	n := t.Len(entity.Line, list)
	for i := range n {
		at.Pointer = list + "/" + strconv.Itoa(i)
		if t.Str(at.Line, at.Pointer+"/name") == name {
			return at, nil
		}
	}
	at.Pointer = list + "/" + strconv.Itoa(n)
	return at, t.Append(entity.Line, list, m)
}

// homes are the entities onto which something new is put: whole services where all of their routes are meant, otherwise the routes.
func (k kongSite) homes() []drift.Origin {
	var out []drift.Origin
	for _, op := range k.g.Operations {
		at := op.Origin
		if m := kongService.FindStringSubmatch(at.Pointer); m != nil && !k.Narrow && op.API != "" && k.g.all(func(o *drift.Operation) bool { return o.API == op.API }) {
			at.Pointer = m[1]
		}
		if !slices.ContainsFunc(out, func(o drift.Origin) bool { return o.File == at.File && o.Pointer == at.Pointer }) {
			out = append(out, at)
		}
	}
	return out
}

// add puts a new plugin onto the group's routes or services.
func (k kongSite) add(name string, config patch.Map) error {
	m := patch.Map{{Key: "name", Value: name}}
	if len(config) > 0 {
		m = append(m, patch.Entry{Key: "config", Value: config})
	}
	if at, ok := k.off(name); ok && !k.Narrow {
		k.Did("switch %s on", name)
		return k.Set(at, at.Pointer+"/enabled", true)
	}
	for _, at := range k.homes() {
		if _, err := k.plug(at, name, m); err != nil {
			return err
		}
		k.Did("add %s to %s", name, strings.TrimPrefix(at.Scope, " "))
	}
	return nil
}

// off is a plugin that is set up and switched off, so that it is enough to switch it on.
func (k kongSite) off(name string) (drift.Origin, bool) {
	for _, d := range k.g.Env.Detached {
		at, ok := pluginAt(d.Origin)
		if !ok || d.Name != name && d.Kind != name {
			continue
		}
		if t, err := k.Tree(at.File); err == nil && t.Str(at.Line, at.Pointer+"/enabled") == "false" {
			return at, true
		}
	}
	return drift.Origin{}, false
}

// everywhere puts a new plugin at the top when all operations are meant.
func (k kongSite) everywhere(name string, config patch.Map) error {
	file := k.g.Operations[0].Origin
	if _, ok := k.off(name); ok {
		return k.add(name, config)
	}
	if k.Narrow || !k.g.all(func(o *drift.Operation) bool { return true }) {
		return k.add(name, config)
	}
	file.Pointer, file.Scope = "", "the whole gateway"
	_, err := k.plug(file, name, patch.Map{{Key: "name", Value: name}, {Key: "config", Value: config}})
	k.Did("add %s to %s", name, file.Scope)
	return err
}

// plugged writes into a plugin's configuration: a value where the plugin is set up, or a new plugin.
func (k kongSite) plugged(name, key string, v any, o drift.Origin) error {
	at, ok := pluginAt(o)
	if ok && k.name(at) == name {
		if l, isList := v.(patch.List); isList && strings.Contains(key, "/") {
			t, err := k.Tree(at.File)
			if err != nil {
				return err
			}
			have, _ := t.Value(at.Line, at.Pointer+"/config/"+key)
			old, _ := have.(patch.List)
			v = append(slices.Clone(old), l...)
		}
		return k.setIn(at, key, v)
	}
	keys := strings.Split(key, "/")
	for i := len(keys) - 1; i > 0; i-- {
		v = patch.Map{{Key: keys[i], Value: v}}
	}
	return k.add(name, patch.Map{{Key: keys[0], Value: v}})
}

func (k kongSite) switchOff(o drift.Origin) error {
	at, ok := pluginAt(o)
	if !ok {
		return refuse("the plugin is not among the files", "")
	}
	off := func(at drift.Origin) error {
		k.Did("switch %s off", k.name(at))
		return k.Set(at, at.Pointer+"/enabled", false)
	}
	if k.Narrow {
		return refuse("a plugin of a wider scope cannot be switched off for a single route: the wider one would run", "")
	}
	return off(at)
}
