package plan

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// bundleSite writes Apigee's bundles: policies are documents of their own, and run where a step names them.
type bundleSite struct {
	*Site
	g Group
}

// editApigee writes a change into a policy, a target or a proxy.
func editApigee(s *Site, g Group) error {
	b := bundleSite{s, g}
	switch g.Field {
	case "auth.jwt.issuers":
		return b.tokens("Issuer", tokenWords(issuers, asFirst))
	case "auth.jwt.audiences":
		return b.tokens("Audience", tokenWords(audiences, asText))
	case "auth.jwt.algs":
		return b.tokens("Algorithm", tokenWords(algorithms, asText))
	case "auth.jwt.clock_skew_s":
		return b.tokens("TimeAllowance", tokenAmount(skew, 60, seconds))
	case "auth.jwt.max_lifetime_s", "auth.jwt.require_exp":
		return b.tokens("MaxLifespan", tokenAmount(func(j *drift.JWT) drift.Leaf[int64] { return j.Longest }, 3600, seconds))
	case "rate.count", "rate.window_s":
		return b.inner(originOf(g.Have, "rate.0.count"), firstRate(func(r drift.Rate) any {
			if unit := map[int64]string{1: "ps", 60: "pm"}[r.Window.Value]; unit != "" {
				return fmt.Sprint(r.Count.Value) + unit
			}
			return nil
		}))
	case "limits.timeout_read_ms":
		return b.inner(g.Have.Limits.Read.Origin, amount(readTimeout, 0, digits))
	case "cors.origins":
		return b.inner(g.Have.CORS.Origins.Origin, words(origins, asText))
	case "tls.upstream.min":
		return b.protocols()
	case "tls.upstream.verify":
		return b.verify()
	case "tls.hsts_max_age_s":
		return b.inner(g.Have.TLS.HSTS.Origin, amount(hsts, 31536000, func(n int64) any { return fmt.Sprintf("max-age=%d", n) }))
	case "rate.enforcement":
		return b.child(originOf(g.Have, "rate.0.count"), "UseEffectiveCount", "true")
	case "auth.forward", "transforms":
		return b.removals()
	}
	return &refusal{reason: "no policy of the bundle says this, and what a new one would ask is known to the API's owner alone", weak: true}
}

// at opens the document of an origin and finds its element.
func (b bundleSite) at(o drift.Origin) (*patch.XML, *patch.Element, error) {
	if o.File == "" || !strings.HasSuffix(o.File, ".xml") {
		return nil, nil, &refusal{reason: "no policy of the bundle says this", weak: true}
	}
	x, err := b.XML(o.File)
	if err != nil {
		return nil, nil, err
	}
	e, err := x.At(o.Line, o.Pointer)
	return x, e, err
}

func (b bundleSite) value(make func(Group) (any, error)) (string, error) {
	v, err := make(b.g)
	if err != nil {
		return "", err
	}
	text, ok := v.(string)
	if !ok {
		return "", &refusal{reason: "what the other side has cannot be written here", weak: true}
	}
	return text, nil
}

// inner writes the text of the element in which a value stands.
func (b bundleSite) inner(o drift.Origin, make func(Group) (any, error)) error {
	text, err := b.value(make)
	if err != nil {
		return err
	}
	x, e, err := b.at(o)
	if err != nil {
		return err
	}
	b.Did("set %s of %s", e.Name, o.Scope)
	x.SetInner(e, text)
	return nil
}

// child writes the text of a child of an element, which is made when it is not there.
func (b bundleSite) child(o drift.Origin, name, text string) error {
	x, e, err := b.at(o)
	if err != nil {
		return err
	}
	root := e
	for root.Parent != nil {
		root = root.Parent
	}
	b.Did("set %s of %s", name, o.Scope)
	if c := root.Child(name); c != nil {
		x.SetInner(c, text)
		return nil
	}
	var before []string
	for _, c := range root.Children {
		before = append(before, c.Name)
	}
	x.Behind(root, before, "<"+name+">"+patch.Escape(text)+"</"+name+">")
	return nil
}

// tokens writes a setting of the policies that check tokens.
func (b bundleSite) tokens(name string, make func(Group) (any, error)) error {
	text, err := b.value(make)
	if err != nil {
		return err
	}
	for _, r := range b.g.Have.Auth.Ways.Value.All() {
		if r.JWT == nil {
			continue
		}
		if err := b.child(r.Origin, name, text); err != nil {
			return err
		}
	}
	return nil
}

// protocols names the versions of TLS towards the target.
func (b bundleSite) protocols() error {
	v, err := wanted(b.g, innerMin, "1.2")
	if err != nil {
		return err
	}
	o := b.g.Have.Upstream.Min.Origin
	x, e, err := b.at(o)
	if err != nil {
		return err
	}
	if len(e.Children) == 0 {
		return &refusal{reason: "the target names no versions of TLS", weak: true}
	}
	b.Did("ask the target for TLS %s", v)
	x.SetInner(e.Children[0], "TLSv"+v)
	for _, c := range e.Children[1:] {
		b.Take()
		x.Remove(c)
	}
	return nil
}

// verify has the target's certificate checked.
func (b bundleSite) verify() error {
	o := b.g.Have.Upstream.Verify.Origin
	x, e, err := b.at(o)
	if err != nil {
		return err
	}
	for e != nil && e.Name != "SSLInfo" {
		e = e.Parent
	}
	if e == nil {
		return &refusal{reason: "the target has no SSLInfo, and which trust store knows its certificate is not in the bundle", control: "name this environment's trust store in SSLInfo"}
	}
	b.Did("verify the target's certificate")
	if c := e.Child("IgnoreValidationErrors"); c != nil {
		x.SetInner(c, "false")
	}
	if c := e.Child("Enabled"); c != nil {
		x.SetInner(c, "true")
	}
	return nil
}

// removals takes headers away where the bundle already takes others.
func (b bundleSite) removals() error {
	v, err := removals(b.g)
	if err != nil {
		return err
	}
	list, _ := v.(patch.List)
	for _, t := range b.g.Have.Transforms.Value {
		if t.Op != "remove" || t.Phase != "request" || t.Target != "header" {
			continue
		}
		x, e, err := b.at(t.Origin)
		if err != nil {
			return err
		}
		for _, h := range list {
			name := fmt.Sprint(h)
			if slices.ContainsFunc(b.g.Have.Transforms.Value, func(o drift.Transform) bool {
				return o.Op == "remove" && o.Phase == "request" && strings.EqualFold(o.Name, name)
			}) {
				continue
			}
			b.Did("take %s away from requests", name)
			x.After(e, `<Header name="`+patch.Escape(name)+`"/>`)
		}
		return nil
	}
	return &refusal{reason: "no policy of the bundle takes headers away", weak: true}
}

// attach lets the nth policy that is attached nowhere run in front of everything that a proxy does.
func attach(n int) Editor {
	return func(s *Site, g Group) error {
		b := bundleSite{s, g}
		if n >= len(g.Env.Detached) {
			return &refusal{reason: "no policy of the bundle does this, attached or not", weak: true}
		}
		name := g.Env.Detached[n].Name
		for _, op := range g.Operations {
			if s.once(drift.Origin{File: op.Origin.File}) {
				continue
			}
			x, err := b.XML(op.Origin.File)
			if err != nil {
				return err
			}
			flow := x.Root.Child("PreFlow")
			if flow == nil || flow.Child("Request") == nil {
				return &refusal{reason: "the proxy has no flow in front of all others", weak: true}
			}
			s.Did("let %s run in front of %s", name, op.Origin.Scope)
			x.Behind(flow.Child("Request"), []string{"Step"}, "<Step><Name>"+patch.Escape(name)+"</Name></Step>")
		}
		return nil
	}
}
