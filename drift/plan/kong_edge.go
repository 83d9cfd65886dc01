package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// encrypted lets routes answer over TLS alone.
func (k kongSite) encrypted() error {
	for _, op := range k.g.Operations {
		o := op.Origin
		if err := k.Set(o, o.Pointer+"/protocols", patch.List{"https"}); err != nil {
			return err
		}
		if k.g.Field == "tls.http_redirect_code" {
			if err := k.Set(o, o.Pointer+"/https_redirect_status_code", int64(308)); err != nil {
				return err
			}
		}
		k.Did("let %s answer over TLS alone", o.Scope)
	}
	return nil
}

// service writes a setting of the group's services.
func (k kongSite) service(key string, v any) error {
	o := k.g.Have.Upstream.URLs.Origin
	m := kongService.FindStringSubmatch(o.Pointer)
	if m == nil {
		return notFound("the service")
	}
	k.Did("set %s of %s", key, o.Scope)
	return k.Set(o, m[1]+"/"+key, v)
}

func (k kongSite) serviceNumber() error {
	key := map[string]string{"limits.timeout_connect_ms": "connect_timeout", "limits.timeout_read_ms": "read_timeout", "limits.retries": "retries"}[k.g.Field]
	leaf := map[string]func(*drift.Policy) drift.Leaf[int64]{
		"connect_timeout": func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Connect },
		"read_timeout":    func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Read },
		"retries":         func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Retries },
	}[key]
	n, err := wanted(k.g, leaf, 0)
	if err != nil {
		return err
	}
	if n <= 0 && key != "retries" {
		return refuse("the other side has no bound", "")
	}
	return k.service(key, n)
}

func (k kongSite) size() error {
	n, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Body }, 0)
	if err != nil {
		return err
	}
	if n <= 0 {
		return refuse("the other side has no bound", "")
	}
	o := k.g.Have.Limits.Body.Origin
	if _, ok := pluginAt(o); ok {
		if err := k.setIn(o, "allowed_payload_size", n); err != nil {
			return err
		}
		return k.setIn(o, "size_unit", "bytes")
	}
	return k.add("request-size-limiting", patch.Map{{Key: "allowed_payload_size", Value: n}, {Key: "size_unit", Value: "bytes"}})
}

func (k kongSite) tracing() error {
	sample, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[float64] { return p.Tracing.Sample }, 1)
	if err != nil {
		return err
	}
	if k.g.Field == "tracing.sample_ratio" {
		key := "sampling_rate"
		if k.g.Have.Tracing.Exporter.Value == "zipkin" {
			key = "sample_ratio"
		}
		return k.setIn(k.g.Have.Tracing.Enabled.Origin, key, sample)
	}
	endpoint, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[string] { return p.Tracing.Endpoint }, "")
	if err != nil {
		return err
	}
	if endpoint == "" || k.foreign(endpoint) {
		return refuse("where this environment's traces are to be sent is not known", "set up the plugin opentelemetry with its own endpoint")
	}
	k.Did("trace")
	return k.everywhere("opentelemetry", patch.Map{{Key: "traces_endpoint", Value: endpoint}, {Key: "sampling_rate", Value: sample}})
}

// removals takes request headers away that the other side takes away.
func (k kongSite) removals() error {
	if k.g.Want == nil || !k.g.Want.Transforms.Known() {
		return refuse("what the other side has is not known", "")
	}
	var missing []string
	for _, t := range k.g.Want.Transforms.Value {
		if t.Phase == "request" && t.Target == "header" && t.Op == "remove" && !slices.ContainsFunc(k.g.Have.Transforms.Value, func(o drift.Transform) bool {
			return o.Phase == t.Phase && o.Target == t.Target && o.Op == t.Op && strings.EqualFold(o.Name, t.Name)
		}) {
			missing = append(missing, t.Name)
		}
	}
	if len(missing) == 0 {
		return refuse("the messages are changed in ways whose order and values somebody must decide", "")
	}
	o := k.g.Have.Transforms.Origin
	for _, t := range k.g.Have.Transforms.Value {
		if t.Phase == "request" && t.Origin.Pointer != "" {
			o = t.Origin
		}
	}
	k.Did("take %s from requests", strings.Join(missing, ", "))
	return k.plugged("request-transformer", "remove/headers", patch.Strings(missing), o)
}

// groups asks for the groups that the other side asks for.
func (k kongSite) groups() error {
	if k.g.Want == nil || !k.g.Want.Access.Rules.Known() {
		return refuse("what the other side has is not known", "")
	}
	if done, err := k.scopes(); done || err != nil {
		return err
	}
	var allow []string
	for _, r := range k.g.Want.Access.Rules.Value {
		for _, s := range r.Subjects {
			group, ok := strings.CutPrefix(s, "group:")
			if !ok || r.Effect != "allow" {
				return refuse(fmt.Sprintf("Kong's acl knows groups alone, and the other side asks for %q", s), "check it in the upstream, or with a plugin of your own")
			}
			allow = append(allow, group)
		}
	}
	if len(allow) == 0 {
		return refuse("the other side's claims are those of its tokens", "")
	}
	return k.plugged("acl", "allow", patch.Strings(allow), k.g.Have.Access.Rules.Origin)
}

// scopes asks for the claims that the other side's tokens must hold, where the plugin can.
func (k kongSite) scopes() (done bool, err error) {
	want := token(k.g.Want)
	if want == nil || !want.Claims.Known() || len(want.Claims.Value) == 0 {
		return false, nil
	}
	for _, r := range k.g.Have.Auth.Ways.Value.All() {
		if r.Name != "openid-connect" || r.JWT == nil || !r.JWT.Claims.Known() || len(r.JWT.Claims.Value) > 0 {
			continue
		}
		for _, c := range want.Claims.Value {
			key := map[string]string{"scope": "scopes", "scp": "scopes", "roles": "roles", "groups": "groups"}[c.Name]
			if key == "" || c.All {
				return false, refuse("openid-connect does not ask for the claim "+c.String()+" as the other side does", "")
			}
			values, err := k.own(c.Values)
			if err != nil {
				return false, err
			}
			if err := k.setIn(r.Origin, key+"_required", values); err != nil {
				return false, err
			}
			done = true
		}
	}
	return done, nil
}

// anchors accepts client certificates of the authorities that the other side accepts.
func (k kongSite) anchors() error {
	want, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[[]string] { return p.TLS.CAs }, nil)
	if err != nil {
		return err
	}
	for _, r := range k.g.Want.Auth.Ways.Value.All() {
		if r.MTLS != nil && r.MTLS.CAs.Known() && len(want) == 0 {
			want = r.MTLS.CAs.Value
		}
	}
	if len(want) == 0 || k.g.Other == nil || k.g.Other.Gateway != "kong" {
		return refuse("which authorities are meant is not known here: they are entities of this gateway", "add the authority to this gateway and demand it with mtls-auth")
	}
	for _, r := range k.g.Have.Auth.Ways.Value.All() {
		if r.Name == "mtls-auth" {
			list, err := k.kept(r.MTLS.CAs.Value, want, k.g.Other)
			if err != nil {
				return err
			}
			return k.setIn(r.Origin, "ca_certificates", list)
		}
	}
	list, err := k.own(want)
	if err != nil {
		return err
	}
	return k.add("mtls-auth", patch.Map{{Key: "ca_certificates", Value: list}})
}

// filters adds those of Kong's filters that the other side has and that need no settings.
func (k kongSite) filters() error {
	want, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[[]string] { return p.WAF }, nil)
	if err != nil {
		return err
	}
	for _, name := range want {
		if slices.Contains(k.g.Have.WAF.Value, name) {
			continue
		}
		if name != "bot-detection" && name != "json-threat-protection" && name != "xml-threat-protection" {
			return refuse("the other side's filter "+name+" is not one that Kong has without settings", "")
		}
		if err := k.add(name, nil); err != nil {
			return err
		}
	}
	return nil
}

func (k kongSite) labels() error {
	want, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[[]string] { return p.Metrics.Labels }, nil)
	if err != nil {
		return err
	}
	known := []string{"per_consumer", "status_code_metrics", "latency_metrics", "bandwidth_metrics", "upstream_health_metrics"}
	if !slices.ContainsFunc(want, func(l string) bool { return slices.Contains(known, l) }) {
		return refuse("the other side's labels are not those of Kong", "agree on the labels in what collects the measures")
	}
	for _, l := range known {
		if slices.Contains(want, l) == slices.Contains(k.g.Have.Metrics.Labels.Value, l) {
			continue
		}
		if err := k.setIn(k.g.Have.Metrics.Enabled.Origin, l, slices.Contains(want, l)); err != nil {
			return err
		}
	}
	return nil
}

// hsts writes the header into the answers: where it stands, or as a new one.
func (k kongSite) hsts(line string) error {
	for _, t := range k.g.Have.Transforms.Value {
		if t.Phase == "response" && strings.EqualFold(t.Name, "Strict-Transport-Security") && t.Origin.Pointer != "" {
			return k.atLeaf(t.Origin, line, "tell browsers for longer to insist on HTTPS")
		}
	}
	var o drift.Origin
	for _, t := range k.g.Have.Transforms.Value {
		if t.Phase == "response" {
			o = t.Origin
		}
	}
	return k.plugged("response-transformer", "add/headers", patch.List{line}, o)
}

var confLine = regexp.MustCompile(`^(\s*)([a-z_]+)(\s*=\s*)([^#\n\r]*?)([ \t]*(?:#.*)?\r?\n?)$`)

// conf raises the versions of TLS in kong.conf.
func (k kongSite) conf() error {
	o := k.g.Have.TLS.Min.Origin
	if k.g.Field == "tls.ciphers" {
		o = k.g.Have.TLS.Ciphers.Origin
	}
	if !strings.HasSuffix(o.File, ".conf") || o.Line < 1 {
		return refuse("it is set in kong.conf, which is not among the files", "set ssl_cipher_suite there")
	}
	least, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[string] { return p.TLS.Min }, "1.2")
	if err != nil {
		return err
	}
	text, err := k.Text(o.File)
	if err != nil {
		return err
	}
	list := lines(text)
	if o.Line > len(list) {
		return notFound("the line")
	}
	m := confLine.FindStringSubmatch(list[o.Line-1])
	if m == nil {
		return notFound("the setting")
	}
	value := ""
	switch m[2] {
	case "ssl_cipher_suite":
		if value = "intermediate"; least == "1.3" {
			value = "modern"
		}
	case "ssl_protocols":
		var keep []string
		for _, p := range strings.Fields(m[4]) {
			if v, err := drift.TLSVersion(p); err == nil && drift.CompareTLS(v, least) != drift.Weaker {
				keep = append(keep, p)
			}
		}
		value = strings.Join(keep, " ")
	case "ssl_ciphers":
		list, err := wanted(k.g, func(p *drift.Policy) drift.Leaf[[]string] { return p.TLS.Ciphers }, nil)
		if err != nil {
			return err
		}
		value = strings.Join(list, ":")
	}
	if value == "" {
		return refuse("the setting "+m[2]+" is not edited", "")
	}
	list[o.Line-1] = m[1] + m[2] + m[3] + value + m[5]
	k.Write(o.File, []byte(strings.Join(list, "")))
	k.Did("set %s", m[2])
	return nil
}
