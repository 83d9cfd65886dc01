package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// tokens tightens what validate-jwt checks.
func (a apimSite) tokens() error {
	for _, r := range a.g.Have.Auth.Ways.Value.All() {
		if r.JWT == nil {
			continue
		}
		x, e, err := a.element(r.Origin)
		if err != nil {
			return err
		}
		switch a.g.Field {
		case "auth.jwt.require_exp":
			a.Did("demand that tokens end")
			x.SetAttr(e, "require-expiration-time", "true")
		case "auth.jwt.require_signed":
			a.Did("demand that tokens are signed")
			x.SetAttr(e, "require-signed-tokens", "true")
		case "auth.jwt.clock_skew_s":
			n, err := wantedToken(a.g, func(j *drift.JWT) drift.Leaf[int64] { return j.Skew }, 0)
			if err != nil {
				return err
			}
			a.Did("shorten the tolerance of clocks")
			x.SetAttr(e, "clock-skew", strconv.FormatInt(n, 10))
		default:
			if err := a.accepted(x, e, r.JWT); err != nil {
				return err
			}
		}
	}
	return nil
}

// accepted narrows the audiences or issuers of a validate-jwt.
func (a apimSite) accepted(x *patch.XML, e *patch.Element, j *drift.JWT) error {
	list, item, have, leaf := "audiences", "audience", j.Audiences, func(j *drift.JWT) drift.Leaf[[]string] { return j.Audiences }
	if a.g.Field == "auth.jwt.issuers" {
		list, item, have, leaf = "issuers", "issuer", j.Issuers, func(j *drift.JWT) drift.Leaf[[]string] { return j.Issuers }
	}
	if a.g.Want == nil {
		return refuse("which values are right is known to the owner of the API alone", "")
	}
	want, err := wantedToken(a.g, leaf, nil)
	if err != nil {
		return err
	}
	if len(want) == 0 {
		return refuse("the other side does not check it", "")
	}
	a.Did("check the %s of tokens", list)
	if at := e.Child(list); at != nil {
		keep, err := a.kept(have.Value, want, a.g.Other)
		if err != nil {
			return err
		}
		return a.narrow(x, at, item, keep)
	}
	values, err := a.own(want)
	if err != nil {
		return err
	}
	behind := []string{"openid-config", "issuer-signing-keys", "decryption-keys"}
	if list == "issuers" {
		behind = append(behind, "audiences")
	}
	x.Behind(e, behind, listed(list, item, values))
	return nil
}

// narrow takes the items out of a list that are not kept, and adds those that are missing.
func (a apimSite) narrow(x *patch.XML, list *patch.Element, item string, keep patch.List) error {
	have := map[string]bool{}
	var last *patch.Element
	for _, c := range list.Children {
		if c.Name != item {
			continue
		}
		v := strings.TrimSpace(x.Inner(c))
		have[v] = true
		if !slices.Contains(keep, any(v)) {
			a.Take()
			x.Remove(c)
			continue
		}
		last = c
	}
	for _, v := range keep {
		if have[fmt.Sprint(v)] {
			continue
		}
		text := "<" + item + ">" + patch.Escape(fmt.Sprint(v)) + "</" + item + ">"
		if last != nil {
			x.After(last, text)
		} else {
			x.Prepend(list, text)
		}
	}
	return nil
}

// claims asks for the claims that the other side asks for.
func (a apimSite) claims() error {
	want := token(a.g.Want)
	if want == nil || !want.Claims.Known() || len(want.Claims.Value) == 0 {
		return refuse("what the other side asks for is not a claim of a token", "")
	}
	for _, r := range a.g.Have.Auth.Ways.Value.All() {
		if r.JWT == nil {
			continue
		}
		x, e, err := a.element(r.Origin)
		if err != nil {
			return err
		}
		if e.Child("required-claims") != nil {
			return refuse("other claims are asked for here, and whether they mean the same is a decision", "")
		}
		a.Did("ask for the claims that the other side asks for")
		x.Behind(e, []string{"openid-config", "issuer-signing-keys", "decryption-keys", "audiences", "issuers"}, claimsText(want.Claims.Value))
	}
	return nil
}

func (a apimSite) hide() error {
	a.Brings("transforms")
	for _, r := range a.g.Have.Auth.Ways.Value.All() {
		if r.Key == nil {
			continue
		}
		a.Did("keep the subscription key from the upstream")
		return a.add("inbound", `<set-header name="Ocp-Apim-Subscription-Key" exists-action="delete" />`)
	}
	return refuse("the upstream may need the token", "take the header away with set-header, when the upstream does not need it")
}

func (a apimSite) lifecycle() error {
	o, key := a.g.Have.Lifecycle.Subscription.Origin, "subscriptionRequired"
	if a.g.Field == "lifecycle.approval_required" {
		o, key = a.g.Have.Lifecycle.Approval.Origin, "approvalRequired"
	} else {
		a.Brings("auth", "rate", "transforms")
	}
	if !strings.HasSuffix(o.File, "Information.json") {
		return refuse("the setting does not stand in the files", "set it in the service")
	}
	a.Did("set %s", key)
	return a.Set(o, "/properties/"+key, true)
}

// protocols switches old versions of TLS and weak ciphers off.
func (a apimSite) protocols() error {
	o := a.g.Have.TLS.Min.Origin
	if a.g.Field == "tls.ciphers" {
		o = a.g.Have.TLS.Ciphers.Origin
	}
	i := strings.Index(o.Pointer, "/customProperties")
	if i < 0 {
		return refuse("the service's properties are not among the files", "switch the old versions off in customProperties of the service")
	}
	t, err := a.Tree(o.File)
	if err != nil {
		return err
	}
	base := o.Pointer[:i] + "/customProperties"
	v, _ := t.Value(o.Line, base)
	m, _ := v.(patch.Map)
	for _, e := range m {
		protocol := strings.Contains(e.Key, ".Security.Protocols.") && a.g.Field == "tls.min"
		weak := strings.Contains(e.Key, ".Ciphers.") && a.g.Field == "tls.ciphers" && (strings.Contains(e.Key, "TripleDes") || a.g.Want != nil)
		if on := strings.EqualFold(fmt.Sprint(e.Value), "true"); on && (protocol || weak) {
			a.Did("switch %s off", e.Key[strings.LastIndex(e.Key, ".")+1:])
			if err := t.Set(o.Line, base+"/"+patch.Key(e.Key), "False"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a apimSite) hsts() error {
	age, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[int64] { return p.TLS.HSTS }, 31536000)
	if err != nil {
		return err
	}
	text := "max-age=" + strconv.FormatInt(age, 10)
	a.Did("tell browsers to insist on HTTPS")
	for _, t := range a.g.Have.Transforms.Value {
		if t.Phase == "response" && strings.EqualFold(t.Name, "Strict-Transport-Security") {
			x, e, err := a.element(t.Origin)
			if err != nil {
				return err
			}
			if v := e.Child("value"); v != nil {
				x.SetInner(v, text)
				return nil
			}
		}
	}
	return a.add("outbound", `<set-header name="Strict-Transport-Security" exists-action="override"><value>`+text+`</value></set-header>`)
}

// rates limits as the other side does.
func (a apimSite) rates() error {
	w := a.g.Want
	if w == nil || !w.Rates.Definite() || !w.Quotas.Definite() {
		return refuse("what the other side has is not known", "")
	}
	have, want := a.g.Have.Rates.Value, w.Rates.Value
	if a.g.Field == "quota" {
		if len(w.Quotas.Value) == 0 || len(a.g.Have.Quotas.Value) > 0 {
			return refuse("which of the quotas is meant is a decision", "")
		}
		q := w.Quotas.Value[0]
		key, ok := counterKeys[q.Key.Or("")]
		if !ok || !q.Count.Known() || !q.Period.Known() || q.Unit != "calls" || q.Period.Value < 300 {
			return refuse("API Management cannot count as the other side does", "")
		}
		a.Did("bound use over %d s", q.Period.Value)
		return a.add("inbound", fmt.Sprintf(`<quota-by-key calls="%d" renewal-period="%d" counter-key="%s" />`, q.Count.Value, q.Period.Value, key))
	}
	if len(want) == 0 {
		return refuse("the other side has no such limit", "")
	}
	for i, r := range want {
		key, ok := counterKeys[r.Key.Or("")]
		if !ok || !r.Count.Known() || !r.Window.Known() || r.Window.Value > 300 {
			return refuse("API Management cannot count as the other side does: "+r.String(), "limit at the edge")
		}
		if a.g.Have.Auth.Ways.Known() && a.g.Have.Auth.Ways.Value.Open() {
			key = counterKeys["ip"]
		}
		a.Did("limit to %d calls in %d s", r.Count.Value, r.Window.Value)
		if i >= len(have) {
			if err := a.add("inbound", fmt.Sprintf(`<rate-limit-by-key calls="%d" renewal-period="%d" counter-key="%s" />`, r.Count.Value, r.Window.Value, key)); err != nil {
				return err
			}
			continue
		}
		x, e, err := a.element(have[i].Count.Origin)
		if err != nil {
			return err
		}
		if a.g.Field == "rate.key" {
			if e.Name != "rate-limit-by-key" {
				return refuse("rate-limit counts by subscription and by nothing else", "")
			}
			x.SetAttr(e, "counter-key", key)
			continue
		}
		x.SetAttr(e, "calls", strconv.FormatInt(r.Count.Value, 10))
		x.SetAttr(e, "renewal-period", strconv.FormatInt(r.Window.Value, 10))
	}
	return nil
}

var counterKeys = map[string]string{"consumer": "@(context.Subscription.Id)", "credential": "@(context.Subscription.Id)", "ip": "@(context.Request.IpAddress)"}

func (a apimSite) limits() error {
	if a.g.Field == "limits.body_bytes" {
		n, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Body }, 0)
		if err != nil {
			return err
		}
		x, e, err := a.element(a.g.Have.Limits.Body.Origin)
		if err != nil || e.Name != "validate-content" || n <= 0 {
			return refuse("bodies are bounded by validate-content, which needs to know their types", "add it with the types that the API takes")
		}
		a.Did("take smaller bodies")
		x.SetAttr(e, "max-size", strconv.FormatInt(n, 10))
		return nil
	}
	ms, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Read }, 0)
	if err != nil {
		return err
	}
	x, e, err := a.element(a.g.Have.Limits.Read.Origin)
	if err != nil || e.Name != "forward-request" || ms <= 0 {
		return refuse("the time is that of the service's own forward-request", "write forward-request with a timeout into the backend section")
	}
	a.Did("wait for less long")
	x.SetAttr(e, "timeout", strconv.FormatInt((ms+999)/1000, 10))
	return nil
}

func (a apimSite) removals() error {
	if a.g.Want == nil || !a.g.Want.Transforms.Known() {
		return refuse("what the other side has is not known", "")
	}
	var out []string
	for _, t := range a.g.Want.Transforms.Value {
		if t.Phase == "request" && t.Target == "header" && t.Op == "remove" && !slices.ContainsFunc(a.g.Have.Transforms.Value, func(o drift.Transform) bool {
			return o.Phase == t.Phase && o.Op == t.Op && strings.EqualFold(o.Name, t.Name)
		}) {
			a.Did("take %s from requests", t.Name)
			out = append(out, `<set-header name="`+patch.Escape(t.Name)+`" exists-action="delete" />`)
		}
	}
	if len(out) == 0 {
		return refuse("the messages are changed in ways whose order and values somebody must decide", "")
	}
	return a.add("inbound", out...)
}

func (a apimSite) mocks() error {
	for _, o := range a.g.Origins {
		x, e, err := a.element(o)
		if err != nil {
			return err
		}
		if e.Name != "mock-response" {
			return refuse("what it is for must be asked of who wrote it", "")
		}
		a.Did("take the made-up answer out")
		a.Take()
		x.Remove(e)
	}
	return nil
}

// addresses adds a filter of the other side's addresses: both must let a call in.
func (a apimSite) addresses() error {
	list, err := wanted(a.g, func(p *drift.Policy) drift.Leaf[[]string] { return p.IP.Allow }, nil)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse("the other side has no such list", "")
	}
	var b strings.Builder
	b.WriteString(`<ip-filter action="allow">`)
	for _, s := range list {
		if addr, err := netip.ParseAddr(s); err == nil {
			b.WriteString("<address>" + addr.String() + "</address>")
			continue
		}
		p, err := netip.ParsePrefix(s)
		from, to, dash := strings.Cut(s, "-")
		switch {
		case err == nil:
			from, to = p.Masked().Addr().String(), lastOf(p).String()
		case !dash:
			return refuse("the other side's list holds "+s+", which is not an address", "")
		}
		fmt.Fprintf(&b, `<address-range from="%s" to="%s" />`, from, to)
	}
	a.Did("let calls in from the addresses that the other side lets in")
	return a.add("inbound", b.String()+"</ip-filter>")
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

func (a apimSite) cors() error {
	c := a.g.Have.CORS
	x, e, err := a.element(c.Enabled.Origin)
	if err != nil {
		return err
	}
	if a.g.Want == nil || a.g.Field == "cors.credentials" {
		a.Did("let pages of other origins call without the caller's session")
		x.SetAttr(e, "allow-credentials", "false")
		return nil
	}
	w := a.g.Want.CORS
	key := strings.TrimPrefix(a.g.Field, "cors.")
	lists := map[string]struct {
		list, item string
		have, want drift.Leaf[[]string]
	}{"origins": {"allowed-origins", "origin", c.Origins, w.Origins}, "methods": {"allowed-methods", "method", c.Methods, w.Methods}, "headers": {"allowed-headers", "header", c.Headers, w.Headers}}
	l, ok := lists[key]
	switch {
	case key == "enabled":
		a.Did("take cors out")
		a.Take()
		x.Remove(e)
		return nil
	case !ok || !l.want.Known() || e.Child(l.list) == nil:
		return refuse("what the other side has is not known, or the list does not stand in the document", "")
	}
	keep, err := a.kept(l.have.Value, l.want.Value, a.g.Other)
	if err != nil {
		return err
	}
	if len(keep) == 0 {
		return refuse("nothing would be left of the list", "")
	}
	a.Did("let pages of fewer origins call")
	return a.narrow(x, e.Child(l.list), l.item, keep)
}
