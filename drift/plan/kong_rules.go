package plan

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// authenticate demands what the other side demands, as far as Kong's own plugins can.
func (k kongSite) authenticate() error {
	if k.g.Rule == "DR-AUT-02" {
		return k.uncut()
	}
	if k.g.Want == nil {
		return refuse("what the operation should ask for is a decision", "")
	}
	ways := k.g.Want.Auth.Ways
	if !ways.Known() || len(ways.Value) == 0 {
		return refuse("what the other side asks for is not known", "")
	}
	if len(ways.Value) > 1 {
		return refuse("the other side offers several ways in, which Kong offers only with an anonymous consumer behind them", "")
	}
	for _, r := range ways.Value[0].Needs {
		if slices.ContainsFunc(k.g.Have.Auth.Ways.Value.All(), func(o drift.Requirement) bool { return o.Kind == r.Kind }) {
			continue
		}
		if r.Metering || r.Kind == drift.FromIP {
			continue
		}
		name, config, err := k.plugin(r)
		if err != nil {
			return err
		}
		if err := k.add(name, config); err != nil {
			return err
		}
	}
	return nil
}

// plugin is the plugin that asks for a requirement.
func (k kongSite) plugin(r drift.Requirement) (string, patch.Map, error) {
	switch {
	case r.Kind == drift.KeyProof:
		config := patch.Map{{Key: "key_in_query", Value: false}, {Key: "hide_credentials", Value: true}}
		if r.Key != nil && r.Key.Names.Known() && len(r.Key.Names.Value) > 0 {
			config = append(patch.Map{{Key: "key_names", Value: patch.Strings(r.Key.Names.Value)}}, config...)
		}
		return "key-auth", config, nil
	case r.Kind == drift.BasicProof:
		return "basic-auth", patch.Map{{Key: "hide_credentials", Value: true}}, nil
	case r.Kind == drift.HMACProof:
		return "hmac-auth", patch.Map{{Key: "hide_credentials", Value: true}}, nil
	case r.Kind == drift.MTLSProof && r.MTLS != nil && k.g.Other != nil && k.g.Other.Gateway == "kong" && len(r.MTLS.CAs.Or(nil)) > 0:
		list, err := k.own(r.MTLS.CAs.Value)
		return "mtls-auth", patch.Map{{Key: "ca_certificates", Value: list}}, err
	case r.Kind == drift.JWTProof && r.JWT != nil:
		// Without an address of a document of discovery it is the plain plugin, whose keys are those of Kong's consumers.
		if i := slices.IndexFunc(r.JWT.Keys.Or(nil), func(u string) bool { return strings.Contains(u, "/.well-known/") }); i >= 0 {
			issuer := r.JWT.Keys.Value[i]
			if k.foreign(issuer) {
				return "", nil, refuse("the other side's issuer belongs to it: "+issuer, "name this environment's own issuer")
			}
			config := patch.Map{{Key: "issuer", Value: issuer}, {Key: "auth_methods", Value: patch.List{"bearer"}}, {Key: "bearer_token_param_type", Value: patch.List{"header"}}}
			if a := r.JWT.Audiences.Or(nil); len(a) > 0 {
				list, err := k.own(a)
				if err != nil {
					return "", nil, err
				}
				config = append(config, patch.Entry{Key: "audience_required", Value: list})
			}
			return "openid-connect", config, nil
		}
		return "jwt", patch.Map{{Key: "claims_to_verify", Value: patch.List{"exp"}}, {Key: "uri_param_names", Value: patch.List{}}}, nil
	}
	return "", nil, refuse(fmt.Sprintf("Kong's own plugins do not ask for %s as the other side does", r.Kind), "")
}

// uncut takes a narrower instance's looser setting back: the anonymous consumer that the wider one does not have.
func (k kongSite) uncut() error {
	for _, o := range k.g.Origins {
		at, ok := pluginAt(o)
		if !ok {
			return refuse("which of the two instances is meant is a decision", "")
		}
		t, err := k.Tree(at.File)
		if err != nil {
			return err
		}
		if !t.Has(at.Line, at.Pointer+"/config/anonymous") {
			return refuse("the narrower instance asks for something else than the wider one, and which is meant is a decision", "")
		}
		k.Did("take the anonymous consumer from %s", o.Scope)
		if err := k.Set(at, at.Pointer+"/config/anonymous", nil); err != nil {
			return err
		}
	}
	return nil
}

func (k kongSite) notInQuery() error {
	for _, r := range k.g.Have.Auth.Ways.Value.All() {
		switch {
		case r.Key != nil && slices.Contains(r.Key.In.Value, "query"):
			if err := k.setIn(r.Origin, "key_in_query", false); err != nil {
				return err
			}
		case r.JWT != nil && r.Name == "jwt":
			if err := k.setIn(r.Origin, "uri_param_names", patch.List{}); err != nil {
				return err
			}
		case r.JWT != nil && r.Name == "openid-connect":
			if err := k.setIn(r.Origin, "bearer_token_param_type", patch.List{"header"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k kongSite) hide() error {
	for _, r := range k.g.Have.Auth.Ways.Value.All() {
		switch r.Name {
		case "key-auth", "key-auth-enc", "basic-auth", "ldap-auth", "ldap-auth-advanced", "hmac-auth":
			if err := k.setIn(r.Origin, "hide_credentials", true); err != nil {
				return err
			}
		default:
			return refuse("the plugin "+r.Name+" cannot keep the credential back", "take the header away with request-transformer, when the upstream does not need it")
		}
	}
	return nil
}

// tokens tightens what is checked of tokens.
func (k kongSite) tokens() error {
	for _, r := range k.g.Have.Auth.Ways.Value.All() {
		if r.JWT == nil {
			continue
		}
		plain := r.Name == "jwt"
		var err error
		switch {
		case k.g.Field == "auth.jwt.require_exp" && plain:
			err = k.setIn(r.Origin, "claims_to_verify", patch.List{"exp"})
		case k.g.Field == "auth.jwt.require_signed" && r.Name == "openid-connect":
			err = k.setIn(r.Origin, "verify_signature", true)
		case k.g.Field == "auth.jwt.require_exp" && r.Name == "openid-connect":
			err = k.setIn(r.Origin, "verify_claims", true)
		case k.g.Field == "auth.jwt.max_lifetime_s" && plain:
			var n int64
			if n, err = wantedToken(k.g, func(j *drift.JWT) drift.Leaf[int64] { return j.Longest }, 0); err == nil {
				err = k.setIn(r.Origin, "maximum_expiration", n)
			}
			if err == nil && !r.JWT.Expires.Value {
				err = k.setIn(r.Origin, "claims_to_verify", patch.List{"exp"})
			}
		case r.Name == "openid-connect" && k.g.Want != nil && (k.g.Field == "auth.jwt.audiences" || k.g.Field == "auth.jwt.issuers"):
			key, leaf := "audience_required", func(j *drift.JWT) drift.Leaf[[]string] { return j.Audiences }
			if k.g.Field == "auth.jwt.issuers" {
				key, leaf = "issuers_allowed", func(j *drift.JWT) drift.Leaf[[]string] { return j.Issuers }
			}
			var list []string
			var own patch.List
			if list, err = wantedToken(k.g, leaf, nil); err == nil {
				own, err = k.own(list)
			}
			if err == nil {
				err = k.setIn(r.Origin, key, own)
			}
		case r.Name == "openid-connect" && k.g.Field == "auth.jwt.clock_skew_s":
			var n int64
			if n, err = wantedToken(k.g, func(j *drift.JWT) drift.Leaf[int64] { return j.Skew }, 0); err == nil {
				err = k.setIn(r.Origin, "leeway", n)
			}
		case k.g.Want == nil:
			return refuse("which values are right is known to the issuer of the tokens alone", "")
		default:
			return refuse("Kong's plugin "+r.Name+" does not check this", "use openid-connect, or check it in the upstream")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var kongWindows = map[int64]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 30 * 86400: "month", 365 * 86400: "year"}

// rates limits as the other side does.
func (k kongSite) rates() error {
	var at drift.Origin
	have := slices.Clone(k.g.Have.Rates.Value)
	if len(have) > 0 {
		at = have[0].Count.Origin
	} else if q := k.g.Have.Quotas.Value; len(q) > 0 {
		at = q[0].Count.Origin
	}
	plugin, exists := pluginAt(at)
	if exists && k.name(plugin) != "rate-limiting" {
		return refuse("limits of the plugin "+k.name(plugin)+" are not rewritten", "")
	}
	if k.g.Field == "rate.fail_open" {
		return k.setIn(at, "fault_tolerant", false)
	}
	if k.g.Want == nil || !k.g.Want.Rates.Definite() || !k.g.Want.Quotas.Definite() {
		return refuse("what the other side has is not known", "")
	}
	windows := patch.Map{}
	put := func(count, window drift.Leaf[int64]) error {
		name := kongWindows[window.Value]
		if !count.Known() || !window.Known() || name == "" {
			return refuse(fmt.Sprintf("Kong's rate-limiting has no window of %s s", window.Text()), "limit at the edge, or agree on a window of a second, a minute or an hour on both sides")
		}
		windows = append(windows, patch.Entry{Key: name, Value: count.Value})
		return nil
	}
	by := "consumer"
	switch k.g.Field {
	case "quota":
		for _, q := range k.g.Want.Quotas.Value {
			if q.Unit != "calls" {
				return refuse("Kong counts calls alone, and the other side counts "+q.Unit, "")
			}
			if err := put(q.Count, q.Period); err != nil {
				return err
			}
		}
	default:
		for _, r := range k.g.Want.Rates.Value {
			if err := put(r.Count, r.Window); err != nil {
				return err
			}
			switch key := r.Key.Or("consumer"); {
			case key == "ip" || key == "credential" || key == "consumer":
				by = key
			case strings.HasPrefix(key, "header:"):
				return refuse("the other side counts by a header, which callers can write", "")
			}
		}
		if k.g.Have.Auth.Ways.Known() && k.g.Have.Auth.Ways.Value.Open() {
			by = "ip" // nobody is identified
		}
	}
	if len(windows) == 0 {
		return refuse("the other side has no such limit", "")
	}
	if k.g.Field == "rate.key" {
		return k.setIn(at, "limit_by", by)
	}
	if !exists {
		return k.add("rate-limiting", append(windows, patch.Entry{Key: "policy", Value: "local"}, patch.Entry{Key: "limit_by", Value: by}, patch.Entry{Key: "fault_tolerant", Value: false}))
	}
	for _, w := range windows {
		if err := k.setIn(at, w.Key, w.Value); err != nil {
			return err
		}
	}
	if k.g.Field == "rate.window_s" || k.g.Field == "rate.count" {
		for _, r := range have {
			name := kongWindows[r.Window.Value]
			if name != "" && !slices.ContainsFunc(windows, func(e patch.Entry) bool { return e.Key == name }) {
				if err := k.setIn(at, name, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (k kongSite) cors() error {
	c := k.g.Have.CORS
	at := c.Enabled.Origin
	if k.g.Want == nil {
		return k.setIn(at, "credentials", false)
	}
	key := strings.TrimPrefix(k.g.Field, "cors.")
	switch key {
	case "enabled":
		return k.switchOff(at)
	case "credentials":
		return k.setIn(at, key, false)
	}
	var have, want drift.Leaf[[]string]
	w := k.g.Want.CORS
	switch key {
	case "origins":
		have, want = c.Origins, w.Origins
	case "methods":
		have, want = c.Methods, w.Methods
	case "headers":
		have, want = c.Headers, w.Headers
	default:
		return refuse("the setting is not edited", "")
	}
	if !want.Known() {
		return refuse("what the other side has is not known", "")
	}
	list, err := k.kept(have.Value, want.Value, k.g.Other)
	if err != nil {
		return err
	}
	for i, v := range list {
		list[i] = strings.TrimPrefix(fmt.Sprint(v), "~")
	}
	if len(list) == 0 {
		return refuse("nothing would be left of the list", "switch cors off where no page of another origin calls")
	}
	return k.setIn(at, key, list)
}

func (k kongSite) addresses() error {
	key, have, leaf := "allow", k.g.Have.IP.Allow, func(p *drift.Policy) drift.Leaf[[]string] { return p.IP.Allow }
	if k.g.Field == "ip.deny" {
		key, have, leaf = "deny", k.g.Have.IP.Deny, func(p *drift.Policy) drift.Leaf[[]string] { return p.IP.Deny }
	} else if k.g.Field != "ip.allow" {
		return refuse("where the caller's address is taken from is set in kong.conf", "set trusted_ips and real_ip_header for what stands in front")
	}
	list, err := wanted(k.g, leaf, nil)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse("the other side has no such list", "")
	}
	return k.plugged("ip-restriction", key, patch.Strings(list), have.Origin)
}
