package plan

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/patch"
)

// apimSite writes the files of Azure API Management as APIOps keeps them: policy documents and the JSON beside them.
type apimSite struct {
	*Site
	g Group
}

// editAPIM writes a change into policy documents and APIOps files.
func editAPIM(s *Site, g Group) error {
	a := apimSite{s, g}
	switch g.Field {
	case "auth.ways":
		if g.Rule == "DR-AUT-02" {
			return a.base()
		}
		return a.authenticate()
	case "order":
		return a.baseFirst()
	case "auth.jwt.require_exp", "auth.jwt.require_signed", "auth.jwt.clock_skew_s", "auth.jwt.audiences", "auth.jwt.issuers":
		return a.tokens()
	case "authz":
		return a.claims()
	case "auth.forward":
		return a.hide()
	case "lifecycle.subscription_required", "lifecycle.approval_required":
		return a.lifecycle()
	case "tls.plain":
		a.Did("let the API answer over TLS alone")
		return a.json(g.Have.TLS.Plain.Origin, patch.List{"https"})
	case "tls.client_auth":
		a.Did("ask for a client certificate")
		return a.json(g.Have.TLS.ClientAuth.Origin, true)
	case "tls.min", "tls.ciphers":
		return a.protocols()
	case "tls.upstream.verify":
		a.Did("verify the upstream's certificate")
		return a.json(g.Have.Upstream.Verify.Origin, true)
	case "tls.hsts_max_age_s":
		return a.hsts()
	case "logging.sample_ratio", "tracing.sample_ratio", "logging.body_bytes", "logging.headers_logged", "metrics.enabled", "tracing.propagation", "diag.verbosity", "diag.always_log_errors":
		return a.diagnostics()
	case "diag.fault_logged":
		a.Did("leave a trace of errors")
		return a.add("on-error", `<trace source="gateway" severity="error"><message>@(context.LastError.Reason)</message></trace>`)
	case "rate", "quota", "rate.count", "rate.window_s", "rate.key":
		return a.rates()
	case "limits.timeout_read_ms", "limits.body_bytes":
		return a.limits()
	case "transforms":
		return a.removals()
	case "debug":
		return a.mocks()
	case "ip.allow":
		return a.addresses()
	}
	if strings.HasPrefix(g.Field, "cors.") {
		return a.cors()
	}
	return &refusal{reason: "no element of these files closes this", weak: true}
}

// json writes a value of a JSON file where it stands.
func (a apimSite) json(o drift.Origin, v any) error {
	if !strings.HasSuffix(strings.ToLower(o.File), ".json") || o.Pointer == "" {
		return refuse("the setting does not stand in the files, so where it is to be written is not known", "set it in the service")
	}
	return a.Set(o, o.Pointer, v)
}

// element finds the element of an origin, in a policy document that is a file of its own.
func (a apimSite) element(o drift.Origin) (*patch.XML, *patch.Element, error) {
	x, err := a.XML(o.File)
	if err != nil {
		return nil, nil, err
	}
	e, err := x.At(o.Line, o.Pointer)
	return x, e, err
}

// XML opens a policy document.
func (s *Site) XML(file string) (*patch.XML, error) {
	if x, ok := s.docs[file]; ok {
		return x, nil
	}
	if !strings.EqualFold(path.Ext(file), ".xml") {
		return nil, refuse("the policy document stands within "+file+", and not in a file of its own", "keep policy documents in files of their own, as APIOps does")
	}
	text, err := s.base.Text(file)
	if err != nil {
		return nil, err
	}
	x, err := patch.OpenXML(file, text, azureapim.Expression)
	if err != nil {
		return nil, err
	}
	s.docs[file] = x
	return x, nil
}

// base puts <base /> into the section that lacks it.
func (a apimSite) base() error {
	for _, o := range a.g.Origins {
		x, e, err := a.element(o)
		if err != nil {
			return err
		}
		if e.Parent == nil {
			if in := e.Child("inbound"); in != nil {
				e = in
			} else {
				x.Prepend(e, "<inbound><base /></inbound>")
				a.Did("let the wider scopes run in %s", o.Scope)
				continue
			}
		}
		a.Did("let the wider scopes run in %s", o.Scope)
		x.Prepend(e, "<base />")
	}
	return nil
}

// baseFirst moves <base /> in front of everything else in its section.
func (a apimSite) baseFirst() error {
	a.Brings("transforms", "upstream", "tls", "opaque")
	for _, o := range a.g.Origins {
		x, e, err := a.element(o)
		if err != nil {
			return err
		}
		section := e
		for section.Parent != nil && section.Parent.Parent != nil {
			section = section.Parent
		}
		base := section.Child("base")
		if base == nil {
			return refuse("the statement stands in a fragment, which other documents include", "")
		}
		x.Remove(base)
		x.Prepend(section, "<base />")
		a.Did("let the wider scopes run first in %s", o.Scope)
	}
	return nil
}

// homes are the documents into which something new is written: that of the API where all of its operations are meant, otherwise those of
// the operations. A document that is not there is made.
func (a apimSite) homes() ([]string, error) {
	var out []string
	for _, op := range a.g.Operations {
		info := op.General().Lifecycle.Subscription.Origin.File
		dir := path.Dir(info)
		if path.Base(info) != "apiInformation.json" {
			return nil, refuse("the API was not read from an APIOps folder, so where its document is to stand is not known", "")
		}
		file := dir + "/policy.xml"
		if a.Narrow || !a.g.all(func(o *drift.Operation) bool { return o.API == op.API }) {
			if op.Name == "" || strings.ContainsAny(op.Name, `/\`) {
				return nil, refuse("the operation has no name by which its document is kept", "")
			}
			file = dir + "/operations/" + op.Name + "/policy.xml"
		}
		seen := false
		for _, f := range out {
			seen = seen || f == file
		}
		if !seen {
			out = append(out, file)
		}
	}
	return out, nil
}

const emptyPolicies = `<policies>
  <inbound>
    <base />
  </inbound>
  <backend>
    <base />
  </backend>
  <outbound>
    <base />
  </outbound>
  <on-error>
    <base />
  </on-error>
</policies>
`

// add writes statements behind <base /> of a section.
func (a apimSite) add(section string, statements ...string) error {
	files, err := a.homes()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := a.make(file); err != nil {
			return err
		}
		x, err := a.XML(file)
		if err != nil {
			return err
		}
		sec := x.Root.Child(section)
		for _, s := range statements {
			switch base := sec.Child("base"); {
			case sec == nil:
				x.Prepend(x.Root, "<"+section+"><base />"+s+"</"+section+">")
			case base != nil:
				x.After(base, s)
			default:
				x.Prepend(sec, s)
			}
		}
	}
	return nil
}

// make opens the document, and makes it when it is not there.
func (a apimSite) make(file string) error {
	if _, ok := a.docs[file]; ok {
		return nil
	}
	if _, err := a.Site.base.Text(file); err == nil {
		return nil
	}
	x, err := patch.OpenXML(file, []byte(emptyPolicies), azureapim.Expression)
	if err == nil {
		a.docs[file] = x
	}
	return err
}

// authenticate asks for what the other side asks for.
func (a apimSite) authenticate() error {
	if a.g.Want == nil {
		return refuse("what the operation should ask for is a decision", "")
	}
	ways := a.g.Want.Auth.Ways
	if !ways.Known() || len(ways.Value) != 1 {
		return refuse("the other side offers several ways in, or what it offers is not known", "")
	}
	have := map[drift.RequirementKind]bool{}
	for _, r := range a.g.Have.Auth.Ways.Value.All() {
		have[r.Kind] = true
	}
	for _, r := range ways.Value[0].Needs {
		switch {
		case have[r.Kind] || r.Metering || r.Kind == drift.FromIP:
		case r.Kind == drift.KeyProof:
			a.Did("ask for a subscription")
			if err := a.subscription(); err != nil {
				return err
			}
		case r.Kind == drift.JWTProof && r.JWT != nil:
			text, err := a.validate(r.JWT)
			if err != nil {
				return err
			}
			a.Did("validate the token")
			if err := a.add("inbound", text); err != nil {
				return err
			}
		default:
			return refuse(fmt.Sprintf("what %s needs here, such as thumbprints, belongs to this environment and is not in its files", r.Kind), "")
		}
	}
	return nil
}

func (a apimSite) subscription() error {
	for _, op := range a.g.Operations {
		o := op.General().Lifecycle.Subscription.Origin
		if path.Base(o.File) != "apiInformation.json" {
			return refuse("where the subscription is to be asked for is not known", "")
		}
		if err := a.Set(o, "/properties/subscriptionRequired", true); err != nil {
			return err
		}
	}
	return nil
}

// validate is a validate-jwt that checks what the other side checks.
func (a apimSite) validate(j *drift.JWT) (string, error) {
	if !j.Keys.Known() || len(j.Keys.Value) == 0 {
		return "", refuse("where the keys of the tokens are is not known on the other side", "")
	}
	var b strings.Builder
	b.WriteString(`<validate-jwt header-name="Authorization" failed-validation-httpcode="401" require-expiration-time="true" require-signed-tokens="true">`)
	keys, err := a.own(j.Keys.Value)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		url := fmt.Sprint(k)
		if !strings.Contains(url, "/.well-known/") {
			return "", refuse("the other side takes its keys from "+url+", and API Management from a document of discovery", "name the issuer's document of discovery")
		}
		fmt.Fprintf(&b, `<openid-config url="%s" />`, patch.Escape(url))
	}
	for _, l := range []struct {
		list, item string
		leaf       drift.Leaf[[]string]
	}{{"audiences", "audience", j.Audiences}, {"issuers", "issuer", j.Issuers}} {
		if !l.leaf.Known() || len(l.leaf.Value) == 0 || l.list == "issuers" && l.leaf.State == drift.Default {
			continue
		}
		values, err := a.own(l.leaf.Value)
		if err != nil {
			return "", err
		}
		b.WriteString(listed(l.list, l.item, values))
	}
	b.WriteString(claimsText(j.Claims.Or(nil)) + "</validate-jwt>")
	return b.String(), nil
}

func listed(list, item string, values patch.List) string {
	var b strings.Builder
	b.WriteString("<" + list + ">")
	for _, v := range values {
		b.WriteString("<" + item + ">" + patch.Escape(fmt.Sprint(v)) + "</" + item + ">")
	}
	return b.String() + "</" + list + ">"
}

func claimsText(list []drift.Claim) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<required-claims>")
	for _, c := range list {
		match := "any"
		if c.All {
			match = "all"
		}
		fmt.Fprintf(&b, `<claim name="%s" match="%s">`, patch.Escape(c.Name), match)
		for _, v := range c.Values {
			b.WriteString("<value>" + patch.Escape(v) + "</value>")
		}
		b.WriteString("</claim>")
	}
	return b.String() + "</required-claims>"
}

// diagnostics writes the settings of what is logged.
func (a apimSite) diagnostics() error {
	h, w := a.g.Have, a.g.Want
	at := h.Logging.Enabled.Origin
	under := func(o drift.Origin, rest string, v any) error {
		if o.Pointer == "" || !strings.HasSuffix(strings.ToLower(o.File), ".json") {
			return refuse("there is no diagnostic in the files", "add one, with the logger of this environment")
		}
		return a.Set(o, o.Pointer+rest, v)
	}
	a.Did("change what is logged: %s", a.g.Field)
	switch a.g.Field {
	case "logging.sample_ratio", "tracing.sample_ratio":
		if w == nil {
			return refuse("which ratio is meant is a decision", "")
		}
		a.Brings("logging.sample_ratio", "tracing.sample_ratio") // one sampling is for both
		l := w.Logging.Sample
		if a.g.Field[0] == 't' {
			l = w.Tracing.Sample
		}
		if !l.Known() {
			return refuse("what the other side has is not known", "")
		}
		return under(at, "/sampling/percentage", number(l.Value*100))
	case "logging.body_bytes":
		n, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[int64] { return p.Logging.Body }, 0)
		if err != nil {
			return err
		}
		return a.json(h.Logging.Body.Origin, n)
	case "logging.headers_logged":
		t, err := a.Tree(h.Logging.Headers.Origin.File)
		if err != nil {
			return err
		}
		v, _ := t.Value(h.Logging.Headers.Origin.Line, h.Logging.Headers.Origin.Pointer)
		list, _ := v.(patch.List)
		var keep patch.List
		for _, x := range list {
			if name := fmt.Sprint(x); name == "*" || drift.SecretName(name) {
				a.Take()
				continue
			}
			keep = append(keep, x)
		}
		if keep == nil {
			keep = patch.List{}
		}
		return a.json(h.Logging.Headers.Origin, keep)
	case "tracing.propagation":
		if w == nil || !w.Tracing.Propagation.Known() || !slices.Contains(w.Tracing.Propagation.Value, "w3c") {
			return refuse("which trace headers the other systems understand is not known", "")
		}
		a.Brings("diag.http_correlation")
		return under(at, "/httpCorrelationProtocol", "W3C")
	case "metrics.enabled":
		return under(at, "/metrics", true)
	case "diag.always_log_errors":
		return under(at, "/alwaysLog", "allErrors")
	}
	v, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[string] { return p.Diag.Verbosity }, "information")
	if err != nil {
		return err
	}
	return under(at, "/verbosity", v)
}

// number is a value that is written whole where it is whole.
func number(f float64) any {
	if f == math.Trunc(f) {
		return int64(f)
	}
	return f
}
