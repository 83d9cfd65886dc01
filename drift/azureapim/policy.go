package azureapim

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// builder gathers what the statements of all sections say.
type builder struct {
	r *reader
	p *drift.Policy
	a *api
}

// policy is what is in force on an operation, under a product or under none.
func (r *reader) policy(a *api, p *product, o *operation) *drift.Policy {
	chain := r.chain(a, p, o)
	in, early, lost, unread := r.section(chain, "inbound")
	back, _, _, _ := r.section(chain, "backend")
	out, _, _, _ := r.section(chain, "outbound")
	onError, _, _, _ := r.section(chain, "on-error")
	b := &builder{r, &drift.Policy{}, a}
	b.defaults(p)
	ways, _, _ := r.ways(in, 0)
	b.auth(ways, p, in)
	for _, c := range lost {
		before, _, _ := r.ways(c.lost, 0)
		auth := len(before) > 0 && !atLeast(b.p.Auth.Ways.Value, before)
		for _, s := range c.lost {
			if own, _, _ := r.ways([]statement{s}, 0); len(own) > 0 && auth {
				b.p.Cuts = append(b.p.Cuts, drift.Cut{What: s.el.Name, Auth: true, Lost: s.origin(), Origin: c.by})
			} else if s.el.Name != "set-variable" {
				b.p.Cuts = append(b.p.Cuts, drift.Cut{What: s.el.Name, Lost: s.origin(), Origin: c.by})
			}
		}
	}
	if len(early) > 0 {
		rest := slices.DeleteFunc(slices.Clone(in), func(s statement) bool {
			return slices.ContainsFunc(early, func(e statement) bool { return e.el == s.el })
		})
		if inherited, _, _ := r.ways(rest, 0); len(inherited) > 0 {
			for _, s := range early {
				if effects[s.el.Name] {
					b.p.Early = append(b.p.Early, drift.Statement{Name: s.el.Name, Origin: s.origin()})
				}
			}
		}
	}
	b.statements("request", in, nil, 0)
	b.statements("request", back, nil, 0)
	b.statements("response", out, nil, 0)
	b.onError(onError)
	b.finish()
	if unread != nil {
		b.p.Auth.Ways = drift.Unknown[drift.Ways]("a policy document that could not be read", *unread)
		b.p.Rates = drift.Unknown[[]drift.Rate]("a policy document that could not be read", *unread)
		b.p.CORS.Enabled = drift.Unknown[bool]("a policy document that could not be read", *unread)
	}
	return b.p
}

// effects are statements that do something before the call is known to be allowed.
var effects = map[string]bool{"send-request": true, "send-one-way-request": true, "log-to-eventhub": true, "cache-store-value": true, "cache-remove-value": true,
	"publish-to-dapr": true, "return-response": true, "mock-response": true, "cache-lookup": true, "set-backend-service": true, "rewrite-uri": true, "send-service-bus-message": true}

func atLeast(a, b drift.Ways) bool {
	o := a.Compare(b)
	return o == drift.Same || o == drift.Stronger
}

// auth joins what the documents demand with the subscription key.
func (b *builder) auth(ways drift.Ways, p *product, in []statement) {
	need, at := truth(b.a.props.Get("subscriptionRequired"), true) && !b.a.noSpec, b.a.props.Get("subscriptionRequired")
	state := drift.Default
	if at != nil {
		state = drift.Set
	}
	scope := "api " + b.a.name
	if p != nil {
		need, at, scope = truth(p.props.Get("subscriptionRequired"), true), p.props.Get("subscriptionRequired"), "product "+p.name
	}
	b.p.Lifecycle.Subscription = drift.Leaf[bool]{Value: need, State: state, Origin: at.Origin(scope)}
	names := []string{"ocp-apim-subscription-key", "subscription-key"}
	keyAt := b.a.props.Get("subscriptionKeyParameterNames")
	if h := keyAt.Get("header").Str(); h != "" {
		names[0] = strings.ToLower(h)
	}
	if q := keyAt.Get("query").Str(); q != "" {
		names[1] = q
	}
	l := drift.Leaf[drift.Ways]{Value: ways, State: drift.Default}
	if len(ways) > 0 {
		l.State, l.Origin = drift.Inherited, firstOrigin(ways)
	}
	if need {
		key := drift.Requirement{Kind: drift.KeyProof, Name: "subscription", Origin: at.Origin(scope), Forward: drift.ByDefault(true),
			Key: &drift.APIKey{In: drift.ByDefault([]string{"header", "query"}), Names: drift.ByDefault(names)}}
		l.Value = ways.And(key)
		if l.State == drift.Default {
			l.State, l.Origin = state, key.Origin
		}
	}
	for _, w := range l.Value {
		if w.When != nil {
			l.State, l.Cause = drift.Conditional, "choose"
		}
	}
	for _, s := range in {
		if s.el.Name == "include-fragment" && l.State != drift.Conditional {
			l.State, l.Cause, l.Origin = drift.Conditional, "a policy fragment that is missing", s.origin()
		}
	}
	if len(l.Value) == 0 && at != nil && !need {
		l.State, l.Origin = drift.Set, at.Origin(scope) // explicitly open
	}
	b.p.Auth.Ways = l
	b.p.Auth.Fallback, b.p.Auth.Optional, b.p.Auth.Exempt = drift.ByDefault(false), drift.ByDefault(false), drift.ByDefault(false)
	b.p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
}

// statements reads what a list of statements changes, limits and records. when is the condition under which it runs.
func (b *builder) statements(phase string, list []statement, when *drift.Condition, depth int) {
	if depth > 16 {
		return
	}
	for _, s := range list {
		b.statement(s, phase, when)
		switch s.el.Name {
		case "choose":
			for _, br := range s.el.Children {
				raw, _ := br.Attr("condition")
				text := s.doc.restore(raw)
				if text == "" {
					text = "otherwise"
				}
				c := joined(when, &drift.Condition{Text: drift.Shown(text), Client: clientSide.MatchString(text), Origin: br.Origin(s.scope)})
				if raw != "" {
					b.opaque("csharp", "condition", text, br.Origin(s.scope), s)
				}
				b.statements(phase, b.r.body(s, br), c, depth+1)
			}
		case "retry", "wait", "limit-concurrency":
			b.statements(phase, b.r.body(s, s.el), when, depth+1)
		}
		for _, a := range s.el.Attrs {
			if v := s.doc.restore(a.Value); strings.HasPrefix(strings.TrimSpace(v), "@{") {
				b.opaque("csharp", s.el.Name+" "+a.Name.Local, v, s.origin(), s)
			}
		}
	}
}

func (b *builder) opaque(kind, name, text string, o drift.Origin, s statement) {
	l := b.p.Opaque
	b.p.Opaque = stated(s, append(l.Value, drift.Opaque{Kind: kind, Name: name, Hash: drift.Hash(text), Code: drift.Shown(text), Origin: o}), o)
}

// under makes a leaf conditional when its statement runs only sometimes.
func under[T any](l drift.Leaf[T], when *drift.Condition) drift.Leaf[T] {
	if when != nil && l.Known() {
		l.State, l.Cause = drift.Conditional, "choose: "+string(when.Text)
	}
	return l
}

var (
	headerOf = regexp.MustCompile(`Headers(?:\.GetValueOrDefault\(\s*"([^"]+)"|\[\s*"([^"]+)"\])`)
	claimOf  = regexp.MustCompile(`(?:Claims(?:\.GetValueOrDefault\(\s*"([^"]+)"|\[\s*"([^"]+)"\]))`)
)

// counterKey says what an expression counts by.
func counterKey(text string) string {
	switch {
	case strings.Contains(text, "context.Request.IpAddress"):
		return "ip"
	case strings.Contains(text, "context.Subscription"):
		return "credential"
	case strings.Contains(text, "context.User"):
		return "consumer"
	}
	if m := claimOf.FindStringSubmatch(text); m != nil {
		return "claim:" + m[1] + m[2]
	}
	if m := headerOf.FindStringSubmatch(text); m != nil {
		return "header:" + strings.ToLower(m[1]+m[2])
	}
	if !isExpr(text) {
		return "global"
	}
	return "expression:" + drift.Hash(text)
}

// addresses are the CIDRs of an ip-filter.
func (r *reader) addresses(s statement) drift.Leaf[[]string] {
	var out []string
	for _, c := range s.el.Children {
		texts := []string{c.Text}
		if c.Name == "address-range" {
			from, _ := c.Attr("from")
			to, _ := c.Attr("to")
			texts = []string{from, to}
		}
		for i := range texts {
			v, cause, expr := r.value(s.doc, texts[i], c.Origin(s.scope))
			if expr {
				return drift.DependsOn[[]string](nil, "expression", c.Origin(s.scope))
			}
			if cause != "" {
				return drift.Unknown[[]string](cause, c.Origin(s.scope))
			}
			texts[i] = strings.TrimSpace(v)
		}
		if c.Name == "address-range" {
			out = append(out, cidrs(texts[0], texts[1])...)
		} else if c.Name == "address" {
			out = append(out, texts[0])
		}
	}
	return stated(s, out, s.origin())
}

// cidrs writes a range as prefixes; a range that is none, or too odd, stays as it is.
func cidrs(from, to string) []string {
	a, err1 := netip.ParseAddr(from)
	z, err2 := netip.ParseAddr(to)
	if err1 != nil || err2 != nil || a.BitLen() != z.BitLen() || z.Less(a) {
		return []string{from + "-" + to}
	}
	var out []string
	for len(out) < 64 {
		bits := a.BitLen()
		for bits > 0 {
			p := netip.PrefixFrom(a, bits-1)
			if p.Masked().Addr() != a || z.Less(lastOf(p)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(a, bits)
		out = append(out, p.String())
		end := lastOf(p)
		if end == z || !end.Next().IsValid() {
			return out
		}
		a = end.Next()
	}
	return []string{from + "-" + to}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func (b *builder) transform(s statement, phase, target, op, name string, value drift.Text) {
	l := b.p.Transforms
	b.p.Transforms = stated(s, append(l.Value, drift.Transform{Phase: phase, Target: target, Op: op, Name: name, Value: value, Origin: s.origin()}), s.origin())
}

// text is a value for showing: with what can be put in put in, and secrets masked.
func (b *builder) text(s statement, el *source.Element, raw, name string) drift.Text {
	v, _, _ := b.r.value(s.doc, raw, el.Origin(s.scope))
	return drift.ValueOf(name, strings.TrimSpace(v))
}

func firstOrigin(w drift.Ways) drift.Origin {
	for _, n := range w.All() {
		return n.Origin
	}
	return drift.Origin{}
}
